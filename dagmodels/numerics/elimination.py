"""Gaussian elimination along a directed graph: the heart of every linear-Gaussian answer.

The unknown elements u_1 .. u_q, then the constant u_{q+1} = 1, stand in an order in which children
come before parents.  Element i is *scaled*, u_i = sum_j T_ij u_j + d_i e_i with e_i ~ N(0, 1) and
s_i = d_i^2 >= 0, or *free* (flat).  Data enter as the quadratic form u'Hu/2.  Given the rows
eliminated before it, element i has kappa = H_ii and h = H_i. on its later neighbours; integrating
e_i out leaves, with the pivot p = 1 + s_i kappa,

    H  +=  (kappa t t' + t h' + h t' - s_i h h') / p,        log det  +=  log p,

and for a free element p = kappa, H -= h h'/kappa.  No 1/s_i is ever formed: a scale of zero is
pure substitution, so variances of zero and singular covariances (through L e with unit e) are
ordinary.  What is left in the constant's diagonal is the residual quadratic form; the adjoint
of the same recursion gives exact gradients and, seeded on the log determinant alone, the
covariances of u on the pattern (selected inverse).  Fill follows from the elimination tree; the last
rows, where the pattern is nearly full, are stored densely.  (The recursion is Gaussian elimination of
the standardised system I + S'HS, e.g. Bates et al. 2015, J. Stat. Software 67(1), eq. 18, done one
parent at a time.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCALED, FREE, PROFILED = 0, 1, 2
_DENSE_SHARE = 0.5  # the tail is dense from where at least this share of its pairs is filled


@dataclass(frozen=True, eq=False, slots=True)
class Pattern:
    """What elimination needs to know before any number: order, fill, places.

    n : elements and the constant. ts : first row of the dense tail.
    kind : SCALED, FREE (counted in the log determinant) or PROFILED (not counted), by row.
    size : length of the flat arrays H and T.
    arguments : what the kernels take, in order.
    """

    n: int
    ts: int
    kind: NDArray[np.uint8]
    size: int
    arguments: tuple[object, ...]
    keys: Ints

    def place(self, i: Ints, j: Ints) -> Ints:
        """Places in H (or T) of entries (i, j), either order; they must belong to the pattern."""
        low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
        nt = self.n - self.ts
        base = self.size - nt * nt
        dense = base + (low - self.ts) * nt + (high - self.ts)
        at = np.searchsorted(self.keys, low * self.n + high)
        sparse = np.where(low == high, low, self.ts + at)
        return np.where(low >= self.ts, dense, sparse)

    def place_or_none(self, i: Ints, j: Ints) -> Ints:
        """As `place`, with -1 for entries outside the pattern."""
        low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
        key = low * self.n + high
        at = np.minimum(np.searchsorted(self.keys, key), max(self.keys.size - 1, 0))
        known = self.keys[at] == key if self.keys.size else np.zeros(key.size, dtype=bool)
        return np.where(known | (low == high) | (low >= self.ts), self.place(i, j), -1)


def pattern(kind: NDArray[np.uint8], i: Ints, j: Ints, child: Ints, parent: Ints) -> Pattern:
    """Symbolic elimination.

    kind : one code an element, in elimination order (the constant, last, is not among them).
    i, j : pairs of elements coupled by data (the constant included).
    child, parent : pairs coupled by T.
    """
    from dagmodels.numerics import elimination_kernels as kernels

    n = kind.size + 1
    low = np.concatenate([np.minimum(i, j), child])
    high = np.concatenate([np.maximum(i, j), parent])
    if np.any(child >= parent):
        raise ValueError("elements must be ordered children first")
    keys = np.unique((low * n + high)[low != high])
    ptr = np.searchsorted(keys, np.arange(n + 1, dtype=np.int64) * n).astype(np.int64)
    full_ptr, full = kernels.symbolic(n, ptr, (keys % n).astype(np.int32))
    degree = np.diff(full_ptr)
    ts = _tail(degree, n)
    nt = n - ts
    base = ts + int(full_ptr[ts])
    keep_ptr = full_ptr[: ts + 1].copy()
    nbr = full[: full_ptr[ts]].copy()
    pstart, pwhere = kernels.targets(n, ts, keep_ptr, nbr, base)
    haspar = np.zeros(n, np.uint8)
    haspar[child] = 1
    kinds = np.append(kind, np.uint8(PROFILED)).astype(np.uint8)
    rows = np.repeat(np.arange(ts, dtype=np.int64), np.diff(keep_ptr))
    return Pattern(
        n=n,
        ts=ts,
        kind=kinds,
        size=base + nt * nt,
        arguments=(n, ts, keep_ptr, nbr, base, pstart, pwhere, kinds, haspar),
        keys=rows * n + nbr,
    )


def _tail(degree: Ints, n: int) -> int:
    """First row of the dense tail: the longest suffix whose pairs are filled to a good share."""
    sizes = np.arange(n, 0, -1, dtype=np.float64)
    filled = np.cumsum(degree[::-1])[::-1]
    good = filled >= _DENSE_SHARE * sizes * (sizes - 1) / 2
    good[-1] = True
    return int(np.argmax(good))


class Elimination:
    """Workspace and answers for one pattern; refilled for each value of the outer unknowns.

    With `complex_steps` everything is complex: a step of 1e-30 i in what is filled in gives the exact
    derivative of every answer in that direction as its imaginary part over 1e-30.
    """

    def __init__(self, pattern: Pattern, *, complex_steps: bool = False) -> None:
        kind = np.complex128 if complex_steps else np.float64
        self.pattern = pattern
        self.s = np.zeros(pattern.n, kind)
        self.T = np.zeros(pattern.size, kind)
        self.H = np.zeros(pattern.size, kind)
        self.p = np.ones(pattern.n, kind)
        self._counted = (pattern.kind != PROFILED).astype(np.float64)

    def eliminate(self) -> tuple[float, float]:
        """Log determinant over counted rows, and the residual quadratic form; H is overwritten."""
        kernels = self._kernels()
        logdet = kernels.eliminate(*self.pattern.arguments, self.s, self.T, self.H, self.p)
        return logdet, self.H[-1].item()

    def _kernels(self) -> Any:
        if self.H.dtype == np.complex128:
            from dagmodels.numerics import elimination_complex

            return elimination_complex
        from dagmodels.numerics import elimination_kernels

        return elimination_kernels

    def adjoint(self, seed: Floats | None = None, quad: float = 1.0) -> tuple[Floats, Floats, Floats]:
        """Derivatives of sum(seed_i log p_i) + quad * residual in the H, T and s that were filled in."""
        Hb, Tb, sb = np.zeros_like(self.H), np.zeros_like(self.T), np.zeros_like(self.s)
        seed = self._counted if seed is None else seed
        self._kernels().adjoint(
            *self.pattern.arguments, self.s, self.T, self.H, self.p, seed, quad, Hb, Tb, sb
        )
        return Hb, Tb, sb

    def mean(self) -> Floats:
        """Conditional means of scaled elements, generalised least squares of free ones."""
        return self._substitute(np.zeros(self.pattern.n))

    def sample(self, normals: Floats) -> Floats:
        """A joint draw of the elements given standard normals, one an element."""
        return self._substitute(np.append(normals, 0.0))

    def _substitute(self, z: Floats) -> Floats:
        u = np.zeros_like(self.s)
        u[-1] = 1.0
        n, ts, ptr, nbr, base, _, _, kind, haspar = self.pattern.arguments
        self._kernels().substitute(n, ts, ptr, nbr, base, kind, haspar, self.s, self.T, self.H, self.p, z, u)
        return u[:-1]

    def selected_inverse(self, given_free: bool = False) -> Floats:
        """Covariances of the elements at the places of H (off-diagonal entries once).

        given_free : condition on the free elements instead of integrating them too.
        Profiled elements are never counted in the criterion, yet have a covariance: it is included
        unless `given_free`.
        """
        seed = np.ones(self.pattern.n)
        if given_free:
            seed = (self.pattern.kind == SCALED).astype(np.float64)
        cov, _, _ = self.adjoint(seed, 0.0)
        cov = cov.copy()
        diagonal = self.pattern.place(np.arange(self.pattern.n), np.arange(self.pattern.n))
        half = np.full(cov.size, 0.5)
        half[diagonal] = 1.0
        return cov * half
