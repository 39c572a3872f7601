"""Fit: tables, criteria, summary and records."""

from __future__ import annotations

import dataclasses
import html
import json
import math

import numpy as np
import pytest

from dagmodels.errors import DagmodelsError, FitError, ModelErrors
from dagmodels.readers import read
from tests.results.conftest import MODEL


def test_tables_bear_the_agreed_columns(made):
    fit = made()
    assert list(fit.estimates.columns) == ["name", "estimate", "se", "lower", "upper", "what"]
    assert fit.estimates["estimate"].tolist() == [1.5, 0.0]
    assert list(fit.latents.columns) == ["name", "estimate", "sd"]
    assert fit.covariance.loc["g0", "g0"] == 0.0625
    assert fit.latents is not fit.latents
    assert made(latent_columns=None).latents.empty
    assert made(covariance_matrix=None).covariance is None


def test_latents_may_be_made_when_first_asked_for(made):
    calls = []

    def columns():
        calls.append(1)
        return {"name": ["a"], "estimate": [1.0], "sd": [0.5]}

    fit = made(latent_columns=columns)
    assert calls == []
    assert "Latents (1;" in fit.summary()
    assert fit.latents["name"].tolist() == ["a"]
    assert calls == [1]
    assert "Latents" not in made(latent_columns=lambda: None).summary()


def test_aic_and_bic_follow_from_the_likelihood(made):
    fit = made()
    assert fit.aic == 206.0
    assert fit.bic == pytest.approx(200 + 3 * math.log(50), rel=1e-15)
    assert fit.measures == {"REML": 200.0, "aic": fit.aic, "bic": fit.bic}
    assert made(log_likelihood=None).aic is None
    assert made(log_likelihood=None).bic is None
    assert made(measures={"aic": 1.0}).aic == 1.0


def test_a_fit_is_frozen(made):
    with pytest.raises(dataclasses.FrozenInstanceError):
        made().backend = "other"


def test_estimates_by_name(made):
    assert made()["g0"] == 1.5
    with pytest.raises(KeyError, match=r"did you mean 'tau'[?] There are g0, tau"):
        made()["tua"]


def test_a_name_that_is_no_estimate_is_answered_with_where_to_look(made):
    for name in ("a", "a[x]"):
        with pytest.raises(DagmodelsError, match=r"'a' is latent, and its elements are in `fit.latents`"):
            made()[name]
    columns = {"name": ["b[u]", "b[v]"], "estimate": [1.0, 2.0]}
    with pytest.raises(KeyError) as caught:
        made(estimate_columns=columns, boundary=())["b"]
    assert str(caught.value) == "no estimate is named 'b'; it has elements: b[u], b[v]"


def test_tables_are_the_users_to_change(made):
    fit = made()
    for table, column in (("estimates", "estimate"), ("latents", "estimate"), ("covariance", "g0")):
        frame = getattr(fit, table)
        frame.loc[:, column] = 99.0
        assert 99.0 not in getattr(fit, table)[column].tolist()
    assert fit["g0"] == 1.5


def test_dir_shows_what_users_ask_for(made):
    shown = dir(made())
    assert {"estimates", "latents", "covariance", "predict", "summary", "boundary", "measures"} <= set(shown)
    assert not {"estimate_columns", "latent_columns", "latent_table", "predictor", "covariance_names"} & set(
        shown
    )


def test_a_notebook_shows_tables_without_scripts(made):
    page = made(warnings=("a < b & c",))._repr_html_()
    assert page.count("<tr>") == 3
    assert '<td style="text-align:right">1.5000</td>' in page
    assert "Warning: a &lt; b &amp; c" in page
    assert "script" not in page
    assert "NaN" not in page
    text = made().summary()
    assert repr(text) == text == str(made())
    assert text._repr_html_() == f"<pre>{html.escape(text)}</pre>"


def test_long_tables_are_cut_in_a_notebook(made):
    many = {"name": [f"b[{i}]" for i in range(100)], "estimate": range(100)}
    page = made(estimate_columns=many, boundary=())._repr_html_()
    assert "... and 40 more" in page
    assert "b[59]" in page
    assert "b[60]" not in page


def test_predict_calls_the_backends_function_or_says_there_is_none(made):
    assert made(predictor=lambda new: [new])["g0"] == 1.5
    assert made(predictor=lambda new: [new]).predict("rows") == ["rows"]
    with pytest.raises(FitError, match="gives no predictions"):
        made().predict("rows")
    with pytest.raises(FitError, match="'laplace' backend does not take type='link'"):
        made(predictor=lambda new: [new]).predict("rows", type="link")


