"""Kenward and Roger's adjusted covariance of the coefficients, and degrees of freedom.

Kenward and Roger 1997, Biometrics 53, 983-997, for a covariance V = sum gamma_i G_i that is linear in its
parameters (so that their R_ij are zero), with the covariance W of the parameters from the expected REML
information, as pbkrtest computes it (Halekoh and Hojsgaard 2014, J. Statist. Software 59(9)).

Rows that share no level are independent, so everything is a sum over clusters; clusters of one size are
worked on together, each with dense matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.ddf import FTest, rotated
from dagmodels.results.mixed.naming import Floats, RandomTerm
from dagmodels.results.mixed.variances import effects_matrix, fixed_matrix, seen, term_covariances

if TYPE_CHECKING:
    from dagmodels.results.mixed.fit import MixedFit

LIMIT = 2 << 30  # bytes that the matrices of one cluster may take together
CHUNK = 32 << 20  # bytes of small clusters worked on at once


@dataclass(frozen=True, slots=True, eq=False)
class KenwardRoger:
    """See the module.

    covariance : of the coefficients, adjusted: Phi_A.
    turn : from the coefficients of orthonormal columns Q = X turn, in which all else is; digits of columns
        far from zero are lost otherwise.
    unadjusted : Phi, (p, p). P : -Q'V^-1 G_i V^-1 Q, (k, p, p). W : covariance of the parameters, (k, k).
    """

    beta: Floats
    covariance: Floats
    turn: Floats
    unadjusted: Floats
    P: Floats
    W: Floats
    name: str | None = "Kenward-Roger"

    def df(self, contrast: Floats) -> float:
        """For one contrast: 2/A, with A = sum W_ij tr(Theta Phi P_i Phi) tr(Theta Phi P_j Phi)."""
        return self._moments(contrast[None, :], 1)[1]

    def f(self, contrasts: Floats) -> FTest:
        """Scaled F whose first two moments are approximately those of F(q, m)."""
        t2, turned, _ = rotated(contrasts, self.beta, self.covariance)
        q = t2.size
        if not q:
            return FTest(math.nan, 0, math.nan, math.nan)
        scale, m = self._moments(turned, q)
        return FTest(float(scale * t2.mean()), q, m, float(t2.mean()))

    def _moments(self, L: Floats, q: int) -> tuple[float, float]:
        """Scale factor and denominator degrees of freedom; the names are those of the paper's section 3."""
        L, Phi = L @ self.turn, self.unadjusted
        theta = L.T @ np.linalg.solve(L @ Phi @ L.T, L)
        M = np.einsum("ij,kjl->kil", theta @ Phi, self.P @ Phi)
        trace = np.einsum("kii->k", M)
        A1 = float(trace @ self.W @ trace)
        A2 = float(np.einsum("ij,iab,jba->", self.W, M, M))
        if not A2 > 0:
            return 1.0, math.inf
        B = (A1 + 6 * A2) / (2 * q)
        g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
        d = 3 * q + 2 * (1 - g)
        c1, c2, c3 = g / d, (q - g) / d, (q + 2 - g) / d
        v0, v1, v2 = (0.0 if abs(v) < 1e-10 else v for v in (1 + c1 * B, 1 - c2 * B, 1 - c3 * B))
        shrink = 1 - A2 / q
        ratio = 1.0 if shrink == v1 == 0 else shrink / v1
        rho = ratio**2 * v0 / v2 / q if v2 else math.inf
        m = 4 + (q + 2) / (q * rho - 1)
        scale = 1.0 if abs(m - 2) < 1e-2 else m * shrink / (m - 2)
        return scale, m


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """One of the G_i: `term` and `matrix` of Z matrix Z' within levels, or the residual's (None)."""

    term: int
    matrix: Floats | None


