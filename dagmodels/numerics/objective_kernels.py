"""One call for the whole criterion and its gradient: tape, filling, elimination and the way back."""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.elimination_kernels import adjoint, eliminate
from dagmodels.numerics.field_kernels import fill, fill_adjoint
from dagmodels.numerics.linked import linked
from dagmodels.numerics.tail_kernels import PROFILED
from dagmodels.numerics.tape_kernels import forward, reverse

forward, reverse = linked(forward), linked(reverse)
fill, fill_adjoint = linked(fill), linked(fill_adjoint)
eliminate, adjoint = linked(eliminate), linked(adjoint)

_TAPE = ", ".join(["i8[::1]"] * 10)
_FILL = "i8[::1], i4[::1], i8[::1], f8[::1], i4[::1], i4[::1], i4[::1], i4[::1], f8[::1]"
_PATTERN = "i8, i8, i8[::1], i4[::1], i8, i8[::1], i4[::1], u1[::1], u1[::1]"
_WORK = "f8[::1], f8[::1], f8[::1], f8[::1]"


VALUE, GRADIENT = 1, 2  # what to compute: bits of `want`


@kernel(
    f"void(i8, f8[::1], i8[::1], f8[::1], {_TAPE}, {_FILL}, {_PATTERN}, {_WORK}, i8[::1], f8[::1], i8[::1],"
    " f8[::1], f8, f8[::1], f8[::1], f8[::1], f8[::1])"
)
def objective(
    want, x, x_places, w,
    code, out, a, b, c, aux, start, length, ptr, idx,
    s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value,
    n, ts, rows, nbr, base, pstart, pwhere, kind, haspar,
    s, T, H, p,
    linear_places, linear_counts, prior_places, prior_counts, constant, Hb, Tb, bar, result,
):  # fmt: skip
    """result = minus twice the log likelihood, minus twice the log prior, then the gradient of their sum.

    The gradient alone is that at the point where the value was computed last; no gradient is computed
    where the value is not finite.  Hb, Tb, bar : workspace; Tb begins as zeros, and the same entries of it
    are written each time, so that in a long tail most of it is never touched.
    """
    if want & VALUE:
        for i in range(x.size):
            w[x_places[i]] = x[i]
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
        fill(w, s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value, s, T, H)
        deviance = constant + eliminate(n, ts, rows, nbr, base, pstart, pwhere, kind, haspar, s, T, H, p)
        deviance += H[H.size - 1]
        for i in range(linear_places.size):
            deviance += linear_counts[i] * w[linear_places[i]]
        penalty = 0.0
        for i in range(prior_places.size):
            penalty += prior_counts[i] * w[prior_places[i]]
        result[0] = deviance
        result[1] = penalty
        if not np.isfinite(deviance + penalty):
            return
    if not want & GRADIENT:
        return
    Hb[:] = 0.0
    sb = np.zeros(s.size)
    seed = np.ones(n)
    for i in range(n):
        if kind[i] == PROFILED:
            seed[i] = 0.0
    adjoint(n, ts, rows, nbr, base, pstart, pwhere, kind, haspar, s, T, H, p, seed, 1.0, Hb, Tb, sb)
    bar[:] = 0.0
    for i in range(linear_places.size):
        bar[linear_places[i]] += linear_counts[i]
    for i in range(prior_places.size):
        bar[prior_places[i]] += prior_counts[i]
    fill_adjoint(
        w, s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value, sb, Tb, Hb, bar
    )
    reverse(code, out, a, b, c, aux, start, length, ptr, idx, w, bar)
    for i in range(x.size):
        result[2 + i] = bar[x_places[i]]
