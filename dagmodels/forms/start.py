"""Starting values and typical sizes of the outer coordinates, from the provisional least squares fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.coordinates import uses
from dagmodels.forms.field import Field, Leaf
from dagmodels.forms.outer import Coordinate
from dagmodels.forms.rough import Common, column_sizes, common_predictors, shapes, squares
from dagmodels.forms.saturated import CORRELATION, SCALE, Saturated
from dagmodels.forms.shift import deviation
from dagmodels.numerics.triangle import lower_triangle

Floats = NDArray[np.float64]


EXACT = 1e-8  # residuals below this share of the response's spread are no residuals
LEVEL = 0.4  # share of the level of predictors (of those without density at zero) that latents may explain
FACTORS = ((1.0, 1.0), (0.1, 1.2), (0.01, 1.2), (5.0, 1.0), (1.0, 0.1))


def starting_points(field: Field) -> Iterator[tuple[Floats, Floats]]:
    """Starts, each with the scale of every coordinate, in the order in which they should be tried.

    The user's values come first, then the package's own, then those with latents' scales and residual scales
    times other factors, for the case that all before end nowhere; at last those with slopes on latents away
    from zero, where a latent's mean that nothing but slopes tells (a covariate without a reading of slope
    one) has no column.
    """
    stated = any(c.start is not None for c in field.coordinates)
    if stated:
        yield starting_point(field)
    if not field.coordinates:
        yield np.zeros(0), np.zeros(0)
        return
    for latent, residual in FACTORS:
        start, scale = starting_point(field, stated=False)
        position = 0
        for c in field.coordinates:
            part = slice(position, position + c.length)
            position += c.length
            if c.kind == "log":
                start[part] += np.log(residual) * (-2.0 if c.use == "precision" else 1.0)
            elif c.kind in ("cholesky", "entry") or (c.kind == "identity" and c.use in ("scale", "variance")):
                start[part] *= latent ** (2.0 if c.use == "variance" else 1.0)
        yield start, scale
    start, scale = starting_point(field, stated=False)
    parts = [~c.symmetric if c.kind == "identity" else np.zeros(c.length, bool) for c in field.coordinates]
    slope = np.concatenate([np.zeros(0, bool), *parts])
    if (moved := slope & (start == 0.0)).any():
        yield np.where(moved, scale, start), scale


def starting_point(field: Field, *, stated: bool = True) -> tuple[Floats, Floats]:
    """Start and scale of every coordinate; `stated` says whether the user's starting values count.

    A latent's standard deviation starts at half the size of the residuals that it could explain,
    r / sqrt(mean x^2) with x its data column; the residual's own at four fifths.
    """
    use = uses(field.problem.graph)
    typical = _typical_sizes(field)
    common, values = None, {}
    if field.curved:
        common, values = _from_data(field, stated=stated)
        if any(common.levels):
            typical = {**typical, **_sizes_in_units(field, common)}
    r = typical.get("", 1.0)
    start, scale = [], []
    coordinates = tuple(c if stated or c.start is None else replace(c, start=None) for c in field.coordinates)
    for c in coordinates:
        if c.group is not None:
            if c.node == c.group.names[0]:
                members = [m for m in coordinates if m.group == c.group]
                parts = _group_start(c.group, members, _component_sizes(field, c.group.components, typical))
                start.extend(parts[0])
                scale.extend(parts[1])
            continue
        kind, nodes = use.get(c.node, ("other", ()))
        observed = [n for n in nodes if field.problem.graph.nodes[n].role == "observed"]
        size = r * 0.8 if observed else 0.5 * min((typical[n] for n in nodes if n in typical), default=r)
        if observed:
            size = 0.8 * max(
                (_spread(field, leaf) for leaf in field.leaves if leaf.node in observed), default=r
            )
        own = values.get(c.node)
        if own is not None:
            start.append(np.full(c.length, own))
            scale.append(np.full(c.length, own))
            continue
        s, d = _coordinate_start(c, kind, size if size > 0 else 1.0, typical, nodes)
        start.append(s)
        scale.append(d)
    if not start:
        return np.zeros(0), np.zeros(0)
    x, sizes = np.concatenate(start), np.concatenate(scale)
    if common is not None:
        columns = column_sizes(field, x, common)
        sizes = np.where(np.isfinite(columns), 1.0 / np.where(columns > 0, columns, 1.0), sizes)
    return x, sizes


def _from_data(field: Field, *, stated: bool) -> tuple[Common, dict[str, float]]:
    """Units of curved leaves' predictors, and starts of the shapes of their laws."""
    plain = [np.zeros(0)]
    for c in field.coordinates:  # where nothing is known yet: positive ones at one, others amid their bounds
        if stated and c.start is not None and c.kind in ("log", "identity"):
            value = float(c.start)
        elif c.kind == "identity" and c.length:
            value = _inside(float(c.lower[0]), float(c.upper[0]))
        else:
            value = 1.0 if c.kind in ("log", "cholesky", "entry") else 0.0
        plain.append(np.full(c.length, np.log(value) if c.kind == "log" else value))
    x = np.concatenate(plain)
    common = common_predictors(field, x)
    return common, shapes(field, x, common)


