"""Latent variables of rows with ordered variables: empirical Bayes modes from a fit's structure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.least_squares import LeastSquares
from dagmodels.numerics.ordinal.modes import Responses, modes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 1e-10  # share of the largest variance that counts as none


def ordered_scores(at: LeastSquares, values: Floats, group: Ints, wanted: Ints) -> tuple[Floats, Floats]:
    """Modes (n, wanted) of variables given each row, and standard errors.

    values : (n, p) of the observed variables in the structure's order, categories where ordered, nan where
        missing; covariates are there. wanted : variables of the structure that are not observed.
    """
    found, error = np.empty((len(values), wanted.size)), np.empty((len(values), wanted.size))
    form = at.form
    t, given, o = form.template.thresholds, form.template.given, form.structure.observed
    assert t is not None
    for g in range(form.structure.groups):
        rows = np.flatnonzero(group == g)
        sigma, mu = at.moments.covariance[g], at.moments.mean[g]
        x, y = o[given], o[~given]
        both = np.concatenate([wanted, y])
        pull = (
            np.linalg.solve(sigma[np.ix_(x, x)], sigma[np.ix_(x, both)]).T
            if x.size
            else np.zeros((both.size, 0))
        )
        left = sigma[np.ix_(both, both)] - pull @ sigma[np.ix_(x, both)]
        mean = mu[both] + (values[rows][:, given] - mu[x]) @ pull.T
        k = wanted.size
        sizes, vectors = np.linalg.eigh(left[:k, :k])
        kept = sizes > LEAST * max(float(sizes.max(initial=0.0)), 1e-300)
        root = vectors[:, kept] * np.sqrt(sizes[kept])
        loading = left[k:, :k] @ (vectors[:, kept] / np.sqrt(sizes[kept]))
        variance = np.maximum(np.diag(left)[k:] - np.sum(loading**2, axis=1), LEAST)
        cuts = tuple(
            at.thresholds[g, t.variable == v][np.argsort(t.which[t.variable == v])]
            if (t.variable == v).any()
            else None
            for v in y.tolist()
        )
        v, spread = modes(Responses(values[rows][:, ~given], cuts, mean[:, k:], loading, variance))
        found[rows] = mean[:, :k] + v @ root.T
        error[rows] = np.sqrt(np.einsum("ik,nkl,il->ni", root, spread, root))
    return found, error
