"""Modification indices and score tests: lavaan's, the textbook's by dense matrices, and what they promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.numerics.moments import Moments
from dagmodels.results.sem.modification import candidates
from dagmodels.results.sem.written import Information, matrices, written
from tests.structural.references import fits, fitted, reference

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


@pytest.mark.parametrize(("case", "name"), list(fits()))
def test_lavaans_ten_largest(case, name):
    """Each of lavaan's rows, in its order; versions of lavaan differ in which rows they leave out."""
    want, table = reference(case)[name]["modindices_top10"], fitted(case, name).modindices(sort=True)
    if not want:
        assert table.empty
        return
    keys = list(zip(table["lhs"], table["op"], table["rhs"], strict=True))
    places = [keys.index((r["lhs"], r["op"], r["rhs"] or "")) for r in want]
    for key in ("mi", "epc", "sepc.lv", "sepc.all", "sepc.nox"):
        got = table[key.replace(".", "_")].to_numpy()[places]
        np.testing.assert_allclose(got, [r[key] for r in want], rtol=1e-4, atol=1e-5, err_msg=key)
    if case != "sem_eiv_regression":  # there two pairs of indices are equal
        assert places == list(range(10))


def _dense(fit, rows):
    """Every row's entry, and their information from derivatives of all moments by differences."""
    w = written(fit, rows)
    found = [_dense_group(w, g) for g in range(w.structure.groups)]
    return w, np.sum(found, axis=0)


def _dense_group(w, g):
    s, o = w.structure, w.structure.observed
    p = o.size
    i, j = np.tril_indices(p)

    def vector(value):
        m = Moments(s, w.moments.sample, value)
        return np.concatenate([m.covariance[g][np.ix_(o, o)][i, j], m.mean[g][o]])

    h = 1e-5
    delta = np.empty((i.size + p, w.value.size))
    for k in range(w.value.size):
        step = np.zeros(w.value.size)
        step[k] = h
        delta[:, k] = (vector(w.value + step) - vector(w.value - step)) / (2 * h)
    inverse = np.linalg.inv(w.moments.covariance[g][np.ix_(o, o)])
    duplication = np.zeros((p * p, i.size))
    duplication[i * p + j, np.arange(i.size)] = duplication[j * p + i, np.arange(i.size)] = 1
    weight = np.zeros((i.size + p, i.size + p))
    weight[: i.size, : i.size] = 0.5 * duplication.T @ np.kron(inverse, inverse) @ duplication
    weight[i.size :, i.size :] = inverse * w.means
    both = w.given[i] & w.given[j]
    held = np.concatenate([both, w.given])
    weight[held] = 0
    weight[:, held] = 0
    n = w.moments.sample.n[w.moments.sample.group == g].sum()
    return n * delta.T @ weight @ delta


@pytest.mark.parametrize(
    ("case", "name"), [("sem_demo_growth", "main"), ("sem_political_democracy_sem", "main")]
)
def test_information_is_the_textbooks(case, name):
    """Delta' V Delta with the duplication matrix; covariates' own moments without weight."""
    fit = fitted(case, name)
    rows = tuple(candidates(fit.naming))
    w, want = _dense(fit, rows)
    every = np.arange(w.value.size)
    got = Information(w).block(every, every)
    size = np.sqrt(np.outer(np.diag(want), np.diag(want))) + 1e-9
    np.testing.assert_allclose(got / size, want / size, atol=1e-6)
    np.testing.assert_allclose(Information(w).diagonal(every), np.diag(got), rtol=1e-12, atol=1e-12)


def test_an_index_foretells_the_refit(pupils):
    """For a small misfit the index is the gain in chi-square, the expected change the estimate."""
    fit = dm.cfa(FACTORS, pupils)
    table = fit.modindices().set_index(["lhs", "op", "rhs"])
    small = table[(table["mi"] > 0.1) & (table["mi"] < 1)]
    assert len(small) > 5
    for key in small.index[:3]:
        freed = dm.cfa(f"{FACTORS}\n{' '.join(key)}", pupils)
        gain = fit.measures["chisq"] - freed.measures["chisq"]
        assert table.loc[key, "mi"] == pytest.approx(gain, rel=0.1)
        estimate = freed.estimates.set_index(["lhs", "op", "rhs"])["estimate"][key]
        assert table.loc[key, "epc"] == pytest.approx(estimate, rel=0.1)


def test_what_is_free_or_says_nothing_new_is_not_listed(pupils):
    table = dm.cfa(FACTORS, pupils).modindices()
    keys = set(zip(table["lhs"], table["op"], table["rhs"], strict=True))
    assert len(keys) == 54  # 18 loadings and 36 covariances
    assert ("visual", "=~", "x1") not in keys  # the marker's loading is a matter of scale
    assert list(dm.cfa(FACTORS, pupils).modindices(op="=~")["op"].unique()) == ["=~"]
    assert len(dm.cfa(FACTORS, pupils).modindices(sort=True, minimum_value=10)) == 4
    assert len(dm.cfa(FACTORS, pupils).modindices(maximum_number=3)) == 3


