"""Units of responses and covariates change nothing but units, and optima are those of a Laplace by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import gammaln

import dagmodels as dm

FACTORS = (1e-4, 1e-2, 1e2, 1e4)
LAWS = ("Gamma", "inverse.gaussian")
LINKS = {"inverse": -1.0, "log": 0.0, "identity": 1.0, "1/mu^2": -2.0}  # the power of a response's unit
FORMULA = "Reaction ~ Days + (1 | Subject)"


BY_ROOT = """
model by_root
plate Subject
plate row in Subject
covariate Days[row]
parameter b0, b1
parameter tau, shape > 0
u[Subject] ~ Normal(0, tau)
observed Reaction[row] ~ Gamma(shape, shape*sqrt(b0 + b1*Days + u))
"""


def fitted(frame: pd.DataFrame, law: str, link: str) -> tuple[float, list[float]]:
    """Log likelihood, intercept, slope, standard deviation and shape of a certified fit off the boundary."""
    names = ["(Intercept)", "Days", "sd_(Intercept)|Subject", "shape"]
    if (law, link) == ("Gamma", "1/mu^2"):  # no link of the formulas' Gamma
        fit = dm.read(BY_ROOT).fit(frame)
        names = ["b0", "b1", "tau", "shape"]
    else:
        fit = dm.glmer(FORMULA, frame, family=f"{law}({link})")
    assert fit.converged
    assert not fit.boundary
    assert fit.log_likelihood is not None
    return fit.log_likelihood, [float(fit[name]) for name in names]


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parents[2] / "examples" / "sleepstudy.csv")


@pytest.mark.filterwarnings("ignore:.*boundary")
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("law", LAWS)
def test_the_unit_of_a_positive_response_changes_units_alone(
    sleep: pd.DataFrame, law: str, link: str
) -> None:
    power = LINKS[link]
    first, estimates = fitted(sleep, law, link)
    for c in FACTORS:
        other, scaled = fitted(sleep.assign(Reaction=c * sleep["Reaction"]), law, link)
        assert other == pytest.approx(first - len(sleep) * np.log(c), abs=1e-6)
        moved = np.array([np.log(c) if link == "log" else 0.0, 0.0, 0.0, 0.0])
        powers = np.array([power, power, power, 1.0 if law == "inverse.gaussian" else 0.0])
        np.testing.assert_allclose(scaled, (np.array(estimates) + moved) * c**powers, rtol=1e-5)


def by_hand(y: np.ndarray, days: np.ndarray, group: np.ndarray, law: str, link: str) -> float:
    """The largest log likelihood by Laplace's approximation with one Normal intercept a group."""
    m = int(group.max()) + 1
    means: dict[str, Callable[[np.ndarray], tuple[np.ndarray, ...]]] = {
        "inverse": lambda e: (1 / e, -1 / e**2, 2 / e**3),
        "log": lambda e: (np.exp(e), np.exp(e), np.exp(e)),
        "identity": lambda e: (e, np.ones_like(e), np.zeros_like(e)),
        "1/mu^2": lambda e: (e**-0.5, -0.5 * e**-1.5, 0.75 * e**-2.5),
    }

    def law_at(mu: np.ndarray, s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log density with its first two derivatives in the mean."""
        if law == "Gamma":
            value = s * np.log(s / mu) + (s - 1) * np.log(y) - s * y / mu - gammaln(s)
            return value, s * (y - mu) / mu**2, s * (mu - 2 * y) / mu**3
        value = 0.5 * np.log(s / (2 * np.pi * y**3)) - s * (y - mu) ** 2 / (2 * mu**2 * y)
        return value, s * (y - mu) / mu**3, s * (2 * mu - 3 * y) / mu**4

    level = {"inverse": 1 / y.mean(), "log": 1.0, "identity": y.mean(), "1/mu^2": y.mean() ** -2}[link]

    def minus(parameters: np.ndarray) -> float:
        fixed = level * (parameters[0] + parameters[1] * days)
        tau, s = level * np.exp(parameters[2]), np.exp(parameters[3])
        b = np.zeros(m)
        for _ in range(200):
            eta = fixed + b[group]
            if link != "log" and eta.min() <= 0:
                return np.inf
            mu, slope, bend = means[link](eta)
            value, first, second = law_at(mu, s)
            g = np.bincount(group, first * slope, m) - b / tau**2
            h = np.bincount(group, -second * slope**2 - first * bend, m) + 1 / tau**2
            step = np.clip(g / np.maximum(np.abs(h), 1 / tau**2), -0.3 * tau, 0.3 * tau)
            if np.abs(step).max() < 1e-10 * tau:
                break
            b = b + step
        else:
            return np.inf
        if h.min() <= 0:
            return np.inf
        return -float(value.sum() - 0.5 * ((b / tau) ** 2).sum() - 0.5 * np.log(tau**2 * h).sum())

    begin = np.log(y.mean()) if link == "log" else 1.0
    start = np.array([begin, 0.0, np.log(0.1), np.log(30.0 * (y.mean() if law != "Gamma" else 1.0))])
    options = {"xatol": 1e-7, "fatol": 1e-10, "maxfev": 4000, "maxiter": 4000}
    for _ in range(2):
        start = minimize(minus, start, method="Nelder-Mead", options=options).x
    return -minus(start)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("law", LAWS)
def test_the_optimum_of_each_link_is_that_of_a_laplace_by_hand(
    sleep: pd.DataFrame, law: str, link: str
) -> None:
    value, _ = fitted(sleep, law, link)
    codes = pd.factorize(sleep["Subject"])[0]
    best = by_hand(sleep["Reaction"].to_numpy(float), sleep["Days"].to_numpy(float), codes, law, link)
    assert value == pytest.approx(best, abs=1e-6)


@pytest.fixture(scope="module")
def several() -> pd.DataFrame:
    """Responses of several families that share a predictor with a varying intercept and slope."""
    rng = np.random.default_rng(3)
    n, m = 240, 20
    g = np.repeat(np.arange(m), n // m)
    x = rng.uniform(0, 1, n)
    eta = 0.3 + 0.8 * x + rng.normal(0, 0.7, m)[g] + rng.normal(0, 0.7, m)[g] * x
    p, mu = 1 / (1 + np.exp(-eta)), np.exp(eta)
    share = np.clip(rng.beta(8 * p, 8 * (1 - p)), 1e-6, 1 - 1e-6)
    return pd.DataFrame(
        {
            "g": g,
            "x": x,
            "binomial": (rng.random(n) < p).astype(int),
            "poisson": rng.poisson(mu),
            "nbinom2": rng.poisson(mu * rng.gamma(2, 0.5, n)),
            "beta": share,
            "Gamma": rng.gamma(5, mu / 5),
        }
    )


@pytest.mark.filterwarnings("ignore:.*boundary")
@pytest.mark.parametrize("varying", ["(1 | g)", "(x | g)", "(x || g)"])
@pytest.mark.parametrize(
    ("response", "family"),
    [
        ("binomial", "binomial"),
        ("poisson", "poisson"),
        ("nbinom2", "nbinom2"),
        ("beta", "beta"),
        ("Gamma", "Gamma(log)"),
        ("Gamma", "Gamma"),
    ],
)
def test_the_unit_of_a_covariate_changes_its_coefficient_alone(
    several: pd.DataFrame, response: str, family: str, varying: str
) -> None:
    formula = f"{response} ~ x + {varying}"
    first = dm.glmer(formula, several, family=family)
    assert first.converged
    for c in (1e-5, 1e5):
        other = dm.glmer(formula, several.assign(x=c * several["x"]), family=family)
        assert other.converged
        assert other.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-7)
        assert other["x"] == pytest.approx(first["x"] / c, rel=1e-5)
        assert other["(Intercept)"] == pytest.approx(first["(Intercept)"], rel=1e-5)
        assert other.boundary == first.boundary
        if varying != "(1 | g)":
            assert other["sd_x|g"] == pytest.approx(first["sd_x|g"] / c, rel=1e-4)
