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
rows, where the pattern is nearly full, are stored densely: a short tail goes by plain loops
(`tail_kernels`), a long one by blocks (`dense_blocks`), and so do rows before it with many neighbours in
it (`wide_blocks`).  (The recursion is Gaussian elimination of
the standardised system I + S'HS, e.g. Bates et al. 2015, J. Stat. Software 67(1), eq. 18, done one
parent at a time.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.fill import FREE, PROFILED, SCALED, Outline, outline

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Pattern:
    """What elimination needs to know before any number: order, fill, places.

    n : elements and the constant. ts : first row of the dense tail.
    kind : SCALED, FREE (counted in the log determinant) or PROFILED (not counted), by row.
    size : length of the flat arrays H and T.
    arguments : what the kernels take, in order. work : nanoseconds of one elimination, roughly.
    """

    n: int
    ts: int
    kind: NDArray[np.uint8]
    size: int
    arguments: tuple[Any, ...]
    keys: Ints
    work: float

    def place(self, i: Ints, j: Ints) -> Ints:
        """Places in H (or T) of entries (i, j), either order; they must belong to the pattern."""
        low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
        nt = self.n - self.ts
        base = self.size - nt * nt
        dense = base + (low - self.ts) * nt + (high - self.ts)
        at = np.searchsorted(self.keys, low * self.n + high)
        sparse = np.where(low == high, low, self.ts + at)
        return np.where(low >= self.ts, dense, sparse)

    def rows_of(self, places: Ints) -> tuple[Ints, Ints]:
        """Rows (low, high) of some places of H."""
        at = places.astype(np.int64)
        nt = self.n - self.ts
        base = self.size - nt * nt
        keys = self.keys[np.clip(at - self.ts, 0, self.keys.size - 1)] if self.keys.size else at
        row, column = np.divmod(at - base, nt)
        low = np.where(at < self.ts, at, np.where(at < base, keys // self.n, row + self.ts))
        return low, np.where(at < self.ts, at, np.where(at < base, keys % self.n, column + self.ts))

    def diagonal(self, places: Ints) -> tuple[NDArray[np.bool_], Ints]:
        """Which places of H are on the diagonal, and the rows of those."""
        nt = self.n - self.ts
        base = self.size - nt * nt
        row, off = np.divmod(places.astype(np.int64) - base, nt + 1)
        sparse = places < self.ts
        own = sparse | ((places >= base) & (off == 0))
        return own, np.where(sparse, places, row + self.ts)[own]

    def entries(self) -> tuple[Ints, Ints]:
        """Rows (low, high) of every place of H; in the dense tail both orders of a pair are listed."""
        nt = self.n - self.ts
        rows = np.arange(nt, dtype=np.int64)
        low = np.concatenate([np.arange(self.ts), self.keys // self.n, self.ts + np.repeat(rows, nt)])
        high = np.concatenate([np.arange(self.ts), self.keys % self.n, self.ts + np.tile(rows, nt)])
        return low, high

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
    return pattern_of(outline(kind, i, j, child, parent))


def pattern_of(found: Outline) -> Pattern:
    """Symbolic elimination of what has been counted."""
    from dagmodels.numerics import symbolic_kernels as kernels

    n, ts = found.n, found.ts
    nt = n - ts
    ptr = np.searchsorted(found.keys, np.arange(n + 1, dtype=np.int64) * n).astype(np.int64)
    keep_ptr = np.concatenate([[0], np.cumsum(found.degree[:ts])]).astype(np.int64)
    nbr = kernels.symbolic(n, ptr, (found.keys % n).astype(np.int32), ts, keep_ptr)
    base = ts + int(keep_ptr[ts])
    pstart, pwhere = kernels.targets(n, ts, keep_ptr, nbr, base, True)
    haspar = np.zeros(n, np.uint8)
    haspar[found.child] = 1
    kinds = np.append(found.kind, np.uint8(PROFILED)).astype(np.uint8)
    rows = np.repeat(np.arange(ts, dtype=np.int64), np.diff(keep_ptr))
    return Pattern(
        n=n,
        ts=ts,
        kind=kinds,
        size=base + nt * nt,
        arguments=(n, ts, keep_ptr, nbr, base, pstart, pwhere, kinds, haspar),
        keys=rows * n + nbr,
        work=found.work,
    )


class Elimination:
    """Workspace and answers for one pattern; refilled for each value of the outer unknowns.

    With `complex_steps` everything is complex: a step of 1e-30 i in what is filled in gives the exact
    derivative of every answer in that direction as its imaginary part over 1e-30.
    """

    def __init__(self, pattern: Pattern, *, complex_steps: bool = False) -> None:
        kind = np.complex128 if complex_steps else np.float64
        self.pattern = pattern
        self._arguments = self._prepared(complex_steps)
        self.s = np.zeros(pattern.n, kind)
        self.T = np.zeros(pattern.size, kind)
        self.H = np.zeros(pattern.size, kind)
        self.p = np.ones(pattern.n, kind)
        self._counted = (pattern.kind != PROFILED).astype(np.float64)

    def eliminate(self) -> tuple[float, float]:
        """Log determinant over counted rows, and the residual quadratic form; H is overwritten."""
        kernels = self._kernels()
        logdet = kernels.eliminate(*self._arguments, self.s, self.T, self.H, self.p)
        return logdet, self.H[-1].item()

    def _prepared(self, complex_steps: bool) -> tuple[Any, ...]:
        """What the kernels take; loads or compiles what only long tails need.

        Complex kernels go by pairs throughout, which the pattern does not list for wide rows.
        """
        from dagmodels.numerics import symbolic_kernels as kernels
        from dagmodels.numerics.tail_kernels import LONG

        n, ts, ptr, nbr, base, start, where, *rest = self.pattern.arguments
        if n - ts <= LONG:
            return self.pattern.arguments
        if not complex_steps:
            from dagmodels.numerics import dense_blocks, wide_blocks  # noqa: F401

            return self.pattern.arguments
        degree = np.diff(ptr)
        if where.size < (degree * (degree + 1) // 2).sum():
            start, where = kernels.targets(n, ts, ptr, nbr, base, False)
        return (n, ts, ptr, nbr, base, start, where, *rest)

    def _kernels(self) -> Any:
        if self.H.dtype == np.complex128:
            from dagmodels.numerics import elimination_complex

            return elimination_complex
        from dagmodels.numerics import elimination_kernels

        return elimination_kernels

    def adjoint(
        self, seed: Floats | None = None, quad: float = 1.0, into: Floats | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Derivatives of sum(seed_i log p_i) + quad * residual in the H, T and s that were filled in.

        Below the diagonal of the dense tail, and where nothing was filled in, they mean nothing.
        into : takes those in H.
        """
        Hb = np.zeros(self.H.size, self.H.dtype) if into is None else into
        if into is not None:
            into[:] = 0.0
        Tb, sb = (np.zeros(a.size, a.dtype) for a in (self.T, self.s))  # untouched pages cost nothing
        seed = self._counted if seed is None else seed
        self._kernels().adjoint(*self._arguments, self.s, self.T, self.H, self.p, seed, quad, Hb, Tb, sb)
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

    def responses(self, loads: Floats) -> Floats:
        """Elements' means when the constant's column of H is each row of `loads` (elements by row), T's zero.

        Of the elimination done last, by its factor: the constants filled in then play no part.
        """
        from dagmodels.numerics.right_sides import respond

        n, ts, ptr, nbr, base, _, _, kind, haspar = self.pattern.arguments
        u = np.zeros((loads.shape[0], n))
        u[:, :-1] = loads
        respond(n, ts, ptr, nbr, base, kind, haspar, self.s, self.T, self.H, self.p, u)
        return u[:, :-1]

    def selected_inverse(self, given_free: bool = False, into: Floats | None = None) -> Floats:
        """Covariances of the elements at the places of H (off-diagonal entries once).

        given_free : condition on the free elements instead of integrating them too.
        Profiled elements are never counted in the criterion, yet have a covariance: it is included
        unless `given_free`. into : takes the answer.
        """
        return self.covariances(given_free, into)[0]

    def covariances(self, given_free: bool = False, into: Floats | None = None) -> tuple[Floats, Floats]:
        """`selected_inverse`, and for each element 1/s less the variance of its shock's share over s^2."""
        seed = np.ones(self.pattern.n)
        if given_free:
            seed = (self.pattern.kind == SCALED).astype(np.float64)
        cov, _, sb = self.adjoint(seed, 0.0, into)
        cov *= 0.5
        n, ts = self.pattern.n, self.pattern.ts
        nt = n - ts
        cov[:ts] *= 2.0
        cov[cov.size - nt * nt :: nt + 1] *= 2.0
        return cov, sb


__all__ = ["FREE", "PROFILED", "SCALED", "Elimination", "Pattern", "pattern", "pattern_of"]
