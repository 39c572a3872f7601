"""What the reader and the writer of BIF share: marks, and names for the sets of states."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

MARKS = frozenset("{}()[],;|")
LONGEST = 30  # letters of a plate's name that lists its states


def plate_names(states: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """A plate's name for each set of states: the states themselves where they make a name, else the first
    variable's.

    states : of each variable, in order.
    """
    found: dict[tuple[str, ...], str] = {}
    taken = set(states)
    for variable, own in states.items():
        if own not in found:
            found[own] = _free(_joined(own) or f"{variable}_states", taken)
            taken.add(found[own])
    return found


def _joined(states: tuple[str, ...]) -> str:
    name = "_".join(states)
    return name if len(name) <= LONGEST and re.fullmatch(r"[A-Za-z_]\w*", name) else ""


def _free(name: str, taken: Collection[str]) -> str:
    number, found = 2, name
    while found in taken:
        found, number = f"{name}{number}", number + 1
    return found
