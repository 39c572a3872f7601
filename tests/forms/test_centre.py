"""Columns far from zero: the same answers as with columns near it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.forms.build_field import build_field
from dagmodels.forms.field import Evaluator
from tests.oracle.cases import problem_of

LINE = """
model line
plate row
covariate x[row]
parameter s > 0
b0, b1 ~ Flat()
observed y[row] ~ Normal(b0 + b1*x, s)
"""


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e4, 1e5, 1e6, 1e7])
def test_covariates_far_from_zero_keep_their_digits(offset: float) -> None:
    """A column beside an intercept, moved far away: the same restricted likelihood, slope and error.

    The reference is the regression on x - offset, a difference that binary numbers take exactly; the
    restricted likelihood does not change, as the determinant of the move is one.
    """
    rng = np.random.default_rng(0)
    n = 50
    x = offset + rng.normal(size=n)
    X = np.column_stack([np.ones(n), x - offset])
    y = 2 + 0.5 * X[:, 1] + rng.normal(size=n)
    problem = problem_of(LINE, {"row": np.arange(n), "x": x, "y": y})
    field = build_field(problem, roles(problem.graph, problem))
    evaluator = Evaluator(field)
    got = evaluator.criterion(np.zeros(1)).deviance  # s = 1
    b = np.linalg.lstsq(X, y, rcond=None)[0]
    want = (n - 2) * np.log(2 * np.pi) + np.sum((y - X @ b) ** 2) + np.linalg.slogdet(X.T @ X)[1]
    assert got == pytest.approx(want, rel=1e-8)
    row = field.rows["b1"]
    assert evaluator.means()[row[0]] == pytest.approx(b[1], rel=1e-8)
    evaluator.criterion(np.zeros(1))
    assert evaluator.variances()[row[0]] == pytest.approx(np.linalg.inv(X.T @ X)[1, 1], rel=1e-8)


GROUPED = """
model grouped
plate group
plate row in group
covariate x[row], z[group], w[row]
parameter t, s > 0
b0, b1, b2, b3 ~ Flat()
a[group] ~ Normal(b0 + b2*z, t)
observed y[row] ~ Normal(a[group] + b1*x + b3*w, s)
"""


def grouped(offset: float) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(12), rng.integers(2, 7, 12))
    n = group.size
    z = np.round(rng.normal(size=12), 6)
    x, w = np.round(rng.normal(size=n), 6), np.round(rng.normal(size=n), 6)
    y = 1 + rng.normal(size=12)[group] + 0.4 * z[group] + 0.7 * x - 0.2 * w + rng.normal(size=n)
    return pd.DataFrame(
        {"group": group, "x": x + offset, "z": z[group] - 3 * offset, "w": w + 2 * offset, "y": y}
    )


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("offset", [2.0**10, 2.0**20])
def test_a_move_of_covariates_moves_the_intercept_alone(offset: float, flat: bool) -> None:
    """Covariates of rows and of groups, moved by different amounts: slopes, errors, scales and deviations
    stay; intercept and latents follow in closed form."""
    text = GROUPED if flat else GROUPED.replace("b0, b1, b2, b3 ~ Flat()", "parameter b0, b1, b2, b3")
    near, far = dm.read(text).fit(grouped(0.0)), dm.read(text).fit(grouped(offset))
    digits = 1e-7 if offset > 1e5 else 1e-8  # x is rounded to 2^-52 offset: 2e-10 of its spread at 2^20
    assert far.log_likelihood == pytest.approx(near.log_likelihood, rel=digits)
    a, b = near.estimates.set_index("name"), far.estimates.set_index("name")
    for name in ("b1", "b2", "b3", "t", "s"):
        assert b.loc[name, "estimate"] == pytest.approx(a.loc[name, "estimate"], rel=digits)
        assert b.loc[name, "se"] == pytest.approx(a.loc[name, "se"], rel=1e-6)
    moved = a.loc["b0", "estimate"] - offset * (a.loc["b1", "estimate"] + 2 * a.loc["b3", "estimate"])
    moved += 3 * offset * a.loc["b2", "estimate"]
    assert b.loc["b0", "estimate"] == pytest.approx(moved, rel=digits)
    direction = np.array([1.0, -offset, 3 * offset, -2 * offset])
    names = ["b0", "b1", "b2", "b3"]
    variance = direction @ near.covariance.loc[names, names].to_numpy() @ direction
    assert b.loc["b0", "se"] == pytest.approx(np.sqrt(variance), rel=1e-6)
    np.testing.assert_allclose(far.latents["deviation"], near.latents["deviation"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(far.latents["deviation_sd"], near.latents["deviation_sd"], rtol=1e-6)
    np.testing.assert_allclose(far.predict(), near.predict(), rtol=1e-7)
    slope = a.loc["b1", "estimate"] + 2 * a.loc["b3", "estimate"]
    np.testing.assert_allclose(
        far.latents["estimate"], near.latents["estimate"] - offset * slope, rtol=digits
    )


def test_standard_deviations_of_moved_latents() -> None:
    """Against the form with near columns: a' = a - offset*b1, so its covariance follows by hand."""
    offset = 64.0
    text = GROUPED.replace(", w[row]", "").replace(" + b3*w", "").replace(", b3", "")
    near, far = dm.read(text).fit(grouped(0.0)), dm.read(text).fit(grouped(offset))
    moved = grouped(offset)
    assert far.log_likelihood == pytest.approx(near.log_likelihood, rel=1e-10)
    field = build_field(*_bound(text, moved))
    evaluator = Evaluator(field)
    evaluator.criterion(np.array([0.7, 0.1]))
    rows = field.rows["a"]
    full = evaluator.covariance(np.concatenate([rows, field.rows["b1"], field.rows["b2"]]))
    plain = build_field(*_bound(text, grouped(0.0)))
    other = Evaluator(plain)
    other.criterion(np.array([0.7, 0.1]))
    inner = other.covariance(np.concatenate([plain.rows["a"], plain.rows["b1"], plain.rows["b2"]]))
    k = rows.size
    back = np.eye(k + 2)
    back[:k, k] = -offset
    np.testing.assert_allclose(full, back @ inner @ back.T, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(evaluator.variances()[rows], np.diag(full)[:k], rtol=1e-9)
    assert field.moves
    assert not plain.moves


def _bound(text: str, data: pd.DataFrame):
    problem = problem_of(text, data)
    return problem, roles(problem.graph, problem)