def _sizes_in_units(field: Field, common: Common) -> dict[str, float]:
    """As `_typical_sizes`, where predictors have units: what a latent may be is a part of the level."""
    diagonal = squares(field, common.x, common)
    n = max(field.n_observations, 1)
    found = {}
    for name, rows in field.rows.items():
        rows = rows[rows >= 0]
        shape = field.problem.shape(name)
        k = shape[-1] if shape else 1
        found[name] = _size(diagonal[rows].sum() / n, LEVEL)
        if rows.size % k == 0 and len(shape) > 1:
            parts = diagonal[rows].reshape(-1, k).sum(axis=0) / n
            found.update({f"{name}#{j}": _size(parts[j], LEVEL) for j in range(k)})
    return found


def _coordinate_start(
    c: Coordinate, use: str, size: float, typical: dict[str, float], nodes: tuple[str, ...]
) -> tuple[Floats, Floats]:
    ones = np.ones(c.length)
    if c.kind == "cholesky":
        return _cholesky_start(c, typical, nodes, size)
    if c.kind == "ordered":  # steps of one from about zero
        d = c.length // c.batch
        return np.tile(np.where(np.arange(d) == 0, -0.5 * (d - 1), 0.0), c.batch), ones
    if c.kind == "simplex":
        return 0.0 * ones, ones
    if c.kind == "partial":
        return 0.0 * ones, 0.3 * ones
    value = {"scale": size, "residual": size, "precision": size**-2, "variance": size**2}.get(use)
    own = value
    if c.start is not None:
        value = float(c.start)
    if value is None and c.kind == "log":
        value = 1.0
    if value is None:
        value = _inside(float(c.lower[0]), float(c.upper[0]))
    if c.kind == "log":
        return np.log(value) * ones, ones
    spread = abs(value if own is None else own) or 1.0
    width = float(c.upper[0] - c.lower[0])
    return value * ones, (min(spread, width / 4) if np.isfinite(width) else spread) * ones


def _cholesky_start(
    c: Coordinate, typical: dict[str, float], nodes: tuple[str, ...], size: float
) -> tuple[Floats, Floats]:
    """Diagonal at half of what each component could explain, no correlation."""
    d = c.order
    parts = [typical.get(f"{n}#{j}", typical.get(n)) for n in nodes for j in range(d)]
    sizes = [0.5 * p for p in parts if p is not None][:d]
    if len(nodes) == d and all(n in typical for n in nodes):
        sizes = [0.5 * typical[n] for n in nodes]
    if len(sizes) < d:
        sizes = [size] * d
    i, j = lower_triangle(d)
    batch = c.length // i.size
    row = np.array(sizes)[i]
    return np.tile(np.where(i == j, row, 0.0), batch), np.tile(row, batch)