def test_the_record_has_exactly_the_agreed_keys_and_no_bad_numbers(made):
    record = made().to_json()
    assert list(record) == [
        *("model", "backend", "exact", "converged", "log_likelihood", "n_parameters", "aic", "bic"),
        *("estimates", "measures", "diagnostics"),
    ]
    assert record["estimates"][1] == {
        "name": "tau",
        "estimate": 0.0,
        "se": None,
        "lower": None,
        "upper": None,
        "what": "maximised",
    }
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert type(record["diagnostics"]["gradient_norm"]) is float


def test_save_writes_json_and_csv_that_read_back(made, tmp_path):
    import pandas as pd

    fit = made()
    fit.save(json=tmp_path / "fit.json", csv=tmp_path / "fit.csv")
    assert json.loads((tmp_path / "fit.json").read_text()) == fit.to_json()
    table = pd.read_csv(tmp_path / "fit.csv")
    assert table["name"].tolist() == ["g0", "tau"]
    assert np.isnan(table["se"][1])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit.csv", "fit.json"]


def test_the_summary_says_how_what_and_whether(made):
    text = made(warnings=("the design is nearly singular",)).summary()
    assert "exact restricted maximum likelihood (REML)" in text
    assert "log likelihood -100" in text
    assert "observations 50   parameters 3" in text
    (row,) = [line for line in text.split("\n") if line.strip().startswith("tau")]
    assert row.endswith("at the boundary")
    assert "Variances (or standard deviations) of zero: tau" in text
    assert "made: fitted by laplace\n" in text
    assert "fitted by laplace (approximate)\nLaplace" in made(exact=False, method="Laplace").summary()
    assert "Converged: gradient and Hessian certified (gradient norm 2e-08, 7 evaluations" in text
    assert "Warning: the design is nearly singular" in text
    assert str(made()) == made().summary()


def test_the_summary_says_which_coefficients_aic_does_not_count(made):
    assert "not counted" not in made().summary()
    proper = read(MODEL.replace("g0 ~ Flat()", "g0 ~ Normal(0, 5)"))
    assert "parameters 3 (not counted, having a proper prior: g0)" in made(graph=proper).summary()


def test_the_summary_says_where_all_latents_are(made):
    assert "fit.latents" not in made().summary()
    many = {"name": [f"a[{i}]" for i in range(11)], "estimate": range(11), "sd": [1.0] * 11}
    text = made(latent_columns=many).summary()
    assert "Latents (11; estimate and sd given the parameters; all in `fit.latents`)" in text
    assert "... and 1 more" in text


def test_a_singular_matrix_and_a_bound_are_told_apart(made):
    text = "model m\nplate k = 1..2\nplate k2 as k\nparameter S[k, k2] covariance\nparameter p in (0, 1)"
    fit = made(
        graph=read(text),
        estimate_columns={"name": ["S[1, 1]", "S[1, 2]", "p"], "estimate": [1.0, 1.0, 1.0]},
        boundary=("S", "p"),
    )
    assert "Singular, so that a combination has a variance of zero: S\nOn the edge of the domain: p" in str(
        fit
    )


def test_limits_stop_at_the_edge_of_the_domain(made):
    columns = {"name": ["g0", "tau"], "estimate": [0.1, 0.2], "lower": [-1.0, -0.3], "upper": [1.2, 0.7]}
    table = made(estimate_columns=columns).estimates
    assert table["lower"].tolist() == [-1.0, 0.0]
    assert table["upper"].tolist() == [1.2, 0.7]


def test_a_fit_that_did_not_converge_says_so_first_of_all(made):
    fit = made(converged=False, message="the Hessian is not positive definite at 'tau'")
    assert "NOT CONVERGED: the Hessian is not positive definite at 'tau'" in fit.summary()
    assert "not converged" in repr(fit)


@pytest.mark.parametrize("wrong", [5, ["a.json"], True, "", b"a.json"])
def test_save_refuses_what_is_no_path(made, tmp_path, wrong):
    with pytest.raises(ModelErrors) as caught:
        made().save(json=wrong, csv=tmp_path / "a.csv")
    assert f"json is {wrong!r}, which is no path (give a file's name: 'fit.json')" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
