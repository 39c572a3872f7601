"""Every stored fit of lavaan's, number by number.

Tolerances: log likelihood and chi-square 1e-6 relative; estimates 1e-5 of lavaan's tight optimum, in units of
their size (that optimum itself is good to about 3e-5 in political democracy, where ours has the larger
likelihood: a test of its own); standard errors and fit measures 1e-4.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.structural.references import fits, fitted, reference


@pytest.mark.parametrize(("case", "name"), list(fits()))
def test_rows_estimates_and_errors(case, name):
    want, got = reference(case)[name], fitted(case, name)
    table = got.estimates
    rows = want["parameters"]
    assert [(r["lhs"], r["op"], r["rhs"] or "") for r in rows] == list(
        zip(table["lhs"], table["op"], table["rhs"], strict=True)
    )
    assert got.converged
    loose = 4e-5 if case == "sem_political_democracy_sem" else 1e-5
    for key, column, tolerance in (
        ("est_tight", "estimate", loose),
        ("se", "se", 1e-4),
        ("std.lv", "std_lv", 1e-4),
        ("std.all", "std_all", 1e-4),
        ("pvalue", "pvalue", 1e-4),
    ):
        both = zip(rows, table[column], strict=True)
        known = [(r[key], v) for r, v in both if r[key] is not None]
        if column == "pvalue":
            known = [(a, b) for a, b in known if not (a == 0 and math.isnan(b))]
        a, b = np.array(known, dtype=float).T
        np.testing.assert_array_less(np.abs(a - b), tolerance * np.maximum(1, np.abs(a)) + 1e-12, err_msg=key)


@pytest.mark.parametrize(("case", "name"), list(fits()))
def test_likelihood_and_measures(case, name):
    want, got = reference(case)[name], fitted(case, name)
    assert got.log_likelihood == pytest.approx(want["logLik"], rel=1e-6)
    assert got.log_likelihood >= want["logLik"] - 1e-7
    assert got.measures["chisq"] == pytest.approx(want["chisq"], rel=1e-6, abs=1e-6)
    measures = got.fit_measures()
    for key, value in want["all_fit_measures"].items():
        if value is None:
            continue
        assert measures[key.replace(".", "_")] == pytest.approx(value, rel=1e-4, abs=1e-4), key
    for variable, value in (want["r2"] or {}).items():
        assert got.r2()[variable] == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("name", ["main", "free_loadings"])
def test_ours_is_the_higher_optimum_of_political_democracy(name):
    """lavaan's stored estimates give a log likelihood that is not above ours, at our own formula."""
    case = "sem_political_democracy_sem"
    got = fitted(case, name)
    assert got.log_likelihood >= reference(case)[name]["logLik"] - 1e-9
    assert got.diagnostics["gradient_norm"] < 1e-8


@pytest.mark.parametrize(("case", "name"), list(fits()))
def test_implied_moments_give_the_chi_square(case, name):
    """n F_ML by its textbook formula from lavaan's stored implied moments (complete data)."""
    want, got = reference(case)[name], fitted(case, name)
    form = got.solution.form
    if not form.sample.complete or want["df"] == 0:
        return
    order = [want["variables_order"].index(form.variables[v][0]) for v in form.structure.observed]
    sigma = np.array(want["implied"][0]["cov"])[np.ix_(order, order)]
    s, m = form.sample.cov[0], form.sample.mean[0]
    mean = want["implied"][0].get("mean")
    gap = np.zeros(len(s)) if mean is None else m - np.array(mean)[order]
    w = np.linalg.inv(sigma)
    f = np.linalg.slogdet(sigma)[1] - np.linalg.slogdet(s)[1] + np.trace(w @ s) - len(s) + gap @ w @ gap
    assert form.sample.rows * f == pytest.approx(got.measures["chisq"], rel=1e-6)


@pytest.mark.parametrize(("case", "name"), list(fits()))
def test_order_of_rows_and_columns_does_not_matter(case, name):
    from tests.structural.references import data

    frame = data(case)
    rng = np.random.default_rng(1)
    mixed = frame.iloc[rng.permutation(len(frame)), rng.permutation(frame.shape[1])]
    a, b = fitted(case, name), fitted(case, name, mixed)
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(a.estimates["estimate"], b.estimates["estimate"], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(a.estimates["se"], b.estimates["se"], rtol=1e-6, atol=1e-8)
