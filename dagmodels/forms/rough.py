"""Natural units of curved leaves, from one predictor for all rows, and starts of shapes from the data.

Where a link does not see to a positive mean (1/eta, 1/sqrt(eta), eta) a predictor of zero has no density,
and predictors have the unit of the response or of a power of it: the one value that suits all rows best is
that unit.  Elsewhere (logarithms, log odds) the unit is one.  Only the tape runs here: nothing is eliminated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.field import Curved, Field
from dagmodels.forms.outer import Coordinate
from dagmodels.numerics.tape import operands

Floats = NDArray[np.float64]

SIZES = tuple(10.0 ** (0.5 * k) for k in range(-32, 33))  # predictors tried where zero has no density
HALVINGS = 10  # of the step in the logarithm of what is looked for
DECADES = 24  # most that a shape may lie from one
PEAK = 0.1  # by so much the log density must fall a decade to either side: else the data tell no shape
SCORING = 30  # steps of the common predictor where zero has a density


@dataclass(frozen=True, eq=False, slots=True)
class Common:
    """One value of each predictor for all rows of its leaf.

    x : the coordinates at which it was found.
    eta, unit : by row, leaf after leaf and predictor after predictor, as `ModeEvaluator` has them.
    levels : by leaf, whether a predictor of zero has no density, so that its unit comes from the data.
    """

    x: Floats
    eta: Floats
    unit: Floats
    levels: tuple[bool, ...]


def parts_of(field: Field) -> Iterator[tuple[Curved, list[slice]]]:
    """Leaves, and where their predictors stand in the list of all."""
    position = 0
    for c in field.curved:
        yield c, [slice(position + i * c.n, position + (i + 1) * c.n) for i in range(len(c.element))]
        position += len(c.element) * c.n


def common_predictors(field: Field, x: Floats) -> Common:
    """For each leaf without density at zero the best common value of one of its predictors; else zeros.

    Of both signs and many sizes, the others being 0 or 1; refined in its logarithm.
    """
    w = field.tape.initial.copy()
    w[field.x_places] = x
    total = sum(len(c.element) * c.n for c in field.curved)
    eta, unit, levels = np.zeros(total), np.ones(total), []
    field.tape.forward(w)
    for c, parts in parts_of(field):
        levels.append(bool(parts) and not np.isfinite(w[c.density]).all())
        if not levels[-1]:
            continue
        found, at = _best_level(field, w, c)
        if at is not None:
            unit[parts[at]] = abs(found[at])
        for value, part in zip(found, parts, strict=True):
            eta[part] = value
    return Common(x, eta, unit, tuple(levels))


def _best_level(field: Field, w: Floats, c: Curved) -> tuple[list[float], int | None]:
    """Values of a leaf's predictors, and which of them was varied (None: no value has a density)."""
    k = len(c.element)
    best, at, found = -math.inf, None, [0.0] * k

    def density(values: list[float]) -> float:
        for places, value in zip(c.eta, values, strict=True):
            w[places] = value
        field.tape.forward(w)
        return float(w[c.density].sum())

    for others in (0.0, 1.0) if k > 1 else (0.0,):
        for i in range(k):
            for value in (sign * size for size in SIZES for sign in (1.0, -1.0)):
                values = [others] * k
                values[i] = value
                if (now := density(values)) > best:
                    best, at, found = now, i, values
    step = 0.25 * math.log(10.0)
    for _ in range(HALVINGS if at is not None else 0):
        for factor in (math.exp(step), math.exp(-step)):
            values = [v * factor if i == at else v for i, v in enumerate(found)]
            if (now := density(values)) > best:
                best, found = now, values
        step *= 0.5
    density(found)
    return found, at


def shapes(field: Field, x: Floats, common: Common) -> dict[str, float]:
    """Values of positive unknowns of observed leaves' laws (shapes, dispersions) that suit one predictor.

    Unknowns that the data do not tell there (a dispersion that would be zero) are left out.
    """
    own = list(_positive(field))
    leaves = [c for c in field.curved if not c.latent]
    if not own or not leaves:
        return {}
    w = field.tape.initial.copy()
    w[field.x_places] = x
    density = np.concatenate([c.density for c in leaves])
    offset = np.concatenate([c.offset.reshape(-1) for c in leaves])
    for c, parts in parts_of(field):
        for places, part in zip(c.eta, parts, strict=True):
            w[places] = common.eta[part]
    field.tape.forward(w)
    found: dict[str, float] = {}
    for _ in range(2):
        _centre(field, w, common)
        for name, places in own:
            before = w[offset].copy()
            value = _peak(field, w, places, density)
            if value is not None and np.array_equal(w[offset], before):
                found[name] = value
    return found


