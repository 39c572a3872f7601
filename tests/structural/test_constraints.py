"""Constraints that the graph cannot say, against substitution by hand and against another optimiser."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import dagmodels as dm
from dagmodels.forms.moment_constraints import Constraint, TapeConstraints
from dagmodels.graph import expression as ex

LABELS = """
  visual =~ x1 + a*x2 + b*x3
  textual =~ x4 + c*x5 + e*x6
  speed =~ x7 + f*x8 + g*x9
"""
NAMES = [f"x{i}" for i in range(1, 10)]


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


def _discrepancy(s):
    """F_ML of the three-factor model by its textbook matrices: loadings, residuals, factor covariances."""

    def f(x):
        lam = np.zeros((9, 3))
        for k in range(3):
            lam[3 * k : 3 * k + 3, k] = [1, x[2 * k], x[2 * k + 1]]
        phi = np.zeros((3, 3))
        phi[np.tril_indices(3)] = x[15:21]
        phi = phi + phi.T - np.diag(np.diag(phi))
        sigma = lam @ phi @ lam.T + np.diag(x[6:15])
        sign, logdet = np.linalg.slogdet(sigma)
        if sign <= 0:
            return 1e3
        return logdet + np.trace(np.linalg.solve(sigma, s)) - np.linalg.slogdet(s)[1] - 9

    return f


@pytest.mark.parametrize(
    ("text", "constraints", "df"),
    [
        ("a*b == 0.3", [("eq", lambda x: x[0] * x[1] - 0.3)], 25),
        ("a > b", [("ineq", lambda x: x[0] - x[1])], 24),
        ("c < e", [("ineq", lambda x: x[3] - x[2])], 24),
        ("e < c", [("ineq", lambda x: x[2] - x[3])], 24),
        (
            "a^2 + b^2 == 1\nc*e == f\ng > exp(b - 1)",
            [
                ("eq", lambda x: x[0] ** 2 + x[1] ** 2 - 1),
                ("eq", lambda x: x[2] * x[3] - x[4]),
                ("ineq", lambda x: x[5] - np.exp(x[1] - 1)),
            ],
            26,
        ),
    ],
)
def test_against_sequential_quadratic_programming(pupils, text, constraints, df):
    """scipy's SLSQP on F_ML in numpy, from our optimum moved by 5 %; it ends at about 1e-6."""
    fit = dm.cfa(LABELS + text, pupils)
    assert fit.converged
    assert fit.measures["df"] == df
    e = fit.estimates.set_index(["lhs", "op", "rhs"])["estimate"]
    factors = ("visual", "textual", "speed")
    x = [
        e[k, "=~", n]
        for k, rows in zip(factors, (NAMES[1:3], NAMES[4:6], NAMES[7:9]), strict=True)
        for n in rows
    ]
    x += [e[n, "~~", n] for n in NAMES]
    pairs = [("visual", "visual"), ("visual", "textual"), ("textual", "textual"), ("visual", "speed"),
             ("textual", "speed"), ("speed", "speed")]  # fmt: skip
    x = np.array([*x, *(e[i, "~~", j] for i, j in pairs)])
    f = _discrepancy(np.cov(pupils[NAMES].T, bias=True))
    assert 301 * f(x) == pytest.approx(fit.measures["chisq"], rel=1e-8)
    for kind, c in constraints:
        assert abs(c(x)) < 1e-8 if kind == "eq" else c(x) > -1e-8
    moved = x * (1 + 0.05 * np.random.default_rng(1).uniform(-1, 1, x.size))
    other = minimize(
        f, moved, method="SLSQP", constraints=[{"type": k, "fun": c} for k, c in constraints],
        options={"ftol": 1e-14, "maxiter": 1000},
    )  # fmt: skip
    assert f(x) <= other.fun + 1e-9
    np.testing.assert_allclose(other.x, x, rtol=5e-4, atol=5e-4)


