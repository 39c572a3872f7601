"""The collapsed posterior against dense normal algebra, closed forms and quadrature by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import dagmodels as dm
from dagmodels.errors import FitError, ModelErrors
from dagmodels.forms import collapsed as module
from dagmodels.forms.collapsed import Collapsed
from dagmodels.numerics.tail_kernels import LONG
from tests.forms.collapses import CASES, Case, Dense, collapse, unconstrained


def affine(c: Collapsed, y: Any) -> tuple[Any, Any]:
    """Mean and matrix S of the draw mean + S z of all elements (by elimination row) at one point."""
    z = np.concatenate([np.zeros((1, c.points.width)), np.eye(c.points.width)])
    _, _, found = c.points.visit(np.tile(y, (len(z), 1)), z)
    return found[0], (found[1:] - found[0]).T


def rows(c: Collapsed, dense: Dense) -> Any:
    return np.array([c.field.rows[node][place] for node, place in dense.elements])


@pytest.mark.parametrize("name", CASES)
def test_density_and_draws_are_those_of_dense_algebra(name: str):
    """With given normals a draw is affine: its S S' is the conditional covariance, to rounding."""
    case: Case = CASES[name]()
    c = case.collapsed()
    points = np.stack([unconstrained(c, p) for p in case.points])
    values = c.log_densities(points)
    for y, value, given in zip(points, values, case.points, strict=True):
        dense = case.dense(**given)
        at = rows(c, dense)
        mean, root = affine(c, y)
        assert mean[at] == pytest.approx(dense.mean, rel=1e-9, abs=1e-9)
        scale = np.sqrt(np.diag(dense.covariance))
        assert root[at] @ root[at].T / np.outer(scale, scale) == pytest.approx(
            dense.covariance / np.outer(scale, scale), abs=1e-9
        )
        assert value == pytest.approx(dense.log_density, abs=1e-8)
        back = c.constrain(y)
        for node, stated in given.items():
            assert back[node] == pytest.approx(np.asarray(stated), rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_density(name: str):
    case: Case = CASES[name]()
    c = case.collapsed()
    for given in case.points:
        y = unconstrained(c, given)
        value, gradient = c.log_density(y)
        assert value == c.log_densities(y[None, :])[0]
        step = 1e-5
        slopes = [np.diff(c.log_densities(y + step * np.outer([-1.0, 1.0], e)))[0] for e in np.eye(y.size)]
        assert gradient == pytest.approx(np.array(slopes) / (2 * step), rel=1e-5, abs=1e-5)


def test_points_outside_have_no_density_and_no_draws():
    c = CASES["slopes"]().collapsed()
    y = np.array([[0.0, 0.0], [np.inf, 0.0], [900.0, 0.0], [0.0, 0.0]])
    assert np.isfinite(c.log_densities(y)).tolist() == [True, False, False, True]
    assert c.log_densities(y)[0] == c.log_densities(y)[3]
    value, gradient = c.log_density(y[2])
    assert value == -np.inf
    assert np.isnan(gradient).all()
    with pytest.raises(FitError, match="2 of 4 points have no posterior density"):
        c.draws(y, np.random.default_rng(1))


def test_cases_meet_centred_columns_and_long_tails():
    assert CASES["flats"]().collapsed().field.moves
    pattern = CASES["crossed"]().collapsed().field.pattern
    assert pattern.n - pattern.ts > LONG


# -- closed forms


def test_nothing_left_to_sample_gives_direct_draws():
    """Regression with a known sigma: 5 standard errors of 5 means and 15 covariances: false alarms 1e-5."""
    rng = np.random.default_rng(21)
    x, y = rng.normal(size=(12, 4)), rng.normal(size=12)
    text = """model known
    plate r
    plate j = "a", "b", "c", "d"
    covariate x[r, j]
    b[j] ~ Normal(0, 2)
    b0 ~ Normal(1, 3)
    observed y[r] ~ Normal(b0 + sum(b[j]*x[r, j] for j), 0.7)
    """
    data = {"x": x, "y": y}
    c = collapse(text, data)
    assert c.dimension == 0
    assert c.modes().best.x.size == 0
    S = 40_000
    found = c.draws(np.zeros((S, 0)), np.random.default_rng(3))
    draws = np.column_stack([found["b0"], found["b"]])
    design = np.column_stack([np.ones(12), x])
    prior = np.diag([1 / 9, *[1 / 4] * 4])
    covariance = np.linalg.inv(prior + design.T @ design / 0.49)
    mean = covariance @ (prior @ [1, 0, 0, 0, 0] + design.T @ y / 0.49)
    se = np.sqrt(np.diag(covariance) / S)
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * se).all()
    away = draws - mean
    for i in range(5):
        for j in range(i + 1):
            se = np.sqrt((covariance[i, i] * covariance[j, j] + covariance[i, j] ** 2) / S)
            assert abs((away[:, i] * away[:, j]).mean() - covariance[i, j]) < 5 * se


