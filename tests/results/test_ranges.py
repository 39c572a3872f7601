"""Bounds of estimates: domains, priors, formulas."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from dagmodels.readers import read
from dagmodels.results.ranges import bounds

MODEL = """model m
plate k = "a", "b"
plate k2 as k
plate t ordered
parameter b, v[k]
parameter s, s2 > 0
parameter p in (0, 1)
parameter S[k, k2] covariance
parameter R[k, k2] correlation
parameter w[k] simplex
rho ~ Uniform(-1, 1)
h ~ HalfNormal(1)
g ~ Truncated(Normal(0, 1), lower=-2)
low ~ Uniform(b, 1)
W[k, k2] ~ Wishart(3, [[1, 0], [0, 1]])
v["a"] = 0
sd = sqrt(s)
ratio = s/(s + s2)
square = b**2
r = S["a", "b"]/(s*s2)
total = b + s
minus = -s
logs = log(s)
share = 1/(1 + exp(-b))
product = rho*h
x[t first] = 1
x[t] = x[t-1]*s
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("b", (-inf, inf)),
        ("s", (0, inf)),
        ("p", (0, 1)),
        ("S[a, a]", (0, inf)),
        ("S[a, b]", (-inf, inf)),
        ("R[a, b]", (-1, 1)),
        ("w[a]", (0, 1)),
        ("rho", (-1, 1)),
        ("h", (0, inf)),
        ("g", (-2, inf)),
        ("low", (-inf, 1)),
        ("W[b, b]", (0, inf)),
        ("v[b]", (-inf, inf)),
        ("sd", (0, inf)),
        ("ratio", (0, inf)),
        ("square", (0, inf)),
        ("r", (-inf, inf)),
        ("total", (-inf, inf)),
        ("minus", (-inf, 0)),
        ("logs", (-inf, inf)),
        ("share", (0, 1)),
        ("product", (-inf, inf)),
        ("x[3]", (-inf, inf)),
        ("no_node", (-inf, inf)),
    ],
)
def test_bounds(name: str, expected: tuple[float, float]):
    lower, upper = bounds(read(MODEL), [name])
    assert (lower[0], upper[0]) == expected


def test_no_names():
    assert [a.shape for a in bounds(read(MODEL), [])] == [(0,), (0,)]


def test_formulas_hold_their_values():
    """At random values of what they are made of, formulas lie inside their bounds."""
    dag = read(MODEL)
    names = ["sd", "ratio", "square", "total", "minus", "share", "product"]
    lower, upper = bounds(dag, names)
    rng = np.random.default_rng(1)
    b, rho = rng.normal(0, 3, 1000), rng.uniform(-1, 1, 1000)
    s, s2, h = rng.exponential(2, (3, 1000))
    values = [np.sqrt(s), s / (s + s2), b**2, b + s, -s, 1 / (1 + np.exp(-b)), rho * h]
    for value, low, high in zip(values, lower, upper, strict=True):
        assert low <= value.min()
        assert value.max() <= high