def test_a_linear_equality_is_its_substitution(pupils):
    """The reader solves `a == b` in the graph; kept as a constraint instead, everything is the same."""
    solved = dm.cfa(LABELS + "a == b", pupils)
    model = dm.read(LABELS, format="lavaan", model_type="cfa")
    tree = ex.Binary("-", ex.Reference("a", ()), ex.Reference("b", ()))
    kept = model.fit(pupils, constraints=(Constraint(tree, True, "a == b"),))
    assert kept.n_parameters == solved.n_parameters == 20
    for column in ("estimate", "se", "std_all"):
        np.testing.assert_allclose(kept.estimates[column], solved.estimates[column], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(kept.standardized()["se"], solved.standardized()["se"], rtol=1e-5, atol=1e-8)
    for key, value in solved.measures.items():
        assert kept.measures[key] == pytest.approx(value, rel=1e-7, abs=1e-8), key


def test_a_nonlinear_equality_is_its_substitution(pupils):
    """`a*b == 0.3` against a graph in which b is 0.3/a."""
    fit = dm.cfa(LABELS + "a*b == 0.3\nhalf := b/2", pupils, information="observed")
    text = str(dm.read(LABELS, format="lavaan", model_type="cfa"))
    line = next(row for row in text.splitlines() if row.startswith("parameter") and " b" in row)
    names = [n.strip() for n in line.removeprefix("parameter").split(",")]
    replaced = "parameter " + ", ".join(n for n in names if n != "b") + "\nb = 0.3 / a"
    other = dm.read(text.replace(line, replaced)).fit(pupils[NAMES], form="moments")
    assert fit.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    e = fit.estimates.set_index("name")
    for name in ("a", "b", "c"):
        assert e.loc[name, "estimate"] == pytest.approx(other[name], rel=1e-7)
    # observed information of a substitution holds the constraint's own curvature; the expected has none
    plain = dm.cfa(LABELS + "a*b == 0.3\nhalf := b/2", pupils)
    expected = dm.read(text.replace(line, replaced)).fit(
        pupils[NAMES], form="moments", information="expected"
    )
    ours, theirs = plain.estimates.set_index("name"), expected.estimates.set_index("name")
    for name in ("a", "b", "c"):
        assert ours.loc[name, "se"] == pytest.approx(theirs.loc[name, "se"], rel=1e-6)
    assert ours.loc["half", "se"] == pytest.approx(ours.loc["b", "se"] / 2, rel=1e-10)


def test_inequalities_that_do_not_bind_change_nothing(pupils):
    free, kept = dm.cfa(LABELS, pupils), dm.cfa(LABELS + "b > a\na + b < 3", pupils)
    for column in ("estimate", "se"):
        np.testing.assert_allclose(kept.estimates[column], free.estimates[column], rtol=1e-6, atol=1e-9)
    assert kept.measures["df"] == free.measures["df"]


def test_constraints_between_groups_and_over_defined_quantities(pupils):
    """`c()` labels of two groups; a constraint on a defined quantity is one on what defines it."""
    text = "visual =~ x1 + c(a1, a2)*x2 + x3\ntextual =~ x4 + x5 + x6\n"
    fit = dm.cfa(text + "a1*a2 == 0.25", pupils, group="school")
    e = fit.estimates.set_index("label")["estimate"]
    assert e["a1"] * e["a2"] == pytest.approx(0.25, abs=1e-9)
    free = dm.cfa(text, pupils, group="school")
    assert fit.measures["df"] == free.measures["df"] + 1
    assert fit.measures["chisq"] > free.measures["chisq"]
    path = "x3 ~ b*x2 + x1\nx2 ~ a*x1\nab := a*b\n"
    one, two = dm.sem(path + "ab == 0.1", pupils), dm.sem(path + "a*b == 0.1", pupils)
    np.testing.assert_allclose(one.estimates["estimate"], two.estimates["estimate"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(one.estimates["se"], two.estimates["se"], rtol=1e-5, atol=1e-7)
    assert one.estimates.set_index("name").loc["ab", "se"] == pytest.approx(0, abs=1e-8)


def test_derivatives_of_constraints(pupils):
    fit = dm.cfa(LABELS + "a*b == 0.3\nexp(c) > e + f", pupils)
    kept = fit.solution.form.constraints
    assert isinstance(kept, TapeConstraints)
    x = fit.solution.optimum.x + 0.1
    jacobian, weights = kept.jacobian(x), np.array([2.0, -0.7])
    steps = 1e-6 * np.eye(x.size)
    near = [(kept.values(x + s) - kept.values(x - s)) / 2e-6 for s in steps]
    np.testing.assert_allclose(jacobian, np.array(near).T, atol=1e-8)
    bent = [(weights @ (kept.jacobian(x + s) - kept.jacobian(x - s))) / 2e-6 for s in steps]
    np.testing.assert_allclose(kept.curvature(x, weights), bent, atol=1e-6)


def test_bootstrap_keeps_constraints(pupils):
    fit = dm.cfa(LABELS + "a*b == 0.3", pupils)
    found = fit.bootstrap(30)
    place = {n: i for i, n in enumerate(found.names)}
    assert not found.failures
    np.testing.assert_allclose(found.draws[:, place["a"]] * found.draws[:, place["b"]], 0.3, rtol=1e-7)
    assert np.isfinite(found.intervals("bca")["lower"]).all()


def test_contradictions_are_told(pupils):
    with pytest.warns(dm.FitWarning, match=r"is not met|not identified|gradient"):
        fit = dm.cfa(LABELS + "a*b == 0.3\na*b == 0.6", pupils)
    assert not fit.converged
    assert "a*b" in fit.message.replace(" ", "")


def test_robust_errors_of_a_constraint_are_those_of_its_substitution(pupils):
    solved = dm.cfa(LABELS + "a == b", pupils, se="robust.huber.white")
    tree = ex.Binary("-", ex.Reference("a", ()), ex.Reference("b", ()))
    model = dm.read(LABELS, format="lavaan", model_type="cfa", se="robust.huber.white")
    kept = model.fit(pupils, constraints=(Constraint(tree, True, "a == b"),))
    np.testing.assert_allclose(kept.estimates["se"], solved.estimates["se"], rtol=1e-5, atol=1e-8)
    with pytest.raises(dm.ModelErrors) as error:
        dm.cfa(LABELS + "a*b == 0.3", pupils, estimator="MLM")
    assert "does not know" in str(error.value.exceptions[0])
