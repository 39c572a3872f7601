"""Answers of an elimination for other constants: one pass forward and one back for each, no new factor.

The constant's column of H and T takes part in no pivot.  With loads c in H's place and offsets o in T's,
row i sends  ch_a c_i + ct_a o_i  with  ct = (kappa t + h)/p,  ch = (t - s h)/p  (scaled; free: ch = -h/kappa)
to the load of each later neighbour a; back substitution then gives the elements.  This is what the
elimination would have done with that column, from the rows that it left behind.
"""

from __future__ import annotations

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.tail_kernels import FAST, SCALED

_ONE = "f8[::1]"


@kernel(f"void(i8, i8, i8[::1], i4[::1], i8, u1[::1], u1[::1]{4 * ', f8[::1]'}, f8[:, ::1])", **FAST)
def respond(n, ts, ptr, nbr, base, kind, haspar, s, T, H, p, loads):
    """Replace each row of `loads` (one number an element, then any) by the elements' conditional means.

    H, T, s, p : as `eliminate` left them. Offsets are zero; the old constant's column is left out.
    """
    nt = n - ts
    for i in range(n - 1):
        scaled = kind[i] == SCALED
        if scaled and s[i] == 0 and not haspar[i]:
            continue
        if i < ts:
            lo, hi = ptr[i], ptr[i + 1]
            h, t, later = H[ts + lo : ts + hi], T[ts + lo : ts + hi], nbr[lo:hi]
            for r in range(loads.shape[0]):
                load = loads[r, i]
                if load == 0:
                    continue
                if scaled:
                    hs, tt = -s[i] * load / p[i], load / p[i]
                else:
                    hs, tt = -load / p[i], 0.0
                if scaled and haspar[i]:
                    for x in range(h.size):
                        loads[r, later[x]] += hs * h[x] + tt * t[x]
                else:
                    for x in range(h.size):
                        loads[r, later[x]] += hs * h[x]
            continue
        row = base + (i - ts) * (nt + 1)
        h, t = H[row + 1 : row + n - i], T[row + 1 : row + n - i]
        for r in range(loads.shape[0]):
            load = loads[r, i]
            if load == 0:
                continue
            to = loads[r, i + 1 :]
            hs = -s[i] * load / p[i] if scaled else -load / p[i]
            for b in range(h.size):
                to[b] += hs * h[b]
            if scaled and haspar[i]:
                tt = load / p[i]
                for b in range(t.size):
                    to[b] += tt * t[b]
    for r in range(loads.shape[0]):
        loads[r, n - 1] = 0.0
    for i in range(n - 2, -1, -1):
        scaled = kind[i] == SCALED
        for r in range(loads.shape[0]):
            hu = loads[r, i]
            m = 0.0
            if i < ts:
                for x in range(ptr[i], ptr[i + 1]):
                    v = loads[r, nbr[x]]
                    hu += H[ts + x] * v
                    m += T[ts + x] * v
            else:
                row = base + (i - ts) * (nt + 1)
                h, t, v = H[row + 1 : row + n - i], T[row + 1 : row + n - i], loads[r, i + 1 :]
                for b in range(h.size):
                    hu += h[b] * v[b]
                if haspar[i]:
                    for b in range(t.size):
                        m += t[b] * v[b]
            loads[r, i] = (m - s[i] * hu) / p[i] if scaled else -hu / p[i]
