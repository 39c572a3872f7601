"""`lmer` against lme4 1.1-31 at tight tolerances: numbers, names and order.

Tolerances: criterion 1e-5, everything else 1e-4 relative. Where the reference's criterion is higher than
ours by d, its optimum is off by about sqrt(d) standard errors (radon's correlation, 8e-8 in the criterion),
which is allowed besides for spreads. Where d is above 1e-6 (InstEval by ML: 1.4e-6) everything is allowed
to be off by twice that in terms of the least certain spread.
Origins stand in tests/references/*/reference.json.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dagmodels as dm
from tests.mixed.cases import INSTEVAL, LMM, data, reference

RELATIVE = 1e-4
CASES = [*LMM, *(pytest.param(name, marks=pytest.mark.long) for name in INSTEVAL)]


@pytest.fixture(scope="module", params=CASES)
def fitted(request: pytest.FixtureRequest) -> tuple[Any, dict[str, Any], float]:
    name, which, formula, reml = {**LMM, **INSTEVAL}[request.param]
    fit, want = dm.lmer(formula, data(name), REML=reml), reference(name)["fits"][which]["reference"]
    short = want["minus2logLik"] + 2 * fit.log_likelihood
    spread = fit.estimates[fit.estimates["kind"] == "sd"]
    loose = 2 * np.sqrt(short) * (spread["se"] / spread["estimate"]).max() if short > 1e-6 else 0.0
    return fit, want, RELATIVE + float(loose)


def test_criterion_and_measures(fitted) -> None:
    fit, want, _ = fitted
    assert fit.converged
    assert -2 * fit.log_likelihood == pytest.approx(want["minus2logLik"], abs=1e-5)
    key = "deviance" if want["REMLcrit"] is None else "REML"
    assert fit.measures[key] == pytest.approx(want["minus2logLik"], abs=1e-5)
    assert fit.measures["aic"] == pytest.approx(want["AIC"], abs=1e-5)
    assert fit.measures["bic"] == pytest.approx(want["BIC"], abs=1e-5)
    assert fit.measures["df"] == want["df"]
    assert fit.measures["df_resid"] == want["nobs"] - want["df"]
    assert fit.n_observations == want["nobs"]
    assert fit.singular is want["singular"]


def test_fixed_effects(fitted) -> None:
    fit, want, relative = fitted
    names = np.atleast_1d(want["fixed"]["names"]).tolist()
    table = fit.estimates[fit.estimates["kind"] == "fixed"]
    assert table["name"].tolist() == table["term"].tolist() == names == fit.fixef().index.tolist()
    np.testing.assert_allclose(table["estimate"], np.atleast_1d(want["fixed"]["est"]), rtol=relative)
    np.testing.assert_allclose(table["se"], np.atleast_1d(want["fixed"]["se"]), rtol=relative)


def test_variance_components_in_the_order_of_varcorr(fitted) -> None:
    fit, want, relative = fitted
    table = fit.VarCorr()
    rows = want["varcomp"]
    assert table["grp"].tolist() == [r["group"] for r in rows]
    for column, key in (("var1", "var1"), ("var2", "var2")):
        assert table[column].astype(object).where(table[column].notna(), None).tolist() == [
            r[key] for r in rows
        ]
    spread = fit.estimates[fit.estimates["kind"] != "fixed"]
    short = max(want["minus2logLik"] + 2 * fit.log_likelihood, 0.0)
    within = relative * table["sdcor"].abs() + 2 * np.sqrt(short) * spread["se"].to_numpy()
    assert (np.abs(table["sdcor"] - [r["sdcor"] for r in rows]) <= within).all()
    variances = table["var2"].isna()
    np.testing.assert_allclose(table["vcov"][variances], table["sdcor"][variances] ** 2, rtol=1e-12)
    kinds = ["sigma" if r["group"] == "Residual" else "cor" if r["var2"] else "sd" for r in rows]
    assert spread["kind"].tolist() == kinds
    np.testing.assert_array_equal(spread["estimate"], table["sdcor"])
    assert fit.sigma == pytest.approx(want["sigma"], rel=relative)


def test_conditional_modes_and_their_standard_deviations(fitted) -> None:
    fit, want, relative = fitted
    modes, sds = fit.ranef(), fit.ranef(sd=True)
    assert list(modes) == list(want["ngroups"])
    for group, stored in want["ranef"].items():
        assert len(modes[group]) == want["ngroups"][group]
        terms = np.atleast_1d(stored["terms"]).tolist()
        assert modes[group].columns.tolist() == terms
        ours = modes[group].loc[stored["level"]].to_numpy()
        spread = [_deviation(fit, group, term) for term in terms]
        # modes near zero carry the reference's absolute error: relative to the effect's sd
        np.testing.assert_allclose(
            (ours - np.asarray(stored["value"], dtype=float)) / spread, 0, atol=5 * relative
        )
        if stored["cond_sd"] is not None:
            wanted = np.asarray(stored["cond_sd"], dtype=float).reshape(-1, len(terms))
            np.testing.assert_allclose(sds[group].loc[stored["level"]], wanted, rtol=relative)


def _deviation(fit: Any, group: str, term: str) -> float:
    table = fit.estimates[fit.estimates["kind"] == "sd"]
    own = table["group"].str.replace(r"\.\d+$", "", regex=True) == group
    return float(table[own & (table["term"] == term)]["estimate"].iloc[0])


def test_predictions_of_lme4() -> None:
    """predict(fit, newdata), with a subject that the fit has not seen."""
    fit = dm.lmer("Reaction ~ Days + (Days | Subject)", data("sleepstudy"))
    want = reference("sleepstudy")["checks"]["predict_REML"]
    new = {k: [r[k] for r in want["newdata"]] for k in ("Days", "Subject")}
    np.testing.assert_allclose(fit.predict(new, allow_new_levels=True), want["conditional"], rtol=RELATIVE)
    np.testing.assert_allclose(fit.predict(new, re_form="NA"), want["marginal"], rtol=RELATIVE)


@pytest.mark.parametrize("name", ["sleepstudy", "pastes", "radon"])
def test_standard_errors_of_spreads_are_those_of_the_criterion(name: str) -> None:
    """Delta method against the slope of the criterion's second differences along each spread's own scale.

    The graph fitted with standard deviations and correlations as parameters (`cs`) has the information
    on that scale itself.
    """
    data_set, _, formula, reml = LMM[name]
    fit = dm.lmer(formula, data(data_set), REML=reml)
    same = dm.lmer(formula.replace("(", "cs(", 1), data(data_set), REML=reml)
    spread = fit.estimates.set_index("name")["se"]
    np.testing.assert_allclose(same.estimates.set_index("name")["se"], spread, rtol=1e-3)
    assert (spread > 0).all()
