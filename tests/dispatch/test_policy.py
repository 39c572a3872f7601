"""The policy: a golden table of models and rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagmodels.analysis.facts import facts
from dagmodels.dispatch.policy import POLICY, rule_for
from dagmodels.readers import read

MODELS = Path(__file__).parent.parent / "models"

GOLDEN = {
    "alligators": "proper priors",
    "asia": "known network",
    "birats": "proper priors",
    "cfa3": "continuous latents",
    "dugongs": "proper priors",
    "eight_schools": "proper priors",
    "epil": "proper priors",
    "equal_loadings": "continuous latents",
    "gaussian_mixture": "proper priors",
    "gp_regression": "proper priors",
    "growth": "continuous latents",
    "hmm": "proper priors",
    "local_level": "continuous latents",
    "lsat": "proper priors",
    "mediation": "continuous latents",
    "misclassified": "continuous latents",
    "pump": "proper priors",
    "radon": "proper priors",
    "rats": "proper priors",
    "replicates": "continuous latents",
    "salm": "proper priors",
    "seeds": "proper priors",
    "sigmoid_belief_net": "proper priors",
    "stagnant": "proper priors",
    "stepped_wedge": "continuous latents",
    "stochastic_volatility": "proper priors",
}


def test_the_table():
    assert [(rule.name, rule.prefers) for rule in POLICY] == [
        ("known network", ("em",)),
        ("proper priors", ("gibbs", "laplace")),
        ("continuous latents", ("laplace",)),
        ("discrete latents", ("em",)),
    ]


def test_every_model_of_the_language_is_in_the_golden_table():
    assert {p.stem for p in MODELS.glob("*.dag")} == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    assert rule_for(facts(read(MODELS / f"{name}.dag"))).name == GOLDEN[name]


@pytest.mark.parametrize(
    ("statements", "rule"),
    [
        ("parameter m\nobserved y[r] ~ Normal(m, 1)", "continuous latents"),
        ("m ~ Flat()\nobserved y[r] ~ Normal(m, 1)", "continuous latents"),
        ("m ~ Normal(0, 1)\nobserved y[r] ~ Normal(m, 1)", "proper priors"),
        ("m ~ Normal(0, 1)\nparameter s > 0\nobserved y[r] ~ Normal(m, s)", "continuous latents"),
        ("parameter m[k]\nz[r] in k ~ Categorical([0.3, 0.7])\nobserved y[r] ~ Normal(m[z], 1)",
         "discrete latents"),
        ("z[r] in k ~ Table([0.5, 0.5])\nobserved q[r] in k ~ Table(z)", "discrete latents"),
        ("observed z[r] in k ~ Table([0.5, 0.5])", "known network"),
        ("observed z[r] in k ~ Table()", "discrete latents"),
    ],
)  # fmt: skip
def test_small_models(statements, rule):
    dag = read(f"model small\nplate r\nplate k = 1..2\n{statements}\n")
    assert rule_for(facts(dag)).name == rule


def test_missing_data_move_a_discrete_node_to_the_last_rule():
    from dagmodels.bind.bind import bind

    dag = read("model m\nplate r\nparameter p in (0, 1)\nobserved x[r] ~ Bernoulli(p)\n")
    given = bind(dag, {"x": [0.0, 1.0, 1.0]})
    missing = bind(dag, {"x": [0.0, float("nan"), 1.0]})
    assert rule_for(facts(given)).name == "continuous latents"
    assert (
        rule_for(facts(missing)).name == "continuous latents"
    )  # nothing depends on it: it integrates to one
    used = read(f"{dag}observed y[r] ~ Normal(x, 1)\n")
    missing = bind(used, {"x": [0.0, float("nan"), 1.0], "y": [0.1, 0.2, 0.3]})
    assert rule_for(facts(missing)).name == "discrete latents"