PUMP = """model pump
plate pump
covariate t[pump]
theta[pump] ~ Gamma(alpha, beta)
alpha ~ Exponential(1)
beta ~ Gamma(0.1, 1)
observed x[pump] ~ Poisson(theta*t)
"""
T, X = np.array([94.3, 15.7, 62.9, 1.05, 2.1]), np.array([5, 1, 5, 1, 4])


def test_gamma_latents_are_negative_binomial_inside_and_gamma_after():
    """Moments at fixed outer values within 5 standard errors: 10 comparisons, false alarms 1e-5."""
    c = collapse(PUMP, {"t": T, "x": X})
    alpha, beta = np.array([0.7, 3.0, 0.2]), np.array([0.9, 0.1, 2.0])
    y = np.log(np.column_stack([alpha, beta]))
    assert c.names == ("alpha", "beta")
    counts = stats.nbinom.logpmf(X, alpha[:, None], (beta / (beta + T[:, None])).T).sum(axis=1)
    prior = stats.expon.logpdf(alpha) + stats.gamma.logpdf(beta, 0.1) + y.sum(axis=1)
    assert c.log_densities(y) == pytest.approx(counts + prior, abs=1e-10)
    S = 50_000
    theta = c.draws(np.tile(y[0], (S, 1)), np.random.default_rng(5))["theta"]
    a, b = 0.7 + X, 0.9 + T
    assert (np.abs(theta.mean(axis=0) - a / b) < 5 * np.sqrt(a) / b / np.sqrt(S)).all()
    se = np.sqrt((2 + 6 / a) / S) * a / b**2  # kurtosis of a gamma law is 3 + 6/a
    assert (np.abs(theta.var(axis=0) - a / b**2) < 5 * se).all()


def test_beta_and_inverse_gamma_latents():
    """Distribution functions of draws at fixed outer values: 6 Kolmogorov-Smirnov tests at 1e-6."""
    text = """model two
    plate g
    plate r in g
    p[g] ~ Beta(a, b)
    a, b ~ Gamma(2, 1)
    v[g] ~ InverseGamma(k, 2)
    k ~ Exponential(1)
    observed x[g] ~ Binomial(9, p)
    observed y[r] ~ Normal(1, sqrt(v[g]))
    """
    x, g, y = np.array([2, 7, 4]), np.array([0, 0, 1, 2, 2]), np.array([0.3, 2.0, 1.1, -0.5, 4.0])
    c = collapse(text, {"x": x, "g": g, "y": y})
    point = {"a": 1.3, "b": 0.6, "k": 2.2}
    at = np.array([np.log(point[n]) for n in c.names])
    S = 20_000
    found = c.draws(np.tile(at, (S, 1)), np.random.default_rng(8))
    squares = np.bincount(g, (y - 1) ** 2)
    for j in range(3):
        p = stats.beta(1.3 + x[j], 0.6 + 9 - x[j])
        v = stats.invgamma(2.2 + np.bincount(g)[j] / 2, scale=2 + squares[j] / 2)
        assert stats.kstest(found["p"][:, j], p.cdf).pvalue > 1e-6
        assert stats.kstest(found["v"][:, j], v.cdf).pvalue > 1e-6
    count = stats.betabinom.logpmf(x, 9, 1.3, 0.6).sum()
    n = np.bincount(g)
    rest = special.gammaln(2.2 + n / 2) - special.gammaln(2.2) + 2.2 * np.log(2) - n / 2 * np.log(2 * np.pi)
    rest = rest - (2.2 + n / 2) * np.log(2 + squares / 2)
    prior = stats.gamma.logpdf([1.3, 0.6], 2).sum() + stats.expon.logpdf(2.2) + at.sum()
    assert c.log_densities(at[None, :])[0] == pytest.approx(count + rest.sum() + prior, abs=1e-10)


def test_truncated_priors():
    """A scale with a truncated normal prior and a mean between two bounds, whose law is not known outside."""
    text = """model cut
    plate r
    s ~ Truncated(Normal(1, 2), lower=0)
    t ~ Truncated(Normal(0, 1), lower=-1, upper=2)
    observed y[r] ~ Normal(t, s)
    """
    y = np.array([0.3, 1.2, -0.4])
    c = collapse(text, {"y": y})
    assert set(c.names) == {"s", "t"}
    s, t = 0.8, 0.4
    share = (t + 1) / 3
    at = np.array([{"s": np.log(s), "t": np.log(share / (1 - share))}[n] for n in c.names])
    prior = stats.truncnorm.logpdf(s, -0.5, np.inf, 1, 2) + stats.truncnorm.logpdf(t, -1, 2)
    jacobian = np.log(s) + np.log(3 * share * (1 - share))
    value, gradient = c.log_density(at)
    assert value == pytest.approx(stats.norm.logpdf(y, t, s).sum() + prior + jacobian, abs=1e-10)
    slopes = [np.diff(c.log_densities(at + 1e-5 * np.outer([-1.0, 1.0], e)))[0] for e in np.eye(2)]
    assert gradient == pytest.approx(np.array(slopes) / 2e-5, rel=1e-6)


