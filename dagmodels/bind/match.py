"""Each row's element: labels, with what is known of the outer plates, looked up among the elements."""

from __future__ import annotations

import numpy as np

from dagmodels.bind.claims import Claim, Work, combine, others
from dagmodels.bind.problem import Codes
from dagmodels.bind.sources import suggest
from dagmodels.graph.plate import Plate


def match(work: Work, plate: Plate, claim: Claim, words: list[object], element_words: Codes) -> None:
    """Write the claim's codes, and those of outer plates that follow from them, into `work.codes`.

    Parameters
    ----------
    words : labels; element_words : each element's place among them.
    """
    known = work.codes[claim.sheet]
    bound = work.plates[plate.name]
    n = claim.size(work)
    if claim.factor is None:
        codes = _by_row(work, plate, claim, n)
    else:
        codes = into(work, plate, claim, words)
        if codes is not None and (bound.parents or not _identity(element_words, len(words))):
            codes = _within(work, plate, claim, codes, words, element_words)
    if codes is None:
        work.silent.add((claim.sheet, claim.name))
        return
    known[claim.name] = codes
    inherit(work, claim.sheet, claim.name)


def into(work: Work, plate: Plate, claim: Claim, words: list[object]) -> Codes | None:
    """A claim's codes into `words`; labels outside these are errors."""
    factor = claim.factor
    assert factor is not None, "rows without a column have no labels"
    if len(words) == len(factor.labels) and words == list(factor.labels):
        return factor.codes
    place = {x: i for i, x in enumerate(words)}
    table = np.array([place.get(x, -1) for x in factor.labels] or [-1], dtype=np.int64)
    codes = table[factor.codes]
    strange = np.flatnonzero(codes < 0)
    if strange.size:
        unknown = int(np.count_nonzero(table < 0))
        _unknown(work, plate, claim, int(strange[0]), words, others(unknown))
        return None
    return codes


def _identity(codes: Codes, n: int) -> bool:
    return len(codes) == n and bool((codes == np.arange(n)).all())


def _by_row(work: Work, plate: Plate, claim: Claim, n: int) -> Codes | None:
    bound = work.plates[plate.name]
    if bound.size == n:
        return np.arange(n)
    work.complain(
        f"{work.told(claim.sheet)} has {n} rows, plate {plate.name!r} has {bound.size} elements",
        plate.name,
        f"add a column {plate.name!r} that says which element each row is",
    )
    return None


def _within(
    work: Work, plate: Plate, claim: Claim, labels: Codes, words: list[object], element_words: Codes
) -> Codes | None:
    """Look labels up within what the sheet knows of the parents."""
    bound, known = work.plates[plate.name], work.codes[claim.sheet]
    given = [p for p in bound.parents if p in known and claim.name == plate.name]
    sizes = [work.plates[p].size for p in given] + [len(words)]
    both = [np.concatenate([bound.parents[p], known[p]]) for p in given]
    both.append(np.concatenate([element_words, labels]))
    key = combine(both, sizes)
    ours, theirs = key[: bound.size], key[bound.size :]
    order = np.argsort(ours, kind="stable")
    sorted_keys = ours[order]
    at = np.searchsorted(sorted_keys, theirs)
    hit = np.minimum(at, bound.size - 1)
    strange = sorted_keys[hit] != theirs
    if strange.any():
        _unknown(work, plate, claim, int(np.flatnonzero(strange)[0]), words)
        return None
    twice = np.append(sorted_keys[1:] == sorted_keys[:-1], False)
    if twice[hit].any():
        row = int(np.flatnonzero(twice[hit])[0])
        lacking = " and ".join(repr(p) for p in bound.parents if p not in given)
        work.complain(
            f"{work.told(claim.sheet)}: level {words[labels[row]]!r} of {plate.name!r} in row "
            f"{row + 1} is in more than one {lacking}",
            plate.name,
            f"add the level column of {lacking}",
        )
        return None
    return order[hit]


def _unknown(work: Work, plate: Plate, claim: Claim, row: int, words: list[object], more: str = "") -> None:
    factor = claim.factor
    assert factor is not None, "rows without a column have no labels"
    label = factor.labels[factor.codes[row]]
    outer = f" within its {' and '.join(plate.parents)}" if plate.parents else ""
    work.complain(
        f"{work.told(claim.sheet)}: {label!r} in row {row + 1} of column {claim.name!r}{more} "
        f"is no level of plate {plate.name!r}{outer}",
        plate.name,
        suggest(str(label), (str(w) for w in words if w != label), f"the levels are {_some(words)}"),
    )


def _some(labels: list[object]) -> str:
    told = ", ".join(map(str, labels[:6]))
    return told if len(labels) <= 6 else f"{told}, ... ({len(labels)})"


def inherit(work: Work, sheet: int, plate: str) -> None:
    """Codes of outer plates that have no column of their own follow from the inner plate's."""
    known = work.codes[sheet]
    for parent, codes in work.plates[work.dag.base(plate)].parents.items():
        if parent not in known and work.dag.plate[plate].alias_of is None:
            known[parent] = codes[known[plate]]
            inherit(work, sheet, parent)
