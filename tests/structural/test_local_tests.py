"""Instruments, two-stage least squares and local tests against brute force and the literature."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.results.sem.local_tests import holm, tetrads, wishart_variance
from tests.structural.references import data, text

DEMOCRACY = text("sem_political_democracy_sem", "free_loadings")


@pytest.fixture(scope="module")
def democracy():
    return dm.sem(DEMOCRACY, data("sem_political_democracy_sem"))


def test_instruments_of_political_democracy():
    """Bollen and Bauer (2004) list these for the same model: all but what the composite error reaches."""
    found = {e.name: e for e in dm.read(DEMOCRACY, format="lavaan", model_type="sem").instruments()}
    assert set(found["dem60"].instruments) == {"x2", "x3"}
    assert set(found["dem65"].instruments) == {"x2", "x3", "y2", "y3", "y4"}
    assert set(found["y2"].instruments) == {"x1", "x2", "x3", "y3", "y7", "y8"}
    assert set(found["x2"].instruments) == {"x3", *(f"y{k}" for k in range(1, 9))}
    assert "y1" not in found
    assert all(e.identified for e in found.values())


def test_two_stage_least_squares_by_its_two_stages(democracy):
    """From the rows themselves: fitted regressors on instruments, then least squares."""
    table = democracy.miiv().set_index(["lhs", "op", "rhs"])
    frame = data("sem_political_democracy_sem")
    for y, x, z, rows in (
        ("y1", ["x1"], ["x2", "x3"], [("dem60", "~", "ind60")]),
        (
            "y5",
            ["x1", "y1"],
            ["x2", "x3", "y2", "y3", "y4"],
            [("dem65", "~", "ind60"), ("dem65", "~", "dem60")],
        ),
    ):
        one = np.ones((len(frame), 1))
        instruments = np.hstack([one, frame[z]])
        regressors = np.hstack([one, frame[x]])
        fitted = instruments @ np.linalg.lstsq(instruments, regressors, rcond=None)[0]
        b = np.linalg.lstsq(fitted, frame[y].to_numpy(), rcond=None)[0]
        u = frame[y].to_numpy() - regressors @ b
        cov = np.linalg.inv(fitted.T @ fitted) * (u @ u) / len(frame)
        part = u @ instruments @ np.linalg.lstsq(instruments, u, rcond=None)[0]
        for k, row in enumerate(rows, start=1):
            assert table.loc[row, "estimate"] == pytest.approx(b[k], rel=1e-9)
            assert table.loc[row, "se"] == pytest.approx(np.sqrt(cov[k, k]), rel=1e-9)
            assert table.loc[row, "sargan"] == pytest.approx(len(frame) * part / (u @ u), rel=1e-8)
            assert table.loc[row, "sargan_df"] == len(z) - len(x)
            assert table.loc[row, "ml"] == pytest.approx(
                democracy.estimates.set_index(["lhs", "op", "rhs"]).loc[row, "estimate"]
            )


def test_second_opinion_finds_the_truth():
    """5000 rows of a known model: both estimators within five standard errors (false alarms below 1e-5)."""
    rng = np.random.default_rng(8)
    f = rng.normal(size=5000)
    frame = pd.DataFrame(
        {f"x{k}": w * f + rng.normal(size=5000) for k, w in enumerate((1, 0.7, 1.2, 0.9), 1)}
    )
    table = dm.cfa("f =~ x1 + x2 + x3 + x4", frame).miiv()
    np.testing.assert_array_less(np.abs(table["estimate"] - [0.7, 1.2, 0.9]), 5 * table["se"])


def test_tetrads_of_one_factor_and_their_variance():
    """One factor of four indicators implies two tetrads; the variance is that of 4000 samples (z below 5)."""
    load = np.array([1.0, 0.8, 0.6, 0.9])
    sigma = np.outer(load, load) + np.diag([0.5, 0.4, 0.7, 0.6])
    other = np.outer(load[::-1], load[::-1]) + np.eye(4)
    assert len(list(tetrads(np.array([sigma, other])))) == 2
    rng = np.random.default_rng(5)
    n = 400
    s = [np.cov(rng.multivariate_normal(np.zeros(4), sigma, n).T, bias=True) for _ in range(4000)]
    t = np.array([v[0, 1] * v[2, 3] - v[0, 2] * v[1, 3] for v in s])
    want = wishart_variance(sigma, 0, 1, 2, 3, n)
    assert abs(t.var() / want - 1) < 5 * np.sqrt(2 / 4000) + 4 / n


def test_independences_of_a_chain():
    rng = np.random.default_rng(2)
    x = rng.normal(size=300)
    m = 0.7 * x + rng.normal(size=300)
    y = 0.5 * m + rng.normal(size=300)
    frame = pd.DataFrame({"x": x, "m": m, "y": y})
    (row,) = dm.sem("m ~ x\ny ~ m", frame, fixed_x=False).local_tests().to_dict("records")
    assert row["kind"] == "independence"
    assert row["test"] in ("x ⊥ y | m", "y ⊥ x | m", "m ⊥ m")
    inverse = np.linalg.inv(np.corrcoef(frame.to_numpy().T))
    r = -inverse[0, 2] / np.sqrt(inverse[0, 0] * inverse[2, 2])
    assert row["estimate"] == pytest.approx(r, rel=1e-9)
    assert row["z"] == pytest.approx(np.arctanh(r) * np.sqrt(300 - 1 - 3), rel=1e-9)


def test_a_missing_loading_is_found_where_it_is():
    """x4 also measures f: tetrads with it fail, by far, and the fit's own chi-square does."""
    rng = np.random.default_rng(6)
    f, g = rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], size=800).T
    frame = pd.DataFrame({f"x{k}": (f if k < 4 else g) + 0.7 * rng.normal(size=800) for k in range(1, 7)})
    frame["x4"] += 0.6 * f
    table = dm.cfa("f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6", frame).local_tests()
    assert table["holm"][0] < 1e-6
    assert all("x4" in t for t in table["test"][table["holm"] < 1e-3])


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
