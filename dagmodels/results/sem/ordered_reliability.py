"""Reliability of sums of ordered items, their categories numbered in equal steps.

The variance of such a sum, and the part of it that the latent variable explains, are sums over pairs of items
of covariances of categories, which thresholds and correlations of latent responses give (Green and Yang 2009,
Psychometrika 74:155, equation 21). Alpha: Cronbach (1951) of the numbered categories themselves. The average
variance extracted is that of latent responses of unit variance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.least_squares import LeastSquares
from dagmodels.numerics.ordinal import bivariate
from dagmodels.numerics.ordinal.statistics import COVARIANCE, LEVEL

if TYPE_CHECKING:
    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CROSSED = 1e-5  # as in `reliability`


def refuse(fit: SemFit, name: str, at: Ints) -> bool:
    """Whether a latent variable's indicators are all ordered; `at` are their places among the observed.

    Raises
    ------
    FitError : some of them only, or covariates that thresholds are given.
    """
    form = fit.solution.form
    t = form.template.thresholds
    if t is None:
        return False
    cut = np.isin(form.structure.observed[at], t.variable)
    if not cut.any():
        return False
    if not cut.all():
        raise FitError(
            f"'{name}' has ordered indicators and numbers, whose sum has no reliability of its own; "
            "fit without ordered= to treat all as numbers"
        )
    if cast(LeastSquares, fit.solution.at).form.space.x.size:
        raise FitError(
            f"the indicators of '{name}' are ordered and there are covariates, given which thresholds stand; "
            "fit the measurement model without them"
        )
    return True


def ordered_reliability(fit: SemFit, g: int, f: int, at: Ints, loadings: Floats) -> dict[str, float]:
    """Numbers of one latent variable.

    f : its number in the structure. at : its k indicators among the observed variables. loadings : (k,).
    """
    here = cast(LeastSquares, fit.solution.at)
    form, moments = here.form, here.moments
    o, parts = form.structure.observed[at], form.space.parts
    place = np.array([int(np.flatnonzero(form.space.y == v)[0]) for v in o.tolist()])
    implied, data = here.implied[g].value, form.parts[g].value
    ends = [implied[(parts.kind == LEVEL) & (parts.first == v)] for v in place.tolist()]
    sd = np.sqrt(np.diag(moments.covariance[g])[o])
    own = loadings / sd * math.sqrt(moments.covariance[g][f, f])
    _, p, _ = form.structure.filled(here.entries)
    noise = p[g][np.ix_(o, o)] / np.outer(sd, sd)
    common = np.outer(own, own)
    explained = np.diag(moments.covariance[g][np.ix_(o, o)] - p[g][np.ix_(o, o)]) / sd**2
    top = float(covariances(ends, common).sum())
    own_only = common + noise
    fitted, seen = (_correlations(v, parts.kind, parts.first, parts.second, place) for v in (implied, data))
    category = form.values[form.group_of == g][:, at]
    cov = np.cov(category.T)
    k = at.size
    alone = np.abs(explained - own**2).sum() < CROSSED
    return {
        "alpha": k / (k - 1) * (1 - float(np.trace(cov) / cov.sum())),
        "omega": top / float(covariances(ends, own_only, whole=True).sum()),
        "omega2": top / float(covariances(ends, fitted, whole=True).sum()),
        "omega3": top / float(covariances(ends, seen, whole=True).sum()),
        "ave": float(explained.sum() / (explained.sum() + np.trace(noise))) if alone else math.nan,
    }


def _correlations(value: Floats, kind: Ints, first: Ints, second: Ints, place: Ints) -> Floats:
    """Of latent responses, in the order of `place`."""
    found = np.eye(int(max(first.max(), second.max(), place.max())) + 1)
    pair = kind == COVARIANCE
    found[first[pair], second[pair]] = found[second[pair], first[pair]] = value[pair]
    return found[np.ix_(place, place)]


def covariances(ends: list[Floats], rho: Floats, *, whole: bool = False) -> Floats:
    """Of numbered categories of Normal responses with thresholds `ends` and correlations rho, (k, k).

    whole : the diagonal holds the categories' own variances; else what two measurements that share rho would
        have in common.
    """
    from scipy.special import ndtr

    k = len(ends)
    found = np.empty((k, k))
    for i in range(k):
        for j in range(i + 1):
            a, b = ends[i][:, None], ends[j][None, :]
            if i == j and whole:
                both = ndtr(np.minimum(a, b))
            else:
                a, b = np.broadcast_arrays(a, b)
                both = bivariate.distribution(a, b, np.full(a.shape, rho[i, j]))
            found[i, j] = found[j, i] = float((both - ndtr(a) * ndtr(b)).sum())
    return found
