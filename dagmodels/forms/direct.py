"""Arguments of laws that are single unknowns, row by row: where sums of weights maximise in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Rows
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.sites import Site
from dagmodels.forms.states import StateLowering
from dagmodels.graph import expression as ex
from dagmodels.graph.scope import free

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Direct:
    """An argument that is, on the entries `at`, an element of one node, or one minus it.

    node : the unknown. at : entries of the expanded rows; None for all. places : flat places in the node (of
        a vector or matrix that of its first entry). swapped : one minus the element.
    by_state : all rows agree, and `places` has one entry a state.
    """

    node: str
    at: Ints | None
    places: Ints
    swapped: bool = False
    by_state: bool = False

    def values(self, of: Floats, states: int) -> Floats:
        """What the argument is, (rows, states) or (1, states), from all elements of the node."""
        found = of[self.places]
        return (1 - found if self.swapped else found).reshape(-1, states)


def direct(
    lowering: StateLowering, tree: ex.Expression, site: Site, unknown: Mapping[str, object], whole: int
) -> tuple[Direct, ...] | None:
    """The elements that an argument is, or None where it is anything else.

    site : expanded rows. unknown : the nodes that are estimated. whole : axes that the law takes whole.
    """
    try:
        found = tuple(_parts(lowering, tree, site, site.rows, None, unknown, whole))
    except NotLowered:
        return None
    assert lowering.expanded is not None
    return tuple(_by_state(d, lowering.expanded.states) for d in found)


def _by_state(found: Direct, states: int) -> Direct:
    if found.at is not None:
        return found
    places = found.places.reshape(-1, states)
    if not len(places) or (places != places[0]).any():
        return found
    return Direct(found.node, None, places[0].copy(), found.swapped, True)


def _parts(
    lowering: StateLowering, tree: ex.Expression, site: Site, rows: Rows, at: Ints | None,
    unknown: Mapping[str, object], whole: int, swapped: bool = False,
) -> Iterator[Direct]:  # fmt: skip
    match tree:
        case ex.Reference(name, _) if name in unknown:
            yield Direct(name, at, _first(lowering, tree, site, rows, whole), swapped)
        case ex.Binary("-", ex.Number(1), other) if not whole and not swapped:
            yield from _parts(lowering, other, site, rows, at, unknown, whole, True)
        case ex.Call("if_else", (condition, yes, no)) if not whole:
            value = lowering.value(condition, rows)
            known = lowering.recorder.constant_value(value.register)
            if known is None:
                raise NotLowered("a condition that hangs on unknowns")
            holds = np.broadcast_to(known, rows.n) if value.key is None or known.size == 1 else known[
                lowering.codes(value, rows)
            ]  # fmt: skip
            for branch, mine in ((yes, holds != 0), (no, holds == 0)):
                inner = np.flatnonzero(mine)
                if inner.size:
                    part = Rows(inner.size, {p: c[inner] for p, c in rows.codes.items()})
                    where = inner if at is None else at[inner]
                    yield from _parts(lowering, branch, site, part, where, unknown, whole, swapped)
        case _:
            raise NotLowered("no single element")


def _first(lowering: StateLowering, tree: ex.Reference, site: Site, rows: Rows, whole: int) -> Ints:
    """Places of elements, or of the first entry of vectors and matrices along the node's last axes."""
    plates = lowering.problem.graph.nodes[tree.name].plates
    indices = tree.indices or ()
    outer = indices[: len(indices) - whole]
    along = free(lowering.problem.graph.plate, tree, frozenset(rows.codes), site.head)
    if len(along) != whole or tuple(along) != tuple(
        i.plate for i in indices[len(outer) :] if isinstance(i, ex.PlateIndex)
    ):
        raise NotLowered("not whole vectors")
    flat = np.zeros(rows.n, dtype=np.int64)
    for plate, index in zip(plates, outer, strict=False):
        flat = flat * lowering.problem.plates[plate].size + lowering._codes(plate, index, rows)
    for plate in plates[len(outer) :]:
        flat = flat * lowering.problem.plates[plate].size
    return flat
