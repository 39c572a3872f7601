"""Wide rows before the dense tail of the elimination, by blocks; see `elimination` for the mathematics.

They have neighbours in the tail alone, and many (`elimination_kernels.targets` lists no pairs for them), so
that PANEL of them are written side by side and applied to the tail by products (`dense_products`).
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics import tail_kernels
from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.dense_products import PANEL, apply, pulled, row_adjoint
from dagmodels.numerics.tail_kernels import ADJOINT_WIDE, ELIMINATE_WIDE, FAST, FREE, RANK, SCALED, WIDE_LEAST


@kernel(ELIMINATE_WIDE.format("f8"), **FAST)
def eliminate_wide(ts, nt, base, ptr, nbr, pstart, kind, haspar, s, T, H, p, gross, spare):
    """Eliminate the wide rows, PANEL at a time, after all other rows before the tail.

    Returns their part of the log determinant, nan as `eliminate`.
    """
    logdet = 0.0
    ph, pt = np.zeros(PANEL * nt, H.dtype), np.zeros(PANEL * nt, H.dtype)
    ch, ct = np.zeros(PANEL * nt, H.dtype), np.zeros(PANEL * nt, H.dtype)
    count = 0
    parents = False
    for i in range(ts + 1):
        if count == PANEL or (i == ts and count > 0):
            apply(H, base, nt, 0, nt, ph, pt, 0, count, ch, ct, parents, spare)
            ph[:], ch[:] = 0.0, 0.0
            if parents:
                pt[:], ct[:] = 0.0, 0.0
            count, parents = 0, False
        if i == ts or pstart[i + 1] > pstart[i] or ptr[i + 1] - ptr[i] < WIDE_LEAST:
            continue
        kappa = H[i]
        above = kind[i] == SCALED and haspar[i] != 0
        t_part, cross = 0.0, 0.0
        if kind[i] == SCALED:
            p[i] = 1.0 + s[i] * kappa
            logdet += np.log(p[i])
            r = 1.0 / p[i]
            h_part, t_part, cross = -s[i] * r, r, kappa * r
        else:
            p[i] = kappa
            if not kappa.real > RANK * gross[i]:
                return np.nan
            if kind[i] == FREE:
                logdet += np.log(kappa)
            h_part = -1.0 / kappa
        parents |= above
        for x in range(ptr[i], ptr[i + 1]):
            j = nbr[x]
            at = count * nt + j - ts
            h = H[ts + x]
            ph[at] = h
            ch[at] = h_part * h
            if above:
                t = T[ts + x]
                pt[at] = t
                ct[at] = cross * t + t_part * h
                ch[at] += t_part * t
                if kind[j] != SCALED:
                    gross[j] += abs(ct[at] * t)
            if kind[j] != SCALED:
                gross[j] += abs(ch[at] * h)
        count += 1
    return logdet


@kernel(ADJOINT_WIDE.format("f8"), **FAST)
def adjoint_wide(ts, nt, base, ptr, nbr, pstart, kind, haspar, s, T, H, p, seed, Hb, Tb, sb, spare):
    """Reverse of `eliminate_wide`, after that of the tail."""
    size = PANEL * nt
    ph, pt = np.zeros(size, H.dtype), np.zeros(size, H.dtype)
    wh, wt = np.zeros(size, H.dtype), np.zeros(size, H.dtype)
    rows = np.empty(PANEL, np.int64)
    work_h, work_t = np.empty(nt, H.dtype), np.empty(nt, H.dtype)
    count = 0
    parents = False
    for i in range(ts + 1):
        if count == PANEL or (i == ts and count > 0):
            pulled(wh, ph, 0, count, Hb, base, nt, 0, nt, 0, nt, spare)
            if parents:
                pulled(wt, pt, 0, count, Hb, base, nt, 0, nt, 0, nt, spare)
            for k in range(count):
                g = rows[k]
                lo, hi = ptr[g], ptr[g + 1]
                own_h, own_t = work_h[: hi - lo], work_t[: hi - lo]
                for x in range(lo, hi):
                    own_h[x - lo] = wh[k * nt + nbr[x] - ts]
                    own_t[x - lo] = wt[k * nt + nbr[x] - ts]
                Hi, Ti = H[ts + lo : ts + hi], T[ts + lo : ts + hi]
                Hbi, Tbi = Hb[ts + lo : ts + hi], Tb[ts + lo : ts + hi]
                above = kind[g] == SCALED and haspar[g] != 0
                Hb[g] += row_adjoint(
                    kind[g], above, s, g, p[g], seed[g], H[g], Hi, Ti, own_h, own_t, Hbi, Tbi, sb
                )
            ph[:], wh[:] = 0.0, 0.0
            if parents:
                pt[:], wt[:] = 0.0, 0.0
            count, parents = 0, False
        if i == ts or pstart[i + 1] > pstart[i] or ptr[i + 1] - ptr[i] < WIDE_LEAST:
            continue
        above = kind[i] == SCALED and haspar[i] != 0
        parents |= above
        for x in range(ptr[i], ptr[i + 1]):
            ph[count * nt + nbr[x] - ts] = H[ts + x]
            if above:
                pt[count * nt + nbr[x] - ts] = T[ts + x]
        rows[count] = i
        count += 1


tail_kernels.wide.provide(eliminate_wide)
tail_kernels.wide_back.provide(adjoint_wide)
