"""The mode-versus-mean report: what three estimators make of each unknown, and why one degenerates."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.cells import element_label
from dagmodels.forms.flat import Flat
from dagmodels.forms.lower import NotLowered
from dagmodels.results.answers import Answer, Number
from dagmodels.results.modes.climb import LARGEST, Top, climb
from dagmodels.results.modes.walk import Walk, walks
from dagmodels.results.tables import format_number, text_table

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
ROWS = 30
SHOWN = 5  # points of a walk
JOINT, MARGINAL, MEAN = "joint mode", "marginal mode", "posterior mean"
NONE = Number(np.nan, np.nan, np.nan, np.nan, "")


@dataclass(frozen=True, eq=False)
class ModeReport:
    """What `dm.mode_report` gives; print it.

    model : its name. joint : by element, the joint mode, or what the values tend to where there is none.
    marginal, mean : the answers of the backends that gave them. walks : the joint density along each scale of
    latents. whether : what became of the joint mode, in a sentence.
    """

    model: str
    joint: Mapping[str, Number]
    marginal: Answer
    mean: Answer
    walks: tuple[Walk, ...]
    whether: str

    @property
    def degenerate(self) -> tuple[Walk, ...]:
        """The walks along which the joint density goes on growing."""
        return tuple(w for w in self.walks if w.end)

    @property
    def names(self) -> tuple[str, ...]:
        """Elements of all unknowns that have a posterior mean; single ones first."""
        every = dict.fromkeys([*self.mean.numbers, *self.marginal.numbers, *self.joint])
        return tuple(sorted(every, key=lambda n: "[" in n))

    @property
    def table(self) -> DataFrame:
        """One row an element: joint mode, marginal mode, posterior mean, posterior sd."""
        from pandas import DataFrame

        return DataFrame(self._columns(), index=list(self.names))

    def _columns(self) -> dict[str, list[float]]:
        def column(numbers: Mapping[str, Number], what: str = "estimate") -> list[float]:
            return [getattr(numbers.get(n, NONE), what) for n in self.names]

        return {
            JOINT: column(self.joint),
            MARGINAL: column(self.marginal.numbers),
            MEAN: column(self.mean.numbers),
            "posterior sd": column(self.mean.numbers, "se"),
        }

    def __str__(self) -> str:
        head = f"{self.model}: joint mode, marginal mode, posterior mean"
        table = text_table({"": list(self.names), **self._columns()}, indent="  ", limit=ROWS)
        told = [_told(w) for w in self.walks]
        return "\n\n".join([head, table, self.whether, *told, self._others()])

    __repr__ = __str__

    def _others(self) -> str:
        return (
            f"marginal mode: {self.marginal.fit.backend}, {self.marginal.fit.method}; what is integrated\n"
            f"out (latents, coefficients) has its mean given that mode.\n"
            f"posterior mean: {self.mean.fit.backend}, {self.mean.fit.method}."
        )

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draw the joint density along each scale, and three estimates of each unknown (.png, .svg, .pdf)."""
        from dagmodels.results.modes.picture import picture

        return picture(path, self)


def mode_report_of(problem: Problem, marginal: Answer, mean: Answer) -> ModeReport:
    """The report, the joint density evaluated here.

    Raises `FitError` for graphs whose joint density has no gradient, or too many unknowns.
    """
    name = problem.graph.name
    try:
        flat = build_flat(problem)
    except NotLowered as error:
        raise FitError(f"the joint density of '{name}' cannot be maximised: {error}") from error
    if flat.size > LARGEST:
        raise FitError(f"'{name}' has {flat.size:,} unknown numbers: a joint mode takes {LARGEST:,} at most")
    reference = _reference(flat, mean)
    found = tuple(walks(flat, reference))
    values, whether = _joint(flat, reference, found)
    return ModeReport(name, _numbers(flat, values, found), marginal, mean, found, whether)


