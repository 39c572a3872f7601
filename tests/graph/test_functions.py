"""Every function a tree may call: its numeric twin, its derivatives against numerical ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from dagmodels.distributions import _numeric
from dagmodels.distributions._numeric import quietly
from dagmodels.errors import ModelError
from dagmodels.graph.calculus import derivative, value
from dagmodels.graph.expression import Call, Number, Reference, equal
from dagmodels.graph.functions import FUNCTIONS, tree

PUBLIC = [
    "exp",
    "log",
    "sqrt",
    "logit",
    "expit",
    "probit",
    "Phi",
    "cloglog",
    "icloglog",
    "sin",
    "cos",
    "arctan",
    "tanh",
    "lgamma",
    "floor",
    "abs",
    "min",
    "max",
    "if_else",
    "softmax",
    "inverse",
]

line = np.array([-30.0, -5.0, -1.0, -0.01, 0.02, 0.7, 3.0, 20.0])
positive = np.array([1e-3, 0.05, 0.7, 1.0, 4.0, 40.0, 900.0])
unit = np.array([1e-4, 0.02, 0.3, 0.5, 0.8, 0.99])

# where each function of numbers is differentiated
POINTS = {
    "exp": (line,),
    "log": (positive,),
    "sqrt": (positive,),
    "logit": (unit,),
    "expit": (line,),
    "probit": (unit,),
    "Phi": (np.array([-9.0, -1.0, 0.3, 2.0, 5.0]),),
    "cloglog": (unit,),
    "icloglog": (np.array([-20.0, -1.0, 0.3, 1.5]),),
    "abs": (line,),
    "min": (line, line[::-1] + 0.1),
    "max": (line, line[::-1] + 0.1),
    "if_else": (np.array([0.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])),
    "log1p": (positive,),
    "expm1": (np.array([-30.0, -1.0, -1e-4, 0.3, 5.0]),),
    "softplus": (line,),
    "log_Phi": (np.array([-1000.0, -30.0, -1.0, 0.3, 2.0, 5.0]),),
    "mills": (np.array([-100.0, -30.0, -1.0, 0.3, 2.0, 5.0, 30.0]),),
    "sin": (line,),
    "cos": (line,),
    "arctan": (line,),
    "tanh": (np.array([-9.0, -1.0, -0.01, 0.02, 0.7, 3.0]),),
    "floor": (line,),
    "lgamma": (positive,),
    "digamma": (positive,),
    "trigamma": (positive,),
    "polygamma": (2, positive),
    "lbeta": (np.array([0.02, 0.7, 3.0, 12.0, 0.5, 400.0]), np.array([0.5, 3.0, 0.02, 30.0, 900.0, 2.0])),
    "log_i0e": (positive[:-1],),
    "i1_over_i0": (positive[:-1],),
    "log_gammainc": (np.array([0.5, 3.0, 50.0, 900.0]), np.array([0.02, 5.0, 30.0, 20.0])),
    "log_gammaincc": (np.array([0.5, 3.0, 50.0, 3.0]), np.array([0.02, 5.0, 70.0, 900.0])),
    "log_betainc": (
        np.array([0.5, 3.0, 50.0, 900.0]),
        np.array([2.0, 0.3, 20.0, 30.0]),
        np.array([0.01, 0.8, 0.7, 0.2]),
    ),
    "log_gammainc_shape": (1, np.array([0.5, 3.0, 50.0]), np.array([0.02, 5.0, 30.0])),
    "log_gammaincc_shape": (1, np.array([0.5, 3.0, 50.0]), np.array([0.02, 5.0, 70.0])),
    "log_betainc_shape": (
        1,
        0,
        np.array([0.5, 3.0, 50.0]),
        np.array([2.0, 0.3, 20.0]),
        np.array([0.01, 0.8, 0.7]),
    ),
    "log_0f1": (np.array([0.02, 0.5, 3.0, 50.0, 7.0]), np.array([0.3, 40.0, 0.02, 900.0, 2e5])),
    "log_0f1_shape": (1, np.array([0.5, 3.0, 50.0]), np.array([40.0, 0.02, 900.0])),
    "fisher_cumulant": (1, 7, 9, 6, np.array([-2.0, 0.3, 1.5])),
    "mvlgamma": (np.array([1.3, 7.0, 60.0]), 3),
    "mvpolygamma": (1, np.array([1.3, 7.0, 60.0]), 3),
}
SPD = np.array([[2.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, 1.5]])
ANY = np.array([[1.0, -2.0, 0.3], [0.7, 0.4, 0.2], [-0.3, 0.9, 1.1]])
VECTOR = np.array([0.3, -1.2, 2.0])

# and where each function of vectors and matrices is, along random directions
ARRAYS = {
    "softmax": (VECTOR,),
    "inverse": (ANY,),
    "size": (VECTOR,),
    "total": (VECTOR,),
    "element": (VECTOR, 1),
    "expand": (np.array([2.0, 3.0]),),
    "increasing": (np.array([1.0, 2.0, 4.0]),),
    "outer": (VECTOR, VECTOR + 1),
    "matvec": (ANY, VECTOR),
    "matmul": (ANY, SPD),
    "transpose": (ANY,),
    "diagonal": (ANY,),
    "half_lower": (ANY,),
    "identity_minus": (ANY,),
    "posdef": (SPD,),
    "cholesky": (SPD,),
    "solve": (ANY, VECTOR),
    "trace_solve": (ANY, SPD),
    "logdet": (ANY,),
}


def test_every_function_is_tested():
    assert set(POINTS) | set(ARRAYS) == set(FUNCTIONS)


def test_the_public_functions_are_those_of_the_language():
    assert {n for n, g in FUNCTIONS.items() if g.public} == set(PUBLIC)


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_arity_and_numeric_twin(name: str):
    function, arguments = FUNCTIONS[name], POINTS.get(name, ARRAYS.get(name))
    assert function.name == name
    assert function.arity == len(arguments)
    assert (function.tangent is None) == (len(function.derivative) == function.arity)
    assert callable(getattr(_numeric, name))
    call = getattr(tree, name)(*(Reference(f"a{i}") for i in range(function.arity)))
    assert call == Call(name, tuple(Reference(f"a{i}") for i in range(function.arity)))


def test_an_unknown_function_is_refused():
    with pytest.raises(AttributeError, match="gammma"):
        tree.gammma(Reference("x"))
    with pytest.raises(ModelError, match="gammma"):
        derivative(Call("gammma", (Reference("x"),)), Reference("x"))


def central(function, x, h):
    """Central differences of order eight (Fornberg 1988): error about 1e-11 for these steps."""
    weights = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
    return sum(w * (function(x + k * h) - function(x - k * h)) for k, w in enumerate(weights, 1)) / h


def bind(arguments):
    return {f"a{i}": a for i, a in enumerate(arguments)}


def call_of(name, arguments):
    """Orders are numbers, all else references."""
    parts = [Number(a) if isinstance(a, int) else Reference(f"a{i}") for i, a in enumerate(arguments)]
    return Call(name, tuple(parts))


@pytest.mark.parametrize("name", list(POINTS))
def test_partial_derivatives(name: str):
    arguments = POINTS[name]
    call = call_of(name, arguments)
    function = getattr(_numeric, name)
    for i, at in enumerate(arguments):
        if isinstance(at, int):
            continue
        got = value(derivative(call, Reference(f"a{i}")), bind(arguments))
        if name == "if_else" and i == 0:
            np.testing.assert_array_equal(got, 0)
            continue
        if name == "floor":
            np.testing.assert_array_equal(got, 0)
            continue

        def along(x, i=i):
            return quietly(lambda f, *a: function(*a), *arguments[:i], x, *arguments[i + 1 :])

        # steps within the range where the function is smooth: a fiftieth of the way to its nearest edge
        edge = (
            np.abs(at)
            if name not in ("exp", "expit", "fisher_cumulant", "softplus", "Phi", "sin", "cos", "arctan")
            and name != "tanh"
            else 1 + 0 * at
        )
        edge = np.minimum(edge, 1 - at) if np.all((at > 0) & (at < 1)) else edge
        edge = np.minimum(edge, 1.0) if name in ("icloglog", "expm1") else edge
        if name in ("log_Phi", "mills"):
            edge = 1 + 0.02 * np.abs(at) if name == "log_Phi" else 1 + 0 * at
        if name in ("log_i0e", "i1_over_i0"):
            edge = np.minimum(edge, 2.0)
        if name.startswith("mv"):
            edge = at - 1.0  # the last of three terms has argument a - 1
        if name in ("min", "max"):
            edge = 0.5 * np.abs(arguments[0] - arguments[1])
        if name.startswith(("log_gamma", "log_beta", "log_0f1")):  # they vary on the scale of the square root
            edge = edge / (1 + np.sqrt(edge))
        want = central(along, at, 0.02 * edge)
        # rounding of the differences: 1e-15 of the function's value over the step
        rounding = 1e-13 * (1 + np.abs(along(at))) / edge
        order_two = 2e-8 * (1 + np.abs(want)) if name.endswith("_shape") else 0
        assert np.all(np.abs(got - want) <= 1e-9 * np.abs(want) + rounding + order_two), (i, got, want)


@pytest.mark.parametrize("name", list(ARRAYS))
def test_tangents(name: str):
    arguments = ARRAYS[name]
    call = call_of(name, arguments)
    function = getattr(_numeric, name)
    rng = np.random.default_rng(1)
    for i, at in enumerate(arguments):
        if isinstance(at, int):
            continue
        direction = rng.standard_normal(np.shape(at))
        if name == "cholesky":
            direction = direction + direction.T
        got = value(derivative(call, Reference(f"a{i}"), Reference("d")), {**bind(arguments), "d": direction})

        def along(x, i=i):
            return np.asarray(function(*arguments[:i], x, *arguments[i + 1 :]), dtype=float)

        h = 1e-2
        want = central(lambda t, d=direction, a=at: along(a + t * d), 0.0, h)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_second_tangents_are_symmetric_and_right():
    # log det, solve and trace together: -0.5 (x' A^-1 x + log det A) twice along directions of A
    A, x = Reference("A"), Reference("x")
    t = -0.5 * (tree.total(x * tree.solve(A, x)) + tree.logdet(A))
    rng = np.random.default_rng(2)
    d, e = (M + M.T for M in rng.standard_normal((2, 3, 3)))
    point = {"A": SPD, "x": VECTOR, "d": d, "e": e}
    one = derivative(derivative(t, A, Reference("d")), A, Reference("e"))
    other = derivative(derivative(t, A, Reference("e")), A, Reference("d"))
    inverse = np.linalg.inv(SPD)
    u = inverse @ VECTOR
    want = -0.5 * (u @ d @ inverse @ e @ u + u @ e @ inverse @ d @ u - np.trace(inverse @ e @ inverse @ d))
    assert value(one, point) == pytest.approx(want, rel=1e-12)
    assert value(other, point) == pytest.approx(want, rel=1e-12)


def test_third_derivatives_in_incomplete_shapes_are_refused():
    a = Reference("a")
    second = derivative(derivative(tree.log_gammainc(a, 2.0), a), a)
    with pytest.raises(ModelError, match="third derivatives"):
        derivative(second, a)
    mixed = derivative(derivative(tree.log_betainc(a, Reference("b"), 0.3), a), Reference("b"))
    with pytest.raises(ModelError, match="third derivatives"):
        derivative(mixed, a)


def test_second_derivatives_in_incomplete_shapes():
    # P(1/2, x) = erf(sqrt x) has no second derivative at hand; Q(a, x) for integer a is a Poisson sum, so the
    # derivative in a is compared with E[log T | T > x] - digamma(a), by quadrature
    a, x = 3.0, 5.0
    t, w = np.polynomial.laguerre.laggauss(100)
    weight = w * (t + x) ** (a - 1)
    mean = np.sum(weight * np.log(t + x)) / np.sum(weight)
    spread = np.sum(weight * np.log(t + x) ** 2) / np.sum(weight) - mean**2
    ref = Reference("a")
    first = derivative(tree.log_gammaincc(ref, x), ref)
    assert value(first, {"a": a}) == pytest.approx(mean - special.psi(a), rel=1e-9)
    second = derivative(first, ref)
    assert value(second, {"a": a}) == pytest.approx(spread - special.polygamma(1, a), rel=1e-7)


COMPLEX = [
    n for n in FUNCTIONS if "inc" not in n and n not in ("floor", "size", "increasing", "posdef", "if_else")
]


@pytest.mark.parametrize("name", [n for n in COMPLEX if n in POINTS])
def test_complex_steps(name: str):
    arguments, call = POINTS[name], call_of(name, POINTS[name])
    function = getattr(_numeric, name)
    for i, at in enumerate(arguments):
        if isinstance(at, int):
            continue
        shifted = [*arguments]
        shifted[i] = at + 1e-40j
        with np.errstate(all="ignore"):
            z = function(*shifted)
        got, exact = np.imag(z) / 1e-40, value(derivative(call, Reference(f"a{i}")), bind(arguments))
        np.testing.assert_allclose(got, exact + 0 * got, rtol=1e-11)
        plain = quietly(lambda f, *a: function(*a), *arguments)
        np.testing.assert_allclose(np.real(z), plain, rtol=1e-13, atol=1e-14)


def test_values_of_special_functions():
    x = positive
    np.testing.assert_allclose(_numeric.trigamma(x), special.polygamma(1, x), rtol=1e-14)
    np.testing.assert_allclose(np.real(_numeric.polygamma(2, x + 0j)), special.polygamma(2, x), rtol=1e-13)
    np.testing.assert_allclose(
        _numeric.mvlgamma(x + 2, 3), [special.multigammaln(a + 2, 3) for a in x], rtol=1e-13
    )
    np.testing.assert_allclose(
        _numeric.mills(np.array([-1e6, 0.0, 100.0])), [1e6, math.sqrt(2 / math.pi), 0.0]
    )
    np.testing.assert_allclose(_numeric.i1_over_i0(x), special.i1e(x) / special.i0e(x), rtol=1e-14)
    a, b = np.meshgrid(np.geomspace(1e-3, 50, 12), np.geomspace(1e-3, 50, 12))
    want = special.gammaln(a) + special.gammaln(b) - special.gammaln(a + b)
    np.testing.assert_allclose(_numeric.lbeta(a, b), want, rtol=1e-12, atol=1e-13)
    # B(n, m) with whole numbers is 1/((n + m - 1) choose(n + m - 2, n - 1)), exactly
    for n, m in [(1000, 1000), (10**6, 3), (12345, 678)]:
        exact = (n + m - 1) * math.comb(n + m - 2, n - 1)
        shift = max(exact.bit_length() - 64, 0)
        want = -(math.log(exact >> shift) + shift * math.log(2))
        assert abs(_numeric.lbeta(n, m) - want) <= 1e-14 * abs(want)


def test_matrix_functions_refuse_bad_matrices_quietly():
    singular = np.array([[1.0, 1.0], [1.0, 1.0]])
    both = np.stack([np.eye(2), singular, np.full((2, 2), np.nan)])
    x = quietly(lambda f, A: f.solve(A, np.ones(2)), both)
    assert np.all(np.isfinite(x[0]))
    assert np.all(np.isnan(x[1:]))
    np.testing.assert_array_equal(quietly(lambda f, A: f.posdef(A), both), [True, False, False])
    assert not quietly(lambda f, A: f.posdef(A), np.array([[1.0, 0.2], [0.1, 1.0]]))


def test_equality_is_a_comparison_node():
    assert tree.equal(Reference("x"), 1) == equal(Reference("x"), 1)
    assert tree.where(Reference("c"), 1, 2) == Call("if_else", (Reference("c"), Number(1), Number(2)))
