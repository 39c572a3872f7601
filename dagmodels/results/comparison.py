"""Several fits of one model side by side, under the same names: table, text and picture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.results.answers import Answer, Number, flat_priors
from dagmodels.results.fit import Fit, UnknownName
from dagmodels.results.tables import format_number, text_table

if TYPE_CHECKING:
    from pandas import DataFrame

ROWS = 30  # printed
PICTURED = 40
NONE = Number(np.nan, np.nan, np.nan, np.nan, "")
LITTLE = 0.1  # standard deviations that are not worth a sentence


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `dm.compare_backends` gives; print it.

    model : its name. answers : one a column, in the order asked for. refusals : by label, why there is none.
    """

    model: str
    answers: tuple[Answer, ...]
    refusals: Mapping[str, str]

    @classmethod
    def of(cls, model: str, fits: Mapping[str, Fit], refusals: Mapping[str, str] | None = None) -> Comparison:
        """Of fits by label."""
        return cls(model, tuple(Answer.of(k, f) for k, f in fits.items()), dict(refusals or {}))

    def __getitem__(self, label: str) -> Fit:
        """The fit of a column."""
        for answer in self.answers:
            if answer.label == label:
                return answer.fit
        if label in self.refusals:
            raise UnknownName(f"'{label}' gave no fit: {self.refusals[label]}")
        raise UnknownName(
            f"there is no column '{label}' (there are {', '.join(a.label for a in self.answers)})"
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of all numbers: single ones first, then elements on plates."""
        every = dict.fromkeys(n for a in self.answers for n in a.numbers)
        return tuple(sorted(every, key=lambda n: "[" in n))

    @property
    def table(self) -> DataFrame:
        """One row a name: for each label `label`, `label se`, `label is` (what kind of number), and `apart`:
        by how many standard errors (the largest) the answers differ at most."""
        from pandas import DataFrame

        columns: dict[str, list[Any]] = {}
        for a in self.answers:
            found = [a.numbers.get(n, NONE) for n in self.names]
            columns[a.label] = [x.estimate for x in found]
            columns[f"{a.label} se"] = [x.se for x in found]
            columns[f"{a.label} is"] = [x.kind for x in found]
        columns["apart"] = [self.apart(n) for n in self.names]
        return DataFrame(columns, index=list(self.names))

    def apart(self, name: str) -> float:
        """Largest difference of the answers, in units of the largest standard error; NaN of one answer."""
        numbers = [a.numbers[name] for a in self.answers if name in a.numbers]
        values = np.array([x.estimate for x in numbers if np.isfinite(x.estimate)])
        errors = np.array([x.se for x in numbers if np.isfinite(x.se)])
        if values.size < 2 or not errors.size or not errors.max() > 0.0:
            return np.nan
        return float(np.ptp(values) / errors.max())

    def __str__(self) -> str:
        parts = [self._head(), self._rows(self.names)] if self.answers else [self._head()]
        told = self._worst()
        return "\n\n".join([*parts, told] if told else parts)

    __repr__ = __str__

    def _head(self) -> str:
        """Each answer and each refusal on its line."""
        width = max(map(len, (*(a.label for a in self.answers), *self.refusals)), default=0)
        lines = [f"{self.model}: {_count(len(self.answers), 'answer')}"]
        lines += [f"  {a.label.ljust(width)}  {_how(a.fit)}" for a in self.answers]
        lines += [f"  {k.ljust(width)}  no answer: {why}" for k, why in self.refusals.items()]
        return "\n".join(lines)

    def _rows(self, names: Sequence[str]) -> str:
        columns: dict[str, list[Any]] = {"name": list(names)}
        for i, a in enumerate(self.answers):
            found = [a.numbers.get(n, NONE) for n in names]
            blank = " " * i  # headings may repeat, keys may not
            columns[a.label] = [x.estimate for x in found]
            columns[f"se{blank}"] = [x.se for x in found]
            columns[f"what it is{blank}"] = [x.kind for x in found]
        return text_table(columns, indent="  ", limit=ROWS)

    def _worst(self) -> str:
        """Where the answers differ most, and that numbers of two kinds may differ."""
        apart = {n: d for n in self.names if (d := self.apart(n)) >= LITTLE}
        if not apart:
            several = any(np.isfinite(self.apart(n)) for n in self.names)
            return f"No two answers are more than {LITTLE} standard errors apart." if several else ""
        name = max(apart, key=lambda n: apart[n])
        told = [
            f"{a.label} {format_number(a.numbers[name].estimate, 4)} ({a.numbers[name].kind})"
            for a in self.answers
            if name in a.numbers
        ]
        kinds = {a.numbers[name].kind for a in self.answers if name in a.numbers}
        why = "these are different numbers of one model" if len(kinds) > 1 else "these should agree"
        if any(not a.fit.converged for a in self.answers):
            why = "not all of these fits converged"
        return f"Most apart is {name}, by {apart[name]:.2g} standard errors: {', '.join(told)}; {why}."

    def plot(self, path: str | os.PathLike[str], names: Iterable[str] | None = None) -> Path:
        """Draw estimates with their 95 % limits, one row a name, one colour an answer.

        path : .png, .svg or .pdf. names : nodes or elements; None for the first forty.
        """
        from dagmodels.results.comparison_picture import forest

        return forest(path, self.answers, self._chosen(names), self.model)

    def _chosen(self, names: Iterable[str] | None) -> list[str]:
        if names is None:
            return list(self.names[:PICTURED])
        found: list[str] = []
        for wanted in [names] if isinstance(names, str) else names:
            own = [n for n in self.names if wanted in (n, n.partition("[")[0])]
            if not own:
                raise UnknownName(f"no answer has a number named '{wanted}'")
            found += own
        return list(dict.fromkeys(found))


def _how(fit: Fit) -> str:
    """Method, exactness and certificate in a line."""
    kind = "exact" if fit.exact else "approximate"
    told = "" if kind in fit.method else f" ({kind})"
    flat = flat_priors(fit)
    told += f"; flat priors assumed for {', '.join(flat)}" if flat and "flat priors" not in fit.method else ""
    return f"{fit.method}{told}" + ("" if fit.converged else f"; NOT CONVERGED: {fit.message}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'} side by side" if number else f"no {word}"
