"""What a fit is called, and what its tables leave open: flat elements, variances that are not there."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.bind.bind import bind
from dagmodels.fits.field.report import report
from dagmodels.fits.field.solve import solve
from dagmodels.forms.build_field import build_field

WALK = """model walk
plate t ordered
level[t first] ~ Flat()
level[t] ~ Normal(level[t-1], s_level)
observed y[t] ~ Normal(level, s)
parameter s_level, s > 0
"""
LINE = """model line
plate i
covariate x[i]
{a}
{b}
parameter s > 0
v = s**2
observed y[i] ~ Normal(a + b*x, s)
"""
Y = np.array([1.0, 2.0, 1.5, 3.0, 2.5, 5.0, 4.0])
X = np.arange(7.0)


def restricted(y: np.ndarray, v: np.ndarray, flat: np.ndarray, solved: np.ndarray) -> float:
    """Minus twice the log likelihood with columns integrated over a flat law, others at their best."""
    both = np.column_stack([flat, solved])
    w = np.linalg.inv(v)
    r = y - both @ np.linalg.solve(both.T @ w @ both, both.T @ w @ y)
    logdet = np.linalg.slogdet(v)[1] + np.linalg.slogdet(flat.T @ w @ flat)[1]
    return float(logdet + r @ w @ r + (y.size - flat.shape[1]) * np.log(2 * np.pi))


def line(a: str, b: str) -> dm.Fit:
    return dm.read(LINE.format(a=a, b=b)).fit({"x": X, "y": Y})


def test_all_flat_is_reml() -> None:
    fit = line("a ~ Flat()", "b ~ Flat()")
    expected = restricted(Y, fit["s"] ** 2 * np.eye(7), np.column_stack([np.ones(7), X]), np.zeros((7, 0)))
    assert fit.measures["REML"] == pytest.approx(expected, abs=1e-9)
    assert fit.method == "exact restricted maximum likelihood (REML)"


def test_no_flat_is_maximum_likelihood() -> None:
    fit = line("parameter a", "parameter b")
    assert fit.method == "exact maximum likelihood (ML)"
    assert {"deviance"} == set(fit.measures) - {"aic", "bic"}


def test_some_flat_is_called_what_it_is() -> None:
    fit = line("a ~ Flat()", "parameter b")
    expected = restricted(Y, fit["s"] ** 2 * np.eye(7), np.ones((7, 1)), X[:, None])
    assert fit.measures["partly_restricted"] == pytest.approx(expected, abs=1e-9)
    assert not {"REML", "deviance"} & set(fit.measures)
    assert fit.method == "exact partly restricted maximum likelihood (flat: a; maximised: b)"


def test_a_flat_first_level_is_restricted_too() -> None:
    fit = dm.read(WALK).fit({"t": range(1, 8), "y": Y})
    walk = np.minimum.outer(X, X)
    v = fit["s_level"] ** 2 * walk + fit["s"] ** 2 * np.eye(7)
    assert fit.measures["REML"] == pytest.approx(
        restricted(Y, v, np.ones((7, 1)), np.zeros((7, 0))), abs=1e-9
    )
    assert "deviance" not in fit.measures
    assert "(REML)" in fit.method


def test_a_flat_coefficient_beside_curved_leaves() -> None:
    text = "model p\nplate i\ncovariate x[i]\n{a}\nparameter b\nobserved y[i] ~ Poisson(exp(a + b*x))\n"
    y = {"x": X, "y": [0, 1, 1, 2, 2, 5, 4]}
    fit = dm.read(text.format(a="a ~ Flat()")).fit(y)
    assert "partly_restricted" in fit.measures
    assert "(flat: a; maximised: b)" in fit.method
    assert "deviance" in dm.read(text.format(a="parameter a")).fit(y).measures


def test_flat_elements_have_no_deviation() -> None:
    table = dm.read(WALK).fit({"t": range(1, 8), "y": Y}).latents.set_index("name")
    assert table.loc["level[1]", ["deviation", "deviation_sd"]].isna().all()
    assert table.loc["level[1]", "sd"] > 0
    steps = table["estimate"].diff().iloc[1:]
    np.testing.assert_allclose(table["deviation"].iloc[1:], steps, atol=1e-12)
    assert (table["deviation_sd"].iloc[1:] > 0).all()


@pytest.mark.parametrize("what", ["negative", "undefined"])
def test_a_variance_that_is_not_there_is_blank_and_said_so(what: str) -> None:
    dag = dm.read(LINE.format(a="a ~ Flat()", b="b ~ Flat()")).dag
    problem = bind(dag, {"x": X, "y": Y})
    solution = solve(build_field(problem, roles(dag, problem)))
    hessian = -solution.optimum.hessian if what == "negative" else solution.optimum.hessian * np.nan
    broken = dataclasses.replace(solution, optimum=dataclasses.replace(solution.optimum, hessian=hessian))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = report(broken, None)
        table = fit.estimates.set_index("name")
    assert np.isnan(table.loc[["s", "v"], "se"]).all()
    assert (table.loc[["a", "b"], "se"] > 0).all()
    assert fit.warnings == (
        "no standard error of 's', 'v': the curvature of the criterion gives no variance there",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert report(solution, None).warnings == ()


def test_a_fit_that_did_not_converge_warns_once() -> None:
    """A constant outcome has no best standard deviation."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = dm.read(LINE.format(a="a ~ Flat()", b="b ~ Flat()")).fit({"x": X, "y": np.ones(7)})
    assert not fit.converged
    assert [str(w.message) for w in caught if "converge" in str(w.message)] == [
        f"the fit of 'line' did not converge: {fit.message}"
    ]
    assert not [w for w in caught if issubclass(w.category, RuntimeWarning)]
    assert str(fit).count(fit.message) == 1
