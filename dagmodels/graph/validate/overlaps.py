"""Is every element of a node said once? Where statements overlap, the one naming more levels holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from dagmodels.graph import statement as st
from dagmodels.graph.dag import defines
from dagmodels.graph.faults import Faults
from dagmodels.graph.names import label_text
from dagmodels.graph.resolve import Symbol
from dagmodels.graph.scope import Plates, base

Pattern = tuple[st.Slot, ...]
MAX_CELLS = 10_000


def pattern(statement: st.Statement) -> Pattern:
    """The slots of a statement's head; whole plates for declarations."""
    match statement:
        case st.Stochastic(head=head) | st.Deterministic(head=head):
            return head.slots
        case st.Covariance():
            return ()
        case _:
            return tuple(st.Slot(p) for p in statement.plates)


def named_levels(slots: Pattern) -> int:
    """How many levels a head names: its rank where statements overlap."""
    return sum(s.label is not None or s.first > 0 for s in slots)


def check(
    statements: Iterable[st.Statement], symbols: Mapping[str, Symbol], plates: Plates, faults: Faults
) -> None:
    grouped: dict[str, list[st.Statement]] = {}
    for statement in statements:
        if not isinstance(statement, st.Covariance):
            for name in defines(statement):
                grouped.setdefault(name, []).append(statement)
    for name, group in grouped.items():
        width = len(symbols[name].plates)
        fitting = [s for s in group if len(pattern(s)) == width]
        if len(fitting) > 1:
            _pairs(name, fitting, plates, faults)
        if fitting and all(named_levels(pattern(s)) for s in fitting):
            _coverage(name, fitting, plates, faults)


def _pairs(name: str, group: Sequence[st.Statement], plates: Plates, faults: Faults) -> None:
    whole = [s for s in group if not isinstance(s, st.Stochastic | st.Deterministic | st.Parameter)]
    by_pattern: dict[Pattern, st.Statement] = {}
    partial: list[tuple[Pattern, st.Statement]] = []
    for statement in group:
        slots = pattern(statement)
        earlier = by_pattern.get(slots)
        if earlier is not None:
            _twice(name, statement, earlier, slots, faults)
            continue
        by_pattern[slots] = statement
        if named_levels(slots):
            partial.append((slots, statement))
            if whole:
                faults.add(
                    f"`{name}` is declared as {_kind(whole[0])} and has a statement for single levels.",
                    statement,
                    node=name,
                    hint="declare it as parameter, or give all of it a distribution",
                )
    _ties(name, partial, plates, faults)


def _twice(name: str, statement: st.Statement, earlier: st.Statement, slots: Pattern, faults: Faults) -> None:
    where = f" on line {earlier.place.line}" if earlier.place is not None else ""
    shown = f"`{name}{_text(slots)}`" if named_levels(slots) else f"`{name}`"
    faults.add(
        f"{shown} is defined twice; it is {_kind(earlier)} already{where}.",
        statement,
        node=name,
        hint="remove one of the statements, or give the node another name",
    )


def _ties(name: str, partial: Sequence[tuple[Pattern, st.Statement]], plates: Plates, faults: Faults) -> None:
    """Statements that name equally many levels and share elements say the same there.

    A statement that names more levels settles what it covers: `m["a", 2]` for `m["a", k]` and `m[g, 2]`.
    """
    by_places: dict[tuple[bool, ...], list[tuple[Pattern, st.Statement]]] = {}
    for slots, statement in partial:
        where = tuple(s.label is not None or s.first > 0 for s in slots)
        by_places.setdefault(where, []).append((slots, statement))
    kinds = list(by_places.items())
    all_slots = [slots for slots, _ in partial]
    for number, (where, group) in enumerate(kinds):
        if any(s.first for slots, _ in group for s in slots):
            pairs = [(a, b) for i, a in enumerate(group) for b in group[:i]]
            _disagree(name, pairs, all_slots, plates, faults)
        for other, second in kinds[:number]:
            if sum(other) == sum(where):
                _disagree(name, [(a, b) for a in group for b in second], all_slots, plates, faults)


