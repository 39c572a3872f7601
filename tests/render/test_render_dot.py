"""DOT text: golden pictures, and properties read back by Graphviz's own parser.

`PYTHONPATH=. python tests/render/test_render_dot.py` rewrites the golden files;
look at the pictures when you do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from render_models import JOINT, NAMES, ODD_NAMES, dags, model

from dagmodels.errors import ModelErrors
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Parameter
from dagmodels.readers import read
from dagmodels.render import to_dot
from dagmodels.render.boxes import Box, boxes
from dagmodels.render.edges import edges
from dagmodels.render.layout import middle_of_arcs

GOLDEN = Path(__file__).parent / "golden"
RADON_FIT = {"g0": (1.4657, 0.0379), "g1": (0.7202, 0.0918), "beta": (-0.6682, 0.0688), "sigma": 0.7585}


def golden() -> dict[str, str]:
    """Text of every golden picture by the name of its file."""
    shown = {n: to_dot(model(n)) for n in NAMES if n != "asia"}
    shown["asia"] = to_dot(model("asia"), style="bn")
    shown["joint"] = to_dot(read(JOINT))
    radon = model("radon")
    shown["radon_fit"] = to_dot(radon, sizes={"county": 85, "house": 919}, estimates=RADON_FIT)
    shown["radon_distributions"] = to_dot(radon, show="distributions")
    return shown


@pytest.mark.parametrize("name", sorted(golden()))
def test_the_text_is_the_golden_one(name: str) -> None:
    assert golden()[name] == (GOLDEN / f"{name}.dot").read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert sorted(p.stem for p in GOLDEN.glob("*.dot")) == sorted(golden())


def parsed(text: str) -> Any:
    """The graph as Graphviz's parser reads it."""
    import pygraphviz

    return pygraphviz.AGraph(string=text)


def attribute(text: str, node: str, name: str) -> str:
    """One attribute of a node (the graph must outlive the node that refers to it)."""
    graph = parsed(text)
    return graph.get_node(node).attr[name]


def plain_id(name: str) -> str:
    """A node's name as DOT holds it: Graphviz keeps backslashes doubled in identifiers and `%` for itself."""
    return ("'" if name.startswith(("%", "'")) else "") + name.replace("\\", "\\\\")


def check(dag: Dag, text: str) -> None:
    graph = parsed(text)
    assert sorted(graph.nodes()) == sorted(plain_id(n) for n in dag.nodes)
    drawn: Counter[tuple[str, str]] = Counter()
    arcs: Counter[frozenset[str]] = Counter()
    for edge in graph.edges():
        tail, head = edge
        direction = edge.attr["dir"]
        if direction == "both":
            arcs[frozenset((tail, head))] += 1
        else:
            drawn[(head, tail) if direction == "back" else (tail, head)] += 1
    expected = Counter((plain_id(e.parent), plain_id(e.child)) for e in edges(dag))
    assert drawn == expected
    in_middle = middle_of_arcs(dag, edges(dag))
    left = [c for c in dag.covariances if getattr(c.expression, "name", None) not in in_middle]
    assert arcs == Counter(frozenset(map(plain_id, (c.left.name, c.right.name))) for c in left)
    assert _clusters(graph) == _expected_clusters(boxes(dag))


def _clusters(graph: Any) -> list[list[str]]:
    """Members of every cluster that stands for a plate, inner ones included."""

    def every(part: Any) -> Iterator[Any]:
        for inner in part.subgraphs():
            yield inner
            yield from every(inner)

    framed = [c for c in every(graph) if c.graph_attr["style"] == "rounded"]
    return sorted(sorted(c.nodes()) for c in framed)


def _expected_clusters(box: Box) -> list[list[str]]:
    def every(part: Box) -> Iterator[Box]:
        for inner in part.boxes:
            yield inner
            yield from every(inner)

    return sorted(sorted(map(plain_id, b.members())) for b in every(box))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("style", ["bayes", "bn"])
def test_nodes_arrows_and_boxes_of_the_classical_models(name: str, style: str) -> None:
    check(model(name), to_dot(model(name), style=style))


def test_nodes_arrows_and_boxes_of_joint_nodes() -> None:
    check(read(JOINT), to_dot(read(JOINT)))


@given(dags())
@settings(deadline=None)
def test_nodes_arrows_and_boxes_of_any_model(dag: Dag) -> None:
    for show in ("names", "distributions"):
        check(dag, to_dot(dag, show=show))


