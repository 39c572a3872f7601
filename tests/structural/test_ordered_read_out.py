"""What users ask of fits with ordered variables: reliability, invariance, tests, summaries, refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import dagmodels as dm
from dagmodels.errors import FitError, ModelErrors
from dagmodels.results.sem.summary import summary

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
ITEMS = [f"x{i}" for i in range(1, 10)]


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


@pytest.fixture(scope="module")
def thirds(pupils):
    return pupils.assign(
        **{v: np.searchsorted(np.quantile(pupils[v], [0.33, 0.67]), pupils[v]) + 1 for v in ITEMS}
    )


@pytest.fixture(scope="module")
def fits(thirds):
    return {p: dm.cfa(FACTORS, thirds, ordered=ITEMS, parameterization=p) for p in ("delta", "theta")}


# -- reliability


@pytest.mark.parametrize("kind", ["delta", "theta"])
def test_reliability_of_sums_of_categories(fits, thirds, kind):
    """Variance of the sum's expectation given the latent variable over its whole variance, by quadrature."""
    fit = fits[kind]
    table, found = fit.estimates, fit.reliability()
    loading = table[table.op == "=~"].set_index("rhs").std_all
    z, w = np.polynomial.hermite_e.hermegauss(80)
    w = w / w.sum()
    for f, items in zip(found.index, (ITEMS[:3], ITEMS[3:6], ITEMS[6:]), strict=True):
        mean = np.zeros_like(z)
        noise = np.zeros_like(z)
        for v in items:
            share = thirds[v].value_counts(normalize=True).sort_index().cumsum().to_numpy()[:2]
            above = norm.sf((norm.ppf(share)[:, None] - loading[v] * z) / np.sqrt(1 - loading[v] ** 2))
            mean += above.sum(axis=0)
            noise += above[0] + 3 * above[1] - above.sum(axis=0) ** 2  # E X^2 - (E X)^2 of 0, 1, 2
        true = w @ mean**2 - (w @ mean) ** 2
        assert found.loc[f, "omega"] == pytest.approx(true / (true + w @ noise), rel=1e-5)
        assert found.loc[f, "omega2"] == pytest.approx(found.loc[f, "omega"], rel=1e-7)
        total = thirds[items].sum(axis=1).var()
        assert found.loc[f, "alpha"] == pytest.approx(1.5 * (1 - thirds[items].var().sum() / total))
        assert found.loc[f, "omega3"] == pytest.approx(true / total, rel=0.01)
        assert found.loc[f, "ave"] == pytest.approx((loading[items] ** 2).mean(), rel=1e-9)


def test_reliability_has_one_kind_of_items(pupils, thirds):
    mixed = pupils.assign(**thirds[ITEMS[:2]])
    with pytest.raises(FitError, match="ordered indicators and numbers"):
        dm.cfa(FACTORS, mixed, ordered=ITEMS[:2]).reliability()
    beside = pupils.assign(**thirds[ITEMS[:3]])
    found = dm.cfa(FACTORS, beside, ordered=ITEMS[:3]).reliability()
    assert found.loc["textual", "alpha"] == pytest.approx(0.8827, abs=1e-4)  # numbers, as ever
    given = dm.sem("visual =~ x1 + x2 + x3\nvisual ~ x9", beside, ordered=ITEMS[:3])
    with pytest.raises(FitError, match="there are covariates"):
        given.reliability()


# -- invariance


def test_the_ladder_of_ordered_variables(thirds):
    """Loadings and thresholds in tandem: 24 equalities less 9 scales and 3 means; 9 residual variances."""
    ladder = dm.invariance(FACTORS, thirds, group="school", ordered=ITEMS)
    assert list(ladder) == ["configural", "scalar", "strict"]
    assert ladder.table["Df"].tolist() == [48, 60, 69]
    by_hand = dm.cfa(FACTORS, thirds, ordered=ITEMS, group="school", group_equal=["loadings", "thresholds"])
    assert ladder["scalar"].measures["chisq"] == pytest.approx(by_hand.measures["chisq"], rel=1e-7)
    words = thirds.assign(**thirds[ITEMS].astype(pd.CategoricalDtype([1, 2, 3], ordered=True)))
    same = dm.invariance(FACTORS, words, group="school", steps=["scalar"])
    assert same["scalar"].measures["chisq"] == pytest.approx(by_hand.measures["chisq"], rel=1e-7)
    assert "scalar: equal loadings, thresholds, intercepts" in str(ladder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": ["configural", "metric"]}, "'scalar' holds loadings and thresholds together"),
        ({"parameterization": "delta"}, "parameterization='delta' has not"),
        ({"steps": ["weak"]}, "there are configural, scalar, strict"),
    ],
)
def test_steps_that_ordered_variables_have_not(thirds, change, told):
    with pytest.raises(ModelErrors) as caught:
        dm.invariance(FACTORS, thirds, group="school", ordered=ITEMS, **change)
    assert told in str(caught.value)


