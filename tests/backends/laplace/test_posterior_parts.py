"""The parts of a posterior: third-order corrections, designs, splines, tails of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.backends.laplace.posterior_design import central_composite, factorial
from dagmodels.backends.laplace.posterior_moments import Conditionals
from dagmodels.backends.laplace.posterior_outer import Lines, convolved, exponential, itself
from dagmodels.bind.bind import bind
from dagmodels.forms.build_field import build_field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.numerics.pareto import pareto_fit, smoothed
from dagmodels.numerics.quadrature_lattice import Frame, explored

# -- moments of latents

CURVED = """model curved
plate g
plate r in g
covariate x[r]
u[g] ~ Normal(m, 0.7)
v[g] ~ Normal(0, 0.4)
m ~ Normal(0.5, 1)
b ~ Normal(0, 2)
observed n[r] ~ Poisson(exp(u + b*x))
observed y[r] ~ Normal(u*0.5, exp(v))
"""


def test_corrections_against_a_dense_third_derivative():
    """Mean shift C T:C/2 and third moments T(C, C, C), with T by differences of a log density of its own."""
    rng = np.random.default_rng(4)
    g, x = np.array([0, 0, 1, 1, 1]), rng.normal(size=5)
    n, y = np.array([1, 3, 0, 2, 5]), rng.normal(size=5)
    problem = bind(dm.read(CURVED).dag, {"g": list("aabbb"), "x": x, "n": n, "y": y})
    field = build_field(problem, roles(problem.graph, problem))
    assert set(field.rows) == {"u", "v", "m", "b"}
    evaluator = ModeEvaluator(field)
    evaluator.criterion(np.zeros(0))
    conditionals = Conditionals(evaluator)
    rows = np.concatenate([field.rows[k] for k in ("u", "v", "m", "b")])
    mode, found = evaluator.means()[rows], conditionals.of(rows)

    def log_density(t: Any) -> Any:
        u, v, m, b = t[:2], t[2:4], t[4], t[5]
        eta = u[g] + b * x
        data = n * eta - np.exp(eta) - v[g] - 0.5 * ((y - 0.5 * u[g]) * np.exp(-v[g])) ** 2
        return (
            data.sum() - 0.5 * (((u - m) / 0.7) ** 2 + (v / 0.4) ** 2).sum() - (m - 0.5) ** 2 / 2 - b * b / 8
        )

    def gradient(t: Any) -> Any:
        return np.array([np.imag(log_density(t + 1e-25j * e)) / 1e-25 for e in np.eye(6)])

    def hessian(t: Any) -> Any:
        return np.stack([(gradient(t + 1e-5 * e) - gradient(t - 1e-5 * e)) / 2e-5 for e in np.eye(6)])

    assert gradient(mode) == pytest.approx(np.zeros(6), abs=1e-8)
    third = np.stack([(hessian(mode + 1e-3 * e) - hessian(mode - 1e-3 * e)) / 2e-3 for e in np.eye(6)])
    c = np.linalg.inv(-hessian(mode))
    assert found.covariance == pytest.approx(c, abs=1e-6)
    assert found.mean - mode == pytest.approx(0.5 * c @ np.einsum("jkl,kl->j", third, c), abs=1e-4)
    cubes = np.einsum("jkl,ji,ki,li->i", third, c, c, c)
    assert found.skewness == pytest.approx(cubes / np.diag(c) ** 1.5, abs=1e-3)
    mean, variance, skewness = conditionals.each()
    assert mean[rows] == pytest.approx(found.mean, abs=1e-10)
    assert variance[rows] == pytest.approx(np.diag(c), abs=1e-6)
    assert skewness[rows] == pytest.approx(found.skewness, abs=1e-10)


def test_corrections_come_nearer_to_the_truth():
    """One Poisson count with a normal latent, whose posterior is a one-dimensional integral."""
    fit = dm.read("model m\nplate r\nu[r] ~ Normal(1, 0.8)\nobserved y[r] ~ Poisson(exp(u))").fit_quietly(
        {"y": [0, 4]}, method="laplace", posterior=True
    )
    t = np.linspace(-6, 6, 4001)
    for k, y in enumerate((0, 4)):
        density = stats.poisson.pmf(y, np.exp(t)) * stats.norm.pdf(t, 1, 0.8)
        density /= density.sum()
        mean = density @ t
        row = fit.estimates.iloc[k]
        assert row.estimate == pytest.approx(mean, abs=0.03 * row.se)
        cdf = np.cumsum(density)
        for p, limit in ((0.025, row.lower), (0.975, row.upper)):
            assert limit == pytest.approx(np.interp(p, cdf, t), abs=0.12 * row.se)


# -- designs and lattices


@pytest.mark.parametrize("d", range(1, 13))
def test_designs_are_exact_for_a_gaussian(d: int):
    z, weight = central_composite(d)
    assert weight.sum() == pytest.approx(1)
    assert weight @ z == pytest.approx(np.zeros(d), abs=1e-12)
    assert (z * weight[:, None]).T @ z == pytest.approx(np.eye(d), abs=1e-12)
    signs = factorial(d)
    pairs = [signs[:, i] * signs[:, j] for i in range(d) for j in range(i)]
    terms = np.stack([*signs.T, *pairs], axis=1)
    assert terms.T @ terms == pytest.approx(len(signs) * np.eye(terms.shape[1]))


def frame(d: int, root: Any) -> Frame:
    return Frame(np.zeros(d), root, 0.0, np.ones(d), np.ones(d))


def test_a_lattice_in_the_wrong_frame_still_integrates_and_finds_margins():
    """A correlated Gaussian, looked at through axes that are not its own."""
    cov = np.array([[1.0, 0.6], [0.6, 2.0]])
    inverse = np.linalg.inv(cov)

    def density(y: Any) -> Any:
        return -0.5 * np.einsum("ij,jk,ik->i", y, inverse, y)

    lattice = explored(frame(2, np.array([[1.0, 0.2], [0.0, 1.2]])), density, ["a", "b"], 1e-4)
    assert lattice.log_evidence == pytest.approx(0.5 * np.linalg.slogdet(2 * np.pi * cov)[1], abs=1e-6)
    lines = Lines(lattice)
    for k in range(2):
        curve = lines.linear(lattice.frame.axes[k], 0.0, itself)
        law = stats.norm(0, np.sqrt(cov[k, k]))
        assert [curve.quantile(p) for p in (0.025, 0.5, 0.975)] == pytest.approx(
            law.ppf([0.025, 0.5, 0.975]), abs=1e-5
        )
    ratio = lines.function(np.exp(lattice.y[:, 0] - lattice.y[:, 1]))  # log-normal with variance 1.8
    law = stats.lognorm(np.sqrt(1.8))
    assert [ratio.quantile(p) for p in (0.1, 0.5, 0.9)] == pytest.approx(law.ppf([0.1, 0.5, 0.9]), rel=1e-2)


def test_two_halves_add_up():
    """Two axes with normal halves of unequal widths: moments of their sum are sums."""
    up, down = np.array([1.5, 0.7]), np.array([0.8, 1.1])
    curve = convolved(Frame(np.zeros(2), np.eye(2), 0.0, up, down), np.array([1.0, -2.0]), 3.0, itself)
    mean = np.sqrt(2 / np.pi) * (up - down)
    variance = up**2 - up * down + down**2 - mean**2
    found = curve.moments()
    assert found == pytest.approx((3 + mean @ [1, -2], np.sqrt(variance @ [1, 4])), rel=1e-4)
    positive = convolved(
        Frame(np.zeros(1), np.eye(1), 0.0, np.ones(1), np.ones(1)), np.ones(1), 0.0, exponential
    )
    assert positive.quantile(0.9) == pytest.approx(stats.lognorm(1).ppf(0.9), rel=1e-4)


# -- the tail of weights


def test_pareto_fits_the_tail_that_was_drawn():
    """Four standard errors, (1 + k)/sqrt(n), shrunk towards 0.5: one false alarm in 10,000."""
    rng = np.random.default_rng(9)
    for k in (-0.3, 0.2, 0.8):
        x = np.sort(stats.genpareto.rvs(k, scale=2.0, size=3000, random_state=rng))
        shape, scale = pareto_fit(x)
        assert shape == pytest.approx(k, abs=4 * (1 + k) / np.sqrt(3000) + 0.003)
        assert scale == pytest.approx(2.0, rel=0.12)


def test_weights_with_a_heavy_tail_are_told():
    rng = np.random.default_rng(1)
    heavy = smoothed(np.log(stats.pareto.rvs(1.0, size=4000, random_state=rng)))
    assert heavy.k > 0.7
    assert heavy.effective < 2000
    light = smoothed(np.log(rng.uniform(0.9, 1.1, size=4000)))
    assert light.k < 0.2
    assert light.effective > 3900
    even = smoothed(np.zeros(100))
    assert even.k == -np.inf
    assert even.weight == pytest.approx(np.full(100, 0.01))
    assert np.isnan(smoothed(np.zeros(10)).k)


def test_a_mean_that_draws_put_elsewhere_is_told():
    """Two rows for each latent; the weights are fine, and the posterior's mean is far from Gaussian's."""
    fit = dm.read("model m\nplate r\nu[r] ~ Normal(0, 8)\nobserved y[r] ~ Bernoulli(expit(u))").fit_quietly(
        {"y": [1, 1, 0]}, method="laplace", posterior=True, posterior_draws=4000
    )
    t = np.linspace(-60, 60, 20001)
    density = stats.norm.pdf(t, 0, 8) / (1 + np.exp(-t))
    assert fit.diagnostics["pareto_k"] < 0.7
    assert fit.diagnostics["log_evidence_by_draws"] == pytest.approx(3 * np.log(0.5), abs=0.15)
    mean = (density @ t) / density.sum()
    row = fit.estimates.iloc[0]
    (told,) = fit.warnings
    assert "weighted draws put the posterior mean of 'u" in told
    assert abs(mean - row.estimate) > 0.1 * row.se


def test_a_bad_approximation_is_called_bad():
    """One row for each latent of wide prior: the Gaussian at the mode is nothing like the posterior."""
    text = """model bad
plate g
plate r in g
u[g] ~ Normal(0, 30)
observed y[r] ~ Binomial(1, expit(u))
"""
    data = {"g": list("abcdef"), "y": [1, 1, 0, 1, 0, 0]}
    fit = dm.read(text).fit_quietly(data, method="laplace", posterior=True)
    assert fit.diagnostics["pareto_k"] > 0.7
    (told,) = fit.warnings
    assert "'u' is approximated badly" in told
    assert "Pareto k" in told
