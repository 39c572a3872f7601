"""Mean- and variance-adjusted tests: their arithmetic, and their traces against full matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2

from dagmodels.results.sem.adjusted import ADJUSTED, adjusted

# -- arithmetic


@pytest.mark.parametrize("test", ["satorra.bentler", *ADJUSTED])
def test_moments_of_the_turned_statistic(test):
    """A sum of weights times chi-squares has mean tr and variance 2 tr2; turned, those of its chi-square."""
    weights = np.array([0.4, 0.9, 1.0, 2.5, 3.1])
    trace1, trace2, df = weights.sum(), (weights**2).sum(), weights.size
    found = adjusted(test, 10.0, df, trace1, trace2)
    mean = trace1 / found.factor + found.shift
    assert mean == pytest.approx(found.df)
    if test != "satorra.bentler":
        assert 2 * trace2 / found.factor**2 == pytest.approx(2 * found.df)
    assert found.pvalue == pytest.approx(chi2.sf(10.0 / found.factor + found.shift, found.df))


def test_equal_weights_of_one_change_nothing():
    for test in ("satorra.bentler", *ADJUSTED):
        found = adjusted(test, 7.0, 4, 4.0, 4.0)
        assert (found.chisq, found.df, found.factor, found.shift) == pytest.approx((7.0, 4.0, 1.0, 0.0))


def test_what_is_unknown_is_nan():
    assert math.isnan(adjusted("scaled.shifted", 3.0, 0, 0.0, 0.0).chisq)
    assert math.isnan(adjusted("mean.var.adjusted", 3.0, 2, 2.0, math.nan).pvalue)
    with pytest.raises(ValueError, match="no adjusted test"):
        adjusted("scaled", 3.0, 2, 2.0, 2.0)
