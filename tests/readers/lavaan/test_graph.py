"""The graphs: what the language says for each kind of model, checked by its own validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dagmodels.graph import statement as st
from dagmodels.readers.lavaan import Reading, read
from dagmodels.readers.lavaan.provenance import Held
from tests.readers.lavaan.cases import HOLZINGER, MODELS, checked, random_model, refused
from tests.readers.lavaan.moments import implied, settled


def lines(reading: Reading) -> list[str]:
    return str(reading.dag).splitlines()


def matrices(reading: Reading, values: dict[int, float], group: int = 1) -> np.ndarray:
    """lavaan's own formula, Lambda (I - B)^-1 Psi (I - B)^-T Lambda', from the rows of the table."""
    table = reading.table
    names = [*table.observed, *table.latent]
    place = {n: i for i, n in enumerate(names)}
    b, psi = np.zeros((2, len(names), len(names)))
    for row in table.elements:
        if row.group != group or row.op == "~1":
            continue
        value = values[row.free] if row.free else row.value or 0.0
        left, right = place[row.lhs], place[row.rhs]
        if row.op == "~~":
            psi[left, right] = psi[right, left] = value
        elif row.op == "=~":
            b[right, left] = value
        else:
            b[left, right] = value
    np.fill_diagonal(b, 0.0)
    inverse = np.linalg.inv(np.eye(len(names)) - b)
    size = len(table.observed)
    return (inverse @ psi @ inverse.T)[:size, :size]


def agrees(text: str, seed: int = 1, **options: Any) -> Reading:
    """The graph's moments are those of lavaan's matrices, at random values that keep the constraints."""
    reading = checked(text, fixed_x=False, **options)
    table, provenance = reading.table, reading.provenance
    rng = np.random.default_rng(seed)
    values: dict[tuple[str, str | None], float] = {}
    for s in reading.dag.statements:
        if isinstance(s, st.Parameter):
            for level in table.groups if s.plates else [None]:
                values[s.name, level] = rng.uniform(0.2, 0.9)
    for row, held in zip(table, provenance.rows, strict=True):  # variances large, so that matrices are proper
        if row.op == "~~" and row.lhs == row.rhs and (held.node, held.level) in values:
            values[held.node or "", held.level] += 2.0
    settled(reading.dag, values, provenance.unit, table.groups)
    free = {}
    for row, held in zip(table, provenance.rows, strict=True):
        if row.free:
            free[row.free] = values[held.node or "", held.level]
    for number, label in enumerate(table.groups, 1):
        _, cov = implied(reading, values, {}, label)
        np.testing.assert_allclose(cov, matrices(reading, free, number), rtol=1e-9, atol=1e-9)
    return reading


@pytest.mark.parametrize(
    ("text", "options"),
    MODELS,
)
def test_moments_are_lavaans(text: str, options: dict[str, Any]):
    """Two routes to the covariance matrix: from the graph's statements, and from the table's rows."""
    agrees(text, **options)


def test_a_measurement_model():
    reading = checked("f =~ x1 + x2 + l*x3")
    assert lines(reading)[1:] == [
        "plate row",
        "",
        "parameter `f=~x2`, l, `x1~~x1`, `x2~~x2`, `x3~~x3`, `f~~f`, `x1~1`, `x2~1`, `x3~1`",
        "f[row] ~ Normal(0, sqrt(`f~~f`))",
        "observed x1[row] ~ Normal(`x1~1` + f, sqrt(`x1~~x1`))",
        "observed x2[row] ~ Normal(`x2~1` + `f=~x2`*f, sqrt(`x2~~x2`))",
        "observed x3[row] ~ Normal(`x3~1` + l*f, sqrt(`x3~~x3`))",
    ]
    assert reading.provenance.saturated == {"x1": "x1~1", "x2": "x2~1", "x3": "x3~1"}
    assert reading.provenance.rows[:3] == (Held(value=1.0), Held("f=~x2"), Held("l"))


def test_exogenous_variables_are_covariates_or_nodes():
    assert "covariate x[row]" in lines(checked("y ~ x"))
    free = lines(checked("y ~ x", fixed_x=False))
    assert "observed x[row] ~ Normal(`x~1`, sqrt(`x~~x`))" in free


def test_names_that_are_taken_get_an_underscore():
    reading = checked("row =~ x1 + x2 + x1_*x3\nx1 := x1_^2")
    text = str(reading.dag)
    assert "plate row_" in text
    assert "x1_ = x1_" not in text
    assert reading.provenance.unit == "row_"
    assert reading.provenance.rows[-1].node == "x1__"


def test_labels_that_variables_have_give_way():
    reading = checked("y ~ x*x + z")
    assert reading.provenance.rows[0] == Held("y~x")
    assert reading.provenance.nodes["x"] == Held("y~x")


def test_words_of_the_language_are_quoted():
    reading = checked("model =~ plate + constant + observed*covariate")
    assert "`model`[row]" in str(reading.dag)


def test_starts_and_bounds():
    text = lines(checked("f =~ x1 + start(0.5)*x2 + lower(-1)*upper(2)*x3\nx1 ~~ v*x1\nv > 0"))
    assert "parameter `f=~x2` start 0.5" in text
    assert "parameter `f=~x3` in (-1, 2)" in text
    assert "parameter v > 0" in text


def test_groups_have_a_plate_and_share_what_they_share():
    reading = checked(
        HOLZINGER,
        groups=["Pasteur", "Grant-White"],
        group="school",
        group_equal=["loadings", "intercepts"],
        group_partial="x3~1",
    )
    text = lines(reading)
    assert 'plate school = "Pasteur", "Grant-White"' in text
    assert "plate row in school" in text
    assert '`visual~1`["Pasteur"], `textual~1`["Pasteur"], `speed~1`["Pasteur"] = 0' in text
    assert "observed x3[row] ~ Normal(`x3~1`[school] + `visual=~x3`*visual, sqrt(`x3~~x3`[school]))" in text
    row = next(r for r in reading.table if r.key == ("visual", "~1", "") and r.group == 2)
    assert reading.provenance.rows[row.id - 1] == Held("visual~1", "Grant-White")


def test_levels_of_an_element_are_written_out():
    model = "f =~ c(a, b)*x1 + c(1, NA)*x2 + c(.5, .7)*x3 + a*x4"
    text = lines(checked(model, groups=2, auto_fix_first=False))
    assert '`f=~x1`["1"] = a' in text
    assert "`f=~x1`[group] = b" in text
    assert '`f=~x2`["1"] = 1' in text
    assert '`f=~x3`["1"] = 0.5' in text
    assert "`f=~x3`[group] = 0.7" in text


def test_cycles_become_one_joint_node():
    reading = checked("p ~ q + x\nq ~ p + z\np ~~ q")
    (joint,) = [s for s in reading.dag.statements if isinstance(s, st.Joint)]
    assert joint.names == ("p", "q")
    assert joint.observed
    assert not reading.dag.covariances


def test_a_residual_covariance_pulls_its_end_into_the_cycle():
    reading = checked("p ~ q\nq ~ p\nr ~ p\ns ~ r\nr ~~ q", auto_cov_y=False)
    (joint,) = [s for s in reading.dag.statements if isinstance(s, st.Joint)]
    assert set(joint.names) == {"p", "q", "r"}


def test_a_mixed_cycle_is_refused():
    said = refused("f =~ x1 + x2 + x3\ny ~ f\nf ~ y")
    assert "depend on one another in a circle" in said
    assert "some are latent" in said


def test_a_single_indicator_carries_its_latent_variable():
    reading = checked("f =~ x\ng =~ y1 + y2 + y3\ng ~ f")
    assert "f[row] = x - `x~1`" in lines(reading)
    assert "observed x[row] ~ Normal(`x~1`, sqrt(`f~~f`))" in lines(reading)
    assert reading.provenance.swapped == {"f": "x"}


def test_variances_of_zero_that_no_latent_variable_carries_are_refused():
    assert "no latent variable to carry" in refused("y ~ x\ny ~~ 0*y")
    assert "a covariance with 'y2'" in refused("f =~ y1 + y2 + y3\ny1 ~~ 0*y1 + y2")


def test_definitions_may_build_on_one_another():
    reading = checked("m ~ a*x\ny ~ b*m + c*x\nab := a*b\nshare := ab/(ab + c)\nodd := exp(-a^2) + pi")
    text = lines(reading)
    assert "share = ab/(ab + c)" in text
    assert "odd = exp(-a**2) + 3.141592653589793" in text
    assert reading.provenance.nodes["share"] == Held("share")


def test_definitions_over_fixed_and_grouped_parameters():
    reading = checked("f =~ l*x1 + k*x2 + x3\ny ~ c(b1, b2)*f\nd := b1 - b2 + l\nq := k", groups=2)
    assert "d = b1 - b2 + 1" in lines(reading)
    assert "q = k" in lines(reading)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y ~ a*x\nb == 1", "'b' in 'b == 1' is no label"),
        ("y ~ alpha*x\nq := alpa", "did you mean 'alpha'"),
        ("y ~ a*x\nq := r\nr := q", "defined by itself"),
        ("y ~ a*x\nq := a\nq := 2*a", "defined twice"),
        ("y ~ a*x + b*z\na == b\na == b + 1", "contradicts"),
        ("y ~ 2*x + a*z\ny ~~ -1*y", "fixed at -1"),
        ("f =~ x1 + x2\nf:z ~ y", "product with a latent variable"),
        ("f =~ x1 + x2 + x3\ny ~ f:z", "product with a latent variable"),
        ("y ~ c(1, 2)*x", "2 values for 1"),
        ("group: 1\ny ~ x\ngroup: 2\nz ~ x", "'y' stands in group 1 only"),
        ("group: 1\nf =~ y + z\ngroup: 2\ny + z ~ f", "'f' stands in group 1 only"),
        ("y ~ a*x\na == log(-1)", "no finite value"),
        ("y ~ a*x\na == (0 - 1)^0.5", "no finite value"),
        ("y ~ a*x\na == 0^-1", "no finite value"),
        ("group: 1", "no formulas"),
        ("a := 1", "no formulas"),
        ("f =~ x\nf ~ x + z", "so it is 'f', which depends on it"),
    ],
)
def test_what_does_not_fit_together(text: str, words: str):
    assert words in refused(text)


def test_wrong_numbers_of_values_over_groups():
    assert "3 values for 2 groups" in refused("y ~ c(1, 2, 3)*x", groups=2)


def test_linear_constraints_are_substituted_and_others_kept():
    reading = checked("y ~ a*x + b*z + c*w\na == 2*b - 1\na*b > 0.1\nb*c == 2\nc < a")
    text = lines(reading)
    assert "a = -1 + 2*b" in text
    provenance = reading.provenance
    assert [r.op for r in provenance.constraints] == [">", "==", "<"]
    assert len(provenance.substituted) == 1
    assert not provenance.redundant


def test_redundant_constraints_are_told():
    reading = checked("y ~ a*x + b*z\na == b\n2*a == 2*b")
    assert len(reading.provenance.redundant) == 1


def test_one_label_is_one_parameter():
    reading = checked("f =~ x1 + a*x2 + a*x3\nx1 ~~ v*x1\nx2 ~~ v*x2")
    frees = {r.name: r.free for r in reading.table}
    assert frees["f=~x2"] == frees["f=~x3"]
    assert frees["x1~~x1"] == frees["x2~~x2"]
    assert reading.table.free == len({f for f in frees.values() if f})


def test_products_are_columns():
    reading = checked("y ~ x + z + x:z")
    assert reading.provenance.products == {"x:z": ("x", "z")}
    assert "`x:z`[row]" in str(reading.dag)


def test_long_sums_stay_shallow():
    """A sum of 300 predictors is one statement within the depth that the language takes."""
    text = "y ~ " + " + ".join(f"x{i}" for i in range(300))
    reading = read(text)
    assert len(reading.table) == 300 + 1 + 300 * 301 // 2
    assert "x299" in str(reading.dag)


@pytest.mark.parametrize("seed", range(40))
def test_random_models(seed: int):
    """Recursive models of latent and observed variables with random fixed, shared and constrained
    coefficients: the graph is valid, prints and reads back, and has lavaan's moments."""
    text, options = random_model(seed)
    agrees(text, seed, **options)
