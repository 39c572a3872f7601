"""Wald limits."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from dagmodels.results.limits import wald


def test_limits_hold_95_percent():
    lower, upper = wald([2.0], [0.5])
    assert norm.cdf(upper[0], 2, 0.5) - norm.cdf(lower[0], 2, 0.5) == np.float64(0.95)


def test_scales_stop_at_zero_and_others_do_not():
    lower, upper = wald([1.0, 1.0], [1.0, 1.0], [True, False])
    assert lower[0] == 0
    assert lower[1] < 0
    assert upper[0] == upper[1]


def test_no_standard_error_no_limits():
    lower, upper = wald([0.0], [np.nan], True)
    assert np.isnan(lower[0])
    assert np.isnan(upper[0])
