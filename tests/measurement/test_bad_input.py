"""Data that a model of measurement error cannot be fitted to, or not believed: what is said."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm

SPECS = Path(__file__).parents[2] / "specs" / "eiv"


def text_of(name: str) -> str:
    """A model without its data line."""
    return "\n".join(
        line for line in (SPECS / f"{name}.dag").read_text().splitlines() if not line.startswith("data ")
    )


def rows(n: int = 100) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=n), rng.normal(size=n)
    return {
        "x": x,
        "z": z,
        "y": x + 0.5 * z + rng.normal(size=n),
        "e": rng.normal(size=n),
        "f": rng.normal(size=n),
    }


def test_equal_replicates_in_a_nested_plate() -> None:
    d = rows()
    subject = np.repeat(np.arange(100), 2)
    frames = {
        "subject": pd.DataFrame({"subject": np.arange(100), "z": d["z"], "y": d["y"]}),
        "reading": pd.DataFrame({"subject": subject, "reading": np.arange(200), "w": np.repeat(d["x"], 2)}),
    }
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(text_of("replicates")).fit(frames)
    assert "all replicates of 'x' ('w') are equal, which leaves 'e' zero" in str(caught.value)
    frames["reading"].loc[0, "w"] += 1e-3
    assert dm.read(text_of("replicates")).check(frames).findings == ()


def test_equal_replicates_in_two_columns() -> None:
    d = rows()
    columns = {"z": d["z"], "w1": d["x"], "w2": d["x"], "y": (d["y"] > 0).astype(int)}
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(text_of("logistic")).fit(columns)
    assert "('w1', 'w2') are equal" in str(caught.value)


@pytest.mark.parametrize(("name", "binary"), [("internal_validation", False), ("misclassified", True)])
def test_a_validation_sample_that_does_not_overlap(name: str, binary: bool) -> None:
    d = rows()
    x, y = d["x"], d["y"]
    w = x + 0.5 * d["e"]
    if binary:
        x, w, y = (np.where(v > 0, 1.0, 0.0) for v in (x, w, y))
    first = np.arange(100) < 50
    columns = {"x": np.where(first, x, np.nan), "w": np.where(first, np.nan, w), "y": y}
    with pytest.warns(dm.FitWarning, match="no element shows both 'x' and 'w'"):
        dm.read(text_of(name)).fit(columns)
    columns["w"][10] = w[10]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="no element shows both")
        dm.read(text_of(name)).fit(columns)


@pytest.mark.parametrize(
    ("r", "told"), [("1.3", "`sqrt((1 - r)/r)` is not a finite number where r = 1.3"), ("0", "`(1 - r)/r`")]
)
def test_a_reliability_that_is_none(r: str, told: str) -> None:
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(text_of("known_reliability").replace("constant r = 0.7", f"constant r = {r}"))
    assert told in str(caught.value)
    assert "change r" in str(caught.value)


def test_corrected_covariates_that_are_one_are_not_told_apart() -> None:
    """Two readings of one true value, taken for two: on the bound of their correlation the likelihood stays
    the same along a line of coefficients, and a higher one lies off it. No optimum is certified."""
    d = rows()
    columns = {"w1": d["x"] + 0.6 * d["e"], "w2": d["x"] + 0.9 * d["f"], "y": d["y"], "z": d["z"]}
    with pytest.warns(dm.FitWarning, match="did not converge"):
        fit = dm.read(text_of("several")).fit(columns)
    at_hand = (
        text_of("several").replace("b1, b2", "b2").replace("plate row", "plate row\nconstant b1 = 2.0", 1)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = dm.read(at_hand).fit(columns, check=False)
    assert not fit.converged
    assert fit.log_likelihood >= other.log_likelihood - 1e-6 or "not told apart" in fit.message


def test_an_outcome_that_is_a_step_of_the_reading_is_separated() -> None:
    d = rows()
    w1, w2 = d["x"] + 0.3 * d["e"], d["x"] + 0.3 * d["f"]
    columns = {"z": d["z"], "w1": w1, "w2": w2, "y": (w1 + w2 > 0).astype(int)}
    with pytest.warns(dm.FitWarning) as told:
        fit = dm.read(text_of("logistic")).fit(columns)
    assert not fit.converged
    assert "'y' is separated by" in fit.message
    assert any("is not settled: 63 and 100 nodes differ" in str(w.message) for w in told)
