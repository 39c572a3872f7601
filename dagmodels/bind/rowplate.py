"""What one row of a frame is: an element of a plate, or a cell of several."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dagmodels.data.levels import canonical
from dagmodels.graph.dag import Dag, Node, remembered


@dataclass(frozen=True, slots=True)
class Wide:
    """A node spread over columns of its own frame, one a level of one of its plates.

    plate : the plate whose levels name the columns.
    columns : column name by canonical level.
    """

    plate: str
    columns: Mapping[object, str]


@dataclass(frozen=True, slots=True)
class RowPlate:
    """The answer for one frame.

    plate : the plate whose elements the rows are, None where every plate has its level column.
    innermost : used plates that no other used plate lies in; together they say which cell a row is.
    because : what is missing, as a sentence, where the rows are not determined.
    """

    plate: str | None
    innermost: tuple[str, ...] = ()
    because: str | None = None
    needs: str | None = None


def takes_data(node: Node) -> bool:
    """Whether data may be given for the node."""
    return node.observed or node.kind == "covariate"


def row_plate(
    dag: Dag, names: Collection[str], *, wide: Mapping[str, Wide], tag: str | None = None
) -> RowPlate:
    """Find the plate that a frame's rows are elements of.

    It is the plate that no other used plate lies inside and that holds the frame's data nodes.

    Parameters
    ----------
    names : the frame's columns.
    wide : nodes that several columns of this frame hold.
    tag : the plate said by the user, which needs no search.
    """
    if tag is not None:
        return RowPlate(tag, (tag,))
    used: dict[str, None] = {}
    for name, node in dag.nodes.items():
        if takes_data(node) and (name in names or name in wide):
            spread = wide[name].plate if name in wide else None
            for plate in node.plates:
                if plate != spread:
                    used.update(dict.fromkeys(dag.lies_in(plate)))
    outer = {o for p in used for o in dag.lies_in(p)[1:]}
    innermost = tuple(p for p in used if p not in outer)
    lacking = [p for p in innermost if p not in names]
    if not lacking:
        return RowPlate(None, innermost)
    if len(innermost) == 1:
        return RowPlate(innermost[0], innermost)
    others = " and ".join(repr(p) for p in innermost if p != lacking[0])
    because = f"the rows hold values by {others} and by {lacking[0]!r}, which has no level column"
    return RowPlate(None, innermost, because, lacking[0])


@remembered
def stated_levels(dag: Dag) -> dict[str, set[object]]:
    """Canonical levels of the plates that state them."""
    return {p.name: set(map(canonical, p.levels)) for p in dag.plates if p.levels is not None}


def wide_nodes(
    dag: Dag, names: Collection[str], levels: Mapping[str, Collection[object]]
) -> tuple[dict[str, Wide], list[tuple[str, str]]]:
    """Nodes given as one column per level.

    A column is named by the level (`1`, `x3`), or by node and level (`y[1]`) where several nodes
    are spread over the same plate.

    Parameters
    ----------
    names : the frame's columns.
    levels : canonical levels of the plates that are known before the frame is read.

    Returns
    -------
    The nodes found, and pairs of nodes that claim the same columns.
    """
    by_label: dict[object, str] = {
        canonical(n): n for n in names if n not in dag.nodes and n not in dag.plate
    }
    found: dict[str, Wide] = {}
    taken: dict[str, str] = {}
    clashes: list[tuple[str, str]] = []
    for name, node in dag.nodes.items():
        if not takes_data(node) or name in names or len(node.plates) < 2:
            continue
        for plate in reversed(node.plates):
            known = levels.get(dag.base(plate), ())
            if plate in names or not known:
                continue
            columns = _named(name, known, names) or _bare(known, by_label)
            if columns:
                clash = next((taken[c] for c in columns.values() if c in taken), None)
                if clash is not None:
                    clashes.append((clash, name))
                taken.update(dict.fromkeys(columns.values(), name))
                found[name] = Wide(plate, columns)
                break
    return found, clashes


def _named(node: str, levels: Collection[object], names: Collection[str]) -> dict[object, str]:
    return {x: f"{node}[{x}]" for x in levels if f"{node}[{x}]" in names}


def _bare(levels: Collection[object], by_label: Mapping[object, str]) -> dict[object, str]:
    return {x: by_label[x] for x in levels if x in by_label}