def test_indices_of_groups(pupils):
    """With nothing shared, each group's indices are those of the group alone."""
    both = dm.cfa(FACTORS, pupils, group="school").modindices()
    for school, part in both.groupby("group"):
        alone = dm.cfa(FACTORS, pupils[pupils["school"] == school], meanstructure=True).modindices()
        np.testing.assert_allclose(part["mi"], alone["mi"], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(part["sepc_all"], alone["sepc_all"], rtol=1e-6, atol=1e-8)


def test_a_single_indicators_fixed_rows_stand_at_their_own_places(pupils):
    """The graph puts the latent variable's law on its only indicator; the indices know both."""
    fit = dm.sem("f1 =~ x1\nf2 =~ x2 + x3 + x4\nf2 ~ f1", pupils, meanstructure=True)
    other = dm.sem("f2 =~ x2 + x3 + x4\nf2 ~ x1", pupils, fixed_x=False, meanstructure=True)
    a, _, level = matrices(fit)
    assert level[0].tolist().count(0.0) == 2
    assert fit.estimates.set_index("name").loc["f1~1", "estimate"] == 0
    left, right = (f.modindices().set_index(["lhs", "op", "rhs"]) for f in (fit, other))
    for key in (("x2", "~~", "x3"), ("x3", "~~", "x4")):
        assert left.loc[key, "mi"] == pytest.approx(right.loc[key, "mi"], rel=1e-6)
    assert (a[0] == 1).sum() == 2  # the loadings of x1 and of the marker x2


def test_score_tests_by_whole_matrices(pupils):
    """s'Z s with Z the corner of the pseudoinverse of [[I, R'], [R, 0]], R the constraints that are kept.

    s by differences of the likelihood, I from the derivatives of all moments.
    """
    fit = dm.cfa(FACTORS, pupils, group="school", group_equal=["loadings", "intercepts"])
    tests = fit.score_test()
    assert list(tests["lhs"][:3]) == [".p2.", ".p3.", ".p5."]
    assert list(tests["rhs"][:3]) == [".p38.", ".p39.", ".p41."]
    assert tests["meaning"][8] == "x3~1 == x3~1.g2"
    w, information = _dense(fit, ())
    free = np.array([n for n, i in enumerate(w.rows) if fit.naming.rows[i].free])
    s = np.empty(free.size)
    for m, n in enumerate(free):
        step = np.zeros(w.value.size)
        step[n] = 1e-5
        high, low = (Moments(w.structure, w.moments.sample, w.value + e).value for e in (step, -step))
        s[m] = 0.5 * (high - low) / 2e-5
    place = {int(w.rows[n]): m for m, n in enumerate(free)}
    r = np.zeros((len(tests) - 1, free.size))
    for q, e in enumerate(fit.naming.equalities):
        for i, coefficient in e.terms:
            r[q, place[i]] = coefficient
    inner = information[np.ix_(free, free)]
    for q, want in enumerate(tests["chisq"]):
        kept = np.delete(r, q, axis=0) if q < len(r) else r[:0]
        whole = np.block([[inner, kept.T], [kept, np.zeros((len(kept), len(kept)))]])
        corner = np.linalg.pinv(whole, rcond=1e-9)[: free.size, : free.size]
        assert s @ corner @ s == pytest.approx(want, rel=1e-4, abs=1e-5)
    assert tests["df"].iloc[-1] == 15


def test_score_tests_foretell_what_releasing_gains():
    """Released one by one, and all at once, the chi-square falls by about the statistic."""
    held, free = (
        fitted("sem_political_democracy_sem", "main"),
        fitted("sem_political_democracy_sem", "free_loadings"),
    )
    tests = held.score_test()
    assert tests["chisq"].iloc[-1] == pytest.approx(held.measures["chisq"] - free.measures["chisq"], rel=0.02)
    assert tests["df"].tolist() == [1, 1, 1, 3]


def test_score_tests_of_written_constraints(pupils):
    """A constraint by `==` costs what the same one by labels does."""
    by_label = "visual =~ x1 + a*x2 + x3\ntextual =~ x4 + a*x5 + x6\nspeed =~ x7 + x8 + x9"
    by_rule = by_label.replace("a*x5", "b*x5") + "\na == b"
    one, other = (dm.cfa(t, pupils).score_test() for t in (by_label, by_rule))
    np.testing.assert_allclose(one["chisq"], other["chisq"], rtol=1e-7)
    assert (other["lhs"][0], other["rhs"][0]) == ("a", "b")


def test_no_constraint_no_score_test(pupils):
    with pytest.raises(dm.FitError, match="no parameters are held equal"):
        dm.cfa(FACTORS, pupils).score_test()


def test_candidates_are_lavaans_list():
    """lavaan's full list for a model with a regression: no loading where a regression says the same."""
    fit = fitted("sem_demo_growth", "main")
    rows = list(candidates(fit.naming))
    assert ("t4", "~", "c1") in {(r.lhs, r.op, r.rhs) for r in rows}
    assert not any(r.op == "=~" for r in rows)  # every indicator is in a regression
    assert len({(r.lhs, r.op, r.rhs) for r in rows}) == len(rows)
