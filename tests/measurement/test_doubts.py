"""What is said of errors that cannot be, that nothing tells, or that leave nothing; Berkson errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import dagmodels as dm
from tests.measurement.references import data
from tests.measurement.test_readings import YORK

LINEAR = """
model linear
plate row
parameter a, b, mu
parameter s, d, e > 0
x[row] ~ Normal(mu, s)
observed w[row] ~ Normal(x, e)
observed y[row] ~ Normal(a + b*x, d)
"""


def faults(text: str, columns: object) -> str:
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(text).fit(columns)
    return "; ".join(f"{m} {m.hint}" for m in caught.value.exceptions)


@pytest.mark.parametrize(("bad", "words"), [(0.0, "is 0 at point 2"), (-0.1, "is -0.1 at point 2")])
def test_a_scale_that_cannot_be_is_named_with_its_row(bad: float, words: str) -> None:
    d = data("york1966")
    d.loc[2, "sd_x"] = bad
    assert f"the known scale of 'x' {words}" in faults(YORK, d)


def test_a_missing_error_is_named_with_its_row() -> None:
    d = data("york1966")
    d.loc[2, "sd_x"] = np.nan
    assert "'sd_x' is missing at point 2" in faults(YORK, d)


def two_columns(n: int = 100) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    return {"w": x + rng.normal(size=n), "y": x + rng.normal(size=n)}


def test_what_would_tell_an_unknown_error_is_listed() -> None:
    told = faults(LINEAR, two_columns())
    for way in (
        "reliability",
        "replicate",
        "instrument",
        "validation sample",
        "ratio of the error variances",
    ):
        assert way in told


def test_an_error_larger_than_what_was_seen_leaves_ginis_bounds() -> None:
    """With a known error beyond the observed variance the optimum is the reverse regression itself."""
    text = LINEAR.replace("Normal(x, e)", "Normal(x, 3)").replace("s, d, e", "s, d")
    d = two_columns()
    with pytest.warns(dm.FitWarning, match="Gini's bounds"):
        fit = dm.read(text).fit(d)
    c = np.cov(d["w"], d["y"])
    (told,) = fit.warnings
    assert f"between {c[0, 1] / c[0, 0]:.4g}" in told
    assert f"and {c[1, 1] / c[0, 1]:.4g}" in told
    slope = fit.estimates.set_index("name")["estimate"]["b"]
    assert slope == pytest.approx(c[1, 1] / c[0, 1], rel=1e-3)


def test_an_error_that_leaves_something_is_not_warned_of() -> None:
    text = LINEAR.replace("Normal(x, e)", "Normal(x, 1)").replace("s, d, e", "s, d")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dm.read(text).fit(two_columns()).converged


def test_berkson_errors_are_said_to_be_such() -> None:
    text = """
    model berkson
    plate row
    covariate w[row]
    parameter a, b
    parameter s > 0
    x[row] ~ Normal(w, 0.5)
    observed y[row] ~ Normal(a + b*x, s)
    """
    d = two_columns()
    g = dm.read(text)
    assert "'x' scatters about the column 'w' (Berkson error" in str(g.plan(d))
    slope = g.fit(d).estimates.set_index("name")["estimate"]["b"]
    c = np.cov(d["w"], d["y"])
    assert slope == pytest.approx(c[0, 1] / c[0, 0], rel=1e-6)  # not attenuated: least squares
