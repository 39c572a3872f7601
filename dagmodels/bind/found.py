"""Elements of a plate as first found, and as a continuation of earlier data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dagmodels.bind.claims import Work, combine
from dagmodels.bind.problem import Codes


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Elements of a plate before order and earlier levels.

    codes : into `words`, one per element; `declared` says that the order of `words` is one.
    parents : by parent plate, one code per element.
    """

    words: list[object]
    codes: Codes
    parents: dict[str, Codes]
    labelled: bool = True
    declared: bool = False


def numbered(n: int, named: Iterable[object] = ()) -> Found:
    """Levels 0..n-1, but those that the model names come first under their names.

    A name that is none of these numbers takes the place of the first of them that is not named.
    """
    named = list(named)
    if not named:
        return Found(list(range(n)), np.arange(n), {})
    first = [x for x in named if not (isinstance(x, int) and 0 <= x < n)][:n]
    rest = sorted(range(n), key=lambda x: (x not in named, -x))[: n - len(first)]
    return Found([*first, *sorted(rest)], np.arange(n), {})


def continue_elements(work: Work, name: str, found: Found) -> tuple[Found, Codes]:
    """Put the elements of earlier data first; those not among them follow and are new."""
    n = len(found.codes)
    if work.old is None:
        return found, np.zeros(0, dtype=np.int64)
    old = work.old.plates[name]
    if not (found.labelled and old.labelled):
        return found, np.arange(n)
    if not old.parents and found.words == list(old.levels):
        return found, np.zeros(0, dtype=np.int64)
    place: dict[object, int] = {}
    both = (found.words, old.levels) if found.declared else (old.levels, found.words)
    for words in both:
        for word in words:
            place.setdefault(word, len(place))
    before = np.array([place[x] for x in old.levels], dtype=np.int64)
    now = np.array([place[x] for x in found.words] or [0], dtype=np.int64)[found.codes]
    names = list(found.parents)
    sizes = [work.plates[p].size for p in names] + [len(place)]
    key_before = combine([*(old.parents[p] for p in names), before], sizes)
    key_now = combine([*(found.parents[p] for p in names), now], sizes)
    fresh = ~np.isin(key_now, key_before)
    codes = np.concatenate([before, now[fresh]])
    parents = {p: np.concatenate([old.parents[p], found.parents[p][fresh]]) for p in names}
    merged = Found(list(place), codes, parents, True, found.declared)
    return merged, np.arange(old.size, len(codes))
