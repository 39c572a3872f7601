"""Reliability of the scale that each latent variable's indicators make, as semTools reports it.

Alpha: Cronbach (1951). Omega: variance of the sum due to the latent variable over the variance of the sum,
as loadings and residuals give it (Bollen 1980, `omega`), as the model implies it (Bentler 1972, `omega2`),
and in the data (McDonald 1999, `omega3`). Average variance extracted: Fornell and Larcker (1981).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.sem.ordered_reliability import ordered_reliability, refuse
from dagmodels.results.sem.positions import variable_numbers
from dagmodels.results.sem.written import matrices

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
COEFFICIENTS = ("alpha", "omega", "omega2", "omega3", "ave")
CROSSED = 1e-5  # variance of indicators due to other latent variables that still counts as none


def reliability(fit: SemFit) -> DataFrame:
    """One row a latent variable with several observed indicators (and group).

    Columns: alpha, omega, omega2, omega3, ave. ave is nan where an indicator loads on other latent variables
    too. Of ordered items see `ordered_reliability`.
    """
    from pandas import DataFrame

    form, moments, naming = fit.solution.form, fit.solution.at.moments, fit.naming
    number, o = variable_numbers(form), form.structure.observed
    a, p, _ = matrices(fit)
    latent = np.array([number[f] for f in naming.latent], dtype=np.int64)
    found = []
    for g, label in enumerate(naming.groups):
        sigma, sample = moments.covariance[g], fit.comparison.free.cov[g]
        loadings = a[g][np.ix_(o, latent)]
        true = np.diag(loadings @ sigma[np.ix_(latent, latent)] @ loadings.T)
        for f, name in enumerate(naming.latent):
            at = np.flatnonzero(loadings[:, f])
            if at.size < 2:
                continue
            if refuse(fit, name, at):
                numbers = ordered_reliability(fit, g, int(latent[f]), at, loadings[at, f])
                found.append({"group": label, "factor": name, **numbers})
                continue
            k, v = loadings[at, f], sigma[latent[f], latent[f]]
            inner = np.ix_(o[at], o[at])
            numbers = coefficients(k, v, true[at], sample[np.ix_(at, at)], sigma[inner], p[g][inner])
            found.append({"group": label, "factor": name, **numbers})
    columns = list(COEFFICIENTS)
    table = DataFrame(found, columns=["group", "factor", *columns])
    keys = ["factor"] if len(naming.groups) == 1 else ["group", "factor"]
    return table.set_index(keys)[columns]


def coefficients(
    loading: Floats, variance: float, true: Floats, data: Floats, implied: Floats, noise: Floats
) -> dict[str, float]:
    """The coefficients of one scale.

    loading : (k,) of its indicators on a latent variable with this variance. true : (k,) their variances due
    to all latent variables. data, implied, noise : (k, k) covariances in the data, by the model, and of
    residuals.
    """
    common = variance * float(loading.sum()) ** 2
    alone = np.abs(true - variance * loading**2).sum() < CROSSED
    explained = float(true.sum())
    return {
        "alpha": loading.size / (loading.size - 1) * (1 - float(np.trace(data) / data.sum())),
        "omega": common / (common + float(noise.sum())),
        "omega2": common / float(implied.sum()),
        "omega3": common / float(data.sum()),
        "ave": explained / (explained + float(np.trace(noise))) if alone else math.nan,
    }
