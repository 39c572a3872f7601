"""What the left-hand sides say together: one name, one tuple of plates, no statement twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dagmodels.graph import statement as st
from dagmodels.graph.dag import defines
from dagmodels.graph.faults import Faults
from dagmodels.graph.names import is_name
from dagmodels.graph.resolve import Symbol
from dagmodels.graph.scope import Plates, base, lies_in

Defining = st.Stochastic | st.Deterministic | st.Joint | st.Covariate | st.Constant | st.Parameter


def symbols(statements: Iterable[st.Statement], plates: Plates, faults: Faults) -> dict[str, Symbol]:
    """Every node with its plates and the plate of its values."""
    grouped: dict[str, list[Defining]] = {}
    for statement in statements:
        if not isinstance(statement, st.Covariance):
            for name in defines(statement):
                grouped.setdefault(name, []).append(statement)
    table: dict[str, Symbol] = {}
    for name, group in grouped.items():
        if not is_name(name):
            faults.add(f"{name!r} cannot name a node.", group[0], node=name, hint="use letters and digits")
        if name in plates:
            faults.add(
                f"`{name}` names a plate and a node.",
                group[0],
                node=name,
                hint="give the node another name",
            )
        table[name] = _symbol(name, group, plates, faults)
    return table


def _symbol(name: str, group: Sequence[Defining], plates: Plates, faults: Faults) -> Symbol:
    named = [p for s in group if (p := _named_plates(s)) is not None]
    own = named[0] if named else ()
    values = dict.fromkeys(v for s in group if (v := getattr(s, "values_in", None)) is not None)
    if not named:
        faults.add(
            f"The statements of `{name}` name levels only, so its plates are unknown.",
            group[0],
            node=name,
            hint=f"declare it as a whole, such as `parameter {name}[plate]` or `{name}[plate] ~ ...`",
        )
    else:
        _check_plates(name, own, group[0], plates, faults)
    for statement in group:
        _agrees(name, own, statement, bool(named), faults)
    for plate in values:
        if plate not in plates:
            near = faults.similar(plate, plates)
            hint = f"did you mean '{near}'?" if near else f"declare `plate {plate}`"
            faults.add(f"No plate is called '{plate}'.", group[0], node=name, hint=hint, word=plate)
    if len(values) > 1:
        faults.add(
            f"`{name}` has values in {' and in '.join(values)}.",
            group[-1],
            node=name,
            hint="all its statements name one plate after `in`",
        )
    return Symbol(own, next(iter(values), None))


def _named_plates(statement: Defining) -> tuple[str, ...] | None:
    """The plates of a head, or None where a slot is a bare level."""
    if isinstance(statement, st.Stochastic | st.Deterministic):
        found = tuple(s.plate for s in statement.head.slots)
        return None if None in found else tuple(p for p in found if p is not None)
    return statement.plates


def _check_plates(name: str, own: tuple[str, ...], at: st.Statement, plates: Plates, faults: Faults) -> None:
    for number, plate in enumerate(own):
        if plate not in plates:
            near = faults.similar(plate, plates)
            hint = f"did you mean '{near}'?" if near else f"declare `plate {plate}`"
            faults.add(f"No plate is called '{plate}'.", at, node=name, hint=hint, word=plate)
        elif plate in own[:number]:
            faults.add(
                f"`{name}` lies on {plate} twice.",
                at,
                node=name,
                hint=f"declare an alias, such as `plate {plate}2 as {base(plates, plate)}`",
                word=plate,
            )
        else:
            inner = next((p for p in own if p != plate and plate in lies_in(plates, p)), None)
            if inner is not None:
                faults.add(
                    f"`{name}` lies on {inner} and on {plate}, which {inner} lies in.",
                    at,
                    node=name,
                    hint=f"write {name}[{', '.join(p for p in own if p != plate)}]",
                    word=plate,
                )


def _agrees(name: str, own: tuple[str, ...], statement: Defining, known: bool, faults: Faults) -> None:
    """Every head of the node has the same plates in the same places."""
    if not known:
        return
    if isinstance(statement, st.Stochastic | st.Deterministic):
        slots = [s.plate for s in statement.head.slots]
    else:
        slots = list[str | None](statement.plates)
    same = len(slots) == len(own) and all(s is None or s == p for s, p in zip(slots, own, strict=True))
    if not same:
        place = f"on [{', '.join(own)}]" if own else "on no plate"
        faults.add(
            f"`{name}` lies {place} in one statement and has other brackets here.",
            statement,
            node=name,
            hint=f"write {name}[{', '.join(own)}], or a level in place of a plate"
            if own
            else f"write {name}",
        )


def filled(head: st.Head, symbol: Symbol | None) -> st.Head:
    """The head with the plate of each bare level."""
    if symbol is None or len(head.slots) != len(symbol.plates):
        return head
    slots = (
        slot if slot.plate is not None else replace(slot, plate=plate)
        for slot, plate in zip(head.slots, symbol.plates, strict=True)
    )
    return st.Head(head.name, tuple(slots))
