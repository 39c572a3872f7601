"""Mermaid text: what a reader of flowcharts needs, checked line by line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from render_models import JOINT, NAMES, ODD_NAMES, dags, model

from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Parameter
from dagmodels.readers import read
from dagmodels.render import to_mermaid
from dagmodels.render.boxes import Box, boxes
from dagmodels.render.edges import edges

# Quoted labels hold no quote, no angle bracket except of <br/>, and `#` and `;` only as entities.
_LABEL = r'"(?:[^"#;<>&`\\]|#\d+;|<br/>)*"'
_SHAPE = rf"(?:\(\[{_LABEL}\]\)|\(\(\({_LABEL}\)\)\)|\({_LABEL}\)|\[{_LABEL}\])"
_NODE = re.compile(rf"\s+(n\d+){_SHAPE}:::(\w+)")
_LINK = re.compile(rf"  (n\d+) (-->|-\.->|<-\.->)(?:\|{_LABEL}\|)? (n\d+)")
_OPEN = re.compile(rf"\s+subgraph p\d+\[{_LABEL}\]")
_CLASS = re.compile(r"  classDef (\w+) [\w:#,\- ]+")


def check(dag: Dag, text: str) -> None:
    lines = text.splitlines()
    assert lines[0] == "flowchart TB"
    depth = opened = 0
    nodes, links, arcs, used, defined = [], [], 0, set(), set()
    for line in lines[1:]:
        if match := _NODE.fullmatch(line):
            nodes.append(match[1])
            used.add(match[2])
        elif match := _LINK.fullmatch(line):
            arcs += match[2] == "<-.->"
            if match[2] != "<-.->":
                links.append((match[1], match[3]))
        elif _OPEN.fullmatch(line):
            depth, opened = depth + 1, opened + 1
        elif match := _CLASS.fullmatch(line):
            defined.add(match[1])
        else:
            assert line.strip() == "end", line
            depth -= 1
            assert depth >= 0
    assert depth == 0
    order = {name: f"n{i}" for i, name in enumerate(dag.nodes)}
    assert sorted(nodes) == sorted(order.values())
    assert sorted(links) == sorted((order[e.parent], order[e.child]) for e in edges(dag))
    assert arcs == len(dag.covariances)
    assert opened == _count(boxes(dag))
    assert used == defined


def _count(box: Box) -> int:
    return bool(box.plates) + sum(map(_count, box.boxes))


@pytest.mark.parametrize("name", NAMES)
def test_the_classical_models(name: str) -> None:
    check(model(name), to_mermaid(model(name)))


@given(dags())
def test_any_model(dag: Dag) -> None:
    check(dag, to_mermaid(dag))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(name: str) -> None:
    dag = Dag("m", (), (Parameter(name),))
    check(dag, to_mermaid(dag, estimates={name: (1.0, 0.5)}))


def test_labels_estimates_and_kinds_of_arrows() -> None:
    text = to_mermaid(model("radon"), sizes={"county": 85}, estimates={"beta": (-0.668, 0.0688)})
    assert 'subgraph p0["county (85)"]' in text
    assert '(["β<br/>−0.668 (0.0688)"]):::latent' in text
    assert '-->|"β = −0.668 (0.0688)"|' in text
    assert '-.->|"t−1"|' in to_mermaid(read(JOINT))
