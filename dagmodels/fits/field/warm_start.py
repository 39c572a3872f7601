"""A few EM steps before Newton's: robust where the start is poor, and read off the exact gradient.

With c the criterion (minus twice the log likelihood), m effects of variance s have E-step mean square
s - s^2 (dc/ds)/m; a covariance Sigma = L L' has Sigma - Sigma G Sigma/m with G = dc/dSigma; n
residuals have sigma^2 (1 - (dc/d log sigma)/(2n)) (Dempster, Laird and Rubin 1977, J. R. Stat. Soc. B 39,
written in derivatives as by Fisher's identity).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.coordinates import uses
from dagmodels.forms.field import Field
from dagmodels.forms.outer import Coordinate
from dagmodels.forms.saturated import Saturated
from dagmodels.numerics.optimise import Objective
from dagmodels.numerics.triangle import lower_triangle

Floats = NDArray[np.float64]
STEPS = 3
LEAST = 0.05  # a variance shrinks to no less than this share in one step


def warm_start(field: Field, f: Objective, x: Floats) -> Floats:
    """x after some EM steps in those coordinates that have them; the best point met is returned."""
    updates = closed_steps(field)
    value, gradient = f(x)
    if not updates or not np.isfinite(value):
        return x
    for _ in range(STEPS):
        new = stepped(updates, x, gradient)
        new_value, new_gradient = f(new)
        if not (np.isfinite(new_value) and new_value < value):
            break
        x, value, gradient = new, new_value, new_gradient
    return x


def em_step(field: Field) -> Callable[[Floats, Floats], Floats]:
    """One EM step from a point and its gradient; coordinates without one stay."""
    return partial(stepped, closed_steps(field))


def stepped(
    updates: list[tuple[slice, Callable[[Floats, Floats], Floats]]], x: Floats, gradient: Floats
) -> Floats:
    """x after the steps of those coordinates that have one."""
    new = x.copy()
    for part, update in updates:
        new[part] = update(x[part], gradient[part])
    return new


def closed_steps(field: Field) -> list[tuple[slice, Callable[[Floats, Floats], Floats]]]:
    """Coordinates of scales and covariances that have one, with the step from their values and slopes."""
    use = uses(field.problem.graph)
    found: list[tuple[slice, Callable[[Floats, Floats], Floats]]] = []
    position = 0
    for c in field.coordinates:
        part = slice(position, position + c.length)
        position += c.length
        if c.group is not None:
            if c.node == c.group.names[0] and c.length == 1 and (m := _elements(field, c.group)):
                whole = slice(part.start, part.start + len(c.group.names))
                found.append((whole, partial(_covariance_step, d=c.group.order, m=m)))
            continue
        kind, nodes = use.get(c.node, ("other", ()))
        update = _update(field, c, kind, nodes)
        if update is not None:
            found.append((part, update))
    return found


def _update(
    field: Field, c: Coordinate, kind: str, nodes: tuple[str, ...]
) -> Callable[[Floats, Floats], Floats] | None:
    """The EM step of one coordinate, where its node is one scale, residual scale or covariance."""
    latent = [n for n in nodes if n in field.rows and field.problem.graph.nodes[n].role != "observed"]
    observed = [leaf for leaf in field.leaves if leaf.node in nodes]
    if kind == "residual" and c.kind == "log" and c.length == 1 and observed and not latent:
        n = sum(leaf.n for leaf in observed)
        return lambda x, g: x + 0.5 * np.log(np.maximum(1 - g / (2 * n), LEAST))
    if kind == "scale" and c.kind == "identity" and c.length == 1 and latent and not observed:
        m = sum(int((field.rows[n] >= 0).sum()) for n in latent)
        return lambda x, g: x * np.sqrt(np.maximum(1 - x * g / (2 * m), LEAST))
    if kind == "covariance" and c.kind == "cholesky" and c.batch == 1 and latent and not observed:
        m = sum(int((field.rows[n] >= 0).sum()) for n in set(latent)) // c.order
        return lambda x, g: _covariance_step(x, g, c.order, m)
    return None


def _elements(field: Field, group: Saturated) -> int:
    """How many elements of a latent vector node have the covariance of a set; zero for an observed one."""
    nodes = {key.split("#")[0] for key in group.components}
    if any(n not in field.rows or field.problem.graph.nodes[n].role == "observed" for n in nodes):
        return 0
    return sum(int((field.rows[n] >= 0).sum()) for n in nodes) // group.order


def _covariance_step(x: Floats, g: Floats, d: int, m: int) -> Floats:
    i, j = lower_triangle(d)
    L, half = np.zeros((d, d)), np.zeros((d, d))
    L[i, j], half[i, j] = x, 0.5 * g
    if (L.diagonal() == 0).any():
        return x
    factor, slope = L.tolist(), half.tolist()
    G = [[0.0] * d for _ in range(d)]  # dc/dSigma from the lower triangle of 2 G L, last column first
    for col in range(d - 1, -1, -1):
        for row in (*range(col + 1, d), col):
            rest = sum(G[row][k] * factor[k][col] for k in range(col + 1, d))
            G[row][col] = G[col][row] = (slope[row][col] - rest) / factor[col][col]
    inner = -(L.T @ np.array(G) @ L) / m
    inner[np.arange(d), np.arange(d)] += 1.0
    if (root := _lower_root(inner.tolist())) is not None:
        new = L @ root
        return (new * np.sign(new.diagonal()))[i, j]
    values, vectors = np.linalg.eigh(inner)
    root = L @ (vectors * np.sqrt(np.maximum(values, LEAST)))
    return np.linalg.cholesky(root @ root.T)[i, j]


def _lower_root(matrix: list[list[float]]) -> Floats | None:
    """The Cholesky factor of a small matrix whose eigenvalues are all above `LEAST`; else None."""
    least, factor = _cholesky(matrix, LEAST), _cholesky(matrix, 0.0)
    return None if least is None or factor is None else np.array(factor)


def _cholesky(matrix: list[list[float]], shift: float) -> list[list[float]] | None:
    """Of a matrix less a multiple of the unit matrix, in plain numbers; None where it has none."""
    d = len(matrix)
    factor = [[0.0] * d for _ in range(d)]
    for i in range(d):
        for j in range(i):
            rest = matrix[i][j] - sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = rest / factor[j][j]
        pivot = matrix[i][i] - shift - sum(v * v for v in factor[i][:i])
        if not 0.0 < pivot < math.inf:
            return None
        factor[i][i] = math.sqrt(pivot)
    return factor
