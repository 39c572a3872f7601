"""Evidence that cannot be: which of it excludes which."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NoReturn

import numpy as np

from dagmodels.errors import ModelError, raise_all
from dagmodels.fits.network.engine import LANES, Network
from dagmodels.fits.network.evidence import QUESTION, Evidence

MANY = 3000  # sets of evidence that are tried for the smallest one


def impossible(net: Network, evidence: Evidence) -> NoReturn:
    """Say that the evidence has probability zero, and the smallest part of it that has."""
    nodes = conflict(net, evidence)
    raise_all(
        [
            ModelError(
                f"the evidence has probability zero: {told(net, evidence, nodes)}",
                node=net.tables.names[nodes[0]],
                hint="leave out or correct one of these" if len(nodes) > 1 else "correct it",
            )
        ],
        QUESTION,
    )
    raise AssertionError("unreachable")


def told(net: Network, evidence: Evidence, nodes: Sequence[int] | None = None) -> str:
    """What excludes what, in words."""
    nodes = conflict(net, evidence) if nodes is None else nodes
    shown = [_shown(net, evidence, i) for i in nodes]
    if len(shown) == 1:
        return f"{shown[0]} cannot be"
    return f"{', '.join(shown[:-1])} and {shown[-1]} cannot be together"


def _shown(net: Network, evidence: Evidence, node: int) -> str:
    name = net.tables.names[node]
    if node in evidence.weights:
        return f"the weights of '{name}'"
    return f"'{name}' = '{net.tables.states[node][evidence.seen[node]]}'"


def conflict(net: Network, evidence: Evidence) -> tuple[int, ...]:
    """The smallest part of evidence of probability zero that has probability zero itself.

    All parts of one, two, ... nodes are tried as long as they are few; after that nodes are left out one by
    one, which gives a part of which every piece is needed.
    """
    nodes = evidence.nodes
    for size in range(1, len(nodes)):
        if math.comb(len(nodes), size) > MANY:
            return _reduced(net, evidence)
        found = _first(net, evidence, combinations(nodes, size))
        if found is not None:
            return found
    return nodes


def _reduced(net: Network, evidence: Evidence) -> tuple[int, ...]:
    kept = list(evidence.nodes)
    for node in evidence.nodes:
        fewer = [i for i in kept if i != node]
        if _first(net, evidence, [tuple(fewer)]) is not None:
            kept = fewer
    return tuple(kept)


def _first(net: Network, evidence: Evidence, parts: Iterable[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The first part of probability zero."""
    waiting = list(parts)
    lanes = LANES if net.is_small else 1
    for first in range(0, len(waiting), lanes):
        some = waiting[first : first + lanes]
        rows = [evidence.only(part) for part in some]
        engine = net.engine(rows[0], ())
        _, logs = engine.collected(engine.entered(*engine.weights(rows)))
        lost = np.flatnonzero(logs == -np.inf)
        if lost.size:
            return some[int(lost[0])]
    return None
