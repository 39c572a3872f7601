"""A nonlinear curve under the functional reading is the orthogonal distance regression of scipy.odr."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import dagmodels as dm

TEXT = """
model curve
plate i
parameter a start 1
parameter b start 0.3
parameter mu
parameter s > 0
xi[i] ~ Normal(mu, s)
observed x[i] ~ Normal(xi, 0.1)
observed y[i] ~ Normal(a*exp(b*xi), 0.2)
"""


def test_a_curve_with_errors_in_both_coordinates():
    """The sum of squares over curve and points, minimised by least squares on all unknowns at once."""
    from scipy.optimize import least_squares

    rng = np.random.default_rng(0)
    x = np.linspace(0, 3, 30)
    d = {"x": x + rng.normal(0, 0.1, 30), "y": 2 * np.exp(0.5 * x) + rng.normal(0, 0.2, 30)}

    def left(p: np.ndarray) -> np.ndarray:
        return np.r_[(d["x"] - p[2:]) / 0.1, (d["y"] - p[0] * np.exp(p[1] * p[2:])) / 0.2]

    best = least_squares(left, np.r_[1.0, 0.3, d["x"]], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = dm.read(TEXT).fit(d, reading="functional")
    assert [fit["a"], fit["b"]] == pytest.approx(best.x[:2], rel=1e-6)
    errors = np.sqrt(np.linalg.inv(best.jac.T @ best.jac).diagonal())[:2]
    rows = fit.estimates.set_index("name")
    assert rows.se[["a", "b"]].to_numpy() == pytest.approx(errors, rel=0.05)  # ours: the whole Hessian
    structural = dm.read(TEXT).fit(d)
    assert structural["b"] == pytest.approx(fit["b"], rel=0.01)
