"""Which discrete unknowns can be summed out, and how they hang together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.discrete_latents import discrete_latents
from dagmodels.bind.bind import bind

CASES = {
    "mixture": (
        "plate i\nplate c = 1..3\nz[i] in c ~ Categorical(w)\nobserved y[i] ~ Normal(m[z], 1)\n"
        "w[c] ~ Dirichlet(1)\nm[c] ~ Normal(0, 1)",
        (("z",), ("y",), (), "separate", None),
        3,
    ),
    "chain": (
        "plate t ordered\nplate s = 1..2\nplate to as s\nz[t first] in s ~ Categorical([0.5, 0.5])\n"
        "z[t] in s ~ Categorical(p[z[t-1], to])\nobserved y[t] ~ Normal(m[z], 1)\n"
        "p[s, to] ~ Dirichlet(1)\nm[s] ~ Normal(0, 1)",
        (("z",), ("y",), (), "chain", "t"),
        2,
    ),
    "through a deterministic node": (
        "plate i\nz[i] ~ Bernoulli(p)\nmu[i] = a*z\nobserved y[i] ~ Normal(mu, 1)\n"
        "p ~ Beta(1, 1)\na ~ Normal(0, 1)",
        (("z",), ("y",), ("mu",), "separate", None),
        2,
    ),
    "two in one law": (
        "plate i\nu[i] ~ Bernoulli(p)\nv[i] ~ Bernoulli(p)\nobserved y[i] ~ Normal(u + v, 1)\np ~ Beta(1, 1)",
        (("u", "v"), ("y",), (), "joint", None),
        2,
    ),
    "sums over elements": (
        "plate i\nplate k = 1..3\nz[i, k] ~ Bernoulli(p)\nobserved y[i] ~ Normal(sum(z[i, k] for k), 1)\n"
        "p ~ Beta(1, 1)",
        (("z",), ("y",), (), "joint", None),
        2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_groups_name_their_leaves_and_how_they_hang_together(name: str) -> None:
    text, expected, states = CASES[name]
    found = discrete_latents(dm.read(f"model m\n{text}").dag)
    (group,) = found.groups
    assert (group.nodes, group.leaves, group.through, group.kind, group.plate) == expected
    assert {node.states for node in found.nodes.values()} == {states}
    assert not found.refused


def test_gaps_of_observed_nodes_count_where_others_depend_on_them() -> None:
    g = dm.read(
        "model m\nplate i\nobserved x[i] ~ Bernoulli(p)\nobserved y[i] ~ Bernoulli(expit(a*x))\n"
        "p ~ Beta(1, 1)\na ~ Normal(0, 1)"
    )
    assert not discrete_latents(g.dag).nodes
    df = pd.DataFrame({"x": [1.0, np.nan, 0.0], "y": [1.0, np.nan, 0.0]})
    found = discrete_latents(g.dag, bind(g.dag, df))
    assert list(found.nodes) == ["x"]
    assert found.nodes["x"].partly
    assert found.nodes["x"].informed


@pytest.mark.parametrize(
    ("law", "why"),
    [("Poisson(3)", "without an upper end"), ("Geometric(p)", "without an upper end")],
)
def test_what_has_no_list_of_states_is_refused_by_name(law: str, why: str) -> None:
    g = dm.read(f"model m\nplate i\nn[i] ~ {law}\nobserved y[i] ~ Normal(n, 1)\np ~ Beta(1, 1)")
    assert why in discrete_latents(g.dag).refused["n"]


def test_binomial_counts_have_as_many_states_as_the_data_say() -> None:
    g = dm.read(
        "model m\nplate i\ncovariate n[i]\nk[i] ~ Binomial(n, p)\nobserved y[i] ~ Normal(k, 1)\n"
        "p ~ Beta(1, 1)"
    )
    found = discrete_latents(g.dag, bind(g.dag, pd.DataFrame({"n": [3, 5], "y": [1.0, 2.0]})))
    assert found.nodes["k"].states == 6
