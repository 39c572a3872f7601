"""Covariance of fixed effects and conditional modes together, the variance parameters held.

With rows [X, Z] of the linear predictor, W minus the second derivatives of the log density in it (the
precisions of Normal responses) and b = L u, var(b) = L L', it is the inverse of

    [X'WX  X'WT ; T'WX  T'WT + I],   T = Z L,

in (beta, u): Henderson's equations (Henderson 1975, Biometrics 31, 423-447), or the penalised Hessian at the
mode. No reciprocal of a variance is formed, so variances may be zero. With D = T'WT + I, B = D^-1 T'WX and
S = X'WX - X'WT B a predictor x'beta + t'u has the variance

    (x - B't)' S^-1 (x - B't) + t' D^-1 t.

The entries of D^-1 that rows need lie within sets of levels that share rows, so one solve serves an element
of every such set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.expected import Law, slopes
from dagmodels.results.mixed.structure import before
from dagmodels.results.mixed.variances import seen, term_covariances

if TYPE_CHECKING:
    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.naming import Rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Chosen = tuple[tuple[int, ...], ...]
CHUNK = 64 << 20  # bytes of solutions held at once
SLOPES = {
    "gaussian": lambda m, s, w: 0.0 * m,
    "binomial": lambda m, s, w: (1 - 2 * m) / w,
    "poisson": lambda m, s, w: 1.0 + 0.0 * m,
    "negative.binomial": lambda m, s, w: 1 + 2 * m / s,
    "Gamma": lambda m, s, w: 2 * m / s / w,
    "inverse.gaussian": lambda m, s, w: 3 * m**2 / s / w,
}  # derivative of the variance in the mean: of exponential dispersion models, their spread held


def refuse_without(fit: MixedFit, where: str) -> None:
    """Raise ModelErrors for responses whose conditional covariance has no closed form here."""
    naming = fit.naming
    what = ""
    if fit._has_zeros:
        what = f"{naming.family} with structural zeros"
    elif naming.family not in SLOPES:
        what = f"the {naming.family} family"
    if what:
        told = f"standard errors of predictions have no closed form for {what}"
        hint = (
            "they are there for gaussian, binomial, poisson, negative.binomial, Gamma and inverse.gaussian; "
            "fit.bootstrap(statistic=lambda f: f.predict(new)) has them by simulation"
        )
        raise_all([ModelError(told, hint=hint)], where)


def information(law: Law, link: str, eta: Floats, y: Floats) -> Floats:
    """Minus the second derivative of each row's log density in its linear predictor.

    The score of an exponential dispersion model is (y - mu) mu'/V(mu) (McCullagh and Nelder 1989, section
    2.5); where y is missing it is zero.
    """
    m, (first, second) = law.mean, slopes(link, eta)
    weights = np.broadcast_to(law.weights, m.shape)
    used = np.isfinite(y) & (weights > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        v = law.variance()
        dv = SLOPES[law.family](m, law.spread, law.weights)
        found = first**2 / v - (y - m) * (second / v - first**2 * dv / v**2)
    return np.where(used, found, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Conditional:
    """The covariance of the module; `variance` answers for rows.

    roots : L by term. starts : the first element of each term. turn : from the coefficients of orthonormal
    columns, in which S and B are. factor : of D.
    component : of each element, the set of elements that it shares rows with.
    """

    roots: tuple[Floats, ...]
    starts: tuple[int, ...]
    turn: Floats
    fixed: Floats
    B: Floats
    factor: Any
    component: Ints

    def variance(self, rows: Rows, chosen: Chosen) -> Floats:
        """Of the linear predictor of each row with the chosen effects of each term; levels not seen add the
        variance of their own effects."""
        X = _fixed(rows) @ self.turn
        element, value, fresh = _random(self.roots, self.starts, rows, chosen)
        for k in range(element.shape[1]):
            X = X - value[:, k, None] * self.B[element[:, k]]
        return np.einsum("np,pq,nq->n", X, self.fixed, X) + self._within(element, value) + fresh

    def _within(self, element: Ints, value: Floats) -> Floats:
        """t' D^-1 t of each row."""
        total = np.zeros(len(element))
        used = np.unique(element[value != 0])
        if not used.size:
            return total
        column, count = self._columns(used)
        q = self.component.size
        step = max(1, CHUNK // (8 * q))
        for start in range(0, count, step):
            mine = used[(column[used] >= start) & (column[used] < start + step)]
            right = np.zeros((q, min(step, count - start)))
            right[mine, column[mine] - start] = 1.0
            solved = self.factor.solve(right)
            for k in range(element.shape[1]):
                at = column[element[:, k]] - start
                rows = np.flatnonzero((value[:, k] != 0) & (at >= 0) & (at < right.shape[1]))
                own = self.component[element[rows, k]]
                for j in range(element.shape[1]):
                    other = element[rows, j]
                    part = value[rows, k] * value[rows, j] * solved[other, at[rows]]
                    total[rows] += np.where(self.component[other] == own, part, 0.0)
        return total

    def _columns(self, used: Ints) -> tuple[Ints, int]:
        """A column of right-hand sides for each element used (-1 for others); elements of one column lie in
        different components."""
        order = used[np.argsort(self.component[used], kind="stable")]
        _, first, size = np.unique(self.component[order], return_index=True, return_counts=True)
        column = np.full(self.component.size, -1)
        column[order] = np.arange(order.size) - np.repeat(first, size)
        return column, int(size.max())


def conditional(fit: MixedFit) -> Conditional:
    """The covariance of a fit's fixed effects and modes."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import splu

    roots = tuple(_root(m) for m in term_covariances(fit))
    sizes = [len(t.levels) * len(t.effects) for t in fit.naming.terms]
    starts = tuple(np.cumsum([0, *sizes])[:-1].tolist())
    q = sum(sizes)
    every = tuple(tuple(range(len(t.effects))) for t in fit.naming.terms)
    element, value, _ = _random(roots, starts, fit.rows, every)
    row = np.broadcast_to(np.arange(fit.rows.n)[:, None], element.shape)
    T = sparse.csr_array((value.ravel(), (row.ravel(), element.ravel())), shape=(fit.rows.n, q))
    K = _whitener(fit)
    X = _fixed(fit.rows)
    turn = np.linalg.inv(np.linalg.qr(X[seen(fit)], mode="r")) if X.shape[1] else np.zeros((0, 0))
    X, T = K @ (X @ turn), K @ T
    sign = np.ones(fit.rows.n)
    if fit.naming.link != "identity" or fit.naming.family != "gaussian":
        sign = np.where(_weights(fit) < 0, -1.0, 1.0)  # observed curvature of single rows may be negative
    WX = sign[:, None] * X
    D = (T.T @ (sparse.diags_array(sign) @ T) + sparse.eye_array(q)).tocsc()
    factor = splu(D, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    cross = T.T @ WX
    B = factor.solve(cross) if cross.size else cross
    S = X.T @ WX - cross.T @ B
    fixed = np.linalg.inv(0.5 * (S + S.T))
    _, component = connected_components(D, directed=False)
    return Conditional(roots, starts, turn, fixed, B, factor, component)


def _root(matrix: Floats) -> Floats:
    """L with L L' = matrix, which may be singular."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _fixed(rows: Rows) -> Floats:
    columns = [np.ones(rows.n) if c is None else c for c in rows.fixed]
    return np.stack(columns, axis=1) if columns else np.zeros((rows.n, 0))


def _random(
    roots: tuple[Floats, ...], starts: tuple[int, ...], rows: Rows, chosen: Chosen
) -> tuple[Ints, Floats, Floats]:
    """Elements and values of t by row, (rows, effects), and the variance that new levels add."""
    fresh = np.zeros(rows.n)
    elements, values = [np.zeros((rows.n, 0), dtype=np.int64)], [np.zeros((rows.n, 0))]
    for root, start, (codes, columns), picked in zip(roots, starts, rows.random, chosen, strict=True):
        if not picked:
            continue
        k = len(columns)
        Z = np.zeros((rows.n, k))
        for j in picked:
            column = columns[j]
            Z[:, j] = 1.0 if column is None else column
        ZL, new = Z @ root, codes < 0
        fresh += np.where(new, (ZL**2).sum(axis=1), 0.0)
        values.append(np.where(new[:, None], 0.0, ZL))
        elements.append(start + np.where(new, 0, codes)[:, None] * k + np.arange(k))
    return np.concatenate(elements, axis=1), np.concatenate(values, axis=1), fresh


def _weights(fit: MixedFit) -> Floats:
    assert fit.rows.response is not None
    every = tuple(tuple(range(len(t.effects))) for t in fit.naming.terms)
    eta = fit._linear_predictor(fit.rows, every)
    return information(fit._law(fit.rows, every), fit.naming.link, eta, fit.rows.response)


def _whitener(fit: MixedFit) -> Any:
    """K with K'K = |W|: roots of the weights, and with an autocorrelation its differences."""
    from scipy import sparse

    root = np.sqrt(np.abs(_weights(fit)))
    scale = sparse.diags_array(root)
    structure, residual = fit.naming.structure, fit.rows.residual
    if structure is None or residual is None or not structure.phi:
        return scale
    phi = next(r.estimate for r in fit.components if r.kind == "phi")
    previous, gap = before(residual, root > 0)
    share = np.where(previous >= 0, phi**gap, 0.0)
    own = 1 / np.sqrt(1 - share**2)
    follows = np.flatnonzero(previous >= 0)
    shape = (fit.rows.n, fit.rows.n)
    back = sparse.csr_array(((share * own)[follows], (follows, previous[follows])), shape=shape)
    return (sparse.diags_array(own) - back) @ scale
