"""Angles: mixtures and hidden states of von Mises laws, and the same leaf in other backends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import dagmodels as dm
from dagmodels.backends.em.mixture.angles import concentration
from dagmodels.errors import FitError
from tests.backends.em.test_mixture import lowest

ANGLES = """model angles
plate obs
plate comp = 1..2
parameter w[comp] simplex
parameter mu[comp]
parameter kappa[comp] > 0
z[obs] in comp ~ Categorical(w)
observed y[obs] ~ VonMises(mu[z], kappa[z])
"""


def two_directions(seed: int, n: int = 500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.vonmises(3.0, 4.0, n - n // 3), rng.vonmises(0.5, 8.0, n // 3)])


def test_concentration_solves_its_equation() -> None:
    k = np.array([1e-6, 0.01, 0.3, 1.0, 5.0, 40.0, 1e3, 1e5])
    r = special.i1e(k) / special.i0e(k)
    assert concentration(r) == pytest.approx(k, rel=1e-8)
    assert concentration(np.array([-0.2, 0.0]))[0] < 1e-8
    assert concentration(np.array([1.0]))[0] == np.inf


def test_two_directions_against_direct_maximisation() -> None:
    y = two_directions(1)

    def minus(p: np.ndarray) -> float:
        w = special.expit(p[0])
        one = w * stats.vonmises.pdf(y, np.exp(p[3]), loc=p[1])
        two = (1 - w) * stats.vonmises.pdf(y, np.exp(p[4]), loc=p[2])
        return -float(np.log(one + two).sum())

    best = lowest(minus, [[0.5, 3, 0.5, 1, 2], [0, 2, 0, 0, 0]])
    fit = dm.read(ANGLES).fit({"y": y})
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-7)
    found = fit.estimates.set_index("name")
    large = 1 if fit["w[1]"] > 0.5 else 2
    assert np.cos(fit[f"mu[{large}]"] - best.x[1]) == pytest.approx(1, abs=1e-9)
    assert fit[f"kappa[{large}]"] == pytest.approx(np.exp(best.x[3]), rel=1e-4)
    assert fit[f"w[{large}]"] == pytest.approx(special.expit(best.x[0]), abs=1e-5)
    inverse = np.linalg.inv(optimize.approx_fprime(best.x, lambda p: optimize.approx_fprime(p, minus), 1e-4))
    assert found.loc[f"mu[{large}]", "se"] == pytest.approx(np.sqrt(inverse[1, 1]), rel=2e-3)


def test_one_direction_is_that_of_the_mean_vector() -> None:
    """A chain of one state: closed forms."""
    y = two_directions(2)
    text = ANGLES.replace("1..2", "1..1")
    fit = dm.read(text).fit_quietly({"y": y})
    total = np.exp(1j * y).mean()
    assert fit["mu[1]"] == pytest.approx(np.angle(total), abs=1e-6)
    assert special.i1e(fit["kappa[1]"]) / special.i0e(fit["kappa[1]"]) == pytest.approx(abs(total), abs=1e-7)


def test_hidden_directions() -> None:
    """Wind that turns: a shared concentration, angles on both sides of the cut at pi."""
    text = """model wind
