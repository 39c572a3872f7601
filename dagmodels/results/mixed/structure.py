"""Residuals whose scales differ, or that hang together in time: what their numbers are called and do.

The standard deviation of row i is sigma[stratum i] times exp(delta v_i) or |v_i|**delta for each variance
covariate v, over the root of its weight (Pinheiro and Bates 2000, section 5.2: varIdent, varExp, varPower and
their product). Within a group residuals at times s < t have the correlation phi**(t - s) (section 5.3:
corAR1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dagmodels.results.mixed.components import Component
    from dagmodels.results.mixed.fit import MixedFit

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slope:
    """A variance covariate.

    form : "exp" or "power". text : the covariate as the formula names it. node : of delta.
    """

    form: str
    text: str
    node: str

    @property
    def label(self) -> str:
        """Of delta among the estimates."""
        return f"delta_{self.form}({self.text})"


@dataclass(frozen=True, slots=True)
class Structure:
    """What is said of the residuals, beside a common scale.

    by, strata : the factor whose levels have scales of their own; "" and none where there is one scale.
    slopes : variance covariates.
    phi : node of the autocorrelation, "" where residuals are independent.
    group, time : of the autocorrelation, as written; time is "1" for the order of the rows.
    """

    by: str = ""
    strata: tuple[str, ...] = ()
    slopes: tuple[Slope, ...] = ()
    phi: str = ""
    group: str = ""
    time: str = "1"

    @property
    def varies(self) -> bool:
        """Whether scales differ by more than weights."""
        return bool(self.strata or self.slopes)


@dataclass(frozen=True, slots=True, eq=False)
class ResidualRows:
    """What the structure needs to know of each row.

    strata : its stratum; None where there is one scale.
    covariates : of the slopes.
    group, time : of the autocorrelation; None where there is none.
    """

    strata: Codes | None = None
    covariates: tuple[Floats, ...] = ()
    group: Codes | None = None
    time: Floats | None = None


def scales(fit: MixedFit, rows: ResidualRows | None = None) -> Floats | float:
    """Standard deviation of each row's residual at weight one; one number where all are the same.

    rows : None for those fitted.
    """
    structure, rows = fit.naming.structure, fit.rows.residual if rows is None else rows
    if structure is None or rows is None:
        return fit.sigma
    delta = [r.estimate for r in fit.components if r.kind == "delta"]
    sigma = np.array([r.estimate for r in fit.components if r.kind == "sigma"])
    found = sigma[0] if rows.strata is None else sigma[rows.strata]
    for slope, d, v in zip(structure.slopes, delta, rows.covariates, strict=True):
        found = found * (np.exp(d * v) if slope.form == "exp" else np.abs(v) ** d)
    return found if np.ndim(found) else float(found)


def before(rows: ResidualRows, seen: NDArray[np.bool_]) -> tuple[Codes, Floats]:
    """For each row the row before it in its group among those seen (-1: none), and the time between."""
    assert rows.group is not None
    assert rows.time is not None
    at = np.flatnonzero(seen)
    order = at[np.lexsort((rows.time[at], rows.group[at]))]
    previous, gap = np.full(seen.size, -1), np.ones(seen.size)
    follows = rows.group[order[1:]] == rows.group[order[:-1]]
    later, earlier = order[1:][follows], order[:-1][follows]
    previous[later] = earlier
    gap[later] = rows.time[later] - rows.time[earlier]
    return previous, gap


def normalized(fit: MixedFit, standardised: Floats) -> Floats:
    """Residuals that have been divided by their scales, freed of their autocorrelation: nlme's "normalized".

    (r_t - phi**d r_s)/sqrt(1 - phi**(2d)) with s the last time seen before t, and d = t - s.
    """
    structure, rows = fit.naming.structure, fit.rows.residual
    if structure is None or rows is None or not structure.phi:
        return standardised
    phi = next(r.estimate for r in fit.components if r.kind == "phi")
    previous, gap = before(rows, ~np.isnan(standardised))
    share = phi**gap
    free = (standardised - share * standardised[previous]) / np.sqrt(1 - share**2)
    return np.where(previous < 0, standardised, free)


def node_values(structure: Structure, sigma: str) -> list[tuple[str, str, str, str | None, str | None]]:
    """Estimates of the residuals in order: name, kind, the graph's name, group and term."""
    found: list[tuple[str, str, str, str | None, str | None]] = []
    if structure.strata:
        found += [(f"{sigma}[{s}]", "sigma", f"{sigma}[{s}]", "Residual", s) for s in structure.strata]
    else:
        found.append((sigma, "sigma", sigma, "Residual", None))
    found += [(s.label, "delta", s.node, "Residual", s.text) for s in structure.slopes]
    if structure.phi:
        found.append(("phi", "phi", structure.phi, structure.group, structure.time))
    return found


def printed(structure: Structure, rows: Sequence[Component]) -> str:
    """The blocks of nlme's summary: correlation structure, variance function.

    rows : the estimates; scales of strata are printed over the first one.
    """
    parts = []
    delta = [r.estimate for r in rows if r.kind == "delta"]
    if structure.phi:
        told = _columns({"Phi": next(r.estimate for r in rows if r.kind == "phi")})
        formula = f"~{structure.time} | {structure.group}"
        parts.append(f"Correlation Structure: AR(1)\n Formula: {formula}\n Parameter estimate(s):\n{told}")
    blocks = []
    if structure.strata:
        sigma = [r.estimate for r in rows if r.kind == "sigma"]
        ratio = {s: v / sigma[0] for s, v in zip(structure.strata, sigma, strict=True)}
        blocks.append(_function("Different standard deviations per stratum", f"~1 | {structure.by}", ratio))
    names = {"exp": "Exponential of variance covariate", "power": "Power of variance covariate"}
    blocks += [
        _function(names[s.form], f"~{s.text}", {"delta": d})
        for s, d in zip(structure.slopes, delta, strict=True)
    ]
    if len(blocks) > 1:
        head = "Combination of variance functions:"
        parts.append("\n".join([head, *blocks]))
    elif blocks:
        parts.append(f"Variance function:\n{blocks[0]}")
    return "\n\n".join(parts)


def _function(kind: str, formula: str, values: Mapping[str, float]) -> str:
    return f" Structure: {kind}\n Formula: {formula}\n Parameter estimates:\n{_columns(values)}"


def _columns(values: Mapping[str, float]) -> str:
    """Names over numbers of seven digits, as many in a line as fit."""
    cells = [(name, f"{v:.7g}") for name, v in values.items()]
    width = max(len(text) for cell in cells for text in cell)
    fit_in = max(1, 78 // (width + 1))
    lines = []
    for k in range(0, len(cells), fit_in):
        for line in zip(*cells[k : k + fit_in], strict=True):
            lines.append(" " + " ".join(text.rjust(width) for text in line))
    return "\n".join(lines)
