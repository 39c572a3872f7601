"""Latent elements that hang together: slices with joint states, and chains of slices.

Elements that some law touches together are in one component. A component is one slice whose joint states are
enumerated, or, where laws reach back to the element before on an ordered plate, a chain with a slice for each
element of that plate. Slices of equal makeup are a class: their states are numbered alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.labels import rank
from dagmodels.errors import FitError
from dagmodels.forms.alike import alike
from dagmodels.forms.cells import element_label
from dagmodels.forms.states import Latents
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import expressions

Ints = NDArray[np.int64]
MOST = 2**14  # joint states of a slice


@dataclass(frozen=True, eq=False, slots=True)
class SliceClass:
    """Slices whose members have the same numbers of states.

    members : (slices, members) elements. counts : states of each member. digits : (states, members).
    start : of slices in order, whether a chain begins there.
    """

    members: Ints
    counts: tuple[int, ...]
    digits: Ints
    start: NDArray[np.bool_]

    @property
    def states(self) -> int:
        """Joint states of a slice."""
        return len(self.digits)

    @property
    def size(self) -> int:
        """How many slices."""
        return len(self.members)


@dataclass(frozen=True, eq=False, slots=True)
class Slices:
    """All slices.

    classes : by makeup. group, row, slot : for each element its class, its slice there and its position in
        the slice; -1 for elements that no law touches.
    """

    classes: tuple[SliceClass, ...]
    group: Ints
    row: Ints
    slot: Ints


def chain_plate(latents: Latents) -> str | None:
    """The ordered plate along which laws reach back to latents, if there is one."""
    found: dict[str, None] = {}
    dag = latents.problem.graph
    for node in dag.nodes.values():
        for statement in node.statements:
            for tree in expressions(statement):
                for reference in ex.references(tree):
                    if reference.name in latents.first:
                        found.update(
                            (i.plate, None) for i in reference.indices or () if isinstance(i, ex.LagIndex)
                        )
    if len(found) > 1:
        told = " and ".join(f"'{p}'" for p in found)
        raise FitError(f"discrete latents form chains along {told}: along one plate they can be summed out")
    return next(iter(found), None)


def slices(latents: Latents, touched: Sequence[Ints]) -> Slices:
    """Group the elements that rows of sites touch.

    touched : for each site its (rows, columns) elements.

    Raises `FitError` where a slice has too many joint states, naming elements.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    used = np.unique(np.concatenate([t.reshape(-1) for t in touched] or [np.zeros(0, np.int64)]))
    left = np.concatenate([np.repeat(t[:, 0], t.shape[1]) for t in touched] or [used])
    right = np.concatenate([t.reshape(-1) for t in touched] or [used])
    links = coo_array((np.ones(left.size), (left, right)), shape=(latents.total, latents.total))
    _, component = connected_components(links, directed=False)
    plate = chain_plate(latents)
    codes, position = _along(latents, plate)
    order = np.lexsort((used, position[used], component[used]))
    used = used[order]
    new = np.ones(used.size, dtype=bool)
    new[1:] = (component[used][1:] != component[used][:-1]) | (codes[used][1:] != codes[used][:-1])
    number = np.cumsum(new) - 1
    sizes = np.bincount(number)
    count = np.concatenate(
        [
            np.full(int(np.prod(latents.problem.shape(n), dtype=np.int64)), latents.count[n])
            for n in latents.first
        ]
        or [np.zeros(0, np.int64)]
    )
    _check(latents, used, number, count)
    group, row, slot = (np.full(latents.total, -1) for _ in range(3))
    classes: list[SliceClass] = []
    heads = np.flatnonzero(new)
    makeup: dict[tuple[int, ...], list[Ints]] = {}
    for size in np.unique(sizes).tolist():
        own = np.flatnonzero(sizes == size)
        members = used[heads[own][:, None] + np.arange(size)]
        rows = count[members]
        first, kind = alike(rows.T, len(rows))
        for k, counts in enumerate(rows[first]):
            makeup.setdefault(tuple(counts.tolist()), []).append(members[kind == k])
    for counts, parts in makeup.items():
        members = np.concatenate(parts)
        m = len(members)
        group[members], slot[members] = len(classes), np.arange(len(counts))
        row[members] = np.arange(m)[:, None]
        start = np.ones(m, dtype=bool)
        start[1:] = component[members[1:, 0]] != component[members[:-1, 0]]
        digits = np.ascontiguousarray(np.indices(counts).reshape(len(counts), -1).T)
        classes.append(SliceClass(members, counts, digits, start))
    return Slices(tuple(classes), group, row, slot)


def _along(latents: Latents, plate: str | None) -> tuple[Ints, Ints]:
    """For each element its element of the chain's plate, and that one's position; zeros without chains."""
    codes, position = np.zeros(latents.total, dtype=np.int64), np.zeros(latents.total, dtype=np.int64)
    if plate is None:
        return codes, position
    problem = latents.problem
    ranks = rank(problem, plate)
    for name, first in latents.first.items():
        own = problem.rows(problem.graph.nodes[name].plates)
        if plate not in own.codes:
            raise FitError(
                f"'{name}' is discrete, latent and outside '{plate}', along which others form chains"
            )
        codes[first : first + own.n] = own.codes[plate]
        position[first : first + own.n] = ranks[own.codes[plate]]
    return codes, position


def _check(latents: Latents, used: Ints, number: Ints, count: Ints) -> None:
    """Refuse slices with too many joint states."""
    if not used.size:
        return
    bits = np.bincount(number, weights=np.log2(count[used]))
    worst = int(np.argmax(bits))
    if bits[worst] > np.log2(MOST) + 1e-9:
        own = used[number == worst]
        names = [element_label(latents.problem, *latents.owner(int(e))) for e in own[:4]]
        told = ", ".join(names) + (f" and {own.size - 4} more" if own.size > 4 else "")
        raise FitError(
            f"{told} hang together and have 2^{bits[worst]:.0f} joint states, more than the {MOST} that are "
            "enumerated; observe some of them, or draw them (method='gibbs', or by em estep='draws' for "
            "layers of binary units)"
        )
