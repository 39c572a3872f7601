"""Fits that have no optimum, a hard way to it, or more than one: what is found and what is said."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.bind.bind import bind
from dagmodels.errors import FitError
from dagmodels.fits.field.solve import solve
from dagmodels.forms.build_field import build_field
from tests.oracle.dense import dense

LINE = """model m
plate r
covariate x[r]
parameter a, b
parameter s > 0
observed y[r] ~ Normal(a + b*x, s)
"""
ONE_WAY = """model m
plate g
plate r in g
parameter b
parameter t > 0 {}
parameter s > 0 {}
a[g] ~ Normal(0, t)
observed y[r] ~ Normal(b + a, s)
"""


def fitted(text: str, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dm.FitWarning)
        return dm.read(text).fit(data, method="laplace", **options)


X = np.arange(10.0)


@pytest.mark.parametrize(
    ("x", "y"),
    [(X, 2 + 3 * X), (X, np.ones(10)), (X[:2], np.array([1.0, 5.0])), (X, 1e6 + 3 * X), (X, 1e-9 * X)],
    ids=["a line", "a constant", "two points", "far from zero", "small"],
)
def test_residuals_of_zero_are_no_optimum(x: np.ndarray, y: np.ndarray) -> None:
    """The likelihood grows without end as the scale goes to zero: the fit says so, and what to do."""
    fit = fitted(LINE, {"x": x, "y": y})
    assert not fit.converged
    assert "'s' runs to zero" in fit.message
    assert "'y'" in fit.message
    assert "prior" in fit.message


def test_a_restricted_likelihood_of_two_points_is_flat() -> None:
    """Two points and two flat coefficients leave nothing to tell the scale by."""
    fit = fitted(LINE.replace("parameter a, b", "a, b ~ Flat()"), {"x": X[:2], "y": np.array([1.0, 5.0])})
    assert not fit.converged
    assert "'s'" in fit.message


def test_small_residuals_are_an_optimum() -> None:
    """A millionth of the response's spread, ten digits after an offset: ordinary."""
    noise = np.sin(7 * X)
    for offset, size in ((0.0, 1e-6), (1e6, 1e-4)):
        fit = fitted(LINE, {"x": X, "y": offset + 3 * X + size * noise})
        design = np.stack([np.ones(10), X], axis=1)
        residual = noise - design @ np.linalg.lstsq(design, noise, rcond=None)[0]
        assert fit.converged, fit.message
        assert fit["s"] == pytest.approx(size * np.sqrt(np.mean(residual**2)), rel=1e-4)


def test_a_prior_that_keeps_a_scale_from_zero_has_an_optimum() -> None:
    """As the message advises: with s^2 ~ InverseGamma(a, c) and no residuals, s^2 = c/(n/2 + a + 1)."""
    text = LINE.replace("parameter s > 0", "v ~ InverseGamma(2, 3)").replace("x, s)", "x, sqrt(v))")
    fit = fitted(text, {"x": X, "y": 2 + 3 * X})
    assert fit.converged, fit.message
    assert fit["v"] == pytest.approx(3 / (5 + 2 + 1), rel=1e-6)


@pytest.mark.parametrize("form", ["field", "moments"])
def test_a_heywood_case_is_named(form: str) -> None:
    """One factor, three measures: the first one's error goes to zero, and the fit says whose."""
    text = "model f\nplate i\nparameter l2, l3\nparameter s, e1, e2, e3 > 0\nf[i] ~ Normal(0, s)\n"
    for k, load in ((1, "f"), (2, "l2*f"), (3, "l3*f")):
        text += f"parameter n{k}\nobserved x{k}[i] ~ Normal(n{k} + {load}, e{k})\n"
    rng = np.random.default_rng(16)
    factor = rng.normal(size=40)
    X = factor[:, None] * np.array([0.4, 0.3, -0.3]) + rng.normal(size=(40, 3)) * 0.7
    fit = fitted(text, {f"x{k + 1}": X[:, k] for k in range(3)}, form=form)
    assert not fit.converged
    assert "'e1' runs to zero" in fit.message
    assert "'x1'" in fit.message
    assert "Heywood" in fit.message


