"""Likelihood-ratio tests between mixed models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dagmodels.errors import ModelError, raise_all

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.mixed.fit import MixedFit

COLUMNS = ("npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)")


def refuse_unlike(fits: Sequence[MixedFit]) -> None:
    """Raise ModelErrors for fits whose likelihoods cannot be compared: of different responses, families,
    or approximations, or without a likelihood."""
    errors = []
    first = fits[0]
    for place, fit in enumerate(fits[1:], start=2):
        a, b = first.rows.response, fit.rows.response
        if a is None or b is None or a.shape != b.shape:
            told = f"fit {place} has {fit.n_observations} observations, the first one {first.n_observations}"
            errors.append(ModelError(told, hint="fit all models to the same rows"))
        elif not np.array_equal(a, b, equal_nan=True):
            told = f"the response of fit {place} is not that of the first one"
            errors.append(ModelError(told, hint="fit all models to the same rows, in the same order"))
        elif not _same_weights(first, fit):
            told = f"the weights of fit {place} are not those of the first one"
            errors.append(ModelError(told, hint="fit all models with the same weights"))
        if fit.naming.family != first.naming.family or _approximation(fit) != _approximation(first):
            told = f"fit {place} is of another family or approximation than the first one"
            errors.append(ModelError(told, hint="compare fits of one family, with one number of nodes"))
    raise_all(errors, "the comparison of fits")


def _same_weights(a: MixedFit, b: MixedFit) -> bool:
    one, other = a.rows.weights, b.rows.weights
    if one is None or other is None:
        return one is other or bool(np.all((one if other is None else other) == 1))  # type: ignore[operator]
    return np.array_equal(one, other)


def _approximation(fit: MixedFit) -> str:
    return "" if fit.exact else fit.method.partition(" by ")[2]


def comparison(fits: Sequence[MixedFit], names: Sequence[str]) -> DataFrame:
    """lme4's table, smaller models first; every fit by maximum likelihood.

    Chisq is twice the gain in log likelihood over the row before, with a chi-square law of Df degrees. At
    the edge of the parameters (a variance of zero under the smaller model) that law is conservative
    (Self and Liang 1987, J. Amer. Statist. Assoc. 82).
    """
    from pandas import DataFrame
    from scipy import stats

    order = sorted(range(len(fits)), key=lambda i: fits[i].n_parameters)
    rows = []
    for place, i in enumerate(order):
        fit = fits[i]
        assert fit.log_likelihood is not None
        chisq = df = p = math.nan
        if place:
            before = fits[order[place - 1]]
            assert before.log_likelihood is not None
            df = fit.n_parameters - before.n_parameters
            chisq = max(0.0, 2 * (fit.log_likelihood - before.log_likelihood))
            p = float(stats.chi2.sf(chisq, df)) if df > 0 else math.nan
        deviance = -2 * fit.log_likelihood
        rows.append((fit.n_parameters, fit.aic, fit.bic, fit.log_likelihood, deviance, chisq, df, p))
    frame = DataFrame(rows, index=[names[i] for i in order], columns=list(COLUMNS))
    frame.attrs["models"] = {names[i]: fits[i].naming.formula for i in order}
    return frame
