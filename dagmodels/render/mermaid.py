"""The picture of a graph as a Mermaid flowchart, which README pages and notebooks show by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.render.boxes import Box, boxes
from dagmodels.render.edges import edges
from dagmodels.render.estimates import read_estimates
from dagmodels.render.labels import as_text, symbols

# Opening and closing brackets of each role's shape.
_SHAPES: Mapping[str, tuple[str, str]] = {
    "latent": ("([", "])"),
    "observed": ("([", "])"),
    "deterministic": ("(((", ")))"),
    "parameter": ("([", "])"),
    "covariate": ("(", ")"),
    "constant": ("[", "]"),
}
_CLASSES: Mapping[str, str] = {
    "latent": "fill:#fff,stroke:#000,color:#000",
    "observed": "fill:#d3d3d3,stroke:#000,color:#000",
    "deterministic": "fill:#fff,stroke:#000,color:#000",
    "parameter": "fill:#fff,stroke:#000,color:#000,stroke-dasharray:4 3",
    "covariate": "fill:#ececec,stroke:#000,color:#000",
    "constant": "fill:#ececec,stroke:#000,color:#000",
}


def to_mermaid(dag: Dag, sizes: Mapping[str, int] | None = None, estimates: Any = None) -> str:
    """A Mermaid flowchart with a subgraph for each plate; equal input gives equal text.

    Nodes are numbered (`n0`, `n1`, ...) because Mermaid's identifiers may hold few characters and
    no word of its own; names stand in the quoted labels.
    """
    shown = read_estimates(dag, estimates)
    identity = {name: f"n{i}" for i, name in enumerate(dag.nodes)}
    labels = {name: as_text(s) for name, s in symbols(list(dag.nodes)).items()}

    def node(name: str) -> str:
        role = dag.nodes[name].role
        estimate = shown.estimates.get(name)
        label = _escape(labels[name]) + (f"<br/>{_escape(str(estimate))}" if estimate is not None else "")
        opening, closing = _SHAPES[role]
        return f'{identity[name]}{opening}"{label}"{closing}:::{role}'

    lines = ["flowchart TB"]
    lines += _box(boxes(dag, sizes), 1, iter(range(len(dag.nodes) + len(dag.plates) + 1)), node)
    for edge in edges(dag):
        label = _escape(edge.lags)
        estimate = shown.estimates.get(edge.coefficient) if edge.coefficient else None
        if edge.coefficient and estimate is not None:
            label += "<br/>" * bool(label) + _escape(f"{labels[edge.coefficient]} = {estimate}")
        arrow = "-.->" if edge.lags else "-->"
        lines.append(_link(identity[edge.parent], arrow, identity[edge.child], label))
    for covariance in dag.covariances:
        tree = covariance.expression
        label = _escape(labels.get(tree.name, tree.name)) if isinstance(tree, ex.Reference) else ""
        lines.append(_link(identity[covariance.left.name], "<-.->", identity[covariance.right.name], label))
    roles = dict.fromkeys(node.role for node in dag.nodes.values())
    lines += [f"  classDef {role} {_CLASSES[role]}" for role in roles]
    return "\n".join(lines) + "\n"


def _box(box: Box, depth: int, counter: Any, node: Any) -> Iterable[str]:
    pad = "  " * depth
    if not box.plates:
        yield from (f"{pad}{node(name)}" for name in box.nodes)
        for inner in box.boxes:
            yield from _box(inner, depth, counter, node)
        return
    title = _escape(box.title) + (f"<br/>{_escape(box.note)}" if box.note else "")
    yield f'{pad}subgraph p{next(counter)}["{title}"]'
    yield from (f"{pad}  {node(name)}" for name in box.nodes)
    for inner in box.boxes:
        yield from _box(inner, depth + 1, counter, node)
    yield f"{pad}end"


def _link(tail: str, arrow: str, head: str, label: str) -> str:
    return f'  {tail} {arrow}|"{label}"| {head}' if label else f"  {tail} {arrow} {head}"


def _escape(text: str) -> str:
    """Text inside Mermaid's quotes: what it or HTML would read as syntax becomes a numbered entity."""
    return "".join(f"#{ord(c)};" if c in '"#&<>`\\;' or ord(c) < 32 else c for c in text)
