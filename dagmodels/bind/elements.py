"""The elements of each plate: levels, parents, order, and each row's element."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dagmodels.bind.claims import Claim, Work, claims, combine, others, vocabulary
from dagmodels.bind.found import Found, continue_elements, numbered
from dagmodels.bind.match import into, match
from dagmodels.bind.named import named_levels
from dagmodels.bind.positions import from_positions, said, used
from dagmodels.bind.previous import previous
from dagmodels.bind.problem import BoundPlate, Codes
from dagmodels.bind.sources import suggest
from dagmodels.bind.spread import spread
from dagmodels.data.distinct import count_distinct
from dagmodels.data.levels import canonical
from dagmodels.graph.plate import Plate


def bind_plates(work: Work) -> None:
    """Fill `work.plates` and `work.codes`, outer plates first."""
    for plate in _outer_first(work):
        if plate.name not in work.failed:
            _bind_plate(work, plate)
        for alias in work.dag.plates:
            if alias.alias_of == plate.name and plate.name in work.plates:
                base = work.plates[plate.name]
                work.plates[alias.name] = replace(base, name=alias.name, parents={})


def _outer_first(work: Work) -> list[Plate]:
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        base = work.dag.base(name)
        if base not in done:
            for parent in work.dag.plate[base].parents:
                visit(parent)
            done[base] = None

    for plate in work.dag.plates:
        visit(plate.name)
    return [work.dag.plate[name] for name in done]


def _bind_plate(work: Work, plate: Plate) -> None:
    found_claims = claims(work, plate.name)
    if plate.name in work.failed:
        return
    if any(work.dag.base(p) in work.failed for p in plate.parents):
        work.failed.add(plate.name)
        return
    if work.old is not None and not found_claims and not said(work, plate):
        work.plates[plate.name] = work.old.plates[plate.name]
        work.new[plate.name] = np.zeros(0, dtype=np.int64)
        return
    found = _elements(work, plate, found_claims)
    if found is None or plate.name in work.failed:
        work.failed.add(plate.name)
        return
    found, new = continue_elements(work, plate.name, found)
    levels = tuple(range(len(found.codes))) if not found.labelled else _take(found.words, found.codes)
    order = previous(work, plate, found.words, found.codes, found) if plate.ordered else None
    work.plates[plate.name] = BoundPlate(
        plate.name, levels, found.parents, plate.name, order, labelled=found.labelled
    )
    if work.old is not None:
        work.new[plate.name] = new
    if not levels and used(work, plate):
        work.fail(plate.name, f"plate {plate.name!r} has no elements", "the data have no rows for it")
        return
    _check_size(work, plate.name)
    for claim in found_claims:
        match(work, plate, claim, found.words, found.codes)


def _take(words: list[object], codes: Codes) -> tuple[object, ...]:
    if len(words) == len(codes) and np.array_equal(codes, np.arange(len(codes))):
        return tuple(words)
    return tuple(map(words.__getitem__, codes.tolist()))


def _check_size(work: Work, plate: str) -> None:
    size, given = work.plates[plate].size, work.sources.sizes.get(plate)
    if given is not None and given != size:
        work.complain(f"plate {plate!r} has {size} elements, but its size is given as {given}", plate)


def _elements(work: Work, plate: Plate, found: list[Claim]) -> Found | None:
    """Try each source of elements in turn: the most explicit first."""
    sources, name = work.sources, plate.name
    stated = None if plate.levels is None else [canonical(x) for x in plate.levels]
    rows = next((c for c in found if c.rows), None)
    listed = sources.listed.get(name)
    if stated is not None and not plate.parents:
        return _plain(stated)
    if rows is not None:
        return _from_rows(work, plate, rows, found, stated)
    if not plate.parents and listed is not None:
        return _from_list(work, name, listed)
    if not plate.parents and name in sources.sizes and _are_numbers(found, sources.sizes[name]):
        return numbered(sources.sizes[name], named_levels(work.dag).get(name, ()))
    if found:
        if not plate.parents:
            work.by_column.add(name)
        return _from_columns(work, plate, found, stated)
    if plate.parents and (name in sources.spread or stated is not None):
        return _spread(work, plate, stated or listed)
    return from_positions(work, plate)


def _are_numbers(found: list[Claim], n: int) -> bool:
    """Whether all level columns number the elements from 0."""
    labels = [x for c in found if c.factor is not None for x in c.factor.labels]
    return all(isinstance(x, int) and 0 <= x < n for x in labels)


def _plain(labels: list[object]) -> Found:
    return Found(labels, np.arange(len(labels)), {}, declared=True)


def _from_list(work: Work, name: str, labels: list[object]) -> Found | None:
    if len(set(labels)) == len(labels):
        return Found(labels, np.arange(len(labels)), {})
    twice = next(x for i, x in enumerate(labels) if x in labels[:i])
    work.fail(name, f"level {twice!r} of plate {name!r} is listed twice")
    return None


def _parents_of_rows(work: Work, plate: Plate, sheet: int) -> dict[str, Codes] | None:
    """Codes of the direct parents in a sheet; complains of each that has no column."""
    known = work.codes[sheet]
    lacking = [p for p in plate.parents if p not in known]
    table = work.sources.sheets[sheet].table
    if any((sheet, parent) in work.silent for parent in lacking):
        work.failed.add(plate.name)  # the parent's column was complained of
        return None
    for parent in lacking:
        hint = suggest(parent, (n for n in table.names if n not in work.dag.nodes))
        work.fail(
            plate.name,
            f"{table.source} needs a column {parent!r}: each element of {plate.name!r} lies in one of its",
            hint or f"the columns are {', '.join(table.names)}",
        )
    return None if lacking else {p: known[p] for p in plate.parents}


def _from_rows(
    work: Work, plate: Plate, claim: Claim, found: list[Claim], stated: list[object] | None
) -> Found | None:
    """The rows of one sheet are the elements, in that order."""
    parents = _parents_of_rows(work, plate, claim.sheet)
    if parents is None:
        return None
    n = claim.size(work)
    if claim.factor is None:
        if len({c.size(work) for c in found if c.factor is None}) > 1:
            work.fail(plate.name, f"frames whose rows are the elements of {plate.name!r} differ in length")
            return None
        return Found(list(range(n)), np.arange(n), parents, labelled=False)
    words, declared = vocabulary(work, [claim], stated)
    codes = into(work, plate, claim, words)
    if codes is None:
        work.failed.add(plate.name)
        return None
    sizes = [work.plates[p].size for p in parents] + [len(words)]
    key = combine([*parents.values(), codes], sizes)
    if count_distinct(key) < n:
        _, first, counts = np.unique(key, return_index=True, return_counts=True)
        row = int(first[counts > 1].min())
        work.fail(
            plate.name,
            f"{work.told(claim.sheet)}: level {words[codes[row]]!r} "
            f"of plate {plate.name!r} stands in {int(counts[first == row][0])} rows",
            "a frame of a plate has one row an element",
        )
        return None
    return Found(words, codes, parents, declared=declared)


def _from_columns(work: Work, plate: Plate, found: list[Claim], stated: list[object] | None) -> Found | None:
    """The distinct labels of level columns; for a nested plate, within its parents."""
    full = [c for c in found if all(p in work.codes[c.sheet] for p in plate.parents)]
    if not full:
        _parents_of_rows(work, plate, found[0].sheet)
        return None
    words, declared = vocabulary(work, full, stated)
    if not plate.parents:
        return Found(words, np.arange(len(words)), {}, declared=declared)
    keys: list[list[Codes]] = []
    for claim in full:
        codes = into(work, plate, claim, words)
        if codes is None:
            work.failed.add(plate.name)
            return None
        keys.append([*(work.codes[claim.sheet][p] for p in plate.parents), codes])
    columns = [np.concatenate(parts) for parts in zip(*keys, strict=True)]
    _, first = np.unique(
        combine(columns, [*(work.plates[p].size for p in plate.parents), len(words)]), return_index=True
    )
    *outer, codes = (c[first] for c in columns)
    unseen = [w for i, w in enumerate(words) if stated is not None and i not in set(codes.tolist())]
    if unseen:
        work.fail(
            plate.name,
            f"level {unseen[0]!r}{others(len(unseen))} of the nested plate {plate.name!r} is in no row,"
            f" so its {' and '.join(plate.parents)} is unknown",
            "leave it out of the levels, or give a frame of the plate",
        )
        return None
    return Found(words, codes, dict(zip(plate.parents, outer, strict=True)), declared=declared)


def _spread(work: Work, plate: Plate, stated: list[object] | None) -> Found | None:
    """Elements laid out over the parents: sizes for simulation, or stated levels in every parent."""
    sizes = [work.plates[p].size for p in plate.parents]
    cells = int(np.prod(sizes))
    if stated is not None:
        parents = np.unravel_index(np.repeat(np.arange(cells), len(stated)), sizes)
        codes = np.tile(np.arange(len(stated)), cells)
        return Found(stated, codes, _named(plate, parents), declared=True)
    numbers = work.sources.per_parent.get(plate.name)
    if numbers is not None and len(numbers) != cells:
        outer = " x ".join(plate.parents)
        work.fail(
            plate.name, f"sizes: {len(numbers)} numbers for {plate.name!r}, {outer} has {cells} elements"
        )
        return None
    n = work.sources.sizes[plate.name]
    parents = (
        spread(n, sizes) if numbers is None else np.unravel_index(np.repeat(np.arange(cells), numbers), sizes)
    )
    words = numbered(n, named_levels(work.dag).get(plate.name, ())).words
    return Found(words, np.arange(n), _named(plate, parents))


def _named(plate: Plate, codes: tuple[np.ndarray, ...]) -> dict[str, Codes]:
    return {p: np.asarray(c, dtype=np.int64) for p, c in zip(plate.parents, codes, strict=True)}
