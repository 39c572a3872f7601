"""What users write by mistake, or forget, is said: in the text, the data, and what is asked of a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.readers.lavaan import explain, parse, read
from tests.structural.references import data

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"


@pytest.fixture(scope="module")
def pupils():
    return data("sem_holzinger_cfa")


def told(action) -> str:
    with pytest.raises(dm.ModelErrors) as caught:
        action()
    return str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_slip_of_syntax_shows_its_line_with_a_mark_at_its_column(end):
    said = told(lambda: parse(end.join(["f =~ x1 + x2", "\ty ~ x - z # why not", "ok ~ x"])))
    assert said.splitlines()[-2:] == ["       y ~ x - z # why not", "             ^"]
    assert said.splitlines()[-2][said.splitlines()[-1].index("^")] == "-"


def test_what_does_not_fit_together_shows_its_line_too():
    said = told(lambda: read("f =~ x1 + a*x2 + x3\nlevel: 1"))
    assert "      level: 1\n      ^" in said
    said = told(lambda: read("f =~ x1 + a*x2 + x3\nr := a*bb"))
    assert said.endswith("      r := a*bb")


def test_lines_too_long_to_look_at_are_not_shown():
    assert "^" not in told(lambda: parse("f =~ x1 + + x2" + " + x3" * 50))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "f =~ x1 + x2 + x3\nx1 ~~ 0.5*x1\nx1 ~~ 0.7*x1",
            "'x1 ~~ x1' is given the value 0.5 and then 0.7 (lines 2 and 3): the later one holds",
        ),
        ("f =~ x1 + x2 + x2 + x3", "'f =~ x2' stands in the text twice (line 1), and counts once"),
        ("x1 ~ a*x2\nx1 ~ b*x2", "'x1 ~ x2' is given the label a and then b (lines 1 and 2)"),
        ("f =~ x1 + x2 + x3\nx1 ~ 1\nx1 ~ 1", "'x1 ~ 1' stands in the text twice (lines 2 and 3)"),
        ("f =~ x1 + x2 + x3 + x4\nx1 ~~ x2\nx2 ~~ x1", "either way round (lines 2 and 3): the first holds"),
    ],
)
def test_what_the_text_says_twice_is_told_once(pupils, text, note):
    (only,) = read(text, model_type="cfa").table.notes
    assert note in only
    assert f"Note: {only}." in explain(read(text, model_type="cfa").table)
    with pytest.warns(dm.FitWarning, match="text"):
        fit = dm.cfa(text + "\nx4 ~ x5\nx4 ~ x5", pupils)
    assert only in fit.warnings
    assert only in fit.summary()


@pytest.mark.parametrize("text", ["f =~ x1 + a*x2 + 0.5?x2 + x3", "f =~ x1 + x2 + a*x2 + x3", FACTORS])
def test_modifiers_that_add_up_are_no_slip(text):
    assert not read(text, model_type="cfa").table.notes


def test_latent_variables_called_as_columns_are_refused(pupils):
    """As lavaan has it, whose option of the same name lets them pass."""
    for kwargs in ({"data": pupils}, {"sample_cov": pupils.iloc[:, -9:].cov(), "sample_nobs": 301}):
        said = told(lambda kwargs=kwargs: dm.cfa("x9 =~ x1 + x2 + x3", **kwargs))
        assert "the latent variable 'x9' is called as a column of" in said
        assert "check_lv_names=False" in said
        passed = dm.cfa("x9 =~ x1 + x2 + x3", check_lv_names=False, **kwargs)
        assert passed.converged
    model = dm.read("x9 =~ x1 + x2 + x3", pupils, format="lavaan", check_lv_names=False)
    assert model.fit(pupils.head(100)).converged


def test_rows_without_group_or_cluster_are_counted(pupils):
    gone = pupils.assign(school=pupils["school"].where(pupils.index >= 4, None))
    with pytest.warns(dm.FitWarning, match="4 rows have no value of 'school', the group, and are left out"):
        fit = dm.cfa(FACTORS, gone, group="school")
    assert fit.n_observations == 297
    lost = pupils.assign(c=np.where(pupils.index == 3, np.nan, pupils.index % 20))
    with pytest.warns(dm.FitWarning, match="1 row has no value of 'c', the cluster, and is left out"):
        assert dm.cfa(FACTORS, lost, cluster="c").n_observations == 300


def test_what_is_constant_in_one_group_is_named_with_it(pupils):
    flat = pupils.assign(x1=pupils["x1"].where(pupils["school"] == "Pasteur", 3.0))
    for missing in ("listwise", "fiml"):
        call = {"group": "school", "missing": missing}
        said = told(lambda call=call: dm.cfa(FACTORS, flat, **call))
        assert "'x1' is constant (3) in group 'Grant-White'" in said


@pytest.mark.parametrize(
    ("change", "tied"),
    [(lambda d: d["x8"], {"x8", "x9"}), (lambda d: d["x8"] - 2 * d["x7"] + 1, {"x7", "x8", "x9"})],
)
@pytest.mark.parametrize("gaps", ["together", "apart"])
@pytest.mark.filterwarnings("ignore::dagmodels.FitWarning")
def test_collinear_variables_with_missing_values_are_named(pupils, change, tied, gaps):
    """In rows that show them together they are tied, whatever is missing elsewhere."""
    rng = np.random.default_rng(1)
    own = pupils.assign(x9=change(pupils)) if gaps == "apart" else pupils
    items = [f"x{i}" for i in range(1, 10)]
    lost = own[items].mask(rng.random((len(own), 9)) < 0.15)
    if gaps == "together":
        lost = lost.assign(x9=change(lost))
    with pytest.raises(dm.FitError, match="not positive definite") as error:
        dm.cfa(FACTORS, lost, missing="fiml")
    named = {w for w in str(error.value).replace(",", " ").replace("'", " ").split() if w in items}
    assert named == tied


def test_nearly_collinear_variables_with_missing_values_are_fitted(pupils):
    rng = np.random.default_rng(2)
    near = pupils.assign(x9=pupils["x8"] + 1e-2 * rng.normal(size=301))
    items = [f"x{i}" for i in range(1, 10)]
    lost = near[items].mask(rng.random((301, 9)) < 0.1)
    one = dm.sem("x8 ~~ x9\nx8 ~~ x7\nx9 ~~ x7", lost, missing="fiml")
    assert one.converged
    assert one.measures["chisq"] < 1e-6


@pytest.mark.parametrize(
    ("definition", "what"), [("r := a/(b-b)", "infinite"), ("r := log(a-b-9)", "no number")]
)
def test_definitions_without_a_value_are_told(pupils, definition, what):
    with pytest.warns(dm.FitWarning, match=f"'r' is {what} at the estimates"):
        fit = dm.cfa(f"f =~ x1 + a*x2 + b*x3\n{definition}", pupils)
    assert fit.converged
    assert np.isnan(fit.estimates["se"].iloc[-1])


@pytest.mark.parametrize("other", [3, "fit", None, [1]])
def test_what_is_no_fit_is_not_compared(pupils, other):
    fit = dm.cfa(FACTORS, pupils)
    assert "is no fit of a structural model" in told(lambda: fit.lr_test(other))
    assert "is no fit of a structural model" in told(lambda: fit.scaled_difference(other))
    assert "nothing to compare it with" in told(fit.lr_test)


@pytest.mark.parametrize("verb", ["cfa", "sem", "growth"])
def test_fits_are_called_by_their_verb(pupils, verb):
    text = "i =~ 1*x1 + 1*x2 + 1*x3" if verb == "growth" else "f =~ x1 + x2 + x3"
    fit = getattr(dm, verb)(text, pupils)
    assert str(fit.plan).startswith(f"{verb}: fit by")
    assert "lavaan's texts are fitted so" in str(fit.plan)
    assert "form= asks" not in str(fit.plan)


def test_equal_residuals_of_ordered_variables_in_delta_are_told_to_say_nothing():
    rng = np.random.default_rng(3)
    f = rng.normal(size=(400, 1))
    frame = pd.DataFrame(np.digitize(f + rng.normal(size=(400, 4)), [-0.5, 0.8]), columns=list("abcd"))
    frame["g"] = np.arange(400) % 2
    call = {"group": "g", "ordered": True}
    with pytest.warns(dm.FitWarning, match="'residuals', which says nothing of 'a', 'b', 'c', 'd'"):
        tied = dm.cfa("f =~ a + b + c + d", frame, group_equal=["residuals"], **call)
    free = dm.cfa("f =~ a + b + c + d", frame, **call)
    assert tied.measures["df"] == free.measures["df"]
    theta = dm.cfa("f =~ a + b + c + d", frame, group_equal=["loadings"], parameterization="theta", **call)
    assert not any("residuals" in w for w in theta.warnings)


def test_the_summary_counts_the_rows_used_and_given(pupils):
    lost = pupils.assign(x1=pupils["x1"].where(pupils.index >= 11))
    lines = dm.cfa(FACTORS, lost).summary().splitlines()
    at = next(i for i, line in enumerate(lines) if "Number of observations" in line)
    assert lines[at - 1].split() == ["Used", "Total"]
    assert lines[at].split()[-2:] == ["290", "301"]
    assert "Total" not in dm.cfa(FACTORS, pupils).summary()
