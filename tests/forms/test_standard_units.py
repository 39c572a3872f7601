"""Unknowns in standard units: the same density of the same values, with digits where scales are tiny."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.analysis.unknown_scales import with_unknown_scale
from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.build_summed import build_summed
from dagmodels.forms.flat import Flat
from dagmodels.forms.necks import neck
from dagmodels.readers import read
from tests.forms.test_flat import assert_gradient, assert_jacobian

GROUPS = """model groups
plate g
plate i in g
a[g] ~ {law}
observed y[i] ~ Normal(a[g], sy)
m ~ Normal(0, 5)
s, sy ~ HalfNormal(2)
"""
LAWS = {
    "normal": "Normal(m, s)",
    "precision": "Normal(m, tau=s)",
    "scale of an expression": "Normal(2*m, exp(s)/3)",
    "without location": "Normal(0, s)",
    "t": "StudentT(4, m, s)",
    "t of unknown shape": "StudentT(1 + s, m, s)",
    "Laplace": "Laplace(m, s)",
    "logistic": "Logistic(m, s)",
    "Cauchy": "Cauchy(m, s)",
}
DATA = {"g": np.repeat(["a", "b", "c", "d"], 3), "y": np.arange(12.0) % 5}
SEVERAL = """model several
plate g
plate h
plate i in g, h
a[g] ~ Normal(m, s)
b[h] ~ Normal(0, s*c)
m ~ Normal(0, s)
s, c ~ HalfNormal(1)
observed y[i] ~ Poisson(exp(a + b))
"""
CROSSED = {"g": ["a", "b", "c", "a", "b", "c"], "h": ["x", "x", "x", "y", "y", "y"], "y": [1, 0, 2, 3, 1, 0]}
CASES = {k: (GROUPS.format(law=law), DATA) for k, law in LAWS.items()} | {"several": (SEVERAL, CROSSED)}


def problem_of(name: str) -> Problem:
    text, data = CASES[name]
    return bind(read(text), data)


def everything(problem: Problem) -> dict[str, np.ndarray]:
    return {n: np.ones(int(np.prod(problem.shape(n))), bool) for n in with_unknown_scale(problem.graph)}


def forms(name: str) -> tuple[Flat, Flat]:
    problem = problem_of(name)
    return build_flat(problem), build_flat(problem, standard=everything(problem))


@pytest.mark.parametrize("name", CASES)
def test_values_have_the_same_density(name: str) -> None:
    plain, other = forms(name)
    assert {s.node for s in other.stretches if s.kind == "standard"} >= {"a"}
    rng = np.random.default_rng(1)
    for _ in range(5):
        z = rng.normal(0, 0.7, other.size)
        values = other.constrain(z)
        y = plain.unconstrain(values)
        assert other.log_density(z, jacobian=False) == pytest.approx(
            plain.log_density(y, jacobian=False), rel=1e-12
        )
        np.testing.assert_allclose(other.unconstrain(values), z, rtol=1e-9, atol=1e-9)
        assert_jacobian(other, z)
        assert_gradient(other, z)


@pytest.mark.parametrize("name", CASES)
def test_log_densities_differ_by_the_scales(name: str) -> None:
    """That of the vector by the logarithm of |dx/dz|, gradients by differences of fourth order of
    the form as written (there are no complex values on a tape)."""
    plain, other = forms(name)
    z = np.random.default_rng(3).normal(0, 0.5, (4, other.size))
    y = plain.unconstrain(other.constrain(z))
    y = np.atleast_2d(y)
    told = [other.log_density(p) for p in z] - other.log_scales(z)
    np.testing.assert_allclose([plain.log_density(p) for p in y], told, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(plain.log_scales(y), 0.0)

    def written(p: np.ndarray) -> float:
        return plain.log_density(plain.unconstrain(other.constrain(p))) + float(other.log_scales(p[None])[0])

    h, steps = 1e-3, np.array([-2, -1, 1, 2])
    weights = np.array([1, -8, 8, -1]) / (12 * h)
    for k, unit in enumerate(np.eye(other.size)):
        slope = weights @ [written(z[0] + step * h * unit) for step in steps]
        assert other.gradient(z[0])[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_beside_discrete_unknowns_that_are_summed_out() -> None:
    text = """model m
