"""Standard deviations and correlations of random effects, as `VarCorr` lists them, with standard errors.

A graph holds covariance matrices; lme4 reports standard deviations and correlations. Their sampling
covariance is J C J' (delta method), with C that of the graph's estimates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.limits import wald
from dagmodels.results.mixed.naming import Extra, Naming, RandomTerm
from dagmodels.results.mixed.structure import node_values

Floats = NDArray[np.float64]
Slopes = dict[str, float]
RESIDUAL = "Residual"


@dataclass(frozen=True, slots=True)
class Component:
    """One row of the estimates.

    slopes : derivatives in the graph's estimates, by their names.
    """

    name: str
    kind: str
    estimate: float
    slopes: Slopes
    group: str | None = None
    term: str | None = None
    term2: str | None = None


def components(naming: Naming, values: Mapping[str, float]) -> list[Component]:
    """Fixed effects, cut points, coefficients of zeros and spread; then standard deviations and correlations
    term by term, then sigma or what the family has instead.

    Parameters
    ----------
    values : the graph's estimates by name.
    """
    found: list[Component] = []
    for label in naming.coefficients:
        node = f"{naming.beta}[{label}]"
        found.append(Component(label, "fixed", values[node], {node: 1.0}, term=label))
    late = ("sigma", "dispersion", "shape")
    found.extend(_extra(e, values) for e in naming.extras if e.kind not in late)
    for term in naming.terms:
        found.extend(_of_term(term, values))
    if naming.sigma is not None and naming.structure is not None:
        for name, what, node, group, term in node_values(naming.structure, naming.sigma):
            found.append(Component(name, what, values[node], {node: 1.0}, group, term))
    else:
        found.extend(_extra(e, values) for e in naming.extras if e.kind in late)
    return _distinct(found)


def _extra(extra: Extra, values: Mapping[str, float]) -> Component:
    value, slope = values[extra.node], 1.0
    if extra.reciprocal:
        value, slope = (1 / value, -1 / value**2) if value > 0 else (math.inf, math.nan)
    if extra.kind in ("sigma", "dispersion", "shape"):
        return Component(extra.name, extra.kind, value, {extra.node: slope}, group=RESIDUAL)
    return Component(extra.name, extra.kind, value, {extra.node: slope}, term=extra.name)


def _of_term(term: RandomTerm, values: Mapping[str, float]) -> Iterator[Component]:
    deviations = [_deviation(term, i, values) for i in range(len(term.effects))]
    for effect, (sd, slopes) in zip(term.effects, deviations, strict=True):
        yield Component(f"{_lead(term)}sd_{effect}|{term.factor}", "sd", sd, slopes, term.group, effect)
    if term.structure == "scalar":
        return
    for i, one in enumerate(term.effects):
        for j in range(i + 1, len(term.effects)):
            cor, slopes = _correlation(term, i, j, values)
            name = f"{_lead(term)}cor_{term.effects[j]}.{one}|{term.factor}"
            yield Component(name, "cor", cor, slopes, term.group, one, term.effects[j])


def _lead(term: RandomTerm) -> str:
    """What distinguishes the names of another predictor than the mean's."""
    return "" if term.part == "cond" else f"{term.part}~"


def _deviation(term: RandomTerm, i: int, values: Mapping[str, float]) -> tuple[float, Slopes]:
    name = _spread(term, i, i)
    value = values[name]
    if term.structure != "us":
        return value, {name: 1.0}
    sd = math.sqrt(max(value, 0.0))
    return sd, {name: 0.5 / sd if sd > 0 else math.nan}


def _correlation(term: RandomTerm, i: int, j: int, values: Mapping[str, float]) -> tuple[float, Slopes]:
    if term.structure != "us":
        lag = j - i if term.structure == "ar1" else 1
        rho = values[term.rho]
        return rho**lag, {term.rho: lag * rho ** (lag - 1)}
    own = [_spread(term, k, k) for k in (i, j)]
    both = _spread(term, i, j)
    product = values[own[0]] * values[own[1]]
    if product <= 0:
        return math.nan, {both: math.nan}
    cor = values[both] / math.sqrt(product)
    if abs(cor) >= 1 - 1e-10:  # at the edge of its domain: the curvature there is no sampling variance
        return max(-1.0, min(1.0, cor)), {both: math.nan}
    slopes = {both: 1 / math.sqrt(product), **{v: -0.5 * cor / values[v] for v in own}}
    return cor, slopes


def _spread(term: RandomTerm, i: int, j: int) -> str:
    """The graph's name of a standard deviation, variance or covariance."""
    if term.structure == "us":
        return f"{term.spread}[{term.effects[i]}, {term.effects[j]}]"
    if term.structure == "scalar" or term.equal:
        return term.spread
    return f"{term.spread}[{term.effects[i]}]"


def _distinct(found: list[Component]) -> list[Component]:
    """Names made different where one effect of a factor stands in two terms."""
    seen: set[str] = set()
    out = []
    for c in found:
        name = c.name
        if name in seen and c.group is not None:
            name = f"{name.rpartition('|')[0] or name}|{c.group}"
        while name in seen:
            name += "'"
        seen.add(name)
        out.append(c if name == c.name else Component(name, *(getattr(c, s) for s in c.__slots__[1:])))
    return out


def covariance(rows: Sequence[Component], names: Sequence[str], matrix: Floats) -> Floats:
    """Sampling covariance of the rows; nan where it hangs on an estimate at a boundary."""
    place = {name: i for i, name in enumerate(names)}
    slopes = np.zeros((len(rows), len(names)))
    lost = np.zeros(len(rows), dtype=bool)
    unknown = np.isnan(np.diag(matrix))
    for r, row in enumerate(rows):
        for name, slope in row.slopes.items():
            at = place.get(name)
            if at is None or unknown[at] or math.isnan(slope):
                lost[r] = True
            else:
                slopes[r, at] = slope
    total = slopes @ np.where(np.isnan(matrix), 0.0, matrix) @ slopes.T
    total[lost, :] = np.nan
    total[:, lost] = np.nan
    return total


def table(rows: Sequence[Component], total: Floats, what: Mapping[str, str]) -> dict[str, Any]:
    """Columns of the estimates; limits are estimate ± 1.96 se inside the range of each kind."""
    estimate = np.array([r.estimate for r in rows], dtype=float)
    variance = np.diag(total)
    se = np.sqrt(np.where(variance < 0, np.nan, variance))
    lower, upper = wald(
        estimate, se, positive=[r.kind in ("sd", "sigma", "dispersion", "shape") for r in rows]
    )
    is_cor = np.array([r.kind in ("cor", "phi") for r in rows], dtype=bool)
    return {
        "name": [r.name for r in rows],
        "estimate": estimate.tolist(),
        "se": se.tolist(),
        "lower": np.where(is_cor, np.maximum(lower, -1.0), lower).tolist(),
        "upper": np.where(is_cor, np.minimum(upper, 1.0), upper).tolist(),
        "kind": [r.kind for r in rows],
        "group": [r.group for r in rows],
        "term": [r.term for r in rows],
        "term2": [r.term2 for r in rows],
        "what": [what.get(next(iter(r.slopes)), "maximised") for r in rows],
    }
