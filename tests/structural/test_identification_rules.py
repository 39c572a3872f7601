"""`g.identification()`: verdicts of the rules in textbook models, and their agreement with the rank."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.identify.diagram import diagram
from dagmodels.analysis.identify.measurement import settle
from dagmodels.analysis.identify.path_model import path_model
from tests.mixed_graphs import random_graph, unidentified


def answer(text: str, **options):
    return dm.read(text, format="lavaan", **options).identification()


def told(text: str, rule: str, **options) -> str:
    return answer(text, **options)[rule].verdict


ALL = "three indicators", "two indicators", "recursive rule", "bow-free rule", "half-trek criterion"
# Bollen (1989), Structural Equations with Latent Variables, chapters 4, 7 and 8; Brito and Pearl (2002);
# Foygel, Draisma and Drton (2012): model, rules that speak, and what they say
KNOWN = [
    ("f =~ x1 + x2 + x3", {"three indicators": True}),
    ("f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6", {"three indicators": True}),
    ("f =~ x1 + x2\ng =~ x3 + x4", {"two indicators": True}),
    ("f =~ x1 + x2\ng =~ x3 + x4\nf ~~ 0*g", {"two indicators": False}),
    ("f =~ x1 + x2", {"t-rule": False, "two indicators": False}),
    ("f =~ x1 + a*x2 + x3 + a*x4", {"three indicators": True}),
    ("f =~ NA*x1 + x2 + x3", {"t-rule": False, "scale of each latent": False}),
    ("f =~ NA*x1 + x2 + x3\nf ~~ 1*f", {"three indicators": True}),
    ("f =~ x1\nf ~ x2\nx1 ~~ x1", {"t-rule": False, "one indicator": False}),
    ("f =~ x1 + x2\nf ~ x3", {"two indicators": True, "recursive rule": True, "bow-free rule": True,
                              "half-trek criterion": True}),
    ("m ~ x\ny ~ m + x", {"recursive rule": True, "bow-free rule": True, "half-trek criterion": True}),
    ("x ~ z\ny ~ x\nx ~~ y", {"order and rank conditions": True, "half-trek criterion": True}),
    ("x ~~ x\ny ~ x\nx ~~ y", {"t-rule": False, "order and rank conditions": False,
                               "half-trek criterion": False}),
    ("a ~ b + x\nb ~ a + z\na ~~ b", {"order and rank conditions": True, "half-trek criterion": True}),
    ("a ~ b + x\nb ~ a + x\na ~~ b", {"t-rule": False, "order and rank conditions": False,
                                      "half-trek criterion": False}),
    ("y1 ~ x\ny2 ~ y1\ny3 ~ y2\ny1 ~~ y3", {"bow-free rule": True, "half-trek criterion": True,
                                            "order and rank conditions": True}),
    ("f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\nf ~ g\ng ~ f", {"three indicators": True,
                                                            "half-trek criterion": False}),
    ("f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\ng ~ f\nx1 ~~ x4", dict.fromkeys((
        "three indicators", "recursive rule", "bow-free rule", "half-trek criterion"), True)),
    ("h =~ f1 + f2 + f3\nf1 =~ x1 + x2\nf2 =~ x3 + x4\nf3 =~ x5 + x6", {
        "three indicators": True, "two indicators": True}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "speaking"), KNOWN)
def test_textbook_models(text, speaking):
    found = answer(text)
    got = {r.rule: r.verdict == "identified" for r in found.rows[:-1] if r.verdict != "silent"}
    assert got == speaking
    assert found.identified == all(speaking.values())
    for row in found:
        assert (row.verdict == "not identified") == bool(row.remedy)


def test_political_democracy():
    """Bollen's model: its factors by indicators with correlated errors, its equations recursive."""
    text = (
        "ind60 =~ x1 + x2 + x3\ndem60 =~ y1 + y2 + y3 + y4\ndem65 =~ y5 + y6 + y7 + y8\n"
        "dem60 ~ ind60\ndem65 ~ ind60 + dem60\n"
        "y1 ~~ y5\ny2 ~~ y4 + y6\ny3 ~~ y7\ny4 ~~ y8\ny6 ~~ y8"
    )
    found = answer(text)
    assert found["three indicators"].nodes[:4] == ("ind60", "x1", "x2", "x3")
    assert {"dem60", "dem65", "y8"} <= {*found["three indicators"].nodes}
    assert found["recursive rule"].nodes == ("dem60", "dem65")
    assert found.identified


