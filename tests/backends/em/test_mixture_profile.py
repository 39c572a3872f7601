"""Profile limits of mixtures, against minima over all else by a general optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

import dagmodels as dm

TEXT = """
model two
plate row
plate k = "a", "b"
parameter w[k] simplex
parameter mu[k]
parameter s > 0
z[row] in k ~ Categorical(w)
observed x[row] ~ Normal(mu[z], s)
"""


def values(n: int = 120) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(np.where(rng.uniform(size=n) < 0.4, 2.6, 0.0), 1.0)


def test_limits_are_where_the_criterion_has_risen() -> None:
    x = values()
    fit = dm.read(TEXT).fit({"x": x}, method="em")
    limits = fit.confint("profile").set_index("name")
    e = fit.estimates.set_index("name").estimate
    best = np.array([e["w[a]"], e["mu[a]"], e["mu[b]"], np.log(e["s"])])

    def deviance(p: np.ndarray) -> float:
        share, first, second, log_s = p
        if not 0 < share < 1:
            return 1e10
        one, two = (stats.norm.pdf(x, m, np.exp(log_s)) for m in (first, second))
        return -2 * float(np.log(share * one + (1 - share) * two).sum())

    def rise(place: int, value: float) -> float:
        """The least deviance where one number is held, above the least of all."""
        free = [i for i in range(4) if i != place]
        found = optimize.minimize(lambda q: deviance(np.insert(q, place, value)), best[free], method="BFGS")
        return found.fun - deviance(best)

    quantile = stats.chi2.ppf(0.95, 1)
    for name, place, scale in (
        ("w[a]", 0, float),
        ("mu[a]", 1, float),
        ("mu[b]", 2, float),
        ("s", 3, np.log),
    ):
        for end in ("lower", "upper"):
            assert rise(place, float(scale(limits[end][name]))) == pytest.approx(quantile, abs=1e-3)
    assert limits.lower["w[b]"] == pytest.approx(1 - limits.upper["w[a]"], abs=1e-5)


def test_limits_of_a_chain() -> None:
    """A sticky chain's only unknown: its likelihood by a forward pass at the limits."""
    text = """
    model chain
    plate t ordered
    plate k = "a", "b"
    parameter stay in (0, 1)
    z[t first] in k ~ Categorical([0.5, 0.5])
    z[t] in k ~ Categorical([if_else(z[t-1] == "a", stay, 1 - stay), if_else(z[t-1] == "a", 1 - stay, stay)])
    observed x[t] ~ Normal(3*(z == "b"), 1)
    """
    rng = np.random.default_rng(4)
    z = np.cumsum(rng.uniform(size=150) < 0.15) % 2
    x = rng.normal(3.0 * z, 1.0)
    fit = dm.read(text).fit({"x": x}, method="em")
    (row,) = fit.confint("profile").itertuples()
    best = fit.log_likelihood

    def log_likelihood(stay: float) -> float:
        density = stats.norm.pdf(x[:, None], [0.0, 3.0], 1.0)
        moves = np.array([[stay, 1 - stay], [1 - stay, stay]])
        state, total = np.array([0.5, 0.5]), 0.0
        for t, own in enumerate(density):
            state = (state if t == 0 else state @ moves) * own
            total += np.log(state.sum())
            state = state / state.sum()
        return float(total)

    assert log_likelihood(row.estimate) == pytest.approx(best, abs=1e-8)
    for end in (row.lower, row.upper):
        assert 2 * (best - log_likelihood(end)) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-3)


def test_what_has_no_profile_is_told() -> None:
    text = TEXT.replace("observed x[row] ~ Normal(mu[z], s)", "observed x[row] ~ Bernoulli(mu[z])")
    text = text.replace("parameter mu[k]\nparameter s > 0\n", "parameter mu[k] in (0, 1)\n")
    text = text.replace("plate row\n", "plate row\nplate item\n").replace("x[row]", "x[row, item]")
    rng = np.random.default_rng(3)
    z = rng.uniform(size=60) < 0.5
    x = (rng.uniform(size=(60, 4)) < np.where(z, 0.6, 0.0)[:, None]).astype(float)
    fit = dm.read(text).fit_quietly({"x": x}, method="em")
    assert fit.boundary
    with pytest.raises(dm.FitError, match="boundary of its domain"):
        fit.confint("profile", which=fit.boundary[0])
    limits = fit.confint("profile")
    assert fit.boundary[0] not in set(limits.name)
    assert (limits.lower < limits.estimate).all()
    assert (limits.estimate < limits.upper).all()
