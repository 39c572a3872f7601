"""Levels that the model names (`beta["control"]`, `x == "yes"`) must be among those of the data."""

from __future__ import annotations

from collections.abc import Iterator

from dagmodels.bind.claims import Work
from dagmodels.bind.sources import suggest
from dagmodels.data.levels import canonical
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, expressions, remembered
from dagmodels.graph.statement import Deterministic, Rows, Stochastic


@remembered
def named_levels(dag: Dag) -> dict[str, dict[object, str]]:
    """For each base plate the labels that statements name, with the node that does."""
    found: dict[str, dict[object, str]] = {}
    for plate, label, node in _all_named(dag):
        found.setdefault(dag.base(plate), {}).setdefault(canonical(label), node)
    return found


def _all_named(dag: Dag) -> Iterator[tuple[str, ex.Label, str]]:
    for statement in dag.statements:
        told = ""
        if isinstance(statement, Stochastic | Deterministic):
            told = statement.head.name
            for slot in statement.head.slots:
                if slot.label is not None and slot.plate is not None:
                    yield slot.plate, slot.label, told
            yield from _in_table(dag, statement)
        for tree in expressions(statement):
            for part in ex.walk(tree):
                yield from _in_tree(dag, part, told)


def _in_table(dag: Dag, statement: Stochastic | Deterministic) -> Iterator[tuple[str, ex.Label, str]]:
    """The states of its parents that a table has rows for."""
    if not isinstance(statement, Stochastic) or statement.distribution.family != "Table":
        return
    rows = statement.distribution.argument("rows")
    parents = [v for k, v in statement.distribution.arguments if k != "rows"]
    plates = [dag.nodes[p.name].values_in for p in parents if isinstance(p, ex.Reference)]
    for row in rows.rows if isinstance(rows, Rows) else ():
        for plate, label in zip(plates, row.labels, strict=True):
            if plate is not None:
                yield plate, label, statement.head.name


def _in_tree(dag: Dag, part: ex.Expression, told: str) -> Iterator[tuple[str, ex.Label, str]]:
    match part:
        case ex.Reference(name, indices) if indices and name in dag.nodes:
            for plate, index in zip(dag.nodes[name].plates, indices, strict=False):
                if isinstance(index, ex.LevelIndex):
                    yield plate, index.label, told or name
        case ex.Binary(_, ex.Reference(name), ex.Text(label)) | ex.Binary(
            _, ex.Text(label), ex.Reference(name)
        ):
            node = dag.nodes.get(name)
            plate = node.values_in if node is not None else name
            if plate is not None and plate in dag.plate:
                yield plate, label, told or name
        case _:
            return


def check_named(work: Work) -> None:
    """Complain of levels that the model names and no element has."""
    for plate, labels in named_levels(work.dag).items():
        if plate in work.failed or plate not in work.plates:
            continue
        levels = set(map(canonical, work.plates[plate].levels))
        for label, node in labels.items():
            if label not in levels:
                hint = suggest(str(label), map(str, levels), f"sizes={{'{plate}': [...]}} names levels")
                work.complain(
                    f"{node!r} names the level {label!r}, which plate {plate!r} does not have", node, hint
                )
