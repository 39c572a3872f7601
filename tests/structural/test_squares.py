"""Least squares: lavaan's published output, and minimum, errors and tests written out in plain matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import dagmodels as dm
from dagmodels.errors import ModelErrors

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
ITEMS = [f"x{i}" for i in range(1, 10)]
LOW = np.tril_indices(9)


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


def test_wlsmv_of_numbers_is_as_published(pupils):
    """lavaan 0.6-17, cfa(HS.model, HolzingerSwineford1939, estimator = "WLSMV"): Google group lavaan,
    thread qfCEL5EJlqk, 27 October 2023; three decimals."""
    fit = dm.cfa(FACTORS, pupils, estimator="WLSMV")
    m = fit.measures
    shift = fit.scaled.of_model(fit.comparison).shift
    found = [m["chisq"], m["chisq_scaled"], m["df"], m["chisq_scaling_factor"], shift]
    np.testing.assert_allclose(found, [43.902, 79.342, 24, 0.598, 5.867], atol=5.1e-4)
    assert m["npar"] == 21


class Plain:
    """The three-factor model by matrices: 6 free loadings, 9 residual variances, 6 moments of the factors."""

    def __init__(self, data, kind):
        x = data[ITEMS].to_numpy()
        self.n = len(x)
        d = x - x.mean(axis=0)
        self.s = d.T @ d / (self.n - 1)
        z = (d[:, :, None] * d[:, None, :])[:, LOW[0], LOW[1]]
        z = z - z.mean(axis=0)
        self.free = z.T @ z / self.n
        i, j = LOW
        s = self.s
        self.normal = s[np.ix_(i, i)] * s[np.ix_(j, j)] + s[np.ix_(i, j)] * s[np.ix_(j, i)]
        self.v = {
            "ULS": np.eye(45), "GLS": np.linalg.inv(self.normal), "WLS": np.linalg.inv(self.free),
            "DWLS": np.diag(1 / np.diag(self.free)),
        }[kind]  # fmt: skip

    def sigma(self, theta):
        loading = np.zeros((9, 3))
        loading[[0, 3, 6], [0, 1, 2]] = 1.0
        loading[[1, 2, 4, 5, 7, 8], [0, 0, 1, 1, 2, 2]] = theta[:6]
        psi = np.zeros((3, 3))
        psi[np.tril_indices(3)] = theta[15:]
        psi = psi + np.tril(psi, -1).T
        return (loading @ psi @ loading.T + np.diag(theta[6:15]))[LOW]

    def value(self, theta):
        d = self.s[LOW] - self.sigma(theta)
        return (self.n - 1) * d @ self.v @ d

    def slopes(self, theta):
        h = 1e-6
        return np.stack(
            [(self.sigma(theta + e) - self.sigma(theta - e)) / (2 * h) for e in h * np.eye(21)], 1
        )

    def u(self, d):
        vd = self.v @ d
        return self.v - vd @ np.linalg.solve(d.T @ vd, vd.T)


def _theta(fit):
    table = fit.estimates
    loading = table[(table.op == "=~") & (table.what == "maximised")].estimate
    own = table[(table.op == "~~") & (table.lhs == table.rhs) & table.lhs.isin(ITEMS)].estimate
    names = ["visual", "textual", "speed"]
    cov = {(r.lhs, r.rhs): r.estimate for r in table[table.op == "~~"].itertuples()}
    psi = [
        cov.get((names[i], names[j]), cov.get((names[j], names[i])))
        for i, j in zip(*np.tril_indices(3), strict=True)
    ]
    return np.concatenate([loading, own, psi])


@pytest.mark.parametrize("kind", ["ULS", "GLS", "WLS", "DWLS"])
def test_the_minimum_and_its_errors_are_those_of_plain_matrices(pupils, kind):
    fit = dm.cfa(FACTORS, pupils, estimator=kind, se="robust.sem", test="scaled.shifted")
    plain = Plain(pupils, kind)
    theta = _theta(fit)
    assert fit.measures["chisq"] == pytest.approx(plain.value(theta), rel=1e-9)
    other = minimize(plain.value, theta + 0.01, method="BFGS", options={"gtol": 1e-7})
    assert fit.measures["chisq"] <= other.fun + 1e-7
    d = plain.slopes(theta)
    bread = np.linalg.inv(d.T @ plain.v @ d)
    sandwich = bread @ d.T @ plain.v @ plain.free @ plain.v @ d @ bread / (plain.n - 1)
    order = fit.estimates
    loading = order[(order.op == "=~") & (order.what == "maximised")].se
    np.testing.assert_allclose(loading, np.sqrt(np.diag(sandwich))[:6], rtol=1e-6)
    for derivative, factor, more, df in (
        (d, fit.scaled.factor, fit.scaled.second, 24),
        (np.eye(45)[:, LOW[0] == LOW[1]], fit.scaled.baseline, fit.scaled.baseline_second, 36),
    ):
        product = plain.u(derivative) @ plain.free
        assert factor * df == pytest.approx(np.trace(product), rel=1e-6)
        assert more == pytest.approx(np.trace(product @ product), rel=1e-6)


def test_plain_errors_are_the_inverse_information(pupils):
    fit = dm.cfa(FACTORS, pupils, estimator="WLS")
    plain = Plain(pupils, "WLS")
    d = plain.slopes(_theta(fit))
    wanted = np.sqrt(np.diag(np.linalg.inv(d.T @ plain.v @ d)) / (plain.n - 1))[:6]
    table = fit.estimates
    found = table[(table.op == "=~") & (table.what == "maximised")].se
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_uls_errors_take_normal_data(pupils):
    fit = dm.cfa(FACTORS, pupils, estimator="ULS")
    plain = Plain(pupils, "ULS")
    d = plain.slopes(_theta(fit))
    bread = np.linalg.inv(d.T @ d)
    wanted = np.sqrt(np.diag(bread @ d.T @ plain.normal @ d @ bread) / (plain.n - 1))[:6]
    table = fit.estimates
    found = table[(table.op == "=~") & (table.what == "maximised")].se
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert np.isnan(fit.measures["pvalue"])


def test_gls_is_close_to_maximum_likelihood_where_the_model_holds():
    """Both are efficient: estimates differ by a small part of their standard errors."""
    rng = np.random.default_rng(3)
    f = rng.standard_normal(20_000)
    data = pd.DataFrame({f"y{i}": 0.8 * f + rng.standard_normal(20_000) for i in range(5)})
    text = "f =~ y0 + y1 + y2 + y3 + y4"
    likelihood, squares = dm.cfa(text, data), dm.cfa(text, data, estimator="GLS")
    free = likelihood.estimates.se > 0
    away = (likelihood.estimates.estimate - squares.estimates.estimate)[free] / likelihood.estimates.se[free]
    assert np.abs(away).max() < 0.05
    np.testing.assert_allclose(squares.estimates.se[free], likelihood.estimates.se[free], rtol=0.02)


@pytest.mark.parametrize("kind", ["ULS", "GLS"])
def test_covariances_stand_in_place_of_rows(pupils, kind):
    whole = dm.cfa(FACTORS, pupils, estimator=kind)
    given = dm.cfa(FACTORS, sample_cov=pupils[ITEMS].cov(), sample_nobs=301, estimator=kind)
    assert given.measures["chisq"] == pytest.approx(whole.measures["chisq"], rel=1e-10)
    np.testing.assert_allclose(given.estimates.se, whole.estimates.se, rtol=1e-8)


@pytest.mark.parametrize("kind", ["ULS", "GLS", "DWLS", "WLS"])
def test_covariates_that_are_fixed(pupils, kind):
    """One outcome leaves no degree of freedom: least squares are those of the regression."""
    fit = dm.sem("x1 ~ x4 + x7", pupils, estimator=kind)
    design = np.column_stack([np.ones(301), pupils.x4, pupils.x7])
    beta = np.linalg.lstsq(design, pupils.x1)[0]
    np.testing.assert_allclose(fit.estimates.estimate[:2], beta[1:], rtol=1e-7)
    assert fit.measures["df"] == 0
    assert fit.measures["chisq"] == pytest.approx(0.0, abs=1e-10)


def test_groups_and_rows_may_be_permuted(pupils):
    options = {"estimator": "WLSMV", "group": "school", "group_equal": ["loadings"]}
    one = dm.cfa(FACTORS, pupils, **options)
    other = dm.cfa(FACTORS, pupils.sample(frac=1.0, random_state=3), **options)
    for name in ("chisq", "chisq_scaled", "cfi_scaled", "srmr", "rmsea_robust"):
        assert one.measures[name] == pytest.approx(other.measures[name], rel=1e-8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"estimator": "WLSMV", "missing": "fiml"}, "complete rows"),
        ({"estimator": "GLS", "cluster": "school"}, "maximum likelihood"),
        ({"estimator": "GLS", "ordered": ["x1"]}, "ordered"),
        ({"estimator": "ULS", "test": "yuan.bentler"}, "maximum likelihood"),
        ({"estimator": "WLSMW"}, "did you mean 'WLSM'"),
    ],
)
def test_what_does_not_go_together_is_told(pupils, options, said):
    with pytest.raises(ModelErrors) as caught:
        dm.cfa(FACTORS, pupils, **options)
    assert said in "\n".join(str(e) for e in caught.value.exceptions)


def test_too_few_rows_for_full_weights(pupils):
    with pytest.raises(ModelErrors) as caught:
        dm.cfa(FACTORS, pupils.head(40), estimator="WLS")
    assert "DWLS" in str(caught.value.exceptions[0])