plate t ordered
plate state = 1..2
plate to as state
parameter p[state, to] simplex
parameter mu[state]
parameter kappa > 0
z[t first] in state ~ Categorical([0.5, 0.5])
z[t] in state ~ Categorical(p[z[t-1], to])
observed y[t] ~ VonMises(mu[z], kappa)
"""
    rng = np.random.default_rng(3)
    state = (np.arange(600) // 20) % 2
    y = rng.vonmises(np.where(state, np.pi, 1.0), 6.0)
    fit = dm.read(text).fit({"y": y})
    assert fit.converged
    path = fit.states()["path"].to_numpy() - 1
    agree = np.mean(path == state)
    assert max(agree, 1 - agree) > 0.95  # the states overlap in fewer than 1 % of the steps
    for k in (1, 2):
        mine = y[path == k - 1]
        assert np.cos(np.angle(np.exp(1j * mine).sum()) - fit[f"mu[{k}]"]) > 0.999


def test_a_component_on_one_angle_is_named() -> None:
    y = np.concatenate([np.full(60, 1.0), np.random.default_rng(4).vonmises(-2.0, 3.0, 40)])
    with pytest.raises(FitError, match=r"shrinks onto its values \('kappa\[[12]\]'"):
        dm.read(ANGLES).fit({"y": y})


REGRESSION = """model turning
plate row
covariate x[row]
parameter b0, b1
parameter kappa > 0
observed y[row] ~ VonMises(b0 + b1*x, kappa)
"""


def test_angles_by_laplace_and_em_of_no_states() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, 300)
    y = (0.4 + 0.8 * x + rng.vonmises(0, 5.0, 300) + np.pi) % (2 * np.pi) - np.pi

    def minus(p: np.ndarray) -> float:
        return -float(stats.vonmises.logpdf(y, np.exp(p[2]), loc=p[0] + p[1] * x).sum())

    best = optimize.minimize(minus, [0, 0, 1], method="BFGS", options={"gtol": 1e-8})
    fit = dm.read(REGRESSION).fit(pd.DataFrame({"x": x, "y": y}))
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-8)
    assert [fit["b0"], fit["b1"], fit["kappa"]] == pytest.approx([*best.x[:2], np.exp(best.x[2])], rel=1e-5)


def test_directions_of_groups_by_laplace() -> None:
    """Random directions: the marginal likelihood by quadrature with many nodes, group by group."""
    text = """model herds
plate herd
plate row in herd
parameter m
parameter tau, kappa > 0
u[herd] ~ Normal(m, tau)
observed y[row] ~ VonMises(u[herd], kappa)
"""
    rng = np.random.default_rng(6)
    herd = np.repeat(np.arange(25), 6)
    y = (0.3 + 0.5 * rng.normal(size=25)[herd] + rng.vonmises(0, 4.0, 150) + np.pi) % (2 * np.pi) - np.pi
    z, w = np.polynomial.hermite_e.hermegauss(80)

    def minus(p: np.ndarray) -> float:
        mean = p[0] + np.exp(p[1]) * z
        each = stats.vonmises.logpdf(y[:, None], np.exp(p[2]), loc=mean)
        total = np.array([each[herd == g].sum(axis=0) for g in range(25)])
        return -float(special.logsumexp(total, b=w / np.sqrt(2 * np.pi), axis=1).sum())

    best = optimize.minimize(minus, [0.3, -0.7, 1.4], method="BFGS")
    fit = dm.read(text).fit(pd.DataFrame({"herd": herd, "y": y}), method="laplace", quadrature=15)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-4)
    assert [fit["m"], fit["tau"], fit["kappa"]] == pytest.approx([best.x[0], *np.exp(best.x[1:])], rel=1e-3)


def test_angles_are_drawn() -> None:
    """The posterior mean of a direction: a grid of its density, within five Monte Carlo standard errors."""
    text = """model drawn
plate row
mu ~ Normal(0, 1)
kappa ~ Gamma(2, 0.5)
observed y[row] ~ VonMises(mu, kappa)
"""
    y = np.random.default_rng(7).vonmises(0.7, 3.0, 40)
    fit = dm.read(text).fit({"y": y}, method="gibbs", seed=1)
    mu, k = np.linspace(-0.5, 2, 301), np.linspace(0.05, 12, 400)
    log = k * np.cos(y[:, None, None] - mu[:, None]).sum(axis=0) - 40 * (np.log(special.i0e(k)) + k)
    log = log - 0.5 * mu[:, None] ** 2 + np.log(k) - 0.5 * k
    p = np.exp(log - log.max())
    p /= p.sum()
    frame = fit.estimates.set_index("name")
    for name, exact in (("mu", (p.sum(axis=1) * mu).sum()), ("kappa", (p.sum(axis=0) * k).sum())):
        assert abs(frame.loc[name, "estimate"] - exact) < 5 * frame.loc[name, "mcse"]
