"""Nodes that nothing observed depends on: found with all that hangs on them, and no others."""

from __future__ import annotations

import pytest

import dagmodels as dm
from dagmodels.analysis.forward import drawn_forward

HEAD = "model m\nplate i\nobserved y[i] ~ Normal(mu, s)\nmu ~ Normal(0, 1)\ns ~ HalfNormal(1)\n"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", ()),
        ("new[i] ~ Normal(mu, s)", ("new",)),
        ("new ~ Poisson(exp(mu))\nthen ~ Binomial(new, 0.5)", ("new", "then")),
        ("d = mu**2\nnew ~ Normal(d, 1)\ne = new + 1\nlast ~ Normal(e, 1)", ("new", "last")),
        ("plate c = 1..2\nk in c ~ Categorical([0.5, 0.5])", ()),  # an argument that is a vector
        ("new ~ Normal(mu, 1)\nplate c = 1..2\nk in c ~ Categorical([expit(new), 1 - expit(new)])", ()),
        ("new ~ Flat()", ()),
        ("a ~ Normal(0, 1)\nobserved w ~ Normal(a, 1)", ()),
        ("new ~ Truncated(Normal(mu, 1), lower=0)", ()),
    ],
)
def test_what_is_drawn_from_its_parents(more: str, expected: tuple[str, ...]) -> None:
    assert drawn_forward(dm.read(HEAD + more).dag) == expected


def test_something_else_must_be_unknown() -> None:
    assert drawn_forward(dm.read("model m\na ~ Normal(0, 1)\nb ~ Normal(a, 1)").dag) == ()