def _positive(field: Field) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Names and places of unknowns above zero, without prior, that are no scales."""
    position = 0
    for c in field.coordinates:
        places = field.x_places[position : position + c.length]
        position += c.length
        node = field.problem.graph.nodes[c.node]
        positive = bool(c.length) and (c.lower == 0).all() and np.isinf(c.upper).all()
        free = c.group is None and not c.symmetric.any() and c.use == "other" and c.kind == "identity"
        if positive and free and c.start is None and node.kind == "parameter":
            yield c.node, places


def _centre(field: Field, w: Floats, common: Common) -> None:
    """Scoring steps of the first predictor of each leaf that has a density at zero, in place."""
    for c, level in zip(field.curved, common.levels, strict=True):
        if level or c.latent or 0 not in c.slopes or (0, 0) not in c.weights:
            continue
        for _ in range(SCORING):
            slope = float(w[c.slopes[0]].sum())
            weight = float(np.abs(w[c.weights[0, 0]]).sum())
            step = slope / weight if weight > 0 else 0.0
            if not math.isfinite(step):
                break
            step = min(max(step, -2.0), 2.0)
            w[c.eta[0]] += step
            field.tape.forward(w)
            if abs(step) < 1e-2:
                break


def _peak(field: Field, w: Floats, places: NDArray[np.int64], density: NDArray[np.int64]) -> float | None:
    """Where the density is highest, over powers of ten first; left in w. None if it has no peak."""
    begin = w[places].copy()

    def at(power: float) -> float:
        w[places] = 10.0**power
        field.tape.forward(w)
        value = float(w[density].sum())
        return value if math.isfinite(value) else -math.inf

    known = {k: at(float(k)) for k in (-1, 0, 1)}
    best = max(known, key=known.__getitem__)
    while abs(best) < DECADES and (best - 1 not in known or best + 1 not in known):
        new = best + 1 if best + 1 not in known else best - 1
        known[new] = at(float(new))
        best = max(known, key=known.__getitem__)
    around = [known.get(best + side, math.inf) for side in (-1, 1)]
    if not (math.isfinite(known[best]) and known[best] - max(around) > PEAK):
        w[places] = begin
        field.tape.forward(w)
        return None
    power, value, step = float(best), known[best], 0.5
    for _ in range(HALVINGS):
        for new in (power + step, power - step):
            if (now := at(new)) > value:
                power, value = new, now
        step *= 0.5
    at(power)
    return 10.0**power


def column_sizes(field: Field, x: Floats, common: Common) -> Floats:
    """Root mean squares of coefficients' columns in units of their predictors; nan for other coordinates.

    A coordinate in which predictors are not linear has nan as well, and one without any column.
    """
    from dagmodels.numerics.tape_kernels import forward

    found = np.full(x.size, np.nan)
    leaves = [(c, parts) for c, parts in parts_of(field) if not c.latent and parts]
    own = [k for k, yes in enumerate(_coefficients(field)) if yes]
    if not leaves or not own:
        return found
    offset = np.concatenate([c.offset.reshape(-1) for c, _ in leaves])
    unit = np.concatenate([common.unit[p] for _, parts in leaves for p in parts])
    w = field.tape.initial.copy()
    w[field.x_places] = x

    operations = _leading_to(field, {int(c.offset[k, 0]) for c, _ in leaves for k in range(len(c.offset))})

    def moved(at: list[int], by: float) -> Floats:
        w[field.x_places[at]] = x[at] + by
        forward(*operations, w)
        w[field.x_places[at]] = x[at]
        return w[offset]

    centre = moved([], 0.0)
    columns = {k: moved([k], 1.0) - centre for k in own}
    joint = centre - moved(own, -1.0) - sum(columns.values())
    largest = max(float(np.abs(column).max()) for column in columns.values())
    linear = bool(np.abs(joint).max() <= 1e-6 * largest)  # of all together: one by one only where it fails
    for k, column in columns.items():
        if not np.isfinite(column).all() or not column.any():
            continue
        if linear or np.abs(moved([k], -1.0) + column - centre).max() <= 1e-6 * np.abs(column).max():
            used = column / unit
            found[k] = math.sqrt(float(used @ used) / max(np.count_nonzero(used), 1))
    return found


def _leading_to(field: Field, places: set[int]) -> tuple[Any, ...]:
    """The tape's operations that registers with these places hang on: the densities need not run."""
    code, out, a, b, c, aux, start, length, ptr, idx = field.tape.operations
    needed = set(np.searchsorted(start, sorted(places), side="right") - 1)
    kept = []
    columns = [column.tolist() for column in (code, out, a, b, c)]
    for op in range(len(code) - 1, -1, -1):
        kind, result, *used = (column[op] for column in columns)
        if result in needed:
            kept.append(op)
            needed.update(used[: operands(kind)])
    own = np.array(kept[::-1], dtype=np.int64)
    return (*(column[own] for column in (code, out, a, b, c, aux)), start, length, ptr, idx)


def _coefficients(field: Field) -> Iterator[bool]:
    """By coordinate, whether it is a coefficient."""
    for c in field.coordinates:
        yield from [_coefficient(c)] * c.length


def _coefficient(c: Coordinate) -> bool:
    """Whether coordinates are unbounded and of no matrix or scale."""
    return (
        c.kind == "identity"
        and c.group is None
        and not c.symmetric.any()
        and not np.isfinite(c.lower).any()
        and not np.isfinite(c.upper).any()
    )


def squares(field: Field, x: Floats, common: Common) -> Floats:
    """For each elimination row the sum over the rows of curved leaves of squares of its column, in units."""
    w = field.tape.initial.copy()
    w[field.x_places] = x
    field.tape.forward(w)
    q = field.pattern.n - 1
    found = np.zeros(q + 1)
    for c, parts in parts_of(field):
        if c.latent:
            continue
        for element, source, data, part in zip(c.element, c.source, c.data, parts, strict=True):
            share = (data * w[source] / common.unit[part]) ** 2
            inner = element != q
            found += np.bincount(element[inner], share[inner], q + 1)
    return found
