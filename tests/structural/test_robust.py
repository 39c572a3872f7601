"""Sandwich errors, scaled tests and their measures: published output, and textbook matrices written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import dagmodels as dm
from dagmodels.errors import FitError, ModelErrors
from dagmodels.forms.casewise import Centred, mean_coordinates, meat, scores
from dagmodels.results.sem.scaled import _unrestricted_trace, free_scores
from dagmodels.results.sem.summary import summary
from tests.structural.references import fitted, reference

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
PATHS = "x1 ~ x4 + x7\nx2 ~ x1 + x7\nx3 ~ x1"
ITEMS = [f"x{i}" for i in range(1, 10)]


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


@pytest.fixture(scope="module")
def gaps(pupils):
    rng = np.random.default_rng(4)
    holes = rng.random((len(pupils), len(ITEMS))) < 0.12
    return pupils.assign(**pupils[ITEMS].mask(holes))


# -- published

# lavaan 0.6-20, cfa(..., estimator = "MLR"): documentation of lavaanExtra, page cfa_fit_plot
# (rempsyc.github.io/lavaanExtra/reference/cfa_fit_plot.html)
MLR = {
    "chisq_scaled": 87.132, "chisq_scaling_factor": 0.979, "baseline_chisq_scaled": 880.082,
    "baseline_chisq_scaling_factor": 1.044, "cfi_scaled": 0.925, "tli_scaled": 0.888, "cfi_robust": 0.930,
    "tli_robust": 0.895, "scaling_factor_h0": 1.133, "scaling_factor_h1": 1.051, "rmsea_scaled": 0.093,
    "rmsea_ci_lower_scaled": 0.073, "rmsea_ci_upper_scaled": 0.115, "rmsea_pvalue_scaled": 0.001,
    "rmsea_notclose_pvalue_scaled": 0.862, "rmsea_robust": 0.092, "rmsea_ci_lower_robust": 0.072,
    "rmsea_ci_upper_robust": 0.114, "rmsea_pvalue_robust": 0.001, "rmsea_notclose_pvalue_robust": 0.849,
}  # fmt: skip
MLR_ERRORS = {
    "x2": 0.132, "x3": 0.141, "x5": 0.066, "x6": 0.061, "x8": 0.130, "x9": 0.266, "visual~~textual": 0.099,
    "visual~~speed": 0.060, "textual~~speed": 0.056, "x1~~x1": 0.156, "x2~~x2": 0.112, "x3~~x3": 0.100,
    "x4~~x4": 0.050, "x5~~x5": 0.057, "x6~~x6": 0.047, "x7~~x7": 0.097, "x8~~x8": 0.120, "x9~~x9": 0.119,
    "visual~~visual": 0.180, "textual~~textual": 0.121, "speed~~speed": 0.107,
}  # fmt: skip


def test_mlr_as_published(pupils):
    fit = dm.cfa(FACTORS, pupils, estimator="MLR")
    for key, value in MLR.items():
        assert fit.measures[key] == pytest.approx(value, abs=5.001e-4), key
    table = fit.estimates
    se = {
        (r.rhs if r.op == "=~" else f"{r.lhs}~~{r.rhs}"): r.se
        for r in table.itertuples()
        if r.what != "fixed"
    }
    assert se.keys() == MLR_ERRORS.keys()
    for key, value in MLR_ERRORS.items():
        assert se[key] == pytest.approx(value, abs=5.001e-4), key


def test_the_summary_has_a_second_column(pupils):
    told = summary(dm.cfa(FACTORS, pupils, estimator="MLR"), fit_measures=True)
    rows = [" ".join(line.split()) for line in told.splitlines()]
    assert "Test statistic 85.306 87.132" in rows
    assert "Scaling correction factor 0.979" in rows
    assert "Comparative Fit Index (CFI) 0.931 0.925" in rows
    assert "Robust RMSEA 0.092" in rows
    assert "Standard errors Sandwich" in rows


@pytest.mark.parametrize("name", ["main", "observed_information_default"])
def test_robust_measures_of_missing_data_are_lavaans(name):
    """Version 6 of Zhang and Savalei; lavaan's own moments by EM stop at about 1e-6."""
    case = "sem_holzinger_fiml"
    got = fitted(case, name).fit_measures()
    want = {k: v for k, v in reference(case)[name]["all_fit_measures"].items() if k.endswith(".robust")}
    assert len(want) == 9
    for key, value in want.items():
        assert got[key.replace(".", "_")] == pytest.approx(value, abs=2e-5), key


