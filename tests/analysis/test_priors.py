"""Examples of priors in messages: they can be written into the model, and have the parameter's own domain."""

from __future__ import annotations

import pytest

import dagmodels as dm
from dagmodels.analysis.improper import improper
from dagmodels.analysis.priors import example_prior

PLATES = "plate r\nplate k = 1..2\nplate k2 as k\n"


@pytest.mark.parametrize(
    ("line", "example"),
    [
        ("parameter a", "a ~ Normal(0, 10)"),
        ("parameter a[k]", "a[k] ~ Normal(0, 10)"),
        ("parameter a > 0", "a ~ HalfNormal(5)"),
        ("parameter a > 1", "a ~ Truncated(Normal(0, 10), lower=1)"),
        ("parameter a < 0", "a ~ Truncated(Normal(0, 10), upper=0)"),
        ("parameter a in (0, 1)", "a ~ Beta(1, 1)"),
        ("parameter a in (-1, 1)", "a ~ Uniform(-1, 1)"),
        ("parameter a[k] simplex", "a[k] ~ Dirichlet(1)"),
        ("parameter a[k] ordered", "a[k] ~ Ordered(Normal(0, 10))"),
        ("parameter a[k, k2] correlation", "a[k, k2] ~ LKJCorr(2)"),
        ("parameter a[k, k2] covariance", "a[k, k2] ~ InverseWishart(nu, Psi)"),
        ("a ~ HalfFlat()", "a ~ HalfNormal(5)"),
        ("a ~ Flat()", "a ~ Normal(0, 10)"),
    ],
)
def test_examples(line: str, example: str):
    graph = dm.read(f"model m\n{PLATES}{line}\nobserved y[r] ~ Normal(0, 1)")
    assert example_prior(graph.dag, "a") == example
    told = example.replace("(nu, Psi)", "(4, [[1, 0], [0, 1]])")
    assert (
        dm.read(f"model m\n{PLATES}{told}\nobserved y[r] ~ Normal(0, 1)").dag.nodes["a"].kind == "stochastic"
    )


def test_a_posterior_without_priors_is_refused_with_one_example_for_each_domain():
    graph = dm.read(
        f"model m\n{PLATES}parameter a, b\nparameter s > 0\nparameter R[k, k2] correlation\n"
        "x[r, k] ~ MvNormal(0, R)\nobserved y[r] ~ Normal(a + b*x[r, 1], s)"
    )
    with pytest.raises(dm.FitError, match=r"'a ~ Normal\(0, 10\)', 's ~ HalfNormal\(5\)', 'R\[k, k2\] ~ LKJ"):
        graph.fit({"y": [1.0, 2.0, 4.0]}, method="laplace", posterior=True, check=False)


def test_parameters_that_are_drawn_flat_may_leave_the_posterior_improper():
    graph = dm.read(
        "model m\nplate g\nplate r in g\nparameter m\nparameter t, s > 0\n"
        "a[g] ~ Normal(m, t)\nobserved y[r] ~ Normal(a[g], s)"
    )
    data = {"g": list("aabb"), "y": [1.0, 2.0, 3.0, 5.0]}
    plan = str(graph.plan(data, method="gibbs"))
    assert "'t' has a flat prior and 'a' has only 2 elements (give 't' a proper prior)" in plan
    assert graph.plan(data, method="laplace").backend == "laplace"  # who maximises assumes no prior
    three = {"g": list("aabbcc"), "y": [1.0, 2.0, 3.0, 5.0, 0.0, 1.0]}
    plan = graph.plan(three, method="gibbs")
    assert plan.backend == "gibbs"
    assert "'m', 't', 's': flat, as there is no prior" in str(plan)
    assert improper(graph.dag) == ()
