"""Residuals of least-squares fits: statistics less those implied, and their sampling variances.

With U = D E^-1 D'V, D the derivatives of all groups' implied statistics, E = D'V D, residuals have the
covariance (I - U) G (I - U)', G that of the data's statistics (Browne 1984, Br. J. Math. Stat. Psychol.
37:62). Only its diagonal is needed. Of ordered variables all is said of latent responses of unit variance
given the covariates: thresholds, correlations, slopes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.build_least_squares import sampling_covariance
from dagmodels.forms.least_squares import LeastSquares
from dagmodels.numerics.ordinal.statistics import LEVEL, SLOPE, VARIANCE
from dagmodels.results.sem.residuals import by_group, divided, left, solved

if TYPE_CHECKING:
    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]


def _at(fit: SemFit) -> LeastSquares:
    return cast(LeastSquares, fit.solution.at)


def variances(fit: SemFit, plain: bool) -> list[Floats]:
    """Of the data's statistics, or of their residuals, (q,) by group. plain : of the data's."""
    at = _at(fit)
    form = at.form
    gammas = [sampling_covariance(form, g) for g in range(len(form.parts))]
    own = [np.diag(gamma) / p.n for gamma, p in zip(gammas, form.parts, strict=True)]
    if plain:
        return own
    shares = form.shares.tolist()
    pulls = [f * p.weights.times(d) for f, p, d in zip(shares, form.parts, at.slopes, strict=True)]
    inverse = solved(np.sum([d.T @ v for d, v in zip(at.slopes, pulls, strict=True)], axis=0), fit)
    moved = [gamma @ v / p.n for gamma, v, p in zip(gammas, pulls, form.parts, strict=True)]  # G V D
    meat = np.sum([v.T @ m for v, m in zip(pulls, moved, strict=True)], axis=0)
    middle = inverse @ meat @ inverse
    found = []
    for variance, d, m in zip(own, at.slopes, moved, strict=True):
        lost = 2 * np.sum((d @ inverse) * m, axis=1) - np.sum((d @ middle) * d, axis=1)
        found.append(left(variance, lost))
    return found


def matrices(fit: SemFit, plain: bool) -> list[tuple[Floats, Floats]]:
    """The variances of numbers as matrices (p, p) and vectors (p,), in the form's order; of covariates, which
    are fixed, zero."""
    parts = _at(fit).form.space.parts
    p = parts.levels.size
    level, spread = parts.kind == LEVEL, parts.kind != LEVEL
    i, j = parts.first[spread], parts.second[spread]
    found = []
    for each in variances(fit, plain):
        cov, mean = np.zeros((p, p)), np.zeros(p)
        cov[i, j] = cov[j, i] = each[spread]
        mean[parts.first[level]] = each[level]
        found.append((cov, mean))
    return found


# -- ordered variables


def ordered_implied(fit: SemFit) -> dict[str, Any]:
    """What the model says of latent responses and of numbers beside them."""
    return by_group(fit, [_shown(fit, i.value, 1.0) for i in _at(fit).implied])


def ordered_residuals(fit: SemFit, kind: str) -> dict[str, Any]:
    """kind : of `residuals.TYPES`."""
    at = _at(fit)
    found = []
    for part, implied in zip(at.form.parts, at.implied, strict=True):
        own, model = _units(fit, part.value), _units(fit, implied.value)
        match kind:
            case "cor" | "cor_bollen":
                pair = at.form.space.parts.kind >= VARIANCE
                found.append(np.where(
                    pair, part.value / own - implied.value / model, (part.value - implied.value) / own
                ))  # fmt: skip
            case "cor_bentler":
                found.append((part.value - implied.value) / own)
            case _:
                found.append(part.value - implied.value)
    if kind in ("normalized", "standardized"):
        errors = variances(fit, kind == "normalized")
        found = [divided(r, v) for r, v in zip(found, errors, strict=True)]
    return by_group(fit, [_shown(fit, r, 0.0) for r in found])


def _units(fit: SemFit, value: Floats) -> Floats:
    """What makes each statistic one of variables with unit variance, (q,)."""
    parts = _at(fit).form.space.parts
    sd = np.ones(parts.levels.size)
    own = parts.kind == VARIANCE
    sd[parts.first[own]] = np.sqrt(value[own])
    return sd[parts.first] * np.where(
        parts.kind >= VARIANCE, sd[np.where(parts.kind >= VARIANCE, parts.second, 0)], 1.0
    )


def _shown(fit: SemFit, value: Floats, unit: float) -> dict[str, Any]:
    """One group's statistics by name. unit : what stands for the variance of a latent response."""
    from pandas import DataFrame, Series

    form = _at(fit).form
    parts, space = form.space.parts, form.space
    names = [form.variables[v][0] for v in space.y.tolist()]
    order = [names.index(n) for n in fit.naming.observed if n in names]
    p = len(names)
    cov = np.diag(np.where(parts.ordered, unit, 0.0))
    pair = parts.kind >= VARIANCE
    i, j = parts.first[pair], parts.second[pair]
    cov[i, j] = cov[j, i] = value[pair]
    shown = [names[v] for v in order]
    lead = "res_" if space.x.size else ""
    found: dict[str, Any] = {lead + "cov": DataFrame(cov[np.ix_(order, order)], index=shown, columns=shown)}
    level = {v: value[(parts.kind == LEVEL) & (parts.first == v)] for v in order}
    numbers = [v for v in order if not parts.ordered[v]]
    if numbers and fit.naming.meanstructure:
        means = [float(level[v][0]) for v in numbers]
        found["res_int" if lead else "mean"] = Series(means, index=[names[v] for v in numbers])
    ends = {f"{names[v]}|t{k + 1}": t for v in order if parts.ordered[v] for k, t in enumerate(level[v])}
    found[lead + "th"] = Series(ends, dtype=float)
    if space.x.size:
        slopes = np.zeros((p, space.x.size))
        own = parts.kind == SLOPE
        slopes[parts.first[own], parts.second[own]] = value[own]
        covariates = [form.variables[v][0] for v in space.x.tolist()]
        found["res_slopes"] = DataFrame(slopes[order], index=shown, columns=covariates)
    return found
