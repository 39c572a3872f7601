"""Identification before fitting: known cases, what is named, and that the remedy works."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.forms.moment_identification import moment_findings

RNG = np.random.default_rng(4)
FRAME = pd.DataFrame(
    RNG.normal(size=(60, 1)) + RNG.normal(size=(60, 8)), columns=[f"x{i}" for i in range(1, 9)]
)


def findings(text: str, **options: object):
    m = dm.read(text, data=FRAME, format="lavaan", model_type="sem", **options)
    return moment_findings(bind(m.dag, m.columns()))


# models, unknowns that must be named, part of the hint, and a line that identifies them (Bollen 1989,
# chapters 4 and 7; Kenny and Milan 2012, Handbook of SEM, chapter 9)
UNIDENTIFIED = [
    ("f =~ x1 + x2", {"f=~x2", "f~~f", "x1~~x1", "x2~~x2"}, "two indicators", "f =~ x1 + 1*x2"),
    ("f =~ x1 + x2\ng =~ x3 + x4\nf ~~ 0*g", {"f=~x2", "g=~x4"}, "two indicators", "f ~~ g"),
    ("x1 ~ x2\nx2 ~~ x2\nx1 ~~ x2", {"x1~x2", "x1~~x2"}, "instrument", "x2 ~ x3"),
    ("x1 ~ x2 + x3\nx2 ~ x1 + x3\nx1 ~~ x2", {"x1~x2", "x2~x1"}, "instrument", None),
    ("f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\nf ~ g\ng ~ f", {"f~g", "g~f"}, "fix one", "f ~ x7\ng ~ x8"),
]
IDENTIFIED = [
    "f =~ x1 + x2 + x3",  # three indicators
    "f =~ x1 + x2\ng =~ x3 + x4",  # two indicators, correlated factors
    "f =~ x1 + x2\nf ~ x3",  # an instrument for the second loading
    "x1 ~ x2 + x3\nx2 ~ x3 + x4",  # recursive
    "x1 ~ x2\nx2 ~ x3\nx1 ~~ x2",  # an instrument
    "x1 ~ x2 + x3\nx2 ~ x1 + x4\nx1 ~~ x2",  # the order and rank conditions of two equations
    "g =~ f1 + f2 + f3\nf1 =~ x1 + x2\nf2 =~ x3 + x4\nf3 =~ x5 + x6",  # second order
]


@pytest.mark.parametrize(("text", "named", "hint", "remedy"), UNIDENTIFIED)
def test_unidentified_unknowns_are_named_with_a_remedy(text, named, hint, remedy):
    found = findings(text)
    assert named <= {n for f in found for n in f.nodes}
    assert any(hint in f.hint for f in found)
    if remedy is not None:
        lines = [line for line in text.splitlines() if not (remedy == "f ~~ g" and "0*g" in line)]
        if remedy.startswith("f =~"):
            lines = []
        assert findings("\n".join([*lines, remedy])) == ()


@pytest.mark.parametrize("text", IDENTIFIED)
def test_identified_models_pass(text):
    assert findings(text) == ()


def test_feedback_without_instruments_is_told_by_the_rule_that_explains_it():
    (found,) = findings("f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\nf ~ g\ng ~ f")
    assert "add an instrument" in found.hint
    assert "'f', 'g'" in found.hint


def test_a_model_with_too_many_unknowns_counts_them():
    (found,) = findings("f =~ x1 + x2")
    assert "6 unknowns, 5 means and covariances" in found.message


def test_groups_identify_what_one_group_does_not():
    """Equal loadings alone do not identify two indicators; equal error variances beside them do."""
    half = FRAME.assign(g=np.arange(60) % 2)
    for equal, known in ((["loadings"], False), (["loadings", "residuals"], True)):
        m = dm.read(
            "f =~ x1 + x2", data=half, format="lavaan", model_type="sem", group="g", group_equal=equal
        )
        assert (moment_findings(bind(m.dag, m.columns())) == ()) == known


def test_rank_of_random_structures_is_that_of_differences():
    """The exact Jacobian's rank against numerical differences of (I-A)^-1 P (I-A)^-T, 12 random models."""
    from itertools import combinations

    from dagmodels.analysis.unit import unit
    from dagmodels.forms.build_moments import build_moments
    from dagmodels.forms.moment_identification import null_space

    rng = np.random.default_rng(11)
    names = ["x1", "x2", "x3", "x4"]
    for _ in range(12):
        pairs = list(combinations(range(4), 2))
        arrows = [p for p in pairs if rng.random() < 0.7]
        arcs = [p for p in pairs if rng.random() < 0.4]
        if not arrows:
            continue
        text = "\n".join([f"{names[b]} ~ {names[a]}" for a, b in arrows]
                         + [f"{names[a]} ~~ {names[b]}" for a, b in arcs]
                         + [f"{n} ~~ {n}" for n in names])  # fmt: skip
        m = dm.read(text, data=FRAME, format="lavaan", model_type="lavaan", fixed_x=False, int_ov_free=True)
        problem = bind(m.dag, m.columns())
        template = build_moments(problem, unit(m.dag)).template
        k = len(arrows) + len(arcs) + 4

        def implied(v, arrows=arrows, arcs=arcs):
            a, p = np.zeros((4, 4)), np.diag(v[:4].copy())
            for (i, j), c in zip(arrows, v[4:], strict=False):
                a[j, i] = c
            for (i, j), c in zip(arcs, v[4 + len(arrows) :], strict=True):
                p[i, j] = p[j, i] = c
            b = np.linalg.inv(np.eye(4) - a)
            return (b @ p @ b.T)[np.tril_indices(4)]

        v = rng.uniform(0.4, 1.6, size=k)
        step = 1e-5
        numeric = np.array([(implied(v + step * e) - implied(v - step * e)) / (2 * step) for e in np.eye(k)])
        lost = k - np.linalg.matrix_rank(numeric, tol=1e-7)
        assert null_space(template).shape[1] == lost


def test_what_is_not_asked_for_passes():
    with pytest.warns(dm.FitWarning):
        assert not dm.sem("f =~ x1 + x2", FRAME, check=False).converged
    with pytest.raises(dm.ModelErrors, match="identification"):
        dm.sem("f =~ x1 + x2", FRAME)
