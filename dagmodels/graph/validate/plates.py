"""Are the plates declared well: names, parents, aliases, levels?"""

from __future__ import annotations

from collections.abc import Iterable

from dagmodels.graph.faults import Faults
from dagmodels.graph.names import is_label, is_name, label_text
from dagmodels.graph.plate import Plate


def check(plates: Iterable[Plate], faults: Faults) -> dict[str, Plate]:
    """The plates by name; of two with one name the first."""
    table: dict[str, Plate] = {}
    for plate in plates:
        if not is_name(plate.name):
            faults.add(
                f"{plate.name!r} cannot name a plate.",
                plate,
                node=str(plate.name),
                hint="use letters and digits",
            )
        if plate.name in table:
            faults.add(
                f"Plate '{plate.name}' is declared twice.",
                plate,
                node=plate.name,
                hint="remove one of the declarations, or declare an alias",
            )
        table.setdefault(plate.name, plate)
    for plate in table.values():
        _parents(plate, table, faults)
        _alias(plate, table, faults)
        _levels(plate, faults)
    _cycles(table, faults)
    return table


def _unknown(name: str, plate: Plate, table: dict[str, Plate], faults: Faults) -> None:
    near = faults.similar(name, [n for n in table if n != plate.name])
    hint = f"did you mean '{near}'?" if near else f"declare `plate {name}`"
    faults.add(f"No plate is called '{name}'.", plate, node=plate.name, hint=hint, word=name)


def _parents(plate: Plate, table: dict[str, Plate], faults: Faults) -> None:
    seen: set[str] = set()
    for parent in plate.parents:
        if parent not in table:
            _unknown(parent, plate, table, faults)
        elif parent in seen:
            faults.add(
                f"Plate '{plate.name}' lies in '{parent}' twice.",
                plate,
                node=plate.name,
                hint=f"declare two aliases of {parent}, and let it lie in those",
                word=parent,
            )
        seen.add(parent)


def _alias(plate: Plate, table: dict[str, Plate], faults: Faults) -> None:
    target = plate.alias_of
    if target is None:
        return
    if target not in table:
        _unknown(target, plate, table, faults)
    elif table[target].alias_of is not None:
        faults.add(
            f"'{plate.name}' is an alias of '{target}', which is an alias itself.",
            plate,
            node=plate.name,
            hint=f"write `plate {plate.name} as {table[target].alias_of}`",
        )
    if plate.parents or plate.levels is not None or plate.ordered:
        faults.add(
            f"The alias '{plate.name}' cannot have parents, levels or an order of its own.",
            plate,
            node=plate.name,
            hint=f"they are those of {target}",
        )


def _levels(plate: Plate, faults: Faults) -> None:
    if plate.levels is None:
        return
    if not plate.levels:
        faults.add(
            f"Plate '{plate.name}' states no level.",
            plate,
            node=plate.name,
            hint="leave the levels to the data",
        )
    seen: set[object] = set()
    for label in plate.levels:
        if not is_label(label):
            faults.add(
                f"{label!r} is no level of plate '{plate.name}'.",
                plate,
                node=plate.name,
                hint="levels are text or whole numbers",
            )
        elif label in seen:
            faults.add(
                f"Plate '{plate.name}' states the level {label_text(label)} twice.",
                plate,
                node=plate.name,
                hint="state every level once",
            )
        seen.add(label)


def _cycles(table: dict[str, Plate], faults: Faults) -> None:
    """No plate lies in itself, directly or through others."""
    done: set[str] = set()
    for start in table:
        path: list[str] = []
        stack = [(start, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                path.pop()
                done.add(name)
            elif name in path:
                loop = [*path[path.index(name) :], name]
                faults.add(
                    f"Plates lie in one another: {' in '.join(loop)}.",
                    table[name],
                    node=name,
                    hint="remove one of the `in`",
                )
                return
            elif name not in done and name in table:
                path.append(name)
                stack.append((name, True))
                target = table[name].alias_of
                inner = (*table[name].parents, *((target,) if target is not None else ()))
                stack.extend((p, False) for p in inner)
