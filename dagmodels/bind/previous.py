"""The order of an ordered plate: the element before each one, within the parents."""

from __future__ import annotations

import numpy as np

from dagmodels.bind.claims import Work, combine
from dagmodels.bind.found import Found
from dagmodels.bind.problem import Codes
from dagmodels.data.levels import have_values, in_order
from dagmodels.graph.plate import Plate


def previous(work: Work, plate: Plate, words: list[object], codes: Codes, found: Found) -> Codes | None:
    """Each element's predecessor within its parent elements, -1 for a first one.

    Numbers and dates stand by value, stated levels and ordered categoricals as declared, rows
    without labels as they come. Text is refused: "May" before "June" is not in its letters.
    """
    rank = np.arange(len(words))
    if found.labelled and not (plate.levels is not None or found.declared):
        if not have_values(words):
            text = next(x for x in words if isinstance(x, str))
            work.complain(
                f"the levels of the ordered plate {plate.name!r} have no order: {text!r} is text",
                plate.name,
                "use numbers, dates or an ordered categorical, or state the levels in the model",
            )
            return None
        place = {x: i for i, x in enumerate(in_order(words))}
        rank = np.array([place[x] for x in words], dtype=np.int64)
    if not len(codes):
        return np.zeros(0, dtype=np.int64)
    outer = [*found.parents.values()]
    group = (
        combine(outer, [work.plates[p].size for p in found.parents])
        if outer
        else np.zeros(len(codes), np.int64)
    )
    sequence = np.lexsort((rank[codes], group))
    before = np.full(len(codes), -1, dtype=np.int64)
    follows = group[sequence[1:]] == group[sequence[:-1]]
    before[sequence[1:][follows]] = sequence[:-1][follows]
    return before
