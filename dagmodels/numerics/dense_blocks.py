"""The dense tail of the elimination by blocks; see `elimination` for the mathematics.

Rows are eliminated one after the other inside strips of STRIP rows; a strip is then applied to the rest
of its panel, and a panel to the rows after it, by products (`dense_products`).  The adjoint runs backwards
over the same blocks.  It keeps the tail of Hb symmetric: entries below the diagonal mirror those above.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics import tail_kernels
from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.dense_products import PANEL, STRIP, apply, pulled, pulled_few, row_adjoint, twice
from dagmodels.numerics.tail_kernels import ADJOINT, ELIMINATE, FAST, FREE, RANK, SCALED


@kernel(ELIMINATE.format("f8"), **FAST)
def eliminate_tail(ts, nt, base, kind, haspar, s, T, H, p, gross, spare):
    """Eliminate the tail's rows but the last; returns their part of the log determinant, nan as `eliminate`.

    gross : see `eliminate`, all rows.
    """
    logdet = 0.0
    parents = False
    flat = np.empty(nt, np.int64)  # columns whose pivots are tested for rank
    flats = 0
    for i in range(nt - 1):
        parents |= haspar[ts + i] != 0
        if kind[ts + i] != SCALED:
            flat[flats] = i
            flats += 1
    height = min(PANEL, nt)
    ch = np.empty(height * nt, H.dtype)
    ct = np.empty(height * nt if parents else 0, H.dtype)
    own = np.empty(nt, np.int64)  # columns of a row's parents
    for p0 in range(0, nt - 1, PANEL):
        p1 = min(p0 + PANEL, nt)
        for q0 in range(p0, p1, STRIP):
            q1 = min(q0 + STRIP, p1)
            for i in range(q0, min(q1, nt - 1)):
                g = ts + i
                w = nt - i
                Hi = H[base + i * nt + i : base + (i + 1) * nt]
                at = (i - p0) * nt + i
                chi = ch[at : at + w]
                kappa = Hi[0]
                owns = 0
                t_part, cross = 0.0, 0.0
                above = kind[g] == SCALED and haspar[g] != 0
                if kind[g] == SCALED:
                    si = s[g]
                    p[g] = 1.0 + si * kappa
                    logdet += np.log(p[g])
                    r = 1.0 / p[g]
                    h_part, t_part, cross = -si * r, r, kappa * r
                else:
                    p[g] = kappa
                    if not kappa.real > RANK * gross[g]:
                        return np.nan
                    if kind[g] == FREE:
                        logdet += np.log(kappa)
                    h_part = -1.0 / kappa
                if parents:
                    Ti = T[base + i * nt + i : base + (i + 1) * nt]
                    cti = ct[at : at + w]
                    if above:
                        for a in range(w):
                            cti[a] = cross * Ti[a] + t_part * Hi[a]
                            chi[a] = t_part * Ti[a] + h_part * Hi[a]
                        for a in range(1, w):
                            if Ti[a] != 0:
                                own[owns] = a
                                owns += 1
                    else:
                        cti[:] = 0.0
                if not above:
                    for a in range(w):
                        chi[a] = h_part * Hi[a]
                for x in range(flats):
                    a = flat[x] - i
                    if a > 0:
                        gross[g + a] += abs(chi[a] * Hi[a])
                        if above:
                            gross[g + a] += abs(cti[a] * Ti[a])
                for a in range(1, q1 - i):
                    Ha = H[base + (i + a) * (nt + 1) : base + (i + a + 1) * nt]
                    c = chi[a]
                    if c != 0:
                        B = Hi[a:]
                        for b in range(w - a):
                            Ha[b] += c * B[b]
                    for x in range(owns):
                        if own[x] >= a:
                            Ha[own[x] - a] += cti[a] * Ti[own[x]]
            if q1 < p1:
                at, row = (q0 - p0) * nt, base + q0 * nt
                cat = ct[at if parents else 0 :]
                apply(H, base, nt, q1, p1, H, T, row, q1 - q0, ch[at:], cat, parents, spare)
        if p1 < nt:
            apply(H, base, nt, p1, nt, H, T, base + p0 * nt, p1 - p0, ch, ct, parents, spare)
    return logdet


@kernel(ADJOINT.format("f8"), **FAST)
def adjoint_tail(ts, nt, base, kind, haspar, s, T, H, p, seed, Hb, Tb, sb, spare):
    """Reverse of `eliminate_tail`; what comes after must stand in the last entry of Hb."""
    height = min(PANEL, nt)
    wh = np.empty(height * nt, H.dtype)
    wt = np.empty(height * nt, H.dtype)
    for p0 in range((nt - 2) // PANEL * PANEL, -1, -PANEL):
        p1 = min(p0 + PANEL, nt)
        parents = False
        for i in range(p0, min(p1, nt - 1)):
            parents |= haspar[ts + i] != 0
        wh[:] = 0.0
        wt[:] = 0.0
        row = base + p0 * nt
        if p1 < nt:
            pulled(wh, H, row, p1 - p0, Hb, base, nt, p1, nt, p1, nt, spare)
            if parents:
                pulled(wt, T, row, p1 - p0, Hb, base, nt, p1, nt, p1, nt, spare)
        for q0 in range(p0 + (p1 - p0 - 1) // STRIP * STRIP, p0 - 1, -STRIP):
            q1 = min(q0 + STRIP, p1)
            for i in range(min(q1, nt - 1) - 1, q0 - 1, -1):
                g = ts + i
                at, end = base + i * (nt + 1), base + (i + 1) * nt
                Hi, Ti, Hbi, Tbi = H[at + 1 : end], T[at + 1 : end], Hb[at + 1 : end], Tb[at + 1 : end]
                above = kind[g] == SCALED and haspar[g] != 0
                k = (i - p0) * nt
                whi, wti = wh[k + i + 1 : k + nt], wt[k + i + 1 : k + nt]
                for a in range(q1 - i - 1):
                    V = Hb[base + (i + 1 + a) * (nt + 1) : base + (i + 2 + a) * nt]
                    twice(V, Hi[a:], whi[a:])
                    if above:
                        twice(V, Ti[a:], wti[a:])
                Hb[at] += row_adjoint(
                    kind[g], above, s, g, p[g], seed[g], H[at], Hi, Ti, whi, wti, Hbi, Tbi, sb
                )
            for b in range(q0, nt):
                for a in range(q0, min(q1, b)):
                    Hb[base + b * nt + a] = Hb[base + a * nt + b]
            rest = q0 - p0  # the strip's share in the panel's rows before it
            if rest > 0:
                pulled(wh, H, row, rest, Hb, base, nt, q0, q1, q1, nt, spare)
                pulled_few(wh, H, row, rest, Hb, base, nt, q0, q1)
            if rest > 0 and parents:
                pulled(wt, T, row, rest, Hb, base, nt, q0, q1, q1, nt, spare)
                pulled_few(wt, T, row, rest, Hb, base, nt, q0, q1)


tail_kernels.long.provide(eliminate_tail)
tail_kernels.long_back.provide(adjoint_tail)
