"""Which latents are conjugate to their children, and the sentences for those that are not."""

from __future__ import annotations

import pytest

import dagmodels as dm
from dagmodels.analysis.conjugacy import Conjugate, conjugate
from dagmodels.analysis.monomial import monomial
from dagmodels.analysis.reach import Reach
from dagmodels.analysis.roles import roles
from dagmodels.graph.printing import expression_text

HEAD = """model m
plate g
plate r in g
plate g2 as g
covariate x[r], w[r]
parameter a, c, s > 0
parameter b
theta[g] ~ Gamma(a, c)
"""


def pair(text: str, latents: frozenset[str] = frozenset()) -> Conjugate | str:
    return conjugate(Reach(dm.read(HEAD + text).dag), "theta", latents)


WRITTEN = (
    "theta*x",
    "x*theta/w",
    "exp(b*x)*theta",
    "exp(b*x + log(theta))",
    "exp(log(theta) - b)",
    "sqrt(theta**2)*x",
    "theta**2*x/theta",
    "if_else(x > 0, theta*w, theta)",
    "1/(x/theta)",
)


@pytest.mark.parametrize("mu", WRITTEN)
def test_ways_of_writing_a_multiple(mu: str) -> None:
    found = pair(f"observed y[r] ~ Poisson({mu})")
    assert isinstance(found, Conjugate)
    assert found.children[0].reference.name == "theta"


REFUSED = {
    "theta + x": "mu of 'y' is no multiple of 'theta'",
    "theta**2": "mu of 'y', theta[g]**2, is not of the form that 'theta' needs",
    "x/theta": "mu of 'y', x/theta[g], is not of the form that 'theta' needs",
    "sum(theta[g2] for g2)": "mu of 'y' is no multiple of 'theta'",
    "exp(theta)": "mu of 'y' is no multiple of 'theta'",
    "theta*v": "'y' depends on 'v' too",
}


@pytest.mark.parametrize("mu", REFUSED)
def test_what_is_no_multiple(mu: str) -> None:
    text = "v[r] ~ Normal(0, s)\n" if "v" in mu else ""
    assert pair(f"{text}observed y[r] ~ Poisson({mu})", frozenset({"v"})) == REFUSED[mu]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("y[r] ~ Poisson(theta)", "its child 'y' is not observed"),
        ("observed y[r] ~ Normal(theta, s)", "'theta' stands in other parameters of 'y' than sigma"),
        ("observed y[r] ~ Gamma(theta, theta)", "'theta' stands in other parameters of 'y' than beta"),
        ("observed y[r] ~ Bernoulli(theta)", "'y' is Bernoulli, which has no conjugate pair with Gamma"),
        (
            "observed y[r] ~ Censored(Poisson(theta), upper=3)",
            "'y' is Censored, which has no conjugate pair with Gamma",
        ),
    ],
)
def test_children_that_are_not_conjugate(text: str, why: str) -> None:
    assert pair(text) == why


def test_a_latent_beside_it_is_named() -> None:
    g = dm.read(HEAD + "v[g] ~ Normal(0, s)\nobserved y[r] ~ Poisson(theta*exp(v))")
    found = roles(g.dag)
    assert not found.collapsed


def test_coefficients_beside_it_are_outer() -> None:
    g = dm.read(HEAD + "d ~ Normal(0, 10)\nobserved y[r] ~ Poisson(theta*exp(b*x + d*w))")
    found = roles(g.dag)
    assert list(found.collapsed) == ["theta"]
    assert set(found.outer) == {"a", "c", "s", "b", "d"}
    assert not found.block


def test_another_outcome_keeps_its_gaussian_block() -> None:
    g = dm.read(HEAD + "u[g] ~ Normal(b, s)\nobserved y[r] ~ Poisson(theta*w)\nobserved z[r] ~ Normal(u, a)")
    found = roles(g.dag)
    assert list(found.collapsed) == ["theta"]
    assert set(found.block) == {"u", "b"}
    assert not found.curved


def test_one_of_two_multiplied_latents_with_known_priors_is_chosen() -> None:
    g = dm.read(
        "model m\nplate i\nplate j\nplate r in i, j\nu[i] ~ Gamma(2, 2)\nv[j] ~ Gamma(3, 3)\n"
        "observed y[r] ~ Poisson(u*v)"
    )
    found = roles(g.dag)
    assert len(found.collapsed) == 1
    assert len(found.outer) == 1


def test_variances_with_known_priors_stay_outer_beside_gaussian_unknowns() -> None:
    g = dm.read(
        "model m\nplate g\nplate r in g\nmu ~ Normal(0, 10)\nv[g] ~ InverseGamma(2, 2)\n"
        "observed y[r] ~ Normal(mu, sqrt(v))"
    )
    found = roles(g.dag)
    assert not found.collapsed
    assert set(found.outer) == {"v"}


def test_coefficient_of_a_monomial() -> None:
    g = dm.read(HEAD + "observed y[r] ~ Poisson(theta*x)")
    found = monomial(Reach(g.dag), g.dag.nodes["y"].statements[0].distribution.argument("mu"), "theta")
    assert found is not None
    assert expression_text(found.coefficient) == "x[r]"
    assert found.power == 1.0
