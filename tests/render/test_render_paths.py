"""Path diagrams: what is on them, that nothing covers anything else, and that they are files."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.render.path_geometry import LINE
from dagmodels.render.path_layout import label_width, places
from dagmodels.render.path_routes import arranged, routes
from dagmodels.render.path_sources import PathOptions, diagrams
from tests.structural import references

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
DEMOCRACY = references.text("sem_political_democracy_sem", "free_loadings")
SECOND = FACTORS + "\ng =~ visual + textual + speed"
MEDIATION = "m ~ x + w\ny ~ m + x"
FEEDBACK = "a ~ b + x\nb ~ a + z\na ~~ b"
GROWTH = "i =~ 1*t1 + 1*t2 + 1*t3\ns =~ 0*t1 + 1*t2 + 2*t3\ni + s ~ x\nt1 ~ c1\nt2 ~ c2\nt3 ~ c3"
LARGE = "\n".join(f"f{k} =~ " + " + ".join(f"x{6 * k + j}" for j in range(6)) for k in range(10))
TEXTS = {
    "factors": FACTORS, "democracy": DEMOCRACY, "second": SECOND, "mediation": MEDIATION, "growth": GROWTH,
    "feedback": FEEDBACK, "large": LARGE,
}  # fmt: skip


def diagram(text, **options):
    g = dm.read(text, format="lavaan", model_type="growth" if text == GROWTH else "sem")
    (found,) = diagrams(g.dag, None, PathOptions("names", **options), g.naming)
    return found


def apart(a, b):
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def box(x, y, wide, high):
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


@pytest.mark.parametrize("name", TEXTS)
def test_every_variable_and_line_is_there(name):
    d = diagram(TEXTS[name], residuals=True, means=True)
    g = dm.read(TEXTS[name], format="lavaan", model_type="growth" if name == "growth" else "sem")
    rows = [r for r in g.reading.table.rows if r.op in ("=~", "~") and (r.free or r.value)]
    assert {(a.start, a.end) for a in d.arrows} == {
        (r.lhs, r.rhs) if r.op == "=~" else (r.rhs, r.lhs) for r in rows
    }
    assert set(d.variables) == set(places(d)) == {n for a in (*d.arrows, *d.arcs) for n in (a.start, a.end)}
    assert d.latent == set(g.reading.table.latent)


@pytest.mark.parametrize("name", TEXTS)
def test_shapes_are_apart_and_arcs_end_where_no_arrow_does(name):
    d = diagram(TEXTS[name])
    where = places(d)
    shapes = [box(p.x, p.y, p.width, p.height) for p in where.values()]
    assert all(apart(a, b) for a, b in itertools.combinations(shapes, 2))
    drawn = routes(d, where)
    for one, two in itertools.combinations(drawn, 2):
        if (one.heads == "b") != (two.heads == "b"):
            ends = itertools.product((one.curve[0], one.curve[3]), (two.curve[0], two.curve[3]))
            assert all(math.dist(a, b) > 1.0 for a, b in ends)


@pytest.mark.parametrize("name", ["factors", "democracy", "second", "large"])
def test_factors_stand_over_their_indicators_in_one_row(name):
    d = diagram(TEXTS[name])
    where = places(d)
    for f in d.latent:
        own = [where[a.end] for a in d.arrows if a.start == f]
        assert min(p.x for p in own) - 1e-9 <= where[f].x <= max(p.x for p in own) + 1e-9
        assert all(p.y != where[f].y for p in own if not p.latent)
    rows = {(p.y, p.band) for n, p in where.items() if n not in d.latent}
    assert len(rows) <= 2


def test_labels_do_not_cover_shapes_or_one_another():
    from tests.structural.references import fitted

    for case in ("sem_holzinger_cfa", "sem_political_democracy_sem", "sem_mediation_path"):
        fit = fitted(case, "main")
        (d,) = diagrams(fit.graph, fit, PathOptions("standardized", stars=True))
        where = places(d)
        labels = [box(*r.at, label_width(r.label), LINE * len(r.label)) for r in routes(d, where) if r.label]
        shapes = [box(p.x, p.y, p.width, p.height) for p in where.values()]
        assert all(apart(a, b) for a, b in itertools.combinations(labels, 2)), case
        assert all(apart(a, b) for a in labels for b in shapes), case


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("more", [(), ("residuals",), ("means",), ("residuals", "means")])
def test_long_labels_of_everything_that_hangs_cover_nothing(name, more):
    """With intervals below the numbers, loops and triangles."""
    wide = ("−0.123***", "[−0.123, −0.123]")
    kind = "growth" if name == "growth" else "sem"
    g = dm.read(TEXTS[name], format="lavaan", model_type=kind, meanstructure=True)
    (d,) = diagrams(g.dag, None, PathOptions("names", **dict.fromkeys(more, True)), g.naming)

    def told(line):
        return line if line.given else replace(line, label=wide)

    d = replace(
        d, arrows=tuple(map(told, d.arrows)), arcs=tuple(map(told, d.arcs)),
        own={n: told(line) for n, line in d.own.items()},
        means={n: told(line) for n, line in d.means.items()},
    )  # fmt: skip
    where, drawn = arranged(d)
    labels = [box(*r.at, label_width(r.label), LINE * len(r.label)) for r in drawn if r.label]
    shapes = [box(p.x, p.y, p.width, p.height) for p in where.values()]
    assert len(labels) >= len(d.arrows) + len(d.own) + len(d.means)
    assert all(apart(a, b) for a, b in itertools.combinations(labels, 2))
    assert all(apart(a, b) for a in labels for b in shapes)


def test_arrows_of_a_feedback_are_two_lines():
    d = diagram(FEEDBACK)
    one, two = (r for r in routes(d, places(d)) if r.kind == "path" and set(r.ends) == {"a", "b"})
    assert math.dist(one.at, two.at) > 12


@pytest.fixture(scope="module")
def fit():
    return dm.cfa(FACTORS, pd.read_csv("examples/abilities.csv"))


def test_numbers_are_those_of_the_fit(fit):
    (d,) = diagrams(fit.graph, fit, PathOptions("estimates", stars=True, intervals=True, residuals=True))
    line = next(a for a in d.arrows if a.end == "x2")
    assert line.label == ("0.554***", "[0.358, 0.749]")
    assert next(a for a in d.arrows if a.end == "x1").label == ("1",)
    assert d.own["x1"].label[0] == "0.549***"
    (d,) = diagrams(fit.graph, fit, PathOptions("standardized"))
    assert next(a for a in d.arcs if {a.start, a.end} == {"visual", "speed"}).label == ("0.47",)
    assert not any(a.fixed for a in d.arrows)  # a marker's standardised loading varies with the others
    (d,) = diagrams(fit.graph, fit, PathOptions("estimates"))
    assert [a.end for a in d.arrows if a.fixed] == ["x1", "x4", "x7"]


def test_files_and_groups(fit, tmp_path):
    for name in ("a.svg", "a.png", "a.pdf", "a.dot"):
        assert fit.render(tmp_path / name).stat().st_size > 1000
    again = fit.render(tmp_path / "b.svg")
    assert again.read_bytes() == (tmp_path / "a.svg").read_bytes()
    groups = dm.cfa(FACTORS, pd.read_csv("examples/abilities.csv"), group="school")
    text = groups.render(tmp_path / "g.svg", show="standardized").read_text()
    assert "Pasteur" in text
    assert "Grant&#45;White" in text
    assert text.count(">visual<") == 2
    fit.render(tmp_path / "c.svg", style="bayes")


def test_any_graph_of_units(tmp_path):
    g = dm.read("""model items
