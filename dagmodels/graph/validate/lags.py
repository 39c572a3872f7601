"""Does every statement that looks back leave out the first elements, which have nothing before them?"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import expressions
from dagmodels.graph.faults import Faults
from dagmodels.graph.validate.overlaps import pattern


def check(statements: Sequence[st.Statement], faulty: Container[int], faults: Faults) -> None:
    """Statements whose number is in `faulty` have been refused for another reason."""
    firsts: dict[tuple[str, str], int] = {}
    for statement in statements:
        if isinstance(statement, st.Stochastic | st.Deterministic):
            slots = statement.head.slots
            for slot in slots:
                if slot.first and sum(s.label is not None or s.first > 0 for s in slots) == 1:
                    key = (statement.head.name, slot.plate or "")
                    firsts[key] = max(firsts.get(key, 0), slot.first)
    for number, statement in enumerate(statements):
        for plate, lag, name in _lags(statement) if number not in faulty else ():
            _check_lag(statement, plate, lag, name, firsts, faults)


def _lags(statement: st.Statement) -> Iterable[tuple[str, int, str]]:
    """Plate, longest lag and the node it is a lag of, for each plate."""
    longest: dict[str, tuple[int, str]] = {}
    for tree in expressions(statement):
        for reference in ex.references(tree):
            for index in reference.indices or ():
                if isinstance(index, ex.LagIndex) and index.lag > longest.get(index.plate, (0, ""))[0]:
                    longest[index.plate] = (index.lag, reference.name)
    return [(plate, lag, name) for plate, (lag, name) in longest.items()]


def _check_lag(
    statement: st.Statement,
    plate: str,
    lag: int,
    name: str,
    firsts: dict[tuple[str, str], int],
    faults: Faults,
) -> None:
    shown = f"`{name}[{plate}-{lag}]`"
    if not isinstance(statement, st.Stochastic | st.Deterministic):
        faults.add(
            f"{shown} has no value for the first elements of {plate}, and this statement covers them.",
            statement,
            node=name,
            hint="use lags in statements with one head",
            word=name,
        )
        return
    node = statement.head.name
    slot = next((s for s in pattern(statement) if s.plate == plate), None)
    if slot is None:
        faults.add(
            f"{shown} looks back along {plate}, which is not in the brackets of `{node}`.",
            statement,
            node=node,
            hint=f"give `{node}` the plate {plate}",
            word=name,
        )
    elif slot.first or slot.label is not None:
        faults.add(
            f"{shown} stands in a statement for "
            f"{'first elements' if slot.first else 'one level'} of {plate}, which may have nothing before.",
            statement,
            node=node,
            hint=f"use it in the statement for all of {plate} only",
            word=name,
        )
    elif firsts.get((node, plate), 0) < lag:
        count = "" if lag == 1 else f" {lag}"
        brackets = ", ".join(
            f"{s.plate} first{count}" if s is slot else s.plate or "" for s in pattern(statement)
        )
        sign = "~" if isinstance(statement, st.Stochastic) else "="
        faults.add(
            f"{shown} has no value for the first {f'{lag} elements' if lag > 1 else 'element'} of {plate}.",
            statement,
            node=node,
            hint=f"add `{node}[{brackets}] {sign} ...`",
            word=name,
        )