# -- brute force: every matrix of the textbooks in full


def triangle(p):
    return [(i, j) for j in range(p) for i in range(j, p)]


def duplication(p):
    d = np.zeros((p * p, p * (p + 1) // 2))
    for c, (i, j) in enumerate(triangle(p)):
        d[i * p + j, c] = d[j * p + i, c] = 1
    return d


def half(m):
    return np.array([m[..., i, j] for i, j in triangle(m.shape[-1])]).T


class Brute:
    """One fit: numerical derivatives of its implied moments, and full matrices by group.

    Moments are means (if they count) and the lower triangle; covariates' moments are fixed.
    """

    def __init__(self, fit):
        self.fit, self.means = fit, fit.naming.meanstructure
        self.form, self.x = fit.solution.form, fit.solution.optimum.x
        s = self.form.structure
        self.o, self.given = s.observed, self.form.template.given
        p = self.o.size
        self.p, self.dup = p, duplication(p)
        own = np.array([not (self.given[i] and self.given[j]) for i, j in triangle(p)])
        self.own = np.concatenate([~self.given, own]) if self.means else own
        drop = np.zeros(self.x.size, bool)
        if not self.means:
            drop = mean_coordinates(self.form, fit.solution.at.jacobian)
        self.kept = np.flatnonzero(~drop)
        h = 1e-5
        steps = [(self.moments(self.x + h * e), self.moments(self.x - h * e)) for e in np.eye(self.x.size)]
        self.delta = [
            np.array([(a[g] - b[g]) / (2 * h) for a, b in steps]).T[:, self.kept] for g in range(s.groups)
        ]
        self.rows = [self.form.values[self.form.group_of == g] for g in range(s.groups)]
        self.n = len(self.form.values)

    def moments(self, x):
        m = self.form.at(x).moments
        o = self.o
        return [
            np.concatenate([m.mean[g][o] if self.means else [], half(m.covariance[g][np.ix_(o, o)])])
            for g in range(len(m.mean))
        ]

    def implied(self, g):
        m = self.fit.solution.at.moments
        return m.mean[g][self.o], m.covariance[g][np.ix_(self.o, self.o)]

    def weights(self, sigma):
        """Normal-theory V without the moments of covariates."""
        w = np.linalg.inv(sigma)
        v = 0.5 * self.dup.T @ np.kron(w, w) @ self.dup
        if self.means:
            v = np.block([[w, np.zeros((self.p, len(v)))], [np.zeros((len(v), self.p)), v]])
        return v * np.outer(self.own, self.own)

    def case_moments(self, y):
        """Means and products of each row about the sample means, less what the covariates predict."""
        d = y - y.mean(axis=0)
        z = half(d[:, :, None] * d[:, None, :])
        z = np.concatenate([d, z], axis=1) if self.means else z
        if self.given.any():
            x = d[:, self.given]
            h = d.copy()
            h[:, ~self.given] = x @ np.linalg.lstsq(x, d[:, ~self.given], rcond=None)[0]
            hz = half(h[:, :, None] * h[:, None, :])
            z = z - (np.concatenate([h, hz], axis=1) if self.means else hz)
        return z - z.mean(axis=0)

    def case_scores(self, y, mean, sigma):
        """Scores of rows in the moments."""
        w = np.linalg.inv(sigma)
        d = (y - mean) @ w
        full = 0.5 * (d[:, :, None] * d[:, None, :] - w).reshape(len(y), -1) @ self.dup
        s = np.concatenate([d, full], axis=1) if self.means else full
        return s * self.own

    def hessian(self):
        h, f = 1e-4, self.form
        g = np.array(
            [
                (f.at(self.x + h * e).gradient - f.at(self.x - h * e).gradient) / (2 * h)
                for e in np.eye(self.x.size)
            ]
        )
        whole = 0.25 * (g + g.T) / self.n
        return np.linalg.inv(np.linalg.inv(whole)[np.ix_(self.kept, self.kept)])  # free means profiled out

    def satorra_bentler(self, delta=None, sigmas=None):
        """Scaling factor times df, and the covariance of the estimates."""
        delta = self.delta if delta is None else delta
        sigmas = [self.implied(g)[1] for g in range(len(self.rows))] if sigmas is None else sigmas
        share = [len(y) / self.n for y in self.rows]
        v = [f * self.weights(s) for f, s in zip(share, sigmas, strict=True)]
        gamma = [
            (lambda z: z.T @ z / len(z))(self.case_moments(y)) / f
            for y, f in zip(self.rows, share, strict=True)
        ]
        inner = np.linalg.inv(sum(d.T @ a @ d for d, a in zip(delta, v, strict=True)))
        total, middle = 0.0, 0.0
        for d, a, c in zip(delta, v, gamma, strict=True):
            u = a - a @ d @ inner @ d.T @ a
            total += np.trace(u @ c)
            middle = middle + d.T @ a @ c @ a @ d
        return total, inner @ middle @ inner / self.n

    def alone(self):
        """Derivatives and covariances of independence."""
        free = [(i == j) and not self.given[i] for i, j in triangle(self.p)]
        keep = np.concatenate([~self.given, free]) if self.means else np.array(free)
        d = np.eye(keep.size)[:, keep.astype(bool)]
        both = np.outer(self.given, self.given) | np.eye(self.p, dtype=bool)
        sigmas = [np.where(both, np.cov(y.T, bias=True), 0) for y in self.rows]
        k = d.shape[1]
        groups = len(self.rows)
        wide = [np.zeros((len(d), groups * k)) for _ in self.rows]
        for g, m in enumerate(wide):
            m[:, g * k : (g + 1) * k] = d
        return wide, sigmas

    def yuan_bentler_mplus(self):
        """tr(A1^-1 B1), tr(A0^-1 B0), and the covariance of the estimates."""
        top, b0 = 0.0, 0.0
        for g, y in enumerate(self.rows):
            at = self.own.astype(bool)
            cov = np.cov(y.T, bias=True)
            s = self.case_scores(y, y.mean(axis=0), cov)[:, at]
            a1 = self.weights(cov)[np.ix_(at, at)]
            top += np.trace(np.linalg.solve(a1, s.T @ s / len(y)))
            mean, sigma = self.implied(g)
            t = self.case_scores(y, mean if self.means else y.mean(axis=0), sigma) @ self.delta[g]
            b0 = b0 + t.T @ t / self.n
        inner = np.linalg.inv(self.hessian())
        return top, np.trace(inner @ b0), inner @ b0 @ inner / self.n

    def yuan_bentler(self):
        """At the model's moments, with the observed information of the unrestricted ones."""
        top, e, b = 0.0, 0.0, 0.0
        at = self.own.astype(bool)
        for g, y in enumerate(self.rows):
            mean, sigma = self.implied(g)
            mean = mean if self.means else y.mean(axis=0)
            w, away = np.linalg.inv(sigma), y - mean
            second, gap = away.T @ away / len(y), away.mean(axis=0)
            a = 0.5 * self.dup.T @ np.kron(w, 2 * w @ second @ w - w) @ self.dup
            if self.means:
                cross = np.kron(w, (gap @ w)[None]) @ self.dup
                a = np.block([[w, cross], [cross.T, a]])
            a = a[np.ix_(at, at)]
            s = self.case_scores(y, mean, sigma)[:, at]
            d = self.delta[g][at]
            top += np.trace(np.linalg.solve(a, s.T @ s / len(y)))
            e = e + len(y) / self.n * d.T @ a @ d
            b = b + d.T @ (s.T @ s) @ d / self.n
        return top, np.trace(np.linalg.solve(e, b))


MODELS = {
    "plain": (FACTORS, {}),
    "means": (FACTORS, {"meanstructure": True}),
    "groups": (FACTORS, {"group": "school", "group_equal": ["loadings", "intercepts"]}),
    "covariates": (PATHS, {}),
    "covariates and means": (PATHS, {"meanstructure": True}),
}


def model(name, pupils, **more):
    text, options = MODELS[name]
    return dm.sem(text, pupils, **{**options, **more})


def own_covariance(b, fit):
    return fit.coordinate_covariance[np.ix_(b.kept, b.kept)]


@pytest.mark.parametrize("name", MODELS)
def test_satorra_bentler_with_full_matrices(name, pupils):
    fit = model(name, pupils, estimator="MLM")
    b = Brute(fit)
    trace, covariance = b.satorra_bentler()
    assert fit.scaled.factor * fit.comparison.df == pytest.approx(trace, rel=1e-6)
    np.testing.assert_allclose(own_covariance(b, fit), covariance, rtol=1e-5, atol=1e-8)
    alone, _ = b.satorra_bentler(*b.alone())
    assert fit.scaled.baseline * fit.comparison.baseline_df == pytest.approx(alone, rel=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_yuan_bentler_with_full_matrices(name, pupils):
    fit = model(name, pupils, estimator="MLR")
    b = Brute(fit)
    h1, h0, covariance = b.yuan_bentler_mplus()
    assert fit.scaled.factor * fit.comparison.df == pytest.approx(h1 - h0, rel=1e-6)
    assert fit.scaled.h1 * (fit.comparison.df + fit.n_parameters) == pytest.approx(h1, rel=1e-8)
    np.testing.assert_allclose(own_covariance(b, fit), covariance, rtol=1e-5, atol=1e-8)
    wide, sigmas = b.alone()
    alone = h1
    for y, d, sigma in zip(b.rows, wide, sigmas, strict=True):
        t = b.case_scores(y, y.mean(axis=0), sigma) @ d[:, (d != 0).any(axis=0)]
        v = d[:, (d != 0).any(axis=0)].T @ b.weights(sigma) @ d[:, (d != 0).any(axis=0)]
        alone -= np.trace(np.linalg.solve(v, t.T @ t / len(y)))
    assert fit.scaled.baseline * fit.comparison.baseline_df == pytest.approx(alone, rel=1e-8)
    own = model(name, pupils, se="robust.huber.white", test="yuan.bentler")
    top, low = Brute(own).yuan_bentler()
    assert own.scaled.factor * own.comparison.df == pytest.approx(top - low, rel=1e-6)


# -- scores, clusters, missing values


@pytest.mark.parametrize("missing", ["listwise", "fiml"])
def test_scores_are_slopes_of_each_rows_density(missing, gaps):
    text = "f =~ x1 + x2 + x3 + x4 + x5 + x6"
    fit = dm.cfa(text, gaps, missing=missing, group="school", estimator="MLR")
    form, x = fit.solution.form, fit.solution.optimum.x
    found = scores(fit.solution.at)

    def density(x):
        m, o = form.at(x).moments, form.structure.observed
        out = np.zeros(len(form.values))
        for r, (y, g) in enumerate(zip(form.values, form.group_of, strict=True)):
            k = ~np.isnan(y)
            at = o[k]
            out[r] = multivariate_normal(m.mean[g][at], m.covariance[g][np.ix_(at, at)]).logpdf(y[k])
        return out

    for i in (0, 7, x.size // 2, x.size - 1):
        h = 1e-5 * np.eye(x.size)[i]
        np.testing.assert_allclose(found[:, i], (density(x + h) - density(x - h)) / 2e-5, atol=2e-7)
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("name", ["means", "covariates and means"])
def test_the_closed_form_is_the_general_one(name, clustered, pupils):
    """Complete data: tr(A1^-1 B1) by regressions equals that by the whole information matrix."""
    fit = model(name, pupils, estimator="MLR")
    form = fit.solution.form
    codes = np.random.default_rng(3).integers(0, 40, len(form.values)) if clustered else None
    [part] = free_scores(fit.solution, fit.comparison)
    closed = _unrestricted_trace(
        Centred.of(form.values, form.template.given), form.template.given, codes, means=True
    )
    assert part.trace(codes) == pytest.approx(closed, rel=1e-8)


def test_clusters_of_one_row_are_rows(pupils):
    plain = dm.cfa(FACTORS, pupils, estimator="MLR", meanstructure=True)
    fit = dm.cfa(FACTORS, pupils.assign(own=range(len(pupils))), cluster="own")
    n = len(pupils)
    np.testing.assert_allclose(
        fit.estimates["se"] ** 2, plain.estimates["se"] ** 2 * n / (n - 1), rtol=1e-8, atol=1e-12
    )
    assert fit.scaled.factor == pytest.approx(plain.scaled.factor * n / (n - 1), rel=1e-8)
    assert fit.scaled.baseline == pytest.approx(plain.scaled.baseline * n / (n - 1), rel=1e-8)


@pytest.mark.parametrize("missing", ["listwise", "fiml"])
def test_doubled_rows_in_clusters_say_nothing_new(missing, gaps):
    """Every row twice, as clusters: the errors of the rows once, up to the factor C / (C - 1)."""
    once = dm.cfa(FACTORS, gaps.assign(c=range(len(gaps))), missing=missing, cluster="c")
    twice = pd.concat([gaps.assign(c=range(len(gaps)))] * 2).sample(frac=1, random_state=2)
    fit = dm.cfa(FACTORS, twice, missing=missing, cluster="c")
    np.testing.assert_allclose(fit.estimates["se"], once.estimates["se"], rtol=1e-6, atol=1e-9)
    assert fit.scaled.factor == pytest.approx(2 * once.scaled.factor, rel=1e-6)
    assert fit.measures["chisq_scaled"] == pytest.approx(once.measures["chisq_scaled"], rel=1e-6)


def test_missing_values_by_numerical_derivatives(gaps):
    """tr(A1^-1 B1) and tr(A0^-1 B0) with differences of densities in the places of formulas."""
    small = gaps[["x1", "x2", "x3", "x4"]]
    fit = dm.cfa("f =~ x1 + x2 + x3 + x4", small, missing="fiml", estimator="MLR")
    y = fit.solution.form.values
    p = 4
    low = np.tril_indices(p)

    def rows(theta):
        cov = np.zeros((p, p))
        cov[low] = theta[p:]
        cov = cov + cov.T - np.diag(np.diag(cov))
        out = np.zeros(len(y))
        for k in np.unique(~np.isnan(y), axis=0):
            at = np.flatnonzero((~np.isnan(y) == k).all(axis=1))
            out[at] = multivariate_normal(theta[:p][k], cov[np.ix_(k, k)]).logpdf(y[at][:, k])
        return out

    free = fit.comparison.free
    theta = np.concatenate([free.mean[0], free.cov[0][low]])
    h, eye = 2e-4, np.eye(theta.size)
    plus, minus = ([rows(theta + s * h * e) for e in eye] for s in (1, -1))
    s = (np.array(plus) - np.array(minus)).T / (2 * h)
    a = np.array([
        [
            (rows(theta + h * e + h * f).sum() - rows(theta + h * e - h * f).sum()
             - rows(theta - h * e + h * f).sum() + rows(theta - h * e - h * f).sum()) / (4 * h * h)
            for f in eye
        ]
        for e in eye
    ])  # fmt: skip
    h1 = np.trace(np.linalg.solve(-a, s.T @ s))
    b = Brute(fit)
    b0 = scores(fit.solution.at)
    h0 = np.trace(np.linalg.solve(b.hessian() * b.n, b0.T @ b0))
    assert fit.scaled.factor * fit.comparison.df == pytest.approx(h1 - h0, rel=1e-4)


def test_order_of_rows_does_not_matter(gaps):
    frame = gaps.assign(c=np.arange(len(gaps)) % 37)
    mixed = frame.sample(frac=1, random_state=5)
    options = {"missing": "fiml", "group": "school", "cluster": "c"}
    a, b = (dm.cfa(FACTORS, f.sort_values("school", kind="stable"), **options) for f in (frame, mixed))
    assert a.scaled.factor == pytest.approx(b.scaled.factor, rel=1e-8)
    np.testing.assert_allclose(a.estimates["se"], b.estimates["se"], rtol=1e-6, atol=1e-10)


# -- differences of fits, the graph's own fit, faults


def test_scaled_difference(pupils):
    free = dm.cfa(FACTORS, pupils, group="school", estimator="MLM")
    tied = dm.cfa(FACTORS, pupils, group="school", group_equal=["loadings"], estimator="MLM")
    c0, c1 = tied.scaled.factor, free.scaled.factor
    factor = (54 * c0 - 48 * c1) / 6
    want = (tied.measures["chisq"] - free.measures["chisq"]) / factor
    for found in (free.scaled_difference(tied), tied.scaled_difference(free)):
        assert found["chisq_diff"] == pytest.approx(want)
        assert found["df_diff"] == 6
        assert 0 < found["pvalue"] < 1
    table = free.lr_test(tied)
    assert table["Chisq diff"].iloc[1] == pytest.approx(want)
    assert table["Chisq"].iloc[1] == tied.measures["chisq"]
    with pytest.raises(FitError, match="scaled test"):
        free.lr_test(dm.cfa(FACTORS, pupils, group="school", group_equal=["loadings"]))
    with pytest.raises(FitError, match="degrees of freedom"):
        free.scaled_difference(free)
    with pytest.raises(FitError, match="scaled test"):
        free.scaled_difference(dm.cfa(FACTORS, pupils))


def test_difference_from_a_saturated_model_is_the_scaled_test(pupils):
    fit = dm.cfa("f =~ x1 + x2 + x3 + x4", pupils, estimator="MLM")
    saturated = dm.sem("x1 ~~ x2 + x3 + x4\nx2 ~~ x3 + x4\nx3 ~~ x4", pupils, estimator="MLM")
    assert saturated.comparison.df == 0
    found = fit.scaled_difference(saturated)["chisq_diff"]
    assert found == pytest.approx(fit.measures["chisq_scaled"], rel=1e-6)


def test_expected_information_and_huber_white(pupils):
    """information= chooses the outer matrices of the sandwich."""
    fit = dm.cfa(FACTORS, pupils, se="robust.huber.white", information="expected")
    at = fit.solution.at
    inner = np.linalg.inv(0.5 * at.information())
    want = inner @ meat(at, "robust.huber.white") @ inner
    np.testing.assert_allclose(fit.coordinate_covariance, want, rtol=1e-6, atol=1e-9)
    assert fit.scaled is None
    assert "chisq_scaled" not in fit.measures


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"estimator": "MLX"}, "estimator is 'MLX'"),
        ({"se": "robus"}, "se is 'robus'"),
        ({"test": "satora.bentler"}, "did you mean 'satorra.bentler'"),
        ({"estimator": "MLM", "missing": "fiml"}, "needs complete data"),
        ({"se": "robust.cluster"}, "needs the clusters"),
        ({"cluster": "scool"}, "did you mean 'school'"),
        ({"estimator": "MLM", "cluster": "school"}, "cluster="),
    ],
)
def test_what_does_not_go_together_is_refused(options, told, pupils):
    with pytest.raises(ModelErrors) as caught:
        dm.cfa(FACTORS, pupils, **options)
    assert told in "\n".join(str(e) for e in caught.value.exceptions)
