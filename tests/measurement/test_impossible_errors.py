"""Errors that cannot be, or leave nothing: each is named, with where and what next."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.measurement.spec_data import SPECS, load


@functools.cache
def text(name: str) -> str:
    return (SPECS / f"{name}.dag").read_text()


def fault(model: str, data: object) -> str:
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(model).fit(data)
    (one,) = caught.value.exceptions
    return f"{one} {one.hint}"


def warned(model: str, data: object):
    """The fit and its warnings as one text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dm.FitWarning)
        fit = dm.read(model).fit(data)
    return fit, " ".join((fit.message, *fit.warnings))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("sd_x", 0.0, "the known scale of 'wx' is 0 at point 3"),
        ("sd_x", -0.2, "the known scale of 'wx' is -0.2 at point 3"),
        ("sd_x", np.nan, "'sd_x' is missing at point 3"),
        ("sd_y", np.nan, "'sd_y' is missing at point 3"),
        ("sd_x", np.inf, "inf in row 4 of 'sd_x' is infinite"),
    ],
)
def test_errors_by_point(column: str, value: float, words: str):
    d = load("astronomy")
    d.loc[3, column] = value
    assert words in fault(text("astronomy"), d)


def test_an_error_of_zero_beside_a_scatter_is_no_fault():
    """A point whose y is exact still scatters about the line."""
    d = load("astronomy")
    d.loc[3, "sd_y"] = 0.0
    assert dm.read(text("astronomy")).fit(d).converged


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("v_x", 0.0, "the known error variance of 'wx' is 0 at point 3"),
        ("v_x", -0.1, "the known error variance of 'wx' is -0.1 at point 3"),
        ("c_xy", 5.0, "the known error covariances of 'wx', 'wy' are those of no law"),
    ],
)
def test_covariances_by_point(column: str, value: float, words: str):
    d = load("correlated_errors")
    d.loc[3, column] = value
    told = fault(text("correlated_errors"), d)
    assert words in told
    assert "at point 3" in told


def test_an_error_beyond_what_was_observed_in_a_count_model():
    _, told = warned(text("poisson").replace("0.5)", "3)"), load("poisson"))
    assert "the error variance of 'w' (9) is not below its observed variance, given 'z', (0.9305)" in told
    assert "at least as steep as the naive slope" in told


def noise(readings: int, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Readings that hold nothing of x."""
    rng = np.random.default_rng(seed)
    n = 200
    z, x = rng.normal(size=(2, n))
    subject = pd.DataFrame({"subject": np.arange(n), "z": z, "y": x + rng.normal(size=n)})
    who = np.repeat(np.arange(n), readings)
    return {
        "subject": subject,
        "reading": pd.DataFrame({"subject": who, "w": rng.normal(size=who.size)}),
        "x": pd.DataFrame({"x": x}),
    }


def only(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {k: frames[k] for k in ("subject", "reading")}


def test_replicates_that_scatter_as_much_within_as_between():
    """The bounds are those of regressions on the means of readings, given z."""
    d = only(noise(2))
    fit, told = warned(text("replicates"), d)
    w = d["reading"].groupby("subject").w.mean().to_numpy()
    error = 0.5 * d["reading"].groupby("subject").w.var().mean()
    x = np.stack([np.ones(200), d["subject"].z], axis=1)
    left = [v - x @ np.linalg.lstsq(x, v, rcond=None)[0] for v in (w, d["subject"].y.to_numpy())]
    assert error > left[0].var()
    assert f"the error variance of the mean of 'w' ({error:.4g}) is not below" in told
    c = np.cov(*left)
    assert f"between {c[0, 1] / c[0, 0]:.4g} (regression of 'y') and {c[1, 1] / c[0, 1]:.4g}" in told
    for name in ("moments", "regression calibration", "SIMEX, rational"):
        reason = fit.second_opinions(draws=2, replicates=2).refusals[f"{name} of 'y'"]
        assert "as large as what was observed" in reason


def test_replicates_of_which_there_are_none():
    told = fault(text("replicates"), only(noise(1)))
    assert "'e' is not identified: no 'x' has two readings 'w'" in told
    assert "what would tell the error of 'x'" in told


def test_a_validation_sample_that_does_not_overlap():
    d = load("internal_validation")
    d.loc[d.x.notna(), ["w", "y"]] = np.nan
    told = fault(text("internal_validation"), d)
    assert "'x' is never seen together with 'w', 'y'" in told
    assert "a plate of their own" in told


def test_a_reliability_of_one():
    told = fault(text("known_reliability").replace("r = 0.7", "r = 1"), load("known_reliability"))
    assert "the scale of 'w' is zero whatever its unknowns are" in told
    assert "let it be a covariate" in told


def test_true_values_that_are_collinear():
    """Two readings of one true value, modelled as two: it is said what is left."""
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, 400))
    d = pd.DataFrame({"z": z, "w1": x + 0.6 * rng.normal(size=400), "w2": x + 0.9 * rng.normal(size=400)})
    d["y"] = 0.5 * x + 0.2 * z + 0.5 * rng.normal(size=400)
    _, told = warned(text("several"), d)
    assert "once their errors are taken away, 'x1', 'x2' vary together without remainder" in told
    assert "what holds is their joint effect" in told


def test_a_column_that_is_its_own_reading():
    d = load("several")
    d["z"] = d.w1
    _, told = warned(text("several"), d)
    assert "the error variance of 'w1' (0.36) is not below its observed variance, given 'z'," in told


@pytest.mark.parametrize(("by", "named"), [("z", "'c'"), ("w", "'b'"), ("all", "'a'")])
def test_separation_in_a_corrected_logistic_model(by: str, named: str):
    d = load("logistic")
    d["y"] = 1 if by == "all" else ((d.z if by == "z" else d.w1 + d.w2) > 0).astype(int)
    fit, told = warned(text("logistic"), d)
    assert not fit.converged
    assert f"'y' is separated by {named}" in told
    assert f"give {named} a prior" in told
    found = fit.attenuation()
    assert "the naive fit did not converge: 'y' is separated" in str(found)
    assert "separated" in fit.second_opinions(draws=2, replicates=2).refusals["naive of 'y'"]


def test_good_data_raise_none_of_these():
    for name in ("replicates", "several", "internal_validation", "correlated_errors", "known_reliability"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert dm.read(SPECS / f"{name}.dag").fit(load(name)).warnings == ()
