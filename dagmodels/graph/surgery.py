"""Interventions: a node held at a value by force, which cuts the arrows into it (Pearl 2009, section 3.2)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.build import build
from dagmodels.graph.dag import Dag, Node, defines

WHERE = "an intervention"


def do(dag: Dag, values: Mapping[str, object]) -> Dag:
    """The graph in which nodes are set to values.

    A node with states gets a Table (or Bernoulli) that is sure of one, any other becomes a number; residual
    covariances with it go, too. What depends on it stays as it is.

    Raises
    ------
    ModelErrors : names that are no nodes with a law, values that a node cannot have.
    """
    faults: list[ModelError] = []
    laws: dict[str, st.Statement] = {}
    for name, value in values.items():
        try:
            laws[name] = _held(dag, name, value)
        except ModelError as error:
            faults.append(error)
    raise_all(faults, WHERE)
    kept = [s for s in dag.statements if not set(defines(s)) & set(laws)]
    return build(
        dag.name, dag.plates, (*kept, *laws.values()), dag.data_file, dag.source, remarks=dag.remarks
    )


def _held(dag: Dag, name: object, value: object) -> st.Statement:
    """The statement that holds a node at a value."""
    node = dag.nodes.get(name) if isinstance(name, str) else None
    if node is None:
        near = difflib.get_close_matches(str(name), dag.nodes, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "name a node of the model"
        raise ModelError(f"'{name}' is no node", node=str(name), hint=hint)
    if node.kind not in ("stochastic", "deterministic"):
        told = f"'{node.name}' is a {node.kind}: nothing acts on it"
        raise ModelError(told, node=node.name, hint="give another value instead")
    if any(isinstance(s, st.Joint) for s in node.statements):
        told = f"'{node.name}' shares its law with other nodes"
        raise ModelError(told, node=node.name, hint="state their laws one by one")
    head = st.Head(node.name, tuple(st.Slot(p) for p in node.plates))
    if node.values_in is not None:
        return st.Stochastic(head, _sure(dag, node, value), values_in=node.values_in)
    number = _number(node, value)
    first = node.statements[0]
    if isinstance(first, st.Stochastic) and first.distribution.family == "Bernoulli":
        if number not in (0, 1):
            raise ModelError(f"'{node.name}' is 0 or 1, not {value!r}", node=node.name)
        return st.Stochastic(head, st.Distribution("Bernoulli", (("p", ex.Number(int(number))),)))
    return st.Deterministic(head, ex.as_expression(number))


def _number(node: Node, value: object) -> int | float:
    plain = value.item() if hasattr(value, "item") else value  # type: ignore[attr-defined]
    if isinstance(plain, bool):
        plain = int(plain)
    if not isinstance(plain, int | float) or plain != plain or plain in (float("inf"), float("-inf")):
        raise ModelError(f"'{node.name}' is set to {value!r}", node=node.name, hint="give a number")
    return plain


def _sure(dag: Dag, node: Node, value: object) -> st.Distribution:
    """A Table that is sure of one state."""
    levels = dag.plate[dag.base(str(node.values_in))].levels
    if levels is None:
        told = f"plate '{node.values_in}', in which '{node.name}' has its values, states no levels"
        raise ModelError(told, node=node.name, hint="state them in the model")
    at = next((k for k, level in enumerate(levels) if level == value), None)
    if at is None:
        at = next((k for k, level in enumerate(levels) if str(level) == str(value)), None)
    if at is None:
        near = difflib.get_close_matches(str(value), map(str, levels), n=1)
        hint = f"did you mean '{near[0]}'?" if near else "its states are " + ", ".join(map(str, levels[:8]))
        raise ModelError(f"'{value}' is no state of '{node.name}'", node=node.name, hint=hint)
    entries = ex.Vector(tuple(ex.Number(int(k == at)) for k in range(len(levels))))
    return st.Distribution("Table", (("rows", entries),))