def _disagree(
    name: str,
    pairs: Iterable[tuple[tuple[Pattern, st.Statement], tuple[Pattern, st.Statement]]],
    every: Sequence[Pattern],
    plates: Plates,
    faults: Faults,
) -> None:
    for (slots, statement), (others, earlier) in pairs:
        if _same_law(statement, earlier):
            continue
        if not all(_meet(a, b, plates) for a, b in zip(slots, others, strict=True)):
            continue
        shared = tuple(map(_both, slots, others))
        if not any(named_levels(c) > named_levels(slots) and _holds(c, shared, plates) for c in every):
            add = f"add a statement for what they share, {name}{_text(shared)}"
            hint = f"{add}, or make them equal" if shared not in (slots, others) else "make them equal"
            faults.add(
                f"`{name}{_text(slots)}` and `{name}{_text(others)}` share elements and disagree.",
                statement,
                node=name,
                hint=hint,
            )
            return


def _meet(one: st.Slot, other: st.Slot, plates: Plates) -> bool:
    """Whether two slots have an element in common (for all that is known without data)."""
    if one.label is not None and other.label is not None:
        return one.label == other.label
    if one.first and other.label is not None:
        return _among_first(other.label, one, plates)
    if other.first and one.label is not None:
        return _among_first(one.label, other, plates)
    return True


def _both(one: st.Slot, other: st.Slot) -> st.Slot:
    """The elements that two slots which meet have in common."""
    if one.label is not None or other.label is not None:
        return one if one.label is not None else other
    if one.first and other.first:
        return one if one.first <= other.first else other
    return one if one.first else other


def _holds(slots: Pattern, shared: Pattern, plates: Plates) -> bool:
    """Whether a head reaches every element of another."""
    return all(_within(part, slot, plates) for part, slot in zip(shared, slots, strict=True))


def _within(part: st.Slot, slot: st.Slot, plates: Plates) -> bool:
    if slot.label is not None:
        return part.label == slot.label
    if slot.first:
        if part.label is not None:
            return _among_first(part.label, slot, plates)
        return 0 < part.first <= slot.first
    return True


def _among_first(label: object, slot: st.Slot, plates: Plates) -> bool:
    holder = plates.get(base(plates, slot.plate or ""))
    levels = holder.levels if holder is not None else None
    return levels is not None and label in levels[: slot.first]


def _same_law(one: st.Statement, other: st.Statement) -> bool:
    match one, other:
        case st.Stochastic(), st.Stochastic():
            return one.distribution == other.distribution
        case st.Deterministic(), st.Deterministic():
            return one.expression == other.expression
        case _:
            return False


def _coverage(name: str, group: Sequence[st.Statement], plates: Plates, faults: Faults) -> None:
    """A node without a statement for all elements names every stated level."""
    patterns = [pattern(s) for s in group]
    axes: list[Sequence[object]] = []
    cells = 1
    for slots in zip(*patterns, strict=True):
        if any(s.first for s in slots):
            if all(s.first for s in slots):
                faults.add(
                    f"`{name}` is defined for first elements only.",
                    group[0],
                    node=name,
                    hint=f"add a statement for the other elements: {name}[{slots[0].plate}] ~ ...",
                )
            return
        holder = plates.get(base(plates, slots[0].plate or ""))
        if all(s.label is None for s in slots):
            axes.append([None])
            continue
        if holder is None or holder.levels is None:
            return  # data tell; binding checks it
        axes.append(holder.levels)
        cells *= len(holder.levels)
    if cells > MAX_CELLS:
        return
    missing = [c for c in product(*axes) if not any(_covers(p, c) for p in patterns)]
    if missing:
        shown = ", ".join(label_text(v) for v in missing[0] if isinstance(v, int | str))
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        faults.add(
            f"`{name}` has no statement for the level {shown}{more}.",
            group[0],
            node=name,
            hint="add one for it, or one for all other levels",
        )


def _covers(slots: Pattern, cell: tuple[object, ...]) -> bool:
    return all(s.label is None or s.label == value for s, value in zip(slots, cell, strict=True))


def _text(slots: Pattern) -> str:
    parts: list[str] = []
    for slot in slots:
        if slot.label is not None:
            parts.append(label_text(slot.label))
        elif slot.first:
            parts.append(f"{slot.plate} first" + (f" {slot.first}" if slot.first > 1 else ""))
        else:
            parts.append(slot.plate or "?")
    return f"[{', '.join(parts)}]" if parts else ""


def _kind(statement: st.Statement) -> str:
    match statement:
        case st.Stochastic() | st.Joint():
            return "stochastic"
        case st.Deterministic():
            return "deterministic"
        case _:
            return f"a {type(statement).__name__.lower()}"
