"""A tape run at many points, one after the other, without Python in between."""

from __future__ import annotations

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.tape_kernels import forward


@kernel(
    "void(i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], f8[::1],"
    " f8[:, ::1], i8[::1], f8[:, ::1])"
)
def sweep(code, out, a, b, c, aux, start, length, ptr, idx, w, points, places, found):
    """Row i of `found` gets what stands at `places` once the first entries of w are row i of `points`."""
    d = points.shape[1]
    for i in range(points.shape[0]):
        w[:d] = points[i]
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
        for k in range(places.size):
            found[i, k] = w[places[k]]
