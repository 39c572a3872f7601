"""Outcomes that covariates tell apart without error have no maximum, and the fit says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

import dagmodels as dm

HEAD = """model m
plate grp
plate row in grp
covariate x[row], z[row]
parameter b0, b1, b2
parameter tau > 0
u[grp] ~ Normal(0, tau)
"""
LOGIT = HEAD + "observed y[row] ~ Bernoulli(expit(b0 + b1*x + b2*z + u))\n"
COUNTS = HEAD + "observed y[row] ~ Poisson(exp(b0 + b1*x + b2*z + u))\n"
N, G = 120, 12


def frame(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, G, N)
    return pd.DataFrame({"grp": group, "x": rng.normal(size=N), "z": (rng.random(N) < 0.3).astype(float)})


def drawn(data: pd.DataFrame, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, 1])
    u = 0.6 * rng.normal(size=G)[data["grp"]]
    return 0.2 + 0.5 * data["x"].to_numpy() - 0.4 * data["z"].to_numpy() + u


@pytest.mark.parametrize("seed", range(3))
def test_complete_separation_is_named(seed: int) -> None:
    data = frame(seed)
    data["y"] = (data["x"] > 0.1).astype(int)
    fit = dm.read(LOGIT).fit_quietly(data)
    assert not fit.converged
    assert "separated by 'b1'" in fit.message
    assert "prior" in fit.message


@pytest.mark.parametrize("seed", range(3))
def test_quasi_separation_is_named(seed: int) -> None:
    """Every row of z = 1 is a success; the rest is ordinary."""
    data = frame(seed)
    chance = special.expit(drawn(data, seed))
    data["y"] = (np.random.default_rng([seed, 2]).random(N) < chance).astype(int)
    data.loc[data["z"] == 1, "y"] = 1
    fit = dm.read(LOGIT).fit_quietly(data)
    assert not fit.converged
    assert "separated by 'b2'" in fit.message


def test_a_group_without_counts_is_named() -> None:
    data = frame(4)
    data["y"] = np.random.default_rng(5).poisson(np.exp(drawn(data, 4)))
    data.loc[data["z"] == 1, "y"] = 0
    fit = dm.read(COUNTS).fit_quietly(data)
    assert not fit.converged
    assert "separated by 'b2'" in fit.message


@pytest.mark.parametrize("text", [LOGIT, COUNTS])
@pytest.mark.parametrize("seed", range(4))
def test_ordinary_outcomes_are_not(text: str, seed: int) -> None:
    data = frame(seed)
    rng = np.random.default_rng([seed, 3])
    eta = drawn(data, seed)
    data["y"] = (
        rng.poisson(np.exp(eta)) if text is COUNTS else (rng.random(N) < special.expit(eta)).astype(int)
    )
    fit = dm.read(text).fit_quietly(data)
    assert fit.converged, fit.message


def test_a_prior_makes_it_finite() -> None:
    data = frame(0)
    data["y"] = (data["x"] > 0.1).astype(int)
    text = LOGIT.replace("parameter b0, b1, b2\n", "b0, b1, b2 ~ Normal(0, 2.5)\n")
    fit = dm.read(text).fit_quietly(data)
    assert fit.converged, fit.message
    assert 0 < fit["b1"] < 20
