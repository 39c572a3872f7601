"""Backends agree where they answer the same question, and intervals cover as often as they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.measurement.test_designs import FRAMINGHAM, framingham

SCATTER = """
model scatter
plate row
covariate sx[row], sy[row]
parameter a, b, mu
parameter s, t > 0
x[row] ~ Normal(mu, t)
observed w[row] ~ Normal(x, sx)
observed y[row] ~ Normal(a + b*x, sqrt(s**2 + sy**2))
"""
TRUTH = {"a": 0.5, "b": 2.0, "mu": 1.0, "s": 0.7, "t": 1.0}
LINEAR = """
model linear
plate row
parameter a, b, mu
parameter s, t > 0
x[row] ~ Normal(mu, t)
observed w[row] ~ Normal(x, 0.6)
observed y[row] ~ Normal(a + b*x, s)
"""
FEWER = 400
PRIORS = "b0, b_x, b_z ~ Normal(0, 5)\ngamma0, gamma1 ~ Normal(0, 5)\ns_x, s_u ~ HalfNormal(3)\n"


def coverage(n: int, draws: int) -> None:
    """95 % limits cover 93 to 97 % of the time, up to the simulation's error (beyond once in 10,000 runs)."""
    found = dm.design(
        dm.read(SCATTER), TRUTH, ["a", "b", "mu"], sizes={"row": n}, draws=draws, seed=20261123,
        data=lambda sizes, rng: {k: rng.uniform(0.2, 0.8, sizes["row"]) for k in ("sx", "sy")},
    )  # fmt: skip
    table = found.table
    assert (table["fits"] == draws).all()
    error = 3.9 * np.sqrt(0.05 * 0.95 / draws)
    assert ((table["coverage"] > 0.93 - error) & (table["coverage"] < 0.97 + error)).all()


def test_limits_cover_with_errors_by_row_and_scatter() -> None:
    coverage(200, 300)


@pytest.mark.long
def test_limits_cover_with_errors_by_row_and_scatter_in_many_data_sets() -> None:
    coverage(200, 5000)


def test_the_linear_case_is_one_in_every_form_and_backend() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(1, 1.2, 300)
    d = {"w": x + 0.6 * rng.normal(size=300), "y": 0.5 + 2 * x + 0.8 * rng.normal(size=300)}
    graph = dm.read(LINEAR)
    fits = {
        "field": graph.fit(d, form="field"),
        "moments": graph.fit(d, form="moments"),
        "em": graph.fit(d, method="em"),
        "sem": dm.sem("x =~ 1*w + y\nw ~~ 0.36*w\nx ~ mu*1\nw ~ 0*1", d, meanstructure=True),
    }
    want = fits["field"].estimates.set_index("name").estimate
    for name in ("moments", "em"):
        found = fits[name].estimates.set_index("name").estimate
        np.testing.assert_allclose(found[want.index], want, rtol=1e-6)
        assert fits[name].log_likelihood == pytest.approx(fits["field"].log_likelihood, abs=1e-6)
    sem = fits["sem"]
    assert sem.log_likelihood == pytest.approx(fits["field"].log_likelihood, abs=1e-6)
    assert sem["x=~y"] == pytest.approx(want["b"], rel=1e-6)


def test_a_binary_outcome_by_draws_and_by_modes() -> None:
    """With weak priors mode and mean of the posterior, and the maximum of the likelihood by quadrature, are
    apart by a fraction of a standard error. A slope integrated along with the true values would end at their
    joint mode, two standard errors away."""
    text = FRAMINGHAM.replace("parameter b0, b_x, b_z, gamma0, gamma1\nparameter s_x, s_u > 0\n", "") + PRIORS
    d = {k: v[:FEWER] for k, v in framingham().items()}
    graph = dm.read(text)
    draws = graph.fit(d, method="gibbs", seed=3).estimates.set_index("name")
    mode = graph.fit(d, method="laplace", check=False)
    most_likely = dm.read(FRAMINGHAM).fit(d)
    for name in ("b0", "b_x", "b_z", "gamma1", "s_x", "s_u"):
        mean, sd = draws.loc[name, ["estimate", "se"]]
        error = draws.loc[name, "mcse"] / sd
        assert abs(mean - most_likely[name]) / sd < 0.25 + 3.9 * error
        assert abs(mean - mode[name]) / sd < 0.5 + 3.9 * error
    assert mode.estimates.set_index("name").loc["b_x", "what"] == "maximised"


def test_a_binary_outcome_by_em_is_that_by_laplace() -> None:
    d = {k: v[:FEWER] for k, v in framingham().items()}
    graph = dm.read(FRAMINGHAM)
    fit, em = graph.fit(d), graph.fit(d, method="em")
    assert em.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)
    want, found = (f.estimates.set_index("name") for f in (fit, em))
    np.testing.assert_allclose(found.estimate[want.index], want.estimate, rtol=1e-5)
    np.testing.assert_allclose(found.se[want.index], want.se, rtol=1e-4)


def test_true_values_of_a_mixture_or_of_an_unknown_law() -> None:
    """With three components, or the law left open, the slope is the true one up to 3.9 standard errors, and
    the likelihood above that of a Normal law."""
    rng, n = np.random.default_rng(12), 800
    x = rng.choice([-1.5, 0.0, 3.0], n, p=[0.3, 0.4, 0.3]) + 0.4 * rng.normal(size=n)
    d = {"w": x + 0.5 * rng.normal(size=n), "y": 0.3 + 1.5 * x + 0.5 * rng.normal(size=n)}
    head = "model m\nplate row\nparameter a, b\nparameter s > 0\n"
    leaves = "observed w[row] ~ Normal(x, 0.5)\nobserved y[row] ~ Normal(a + b*x, s)\n"
    mixture = "plate comp = 1..3\nparameter p[comp] simplex\nparameter mu[comp]\nparameter t[comp] > 0\n"
    mixture += "z[row] in comp ~ Categorical(p)\nx[row] ~ Normal(mu[z], t[z])\n"
    normal = dm.read(head + "parameter mu\nparameter t > 0\nx[row] ~ Normal(mu, t)\n" + leaves).fit(d)
    for law in (mixture, "x[row] ~ NPMLE()\n"):
        fit = dm.read(head + law + leaves).fit(d)
        row = fit.estimates.set_index("name").loc["b"]
        assert abs(row.estimate - 1.5) < 3.9 * row.se
        assert fit.log_likelihood > normal.log_likelihood + 10


def test_counts_by_em_and_by_draws_are_those_by_laplace() -> None:
    graph = dm.read("specs/eiv/poisson.dag")
    fit, em = graph.fit(), graph.fit(method="em")
    assert em.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-6)
    want, found = (f.estimates.set_index("name") for f in (fit, em))
    np.testing.assert_allclose(found.estimate[want.index], want.estimate, rtol=1e-5)
    text = str(graph).replace("parameter a, b, c, g0, g1\nparameter s > 0\n", "")
    assert "parameter" not in text
    draws = dm.read(text + "\na, b, c, g0, g1 ~ Normal(0, 5)\ns ~ HalfNormal(3)\n")
    frame = pd.read_csv("specs/eiv/poisson.csv")
    posterior = draws.fit(frame, method="gibbs", seed=5).estimates.set_index("name")
    for name in want.index:  # weak priors and 400 rows: means and maxima are a fraction of an error apart
        mean, sd, mcse = posterior.loc[name, ["estimate", "se", "mcse"]]
        assert abs(mean - want.estimate[name]) / sd < 0.25 + 3.9 * mcse / sd
