"""The dense tail of the elimination by plain loops: short tails, and complex numbers; see `elimination`.

`dense_blocks` does the same by blocks, with the same arguments.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.linked import Deferred, linked

SCALED, FREE, PROFILED = 0, 1, 2
RANK = 1e-13  # a free pivot below this share of what was added to and taken from it is rounding
LONG = 48  # longer tails are eliminated by blocks
SPARE = 512  # numbers of workspace that blocks need
WIDE, WIDE_LEAST = 4, 16  # a row with a quarter of the tail as neighbours, and as many as this, may be wide
FAST = {"fastmath": {"reassoc", "contract"}}  # sums in any order; infinities and nan are kept

ELIMINATE = "{0}(i8, i8, i8, u1[::1], u1[::1]" + 4 * ", {0}[::1]" + ", f8[::1], {0}[::1])"
_WIDE = "i8, i8, i8, i8[::1], i4[::1], i8[::1], u1[::1], u1[::1]" + 4 * ", {0}[::1]" + ", f8[::1]"
ELIMINATE_WIDE = "{0}(" + _WIDE + ", {0}[::1])"
ADJOINT_WIDE = "void(" + _WIDE + 4 * ", {0}[::1]" + ")"
ADJOINT = "void(i8, i8, i8, u1[::1], u1[::1]" + 4 * ", {0}[::1]" + ", f8[::1]" + 4 * ", {0}[::1]" + ")"


@kernel(ELIMINATE.format("f8"))
def eliminate_tail(ts, nt, base, kind, haspar, s, T, H, p, gross, spare):
    """Eliminate the tail's rows but the last; returns their part of the log determinant, nan as `eliminate`.

    gross : see `eliminate`, all rows. spare : what blocks need.
    """
    logdet = 0.0
    for i in range(nt - 1):
        row = base + i * nt
        kappa = H[row + i]
        if kind[ts + i] == SCALED:
            si = s[ts + i]
            pivot = 1.0 + si * kappa
            p[ts + i] = pivot
            logdet += np.log(pivot)
            r = 1.0 / pivot
            if haspar[ts + i]:
                for a in range(i + 1, nt):
                    ha, ta = H[row + a], T[row + a]
                    ct = (kappa * ta + ha) * r
                    ch = (ta - si * ha) * r
                    if kind[ts + a] != SCALED:
                        gross[ts + a] += abs(ct * ta) + abs(ch * ha)
                    to = base + a * nt
                    for b in range(a, nt):
                        H[to + b] += ct * T[row + b] + ch * H[row + b]
                continue
            r = -si * r
            if r == 0.0:
                continue
        else:
            p[ts + i] = kappa
            if not kappa.real > RANK * gross[ts + i]:
                return np.nan
            if kind[ts + i] == FREE:
                logdet += np.log(kappa)
            r = -1.0 / kappa
        for a in range(i + 1, nt):
            ch = H[row + a] * r
            if ch != 0.0:
                if kind[ts + a] != SCALED:
                    gross[ts + a] += abs(ch * H[row + a])
                to = base + a * nt
                for b in range(a, nt):
                    H[to + b] += ch * H[row + b]
    return logdet


@kernel(ADJOINT.format("f8"))
def adjoint_tail(ts, nt, base, kind, haspar, s, T, H, p, seed, Hb, Tb, sb, spare):
    """Reverse of `eliminate_tail`; what comes after must stand in the last entry of Hb.

    spare : workspace of at least 2 nt.
    """
    work_t, work_h = spare[:nt], spare[nt : 2 * nt]
    for i in range(nt - 2, -1, -1):
        row = base + i * nt
        g = ts + i
        for a in range(i + 1, nt):
            work_t[a] = 0.0
            work_h[a] = 0.0
        if kind[g] == SCALED and haspar[g]:
            for a in range(i + 1, nt):
                to = base + a * nt
                ta, ha = T[row + a], H[row + a]
                at = 2.0 * Hb[to + a] * ta
                ah = 2.0 * Hb[to + a] * ha
                for b in range(a + 1, nt):
                    v = Hb[to + b]
                    at += v * T[row + b]
                    ah += v * H[row + b]
                    work_t[b] += v * ta
                    work_h[b] += v * ha
                work_t[a] += at
                work_h[a] += ah
        else:
            for a in range(i + 1, nt):
                to = base + a * nt
                ha = H[row + a]
                ah = 2.0 * Hb[to + a] * ha
                for b in range(a + 1, nt):
                    v = Hb[to + b]
                    ah += v * H[row + b]
                    work_h[b] += v * ha
                work_h[a] += ah
        kappa = H[row + i]
        hh = 0.0
        for a in range(i + 1, nt):
            hh += H[row + a] * work_h[a]
        if kind[g] == SCALED:
            tt = 0.0
            th = 0.0
            r = 1.0 / p[g]
            if haspar[g]:
                for a in range(i + 1, nt):
                    tt += T[row + a] * work_t[a]
                    th += T[row + a] * work_h[a]
                for a in range(i + 1, nt):
                    Tb[row + a] = (kappa * work_t[a] + work_h[a]) * r
                    Hb[row + a] += (work_t[a] - s[g] * work_h[a]) * r
            else:
                for a in range(i + 1, nt):
                    Hb[row + a] -= s[g] * work_h[a] * r
            f = (0.5 * kappa * tt + th - 0.5 * s[g] * hh) * r
            Hb[row + i] += 0.5 * tt * r + (seed[g] - f) * s[g] * r
            sb[g] = -0.5 * hh * r + (seed[g] - f) * kappa * r
        else:
            r = 1.0 / kappa
            for a in range(i + 1, nt):
                Hb[row + a] -= work_h[a] * r
            Hb[row + i] += 0.5 * hh * r * r + seed[g] * r


short, short_back = linked(eliminate_tail), linked(adjoint_tail)
long = Deferred("eliminate long tail", ELIMINATE.format("f8"))
long_back = Deferred("adjoint of long tail", ADJOINT.format("f8"))
wide = Deferred("eliminate wide rows", ELIMINATE_WIDE.format("f8"))
wide_back = Deferred("adjoint of wide rows", ADJOINT_WIDE.format("f8"))
