"""York's and Deming's lines: published digits, direct minimisation, invariances, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import dagmodels as dm
from tests.measurement.references import answers, data


def test_yorks_line_has_the_published_digits() -> None:
    d, r = data("york1966"), answers("york1966")
    fit = dm.york(d["x"], d["y"], d["sd_x"], d["sd_y"])
    known, published = r["functional_ml_york"], r["published"]
    assert fit.intercept == pytest.approx(published["intercept"], abs=1e-13)
    assert fit.slope == pytest.approx(published["slope"], abs=1e-13)
    assert fit.se == pytest.approx([known["se_intercept"], known["se_slope"]], rel=1e-9)
    assert fit.covariance[0, 1] == pytest.approx(known["cov_ab"], rel=1e-9)
    for name in ("chisq", "df", "mswd", "se_intercept_scaled", "se_slope_scaled"):
        assert fit.measures[name] == pytest.approx(known[{"chisq": "chi2"}.get(name, name)], rel=1e-9)
    assert fit.measures["se_slope_scaled"] == pytest.approx(published["se_slope_scaled"], rel=1e-12)
    assert fit.x == pytest.approx(known["x_adjusted"], abs=1e-9)
    assert fit.y == pytest.approx(known["y_adjusted"], abs=1e-9)


def squares(b: float, x, y, s, t, r) -> float:
    """The sum of squares at a slope, the intercept at its best."""
    w = 1 / (t**2 + b**2 * s**2 - 2 * b * r * s * t)
    a = w @ (y - b * x) / w.sum()
    return w @ (y - a - b * x) ** 2


@pytest.mark.parametrize("seed", range(8))
def test_yorks_line_minimises_the_squares_also_with_correlated_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 12
    s, t, r = rng.uniform(0, 1, n), rng.uniform(0.1, 1, n), rng.uniform(-0.9, 0.9, n)
    s[0] = 0.0
    x = rng.normal(0, 3, n)
    y = 1 + rng.normal() * x + rng.normal(size=n)
    fit = dm.york(x, y, s, t, r)
    best = min(
        (
            minimize_scalar(squares, bracket=(b, b + 0.1), args=(x, y, s, t, r), tol=1e-12)
            for b in np.linspace(-4, 4, 9)
        ),
        key=lambda found: found.fun,
    )
    assert fit.measures["chisq"] == pytest.approx(best.fun, rel=1e-9)
    assert fit.slope == pytest.approx(best.x, rel=1e-5)


def test_exchanging_the_coordinates_gives_the_same_line() -> None:
    d = data("york1966")
    one, two = dm.york(d.x, d.y, d.sd_x, d.sd_y), dm.york(d.y, d.x, d.sd_y, d.sd_x)
    assert two.slope == pytest.approx(1 / one.slope, rel=1e-12)
    assert two.intercept == pytest.approx(-one.intercept / one.slope, rel=1e-12)
    assert two.measures["chisq"] == pytest.approx(one.measures["chisq"], rel=1e-12)


@pytest.mark.parametrize("ratio", [1, 2])
def test_demings_line(ratio: int) -> None:
    d, known = data("deming"), answers("deming")[f"lambda_{ratio}"]
    fit = dm.deming(d["x"], d["y"], variance_ratio=ratio)
    assert [fit.intercept, fit.slope] == pytest.approx([known["intercept"], known["slope"]], rel=1e-11)
    assert fit.se == pytest.approx(known["se_jackknife"], rel=1e-9)
    n = len(d)
    biased = fit.measures["error_variance_x"] * (n - 2) / n
    assert biased == pytest.approx(known["structural_ml"]["var_ex"], rel=1e-5)


def test_demings_line_is_yorks_with_equal_errors() -> None:
    d = data("deming")
    deming, york = dm.deming(d.x, d.y, 3.0), dm.york(d.x, d.y, 1.0, np.sqrt(3.0))
    assert deming.slope == pytest.approx(york.slope, rel=1e-12)
    assert deming.x == pytest.approx(york.x, rel=1e-10)
    away = dm.deming(d.x + 1e6, d.y, 3.0)
    assert away.slope == pytest.approx(deming.slope, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dm.york([1, 2, 3], [1, 2], 1, 1), "'y' has the shape"),
        (lambda: dm.york([1, 2, np.nan], [1, 2, 3], 1, 1), "'x' has no finite value at position 2"),
        (lambda: dm.york([1, 2, 3], [1, 2, 3], -1, 1), "'sd_x' is negative"),
        (lambda: dm.york([1, 2, 3], [1, 2, 3], [1, 0, 1], [1, 0, 1]), "both zero at position 1"),
        (lambda: dm.york([1, 2, 3], [1, 2, 3], 1, 1, 1.0), "'correlation' is not between"),
        (lambda: dm.york([2, 2, 2], [1, 2, 3], 1, 1), "all values of 'x' are equal"),
        (lambda: dm.deming([1, 2], [1, 2]), "there are 2 points"),
        (lambda: dm.deming([1, 2, 3], [1, 2, 3], 0), "variance_ratio is 0"),
        (lambda: dm.deming(["a", 2, 3], [1, 2, 3]), "'x' is not numbers"),
    ],
)
def test_bad_input_is_named(call, words: str) -> None:
    with pytest.raises(dm.ModelErrors) as caught:
        call()
    assert words in str(caught.value.exceptions[0])


def test_the_summary_names_the_reading() -> None:
    d = data("york1966")
    assert "reading: functional" in dm.york(d.x, d.y, d.sd_x, d.sd_y).summary()