@given(dags())
def test_equal_input_gives_equal_text(dag: Dag) -> None:
    again = Dag(dag.name, dag.plates, dag.statements)
    assert to_dot(dag) == to_dot(again)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_read_back_by_graphviz(name: str) -> None:
    dag = Dag(name, (), (Parameter(name), Parameter("other")))
    graph = parsed(to_dot(dag, estimates={name: 1.0}))
    assert graph.nodes() == [plain_id(name), "other"]


def test_braces_balance_outside_of_strings() -> None:
    import re

    text = re.sub(r'"(?:[^"\\]|\\.)*"', "", to_dot(model("equal_loadings")))
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0


def test_estimates_stand_below_names_and_in_arrows() -> None:
    graph = parsed(to_dot(model("radon"), estimates=RADON_FIT))
    assert "1.47 (0.0379)" in graph.get_node("g0").attr["label"]
    assert "0.758" in graph.get_node("sigma").attr["label"]
    carrier = "`floor` → `log_radon`"
    assert "<I>β</I> = −0.668" in graph.get_node(carrier).attr["label"]
    assert graph.has_edge("floor", carrier)
    assert graph.has_edge(carrier, "log_radon")
    assert not graph.has_edge("floor", "log_radon")
    assert graph.has_edge("g0", "alpha")


def test_estimates_come_from_a_table_or_a_fit_too() -> None:
    table = pd.DataFrame(
        {
            "name": ["g0", "g1", "beta", "sigma", "alpha[AITKIN]"],
            "estimate": [1.4657, 0.7202, -0.6682, 0.7585, 1.0],
            "se": [0.0379, 0.0918, 0.0688, float("nan"), 0.1],
        }
    )

    class Fit:
        estimates = table

    expected = to_dot(model("radon"), estimates=RADON_FIT)
    assert to_dot(model("radon"), estimates=table) == expected
    assert to_dot(model("radon"), estimates=Fit()) == expected


def test_wrong_estimates_are_all_told_at_once() -> None:
    with pytest.raises(ModelErrors) as caught:
        to_dot(model("radon"), estimates={"bta": 1.0, "sigma": "large", "g0": (1, 2, 3)})
    told = {error.node: error for error in caught.value.exceptions}
    assert set(told) == {"bta", "sigma", "g0"}
    assert told["bta"].hint == "did you mean 'beta'?"
    with pytest.raises(ModelErrors) as caught:
        to_dot(model("radon"), estimates=pd.DataFrame({"name": ["g0"]}))
    assert "no column 'estimate'" in str(caught.value)


def test_unknown_styles_are_told_with_the_known_ones() -> None:
    with pytest.raises(ModelErrors) as caught:
        to_dot(model("radon"), style="sme", show="all")
    assert 'style \'sme\' is not known (use "bayes" or "bn" or "sem")' in str(caught.value)
    assert 'show \'all\' is not known (use "names" or "distributions")' in str(caught.value)


def test_the_bn_style_shows_states_and_probabilities() -> None:
    graph = parsed(to_dot(model("asia"), style="bn"))
    label = graph.get_node("asia").attr["label"]
    assert label.index(">yes<") < label.index(">1%<") < label.index(">no<") < label.index(">99%<")
    assert "%" not in graph.get_node("dysp").attr["label"]
    answer = {"dysp": {"yes": 0.4359, "no": 0.5641}}
    queried = parsed(to_dot(model("asia"), style="bn", estimates=answer))
    assert ">43.6%<" in queried.get_node("dysp").attr["label"]
    # other nodes are drawn as in the other style
    assert attribute(to_dot(model("hmm"), style="bn"), "mu", "shape") == "ellipse"


def test_a_covariance_of_its_own_name_runs_through_that_node() -> None:
    graph = parsed(to_dot(model("cfa3")))
    directions = {tuple(e): e.attr["dir"] for e in graph.edges()}
    assert ("c_vt", "visual") in directions
    assert ("c_vt", "textual") in directions
    assert "both" not in directions.values()
    joint = parsed(to_dot(read(JOINT)))
    assert joint.get_edge("c", "d").attr["dir"] == "both"


def test_distributions_are_written_in_short_lines() -> None:
    text = to_dot(model("radon"), show="distributions")
    label = attribute(text, "log_radon", "label")
    assert "~ Normal(<I>α</I> + <I>β</I>·floor, <I>σ</I>)" in label
    assert "&gt; 0" in attribute(to_dot(model("cfa3"), show="distributions"), "e1", "label")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.glob("*.dot"):
        old.unlink()
    for name, text in golden().items():
        (GOLDEN / f"{name}.dot").write_text(text, encoding="utf-8")
