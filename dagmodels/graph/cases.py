"""A network of single nodes as one of many cases, and back: nodes get, or lose, the plate of the cases."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.graph.plate import Plate

CASE = "case"
Change = Callable[[ex.Expression], ex.Expression]


def is_single(dag: Dag) -> bool:
    """Whether every stochastic node is single and discrete, so that data in rows can only be cases."""
    nodes = [n for n in dag.nodes.values() if n.kind == "stochastic"]
    return bool(nodes) and all(
        not n.plates
        and len(n.statements) == 1
        and isinstance(s := n.statements[0], st.Stochastic)
        and (n.values_in is not None or s.distribution.family == "Bernoulli")
        for n in nodes
    )


def case_plate(dag: Dag) -> str:
    """The name that the plate of the cases of a network gets."""
    plate = CASE
    while plate in dag.plate or plate in dag.nodes:
        plate += "_"
    return plate


def on_cases(dag: Dag, observed: Collection[str]) -> Dag:
    """The network with every node in a plate of cases; the nodes named are observed.

    What depends on no stochastic node stays single.
    """
    plate = case_plate(dag)
    inside = {n for n, node in dag.nodes.items() if node.kind == "stochastic"}
    for name in dag.order:
        if dag.nodes[name].kind == "deterministic" and inside & set(dag.parents[name]):
            inside.add(name)
    index = ex.PlateIndex(plate)

    def change(tree: ex.Expression) -> ex.Expression:
        if isinstance(tree, ex.Reference) and tree.name in inside:
            return ex.Reference(tree.name, (index, *(tree.indices or ())))
        return tree

    statements: list[st.Statement] = []
    for statement in dag.statements:
        if isinstance(statement, st.Stochastic | st.Deterministic) and statement.head.name in inside:
            head = st.Head(statement.head.name, (st.Slot(plate), *statement.head.slots))
            statement = replace(statement, head=head)
        if isinstance(statement, st.Stochastic):
            statement = replace(statement, observed=statement.head.name in observed)
        statements.append(_changed(statement, change))
    return Dag(
        dag.name, (*dag.plates, Plate(plate)), tuple(statements), dag.data_file, dag.source, dag.remarks
    )


def off_cases(dag: Dag, plate: str, levels: Mapping[str, Iterable[ex.Label]]) -> Dag:
    """The network of one case. levels : of the plates of states, where only the data tell them."""

    def change(tree: ex.Expression) -> ex.Expression:
        if isinstance(tree, ex.Reference) and tree.indices:
            kept = tuple(i for i in tree.indices if i != ex.PlateIndex(plate))
            return ex.Reference(tree.name, kept)
        return tree

    statements: list[st.Statement] = []
    for statement in dag.statements:
        if isinstance(statement, st.Stochastic | st.Deterministic):
            slots = tuple(s for s in statement.head.slots if s != st.Slot(plate))
            statement = replace(statement, head=st.Head(statement.head.name, slots))
        if isinstance(statement, st.Stochastic):
            statement = replace(statement, observed=False)
        statements.append(_changed(statement, change))
    plates = (replace(p, levels=tuple(levels[p.name])) if p.name in levels else p for p in dag.plates)
    kept = tuple(p for p in plates if p.name != plate)
    return Dag(dag.name, kept, tuple(statements), dag.data_file, dag.source, dag.remarks)


def _changed(statement: st.Statement, change: Change) -> st.Statement:
    match statement:
        case st.Stochastic(distribution=law):
            return replace(statement, distribution=_law(law, change))
        case st.Deterministic(expression=tree):
            return replace(statement, expression=ex.rebuild(tree, change))
        case _:
            return statement


def _law(law: st.Distribution, change: Change) -> st.Distribution:
    return replace(law, arguments=tuple((key, _argument(value, change)) for key, value in law.arguments))


def _argument(value: st.Argument, change: Change) -> st.Argument:
    match value:
        case st.Distribution():
            return _law(value, change)
        case st.Rows():
            return value  # numbers, and names that lie in no plate of cases
        case tuple():
            return tuple(_law(v, change) for v in value)
        case _:
            return ex.rebuild(value, change)
