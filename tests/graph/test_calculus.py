"""Symbolic derivatives, simplification and evaluation of trees."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagmodels.errors import ModelError
from dagmodels.graph.calculus import derivative, number, simplify, value
from dagmodels.graph.expression import (
    Binary,
    Call,
    Expression,
    LevelIndex,
    NodeIndex,
    Number,
    PlateIndex,
    Reduction,
    Reference,
    Text,
    Unary,
    Vector,
    equal,
    unequal,
    walk,
)
from dagmodels.graph.functions import tree as f
from dagmodels.graph.parsing import expression

x, y, z = Reference("x"), Reference("y"), Reference("z")


@pytest.mark.parametrize(
    ("tree", "want"),
    [
        (Number(3), Number(0)),
        (y, Number(0)),
        (x, Number(1)),
        (-x, Unary("-", Number(1))),
        (+x, Number(1)),
        (x + y, Number(1)),
        (y - x, Unary("-", Number(1))),
        (x * y, y),
        (x / y, Binary("/", Number(1), y)),
        (x**2, Binary("*", Number(2), x)),
        (3 * x, Number(3)),
        (x > y, Number(0)),
        (equal(x, y), Number(0)),
        (f.exp(x), f.exp(x)),
        (f.exp(2 * y), Number(0)),
        (f.where(x > 0, x, 2 * x), f.where(x > 0, 1, 2)),
        (f.where(y > 0, x, x), Number(1)),
        (Text("yes"), Number(0)),
        (Vector((x, y)), Vector((Number(1), Number(0)))),
        (Vector((z, y)), Number(0)),
    ],
)
def test_derivatives_as_written(tree, want):
    assert derivative(tree, x) == want


def test_references_are_the_same_variable_only_with_equal_indices():
    a = Reference("a", (PlateIndex("county"),))
    b = Reference("a", (LevelIndex("Aitkin"),))
    c = Reference("a", (NodeIndex(Reference("z", (PlateIndex("obs"),))),))
    tree = a * b * c
    point = {a: 2.0, b: 3.0, c: 5.0}
    assert value(tree, point) == 30
    assert value(derivative(tree, a), point) == 15
    assert value(derivative(tree, b), point) == 10
    assert value(derivative(tree, c), point) == 6
    assert derivative(tree, Reference("z", (PlateIndex("obs"),))) == Number(0)
    assert derivative(tree, Reference("a")) == Number(0)


def test_reductions():
    v = Reference("v", (PlateIndex("k"),))
    data = {"v": np.array([[1.0, 2.0, 4.0], [3.0, 5.0, 7.0]]), "x": 2.0}
    axes = {"k": -1}
    total = Reduction("sum", f.exp(x * v), ("k",))
    slope = derivative(total, x)
    assert isinstance(slope, Reduction)
    want = np.sum(data["v"] * np.exp(2 * data["v"]), axis=-1, keepdims=True)
    np.testing.assert_allclose(value(slope, data, axes=axes), want, rtol=1e-14)
    mean = derivative(Reduction("mean", x * v, ("k",)), x)
    np.testing.assert_allclose(value(mean, data, axes=axes), np.mean(data["v"], axis=-1, keepdims=True))
    product = derivative(Reduction("prod", x * v, ("k",)), x)
    want = 3 * 2.0**2 * np.prod(data["v"], axis=-1, keepdims=True)
    np.testing.assert_allclose(value(product, data, axes=axes), want, rtol=1e-14)
    assert derivative(Reduction("sum", v, ("k",)), x) == Number(0)
    with pytest.raises(ModelError, match="plate 'k'"):
        value(total, data)


def test_powers():
    point = {"x": np.array([0.3, 2.0, 5.0]), "y": np.array([2.0, -1.5, 0.5])}
    np.testing.assert_allclose(
        value(derivative(x**y, x), point), point["y"] * point["x"] ** (point["y"] - 1), rtol=1e-14
    )
    np.testing.assert_allclose(
        value(derivative(x**y, y), point), point["x"] ** point["y"] * np.log(point["x"]), rtol=1e-14
    )
    np.testing.assert_allclose(
        value(derivative(x**x, x), point), point["x"] ** point["x"] * (1 + np.log(point["x"])), rtol=1e-14
    )
    # a constant exponent needs no logarithm: negative bases stay good
    assert value(derivative(x**3, x), {"x": -2.0}) == 12


def test_shared_subtrees_are_differentiated_once():
    t = x
    for _ in range(50):  # 2^50 paths
        t = Binary("*", t, Number(0.5)) + Binary("*", t, Number(0.5))
    slope, same = value(derivative(t, x), {"x": 3.0}), value(simplify(t), {"x": 3.0})
    assert slope == 1
    assert same == 3


@pytest.mark.parametrize(
    ("tree", "want"),
    [
        (x + 0, x),
        (0 + x, x),
        (x - 0, x),
        (0 - x, -x),
        (x * 1, x),
        (x * 0, Number(0)),
        (x / 1, x),
        (x**1, x),
        (x**0, Number(1)),
        (Unary("-", Unary("-", x)), x),
        (+x, x),
        (x + -y, x - y),
        (x - -y, x + y),
        (-1 * x, -x),
        (Number(2) + 3, Number(5)),
        (Number(2) - 3, Unary("-", Number(1))),
        (Number(1) / 0, Binary("/", Number(1), Number(0))),
        (Number(0) ** -1, Binary("**", Number(0), Unary("-", Number(1)))),
        (Number(10) ** 1000, Binary("**", Number(10), Number(1000))),
        (Unary("-", Number(8)) ** 0.5, Binary("**", Unary("-", Number(8)), Number(0.5))),
        (f.where(Number(1), x, y), x),
        (f.where(Number(0), x, y), y),
        (f.where(x, y, y), y),
        (f.log(f.exp(x)), x),
        (f.log(f.expit(x)), -f.softplus(-x)),
        (f.log1p(-f.expit(x)), -f.softplus(x)),
        (f.log(f.Phi(x)), f.log_Phi(x)),
        (f.log1p(-f.Phi(x)), f.log_Phi(-x)),
        (f.log1p(-f.icloglog(x)), -f.exp(x)),
        (f.log(f.sqrt(x)), 0.5 * f.log(x)),
        (Reduction("sum", x * 0, ("k",)), Number(0)),
        (Reduction("prod", x * 0, ("k",)), Reduction("prod", Number(0), ("k",))),
        (Vector((x + 0, y)), Vector((x, y))),
        (equal(x + 0, y), equal(x, y)),
    ],
)
def test_simplify(tree, want):
    assert simplify(tree) == want


def test_logistic_regression_keeps_its_digits_through_simplification():
    from dagmodels.distributions import family

    t = simplify(family("Bernoulli").log_density(f, y, f.expit(x)))
    eta = np.array([-800.0, -50.0, 0.0, 50.0, 800.0])
    np.testing.assert_allclose(value(t, {"x": eta, "y": 0.0}), -np.logaddexp(0, eta), rtol=1e-15)
    slope = value(derivative(t, x), {"x": eta, "y": 0.0})
    np.testing.assert_allclose(slope, -np.exp(-np.logaddexp(0, -eta)), rtol=1e-13)


def test_values():
    point = {"x": np.array([1.0, 2.0]), "y": 2.0, "answer": np.array(["yes", "no"])}
    for operator, want in {
        "+": [3, 4],
        "-": [-1, 0],
        "*": [2, 4],
        "/": [0.5, 1],
        "**": [1, 4],
        "==": [0, 1],
        "!=": [1, 0],
        "<": [1, 0],
        "<=": [1, 1],
        ">": [0, 0],
        ">=": [0, 1],
    }.items():
        np.testing.assert_array_equal(value(Binary(operator, x, y), point), want)
    np.testing.assert_array_equal(value(equal(Reference("answer"), Text("yes")), point), [1, 0])
    np.testing.assert_array_equal(value(unequal(Reference("answer"), Text("yes")), point), [0, 1])
    np.testing.assert_array_equal(value((x > 1) - (x < 2), point), [-1, 1])
    np.testing.assert_array_equal(value(-x + (+x), point), [0, 0])
    assert value(Vector((Number(1), Number(2))), {}).tolist() == [1, 2]
    matrix = Vector((Vector((x, y)), Vector((y, x))))
    assert value(matrix, point).shape == (2, 2, 2)
    np.testing.assert_array_equal(value(matrix, point)[0], [[1, 2], [2, 1]])
    assert value(f.log(Number(0)), {}) == -math.inf


def test_a_reference_binds_before_its_name():
    a, b = Reference("a", (LevelIndex(1),)), Reference("a", (LevelIndex(2),))
    assert value(a - b, {a: 5.0, "a": 3.0}) == 2
    with pytest.raises(ModelError, match="'b'"):
        value(Reference("b"), {"a": 1.0})


def test_unknown_operators_are_refused():
    with pytest.raises(ModelError, match="'%'"):
        derivative(Binary("%", x, y), x)
    with pytest.raises(TypeError, match="'%'"):
        value(Binary("%", x, y), {"x": 1.0, "y": 2.0})
    strange = type("Plain", (Expression,), {})()
    with pytest.raises(TypeError, match="Plain"):
        value(strange, {})


SMOOTH = ("exp", "expit", "softplus", "Phi", "log_Phi", "sin", "cos", "icloglog")


def trees():
    leaf = st.one_of(st.sampled_from([x, y]), st.floats(0.1, 3).map(Number))
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from("+-*/"), inner, inner).map(lambda t: Binary(*t)),
            st.tuples(st.sampled_from(SMOOTH), inner).map(lambda t: Call(t[0], (f.sin(t[1]),))),
            inner.map(lambda t: Unary("-", t)),
            st.tuples(inner, inner, inner).map(lambda t: f.where(t[0] > 0.37, t[1], t[2])),
            st.tuples(inner, inner).map(lambda t: f.max(t[0], t[1])),
            st.tuples(inner, inner).map(lambda t: f.min(t[0], t[1])),
            inner.map(lambda t: f.abs(t)),
            inner.map(lambda t: Binary("**", t, Number(3))),
        ),
        max_leaves=12,
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(trees(), st.floats(0.2, 2), st.floats(0.2, 2))
def test_random_trees_agree_with_complex_steps(tree, at_x, at_y):
    point = {"x": np.float64(at_x), "y": np.float64(at_y)}
    got = value(derivative(tree, x), point)
    want = np.imag(value(tree, {**point, "x": at_x + 1e-60j})) / 1e-60
    parts = _magnitudes(tree, point)
    if not np.all(np.isfinite(parts)) or np.max(parts) > 1e6 or np.min(parts) < 1e-6:
        return  # quotients by (nearly) nothing: the derivative has no digits to compare
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(value(simplify(tree), point), value(tree, point), rtol=1e-9, atol=1e-9)


def _magnitudes(tree, point):
    return np.array([abs(value(t, point)) for t in walk(tree) if not isinstance(t, Number)] or [1.0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2/3 - a", 2 / 3 - 0.5), ("-a**2", -0.25), ("logit(a)", 0.0), ("Phi(0)", 0.5), ("abs(-a)", 0.5),
     ("1/(a - 0.5)", math.nan), ("log(-a)", math.nan), ("(-a)**0.5", math.nan), ("exp(1000)", math.nan)],
)  # fmt: skip
def test_a_number_is_finite_or_nan(text: str, expected: float) -> None:
    """Over plain numbers a tree is a number; what is infinite, complex or undefined is nan."""
    assert number(expression(text), {"a": 0.5}) == pytest.approx(expected, nan_ok=True)