def _reference(flat: Flat, mean: Answer) -> dict[str, Floats]:
    """Posterior means over the plates; what a fit does not tell is at the middle of its scale."""
    middle = flat.constrain(np.zeros(flat.size))
    found: dict[str, Floats] = {}
    for node, value in middle.items():
        told = [mean.numbers.get(element_label(flat.problem, node, k), NONE) for k in range(value.size)]
        means = np.array([x.estimate for x in told]).reshape(value.shape)
        found[node] = np.where(np.isfinite(means), means, value)
    return found


def _joint(
    flat: Flat, reference: Mapping[str, Floats], found: tuple[Walk, ...]
) -> tuple[dict[str, Floats], str]:
    """Values of the joint mode, or those that it tends to, and what became of it."""
    endless = [w for w in found if w.highest]
    if endless:
        worst = max(endless, key=lambda w: w.log_density.max())
        towards = "zero" if worst.end < 0 else "infinity"
        told = (
            "There is no joint mode: the joint density of all unknowns (of their values, as declared) grows\n"
        )
        told += f"without bound as {worst.name} goes to {towards}. The column has what the values tend to."
        return dict(worst.values), told
    top = max(_climbed(flat, reference, found), key=lambda t: t.value)
    if not top.settled:
        return flat.constrain(top.y), "No joint mode was found: the column has where the search ended."
    lower = [w for w in found if w.end]
    kind = "a local maximum of" if lower else "the highest maximum found of"
    told = f"The joint mode is {kind} the joint density of all unknowns, {format_number(top.value, 5)} there."
    return flat.constrain(top.y), told


def _climbed(flat: Flat, reference: Mapping[str, Floats], found: tuple[Walk, ...]) -> Iterator[Top]:
    """Maxima over everything, from the posterior means, each walk's top, and all tops together."""
    every = np.arange(flat.size)
    first = flat.unconstrain(reference)
    owner = np.array([n.partition("[")[0] for n in flat.names])
    both = first.copy()
    for walk in found:
        yield climb(flat, walk.y, every)
        both = np.where(owner == walk.node, walk.y, both)
    rest = np.flatnonzero(~np.isin(owner, [w.node for w in found]))
    yield climb(flat, climb(flat, both, rest).y if found else first, every)


def _numbers(flat: Flat, values: Mapping[str, Floats], found: tuple[Walk, ...]) -> dict[str, Number]:
    """By element; a scale that runs away is at its limit."""
    limits = {w.name: (0.0 if w.end < 0 else np.inf) for w in found if w.highest}
    numbers: dict[str, Number] = {}
    for node, value in values.items():
        for k, x in enumerate(value.reshape(-1).tolist()):
            name = element_label(flat.problem, node, k)
            if node not in flat.problem.observed or not flat.problem.observed[node].reshape(-1)[k]:
                numbers[name] = Number(limits.get(name, x), np.nan, np.nan, np.nan, JOINT)
    return numbers


def _told(walk: Walk) -> str:
    """The walk along one scale in words and a few of its points."""
    elements = f"{walk.size} elements of {', '.join(walk.latents)}"
    if walk.end:
        towards = "zero" if walk.end < 0 else "infinity"
        law = "the laws narrow as fast as these approach their means"
        head = (
            f"{walk.name}: as it goes to {towards} the log joint density grows by {walk.growth:.3g} for each "
        )
        head += (
            f"factor e\n({elements}: {law})." if walk.highest else "factor e, beyond its maximum in between."
        )
    else:
        at = walk.value[int(np.argmax(walk.log_density))]
        head = f"{walk.name}: the joint density is highest near {format_number(at, 3)} (scale of {elements})."
    keep = np.unique(np.round(np.linspace(0, walk.value.size - 1, SHOWN)).astype(int))
    points: dict[str, list[Any]] = {
        walk.name: [f"{walk.value[i]:.3g}" for i in keep],
        "log joint density": [f"{walk.log_density[i]:.1f}" for i in keep],
    }
    return f"{head}\n{text_table(points, indent='    ')}"
