"""How much of the variance of responses is explained: R2, intraclass correlations, design effects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.structure import scales
from dagmodels.results.mixed.variances import effects_matrix, fixed_matrix, seen, term_covariances

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.naming import Floats


def random_variances(fit: MixedFit) -> list[float]:
    """By random term the mean of z' Sigma z over the rows with a response (Johnson 2014, Methods Ecol. Evol.
    5, equation 11)."""
    rows = seen(fit)
    found = []
    for t, matrix in enumerate(term_covariances(fit)):
        Z = effects_matrix(fit, t)[rows]
        found.append(float(np.einsum("ni,ij,nj->n", Z, matrix, Z).mean()))
    return found


def linear_predictor(fit: MixedFit) -> Floats:
    """X beta of the rows with a response, without offsets."""
    return (fixed_matrix(fit) @ fit.beta)[seen(fit)]


def distribution_variance(fit: MixedFit) -> float:
    """Variance of a response given its linear predictor, on the predictor's scale.

    Nakagawa, Johnson and Schielzeth 2017, J. R. Soc. Interface 14, table 1 and equation 5.8: that of the
    link's own law for binary responses, log-normal approximations where the link is the logarithm, at the
    mean response that X beta and the random effects give.

    Raises
    ------
    ModelErrors : a family and link for which there is none.
    """
    family, link = fit.naming.family, fit.naming.link
    weights = None if fit.rows.weights is None else fit.rows.weights[seen(fit)]
    if any(e.kind in ("zi", "disp") for e in fit.naming.extras):
        family = f"{family} (with ziformula or dispformula)"
    match family, link:
        case "gaussian", "identity":
            squared = np.broadcast_to(np.square(scales(fit)), (fit.rows.n,))[seen(fit)]
            return float(np.mean(squared if weights is None else squared / weights))
        case "binomial", "logit":
            return math.pi**2 / 3
        case "binomial", "probit":
            return 1.0
        case "binomial", "cloglog":
            return math.pi**2 / 6
        case "poisson", "log":
            return math.log1p(1 / _mean_response(fit))
        case "negative.binomial", "log":
            return math.log1p(1 / _mean_response(fit) + 1 / fit.sigma)
        case "Gamma", "log":
            return math.log1p(1 / fit.sigma)
    hint = "there is one for gaussian, for binomial, and for counts and Gamma with a log link"
    told = f"no variance on the scale of the link is known for {family} responses with link '{link}'"
    raise_all([ModelError(told, hint=hint)], "the explained variance")
    raise AssertionError("unreachable")


def _mean_response(fit: MixedFit) -> float:
    """exp(eta) averaged over rows and random effects."""
    offset = 0.0 if fit.rows.offset is None else fit.rows.offset[seen(fit)]
    return float(np.exp(linear_predictor(fit) + offset).mean() * math.exp(0.5 * sum(random_variances(fit))))


def r2(fit: MixedFit) -> dict[str, float]:
    """See `MixedFit.r2`."""
    fixed, random = float(np.var(linear_predictor(fit), ddof=1)), sum(random_variances(fit))
    total = fixed + random + distribution_variance(fit)
    return {"marginal": fixed / total, "conditional": (fixed + random) / total}


def icc(fit: MixedFit) -> DataFrame:
    """See `MixedFit.icc`."""
    from pandas import DataFrame

    rest = distribution_variance(fit)
    by_factor: dict[str, float] = {}
    size: dict[str, float] = {}
    rows = seen(fit)
    for t, (term, variance) in enumerate(zip(fit.naming.terms, random_variances(fit), strict=True)):
        by_factor[term.factor] = by_factor.get(term.factor, 0.0) + variance
        counts = np.bincount(fit.rows.random[t][0][rows]).astype(float)
        size[term.factor] = float((counts**2).sum() / counts.sum())
    total = sum(by_factor.values()) + rest
    table: list[tuple[Any, ...]] = []
    for factor, variance in by_factor.items():
        share = variance / total
        table.append((variance, share, size[factor], 1 + (size[factor] - 1) * share))
    table.append((rest, rest / total, math.nan, math.nan))
    columns = ["variance", "icc", "cluster_size", "design_effect"]
    return DataFrame(table, index=[*by_factor, "Residual"], columns=columns)
