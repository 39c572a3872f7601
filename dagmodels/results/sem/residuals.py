"""Moments implied by a fit, and residuals: raw, as correlations, normalized and standardized.

Standardized residuals follow Ogasawara (2001, Struct. Equ. Model. 8:421): with the derivatives D of the
implied moments, their weight A (expected information of free moments at the implied ones) and the sampling
covariance G of the data's moments, residuals have the covariance (I - E A) G (I - A E), E = D (D'A D)^-1 D'.
Groups that share estimates share their sampling error too: E A G A E sums over all groups' data.
Only the diagonal is needed, and low-rank products give it: no matrix is as large as covariances squared.
With missing values see `incomplete_residuals`, of least squares `square_residuals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH
from dagmodels.numerics.triangle import lower_triangle
from dagmodels.results.sem.positions import variable_numbers

if TYPE_CHECKING:
    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TYPES = ("raw", "cor", "cor_bollen", "cor_bentler", "normalized", "standardized")
SMALL = 1e-5  # a residual that is none, as lavaan has it
LEAST = 1e-9  # share of a moment's variance that its residual has at least, where it has any


def implied(fit: SemFit) -> dict[str, Any]:
    """Covariances and means that the model implies; thresholds and correlations of ordered variables."""
    if fit.solution.form.template.thresholds is not None:
        from dagmodels.results.sem.square_residuals import ordered_implied

        return ordered_implied(fit)
    return _shown(fit, [_implied(fit, g) for g in range(len(fit.naming.groups))])


def residuals(fit: SemFit, type: str) -> dict[str, Any]:
    """See `SemFit.residuals`."""
    kind = type.replace(".", "_")
    if kind not in TYPES:
        raise FitError(f"type={type!r} is none of {', '.join(map(repr, TYPES))}")
    if fit.solution.form.template.thresholds is not None:
        from dagmodels.results.sem.square_residuals import ordered_residuals

        return ordered_residuals(fit, kind)
    parts = []
    for g in range(len(fit.naming.groups)):
        (sigma, mu), (s, m) = _implied(fit, g), _data(fit, g)
        d, d_model = np.sqrt(np.diag(s)), np.sqrt(np.diag(sigma))
        if kind in ("cor", "cor_bollen"):
            parts.append((s / np.outer(d, d) - sigma / np.outer(d_model, d_model), (m - mu) / d))
        elif kind == "cor_bentler":
            parts.append(((s - sigma) / np.outer(d, d), (m - mu) / d))
        else:
            parts.append((s - sigma, m - mu))
    if kind in ("normalized", "standardized"):
        variances = _variances(fit, kind == "normalized")
        parts = [tuple(map(divided, p, v)) for p, v in zip(parts, variances, strict=True)]
    return _shown(fit, parts)


def divided(residual: Floats, variance: Floats) -> Floats:
    """By the standard error; what is no residual stays as it is, and nan where the error is none."""
    none = np.abs(residual) < SMALL
    with np.errstate(all="ignore"):
        se = np.sqrt(np.where(variance > 0, variance, np.nan))
    return residual / np.where(none, 1.0, se)


def _order(fit: SemFit) -> Ints:
    """Numbers of the observed variables in lavaan's order."""
    number = variable_numbers(fit.solution.form)
    return np.array([number[v] for v in fit.naming.observed])


def _places(fit: SemFit) -> Ints:
    """Their places among the form's observed variables."""
    place = {int(v): n for n, v in enumerate(fit.solution.form.structure.observed)}
    return np.array([place[int(v)] for v in _order(fit)])


def _implied(fit: SemFit, g: int) -> tuple[Floats, Floats]:
    at, moments = _order(fit), fit.solution.at.moments
    return moments.covariance[g][np.ix_(at, at)], moments.mean[g][at]


def _data(fit: SemFit, g: int) -> tuple[Floats, Floats]:
    """The data's moments, by maximum likelihood where values are missing."""
    at, free = _places(fit), fit.comparison.free
    return free.cov[g][np.ix_(at, at)], free.mean[g][at]


def _shown(fit: SemFit, parts: list[Any]) -> dict[str, Any]:
    from pandas import DataFrame, Series

    names = list(fit.naming.observed)
    found = []
    for cov, mean in parts:
        shown: dict[str, Any] = {"cov": DataFrame(cov, index=names, columns=names)}
        if fit.naming.meanstructure:
            shown["mean"] = Series(mean, index=names)
        found.append(shown)
    return by_group(fit, found)


def by_group(fit: SemFit, found: list[dict[str, Any]]) -> dict[str, Any]:
    """One group's as it is; those of several by label."""
    return found[0] if len(found) == 1 else dict(zip(fit.naming.groups, found, strict=True))


