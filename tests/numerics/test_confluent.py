"""log 0F1 against the Bessel function, its own identities and, for its slopes, complex steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from dagmodels.distributions._confluent import log_0f1_shape
from dagmodels.numerics.confluent import log_0f1

ORDERS = (0.3, 1.0, 2.5, 40.0, 900.0)
FAR = (1e-3, 1.0, 1e3, 2.4e5, 2.6e5, 1e7, 1e12)
CASES = [(b, z) for b in ORDERS for z in FAR]


@pytest.mark.parametrize(("b", "z"), CASES)
def test_it_is_the_modified_bessel_function(b, z):
    x = 2 * math.sqrt(z)
    scaled = special.ive(b - 1, x)
    if scaled < 1e-290:  # the Bessel function underflows: the series' own first terms
        expected = math.log1p(sum(z**k / (special.poch(b, k) * special.factorial(k)) for k in range(1, 30)))
        tolerance = 1e-11
    else:
        expected = math.log(scaled) + x + special.gammaln(b) - (b - 1) * math.log(x / 2)
        tolerance = 1e-12
    assert log_0f1(b, z)[0] == pytest.approx(expected, rel=tolerance, abs=1e-13)


@pytest.mark.parametrize(("b", "z"), [*CASES, (2.5, 1e60), (900.0, 1e307)])
def test_slopes_are_those_of_complex_steps(b, z):
    value, in_b, in_z = log_0f1(b, z)
    assert value == pytest.approx(log_0f1_shape(0, b, z).item(), rel=1e-12)
    step = 1e-20 * b
    for order, slope in ((0, in_b), (1, log_0f1_shape(2, b, z).item())):
        found = np.imag(log_0f1_shape(order, b + 1j * step, z)).item() / step
        assert slope == pytest.approx(found, rel=1e-10, abs=1e-12)
    along = np.imag(log_0f1_shape(0, b, z * (1 + 1e-20j))).item() / 1e-20
    assert in_z * z == pytest.approx(along, rel=1e-11)


@pytest.mark.parametrize("b", ORDERS)
def test_series_and_expansion_meet(b):
    edge = 500.0 * (b + 499.0)  # terms 499 and 500 are equal here
    z = edge * (1 + np.linspace(-0.004, 0.004, 9))
    found = np.array([log_0f1(b, v) for v in z]).T
    for row in found:  # smooth across the switch: sixth differences are rounding errors
        assert np.max(np.abs(np.diff(row, 6))) < 1e-12 * np.max(np.abs(row)) * 64


def test_outside_its_domain_it_is_no_number():
    for b, z in ((-1.0, 1.0), (1.0, -1.0), (1.0, np.inf), (np.nan, 1.0), (1.0, np.nan)):
        assert np.isnan(log_0f1(b, z)).all()
        assert np.isnan(log_0f1_shape(0, b, z))
    assert log_0f1(2.0, 0.0) == (0.0, 0.0, 0.5)
