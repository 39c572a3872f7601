"""Two levels: modification indices, clusters drawn again, reliability, scores of new rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.numerics.level_moments import LevelMoments
from dagmodels.results.sem.levels.modification import _candidates, _extended, _places

TEXT = """
level: 1
  f =~ y1 + y2 + y3 + y4
  f ~ x
level: 2
  g =~ y1 + y2 + y3 + y4
  g ~ w
"""


def simulated(seed=1, clusters=120, tied=0.15):
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(clusters), rng.integers(4, 13, clusters))
    w, x = rng.normal(size=clusters), rng.normal(size=school.size)
    f = 0.5 * x + rng.normal(size=school.size)
    g = 0.4 * w + 0.7 * rng.normal(size=clusters)
    e = rng.normal(size=(4, school.size))
    e[1] = tied * e[0] + np.sqrt(1 - tied**2) * e[1]
    u = 0.4 * rng.normal(size=(4, clusters))
    y = {f"y{k + 1}": 0.8 * f + g[school] + u[k][school] + e[k] for k in range(4)}
    return pd.DataFrame({**y, "x": x, "w": w[school], "school": [f"s{k}" for k in school]})


@pytest.fixture(scope="module")
def frame():
    return simulated()


@pytest.fixture(scope="module")
def fit(frame):
    return dm.sem(TEXT, frame, cluster="school")


def test_modification_indices_foretell_what_freeing_gains(fit, frame):
    table = fit.modindices(sort=True)
    assert list(table.columns) == ["lhs", "op", "rhs", "level", "mi", "epc", "sepc_all"]
    first = table.iloc[0]
    assert (first["lhs"], first["rhs"], first["level"]) in (("y1", "y2", "1"), ("y3", "y4", "1"))
    for lhs, op, rhs, level in (("y1", "~~", "y2", 1), ("y1", "~~", "y3", 2), ("y2", "~~", "y4", 1)):
        block = "  f ~ x" if level == 1 else "  g ~ w"
        freed = dm.sem(TEXT.replace(block, f"{block}\n  {lhs} {op} {rhs}"), frame, cluster="school")
        own = freed.estimates.query(f"lhs == '{lhs}' and op == '{op}' and rhs == '{rhs}'").iloc[0]
        here = table.query(f"lhs == '{lhs}' and op == '{op}' and rhs == '{rhs}' and level == '{level}'")
        gain = fit.measures["chisq"] - freed.measures["chisq"]
        assert here["mi"].item() == pytest.approx(gain, rel=0.15, abs=0.05)
        assert here["epc"].item() == pytest.approx(own["estimate"], rel=0.15, abs=0.005)


def test_slopes_and_information_of_what_is_held_are_those_of_the_likelihood(fit):
    """By differences of the criterion, and of its gradient where the data are what the model implies."""
    rows = list(_candidates(fit))
    places = _places(fit, rows)
    moments, jacobian = _extended(fit, *places)
    m = jacobian.shape[0]
    for k in range(0, len(rows), 3):
        sides = []
        for step in (1e-5, -1e-5):
            moved = moments.entries.copy()
            moved[m + k] += step
            sides.append(LevelMoments(moments.levels, moved).value)
        slope = (sides[0] - sides[1]) / 2e-5
        assert moments.gradient[m + k] == pytest.approx(slope, rel=1e-5, abs=1e-4)


def test_indices_by_operator_number_and_group(fit, frame):
    assert set(fit.modindices(op="=~")["op"]) <= {"=~"}
    assert len(fit.modindices(sort=True, maximum_number=3)) == 3
    assert (fit.modindices(minimum_value=1.0)["mi"] >= 1.0).all()
    halves = frame.assign(half=np.where(frame["school"].str[1:].astype(int) % 2, "a", "b"))
    both = dm.sem(TEXT, halves, cluster="school", group="half")
    assert set(both.modindices()["group"]) == {"a", "b"}


def test_drawn_clusters_are_those_clusters(fit, frame):
    """The form of clusters drawn again is that of a frame in which they stand several times."""
    which = np.random.default_rng(3).choice(120, 120)
    parts = [frame[frame["school"] == f"s{c}"].assign(school=f"t{k}") for k, c in enumerate(which)]
    whole = pd.concat(parts, ignore_index=True)
    other = dm.sem(TEXT, whole, cluster="school")
    labels = list(fit.form.problem.labels[fit.form.units])
    number = np.array([labels.index(f"s{c}") for c in which])
    form = fit.form.with_clusters(number)
    assert form.at(other.solution.optimum.x).deviance == pytest.approx(-2 * other.log_likelihood, rel=1e-10)
    again = fit.inner.again.refitter().solve_form(form)
    np.testing.assert_allclose(again.optimum.x, other.solution.optimum.x, rtol=1e-5, atol=1e-6)


def test_bootstraps_of_clusters_agree_with_the_sandwich(fit, frame):
    """200 draws: standard errors within 30 % of those by the clusters' scores (5 % is Monte Carlo)."""
    drawn = fit.bootstrap(200, seed=2)
    again = fit.bootstrap(20, seed=2)
    np.testing.assert_array_equal(drawn.draws[:20], again.draws)
    assert len(drawn.failures) < 6
    robust = dm.sem(TEXT, frame, cluster="school", estimator="MLR").estimates
    free = robust["se"] > 0
    ratio = np.nanstd(drawn.draws, axis=0)[free] / robust["se"][free]
    assert ratio.between(0.7, 1.35).all(), ratio
    limits = drawn.intervals("percentile").set_index("name")
    assert limits.loc["f~x", "lower"] < fit["f~x"] < limits.loc["f~x", "upper"]
    own = fit.bootstrap(5, seed=1, statistic=lambda f: {"cfi": f.measures["cfi"]})
    assert own.names == ("cfi",)
    for kind in ("parametric", "bollen.stine"):
        with pytest.raises(dm.ModelErrors, match="bootstrap") as told:
            fit.bootstrap(5, kind=kind)
        assert "draws clusters again" in str(told.value)


