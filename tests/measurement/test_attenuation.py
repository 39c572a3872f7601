"""`fit.attenuation()`: naive fits against least squares and Newton's steps by hand, closed reliabilities."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import dagmodels as dm
from tests.measurement.spec_data import SPECS, load


def fitted(name: str):
    return dm.read(SPECS / f"{name}.dag").fit(load(name))


def rows(found, name: str):
    return found.table.set_index("name").loc[name]


def least_squares(columns, y) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and ML standard errors of a linear regression."""
    x = np.stack([np.ones(len(y)), *columns], axis=1)
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    left = y - x @ beta
    return beta, np.sqrt(np.linalg.inv(x.T @ x).diagonal() * (left @ left) / len(y))


def maximum_likelihood(columns, y, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Logistic or Poisson regression by Newton's steps."""
    x = np.stack([np.ones(len(y)), *columns], axis=1)
    beta = np.zeros(x.shape[1])
    for _ in range(30):
        mean = 1 / (1 + np.exp(-x @ beta)) if family == "logistic" else np.exp(x @ beta)
        weight = mean * (1 - mean) if family == "logistic" else mean
        information = x.T @ (weight[:, None] * x)
        beta = beta + np.linalg.solve(information, x.T @ (y - mean))
    return beta, np.sqrt(np.linalg.inv(information).diagonal())


def test_a_linear_model_in_closed_form():
    """Naive: least squares. The reliability is that of the moments, and so is the ratio of both slopes."""
    d, found = load("known_variance"), fitted("known_variance").attenuation()
    beta, se = least_squares([d.w], d.y)
    b = rows(found, "b")
    assert [b.naive, b.naive_se] == pytest.approx([beta[1], se[1]], rel=1e-5)
    assert b.reliability == pytest.approx(1 - 0.64 / d.w.var(), rel=1e-12)
    assert b.attenuation == pytest.approx(1 - 0.64 / d.w.var(ddof=0), rel=1e-6)  # ML divides by n
    assert b.se_ratio == pytest.approx(b.se / b.naive_se)
    assert rows(found, "a").covariate == ""
    assert np.isnan(rows(found, "a").attenuation)


def test_replicates_are_averaged():
    d, found = load("replicates"), fitted("replicates").attenuation()
    w = d["reading"].groupby("subject").w.mean().to_numpy()
    one = d["subject"]
    beta, se = least_squares([w, one.z], one.y)
    assert [rows(found, n).naive for n in ("a", "b", "c")] == pytest.approx(beta, rel=1e-6)
    assert rows(found, "b").naive_se == pytest.approx(se[1], rel=1e-4)
    e2 = fitted("replicates")["e"] ** 2
    mean_error = (e2 / d["reading"].groupby("subject").size()).mean()
    assert rows(found, "b").reliability == pytest.approx(1 - mean_error / w.var(ddof=1), rel=1e-9)
    z = np.stack([np.ones(len(w)), one.z], axis=1)
    left = w - z @ np.linalg.lstsq(z, w, rcond=None)[0]
    assert rows(found, "b").reliability_given == pytest.approx(
        1 - mean_error / (left @ left / (len(w) - 2)), rel=1e-9
    )


def test_several_covariates_in_one_table():
    d, found = load("several"), fitted("several").attenuation()
    beta, _ = least_squares([d.w1, d.w2, d.z], d.y)
    assert [rows(found, n).naive for n in ("a", "b1", "b2", "c")] == pytest.approx(beta, rel=1e-6)
    assert list(found.table.covariate) == ["x1", "x2", "", ""]


@pytest.mark.parametrize(("name", "columns"), [("logistic", ("w1", "w2")), ("poisson", ("w",))])
def test_outcomes_that_are_not_normal(name: str, columns: tuple[str, ...]):
    d, found = load(name), fitted(name).attenuation()
    beta, se = maximum_likelihood([d[list(columns)].mean(axis=1), d.z], d.y, name)
    assert [rows(found, n).naive for n in ("a", "b", "c")] == pytest.approx(beta, rel=1e-6)
    assert rows(found, "b").naive_se == pytest.approx(se[1], rel=1e-5)
    assert rows(found, "b").attenuation < 1


def test_a_mixed_outcome_stays_mixed():
    d, found = load("mixed"), fitted("mixed").attenuation()
    naive = dm.lmer("y ~ w + (1 | school)", d, REML=False)
    assert rows(found, "b").naive == pytest.approx(naive["w"], rel=1e-6)
    assert set(found.table.name) == {"a", "b"}


def test_what_stands_for_the_truth_may_have_to_be_said():
    fit = fitted("internal_validation")
    with pytest.raises(dm.ModelErrors) as caught:
        fit.attenuation()
    (fault,) = caught.value.exceptions
    assert "does not say which of 'w', 'y' is a reading of 'x'" in str(fault)
    assert "readings={'x': 'w'}" in fault.hint
    d = load("internal_validation")
    beta, _ = least_squares([d.w], d.y)
    assert rows(fit.attenuation({"x": "w"}), "b").naive == pytest.approx(beta[1], rel=1e-6)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"q": "w"}, "no node named 'q'"), ({"x": "b"}, "no node named 'b' is observed")],
)
def test_readings_that_are_none_are_named(given: dict[str, str], words: str):
    with pytest.raises(dm.ModelErrors) as caught:
        fitted("known_variance").attenuation(given)
    assert words in str(caught.value.exceptions[0])


