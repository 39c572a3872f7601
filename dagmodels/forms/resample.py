"""Units of a mixture drawn again with replacement: which there are, and the form in which they are counted.

A unit is an element of a plate within which everything lies that hangs together: a row of a mixture, a person
with several items, a whole chain. Slices that stand alone are counted by weights, chains are repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.mixture import MixtureForm, Part, Sums, Use
from dagmodels.forms.slices import SliceClass

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Units:
    """Independent units of a form.

    plate, size : whose elements they are. slices : by class, the unit of each slice. rows : by part that
    touches no latent, the unit of each row; None where all is one.
    """

    plate: str
    size: int
    slices: tuple[Ints, ...]
    rows: tuple[Ints | None, ...]


def units(form: MixtureForm, plate: str | None = None) -> Units:
    """The finest units, or the elements of a plate.

    Raises
    ------
    FitError : nothing tells independent units, or elements of the plate are none.
    """
    problem = form.flat.problem
    codes = [_codes(form, sums.slices) for sums in form.sums]
    codes += [[dict(p.codes)] for p in form.parts if p.known and p.site.names[0] not in form.flat.unknown]
    shared = set.intersection(*(set(c) for columns in codes for c in columns)) if codes else set()
    shared = {n for n in shared if problem.plates[n].base in ("", n)}
    good = {n for n in shared if all(_apart(form, k, n) for k in range(len(form.sums)))}
    if plate is None:
        plate = max(sorted(good), key=lambda n: problem.plates[n].size, default=None)
    if plate is None or problem.plates[plate].size < 2:
        raise FitError("no plate has independent units that could be drawn again: all hangs together")
    if plate not in good:
        told = f"; there are those of {', '.join(map(repr, sorted(good)))}" if good else ""
        raise FitError(f"elements of '{plate}' are no independent units of all data{told}")
    slices = tuple(_codes(form, sums.slices)[0][plate] for sums in form.sums)
    rows = tuple(p.codes.get(plate) if p.known else None for p in form.parts)
    return Units(plate, problem.plates[plate].size, slices, rows)


def _codes(form: MixtureForm, group: SliceClass) -> list[dict[str, Ints]]:
    """By member of the slices, the elements of all plates that it lies in."""
    found = []
    for slot in range(group.members.shape[1]):
        node, _ = form.latents.owner(int(group.members[0, slot]))
        rows = form.flat.problem.rows(form.flat.problem.graph.nodes[node].plates)
        at = group.members[:, slot] - form.latents.first[node]
        inside = (at >= 0) & (at < rows.n)
        if inside.all():
            found.append({p: c[at] for p, c in rows.codes.items()})
        else:  # slices alike in their numbers of states, of several nodes
            found.append(_mixed(form, group.members[:, slot]))
    return found


def _mixed(form: MixtureForm, elements: Ints) -> dict[str, Ints]:
    owners = [form.latents.owner(int(e)) for e in elements]
    problem = form.flat.problem
    codes = {n: problem.rows(problem.graph.nodes[n].plates).codes for n, _ in owners}
    shared = set.intersection(*(set(c) for c in codes.values()))
    return {p: np.array([codes[n][p][at] for n, at in owners]) for p in shared}


def _apart(form: MixtureForm, k: int, plate: str) -> bool:
    """Whether every slice, and every chain, lies within one element of the plate."""
    group = form.sums[k].slices
    first, *others = (c[plate] for c in _codes(form, group))
    inner = np.flatnonzero(~group.start)
    return all((first == o).all() for o in others) and bool((first[inner] == first[inner - 1]).all())


def resampled(form: MixtureForm, found: Units, counts: Ints) -> MixtureForm:
    """The form in which each unit is there so many times."""
    parts = tuple(
        part if rows is None else _rows(part, counts[rows])
        for part, rows in zip(form.parts, found.rows, strict=True)
    )
    sums = tuple(
        _chains(s, unit, counts) if s.chained else _weighted(s, counts[unit])
        for s, unit in zip(form.sums, found.slices, strict=True)
    )
    return replace(form, parts=parts, sums=sums)


def _rows(part: Part, counts: Ints) -> Part:
    kind = np.repeat(part.kind, counts)
    return replace(part, kind=kind, touched=np.zeros((kind.size, 0), dtype=np.int64))


def _weighted(sums: Sums, counts: Ints) -> Sums:
    weights = np.bincount(sums.distinct, counts.astype(np.float64), sums.weights.size)
    return replace(sums, weights=weights)


def _chains(sums: Sums, unit: Ints, counts: Ints) -> Sums:
    """Slices of the chains drawn, one chain after the other."""
    group = sums.slices
    assert sums.table is not None
    heads = np.flatnonzero(group.start)
    lengths = np.diff(np.append(heads, group.size))
    times = counts[unit[heads]]
    chosen = np.repeat(np.arange(heads.size), times)
    size = lengths[chosen]
    at = np.arange(size.sum()) + np.repeat(heads[chosen] - np.cumsum(size) + size, size)
    slices = replace(group, members=group.members[at], start=group.start[at])
    uses = tuple(u if u.single else replace(u, counts=_chosen(u, at, group.size)) for u in sums.uses)
    return Sums(slices, np.ones(at.size), np.arange(at.size), uses, sums.moves, sums.table[at])


def _chosen(use: Use, at: Ints, size: int) -> Any:
    """Sparse counts of some slices."""
    from scipy.sparse import csr_array

    whole = use.counts
    if whole is None:
        every = np.arange(size)
        whole = csr_array((np.ones(size), (every, every)), shape=(size, size))
    return whole[at]