def test_a_hidden_cause_is_an_arc():
    """Latent projection: u -> x, u -> y beside z -> x -> y is the instrument's graph."""
    text = "u =~ x + y\nx ~ z\ny ~ x\nu ~~ 0*z\nx ~~ x\ny ~~ y"
    found = answer(text)
    assert found["half-trek criterion"].verdict == "identified"
    assert found["half-trek criterion"].nodes == ("x", "y")
    assert {"x~z", "y~x"}.isdisjoint(found.unidentified)
    assert not found.identified  # u's own loading and variance are one number
    three = "u =~ x + y + w\nx ~ z\ny ~ x\nu ~~ 0*z"
    assert told(three, "half-trek criterion") == "silent"  # arcs of one cause with three effects are not free


def test_means_are_counted():
    """A factor mean beside free intercepts: more unknowns in means than means, though not in all."""
    text = "f =~ x1 + x2 + x3 + x4\nf ~ 1\nx1 ~ 1\nx2 ~ 1\nx3 ~ 1\nx4 ~ 1"
    found = answer(text)
    assert found["t-rule"].verdict == "not identified"
    assert "5 unknowns stand in means alone, and there are 4 means" in found["t-rule"].because
    assert not found.identified
    assert answer(text.replace("x1 ~ 1", "x1 ~ 0*1")).identified


def test_means_may_identify_what_covariances_do_not():
    """A bow whose effect has no intercept: the ratio of the means is the coefficient."""
    text = "x ~~ x\ny ~ x\nx ~~ y\nx ~ 1\ny ~ 0*1"
    found = answer(text)
    assert found.identified
    assert {r.verdict for r in found.rows[:-1]} == {"silent"}
    assert told(text.replace("0*1", "1"), "half-trek criterion") == "not identified"


def test_groups():
    """Equal loadings and intercepts identify factor means; equal parameters silence what speaks against."""
    frame = pd.read_csv("examples/abilities.csv")
    options = {"data": frame, "group": "school"}
    found = answer("f =~ x1 + x2 + x3", group_equal=["loadings", "intercepts"], **options)
    assert found.identified
    assert "in 2 groups" in found["t-rule"].because
    assert found["three indicators"].verdict == "identified"
    assert told("f =~ x1 + x2", "two indicators", **options) == "not identified"
    equal = answer("f =~ x1 + x2", group_equal=["loadings", "residuals"], **options)
    assert equal.identified
    assert equal["two indicators"].verdict == "silent"


def test_what_no_rule_covers_is_left_to_the_rank():
    """Growth: loadings are numbers on two factors; the native graph has four waves in one node."""
    curve = answer("i =~ 1*t0 + 1*t1 + 1*t2 + 1*t3\ns =~ 0*t0 + 1*t1 + 2*t2 + 3*t3", model_type="growth")
    assert curve.identified
    native = dm.read("specs/growth.dag").identification()
    assert native.identified
    assert {r.verdict for r in native.rows[:-1]} == {"silent"}
    assert "'y'" in native["half-trek criterion"].because


def test_native_graphs_are_read_as_lavaans():
    native = dm.read("tests/models/mediation.dag").identification()
    assert native["recursive rule"].nodes == ("m", "y")
    factors = dm.read("tests/models/cfa3.dag").identification()
    assert factors["three indicators"].nodes[:4] == ("visual", "x1", "x2", "x3")
    assert factors.identified


def test_priors_have_the_last_word():
    g = dm.read(
        "model m\nplate row\nparameter s, e > 0\nb ~ Normal(0, 1)\ncovariate z[row]\n"
        "f[row] ~ Normal(b*z, s)\nobserved y[row] ~ Normal(f, e)"
    )
    found = g.identification()
    assert found.verdict == "silent"
    assert found["one indicator"].verdict == "not identified"


def test_constraints_that_the_fit_keeps_are_named():
    found = answer("f =~ NA*x1 + a*x1 + b*x2 + c*x3\na^2 + b^2 == 1")
    assert not found.identified
    assert "nonlinear constraints" in str(found)


def test_other_graphs_are_refused():
    with pytest.raises(dm.ModelErrors):
        dm.read("tests/models/pump.dag").identification()


def test_it_prints_and_is_frozen():
    found = answer("f =~ x1 + x2")
    text = str(found)
    assert text == repr(found)
    lines = text.splitlines()
    assert len(lines) == len(found) + 1
    assert lines[-1] == "verdict: not identified"
    assert "add an indicator" in text
    assert "<table>" in found._repr_html_()
    with pytest.raises(KeyError, match="there are t-rule"):
        found["four indicators"]
    with pytest.raises(AttributeError):
        found.rows = ()  # type: ignore[misc]


