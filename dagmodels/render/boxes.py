"""Plates as boxes: which box a node sits in, which box that lies in, and the boxes' titles.

Boxes of a drawing nest and never overlap, but plates may cross.  Three rules keep it truthful:
a plate in one other plate is a box inside that one's; a node on several plates sits in a box of its
own, titled `student × item`; a plate in several plates is a box titled `rating in student, item`.
What nesting cannot show is said in a second line, in the words of the language (`pupil in school`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Joint

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """One drawn box.

    plates : what it stands for; one plate, several where they cross, none for the whole model.
    title, note : first and second line of its label.
    nodes : names of the nodes directly in it, in the order of the model.
    joints : groups of those nodes that one statement gives a joint distribution, with its family.
    boxes : boxes inside it.
    """

    plates: Key
    title: str
    note: str
    nodes: tuple[str, ...]
    joints: tuple[tuple[str, tuple[str, ...]], ...]
    boxes: tuple[Box, ...]

    def members(self) -> Iterator[str]:
        """Names of all nodes in it, those of inner boxes included."""
        yield from self.nodes
        for inner in self.boxes:
            yield from inner.members()


def boxes(dag: Dag, sizes: Mapping[str, int] | None = None) -> Box:
    """The model as nested boxes; plates without nodes are left out.

    Parameters
    ----------
    dag : the model.
    sizes : number of elements by plate; stated levels are counted where it does not say.
    """
    members: dict[Key, list[str]] = {}
    inside: dict[Key, list[Key]] = {(): []}
    for name, node in dag.nodes.items():
        path = _path(dag, node.plates)
        members.setdefault(path[-1] if path else (), []).append(name)
        for outer, inner in zip([(), *path], path, strict=False):
            children = inside.setdefault(outer, [])
            inside.setdefault(inner, [])
            if inner not in children:
                children.append(inner)
    return _box(dag, sizes or {}, (), (), members, inside)


def _box(
    dag: Dag,
    sizes: Mapping[str, int],
    key: Key,
    outer: Key,
    members: Mapping[Key, list[str]],
    inside: Mapping[Key, list[Key]],
) -> Box:
    nodes = tuple(members.get(key, ()))
    around = outer + (key if len(key) == 1 else ())
    return Box(
        plates=key,
        title=_title(dag, sizes, key),
        note=_note(dag, key, outer),
        nodes=nodes,
        joints=_joints(dag, nodes),
        boxes=tuple(_box(dag, sizes, inner, around, members, inside) for inner in inside[key]),
    )


def _path(dag: Dag, plates: Key) -> list[Key]:
    """Boxes around a node on these plates, outermost first."""
    if len(plates) == 1:
        return _plate_path(dag, dag.base(plates[0]))
    if not plates:
        return []
    declared = [p.name for p in dag.plates]
    return [*_common(dag, plates), tuple(sorted(plates, key=declared.index))]


def _plate_path(dag: Dag, plate: str) -> list[Key]:
    """Boxes around the elements of a plate, its own last."""
    parents = dag.plate[plate].parents
    if len(parents) == 1:
        return [*_plate_path(dag, dag.base(parents[0])), (plate,)]
    return [*_common(dag, parents), (plate,)]


def _common(dag: Dag, plates: Key) -> list[Key]:
    """Boxes around a crossing: those that one of the plates lies in, when only one lies in any.

    A pupil and a wave lie in one school, the pupil's; a pupil and an item lie in a school and in a
    factor, which cannot be drawn around the same box and are named in its note.
    """
    around = [outer for p in plates if (outer := _plate_path(dag, dag.base(p))[:-1])]
    return around[0] if len(around) == 1 else []


def _title(dag: Dag, sizes: Mapping[str, int], key: Key) -> str:
    if len(key) == 1:
        parents = dag.plate[key[0]].parents
        name = key[0] + (f" in {', '.join(parents)}" if len(parents) > 1 else "")
        return _sized(dag, sizes, key[0], name)
    return " × ".join(_sized(dag, sizes, p, p) for p in key)


def _sized(dag: Dag, sizes: Mapping[str, int], plate: str, shown: str) -> str:
    base = dag.base(plate)
    size = sizes.get(plate, sizes.get(base))
    levels = dag.plate[base].levels
    if size is None and levels is not None:
        size = len(levels)
    return shown if size is None else f"{shown} ({size})"


def _note(dag: Dag, key: Key, outer: Key) -> str:
    """Memberships and aliases that the box's place does not show."""
    parents = dag.plate[key[0]].parents if len(key) == 1 else ()
    concerned = key if len(key) > 1 else parents if len(parents) > 1 else ()
    said = []
    for plate in concerned:
        base = dag.base(plate)
        if plate != base:
            said.append(f"{plate} as {base}")
        above = [p for p in dag.plate[base].parents if dag.base(p) not in outer]
        if above:
            said.append(f"{base} in {', '.join(above)}")
    return ", ".join(dict.fromkeys(said))


def _joints(dag: Dag, nodes: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Groups of nodes under one joint statement; a node goes with the first that names it."""
    free = set(nodes)
    found = []
    for statement in dag.statements:
        if isinstance(statement, Joint) and free.issuperset(statement.names):
            free -= set(statement.names)
            found.append((statement.distribution.family, statement.names))
    return tuple(found)
