"""Rows with known errors of their own: from one law's covariance, the same fit as by the field."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.known_errors import unit_of_rows, without_known_errors
from dagmodels.analysis.unit import NoUnit, Unit
from dagmodels.forms.row_errors import PART, RowErrorsForm

LINE = """
model line
plate row
covariate sx[row], sy[row], z[row], c[row]
parameter a, b, m, d, e
parameter s, t > 0
x[row] ~ Normal(m + d*z, t)
observed w[row] ~ Normal(x, sx)
observed y[row] ~ Normal(a + b*x + e*z, sqrt(s**2 + sy**2))
"""
TIED = LINE + "w ~~ y = c\n"
TWICE = """
model twice
plate row
plate reading = 1..2
covariate sw[row, reading], sy[row]
parameter a, b, m
parameter s, t > 0
x[row] ~ Normal(m, t)
observed w[row, reading] ~ Normal(x[row], sw)
observed y[row] ~ Normal(a + b*x, sqrt(s**2 + sy**2))
"""


def rows(n: int, seed: int = 1, *, gaps: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sx, sy, z = rng.uniform(0.2, 0.8, n), rng.uniform(0.2, 0.8, n), rng.normal(size=n)
    x = 1 + 0.5 * z + rng.normal(size=n)
    w = x + sx * rng.normal(size=n)
    y = 0.5 + 2 * x - z + 0.7 * rng.normal(size=n) + sy * rng.normal(size=n)
    found = pd.DataFrame({"sx": sx, "sy": sy, "z": z, "w": w, "y": y, "c": 0.3 * sx * sy})
    if gaps:
        found.loc[5:20, "w"] = np.nan
        found.loc[15:30, "y"] = np.nan
    return found


@pytest.mark.parametrize("text", [LINE, TIED])
@pytest.mark.parametrize("gaps", [False, True])
def test_both_forms_agree(text: str, gaps: bool) -> None:
    graph, df = dm.read(text), rows(200, gaps=gaps)
    own, field = graph.fit(df), graph.fit(df, form="field")
    assert isinstance(own.moments.form, RowErrorsForm)
    assert own.converged
    assert field.converged
    assert own.log_likelihood == pytest.approx(field.log_likelihood, abs=1e-9)
    a, b = (f.estimates.set_index("name") for f in (own, field))
    np.testing.assert_allclose(a.estimate, b.estimate[a.index], rtol=1e-8)
    np.testing.assert_allclose(a.se, b.se[a.index], rtol=1e-5)
    latents, others = (f.latents.set_index("name") for f in (own, field))
    shared = latents.index.intersection(others.index)
    assert len(shared) >= 200
    np.testing.assert_allclose(latents.estimate[shared], others.estimate[shared], atol=1e-9)
    np.testing.assert_allclose(latents.sd[shared], others.sd[shared], rtol=1e-7)


def test_errors_of_several_readings() -> None:
    rng, n = np.random.default_rng(2), 150
    x, sw, sy = rng.normal(1, 1, n), rng.uniform(0.2, 1, (n, 2)), rng.uniform(0.2, 0.8, n)
    data = {
        "sw": sw, "sy": sy, "w": x[:, None] + sw * rng.normal(size=(n, 2)),
        "y": 0.5 + x + rng.normal(size=n) + sy * rng.normal(size=n),
    }  # fmt: skip
    graph = dm.read(TWICE)
    own, field = graph.fit(data), graph.fit(data, form="field")
    assert isinstance(own.moments.form, RowErrorsForm)
    a, b = (f.estimates.set_index("name") for f in (own, field))
    np.testing.assert_allclose(a.estimate, b.estimate[a.index], rtol=1e-7)
    np.testing.assert_allclose(a.se, b.se[a.index], rtol=1e-5)


def test_missing_value_has_its_own_error_given_what_is_tied_to_it() -> None:
    df = rows(200, gaps=True)
    fit = dm.read(TIED).fit(df)
    e, at = fit.estimates.set_index("name").estimate, df.loc[22]
    mean_x, var_x = e.m + e.d * at.z, e.t**2
    var_w, tied = var_x + at.sx**2, e.b * var_x + at.c
    var_y = e.b**2 * var_x + e.s**2 + at.sy**2
    column = [n for n, _ in fit.moments.form.variables].index("y")
    mean, sd = fit.moments.form.conditional(fit.moments.at)["row"]
    away = at.w - mean_x
    assert mean[22, column] == pytest.approx(e.a + e.b * mean_x + e.e * at.z + tied / var_w * away, rel=1e-10)
    assert sd[22, column] == pytest.approx(np.sqrt(var_y - tied**2 / var_w), rel=1e-10)


def test_scores_are_the_slopes_of_each_row() -> None:
    fit = dm.read(TIED).fit(rows(60, gaps=True))
    form, x = fit.moments.form, fit.moments.optimum.x + 0.05
    scores = form.at(x).scores()
    np.testing.assert_allclose(-2 * scores.sum(axis=0), form.at(x).gradient, rtol=1e-9, atol=1e-9)
    alone = fit.moments.form.__class__(
        form.problem, form.template, form.structure, form.sample, form.group_of[:1], form.values[:1],
        form.given_constant, errors=form.errors[:1],
    )  # fmt: skip
    np.testing.assert_allclose(-2 * scores[0], alone.at(x).gradient, rtol=1e-9, atol=1e-9)


def test_order_of_rows_does_not_count_and_many_rows_start_from_some() -> None:
    df = rows(3 * PART + 100, seed=3)
    graph = dm.read(LINE)
    fit, other = graph.fit(df), graph.fit(df.sample(frac=1.0, random_state=1))
    np.testing.assert_allclose(fit.estimates.estimate, other.estimates.estimate, rtol=1e-7)
    assert fit.converged
    assert fit.diagnostics["evaluations"] < 10


def test_other_answers_are_those_of_the_field() -> None:
    graph, df = dm.read(LINE), rows(120)
    own, field = graph.fit(df), graph.fit(df, form="field")
    for name, values in own.predict().items():
        np.testing.assert_allclose(values, field.predict()[name], rtol=1e-9)
    new = rows(5, seed=9)
    np.testing.assert_allclose(own.predict(new)["y"], field.predict(new)["y"], rtol=1e-9)
    limits, others = (f.confint("profile", which="b") for f in (own, field))
    np.testing.assert_allclose(limits[["lower", "upper"]], others[["lower", "upper"]], rtol=1e-5)
    again = pickle.loads(pickle.dumps(own))
    np.testing.assert_allclose(again.predict()["y"], own.predict()["y"])


def test_what_is_taken_out_and_what_is_not() -> None:
    less = without_known_errors(dm.read(TIED).dag)
    assert less is not None
    assert [(e.left.name, e.right.name) for e in less.errors] == [("w", "w"), ("y", "y"), ("w", "y")]
    assert (
        str(less.dag.nodes["y"].statements[0].distribution) == "Normal(a + b*x[row] + e*z[row], sqrt(s**2))"
    )
    assert isinstance(unit_of_rows(dm.read(LINE).dag), Unit)
    # an error that goes on to other nodes belongs to their law
    onwards = LINE + "observed v[row] ~ Normal(y, 1)\n"
    assert isinstance(unit_of_rows(dm.read(onwards).dag), NoUnit)
    # an unknown that multiplies the known error is estimated by rows
    scaled = LINE.replace("sqrt(s**2 + sy**2)", "s*sy")
    assert isinstance(unit_of_rows(dm.read(scaled).dag), NoUnit)


def test_plan_says_why() -> None:
    told = str(dm.read(LINE).plan(rows(50)))
    assert "form: moments, because 'w', 'y' add an error of known size to each 'row'" in told


def test_a_scatter_of_zero_is_left_to_the_one_sided_test() -> None:
    """Without scatter in the data the variance ends at zero, which the field certifies and names."""
    rng, n = np.random.default_rng(5), 80
    sy = rng.uniform(0.5, 1.5, n)
    x = rng.normal(size=n)
    df = pd.DataFrame(
        {"sx": 0.3, "sy": sy, "w": x + 0.3 * rng.normal(size=n), "y": 1 + x, "z": rng.normal(size=n)}
    )
    with pytest.warns(dm.FitWarning, match="'s' is estimated on the boundary"):
        fit = dm.read(LINE.replace(", c[row]", "")).fit(df)
    assert fit["s"] == 0.0
    assert fit.boundary == ("s",)
    assert fit.converged
