"""Models beyond the stored references: groups, single indicators, feedback, verbs and faults."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm

ONE = "f =~ o + x2 + x3 + x4"
FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


@pytest.mark.parametrize(
    ("equal", "chisq", "df"),
    [([], 115.851, 48), (["loadings"], 124.044, 54), (["loadings", "intercepts"], 164.103, 60)],
)
def test_invariance_between_schools(pupils, equal, chisq, df):
    """lavaan's tutorial (Rosseel 2012, J. Stat. Softw. 48(2), section 5) has these three chi-squares."""
    fit = dm.cfa(FACTORS, pupils, group="school", group_equal=equal)
    assert fit.converged
    assert fit.measures["chisq"] == pytest.approx(chisq, abs=6e-4)
    assert fit.measures["df"] == df
    assert set(fit.estimates["group"]) == {"Pasteur", "Grant-White"}


def test_groups_in_any_order(pupils):
    turned = pupils.sort_values("school")
    a = dm.cfa(FACTORS, pupils, group="school", group_equal=["loadings"])
    b = dm.cfa(FACTORS, turned, group="school", group_equal=["loadings"])
    assert list(dict.fromkeys(b.estimates["group"])) == ["Grant-White", "Pasteur"]
    key = ["lhs", "op", "rhs", "group"]
    left, right = (f.estimates.set_index(key).sort_index() for f in (a, b))
    same = left.index.intersection(right.index)
    pairs = left.loc[same].query("lhs != rhs")["estimate"], right.loc[same].query("lhs != rhs")["estimate"]
    np.testing.assert_allclose(*pairs, rtol=1e-6, atol=1e-7)
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-12)


def test_a_single_indicator_is_its_latent_variable(pupils):
    """A factor of one indicator without residual is that variable: the regression on it is the same."""
    a = dm.sem("f1 =~ x1\nf2 =~ x2 + x3 + x4\nf2 ~ f1", pupils)
    b = dm.sem("f2 =~ x2 + x3 + x4\nf2 ~ x1", pupils, fixed_x=False)
    left, right = (f.estimates.set_index(["lhs", "op", "rhs"])[["estimate", "se", "std_all"]] for f in (a, b))
    np.testing.assert_allclose(left.loc[("f2", "~", "f1")], right.loc[("f2", "~", "x1")], rtol=1e-7)
    np.testing.assert_allclose(left.loc[("f1", "~~", "f1")], right.loc[("x1", "~~", "x1")], rtol=1e-7)
    assert left.loc[("f1", "=~", "x1"), "estimate"] == 1
    assert left.loc[("x1", "~~", "x1"), "estimate"] == 0
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-12)


def test_feedback_by_its_implied_moments(pupils):
    """Two variables that depend on one another: the likelihood is that of (I - B)^-1 P (I - B)^-T."""
    fit = dm.sem("x1 ~ x2 + x3\nx2 ~ x1 + x4", pupils)
    assert fit.converged
    e = fit.estimates.set_index(["lhs", "op", "rhs"])["estimate"]
    b = np.eye(2) - np.array([[0, e["x1", "~", "x2"]], [e["x2", "~", "x1"], 0]])
    gamma = np.diag([e["x1", "~", "x3"], e["x2", "~", "x4"]])
    psi = np.diag([e["x1", "~~", "x1"], e["x2", "~~", "x2"]])
    y, x = (pupils[c].to_numpy() - pupils[c].to_numpy().mean(axis=0) for c in (["x1", "x2"], ["x3", "x4"]))
    inverse = np.linalg.inv(b)
    away, sigma = y - x @ gamma.T @ inverse.T, inverse @ psi @ inverse.T
    n = len(y)
    want = -0.5 * (n * (2 * np.log(2 * np.pi) + np.linalg.slogdet(sigma)[1])
                   + np.sum(away @ np.linalg.inv(sigma) * away))  # fmt: skip
    assert fit.log_likelihood == pytest.approx(want, rel=1e-10)


def test_scale_and_place_of_data_change_nothing_but_units(pupils):
    moved = pupils.copy()
    moved["x1"] = 1e4 + 1e3 * moved["x1"]
    a, b = dm.cfa(FACTORS, pupils), dm.cfa(FACTORS, moved)
    assert b.converged
    assert a.measures["chisq"] == pytest.approx(b.measures["chisq"], rel=1e-7)
    np.testing.assert_allclose(a.estimates["std_all"], b.estimates["std_all"], rtol=1e-5, atol=1e-7)


