"""The average information of a field with curved leaves, whose expansion stands for Normal observations.

At the mode a leaf's expansion is that of a working response with known weights W (Breslow and Clayton
1993, J. Amer. Statist. Assoc. 88, 9-25): eta plus noise of covariance W^-1, residual W^-1 g'.  With
V = W^-1 + Z D Z' a coefficient with column r has the information 2 r'V^-1 r, a root of a variance that of
`information` with the working column r = Z z.  Both are A_kl = r_k' (W - W Z C Z'W) r_l (times 2 for two
coefficients) with C the elements' covariance at the mode: one solution with the factor at hand for each
unknown.  What the weights' own dependence on the mode adds to the criterion is left out, so this is a
model for steps, and no certificate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.field import Field
from dagmodels.forms.information import Walk, near_zero
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.numerics.elimination import SCALED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STEP = 1e-5  # of differences along the tape


def has_working_information(field: Field) -> bool:
    """Whether all leaves are curved and of observed nodes, and no unknown has a prior."""
    if field.prior_places.size or any(c.latent for c in field.curved):
        return False
    return bool(field.curved) and len(field.leaves) == len(field.curved)


def working_information(evaluator: ModeEvaluator, x: Floats, gradient: Floats) -> Floats | None:
    """A at x, the point evaluated last, in the coordinates; None where an unknown is neither a coefficient
    of known columns nor one of the latents' covariances (a shape of the leaf's law, a loading)."""
    field, w = evaluator.field, evaluator.w
    flat = evaluator.flat
    at, element, source, data = flat.pieces
    first, second, weight, _, _, _, offset = flat.model
    s_from, _, t_from, t_value, *_ = field.fill
    child, parent = field.parents
    q = field.pattern.n - 1
    inner = element != q
    at, element, loading = at[inner], element[inner], data[inner] * w[source[inner]]
    fixed = np.concatenate([weight, evaluator.slope_places, source[inner], t_from[~field.is_shock[parent]]])
    e = evaluator.elimination

    def weighted(r: Floats) -> Floats:
        found = _sums(first, w[weight] * r[second], r.size)
        across = first != second
        return found + _sums(second[across], (w[weight] * r[first])[across], r.size)

    def onto_elements(r: Floats) -> Floats:
        return _sums(element, loading * r[at], q + 1)

    walk = Walk(child, parent, t_value * w[t_from], q + 1)
    slopes = np.zeros(offset.size)
    slopes[evaluator.slope_numbers] = w[evaluator.slope_places]
    v = onto_elements(slopes)
    walk.up(v)
    v[np.flatnonzero(field.pattern.kind != SCALED)] = 0.0
    s = np.append(w[s_from[:q]], 0.0)
    d = s * v
    walk.down(d)
    columns, loads = np.zeros((x.size, offset.size)), np.zeros((x.size, q + 1))
    for k, slope in enumerate(_slopes(evaluator, x, (fixed, offset, s_from[:q], t_from))):
        if slope is None:
            return None
        own, in_s, in_t = slope
        if not (own.any() or in_s.any() or in_t.any()):
            return None  # it stands elsewhere in the criterion
        z = np.zeros(q + 1)
        z[:q] = in_s * v[:q]
        if in_t.any():
            change = t_value * in_t
            up = _sums(parent, change * v[child], q + 1)
            walk.up(up)
            z += _sums(child, change * d[parent], q + 1) + s * up
        walk.down(z)
        columns[k] = math.sqrt(2.0) * own
        if z.any():
            columns[k] += _sums(at, loading * z[element], offset.size)
        loads[k] = onto_elements(weighted(columns[k]))
    answers = e.responses(-loads[:, :q])
    known = np.array([weighted(r) for r in columns]).reshape(columns.shape)
    found = known @ columns.T - loads[:, :q] @ answers.T
    return 0.5 * (found + found.T) + np.diag(near_zero(field, x, gradient))


def _sums(index: Ints, values: Floats, n: int) -> Floats:
    """Sums of values by index (numpy counts in integers where there are none)."""
    return np.bincount(index, values, n).astype(np.float64, copy=False)


def _slopes(evaluator: ModeEvaluator, x: Floats, places: tuple[Ints, ...]) -> Iterator[list[Floats] | None]:
    """For each coordinate the derivatives at places of the workspace; None where the first of these move."""
    field = evaluator.field
    fixed, *others = places
    w = evaluator.w.copy()
    for k in range(x.size):
        step = STEP * max(1.0, abs(x[k]))
        ends = []
        for signed in (step, -step):
            moved = x.copy()
            moved[k] += signed
            w[field.x_places] = moved
            field.tape.forward(w)
            ends.append([w[at] for at in (fixed, *others)])
        (up, *ups), (down, *downs) = ends
        same = np.array_equal(up, down)
        yield [(a - b) / (2 * step) for a, b in zip(ups, downs, strict=True)] if same else None