def _variances(fit: SemFit, plain: bool) -> list[tuple[Floats, Floats]]:
    """Sampling variances of the data's covariances and means, or of the residuals, by group."""
    form, at = fit.solution.form, fit.solution.at
    if not (form.sample.complete and at.likelihood):
        if at.likelihood:
            from dagmodels.results.sem.incomplete_residuals import variances
        else:
            from dagmodels.results.sem.square_residuals import matrices as variances

        found = variances(fit, plain)
        place = _places(fit)
        return [(cov[np.ix_(place, place)], mean[place]) for cov, mean in found]
    groups = [_Group.of(fit, g) for g in range(form.structure.groups)]
    if plain:
        return [(g.cov, g.mean) for g in groups]
    inverse = solved(0.5 * at.information(), fit)
    duals = [g.dual() for g in groups]
    meat = np.sum([g.meat(*d) for g, d in zip(groups, duals, strict=True)], axis=0)
    middle = inverse @ meat @ inverse
    found = []
    for g, (_, moved, _, shift) in zip(groups, duals, strict=True):
        lost = _explained(g.slopes, g.level, moved, shift, inverse, middle)
        found.append((left(g.cov, lost[0]), left(g.mean, lost[1])))
    return found


@dataclass(frozen=True, eq=False, slots=True)
class _Group:
    """Of one group with complete data: rows n, the data's covariances s, what covariates say of them q,
    derivatives of the implied moments (slopes (k, p, p), level (k, p)), their weight's w (p, p), and sampling
    variances of the data's moments."""

    n: float
    s: Floats
    q: Floats
    slopes: Floats
    level: Floats
    w: Floats
    cov: Floats
    mean: Floats

    @classmethod
    def of(cls, fit: SemFit, g: int) -> _Group:
        form, order = fit.solution.form, _order(fit)
        given = form.template.given[_places(fit)]
        n = float(form.sample.n[form.sample.group == g].sum())
        s, _ = _data(fit, g)
        q = np.zeros_like(s)
        if given.any():  # what covariates, which are fixed, say of each covariance
            q = s[:, given] @ np.linalg.solve(s[np.ix_(given, given)], s[given])
        d, e = np.diag(s), np.diag(q)
        slopes, level = _slopes(fit, g, order)
        if not fit.naming.meanstructure:
            level = np.zeros_like(level)
        w = np.linalg.inv(_implied(fit, g)[0])
        cov = (np.outer(d, d) + s**2 - np.outer(e, e) - q**2) / n
        return cls(n, s, q, slopes, level, w, cov, (d - e) / n)

    def dual(self) -> tuple[Floats, Floats, Floats, Floats]:
        """A times each derivative, as symmetric matrices, and G A times it; the same of means."""
        dual = self.w @ self.slopes @ self.w
        pull = self.level @ self.w
        moved = self.s @ dual @ self.s - self.q @ dual @ self.q
        return dual, moved, pull, pull @ (self.s - self.q)

    def meat(self, dual: Floats, moved: Floats, pull: Floats, shift: Floats) -> Floats:
        """D'A G A D."""
        k = len(dual)
        return self.n * (0.5 * dual.reshape(k, -1) @ moved.reshape(k, -1).T + pull @ shift.T)


def left(variance: Floats, lost: Floats) -> Floats:
    """What is left of a variance; nothing where the model fits the moment whatever the data are."""
    return np.where(variance - lost > LEAST * variance, variance - lost, 0.0)


def solved(information: Floats, fit: SemFit) -> Floats:
    """Inverse information of the coordinates where they are free: off bounds, along binding constraints."""
    solution = fit.solution
    along = np.eye(len(information))[:, ~solution.optimum.active]
    if solution.constrained is not None:
        along = solution.constrained.tangent
    inner = along.T @ information @ along
    d = 1.0 / np.sqrt(np.maximum(np.diag(inner), 1e-300))
    return along @ (np.linalg.pinv(inner * d[:, None] * d, hermitian=True) * d[:, None] * d) @ along.T


def _explained(
    slopes: Floats, level: Floats, moved: Floats, shift: Floats, inverse: Floats, middle: Floats
) -> tuple[Floats, Floats]:
    """What the estimates take off a group's sampling variances: diagonals of E A G + G A E - E A G A E.

    The last holds all groups, whose data move the estimates that they share. See `_Group`.
    """
    turned = np.tensordot(inverse, slopes, axes=1)
    turned_level = inverse @ level
    cov = 2 * np.einsum("kij,kij->ij", turned, moved) - np.einsum(
        "kij,kl,lij->ij", slopes, middle, slopes, optimize=True
    )
    mean = 2 * np.einsum("ki,ki->i", turned_level, shift) - np.einsum(
        "ki,kl,li->i", level, middle, level, optimize=True
    )
    return cov, mean


def _slopes(fit: SemFit, g: int, order: Ints) -> tuple[Floats, Floats]:
    """Derivatives of the implied covariances and means of a group in the coordinates."""
    s, moments = fit.solution.form.structure, fit.solution.at.moments
    at = s.members[g]
    kind, row, column = s.kind[at], s.row[at], s.column[at]
    b, sigma = moments.b[g][order], moments.covariance[g][order]
    u = b[:, row]
    v = np.where(kind == PATH, sigma[:, column], np.where(kind == COVARIANCE, b[:, column], 0.0))
    lift = np.where(kind == PATH, moments.mean[g][column], (kind == MEAN).astype(float))
    jacobian = fit.solution.at.jacobian[at]
    i, j = lower_triangle(len(order))
    low = (s.factor[at] * (u[i] * v[j] + v[i] * u[j])) @ jacobian
    cov = np.zeros((jacobian.shape[1], len(order), len(order)))
    cov[:, i, j] = cov[:, j, i] = low.T
    return cov, ((lift * u) @ jacobian).T
