"""Which graphs collapse exactly, with sentences that name nodes."""

from __future__ import annotations

import pytest

import dagmodels as dm
from dagmodels.analysis.collapsible import collapsible

HEAD = "model m\nplate g\nplate r in g\ncovariate x[r]\n"


def ask(body: str):  # type: ignore[no-untyped-def]
    return collapsible(dm.read(HEAD + body).dag)


def test_a_hierarchy_of_normal_nodes():
    found = ask("""
        a[g] ~ Normal(m, t)
        m ~ Normal(0, 5)
        b ~ Flat()
        t, s ~ HalfNormal(1)
        observed y[r] ~ Normal(a + b*x, s)
    """)
    assert found.accepts
    assert set(found.integrated) == {"a", "m", "b"}
    assert set(found.outer) == {"t", "s"}
    assert found.because[0] == "'a', 'm' integrated: Gaussian and linear in every mean"
    assert "'b' integrated: a flat coefficient that enters means linearly" in found.because
    assert "'t' sampled: its prior is HalfNormal, not Gaussian" in found.because


def test_conjugate_latents():
    found = ask("""
        l[g] ~ Gamma(a, b)
        a, b ~ Exponential(1)
        observed y[r] ~ Poisson(l*x)
    """)
    assert found.accepts
    assert found.closed == ("l",)
    assert found.because[0].startswith("'l' integrated in closed form: its prior is Gamma")


def test_nothing_left():
    found = ask("b ~ Normal(0, 1)\nobserved y[r] ~ Normal(b*x, 2)\n")
    assert found.accepts
    assert found.outer == ()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            "a[g] ~ Normal(0, t)\nt ~ HalfNormal(1)\nobserved y[r] ~ Bernoulli(expit(a))\n",
            "'y' is Bernoulli: not linear and Gaussian",
        ),
        (
            "a[g] ~ Normal(0, t)\nt, s ~ HalfNormal(1)\nobserved y[r] ~ Normal(exp(a), s)\n",
            "'y' is Normal, but not linear",
        ),
        (
            "a[g] ~ StudentT(4, 0, t)\nt, s ~ HalfNormal(1)\nobserved y[r] ~ Normal(a, s)\n",
            "'a' is StudentT: neither Gaussian nor conjugate",
        ),
        (
            "parameter b\ns ~ HalfNormal(1)\nobserved y[r] ~ Normal(b*x, s)\n",
            "'b' has no prior: write for instance 'b ~ Normal(0, 10)'",
        ),
        (
            "z[r] ~ Bernoulli(p)\np ~ Beta(1, 1)\ns ~ HalfNormal(1)\nobserved y[r] ~ Normal(z, s)\n",
            "'z' cannot be integrated: it is discrete and unknown",
        ),
        (
            'plate j = "a", "b"\nw[j] ~ Dirichlet([1, 1])\ns ~ HalfNormal(1)\n'
            'observed y[r] ~ Normal(w["a"]*x, s)\n',
            "'w' has a prior Dirichlet, which has no unconstrained scale here yet",
        ),
        (
            "b ~ Flat()\ns ~ HalfNormal(1)\nobserved y[r] ~ Normal(0, s)\n",
            "the posterior is improper: 'b' is flat",
        ),
    ],
)
def test_refusals(body: str, told: str):
    found = ask(body)
    assert not found.accepts
    assert any(why.startswith(told) for why in found.because), found.because
