"""Starting values and typical sizes of the outer coordinates, from the provisional least squares fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.coordinates import uses
from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.outer import Coordinate

Floats = NDArray[np.float64]


def starting_point(field: Field) -> tuple[Floats, Floats]:
    """Start and scale of every coordinate.

    A latent's standard deviation starts at half the size of the residuals that it could explain,
    r / sqrt(mean x^2) with x its data column; the residual's own at four fifths.
    """
    use = uses(field.problem.graph)
    typical = _typical_sizes(field)
    r = typical.get("", 1.0)
    start, scale = [], []
    for c in field.coordinates:
        kind, nodes = use.get(c.node, ("other", ()))
        observed = [n for n in nodes if field.problem.graph.nodes[n].role == "observed"]
        size = r * 0.8 if observed else 0.5 * min((typical[n] for n in nodes if n in typical), default=r)
        if observed:
            size = 0.8 * max((leaf.scale for leaf in field.leaves if leaf.node in observed), default=r)
        s, d = _coordinate_start(c, kind, size if size > 0 else 1.0, typical, nodes)
        start.append(s)
        scale.append(d)
    if not start:
        return np.zeros(0), np.zeros(0)
    return np.concatenate(start), np.concatenate(scale)


def _coordinate_start(
    c: Coordinate, use: str, size: float, typical: dict[str, float], nodes: tuple[str, ...]
) -> tuple[Floats, Floats]:
    ones = np.ones(c.length)
    if c.kind == "cholesky":
        return _cholesky_start(c, typical, nodes, size)
    if c.kind == "partial":
        return 0.0 * ones, 0.3 * ones
    value = {"scale": size, "residual": size, "precision": size**-2, "variance": size**2}.get(use)
    if c.start is not None:
        value = float(c.start)
    if value is None:
        value = _inside(float(c.lower[0]), float(c.upper[0]))
    if c.kind == "log":
        return np.log(value) * ones, ones
    spread = abs(value) if value else 1.0
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
    i, j = np.tril_indices(d)
    batch = c.length // i.size
    row = np.array(sizes)[i]
    return np.tile(np.where(i == j, row, 0.0), batch), np.tile(row, batch)


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
    information = np.zeros(field.pattern.size)
    _, _, _, _, h_place, *_, h_value = field.fill
    np.add.at(information, h_place, h_value)
    diagonal = information[field.pattern.place(np.arange(field.pattern.n), np.arange(field.pattern.n))]
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


__all__ = ["Evaluator", "starting_point"]