def test_reliability_is_that_of_each_level(fit):
    table, rows = fit.reliability(), fit.estimates
    for level, name in (("within", "f"), ("school", "g")):
        own = rows[rows["level"] == ("1" if level == "within" else "2")]
        loading = own[(own["op"] == "=~") & (own["lhs"] == name)]["estimate"].to_numpy()
        residual = own[(own["op"] == "~~") & own["lhs"].str.startswith("y")]["estimate"].to_numpy()
        spread = own[(own["op"] == "~~") & (own["lhs"] == name)]["estimate"].item()
        regress = own[(own["op"] == "~") & (own["lhs"] == name)]["estimate"].item()
        x = own[(own["op"] == "~~") & own["lhs"].isin(["x", "w"])]["estimate"].item()
        common = (spread + regress**2 * x) * loading.sum() ** 2
        expected = common / (common + residual.sum())
        assert table.loc[(level, name), "omega"] == pytest.approx(expected, rel=1e-6)
    free = fit.levels.unrestricted.within[0]
    items = [fit.form.variables[v][0] for v in fit.form.structure.observed.tolist()]
    at = [i for i, n in enumerate(n for n, k in zip(items, fit.form.inner, strict=True) if k) if n[0] == "y"]
    s = free[np.ix_(at, at)]
    assert table.loc[("within", "f"), "alpha"] == pytest.approx(4 / 3 * (1 - np.trace(s) / s.sum()), rel=1e-9)


def test_scores_of_new_rows(fit, frame):
    for level in (1, 2):
        old, errors = fit.predict_factors(level=level, se=True)
        new, other = fit.predict_factors(frame, level=level, se=True)
        np.testing.assert_allclose(new.to_numpy(), old.loc[new.index].to_numpy(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(other.to_numpy(), errors.loc[new.index].to_numpy(), rtol=1e-9)
    some = frame[frame["school"].isin(["s3", "s7"])].sample(frac=1.0, random_state=1)
    scores = fit.predict_factors(some)
    assert list(scores.index) == list(some.index)
    np.testing.assert_allclose(scores, fit.predict_factors().loc[some.index], rtol=1e-9)
    lonely = some.groupby("school").head(1)
    assert fit.predict_factors(lonely, level=2).shape == (2, 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.drop(columns="school"), "the clusters' column 'school' is not in"),
        (lambda d: d.assign(y1=np.nan), "'y1' has missing values"),
        (lambda d: d.drop(columns="y2"), "the variable 'y2' is not in the data"),
        (lambda d: d.assign(w=range(len(d))), "'w' stands at level 2 alone, but differs within a cluster"),
        (lambda d: d.assign(school=None), "'school' has missing values"),
    ],
)
def test_new_rows_that_cannot_be_scored_are_named(fit, frame, change, told):
    with pytest.raises(dm.ModelErrors) as error:
        fit.predict_factors(change(frame.head(30)))
    assert told in str(error.value)


@pytest.mark.parametrize("verb", ["predict", "local_tests", "miiv", "score_test", "refitter"])
def test_what_two_levels_lack_says_what_to_do(fit, verb):
    with pytest.raises(dm.FitError, match=r"two levels.*(;|by) \w+"):
        getattr(fit, verb)()