# -- tests and numbers


def test_wald_tests_take_robust_errors(fits):
    fit = fits["delta"]
    v, b = fit.vcov().to_numpy(), fit.coef().to_numpy()
    names = list(fit.coef().index)
    h = np.zeros((2, len(names)))
    h[0, names.index("visual=~x2")], h[0, names.index("visual=~x3")] = 1, -1
    h[1, names.index("x1|t1")], h[1, names.index("x2|t1")] = 1, -1
    want = h @ b @ np.linalg.solve(h @ v @ h.T, h @ b)
    found = fit.wald_test("`visual=~x2` == `visual=~x3`; `x1|t1` == `x2|t1`")
    assert found["stat"] == pytest.approx(want, rel=1e-7)
    assert found["df"] == 2


def test_explained_shares_are_those_of_latent_responses(fits):
    loading = fits["delta"].estimates.query("op == '=~'").set_index("rhs").std_all
    for fit in fits.values():
        np.testing.assert_allclose(fit.r2()[ITEMS], loading[ITEMS] ** 2, atol=1e-7)


def test_fits_travel_and_are_written(fits, tmp_path):
    fit = fits["theta"]
    again = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_frame_equal(again.estimates, fit.estimates)
    np.testing.assert_allclose(again.bootstrap(2).draws, fit.bootstrap(2).draws)
    fit.save(json=tmp_path / "fit.json", csv=tmp_path / "fit.csv")
    assert len(pd.read_csv(tmp_path / "fit.csv")) == len(fit.estimates)
    limits = fit.confint().set_index("name").loc["x1|t1"]
    row = fit.estimates.set_index("name").loc["x1|t1"]
    assert limits.upper - limits.lower == pytest.approx(2 * norm.ppf(0.975) * row.se, rel=1e-9)


def test_pictures_have_boxes_of_ordered_variables(fits, tmp_path):
    path = fits["delta"].render(tmp_path / "fit.dot", residuals=True, means=True)
    told = path.read_text()
    assert all(v in told for v in ITEMS)
    assert "t1" not in told
    assert "x1*" not in told


def test_what_takes_numbers_is_refused(fits):
    for verb in ("local_tests", "miiv"):
        with pytest.raises(FitError, match="there are ordered variables"):
            getattr(fits["delta"], verb)()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"missing": "two.stage"}, "'listwise' leaves rows with gaps out"),
        ({"missing": "fiml"}, "leave ordered= out and take estimator='MLR'"),
        ({"sampling_weights": "x9"}, "the covariates that the weights depend on"),
        ({"estimator": "PML"}, "estimator is 'PML'"),
    ],
)
def test_what_is_not_there_says_what_is(thirds, options, told):
    with pytest.raises(ModelErrors) as caught:
        dm.cfa(FACTORS, thirds, ordered=ITEMS, **options)
    assert told in str(caught.value)
    assert len(caught.value.exceptions) == 1


def test_other_estimators_are_no_other_data(pupils):
    fits = dm.cfa(FACTORS, pupils, estimator="GLS"), dm.cfa(FACTORS, pupils, orthogonal=True)
    with pytest.raises(ModelErrors) as caught:
        dm.anova(*fits)
    assert [e.message for e in caught.value.exceptions] == ["fit 2 has another estimator than the first one"]


# -- the summary


def test_the_summary_of_groups(thirds):
    fit = dm.cfa(FACTORS, thirds, ordered=ITEMS, group="school", group_equal=["loadings", "thresholds"])
    lines = summary(fit).split("\n")
    shift = [float(x.split()[-1]) for x in lines if "Shift parameter" in x]
    parts = [float(x.split()[-1]) for x in lines if "for group [" in x]
    assert shift[0] == pytest.approx(sum(parts), abs=2e-3)
    assert parts[0] / parts[1] == pytest.approx(156 / 145, rel=1e-3)
    assert any("Parameterization" in x and x.endswith("Delta") for x in lines)
    one, other = lines.index("Group 1 [Pasteur]:"), lines.index("Group 2 [Grant-White]:")
    assert "Intercepts:" not in lines[one:other]  # nothing of them is estimated
    at = lines.index("Intercepts:", other)
    assert [x.split()[0] for x in lines[at + 2 : at + 5]] == ["visual", "textual", "speed"]
    assert lines[at + 5] == ""
    assert "Shift parameter" in summary(dm.cfa(FACTORS, thirds, ordered=ITEMS))
    assert "for group" not in summary(dm.cfa(FACTORS, thirds, ordered=ITEMS))
