"""Special functions of the tape over wide ranges, against scipy and exact identities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from tests.numerics.tapes import folded, recorded, reverse, run


def value_and_slope(name: str, x: Any) -> tuple[Any, Any]:
    inputs = {"a": np.asarray(x, dtype=float)}
    tape, register = recorded(lambda r, v: r.apply(name, v["a"]), inputs)
    value = run(tape, inputs)[tape.place(register)]
    return value, reverse(tape, inputs, register, np.ones(value.size))["a"]


def known(name: str, x: Any) -> Any:
    return folded(lambda r, v: r.apply(name, v["a"]), {"a": np.asarray(x, dtype=float)})


POSITIVE = np.concatenate([np.geomspace(1e-12, 1e12, 4001), np.linspace(0.01, 30, 3000)])


def test_log_gamma_and_its_derivatives() -> None:
    value, slope = value_and_slope("lgamma", POSITIVE)
    np.testing.assert_allclose(value, special.gammaln(POSITIVE), rtol=1e-13, atol=2e-14)
    np.testing.assert_allclose(slope, special.psi(POSITIVE), rtol=1e-13, atol=2e-14)


def test_digamma_and_trigamma() -> None:
    value, slope = value_and_slope("digamma", POSITIVE)
    np.testing.assert_allclose(value, special.psi(POSITIVE), rtol=1e-13, atol=2e-14)
    np.testing.assert_allclose(slope, special.polygamma(1, POSITIVE), rtol=1e-12)


def test_what_stirlings_formula_leaves() -> None:
    """Below 10 against log gamma functions, whose terms are a few times larger than what is left of them."""
    x = POSITIVE[POSITIVE < 10]
    want = {
        "binet": special.gammaln(x) - (x - 0.5) * np.log(x) + x - 0.5 * math.log(2 * math.pi),
        "binet1": special.psi(x) - np.log(x) + 0.5 / x,
        "binet2": special.polygamma(1, x) - 1 / x - 0.5 / x**2,
        "third": special.polygamma(2, x) + 1 / x**2 + 1 / x**3,
    }
    rest = {name: value_and_slope(name, x) for name in ("binet", "binet1", "binet2")}
    for order, name in enumerate(rest):
        expected, slope = list(want.values())[order : order + 2]
        size = 1 + np.abs(expected), 1 + np.abs(slope)
        assert (np.abs(rest[name][0] - expected) <= 4e-14 * size[0] * (1 + x**-order)).all()
        assert (np.abs(rest[name][1] - slope) <= 4e-14 * size[1] * (1 + x ** -(order + 1.0))).all()
    far = np.geomspace(10, 1e8, 500)
    leading = [math.factorial(k) * (-1.0) ** k / 12 for k in range(4)]  # of 1/(12 x), differentiated
    for order, name in enumerate(rest):
        value, slope = value_and_slope(name, far)
        np.testing.assert_allclose(value, leading[order] * far ** (-1.0 - order), rtol=0.04)
        np.testing.assert_allclose(slope, leading[order + 1] * far ** (-2.0 - order), rtol=0.04)


def test_bessel_functions() -> None:
    """Against scipy's scaled functions, and far out against their expansions (DLMF 10.40.1)."""
    x = np.concatenate([[0.0], np.geomspace(1e-8, 1e4, 3000), np.linspace(29.9, 30.1, 41)])
    value, slope = value_and_slope("log_i0e", x)
    ratio, bent = value_and_slope("i1_over_i0", x)
    np.testing.assert_allclose(value, np.log(special.i0e(x)), rtol=1e-14, atol=2e-15)
    np.testing.assert_allclose(ratio, special.i1e(x) / special.i0e(x), rtol=4e-15, atol=1e-300)
    np.testing.assert_allclose(slope, ratio - 1, rtol=1e-11)
    near = x[1:][x[1:] < 300]
    want = 0.5 * (1 + special.ive(2, near) / special.i0e(near)) - (special.i1e(near) / special.i0e(near)) ** 2
    np.testing.assert_allclose(bent[1:][x[1:] < 300], want, rtol=1e-10)
    assert bent[0] == 0.5
    far = np.geomspace(1e5, 1e12, 50)
    value, slope = value_and_slope("log_i0e", far)
    np.testing.assert_allclose(
        value, -0.5 * np.log(2 * math.pi * far) + 1 / (8 * far) + 1 / (16 * far**2), rtol=1e-14
    )
    np.testing.assert_allclose(slope, -0.5 / far - 1 / (8 * far**2) - 1 / (8 * far**3), rtol=1e-12)
    np.testing.assert_allclose(value_and_slope("i1_over_i0", far)[1], 0.5 / far**2, rtol=1e-5)
    assert np.isnan(value_and_slope("log_i0e", np.array([-1.0]))[0]).all()


