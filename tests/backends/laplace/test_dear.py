"""Fits whose evaluations are taken to be dear: the same answers from fewer gradients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.forms import information

CASES = (
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    ("sleepstudy", "Reaction ~ Days + (Days || Subject)"),
    ("penicillin", "diameter ~ 1 + (1 | dish) + (1 | sample)"),
    ("pastes", "strength ~ 1 + (1 | batch/cask)"),
    ("radon", "log_radon ~ floor + (floor | county)"),
)


def both(formula: str, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch):
    plain = dm.lmer(formula, frame)
    monkeypatch.setattr(information, "COSTLY", 0.0)
    return plain, dm.lmer(formula, frame)


@pytest.mark.parametrize(("name", "formula"), CASES)
def test_same_answers_from_fewer_gradients(name: str, formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, dear = both(formula, pd.read_csv(f"examples/{name}.csv"), monkeypatch)
    assert plain.converged
    assert dear.converged, dear.message
    assert dear.diagnostics["evaluations"] < 0.8 * plain.diagnostics["evaluations"]
    assert abs(dear.log_likelihood - plain.log_likelihood) < 1e-8
    for column, tolerance in (("estimate", 1e-5), ("se", 1e-4)):
        np.testing.assert_allclose(dear.estimates[column], plain.estimates[column], rtol=tolerance, atol=1e-6)


def test_a_variance_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"g": np.repeat(np.arange(40), 10), "h": np.tile(np.arange(10), 40)})
    frame["y"] = 0.5 * rng.normal(size=40)[frame.g] + rng.normal(size=400)
    frame["y"] -= frame.groupby("h").y.transform("mean")
    with pytest.warns(dm.FitWarning):
        plain, dear = both("y ~ 1 + (1 | g) + (1 | h)", frame, monkeypatch)
    assert plain.boundary == dear.boundary != ()
    assert dear.converged
    assert abs(dear.log_likelihood - plain.log_likelihood) < 1e-8


def test_crossed_levels_with_a_long_tail() -> None:
    """Dear by itself: 1,200 x 1,000 levels; modes are those of the table."""
    rng = np.random.default_rng(5)
    n = 12_000
    frame = pd.DataFrame({"g": rng.integers(0, 1200, n), "h": rng.integers(0, 1000, n)})
    frame["y"] = (
        0.5 * rng.normal(size=1200)[frame.g] + 0.8 * rng.normal(size=1000)[frame.h] + rng.normal(size=n)
    )
    fit = dm.lmer("y ~ 1 + (1 | g) + (1 | h)", frame)
    assert fit.converged, fit.message
    assert fit.diagnostics["evaluations"] <= 14
    table = fit.inner.latents
    assert fit.ranef()["h"].iloc[:, 0].tolist() == table[table.name.str.startswith("b_h[")].deviation.tolist()
    np.testing.assert_allclose(fit.fixef()["(Intercept)"], 0.0, atol=5 * fit.estimates.se[0])
