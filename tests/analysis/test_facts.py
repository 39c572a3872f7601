"""Facts of nodes and of whole graphs."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.analysis.facts import facts


@pytest.fixture
def mixed(read):
    return read("""
    plate g; plate r in g
    covariate x[r]
    parameter s > 0
    b ~ Flat(); c ~ Normal(0, 1); t ~ HalfFlat()
    u[g] ~ Normal(c, t)
    w[r] ~ Truncated(Normal(0, 1), lower=0)
    observed n[r] ~ Poisson(exp(b*x + u[g]))
    observed y[r] ~ Normal(b + w, s)
    """)


def test_what_is_true_of_each_node(mixed):
    nodes = facts(mixed).nodes
    assert nodes["s"].prior == "parameter"
    assert nodes["b"].prior == "flat"
    assert nodes["t"].prior == "flat"
    assert nodes["c"].prior == "proper"
    assert nodes["x"].prior is None
    assert nodes["w"].families == ("Truncated", "Normal")
    assert not nodes["w"].gaussian
    assert nodes["n"].discrete
    assert nodes["y"].gaussian
    assert nodes["y"].size is None


def test_groups_of_nodes(mixed):
    found = facts(mixed)
    assert found.stochastic == ("b", "c", "t", "u", "w", "n", "y")
    assert found.observed == ("n", "y")
    assert found.gaussian == ("c", "u", "y")
    assert found.discrete == ("n",)
    assert found.continuous == ("b", "c", "t", "u", "w", "y")
    assert found.latent == ("b", "c", "t", "u", "w")
    assert found.discrete_latents == ()
    assert found.parameters == ("s",)
    assert found.flat == ("b", "t")
    assert found.proper == ("c", "u", "w")
    assert found.unknowns == ("s", "b", "c", "t", "u", "w")
    assert found.hierarchical == ("u",)


def test_missing_values_make_an_observed_node_latent(mixed, bound):
    data = {
        "g": ["a", "a", "b"],
        "x": [1.0, 2.0, 3.0],
        "n": [1, 2, 3],
        "y": [1.0, np.nan, 2.0],
    }
    found = facts(bound(mixed, data))
    assert (found.nodes["y"].size, found.nodes["y"].missing) == (3, 1)
    assert (found.nodes["n"].size, found.nodes["n"].missing) == (3, 0)
    assert found.nodes["u"].size == 2
    assert "y" in found.latent
    assert "n" not in found.latent
    assert "y" not in found.unknowns
    assert found.is_unknown("y")


def test_a_parameter_with_a_fixed_level_stays_a_parameter(read):
    dag = read('plate a; parameter b[a]; b["c"] = 0; observed y[a] ~ Normal(b, 1)')
    assert facts(dag).parameters == ("b",)


def test_tables_with_and_without_numbers(models, read):
    assert facts(models["asia"]).unknown_tables == ()
    dag = read("""
    plate s = "yes", "no"; plate r
    a[r] in s ~ Table([0.2, 0.8])
    observed b[r] in s ~ Table(a)
    """)
    found = facts(dag)
    assert found.unknown_tables == ("b",)
    assert found.discrete == ("a", "b")
    assert found.discrete_latents == ("a",)


def test_mixtures_are_discrete_when_a_component_is(read):
    dag = read("""
    plate r
    observed y[r] ~ Mixture([0.5, 0.5], [Normal(0, 1), StudentT(3, 0, 1)])
    observed n[r] ~ Mixture([0.5, 0.5], [Poisson(1), Poisson(4)])
    """)
    found = facts(dag)
    assert found.discrete == ("n",)
    assert found.nodes["y"].families == ("Mixture", "Normal", "StudentT")


def test_answers_are_kept(mixed):
    found = facts(mixed)
    assert found.gaussian_nodes is found.gaussian_nodes


def test_two_thousand_nodes_are_described(read):
    from dagmodels.analysis.report import report

    lines = ["plate p", "parameter s > 0"]
    lines += [f"parameter b{i}" for i in range(666)]
    lines += [f"u{i}[p] ~ Normal(0, 1)" for i in range(666)]
    lines += [f"observed y{i}[p] ~ Normal(b{i} + u{i} + u{max(i - 1, 0)}, s)" for i in range(667 - 1)]
    dag = read("\n".join(lines))
    made = report(facts(dag))
    assert made.findings == ()