def test_digamma_of_negative_numbers() -> None:
    x = np.array([-0.1, -0.5, -1.3, -2.75, -10.5, -50.25])
    value, _ = value_and_slope("digamma", x)
    np.testing.assert_allclose(value, special.psi(x), rtol=1e-12)
    assert np.isnan(value_and_slope("digamma", np.array([0.0, -1.0, -2.0]))[0]).all()


TAILS = np.concatenate(
    [np.linspace(-40, 8, 2401), -np.geomspace(11.9, 1e6, 500), [-12.0, -12.0000001, -11.9999999]]
)


def test_log_of_the_normal_distribution_function() -> None:
    """Value and slope in the lower tail; the slope is the inverse Mills ratio."""
    value, slope = value_and_slope("log_Phi", TAILS)
    np.testing.assert_allclose(value, special.log_ndtr(TAILS), rtol=1e-12, atol=2e-16)
    mills = math.sqrt(2 / math.pi) / special.erfcx(-TAILS / math.sqrt(2))
    np.testing.assert_allclose(slope, mills, rtol=2e-13, atol=1e-300)


def test_log_of_the_normal_distribution_function_keeps_its_digits_above() -> None:
    """log Phi(x) = -Phi(-x) (1 + ...) for large x: relative, not only absolute, accuracy."""
    x = np.linspace(2, 30, 200)
    value, _ = value_and_slope("log_Phi", x)
    np.testing.assert_allclose(value, special.log_ndtr(x), rtol=1e-12)


def test_normal_distribution_function() -> None:
    x = np.concatenate([np.linspace(-37, 37, 1481), [-1e3, -100.0, 100.0, 1e3]])
    value, slope = value_and_slope("Phi", x)
    np.testing.assert_allclose(value, special.ndtr(x), rtol=3e-13, atol=0)
    np.testing.assert_allclose(slope, np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi), rtol=1e-13, atol=1e-300)


def test_probit() -> None:
    """Over the whole unit interval, to 1e-12 relative; slopes by the density."""
    p = np.concatenate([np.geomspace(1e-300, 0.5, 2000), 1 - np.geomspace(1e-15, 0.5, 500)])
    value, slope = value_and_slope("probit", p)
    want = special.ndtri(p)
    np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(slope, np.sqrt(2 * math.pi) * np.exp(0.5 * want**2), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("Phi", [-1e3, -40.0, -38.0, 37.0, 38.0, 40.0, 1e3]),
        ("log_Phi", [-1e6, -40.0, -12.0, 0.0]),
        ("probit", [0.0, 1e-300, 1e-20, 0.02425, 0.5, 0.975, 1 - 1e-15, 1.0]),
        ("probit", [-0.5, 1.5]),
        ("softplus", [-1e3, -750.0, -40.0, 0.0, 40.0, 750.0, 1e5]),
        ("expit", [-1e3, -700.0, 0.0, 40.0, 700.0, 1e3]),
        ("icloglog", [-1e3, -50.0, 0.0, 5.0, 800.0]),
        ("exp", [-1e3, 0.0, 1e3]),
        ("log1p", [-1.0, -0.999999999999, 0.0, 1e-300]),
        ("expm1", [-1e3, -1e-300, 1e-300, 1e3]),
        ("logit", [0.0, 1e-300, 0.5, 1.0]),
        ("cloglog", [0.0, 1e-300, 0.5, 1.0]),
        ("log", [0.0, 1e-300, 1e300]),
        ("log", [-1.0]),
        ("sqrt", [0.0, -1.0, 1e-300]),
        ("lgamma", [0.0, 1e-300, 1e15]),
        ("abs", [-3.0, 0.0, -0.0]),
        ("tanh", [-1e3, -1e-300, 0.0, 20.0]),
        ("arctan", [-1e300, -1e-300, 1.0]),
        ("floor", [-1.5, -1.0, 0.0, 1e300]),
    ],
)
def test_folding_is_execution_at_the_limits(name: str, x: list[float]) -> None:
    np.testing.assert_allclose(known(name, x), value_and_slope(name, x)[0], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", ["softplus", "expit", "icloglog", "Phi", "log_Phi", "tanh", "arctan"])
def test_slopes_are_finite_far_out(name: str) -> None:
    x = np.array([-1e6, -1e3, -750.0, -40.0, 40.0, 750.0, 1e3, 1e6])
    value, slope = value_and_slope(name, x)
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()
