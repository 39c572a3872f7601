"""The graph of a mixed model: what a formula and the columns it makes say, as statements.

A graph depends on names alone, never on the number of rows or levels, so models that differ in their
data only share one graph, and what has been found out about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.build import build
from dagmodels.graph.dag import Dag
from dagmodels.graph.plate import Plate
from dagmodels.readers.formula.family import LINKS, Parts, find

POSITIVE = st.Domain("interval", 0.0, float("inf"))
LONG = 30  # a longer sum is written balanced, so that no tree is deep
Effect = tuple[str, str | None]  # what varies, and the covariate it multiplies


@dataclass(frozen=True, slots=True)
class RandomNode:
    """A random term in the graph.

    plate : of the grouping factor.
    effects : what varies by name, with its covariate.
    node, spread : names of the deviations and their scale (a covariance matrix for "us").
    rho, matrix, lag : of a structured matrix: its correlation, itself, distances between effects.
    over : plate of the effects and its alias, "" for a scalar.
    structure, equal, part : as for `RandomTerm`.
    """

    plate: str
    effects: tuple[Effect, ...]
    node: str
    spread: str
    rho: str = ""
    matrix: str = ""
    lag: str = ""
    over: tuple[str, str] = ("", "")
    structure: str = "scalar"
    equal: bool = False
    part: str = "cond"


@dataclass(frozen=True, slots=True)
class Side:
    """A predictor beside that of the mean: coefficients with their covariates, their plate and node."""

    fixed: tuple[Effect, ...]
    over: str
    beta: str


@dataclass(frozen=True, slots=True)
class Grades:
    """Levels of an ordinal response and its cut points: plates and node."""

    levels: tuple[object, ...]
    plate: str
    steps: tuple[str, ...]
    over: str
    cut: str


@dataclass(frozen=True, slots=True)
class Residual:
    """A structure of the residuals in the graph.

    stratum : plate of the levels that have scales of their own, "" for one scale.
    slopes : form ("exp", "power"), parameter and covariate of what multiplies the scale.
    phi : parameter of the autocorrelation, "" for none.
    mean, spread : nodes that an autocorrelation needs, "" without one.
    gap : covariate of the time between rows, "" where it is one.
    members : plates that rows do not lie in, with the covariate that says which element is a row's: rows
        of an autocorrelation lie in its group alone, because their order is that within all they lie in.
    """

    stratum: str = ""
    slopes: tuple[tuple[str, str, str], ...] = ()
    phi: str = ""
    mean: str = ""
    spread: str = ""
    gap: str = ""
    members: tuple[tuple[str, str], ...] = ()


PLAIN = Residual()


@dataclass(frozen=True, slots=True)
class Layout:
    """All that a mixed model's graph depends on; every name is free to be used.

    plates : grouping factors with the plates that they lie in, outer ones first.
    row, rows_in : the plate of the rows, and the grouping factors that place a row.
    response : the observed node.
    fixed : coefficients by name with their covariates (None: the intercept); `over` is their plate.
    flat : the coefficients have a flat prior and are integrated (REML), else they are maximised.
    weights, trials, offsets : covariates.
    family, link, dispersion, shape : of the response, with the names of its parameter of spread and of a
        second one.
    zero, spread : predictors of structural zeros (logit) and of the parameter of spread (log), if any.
    grades : of an ordinal response.
    residual : structure of its residuals.
    """

    name: str
    plates: tuple[tuple[str, tuple[str, ...]], ...]
    row: str
    rows_in: tuple[str, ...]
    response: str
    fixed: tuple[Effect, ...]
    over: str
    beta: str
    random: tuple[RandomNode, ...]
    flat: bool
    dispersion: str
    offsets: tuple[str, ...] = ()
    weights: str | None = None
    trials: str | None = None
    family: str = "gaussian"
    link: str = "identity"
    residual: Residual = PLAIN
    shape: str = ""
    zero: Side | None = None
    spread: Side | None = None
    grades: Grades | None = None


@lru_cache(maxsize=128)
def graph(layout: Layout) -> Dag:
    """The checked graph; layouts met before give the same object."""
    statements: list[st.Statement] = [st.Covariate(c, (layout.row,)) for c in _covariates(layout)]
    statements.extend(st.Covariate(c, (layout.row,), plate) for plate, c in layout.residual.members)
    if layout.fixed:
        if layout.flat:
            head = st.Head(layout.beta, (st.Slot(layout.over),))
            statements.append(st.Stochastic(head, st.Distribution("Flat")))
        else:
            statements.append(st.Parameter(layout.beta, (layout.over,)))
    for side in (layout.zero, layout.spread):
        if side is not None and side.fixed:
            statements.append(st.Parameter(side.beta, (side.over,)))
    if layout.grades is not None:
        statements.append(st.Parameter(layout.grades.cut, (layout.grades.over,), st.Domain("ordered")))
    done: set[str] = set()
    for random in layout.random:
        statements.extend(s for s in _spread(random) if getattr(s, "name", "") not in done)
        done.update((random.spread, random.rho) if random.rho else (random.spread,))
    if layout.dispersion and layout.spread is None:
        strata = (layout.residual.stratum,) if layout.residual.stratum else ()
        statements.append(st.Parameter(layout.dispersion, strata, POSITIVE))
    if layout.shape:
        statements.append(st.Parameter(layout.shape, (), POSITIVE))
    statements.extend(st.Parameter(delta) for _, delta, _ in layout.residual.slopes)
    if layout.residual.phi:
        statements.append(st.Parameter(layout.residual.phi, (), st.Domain("interval", -1.0, 1.0)))
    statements.extend(map(_deviations, layout.random))
    statements.extend(_chain(layout) if layout.residual.phi else [_response(layout)])
    return build(layout.name, _plates(layout), statements)


def _plates(layout: Layout) -> list[Plate]:
    found = [Plate(name, parents) for name, parents in layout.plates]
    found.append(Plate(layout.row, layout.rows_in, ordered=bool(layout.residual.phi)))
    if layout.fixed:
        found.append(Plate(layout.over, levels=tuple(name for name, _ in layout.fixed)))
    for side in (layout.zero, layout.spread):
        if side is not None and side.fixed:
            found.append(Plate(side.over, levels=tuple(name for name, _ in side.fixed)))
    if layout.grades is not None:
        found.append(Plate(layout.grades.plate, levels=layout.grades.levels))
        found.append(Plate(layout.grades.over, levels=layout.grades.steps))
    for random in layout.random:
        if random.structure != "scalar":
            over, alias = random.over
            found.append(Plate(over, levels=tuple(name for name, _ in random.effects)))
            found.append(Plate(alias, alias_of=over))
    return found


def _covariates(layout: Layout) -> list[str]:
    sides = [e for side in (layout.zero, layout.spread) if side is not None for e in side.fixed]
    effects = [*layout.fixed, *sides, *(e for r in layout.random for e in r.effects)]
    residual = layout.residual
    extra = (
        *(layout.weights, layout.trials, *layout.offsets),
        *(c for _, _, c in residual.slopes),
        residual.gap or None,
    )
    return list(dict.fromkeys(c for c in (*(c for _, c in effects), *extra) if c is not None))


def _spread(random: RandomNode) -> list[st.Statement]:
    """Parameters of the covariance matrix, and its expression where it has a structure."""
    over, alias = random.over
    match random.structure:
        case "scalar":
            return [st.Parameter(random.spread, (), POSITIVE)]
        case "us":
            return [st.Parameter(random.spread, random.over, st.Domain("covariance"))]
    k = len(random.effects)
    lowest = -1 / (k - 1) if random.structure == "cs" else -1.0  # where the matrix stays positive
    found: list[st.Statement] = [
        st.Parameter(random.spread, () if random.equal else (over,), POSITIVE),
        st.Parameter(random.rho, (), st.Domain("interval", lowest, 1.0)),
    ]
    scale = ex.Reference(random.spread)
    product = scale**2 if random.equal else scale[ex.PlateIndex(over)] * scale[ex.PlateIndex(alias)]
    rho: ex.Expression = ex.Reference(random.rho)
    if random.structure == "cs":
        same = ex.equal(ex.Reference(over), ex.Reference(alias))
        correlation: ex.Expression = ex.Call("if_else", (same, ex.Number(1), rho))
    else:
        lags = tuple(tuple(abs(i - j) for j in range(k)) for i in range(k))
        found.append(st.Constant(random.lag, random.over, lags))
        correlation = ex.Binary("**", rho, ex.Reference(random.lag))
    head = st.Head(random.matrix, (st.Slot(over), st.Slot(alias)))
    found.append(st.Deterministic(head, product * correlation))
    return found


def _deviations(random: RandomNode) -> st.Stochastic:
    if random.structure == "scalar":
        law = st.Distribution("Normal", (("mu", ex.Number(0)), ("sigma", ex.Reference(random.spread))))
        return st.Stochastic(st.Head(random.node, (st.Slot(random.plate),)), law)
    law = st.Distribution(
        "MvNormal", (("mu", ex.Number(0)), ("cov", ex.Reference(random.matrix or random.spread)))
    )
    return st.Stochastic(st.Head(random.node, (st.Slot(random.plate), st.Slot(random.over[0]))), law)


def _at(layout: Layout, plate: str) -> ex.Index:
    """Which element of a plate a row belongs to."""
    member = dict(layout.residual.members).get(plate)
    return ex.PlateIndex(plate) if member is None else ex.NodeIndex(ex.Reference(member))


def _chain(layout: Layout) -> list[st.Statement]:
    """The response given the one before it in its group: Normal, correlated with it by phi**gap.

    Standardised residuals r have r_t = c r_s + sqrt(1 - c**2) e with c = phi**(t - s); a first one has
    their own, stationary law.
    """
    row, residual = layout.row, layout.residual
    mean, spread = ex.Reference(residual.mean), ex.Reference(residual.spread)
    y, lag = ex.Reference(layout.response), ex.LagIndex(row, 1)
    phi: ex.Expression = ex.Reference(residual.phi)
    gap = ex.Reference(residual.gap) if residual.gap else None
    share = phi if gap is None else phi**gap
    square = phi**2 if gap is None else phi ** (2 * gap)
    one = ex.Reference(spread.name, (lag,))
    ratio = share if _constant(layout) else share * spread / one
    middle = mean + ratio * (ex.Reference(y.name, (lag,)) - ex.Reference(mean.name, (lag,)))
    scale = _spread_of_rows(layout) if _constant(layout) else spread
    found: list[st.Statement] = [
        st.Deterministic(st.Head(residual.mean, (st.Slot(row),)), _mean_predictor(layout))
    ]
    if not _constant(layout):
        found.append(st.Deterministic(st.Head(residual.spread, (st.Slot(row),)), _spread_of_rows(layout)))
    for slot, mu, sigma in (
        (st.Slot(row, first=1), mean, scale),
        (st.Slot(row), middle, scale * ex.Call("sqrt", (1 - square,))),
    ):
        law = st.Distribution("Normal", (("mu", mu), ("sigma", sigma)))
        found.append(st.Stochastic(st.Head(layout.response, (slot,)), law, observed=True))
    return found


def _constant(layout: Layout) -> bool:
    """Whether all rows have one residual scale."""
    residual = layout.residual
    return not (residual.stratum or residual.slopes or layout.weights)


def _spread_of_rows(layout: Layout) -> ex.Expression:
    """The parameter of spread of a row, before its weight where the family is not Normal."""
    residual = layout.residual
    family = find(layout.family, layout.link)[0]
    spread: ex.Expression = ex.Reference(layout.dispersion or "none")
    if layout.spread is not None:
        eta = _predictor(layout, layout.spread, "disp")
        spread = ex.Call("exp", (-eta if family.shown else eta,))
    if residual.stratum:
        spread = ex.Reference(layout.dispersion, (_at(layout, residual.stratum),))
    for form, delta, covariate in residual.slopes:
        slope, v = ex.Reference(delta), ex.Reference(covariate)
        factor = ex.Call("exp", (slope * v,)) if form == "exp" else ex.Call("abs", (v,)) ** slope
        spread = spread * factor
    if layout.weights is None:
        return spread
    weights = ex.Reference(layout.weights)
    return spread * weights if family.dispersion == "shape" else spread / ex.Call("sqrt", (weights,))


def _response(layout: Layout) -> st.Stochastic:
    family, link = find(layout.family, layout.link)
    eta = _mean_predictor(layout)
    positive = None if layout.zero is None else ex.Call("expit", (-_predictor(layout, layout.zero, "zi"),))
    parts = Parts(
        mean=eta if family.ordered else LINKS[link](eta),
        spread=_spread_of_rows(layout),
        shape=ex.Reference(layout.shape or "none"),
        trials=None if layout.trials is None else ex.Reference(layout.trials),
        positive=positive,
        cut=None if layout.grades is None else ex.Reference(layout.grades.cut),
        link=link,
    )
    head = st.Head(layout.response, (st.Slot(layout.row),))
    values_in = None if layout.grades is None else layout.grades.plate
    return st.Stochastic(head, family.law(parts), observed=True, values_in=values_in)


def _mean_predictor(layout: Layout) -> ex.Expression:
    """The linear predictor of the mean."""
    return _predictor(layout, Side(layout.fixed, layout.over, layout.beta), "cond", layout.offsets)


def _predictor(layout: Layout, side: Side, part: str, offsets: tuple[str, ...] = ()) -> ex.Expression:
    """Coefficients, deviations and offsets, each with its covariate, summed."""
    parts: list[ex.Expression] = []
    for name, covariate in side.fixed:
        parts.append(_times(ex.Reference(side.beta, (ex.LevelIndex(name),)), covariate))
    for random in layout.random:
        if random.part != part:
            continue
        at = _at(layout, random.plate)
        for name, covariate in random.effects:
            scalar = random.structure == "scalar"
            indices: tuple[ex.Index, ...] = (at,) if scalar else (at, ex.LevelIndex(name))
            parts.append(_times(ex.Reference(random.node, indices), covariate))
    parts.extend(ex.Reference(name) for name in offsets)
    return _sum(parts)


def _times(coefficient: ex.Expression, covariate: str | None) -> ex.Expression:
    return coefficient if covariate is None else coefficient * ex.Reference(covariate)


def _sum(parts: Sequence[ex.Expression]) -> ex.Expression:
    if len(parts) > LONG:
        half = len(parts) // 2
        return _sum(parts[:half]) + _sum(parts[half:])
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
