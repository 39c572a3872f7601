"""Chances between unknown limits, which approximations at one mode do not tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.limited_chances import limited_chances

HEAD = """model items
plate person
plate item
parameter a[item], b[item]
parameter c[item], d[item] in (0, 1)
theta[person] ~ Normal(0, 1)
"""


@pytest.mark.parametrize(
    ("law", "limits"),
    [
        ("Bernoulli(c + (1 - c)*expit(a*theta - b))", ("c",)),
        ("Bernoulli(c + (d - c)*Phi(a*theta - b))", ("c", "d")),
        ("Bernoulli(1 - d*expit(a*theta - b))", ("d",)),
        ("Binomial(4, d*icloglog(a*theta - b))", ("d",)),
        ("Bernoulli(0.2 + 0.8*expit(a*theta - b))", ()),
        ("Bernoulli(expit(a*theta - b))", ()),
        ("Bernoulli(expit(c + d*expit(a*theta - b)))", ()),
        ("Bernoulli(exp(a*theta - b)*d)", ()),
        ("Bernoulli(c*expit(b))", ()),
        ("Poisson(c + exp(a*theta - b))", ()),
    ],
)
def test_limits_are_found(law: str, limits: tuple[str, ...]) -> None:
    found = limited_chances(dm.read(HEAD + f"observed y[person, item] ~ {law}\n").dag, None)
    assert (found.limits if found else ()) == limits


def test_limits_behind_computed_nodes() -> None:
    text = "rise[person, item] = expit(a*theta - b)\np[person, item] = c + (1 - c)*rise\n"
    found = limited_chances(dm.read(HEAD + text + "observed y[person, item] ~ Bernoulli(p)\n").dag, None)
    assert found is not None
    assert found.limits == ("c",)
    assert found.latents == ("theta",)


def test_they_go_to_quadrature_by_themselves_and_laplace_refuses_at_once() -> None:
    rng = np.random.default_rng(1)
    theta, a, b = rng.normal(size=200), np.array([1.0, 1.5, 2.0]), np.array([0.0, 0.5, -0.5])
    wide = rng.random((200, 3)) < 0.2 + 0.8 / (1 + np.exp(b - a * theta[:, None]))
    person, item = np.indices(wide.shape).reshape(2, -1)
    data = pd.DataFrame({"person": person, "item": item, "y": wide.reshape(-1).astype(int)})
    text = HEAD.replace("parameter a[item], b[item]\nparameter c[item], d[item] in (0, 1)\n", "")
    text += "parameter a[item] > 0\nparameter b[item]\nparameter c in (0, 0.5)\n"
    graph = dm.read(text + "observed y[person, item] ~ Bernoulli(c + (1 - c)*expit(a*theta - b))\n")
    with pytest.raises(dm.FitError, match=r"unknown \('c'\).*method='em'"):
        graph.fit(data, method="laplace", quadrature=15)
    assert graph.fit_quietly(data).backend == "em"