plate g
plate i in g
c[i] ~ Bernoulli(0.3)
a[g] ~ Normal(m, s)
m ~ Normal(0, 2)
s ~ HalfNormal(1)
observed y[i] ~ Normal(a + 3*c, 1)
"""
    problem = bind(read(text), DATA)
    plain, other = build_summed(problem), build_summed(problem, standard=everything(problem))
    z = np.random.default_rng(4).normal(0, 0.7, (3, other.size))
    y = plain.unconstrain(other.constrain(z))
    told = [other.log_density(p) for p in z] - other.log_scales(z)
    np.testing.assert_allclose([plain.log_density(p) for p in y], told, rtol=1e-12)
    assert other.standard["a"].all()
    assert not plain.standard
    assert_gradient(other, z[0])
    z[0, [s.start for s in other.stretches if s.node == "m"]] = np.nan
    assert other.why(z[0])  # recorded again in its units


def test_some_elements_in_standard_units() -> None:
    problem = problem_of("t")
    plain, other = (
        build_flat(problem),
        build_flat(problem, standard={"a": np.array([True, False, True, False])}),
    )
    assert [(s.kind, s.places[:, 0].tolist()) for s in other.stretches if s.node == "a"] == [
        ("standard", [0, 2]),
        ("real", [1, 3]),
    ]
    z = np.random.default_rng(2).normal(0, 0.7, other.size)
    y = plain.unconstrain(other.constrain(z))
    assert other.log_density(z, jacobian=False) == pytest.approx(
        plain.log_density(y, jacobian=False), rel=1e-12
    )
    assert_jacobian(other, z)


def test_tiny_scales_keep_their_digits() -> None:
    """At a scale of e^-60 values are their location to all digits; the density still is that of z."""
    problem = problem_of("normal")
    flat = build_flat(problem, standard=everything(problem))
    at = {n: k for k, n in enumerate(flat.names)}
    y = np.zeros(flat.size)
    y[at["m"]], y[at["s"]] = 3.0, -60.0
    before = flat.log_density(y)
    y[at["a[b]"]] = 2.5
    assert flat.log_density(y) - before == pytest.approx(-0.5 * 2.5**2, abs=1e-10)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a[t first] ~ Normal(0, s)\na[t] ~ Normal(a[t-1], s)\n", ()),
        ("a[t] ~ Normal(0, 2)\n", ()),
        ("a[t] ~ Normal(0, s)\n", ("a",)),
        ("a[t] ~ Normal(0, sqrt(v))\nv = s**2\n", ("a",)),
        ("a[t] ~ Normal(w[t], 1)\nw[t first] ~ Normal(0, s)\nw[t] ~ Normal(a[t-1], s)\n", ()),
    ],
    ids=["its own past", "known scale", "scale", "scale of an expression", "its own past by another node"],
)
def test_which_may_be(text: str, names: tuple[str, ...]) -> None:
    dag = read(f"model m\nplate t ordered\n{text}s ~ HalfNormal(1)\nobserved y[t] ~ Normal(a, 1)\n")
    assert with_unknown_scale(dag) == names


def test_not_beside_discrete_unknowns_of_its_law() -> None:
    text = """model m
plate i
z[i] ~ Bernoulli(0.5)
a[i] ~ Normal(if_else(z == 1, 1, -1), s)
b[i] ~ Normal(0, s)
s ~ HalfNormal(1)
observed y[i] ~ Normal(a + b, 1)
"""
    assert with_unknown_scale(read(text), ("z",)) == ("b",)


@pytest.mark.parametrize(
    ("prior", "names", "told"),
    [
        ("HalfNormal(1)", ("a", "s", "m"), "'a' rises without end where 's'"),
        ("Uniform(0, 10)", ("a", "s", "m"), "'a' rises without end where 's'"),
        ("HalfNormal(1)", ("s", "m"), ""),
        ("InverseGamma(5, 1)", ("a", "s", "m"), ""),
    ],
)
def test_necks(prior: str, names: tuple[str, ...], told: str) -> None:
    text = GROUPS.format(law="Normal(m, s)").replace(
        "s, sy ~ HalfNormal(2)", f"s ~ {prior}\nsy ~ HalfNormal(2)"
    )
    flat = build_flat(bind(read(text), DATA))
    assert told in neck(flat, names)
    assert bool(told) == bool(neck(flat, names))