@pytest.mark.parametrize("t", ["1", "100", "1e4", "1e6"])
def test_poor_starting_values(t: str) -> None:
    """Whatever the user's start, the optimum is that of no start at all."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(10), 6)
    data = {"g": g, "y": rng.normal(size=10)[g] + rng.normal(size=60) + 5}
    best = fitted(ONE_WAY.format("", ""), data)
    for s in ("1", "1e-2", "1e-4", "1e-6"):
        fit = fitted(ONE_WAY.format(f"start {t}", f"start {s}"), data)
        assert fit.converged, fit.message
        assert fit.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-9)


def test_a_coefficient_is_called_unidentified_only_when_it_is() -> None:
    """A column that repeats another is named; poor starting values beside it do not change the message."""
    text = "model m\nplate r\ncovariate x[r], z[r]\nparameter a, b, c\nparameter s > 0 start 1e-6\n"
    text += "observed y[r] ~ Normal(a + b*x + c*z, s)\n"
    data = {"x": X, "z": 2 * X, "y": np.sin(X)}
    problem = bind(dm.read(text).dag, pd.DataFrame(data))
    with pytest.raises(FitError, match="is not identified: its column is zero or a combination of others"):
        solve(build_field(problem, roles(problem.graph, problem)))


GP = """model gp
plate point
plate point2 as point
covariate x[point]
parameter length, size, sigma > 0
{}
k[point, point2] = size**2*exp(-(x[point] - x[point2])**2/(2*length**2))
f[point] ~ MvNormal(0, k)
observed y[point] ~ Normal(m + f, sigma)
"""


@pytest.mark.parametrize("mean", ["parameter m", "m ~ Flat()", "m ~ Normal(0, 1)"])
def test_a_numerically_singular_kernel_is_ordinary(mean: str) -> None:
    """25 points, squared-exponential: the criterion is the dense law's, and lowest at the estimates."""
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0, 5, 25))
    data = {"x": x, "y": np.sin(x) + 0.2 * rng.normal(size=25)}
    fit = fitted(GP.format(mean), data)
    assert fit.converged, fit.message
    y, n = data["y"], 25

    def criterion(length: float, size: float, sigma: float) -> float:
        V = size**2 * np.exp(-((x[:, None] - x) ** 2) / (2 * length**2)) + sigma**2 * np.eye(n)
        if "Normal" in mean:
            V = V + 1.0
        one = np.linalg.solve(V, np.ones(n))
        m = 0.0 if "Normal" in mean else (one @ y) / one.sum()
        value = np.linalg.slogdet(V)[1] + (y - m) @ np.linalg.solve(V, y - m) + n * np.log(2 * np.pi)
        return value + (np.log(one.sum()) - np.log(2 * np.pi) if "Flat" in mean else 0.0)

    at = np.array([fit["length"], fit["size"], fit["sigma"]])
    assert -2 * fit.log_likelihood == pytest.approx(criterion(*at), abs=1e-7)
    for i in range(3):
        for step in (-1e-2, 1e-2):
            near = at.copy()
            near[i] *= 1 + step
            assert criterion(*near) > criterion(*at)


MODES = """model d
plate g
plate r in g
b ~ Flat()
tau ~ HalfCauchy(1)
sigma ~ HalfNormal(5)
a[g] ~ Normal(b, tau)
observed y[r] ~ Normal(a, sigma)
"""


def small_groups(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(2, 8))
    n = int(rng.integers(groups, 30))
    g = np.r_[np.arange(groups), rng.integers(0, groups, n - groups)]
    effects = rng.choice([0, 0.2, 1]) * rng.normal(size=groups)
    return {"g": g, "y": effects[g] + rng.choice([0.1, 1]) * rng.normal(size=n)}