def _component_sizes(field: Field, components: tuple[str, ...], typical: dict[str, float]) -> Floats:
    """A standard deviation to start from, for each component of a vector node."""
    sizes = []
    for key in components:
        node = key.split("#")[0]
        leaves = [leaf.scale for leaf in field.leaves if leaf.node == node]
        size = 0.8 * max(leaves) if leaves else 0.5 * typical.get(key, typical.get(node, typical[""]))
        sizes.append(size if size > 0 else 1.0)
    return np.array(sizes)


def _group_start(
    group: Saturated, members: list[Coordinate], sizes: Floats
) -> tuple[list[Floats], list[Floats]]:
    """Entries of the factor of a saturated set: from the user's starting values, where there are some."""
    stated = {c.node: c.start for c in members if c.start is not None}
    sd = sizes.copy()
    for name, what, (i, j) in zip(group.names, group.what, group.places, strict=True):
        if i == j and name in stated:
            value = abs(float(stated[name]))
            sd[i] = max(value if what == SCALE else np.sqrt(value), 1e-3 * sizes[i])
    correlation = np.eye(group.order)
    for name, what, (i, j) in zip(group.names, group.what, group.places, strict=True):
        if i > j and name in stated:
            value = float(stated[name]) / (1.0 if what == CORRELATION else sd[i] * sd[j])
            correlation[i, j] = correlation[j, i] = value
    least = float(np.linalg.eigvalsh(correlation)[0])
    if least < 0.01:  # no covariance matrix: as near to it as one of full rank comes
        shrink = 0.99 / (1.0 - least)
        correlation = shrink * correlation + (1 - shrink) * np.eye(group.order)
    factor = np.linalg.cholesky(correlation) * sd[:, None]
    start = [np.full(c.length, factor[i, j]) for c, (i, j) in zip(members, group.places, strict=True)]
    scale = [np.full(c.length, sd[i]) for c, (i, _) in zip(members, group.places, strict=True)]
    return start, scale


def _spread(field: Field, leaf: Leaf) -> float:
    """The size of a leaf's residuals; where there are none, of a tenth of the response's own spread."""
    y = field.problem.values[leaf.node][field.problem.observed[leaf.node]]
    whole = deviation(y)
    return leaf.scale if leaf.scale > EXACT * whole else 0.1 * whole or 1.0


def _inside(lower: float, upper: float) -> float:
    if np.isfinite(lower) and np.isfinite(upper):
        return 0.5 * (lower + upper)
    if np.isfinite(lower):
        return lower + 1.0
    return upper - 1.0 if np.isfinite(upper) else 0.0


def _typical_sizes(field: Field) -> dict[str, float]:
    """For each block node the size of an effect that would explain the residuals; "" for residuals.

    Components of a vector node on a plate are also listed as `node#position`.
    """
    n = max(field.n_observations, 1)
    r = float(np.sqrt(sum(leaf.n * leaf.scale**2 for leaf in field.leaves) / n)) or 1.0
    found = {"": r}
    _, _, _, _, h_place, *_, h_value = field.fill
    own, rows = field.pattern.diagonal(h_place)
    diagonal = np.bincount(rows, h_value[own], minlength=field.pattern.n)
    for name, rows in field.rows.items():
        rows = rows[rows >= 0]
        shape = field.problem.shape(name)
        found[name] = _size(diagonal[rows].sum() / n, r)
        k = shape[-1] if shape else 1
        if rows.size % k == 0 and len(shape) > 1:
            parts = diagonal[rows].reshape(-1, k).sum(axis=0) / n
            for j in range(k):
                found[f"{name}#{j}"] = _size(parts[j], r)
    return found


def _size(mean_square: float, r: float) -> float:
    return r / float(np.sqrt(mean_square)) if mean_square > 0 else r


__all__ = ["starting_point", "starting_points"]
