"""Residuals of fits with missing values against whole matrices of a numerically differentiated likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import dagmodels as dm
from dagmodels.results.sem.incomplete_residuals import variances

FACTOR = "f =~ x1 + x2 + x4 + x9"
CASES = {
    "one group": (FACTOR, {}),
    "a covariate": (FACTOR + "\nf ~ x5", {}),
    "equal loadings": (FACTOR, {"group": "school", "group_equal": ["loadings"]}),
    "robust": (FACTOR, {"estimator": "MLR"}),
    "a constraint": ("f =~ x1 + a*x2 + b*x4 + x9\na*b == 0.4", {}),
}


@pytest.fixture(scope="module")
def pupils():
    frame = pd.read_csv("examples/abilities.csv")
    rng = np.random.default_rng(12)
    return frame.assign(**{x: frame[x].mask(rng.random(len(frame)) < 0.15) for x in ("x1", "x2", "x4", "x9")})


class Group:
    """Brute force of one group: its rows' log likelihoods as a function of free moments."""

    def __init__(self, fit, g):
        form = fit.solution.form
        self.values = form.values[form.group_of == g]
        self.given, self.p = form.template.given, form.values.shape[1]
        i, j = np.tril_indices(self.p)
        own = ~(self.given[i] & self.given[j])
        self.i, self.j, self.level = i[own], j[own], np.flatnonzero(~self.given)

    def vector(self, cov, mean):
        return np.concatenate([cov[self.i, self.j], mean[self.level]])

    def densities(self, v, cov, mean):
        """(n,) at the free moments v; those of covariates are taken from cov and mean."""
        cov, mean = cov.copy(), mean.copy()
        cov[self.i, self.j] = cov[self.j, self.i] = v[: self.i.size]
        mean[self.level] = v[self.i.size :]
        found, there = np.zeros(len(self.values)), ~np.isnan(self.values)
        for mask in np.unique(there, axis=0):
            rows = (there == mask).all(axis=1)
            law = multivariate_normal(mean[mask], cov[np.ix_(mask, mask)])
            found[rows] = law.logpdf(self.values[np.ix_(rows, mask)])
        return found

    def information(self, cov, mean, h=1e-3):
        v, q = self.vector(cov, mean), self.i.size + self.level.size
        e = h * np.eye(q)

        def at(x):
            return self.densities(x, cov, mean).sum()

        found = np.zeros((q, q))
        for a in range(q):
            for b in range(a + 1):
                up = at(v + e[a] + e[b]) + at(v - e[a] - e[b])
                found[a, b] = found[b, a] = -(up - at(v + e[a] - e[b]) - at(v - e[a] + e[b])) / (4 * h**2)
        return found

    def scores(self, cov, mean, h=1e-5):
        v = self.vector(cov, mean)
        sides = [
            self.densities(v + s, cov, mean) - self.densities(v - s, cov, mean) for s in h * np.eye(v.size)
        ]
        return np.stack(sides, axis=1) / (2 * h)


def brute(fit, robust):
    """Variances of moments, and of residuals, group after group, from whole matrices over all groups."""
    form, free, x = fit.solution.form, fit.comparison.free, fit.solution.optimum.x
    o, groups = form.structure.observed, range(form.structure.groups)
    each = [Group(fit, g) for g in groups]

    def implied(x):
        m = form.at(x).moments
        return [(m.covariance[g][np.ix_(o, o)], m.mean[g][o]) for g in groups]

    def vector(x):
        return np.concatenate([b.vector(*m) for b, m in zip(each, implied(x), strict=True)])

    delta = np.stack([(vector(x + s) - vector(x - s)) / 2e-5 for s in 1e-5 * np.eye(x.size)], axis=1)
    if fit.solution.constrained is not None:  # along what keeps a*b as it is
        kept = form.constraints
        slopes = np.stack(
            [(kept.values(x + s) - kept.values(x - s)) / 2e-6 for s in 1e-6 * np.eye(x.size)], 1
        )
        delta = delta @ np.linalg.svd(slopes)[2][len(slopes) :].T
    q = len(delta)
    a, sampling, start = np.zeros((q, q)), np.zeros((q, q)), 0
    for g, b in zip(groups, each, strict=True):
        block = slice(start, start + b.i.size + b.level.size)
        start = block.stop
        a[block, block] = b.information(*implied(x)[g])
        inverse = np.linalg.inv(b.information(free.cov[g], free.mean[g]))
        meat = b.scores(free.cov[g], free.mean[g]) if robust else None
        sampling[block, block] = inverse if meat is None else inverse @ (meat.T @ meat) @ inverse
    left = np.eye(q) - delta @ np.linalg.inv(delta.T @ a @ delta) @ delta.T @ a
    return each, np.diag(sampling), np.diag(left @ sampling @ left.T)


@pytest.mark.parametrize("name", CASES)
def test_variances_by_brute_force(pupils, name):
    text, options = CASES[name]
    fit = dm.sem(text, pupils, missing="fiml", **options)
    assert fit.converged
    each, plain, own = brute(fit, robust=name == "robust")
    for kind, want in ((True, plain), (False, own)):
        start = 0
        for b, found in zip(each, variances(fit, kind), strict=True):
            size = b.i.size + b.level.size
            got, sampling = b.vector(*found), plain[start : start + size]
            expected = want[start : start + size]
            start += size
            known = got > 0  # where nothing is left of a variance, brute force has rounding errors
            assert known.sum() > 5
            assert (expected[~known] < 1e-5 * sampling[~known]).all()
            np.testing.assert_allclose(got[known], expected[known], rtol=3e-4, atol=1e-6 * sampling.max())


def test_residuals_are_divided_by_them(pupils):
    """In the order of the variables, and as they are where there is no residual."""
    fit = dm.sem(FACTOR, pupils, missing="fiml")
    raw, names = fit.residuals(), fit.naming.observed
    form = fit.solution.form
    order = [form.variables[v][0] for v in form.structure.observed]
    for kind in ("normalized", "standardized"):
        ((cov, mean),) = variances(fit, kind == "normalized")
        got = fit.residuals(kind)
        for a in names:
            for b in names:
                r, v = raw["cov"].loc[a, b], cov[order.index(a), order.index(b)]
                if abs(r) > 1e-4:
                    assert got["cov"].loc[a, b] == pytest.approx(r / np.sqrt(v), rel=1e-12)
        assert mean.shape == (4,)
    assert np.abs(fit.residuals("standardized")["cov"].to_numpy()).max() < 4


def test_without_gaps_they_are_those_of_complete_data():
    """(s_ii s_jj + s_ij^2)/n for covariances and s_ii/n for means (Anderson 2003, section 3.4)."""
    frame = pd.read_csv("examples/abilities.csv")
    whole = dm.sem(FACTOR, frame, meanstructure=True)
    ((cov, mean),), s = variances(whole, True), whole.comparison.free.cov[0]
    d = np.diag(s)
    np.testing.assert_allclose(cov, (np.outer(d, d) + s**2) / len(frame), rtol=1e-8)
    np.testing.assert_allclose(mean, d / len(frame), rtol=1e-8)
