"""When enough has been drawn: conditions such as `{"ess_bulk": 1000}` on draws in memory or in a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.store import Store

KNOWN = {
    "ess_bulk": "at least, of every quantity",
    "ess_tail": "at least, of every quantity",
    "rhat": "at most, of every quantity",
    "mcse": "at most, as a share of the standard deviation",
    "draws": "at least, of all chains",
}
LARGEST = ("rhat", "mcse")
CHUNK = 1 << 24  # numbers read from a store at once


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the conditions are met.

    figures : the worst value of each. worst : the quantity that has it. wanted : the conditions.
    """

    figures: Mapping[str, float]
    worst: Mapping[str, str]
    wanted: Mapping[str, float]

    @property
    def done(self) -> bool:
        """Whether all hold."""
        return all(self.holds(name) for name in self.wanted)

    def holds(self, name: str) -> bool:
        """Whether one condition does; what is not known yet does not."""
        value, bound = self.figures[name], self.wanted[name]
        return value <= bound if name in LARGEST else value >= bound

    def __str__(self) -> str:
        parts: list[str] = []
        for name, bound in self.wanted.items():
            of = f" ({self.worst[name]})" if self.worst.get(name) else ""
            digits = ".3f" if name in LARGEST else ".0f"
            parts.append(f"{name} {self.figures[name]:{digits}} of {bound:g}{of}")
        return ", ".join(parts)


def check_until(until: Mapping[str, float]) -> None:
    """Raise ModelErrors for conditions that are not known or never hold."""
    faults: list[ModelError] = []
    for name, bound in until.items():
        if name not in KNOWN:
            known = ", ".join(KNOWN)
            faults.append(ModelError(f"until: there is no condition '{name}'", hint=f"there are {known}"))
        elif isinstance(bound, bool) or not isinstance(bound, int | float | np.number) or not bound > 0:
            faults.append(ModelError(f"until: {name} is {bound!r}", hint="give a number above 0"))
        elif name == "rhat" and bound <= 1:
            faults.append(ModelError(f"until: rhat is {bound!r}", hint="give a number above 1, such as 1.01"))
    raise_all(faults, "the stop rule")


def progress(drawn: Draws | Store, until: Mapping[str, float]) -> Progress:
    """How far draws are; what never changes is not asked. A store is read piece by piece."""
    from dagmodels.numerics.chains.diagnose import diagnose

    check_until(until)
    figures: dict[str, float] = {}
    worst: dict[str, str] = {}
    for names, table in _pieces(drawn):
        found = diagnose(table)
        moving = ~(found.sd == 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = {
                "ess_bulk": found.ess_bulk,
                "ess_tail": found.ess_tail,
                "rhat": found.rhat,
                "mcse": found.mcse / found.sd,
            }
        for name in (n for n in until if n in values):
            _keep_worst(name, names, values[name], moving, figures, worst)
    if "draws" in until:
        figures["draws"] = float(drawn.chains * drawn.draws)
    missing = {n: np.inf if n not in LARGEST else 0.0 for n in until if n not in figures}
    return Progress(figures | missing, worst, dict(until))


def _keep_worst(
    name: str,
    names: list[str],
    values: NDArray[np.float64],
    moving: NDArray[np.bool_],
    figures: dict[str, float],
    worst: dict[str, str],
) -> None:
    """The largest or smallest so far; what is not a number is the worst of all."""
    bad = np.inf if name in LARGEST else 0.0
    known = np.where(np.isnan(values), bad, values)[moving]
    if not known.size:
        return
    at = int(known.argmax() if name in LARGEST else known.argmin())
    now = float(known[at])
    before = figures.get(name)
    if before is None or (now > before if name in LARGEST else now < before):
        figures[name] = now
        worst[name] = [n for n, m in zip(names, moving.tolist(), strict=True) if m][at]


def _pieces(drawn: Draws | Store) -> Iterator[tuple[list[str], NDArray[np.float64]]]:
    if isinstance(drawn, Draws):
        yield drawn.table()
        return
    one = Draws(
        str(drawn.path),
        {c.name: np.zeros((1, 1, *c.shape)) for c in drawn.columns if c.group == "values"},
        {n: tuple(p) for n, p in (drawn.about or {})["plates"].items()},
        {p: tuple(v) for p, v in (drawn.about or {})["labels"].items()},
    )
    step = max(1, CHUNK // max(drawn.chains * drawn.draws, 1))
    for column in drawn.columns:
        if column.group == "values":
            names = one.names(column.name)
            for start in range(0, column.size, step):
                at = slice(start, min(start + step, column.size))
                yield names[at], drawn.array(column.name, at)