def no_grid_point_is_better(seed: int, points: int) -> None:
    """The mode against a grid of the dense posterior over both scales, zero included."""
    data = small_groups(seed)
    fit = fitted(MODES, data)
    assert fit.converged, fit.message
    y, Z = data["y"], np.eye(data["g"].max() + 1)[data["g"]]
    n = y.size

    def posterior(tau: float, sigma: float) -> float:
        V = tau**2 * Z @ Z.T + sigma**2 * np.eye(n)
        one = np.linalg.solve(V, np.ones(n))
        r = y - (one @ y) / one.sum()
        value = np.linalg.slogdet(V)[1] + np.log(one.sum()) + r @ np.linalg.solve(V, r)
        value += (n - 1) * np.log(2 * np.pi)
        return -0.5 * value + stats.halfcauchy.logpdf(tau) + stats.halfnorm.logpdf(sigma, scale=5)

    best = max(
        posterior(tau, sigma)
        for tau in (0, *np.geomspace(0.01, 5, points))
        for sigma in np.geomspace(0.02, 5, points)
    )
    assert fit.measures["log_posterior"] > best - 1e-7
    assert fit.measures["log_posterior"] == pytest.approx(posterior(fit["tau"], fit["sigma"]), abs=1e-7)


def test_the_higher_of_two_modes() -> None:
    """A mode at tau = 0 and a higher one inside."""
    no_grid_point_is_better(3, 25)
    assert fitted(MODES, small_groups(3))["tau"] > 1


@pytest.mark.parametrize("seed", [0, 1, 2, 5, 8])
def test_modes_of_small_sets(seed: int) -> None:
    no_grid_point_is_better(seed, 15)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200))
def test_modes_of_many_small_sets(seed: int) -> None:
    no_grid_point_is_better(seed, 25)


SIGNED = """model m
plate g
plate r in g
parameter b
parameter v
parameter s > 0
a[g] ~ Normal(0, sqrt(v))
observed y[r] ~ Normal(b + a, s)
"""


@pytest.mark.parametrize("shrink", [0.2, 0.6, 0.9])
def test_a_negative_variance_is_reported_as_such(shrink: float) -> None:
    """Balanced one-way, in closed form; latents have means (ratios of covariances) but no variances."""
    rng = np.random.default_rng(11)
    g, y = np.repeat(np.arange(10), 6), rng.normal(size=60)
    means = np.array([y[g == k].mean() for k in range(10)])
    y = y - shrink * means[g]
    means = np.array([y[g == k].mean() for k in range(10)])
    within = ((y - means[g]) ** 2).sum() / 50
    between = 6 * ((means - means.mean()) ** 2).sum() / 10
    with pytest.warns(dm.FitWarning, match="below zero"):
        fit = dm.read(SIGNED).fit({"g": g, "y": y})
    assert fit.converged, fit.message
    v = (between - within) / 6
    assert v < 0
    assert fit["v"] == pytest.approx(v, rel=1e-6)
    Z = np.eye(10)[g]
    want = v * Z.T @ np.linalg.solve(v * Z @ Z.T + within * np.eye(60), y - y.mean())
    np.testing.assert_allclose(fit.latents["estimate"], want, rtol=1e-5, atol=1e-7)
    assert fit.latents["sd"].isna().all()


def test_messages_name_the_node_at_fault() -> None:
    """A covariance with a bound is no saturated matrix; its edge is named, with the remedy."""
    text = """model m
plate g
plate r in g
covariate x[r]
parameter b0, b1
parameter sa, sb, s > 0
parameter c in (-5, 5)
a[g] ~ Normal(0, sa)
b[g] ~ Normal(0, sb)
a ~~ b = c
observed y[r] ~ Normal(b0 + a + (b1 + b)*x, s)
"""
    rng = np.random.default_rng(0)
    g, x, u = np.arange(40) % 8, rng.normal(size=40) + 1, rng.normal(size=8) * 0.4
    y = 1 + x + u[g] * (1 - x) + 0.6 * rng.normal(size=40)
    fit = fitted(text, {"g": g, "x": x, "y": y})
    assert not fit.converged
    assert any(f"'{name}'" in fit.message for name in ("sa", "sb", "c", "s"))
    assert "start" in fit.message
    problem = bind(dm.read(text).dag, pd.DataFrame({"g": g, "x": x, "y": y}))
    theta = {name: fit[name] for name in ("sa", "sb", "c", "s")}
    assert fit.log_likelihood == pytest.approx(float(dense(problem, theta).loglik()), abs=1e-6)
