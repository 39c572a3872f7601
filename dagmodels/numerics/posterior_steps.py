"""Many points of a posterior in one call: log densities, gradients and exact draws of what was integrated.

A point y is unconstrained; `place` gives the field's coordinates x with the logarithm of the Jacobian (the
formulas of `forms.outer_scale`, here in plain loops).  Then come the tape, the filling, the elimination and,
for a draw, one back substitution with given normals: Python is left once for all points.
"""

from __future__ import annotations

import math

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.elimination_kernels import substitute
from dagmodels.numerics.linked import linked
from dagmodels.numerics.objective_kernels import _FILL, _PATTERN, _TAPE, _WORK, forward, objective

objective, substitute = linked(objective), linked(substitute)

PLAIN, ABOVE, BELOW, BETWEEN, LOG, PARTIAL = range(6)  # how a coordinate is made unconstrained
VALUE, GRADIENT = 1, 2  # bits of `want`, as in `objective_kernels`


@kernel("f8(f8[::1], i8[::1], f8[::1], f8[::1], f8[::1], f8[::1], f8[::1], f8[::1])")
def place(y, kind, lower, upper, power, x, slope, more):
    """Coordinates x of a point y, dx/dy, and the log Jacobian (without its constant) with its gradient."""
    jacobian = 0.0
    for i in range(y.size):
        t = y[i]
        x[i], slope[i], more[i] = t, 1.0, 0.0
        if kind[i] == LOG:
            jacobian += t
            more[i] = 1.0
        elif kind[i] == ABOVE or kind[i] == BELOW:
            size = math.exp(t)
            x[i] = lower[i] + size if kind[i] == ABOVE else upper[i] - size
            slope[i] = size if kind[i] == ABOVE else -size
            jacobian += power[i] * t
            more[i] = power[i]
        elif kind[i] == BETWEEN:
            share = 1.0 / (1.0 + math.exp(-t))
            width = upper[i] - lower[i]
            x[i] = lower[i] + width * share
            slope[i] = width * share * (1.0 - share)
            jacobian += math.log(width) - abs(t) - 2.0 * math.log1p(math.exp(-abs(t)))
            more[i] = 1.0 - 2.0 * share
        elif kind[i] == PARTIAL:
            x[i] = math.asin(math.tanh(t))
            slope[i] = 1.0 / math.cosh(t)
            jacobian -= power[i] * (abs(t) + math.log1p(math.exp(-2.0 * abs(t))) - math.log(2.0))
            more[i] = -power[i] * math.tanh(t)
    return jacobian


place_at = linked(place)


@kernel(
    "void(i8, f8[:, ::1], i8[::1], f8[::1], f8[::1], f8[::1], f8,"
    f" i8[::1], f8[::1], {_TAPE}, {_FILL}, {_PATTERN}, {_WORK}, i8[::1], f8[::1], i8[::1],"
    " f8[::1], f8, f8[::1], f8[::1], f8[::1], f8[::1],"
    " f8[:, ::1], i8[::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])"
)
def visit(
    want, points, scale_kind, lower, upper, power, jacobian_constant,
    x_places, w,
    code, out, a, b, c, aux, start, length, ptr, idx,
    s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value,
    n, ts, rows, nbr, base, pstart, pwhere, kind, haspar,
    s, T, H, p,
    linear_places, linear_counts, prior_places, prior_counts, constant, Hb, Tb, bar, result,
    normals, kept, density, gradient, values, elements,
):  # fmt: skip
    """For each row of `points`: density = log posterior density in y (minus infinity outside), and as asked

    gradient : of it, (m, d), if `want` has GRADIENT (nan where the density is not finite).
    values : the workspace at the places `kept`, (m, kept.size).
    elements : draws, (m, n - 1), with the standard normals of that row; none where `normals` has no rows.

    A point equal to the one before costs no evaluation: its factor is still there. Rows outside hold nan.
    """
    m, d = points.shape
    x, slope, more = np.zeros(d), np.zeros(d), np.zeros(d)
    z, u = np.zeros(n), np.zeros(n)
    seen = False
    log_density = -np.inf
    for r in range(m):
        if seen:
            for i in range(d):
                if points[r, i] != points[r - 1, i]:
                    seen = False
                    break
        if not seen:
            jacobian = jacobian_constant + place_at(
                points[r], scale_kind, lower, upper, power, x, slope, more
            )
            log_density = -np.inf
            if np.isfinite(x).all():
                objective(
                    want, x, x_places, w,
                    code, out, a, b, c, aux, start, length, ptr, idx,
                    s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value,
                    n, ts, rows, nbr, base, pstart, pwhere, kind, haspar,
                    s, T, H, p,
                    linear_places, linear_counts, prior_places, prior_counts, constant, Hb, Tb, bar, result,
                )  # fmt: skip
                total = -0.5 * (result[0] + result[1]) + jacobian
                if np.isfinite(total):
                    log_density = total
            seen = True
        density[r] = log_density
        inside = log_density > -np.inf
        if want & GRADIENT:
            for i in range(d):
                gradient[r, i] = -0.5 * result[2 + i] * slope[i] + more[i] if inside else np.nan
        for k in range(kept.size):
            values[r, k] = w[kept[k]] if inside else np.nan
        if normals.shape[0]:
            for i in range(n - 1):
                z[i] = normals[r, i]
            u[n - 1] = 1.0
            substitute(n, ts, rows, nbr, base, kind, haspar, s, T, H, p, z, u)
            for i in range(n - 1):
                elements[r, i] = u[i] if inside else np.nan


@kernel(f"void(f8[:, ::1], i8[::1], f8[::1], {_TAPE}, i8[::1], f8[:, ::1])")
def run(given, places, w, code, out, a, b, c, aux, start, length, ptr, idx, read, results):
    """A tape for each row of `given`, written to `places` of its workspace; results = w[read], by row."""
    for r in range(given.shape[0]):
        for i in range(places.size):
            w[places[i]] = given[r, i]
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
        for i in range(read.size):
            results[r, i] = w[read[i]]