def test_full_information_is_listwise_where_nothing_is_missing(pupils):
    a, b = dm.cfa(FACTORS, pupils, meanstructure=True), dm.cfa(FACTORS, pupils, missing="fiml")
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-13)
    np.testing.assert_allclose(a.estimates["estimate"], b.estimates["estimate"], rtol=1e-9, atol=1e-9)


def test_text_alone_is_a_graph_that_knows_its_defaults(pupils):
    g = dm.read(FACTORS, format="lavaan", model_type="cfa")
    assert dm.read(str(g)) == g
    assert "auto_cov_lv_x" in g.explain()
    fit = g.fit(pupils)
    assert fit.measures["chisq"] == pytest.approx(85.3055, abs=1e-4)
    assert fit.inner.graph == g.dag


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": FACTORS.replace("x9", "x99")}, "did you mean 'x9'"),
        ({"model": "visual =~ x1 + + x2"}, "line 1"),
        ({"group": "scool"}, "did you mean 'school'"),
        ({"missing": "pairwise"}, "missing='pairwise' is for ordered variables"),
        ({"missing": "two.stage"}, "missing is 'two.stage'"),
        ({"model": "f =~ x1 + x2 + school"}, "'school' is not numeric"),
        ({"data": None}, "no data"),
    ],
)
def test_faults_are_named(pupils, change, told):
    call = {"model": FACTORS, "data": pupils, **change}
    model, data = call.pop("model"), call.pop("data")
    with pytest.raises(dm.ModelErrors) as error:
        dm.cfa(model, data, **call)
    assert told in "\n".join(map(str, (error.value, *error.value.exceptions)))


def test_hard_data_are_named(pupils):
    constant = pupils.assign(x1=1.0)
    with pytest.raises(dm.ModelErrors, match=r"data|constant") as error:
        dm.cfa(FACTORS, constant)
    assert "'x1' is constant" in str(error.value.exceptions[0])
    with pytest.raises(dm.FitError, match="not positive definite"):
        dm.cfa(FACTORS, pupils.assign(x1=pupils["x2"]))
    with pytest.raises(dm.FitError, match="not positive definite"):
        dm.cfa(FACTORS, pupils.head(6))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_variable_that_a_group_does_not_have_is_named(pupils):
    gone = pupils.assign(x2=pupils["x2"].mask(pupils["school"] == "Pasteur"))
    with pytest.raises(dm.FitError, match="no value of 'x2' in group 'Pasteur'"):
        dm.cfa(FACTORS, gone, missing="fiml", group="school")


def test_a_heywood_case_is_named_and_kept_apart_from_convergence():
    rng = np.random.default_rng(3)
    f = rng.normal(size=60)
    frame = pd.DataFrame({"a": f + 0.02 * rng.normal(size=60), "b": f + rng.normal(size=60)})
    frame["c"] = 0.7 * frame["a"] - 0.5 * f + 0.3 * rng.normal(size=60)
    with pytest.warns(dm.FitWarning, match="Heywood"):
        fit = dm.cfa("f =~ a + b + c", frame)
    assert fit.converged
    assert not fit.admissible


def test_unidentified_models_do_not_pass(pupils):
    with pytest.raises(dm.ModelErrors, match="identification") as error:
        dm.cfa("f =~ x1 + x2", pupils)
    told = str(error.value.exceptions[0])
    assert "'f' has two indicators" in told + str(error.value)
    assert all(n in told for n in ("f=~x2", "f~~f", "x1~~x1", "x2~~x2"))
    with pytest.warns(dm.FitWarning, match="not identified"):
        fit = dm.cfa("f =~ x1 + x2", pupils, check=False)
    assert not fit.converged


def test_most_random_factor_models_converge():
    """Sixty factor models of loadings from 0.4 to 1.2 and 40 to 400 rows, some with gaps, in any units.

    At most two searches may fail (small samples may have no optimum; none of these sixty did when this was
    written), and what converged is no saddle.
    """
    failed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, k = int(rng.choice([40, 80, 150, 400])), int(rng.integers(1, 4))
        factors = rng.normal(size=(n, k)) @ np.linalg.cholesky(0.4 + 0.6 * np.eye(k)).T
        lines, columns = [], {}
        for j in range(k):
            unit, names = 10 ** rng.uniform(-2, 2), [f"y{j}_{i}" for i in range(rng.integers(3, 6))]
            for name in names:
                load = rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
                noise = rng.normal(size=n) * rng.uniform(0.4, 1.2)
                columns[name] = unit * (load * factors[:, j] + noise + 5 * rng.normal())
            lines.append(f"f{j} =~ " + " + ".join(names))
        frame = pd.DataFrame(columns)
        gaps = bool(rng.random() < 0.4)
        if gaps:
            frame = frame.mask(rng.random(frame.shape) < 0.1)
        model = dm.read("\n".join(lines), format="lavaan", data=frame, missing="fiml" if gaps else "listwise")
        fit = model.fit_quietly()
        failed += not fit.converged
        assert not fit.converged or fit.diagnostics["smallest_eigenvalue"] > 0
    assert failed <= 2