def test_a_hidden_state_and_a_berkson_error():
    d = load("misclassified")
    table = fitted("misclassified").attenuation({"x": "w"}).table.set_index("name")
    beta, _ = maximum_likelihood([d.w], d.y, "logistic")
    assert table.naive[["a", "b"]].to_numpy() == pytest.approx(beta, rel=1e-6)
    d = load("berkson")
    table = fitted("berkson").attenuation().table.set_index("name")
    beta, _ = maximum_likelihood([d.w], d.y, "poisson")
    assert table.naive[["a", "b"]].to_numpy() == pytest.approx(beta, rel=1e-6)


def test_correlated_errors_leave_the_marginal_law_of_the_outcome():
    d, found = load("correlated_errors"), fitted("correlated_errors").attenuation()
    t2 = found.naive["t"] ** 2
    x = np.stack([np.ones(len(d)), d.wx], axis=1) / np.sqrt(t2 + d.v_y).to_numpy()[:, None]
    beta = np.linalg.lstsq(x, d.wy / np.sqrt(t2 + d.v_y), rcond=None)[0]
    assert [rows(found, n).naive for n in ("a", "b")] == pytest.approx(beta, rel=1e-6)


def test_units_without_a_reading_are_left_out_of_the_naive_fit():
    d = load("known_variance")
    d.loc[:49, "w"] = np.nan
    found = dm.read(SPECS / "known_variance.dag").fit(d).attenuation()
    beta, _ = least_squares([d.w[50:]], d.y[50:])
    assert [rows(found, n).naive for n in ("a", "b")] == pytest.approx(beta, rel=1e-6)


def test_the_picture_holds_points_and_both_lines(tmp_path):
    fit = fitted("logistic")
    found = fit.attenuation()
    (panel,) = found.panels
    line = fit["a"] + fit["b"] * panel.grid + fit["c"] * load("logistic").z.mean()
    assert panel.corrected == pytest.approx(1 / (1 + np.exp(-line)), rel=1e-9)
    assert panel.error == pytest.approx(np.full(600, fit["e"] / np.sqrt(2)), rel=1e-9)
    assert panel.latent.std() < panel.x.std()
    picture = found.plot(tmp_path / "a.png")
    assert picture.stat().st_size > 10_000
    assert "naive" in str(found)


def test_a_fit_with_its_data_travels():
    fit = pickle.loads(pickle.dumps(fitted("known_variance")))
    assert rows(fit.attenuation(), "b").attenuation == pytest.approx(0.6668, abs=1e-4)