def random_text(rng: np.random.Generator) -> str:
    """One to three factors of one to four indicators, cross-loadings, error covariances, paths, causes."""
    factors = ["f", "g", "h"][: rng.integers(1, 4)]
    lines, items, count = [], [], 0
    for f in factors:
        own = [f"x{count + k + 1}" for k in range(rng.integers(1, 5))]
        count += len(own)
        items += own
        lines.append(f"{f} =~ {'NA*' if rng.random() < 0.1 else ''}{' + '.join(own)}")
        lines += [f"{own[0]} ~~ {own[0]}"] if len(own) == 1 else []
    if rng.random() < 0.3:
        lines.append(f"{factors[0]} =~ {items[-1]}")
    for a in range(len(items)):
        for b in range(a):
            if rng.random() < 0.08:
                lines.append(f"{items[a]} ~~ {items[b]}")
    for a in range(len(factors)):
        for b in range(len(factors)):
            if a != b and rng.random() < 0.25:
                lines.append(f"{factors[a]} ~ {factors[b]}")
            elif a < b and rng.random() < 0.3:
                lines.append(f"{factors[a]} ~~ {rng.choice(['', '0*'])}{factors[b]}")
        if rng.random() < 0.3:
            lines.append(f"{factors[a]} ~ z{rng.integers(1, 3)}")
    if rng.random() < 0.2:  # means that tell more than intercepts
        lines.append(f"{rng.choice(items)} ~ 0*1\n{rng.choice(factors)} ~ 1")
    return "\n".join(dict.fromkeys(lines))


def parts(name: str) -> set[str]:
    """The variables of a coefficient's name."""
    return set(name.replace("=~", "~").replace("~~", "~").split("~"))


def test_rules_agree_with_the_rank_on_random_models():
    """200 models: what a rule identifies the null space leaves alone, what it denies is in it."""
    rng = np.random.default_rng(21)
    seen = set()
    for _ in range(200):
        text = random_text(rng)
        g = dm.read(text, format="lavaan")
        found, hidden = g.identification(), path_model(settle(diagram(g.dag))).hidden
        lost, paths = set(found.unidentified), ("recursive", "bow-free", "order", "half-trek")
        for row in found.rows[:-1]:
            seen.add((row.rule, row.verdict))
            if row.verdict == "not identified":
                touched = lost if row.rule == "t-rule" else {n for n in lost if parts(n) & {*row.nodes}}
                assert touched, (text, row)
            if row.verdict != "identified":
                continue
            if row.rule.startswith(paths):
                wrong = {n for n in lost if "~" in n and "~~" not in n and n.split("~")[0] in row.nodes
                         and not n.endswith("~1") and n.split("~")[1] not in hidden}  # fmt: skip
            else:
                pairs = {f"{f}=~{x}" for f in row.nodes for x in row.nodes}
                wrong = lost & (pairs | {f"{x}~~{x}" for x in row.nodes if x not in ("f", "g", "h")})
            assert not wrong, (text, row, wrong)
    speaking = {(r, v) for r, v in seen if v != "silent"}
    assert {r for r, v in speaking if v == "identified"} >= {*ALL}
    assert {r for r, v in speaking if v == "not identified"} >= {
        "t-rule", "scale of each latent", "one indicator", "two indicators", "half-trek criterion",
    }  # fmt: skip


def test_random_path_models_by_text_and_by_matrix():
    """150 mixed graphs as texts: verdict and what is unidentified are those of matrices in numpy."""
    rng = np.random.default_rng(33)
    for k in range(150):
        g = random_graph(rng, 4 + k % 2, acyclic=k % 3 > 0)
        lines = [f"y{v} ~~ y{v}" for v in g.nodes] + [f"y{b} ~ y{a}" for a, b in sorted(g.arrows)]
        lines += [f"y{a} ~~ y{b}" for a, b in (sorted(pair) for pair in sorted(map(sorted, g.arcs)))]
        found = answer("\n".join(lines), model_type="lavaan", fixed_x=False, int_ov_free=True)
        lost, size = unidentified(g, rng)
        assert found.identified == (size == 0)
        arrows = {a for a in lost if isinstance(a, tuple)}
        arcs = {n for n in found.unidentified if "~~" in n and len(parts(n)) == 2}
        assert {n for n in found.unidentified if n.startswith("y") and "~~" not in n and "~1" not in n} == {
            f"y{b}~y{a}" for a, b in arrows
        }
        assert {frozenset(parts(n)) for n in arcs} == {
            frozenset(f"y{v}" for v in pair) for pair in lost if isinstance(pair, frozenset)
        }
        for rule in ("bow-free rule", "order and rank conditions", "half-trek criterion"):
            row = found[rule]
            into = {a for a in arrows if f"y{a[1]}" in row.nodes}
            if row.verdict != "silent":
                assert bool(into) == (row.verdict == "not identified")
