"""The picture of a graph as text of the DOT language, written in a fixed order by ourselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, Node
from dagmodels.render import states
from dagmodels.render.boxes import Box, Key, boxes
from dagmodels.render.describe import described
from dagmodels.render.edges import Edge, edges
from dagmodels.render.estimates import Estimate, Shown, read_estimates
from dagmodels.render.labels import SMALL, SMALLER, Symbol, as_html, escape, identifier, plain, symbols
from dagmodels.render.layout import Hint, hints, middle_of_arcs
from dagmodels.render.markup import (
    COVARIANCE,
    PLATE,
    ROLES,
    Html,
    arrow,
    beside,
    bracketed,
    edge_colours,
    opening,
    stacked,
    title_label,
)
from dagmodels.render.path_dot import path_dot
from dagmodels.render.path_sources import PathOptions

STYLES = ("bayes", "bn", "sem")
SHOWS = ("names", "distributions")


def to_dot(
    dag: Dag,
    style: str = "bayes",
    sizes: Mapping[str, int] | None = None,
    estimates: Any = None,
    show: str = "names",
) -> str:
    """The picture as DOT text; equal input gives equal text.

    Parameters
    ----------
    dag : the model.
    style : "bayes": latent nodes are ellipses, observed ones shaded, deterministic ones double,
        parameters dashed, covariates rounded boxes, constants boxes, plates labelled boxes.
        "bn": a node whose values lie in a plate with stated levels is a table of its states, with
        their probabilities where the model or `estimates` has them.
        "sem": the path diagram of one unit, see `path_dot`.
    sizes : number of elements by plate, written behind the plate's name.
    estimates : see `read_estimates`; parameter nodes get theirs below the name, and so do the
        arrows they multiply.
    show : "names", or "distributions" to write what each node is distributed as or equal to.

    Raises
    ------
    ModelErrors
        for an unknown style or `show`, and for estimates of unknown nodes.
    """
    if style == "sem":
        return path_dot(dag, estimates, PathOptions("names" if estimates is None else "estimates"))
    _check_choices(style, show)
    shown = read_estimates(dag, estimates)
    writer = _Writer(dag, style, sizes, shown, show)
    body = [*writer.box(writer.boxes, 1), *writer.arrows(), *writer.covariances()]
    return "\n".join([*opening(dag.name), *body, "}"]) + "\n"


def _check_choices(style: str, show: str) -> None:
    problems = []
    for word, value, known in (("style", style, STYLES), ("show", show, SHOWS)):
        if value not in known:
            choices = " or ".join(f'"{k}"' for k in known)
            problems.append(ModelError(f"{word} '{value}' is not known", hint=f"use {choices}"))
    raise_all(problems, "the picture")


class _Writer:
    """Lines of one picture; holds what all of them need and changes nothing but its box counter."""

    def __init__(
        self, dag: Dag, style: str, sizes: Mapping[str, int] | None, shown: Shown, show: str
    ) -> None:
        self.dag = dag
        self.style = style
        self.shown = shown
        self.show = show
        self.boxes = boxes(dag, sizes)
        self.arrows_drawn = edges(dag)
        carrying = {e.parent for e in self.arrows_drawn if self._is_estimated(e)}
        self.hints = hints(dag, self.boxes, self.arrows_drawn, carrying)
        self.middles = middle_of_arcs(dag, self.arrows_drawn)
        self.symbols: dict[str, Symbol] = symbols(list(dag.nodes))
        self.carried = self._carried()
        self.clusters = 0

    # -- nodes in their boxes -----------------------------------------------------------------

    def box(self, box: Box, depth: int) -> Iterable[str]:
        """Nodes and boxes inside a box; the whole model's has no frame."""
        if not box.plates:
            yield from self._inside(box, depth)
            return
        title = title_label(box)
        attributes = {
            "label": title,
            "labelloc": "t" if self._only_feeds(box) else "b",
            "labeljust": "r",
            "style": "rounded",
            "color": PLATE,
            "fontcolor": "#404040",
            "margin": "10",
        }
        yield from self._cluster(attributes, depth, lambda inner: self._inside(box, inner))

    def _only_feeds(self, box: Box) -> bool:
        """Arrows leave the box and none enters: its title is best above, out of their way."""
        members = set(box.members())
        leaves = any(e.parent in members and e.child not in members for e in self.arrows_drawn)
        enters = any(e.child in members and e.parent not in members for e in self.arrows_drawn)
        return leaves and not enters

    def _inside(self, box: Box, depth: int) -> Iterable[str]:
        grouped = {name for _, names in box.joints for name in names}
        for name in box.nodes:
            if name not in grouped:
                yield self._node(self.dag.nodes[name], depth)
        for family, names in box.joints:
            attributes = {
                "label": family,
                "labelloc": "t",
                "labeljust": "l",
                "style": "rounded,dotted",
                "color": COVARIANCE,
                "fontcolor": COVARIANCE,
                "fontsize": str(SMALL),
                "margin": "6",
            }
            yield from self._cluster(
                attributes,
                depth,
                lambda inner, names=names: [self._node(self.dag.nodes[n], inner) for n in names],
            )
        for edge in self.carried.get(box.plates, ()):
            label = Html(beside(self._edge_label(edge)))
            attributes = {"shape": "plain", "fontsize": str(SMALL), "label": label, **edge_colours(edge)}
            yield f"{'  ' * depth}{identifier(self._carrier(edge))} {bracketed(attributes)};"
        for inner in box.boxes:
            yield from self.box(inner, depth)

    def _cluster(self, attributes: Mapping[str, str], depth: int, inside: Any) -> Iterable[str]:
        pad = "  " * depth
        yield f'{pad}subgraph "cluster_{self.clusters}" {{'
        self.clusters += 1
        yield f"{pad}  graph {bracketed(attributes)};"
        yield from inside(depth + 1)
        yield f"{pad}}}"

    def _node(self, node: Node, depth: int) -> str:
        attributes = dict(ROLES[node.role])
        if node.name in self.middles:
            attributes["color"] = COVARIANCE
        table = states.table(self.dag, node, self.shown) if self.style == "bn" else None
        if table is not None:
            shading = attributes.get("fillcolor", "#ffffff")
            name = as_html(self.symbols[node.name])
            attributes = {"shape": "plain", "label": Html(states.html_table(name, table, shading))}
        else:
            attributes["label"] = self._label(node)
        return f"{'  ' * depth}{identifier(node.name)} {bracketed(attributes)};"

    def _label(self, node: Node) -> str:
        shown = self.symbols[node.name]
        lines = []
        if self.show == "distributions":
            lines += described(node, self.symbols)
        estimate = self.shown.estimates.get(node.name)
        if estimate is not None and node.kind != "covariate":
            lines.append(escape(str(estimate)))
        if not lines and not (shown.letter or shown.subscript):
            return plain(shown.base)  # a plain string: viewers centre it whatever font they have
        name = as_html(shown)
        return Html(stacked([name, *lines]) if lines else name)

    # -- arrows -------------------------------------------------------------------------------

    def arrows(self) -> Iterable[str]:
        """One line an arrow."""
        place = {name: i for i, name in enumerate(self.dag.order)}
        carried = {edge for group in self.carried.values() for edge in group}
        for edge in self.arrows_drawn:
            hint = self.hints.get((edge.parent, edge.child), Hint())
            attributes = dict(edge_colours(edge))
            if edge.lags or edge.covariance:
                attributes["style"] = "dashed"
            if hint.rows > 1:
                attributes["minlen"] = str(hint.rows)
            if edge.lags and place[edge.parent] > place[edge.child]:
                attributes["constraint"] = "false"
            if edge in carried:
                carrier = self._carrier(edge)
                attributes.pop("minlen", None)  # the node in the middle makes it two rows
                yield arrow(edge.parent, carrier, {**attributes, "dir": "none"})
                yield arrow(carrier, edge.child, attributes)
                continue
            if label := self._edge_label(edge):
                attributes["label"] = Html(beside(label))
            if hint.below:  # written from the child, so that Graphviz puts the parent below it
                yield arrow(edge.child, edge.parent, {**attributes, "dir": "back"})
            else:
                yield arrow(edge.parent, edge.child, attributes)

    def _carried(self) -> Mapping[Key, list[Edge]]:
        """Arrows whose estimate stands in their middle, as a node without frame, by its box.

        Graphviz lets labels of arrows overlap boxes and other arrows, which it never does with nodes.
        """
        around = {name: path for path, name in _paths(self.boxes, ())}
        found: dict[Key, list[Edge]] = {}
        for edge in self.arrows_drawn:
            below = self.hints.get((edge.parent, edge.child), Hint()).below
            if self._is_estimated(edge) and not below:
                both = zip(around[edge.parent], around[edge.child], strict=False)
                shared = [a for a, b in both if a == b]
                found.setdefault(shared[-1] if shared else (), []).append(edge)
        return found

    def _is_estimated(self, edge: Edge) -> bool:
        return edge.coefficient in self.shown.estimates and edge.parent != edge.child

    def _carrier(self, edge: Edge) -> str:
        """Identifier of the node that stands in an arrow; backquotes make it no name of a model."""
        return f"`{edge.parent}` → `{edge.child}`{' ' + edge.lags if edge.lags else ''}"

    def _edge_label(self, edge: Edge) -> list[str]:
        lines = [escape(edge.lags)] if edge.lags else []
        estimate = self.shown.estimates.get(edge.coefficient) if edge.coefficient else None
        if edge.coefficient and estimate is not None:
            lines += self._equation(edge.coefficient, estimate)
        return lines

    def _equation(self, name: str, estimate: Estimate) -> list[str]:
        """`β = −0.668` and below it the standard error in brackets."""
        value, *error = str(estimate).split(" ")
        return [f"{as_html(self.symbols[name], SMALLER)} = {escape(value)}", *map(escape, error)]

    def covariances(self) -> Iterable[str]:
        """Double-headed arcs in their own colour, which do not take part in the ranking."""
        for covariance in self.dag.covariances:
            left, right = covariance.left.name, covariance.right.name
            if getattr(covariance.expression, "name", None) in self.middles:
                continue  # two arrows from the node in the middle make the arc
            side = "s" if not self.dag.children[left] and not self.dag.children[right] else "n"
            attributes = {
                "dir": "both",
                "style": "dashed",
                "color": COVARIANCE,
                "fontcolor": COVARIANCE,
                "constraint": "false",
                "tailport": side,
                "headport": side,
            }
            if isinstance(covariance.expression, ex.Reference):
                name = covariance.expression.name
                estimate = self.shown.estimates.get(name)
                lines = (
                    [as_html(self.symbols[name], SMALLER)]
                    if estimate is None
                    else self._equation(name, estimate)
                )
                attributes["label"] = Html(beside(lines))
            yield arrow(left, right, attributes)


def _paths(box: Box, outer: tuple[Key, ...]) -> Iterable[tuple[tuple[Key, ...], str]]:
    """Every node with the boxes around it, outermost first."""
    around = (*outer, box.plates) if box.plates else outer
    yield from ((around, name) for name in box.nodes)
    for inner in box.boxes:
        yield from _paths(inner, around)