def kenward_roger(fit: MixedFit, beta: Floats) -> KenwardRoger:
    """Ready for a fit.

    Raises
    ------
    ModelErrors : a fit by maximum likelihood; a covariance that is not linear in its parameters; clusters
        that are too large for memory.
    """
    directions = _directions(fit)
    rows = np.flatnonzero(seen(fit))
    clusters = _clusters(fit, rows)
    _refuse(fit, max(c.shape[1] for c in clusters), len(directions))
    k = len(directions)
    sums, design = _Sums.zero(k, beta.size), _Design.of(fit)
    for part in _chunks(clusters, k):
        sums.add(design, part, directions)
    Phi, P, Q = np.linalg.inv(sums.information), sums.P, sums.Q
    U = np.einsum("ipq,qr,jrs->ijps", P, Phi, P)
    IE2 = sums.traces - 2 * np.einsum("ijpq,qp->ij", Q, Phi) + np.einsum("ijpq,qp->ij", U, Phi)
    W = 2 * _inverse(0.5 * (IE2 + IE2.T))
    adjusted = design.turn @ (Phi + 2 * Phi @ np.einsum("ij,ijpq->pq", W, Q - U) @ Phi) @ design.turn.T
    return KenwardRoger(beta, 0.5 * (adjusted + adjusted.T), design.turn, Phi, P, W)


def _inverse(matrix: Floats) -> Floats:
    """Inverse in units in which the diagonal is one; a generalised one where it is singular."""
    scale = 1 / np.sqrt(np.diag(matrix))
    return np.linalg.pinv(matrix * np.outer(scale, scale), rcond=1e-10, hermitian=True) * np.outer(
        scale, scale
    )


def _directions(fit: MixedFit) -> list[Direction]:
    found = []
    for i, term in enumerate(fit.naming.terms):
        q = len(term.effects)
        if _is_linear(term):
            if term.structure == "cs":
                found += [Direction(i, np.eye(q)), Direction(i, 1 - np.eye(q))]
                continue
            for a in range(q):
                for b in range(a, q):
                    matrix = np.zeros((q, q))
                    matrix[a, b] = matrix[b, a] = 1.0
                    found.append(Direction(i, matrix))
    return [*found, Direction(-1, None)]


def _is_linear(term: RandomTerm) -> bool:
    return term.structure in ("scalar", "us") or (term.structure == "cs" and term.equal)


def _refuse(fit: MixedFit, largest: int, k: int) -> None:
    errors = []
    if not fit.naming.reml:
        errors.append(
            ModelError("Kenward and Roger's method is for REML fits", hint="fit with REML=True, or take "
                       "ddf='Satterthwaite'")
        )  # fmt: skip
    if fit.naming.structure is not None:
        told = "Kenward and Roger's method is for independent residuals of one scale (over their weights)"
        errors.append(ModelError(told, hint="ddf='Satterthwaite' needs no such thing"))
    errors += [
        ModelError(
            f"the covariance {t.structure}() by '{t.factor}' is not linear in its parameters, as Kenward and "
            "Roger's method needs it",
            hint="ddf='Satterthwaite' needs no such thing",
        )
        for t in fit.naming.terms
        if not _is_linear(t)
    ]
    shared = {t.spread for t in fit.naming.terms}
    if len(shared) < len(fit.naming.terms):
        errors.append(
            ModelError(
                "terms that share one variance (hom = TRUE) are not supported by Kenward and Roger's method "
                "here",
                hint="ddf='Satterthwaite'",
            )
        )
    need = 8 * largest**2 * (k + 5)
    if need > LIMIT:
        errors.append(
            ModelError(
                f"{largest} rows hang together by their levels: Kenward and Roger's matrices would take "
                f"{need / 2**30:.1f} GiB, and the limit is {LIMIT / 2**30:.0f} GiB",
                hint="ddf='Satterthwaite' needs no such matrices; at this size the two hardly differ",
            )
        )
    raise_all(errors, "Kenward and Roger's degrees of freedom")