def test_the_plan_says_what_fit_does(pupils):
    """A model fits from moments, and its plan says so before."""
    model = dm.read(FACTORS, pupils, format="lavaan", model_type="cfa")
    told = str(model.plan()).split("  options:")[0]
    assert "exact maximum likelihood (ML) from moments" in told
    assert str(model.fit().plan).split("  options:")[0] == told


@pytest.mark.parametrize("ordered", [["o"], "o", {"o": 3}])
def test_ordered_variables_are_not_treated_as_numbers(pupils, ordered):
    """Asked for as ordered and fitted as numbers would be a wrong answer; unasked, they are numbers."""
    rows = pupils.assign(o=np.digitize(pupils["x1"], [4, 6]))
    text = "visual =~ x2 + x3 + o + x4"
    asked = dm.cfa(text, rows, ordered=ordered)
    written = dm.cfa(text + "\no | t1 + t2", rows)
    assert asked.measures["chisq_scaled"] == pytest.approx(written.measures["chisq_scaled"], rel=1e-10)
    assert "|" in set(asked.estimates["op"])
    assert dm.cfa(text, rows).log_likelihood is not None


def test_an_ordered_variable_that_is_missing_is_named(pupils):
    with pytest.raises(dm.ModelErrors) as told:
        dm.cfa(FACTORS, pupils, ordered=["x11"])
    assert "'x11' is not in" in str(told.value)
    assert "did you mean 'x1'?" in str(told.value)


def test_a_covariate_without_effect_stays_in_the_model(pupils):
    """Its zero coefficient costs a degree of freedom, as in lavaan, and tells what the free one gains."""
    free, tied = (dm.sem(f"x1 ~ x2 + {c}x4", pupils) for c in ("", "0*"))
    assert tied.measures["df"] == 1
    assert tied.measures["chisq"] == pytest.approx(2 * (free.log_likelihood - tied.log_likelihood), abs=1e-8)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"x9": lambda d: d["x8"]}, r"not positive definite: 'x[89]', 'x[89]' are combinations"),
        ({"x9": lambda d: d["x8"] + d["x7"]}, r"not positive definite: .*'x9'.* are combinations"),
    ],
)
def test_variables_that_are_combinations_are_named(pupils, change, told):
    with pytest.raises(dm.FitError, match=told):
        dm.cfa(FACTORS, pupils.assign(**change))


def test_too_few_rows_are_counted(pupils):
    with pytest.raises(dm.FitError, match="there are 6 rows and 9 variables"):
        dm.cfa(FACTORS, pupils.head(6))


@pytest.mark.parametrize(
    ("data", "options", "told"),
    [
        (lambda d: d.head(0), {}, "there are no rows"),
        (lambda d: d.assign(x9=float("nan")), {}, "'x9' has no values"),
        (lambda d: d.assign(x9=1), {"ordered": ["x9"]}, "'x9' is ordered and has one category, 1"),
        (lambda d: d.assign(c=1), {"cluster": "c"}, "all rows lie in one 'c'"),
    ],
)
def test_data_that_say_nothing_are_named(pupils, data, options, told):
    with pytest.raises(dm.ModelErrors) as error:
        dm.cfa(FACTORS, data(pupils), **options)
    assert told in str(error.value)


def test_a_measure_that_is_not_there_is_named(pupils):
    with pytest.raises(dm.DagmodelsError, match=r"no measure 'rmsae' .did you mean 'rmsea'"):
        dm.cfa(FACTORS, pupils).fit_measures(["rmsae"])


@pytest.mark.parametrize(
    "text", ["f =~ x1 + a*x2 + x3\na > 1\na < 0.5", "f =~ x1 + lower(1)*x2 + upper(0.5)*x2 + x3"]
)
def test_bounds_that_contradict_one_another_are_refused(pupils, text):
    with pytest.raises(dm.ModelErrors) as error:
        dm.cfa(text, pupils)
    assert "contradict one another: above 1 and below 0.5" in str(error.value)