plate pupil
plate item
parameter v[item] > 0
parameter lam[item], nu[item]
theta[pupil] ~ Normal(0, 1)
observed y[pupil, item] ~ Normal(nu + lam*theta, sqrt(v))
""")
    assert '"0:theta" -> "0:y"' in g.to_dot(style="sem")
    rng = np.random.default_rng(2)
    theta = rng.normal(size=(200, 1))
    y = pd.DataFrame(0.8 * theta + rng.normal(size=(200, 4)), columns=list("abcd"))
    frame = y.assign(pupil=range(200)).melt("pupil", var_name="item", value_name="y")
    fit = g.fit(frame, form="moments")
    text = g.to_dot(style="sem", fit=fit, means=True)
    value = fit.estimates.set_index("name").loc["lam[b]", "estimate"]
    assert '"0:theta" -> "0:y[b]"' in text
    assert f"<{value:.3f}>" in text
    assert text.count("triangle") == 4


def test_what_has_no_unit_is_refused():
    g = dm.read("model m\nplate i\nparameter a\nobserved y[i] ~ Poisson(exp(a))\n")
    with pytest.raises(dm.ModelErrors, match="path diagram") as error:
        g.to_dot(style="sem")
    assert "Poisson" in str(error.value.exceptions[0])
    with pytest.raises(dm.ModelErrors, match="picture"):
        dm.read(FACTORS, format="lavaan").to_dot(style="sem", show="loadings")