def _clusters(fit: MixedFit, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows that share levels directly or through others: for each size of cluster a (count, size) array."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    total, ends, starts = rows.size, [], []
    for codes, _ in fit.rows.random:
        own = codes[rows]
        ends.append(own + total)
        starts.append(np.arange(rows.size))
        total += int(own.max(initial=-1)) + 1
    i, j = np.concatenate(starts), np.concatenate(ends)
    _, label = connected_components(
        coo_array((np.ones(i.size), (i, j)), shape=(total, total)), directed=False
    )
    label = label[: rows.size]
    order = np.argsort(label, kind="stable")
    _, first, size = np.unique(label[order], return_index=True, return_counts=True)
    return [
        rows[order[first[size == s][:, None] + np.arange(s)]] for s in np.unique(size)
    ]  # fmt: skip


def _chunks(clusters: list[NDArray[np.int64]], k: int) -> Iterator[NDArray[np.int64]]:
    for part in clusters:
        step = max(1, CHUNK // (8 * part.shape[1] ** 2 * (k + 5)))
        for start in range(0, part.shape[0], step):
            yield part[start : start + step]


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """What the matrices of clusters are cut from: X turned, and by term columns, codes and covariance."""

    X: Floats
    turn: Floats
    Z: list[Floats]
    codes: list[NDArray[np.int64]]
    covariance: list[Floats]
    residual: Floats
    variance: float

    @classmethod
    def of(cls, fit: MixedFit) -> _Design:
        weights = fit.rows.weights
        terms = range(len(fit.naming.terms))
        X = fixed_matrix(fit)
        turn = np.linalg.inv(np.linalg.qr(X[seen(fit)], mode="r"))
        return cls(
            X @ turn,
            turn,
            [effects_matrix(fit, t) for t in terms],
            [codes for codes, _ in fit.rows.random],
            term_covariances(fit),
            np.ones(fit.rows.n) if weights is None else 1 / weights,
            fit.sigma**2,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums over clusters: X'V^-1 X, P, Q_ij = X'V^-1 G_i V^-1 G_j V^-1 X, tr(V^-1 G_i V^-1 G_j)."""

    information: Floats
    P: Floats
    Q: Floats
    traces: Floats

    @classmethod
    def zero(cls, k: int, p: int) -> _Sums:
        return cls(np.zeros((p, p)), np.zeros((k, p, p)), np.zeros((k, k, p, p)), np.zeros((k, k)))

    def add(self, design: _Design, rows: NDArray[np.int64], directions: list[Direction]) -> None:
        """Add what clusters of one size give; rows is (count, size)."""
        k = len(directions)
        X, diagonal = design.X[rows], design.residual[rows]
        Z = [z[rows] for z in design.Z]
        same = [c[rows][:, :, None] == c[rows][:, None, :] for c in design.codes]
        V = np.zeros((*rows.shape, rows.shape[1]))
        own = np.arange(rows.shape[1])
        V[:, own, own] = design.variance * diagonal
        for t, matrix in enumerate(design.covariance):
            V += (Z[t] @ matrix @ Z[t].transpose(0, 2, 1)) * same[t]
        inverse = np.linalg.inv(V)
        VX = inverse @ X
        self.information[...] += np.einsum("msp,msq->pq", X, VX)
        H, GVX = [], []
        for i, d in enumerate(directions):
            if d.matrix is None:
                GVX.append(diagonal[:, :, None] * VX)
                H.append(inverse * diagonal[:, None, :])
            else:
                G = (Z[d.term] @ d.matrix @ Z[d.term].transpose(0, 2, 1)) * same[d.term]
                GVX.append(G @ VX)
                H.append(inverse @ G)
            self.P[i] -= np.einsum("msp,msq->pq", VX, GVX[i])
        for i in range(k):
            for j in range(i, k):
                one = np.einsum("msp,msq->pq", GVX[i], inverse @ GVX[j])
                self.Q[i, j] += one
                if i != j:
                    self.Q[j, i] += one.T
                self.traces[i, j] += np.einsum("mst,mts->", H[i], H[j])
                self.traces[j, i] = self.traces[i, j]
