"""What cannot be drawn is named with its parents' values, whichever route would draw it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

import dagmodels as dm
from dagmodels.backends.gibbs.reasons import impossible
from dagmodels.bind.bind import bind

HEIGHTS = "model h\nplate r\nm ~ Normal(0, 1)\ns ~ HalfNormal(1)\nobserved y[r] ~ Normal(m, s)\n"
ROUTES = pytest.mark.parametrize("collapse", [True, False])


@ROUTES
@pytest.mark.parametrize(
    ("more", "data", "told"),
    [
        (
            "covariate q[r]\nobserved z[r] ~ Bernoulli(q)",
            {"q": [0.0, 1.0, 0.5], "z": [1.0, 1.0, 0.0]},
            r"node z\[0\] has probability zero under its parents: p = 0 but z = 1; look at these data",
        ),
        (
            "observed u[r] ~ Uniform(0, 2)",
            {"u": [0.1, 1.0, 2.5]},
            r"node u\[2\] has probability zero under its parents: lower = 0, upper = 2 but u = 2\.5",
        ),
    ],
)
def test_data_of_probability_zero(collapse: bool, more: str, data: dict[str, Any], told: str):
    graph = dm.read(HEIGHTS + more)
    with pytest.raises(dm.FitError, match=told):
        graph.fit({"y": [0.1, 0.4, 1.0], **data}, method="gibbs", draws=20, collapse=collapse)


def test_data_of_probability_zero_where_nothing_is_left_to_sample():
    graph = dm.read("model b\nplate r\ncovariate q[r]\np ~ Beta(1, 1)\n"
                    "observed z[r] ~ Bernoulli(p)\nobserved y[r] ~ Bernoulli(q)")  # fmt: skip
    with pytest.raises(
        dm.FitError, match=r"node y\[1\] has probability zero under its parents: p = 0 but y = 1"
    ):
        graph.fit({"q": [0.5, 0.0], "y": [0.0, 1.0], "z": [1.0, 0.0]}, method="gibbs", draws=20)


@ROUTES
@pytest.mark.parametrize(
    ("inits", "told"),
    [
        ({"s": -1.0}, r"inits of chain [12]: 's' is -1, which is not inside its bound"),
        ([{"s": 1.0}, {"s": 0.0}], r"inits of chain 2: 's' is 0, which is not inside its bound"),
        ({"m": [1.0, 2.0]}, r"inits of chain [12]: 'm' has shape \(2,\), its plates need \(\)"),
        ({"mm": 1.0}, r"inits: the model has no node 'mm'; did you mean 'm'\?"),
    ],
)
def test_initial_values_that_are_impossible(collapse: bool, inits: Any, told: str):
    with pytest.raises(dm.FitError, match=told):
        dm.read(HEIGHTS).fit(
            {"y": [0.1, 0.4, 1.0]}, method="gibbs", draws=20, chains=2, collapse=collapse, inits=inits
        )


def test_a_density_that_is_finite_somewhere_is_not_impossible():
    assert impossible(bind(dm.read(HEIGHTS).dag, {"y": [0.1, 0.4, 1.0]})) == ""


def test_what_has_no_derivative_is_named_with_its_node():
    graph = dm.read("model t\nplate r\nn ~ Poisson(6)\nobserved y[r] ~ Hypergeometric(n, 5, 3, 2)")
    for collapse in (True, False):
        with pytest.raises(dm.FitError, match=r"'y' has no tape form: unknown counts of a Hyper"):
            graph.fit({"y": [1, 2]}, method="gibbs", draws=20, collapse=collapse)


def test_flat_priors_are_told_by_plan_and_fit():
    graph = dm.read("model f\nplate r\nparameter m\nparameter s > 0\nobserved y[r] ~ Normal(m, s)")
    data = {"y": [0.1, 0.4, 1.0, -0.5, 2.0]}
    assert "'m', 's': flat, as there is no prior" in str(graph.plan(data, method="gibbs"))
    fit = graph.fit_quietly(data, method="gibbs", draws=50, warmup=50)
    assert fit.method.endswith("flat priors assumed for m, s")
    assert "flat, as there is no prior" in str(fit.plan)


def test_a_funnel_is_told_with_its_scale_and_the_remedy():
    graph = dm.read("model fun\nplate r\nplate k = 1..9\nv ~ Normal(0, 3)\nx[k] ~ Normal(0, exp(v/2))\n"
                    "observed y[r] ~ Normal(v, 10)\nobserved w[k] ~ Normal(x, 100)")  # fmt: skip
    data = {"y": [0.1], "w": np.zeros(9)}
    fit = graph.fit_quietly(data, method="gibbs", draws=300, warmup=15, collapse=False)  # too short to choose
    assert not fit.converged
    assert "try x[k] as a mean plus exp(v/2) times x_z[k] ~ Normal(0, 1)" in fit.message
    fit = graph.fit_quietly(data, method="gibbs", draws=300, warmup=300, collapse=False)
    assert "'x' in units of 'v': the density is" in str(fit.plan)
    assert fit.diagnostics["rhat"] < 1.05, fit.message
    assert "x_z" not in fit.message


def test_trajectories_of_the_collapsed_posterior_say_what_they_move(monkeypatch):
    """Where proposals are not safe: effects are integrated, and a scale in standard units is computed."""
    from dagmodels.backends.gibbs import collapsed_route
    from dagmodels.backends.gibbs.options import Options
    from dagmodels.backends.gibbs.recipe import Recipe

    monkeypatch.setattr(collapsed_route, "GRID", 0)
    monkeypatch.setattr(collapsed_route, "proposals", lambda *_: (None, "not asked"))
    data = {"r": range(8), "y": [28.0, 8, -3, 7, -1, 1, 18, 12]}
    one = "model one\nplate r\ntheta[r] ~ Normal(mu, tau)\nmu ~ Normal(0, 5)\n"
    one += "observed y[r] ~ Normal(theta, 9)\n"
    for prior, moved in (
        ("tau ~ HalfNormal(A)\nA ~ Uniform(1, 10)", {"tau", "A"}),
        ("tau ~ LogNormal(m, v)\nm ~ Normal(0, 1)\nv ~ HalfNormal(1)", {"m", "v"}),
    ):
        route = Recipe.of(bind(dm.read(one + prior).dag, data), Options()).route()
        assert route.method.startswith("trajectories")
        assert set(route.moved) == moved


def test_censoring_as_jags_has_it():
    """`dinterval`: the posterior of m by quadrature, the normal survival at the limit for what is censored.

    Monte Carlo error at ESS of 1600 or more: 5 errors, 6e-7; censored values lie beyond their limits, always.
    """
    text = (
        """model { for (i in 1:N) { t[i] ~ dnorm(m, 1); w[i] ~ dinterval(t[i], c[i]) } m ~ dnorm(0, 0.25) }"""
    )
    data = {"N": 5, "t": [0.3, 1.1, None, -0.4, None], "w": [0, 0, 1, 0, 1], "c": [2.0, 2.0, 1.5, 2.0, 0.8]}
    fit = dm.read(text, data, format="bugs").fit(method="gibbs", draws=2000, warmup=500, target_accept=0.98)
    assert fit.converged, fit.message
    t = fit.samples["t"]
    assert (t[:, :, 2] > 1.5).all()
    assert (t[:, :, 4] > 0.8).all()

    def density(m: float) -> float:
        seen = stats.norm.logpdf([0.3, 1.1, -0.4], m).sum()
        return float(np.exp(seen + stats.norm.logsf([1.5, 0.8], m).sum() + stats.norm.logpdf(m, 0, 2)))

    total = integrate.quad(density, -6, 8)[0]
    mean = integrate.quad(lambda m: m * density(m), -6, 8)[0] / total
    row = fit.estimates.set_index("name").loc["m"]
    assert abs(row["mean"] - mean) < 5 * row["mcse"]


def test_contradictory_indicators_are_named():
    text = "model { t ~ dnorm(0, 1); w ~ dbern(t > a); u ~ dbern(t > b) }"
    model = dm.read(text, {"w": 1, "u": 0, "a": 2.0, "b": 1.0}, format="bugs")
    with pytest.raises(dm.FitError, match=r"node [wu] has probability zero under its parents: p = [01]"):
        model.fit(method="gibbs", draws=20)


SEPARATED = """model s
plate i
covariate x[i]
observed y[i] ~ Bernoulli(expit(a + b*x))
a, b ~ {}
"""
SEPARATED_DATA = {"x": [1.0, 2, 3, 4], "y": [0, 0, 1, 1]}


def test_flat_priors_of_separated_outcomes_are_told():
    """Chains run off for ever, or until every step is as good as any."""
    from dagmodels.backends.gibbs.reasons import flat_priors

    graph = dm.read(SEPARATED.format("Flat()"))
    told = flat_priors(bind(graph.dag, SEPARATED_DATA))
    assert "'a', 'b' have flat priors, which the data do not make up for" in told
    assert flat_priors(bind(dm.read(SEPARATED.format("Normal(0, 2)")).dag, SEPARATED_DATA)) == ""
    for seed in (1, 2, 3):
        assert "have flat priors" in _message(graph, seed)


def _message(graph: Any, seed: int) -> str:
    options: dict[str, Any] = {"draws": 200, "warmup": 300, "chains": 2, "seed": seed}
    try:
        fit = graph.fit(SEPARATED_DATA, method="gibbs", **options)
    except dm.FitError as error:
        return str(error)
    assert not fit.converged
    return fit.message


def test_a_first_step_is_not_looked_for_in_the_wrong_direction():
    from dagmodels.numerics.sampling import nuts
    from dagmodels.numerics.sampling.nuts import Metric

    level = nuts.sampler(lambda y: (0.0, np.zeros_like(y)), 2)
    for guess in (1.0, 1e8):
        rng = np.random.default_rng(1)
        with pytest.raises(dm.FitError, match="the density is flat"):
            nuts.first_step(level, level.at(np.zeros(2)), Metric.identity(2), rng, guess)
