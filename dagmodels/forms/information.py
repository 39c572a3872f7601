"""The average information: curvature of the criterion in variances for the price of a few solutions.

With V the covariance of the data given the outer unknowns, V_k its derivative in one of them and P y the
residuals over V, the criterion log|V| + y'Py (restricted or not) has the Hessian

    -tr(P V_k P V_l) + 2 y'P V_k P V_l P y    (and terms in second derivatives of V),

whose two parts cancel to the second's half on average: A_kl = y'P V_k P V_l P y (Gilmour, Thompson and Cullis
1995, Biometrics 51, 1440-1450).  V_k P y is a working response, so A takes one solution with the factor
at hand for each unknown instead of a gradient.  In the terms of the elimination: v = -A'(H u), with
A = (I - T)^-1, are the latents' residuals over their variances, and the element part of -V_k P y is

    z_k = A (T_k d + S_k v + S A' T_k' v),    d = A S v.

Where a root x of a variance is to shrink, its slope g adds g/x to the diagonal, as in the Hessian.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.field import Evaluator, Field
from dagmodels.numerics.elimination import SCALED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STEP = 1e-30
COSTLY = 5e6  # nanoseconds of one elimination from which on differences are dearer than this


def is_costly(field: Field) -> bool:
    """Whether one evaluation takes so long that evaluations are to be saved."""
    return field.pattern.work > COSTLY


def has_average_information(field: Field) -> bool:
    """Whether there are only scalar Normal observations, unknowns without priors, and no curved leaves."""
    nodes = field.problem.graph.nodes
    if field.curved or field.collapsed or field.prior_places.size:
        return False
    if any(nodes[n].role == "observed" for g in field.group_names for n in g.split("#")[0].split("+")):
        return False
    laws = (
        getattr(s, "distribution", None) for n in nodes.values() if n.role == "observed" for s in n.statements
    )
    return all(law is not None and law.family == "Normal" for law in laws)


def average_information(evaluator: Evaluator, x: Floats, gradient: Floats) -> Floats | None:
    """A at x, the point evaluated last, in the coordinates; None where unknowns move means too."""
    field, w = evaluator.field, evaluator.w
    s_from, _, t_from, t_value, h_place, h_weight, h_left, h_right, h_value = field.fill
    child, parent = field.parents
    slopes = workspace_slopes(field, x)
    moved = slopes.any(axis=0)
    if moved[h_left].any() or moved[h_right].any() or moved[t_from[~field.is_shock[parent]]].any():
        return None
    q = field.pattern.n - 1
    u = np.append(evaluator.elimination.mean(), 1.0)
    products = Symmetric(*field.pattern.rows_of(h_place), q + 1)
    walk = Walk(child, parent, t_value * w[t_from], q + 1)
    known = h_value * w[h_left] * w[h_right]
    precision = known * w[h_weight]
    s = np.append(w[s_from[:q]], 0.0)
    v = -products.times(precision, u)
    v[q] = 0.0
    walk.up(v)
    v[np.flatnonzero(field.pattern.kind != SCALED)] = 0.0  # the constant too
    d = s * v
    walk.down(d)
    k = x.size
    z, noise, loads = np.zeros((k, q + 1)), np.zeros((k, q + 1)), np.zeros((k, q + 1))
    for a, slope in enumerate(slopes):
        z[a, :q] = slope[s_from[:q]] * v[:q]
        if slope[t_from].any():
            change = t_value * slope[t_from]
            up = np.bincount(parent, change * v[child], q + 1)
            walk.up(up)
            z[a] += np.bincount(child, change * d[parent], q + 1) + s * up
        walk.down(z[a])
        noise[a] = products.times(known * slope[h_weight], u)
        loads[a] = -noise[a] - products.times(precision, z[a])
    answers = evaluator.elimination.responses(loads[:, :q])
    log_slopes = slopes[:, h_weight] / w[h_weight]
    rows = products.both * precision * u[products.low] * u[products.high]
    found = (log_slopes * rows) @ log_slopes.T + noise @ z.T + z @ noise.T
    found += z @ (-loads - noise).T + loads[:, :q] @ answers.T
    return 0.5 * (found + found.T) + np.diag(near_zero(field, x, gradient))


def near_zero(field: Field, x: Floats, gradient: Floats) -> Floats:
    """What the slope in a variance adds to the curvature in its root, where the root is to shrink."""
    root = np.concatenate([c.symmetric for c in field.coordinates]) & (x != 0)
    return np.where(root, np.maximum(gradient / np.where(root, x, 1.0), 0.0), 0.0)


def workspace_slopes(field: Field, x: Floats) -> Floats:
    """Derivatives of the whole workspace, one row a coordinate, by complex steps."""
    found = np.zeros((x.size, field.tape.initial.size))
    for at in range(x.size):
        moved = x.astype(np.complex128)
        moved[at] += 1j * STEP
        inputs, position = {}, 0
        for c in field.coordinates:
            inputs[c.node] = moved[position : position + c.length]
            position += c.length
        found[at] = np.imag(field.tape.values(inputs)) / STEP
    return found


class Symmetric:
    """Products with a symmetric matrix whose upper entries stand at (low, high); both: each entry's times."""

    def __init__(self, low: Ints, high: Ints, n: int) -> None:
        self.low, self.high, self.n = low, high, n
        self.both = np.where(low == high, 1.0, 2.0)

    def times(self, value: Floats, u: Floats) -> Floats:
        down = np.bincount(self.low, value * u[self.high], self.n)
        return down + np.bincount(self.high, (self.both - 1.0) * value * u[self.low], self.n)


class Walk:
    """Solutions with I - T (down, from parents to children) and its transpose (up), in place."""

    def __init__(self, child: Ints, parent: Ints, value: Floats, n: int) -> None:
        kept = parent < n - 1  # the constant is nobody's latent
        child, parent, value = child[kept], parent[kept], value[kept]
        order = np.argsort(child, kind="stable")
        self._rising = child[order], parent[order], value[order]
        self._falling = tuple(x[::-1].copy() for x in self._rising)

    def up(self, x: Floats) -> None:
        from dagmodels.numerics.field_kernels import propagate

        child, parent, value = self._rising
        propagate(parent, child, value, x[:, None])

    def down(self, x: Floats) -> None:
        from dagmodels.numerics.field_kernels import propagate

        child, parent, value = self._falling
        propagate(child, parent, value, x[:, None])