def test_a_coefficient_without_a_value_of_its_own_is_named():
    text = """model twice
    plate r
    covariate x[r]
    b, c ~ Flat()
    s ~ HalfNormal(1)
    observed y[r] ~ Normal(b*x + 2*c*x, s)
    """
    found = collapse(text, {"x": [1.0, 2.0, 0.5], "y": [0.1, 0.3, 0.2]})
    with pytest.raises(FitError, match=r"the coefficient '[bc]' is not identified"):
        found.modes()


# -- two dimensions, by hand


def test_evidence_and_means_by_quadrature_of_the_dense_density():
    """A trapezoid sum of dense normal densities, of this density, and laplace's posterior agree."""
    case = CASES["slopes"]()
    c = case.collapsed()
    t, s = np.meshgrid(np.linspace(-6.5, 3.0, 48), np.linspace(-3.5, 3.5, 40), indexing="ij")
    cell = (9.5 / 47) * (7.0 / 39)
    y = np.column_stack([t.ravel(), s.ravel()])
    values = c.log_densities(y)
    dense = np.array([case.dense(*np.exp(p)).log_density for p in y])
    assert values == pytest.approx(dense, abs=1e-7)
    evidence = np.log(np.exp(values).sum() * cell)
    weight = np.exp(values - values.max()) / np.exp(values - values.max()).sum()
    fit = dm.read(case.text).fit_quietly(case.data, method="laplace", posterior=True, posterior_draws=0)
    assert evidence == pytest.approx(fit.measures["log_evidence"], abs=3e-3)
    estimates = dict(zip(fit.estimates["name"], fit.estimates["estimate"], strict=True))
    assert weight @ np.exp(y[:, 1]) == pytest.approx(estimates["s"], rel=2e-3)
    _, _, means = c.points.visit(y, np.zeros((len(y), c.points.width)))
    assert weight @ means[:, c.field.rows["c"][0]] == pytest.approx(estimates["c"], rel=2e-3)


# -- properties


def test_seeds_threads_and_portions_give_the_same_draws(monkeypatch: pytest.MonkeyPatch):
    c = CASES["slopes"]().collapsed()
    y = np.random.default_rng(1).normal(size=(101, 2))
    first = c.draws(y, np.random.default_rng(7))
    again = c.for_thread().draws(y, np.random.default_rng(7))
    other = c.draws(y, np.random.default_rng(8))
    monkeypatch.setattr(module, "PORTION", 170)
    parts = c.draws(y, np.random.default_rng(7))
    for name in c.drawn:
        assert np.array_equal(first[name], again[name])
        assert np.array_equal(first[name], parts[name])
    assert not np.array_equal(first["a"], other["a"])
    values, densities = c.draws_and_densities(y, np.random.default_rng(7))
    assert np.array_equal(values["a"], first["a"])
    assert np.array_equal(densities, c.log_densities(y))
    few = c.draws(y, np.random.default_rng(7), ["m", "y"])
    assert list(few) == ["m", "y"]
    assert np.array_equal(few["m"], first["m"])


def test_rows_may_come_in_any_order():
    case = CASES["slopes"]()
    c = case.collapsed()
    order = np.random.default_rng(2).permutation(9)
    moved = collapse(case.text, {k: v[order] for k, v in case.data.items()})
    y = np.random.default_rng(3).normal(size=(5, 2))
    assert moved.log_densities(y) == pytest.approx(c.log_densities(y), abs=1e-9)
    zeros = np.zeros((5, c.points.width))
    here, there = c.points.visit(y, zeros)[2], moved.points.visit(y, zeros)[2]
    labels = {str(k): i for i, k in enumerate(moved.problem.plates["g"].levels)}
    for k, label in enumerate(map(str, c.problem.plates["g"].levels)):
        at = moved.field.rows["a"][labels[label]]
        assert there[:, at] == pytest.approx(here[:, c.field.rows["a"][k]], abs=1e-9)


def test_what_cannot_be_collapsed_is_told_all_at_once():
    text = """model no
    plate g
    plate r in g
    a[g] ~ Normal(0, t)
    t ~ HalfNormal(1)
    parameter b
    observed y[r] ~ Bernoulli(expit(a + b))
    """
    with pytest.raises(ModelErrors) as caught:
        collapse(text, {"g": [0, 0, 1], "y": [0, 1, 1]})
    told = str(caught.value)
    assert "'b' has no prior" in told
    assert "'y' is Bernoulli: not linear and Gaussian" in told


def test_draws_of_unknown_names_are_refused():
    c = CASES["slopes"]().collapsed()
    with pytest.raises(FitError, match="no draws of 'zz': 'zz' is no unknown of the model"):
        c.draws(np.zeros((1, 2)), np.random.default_rng(1), ["zz"])
