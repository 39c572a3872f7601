"""Limits that what is known of an element gives it: a Bernoulli child whose probability is a comparison.

The law of `c ~ Bernoulli(t > limit)`, which BUGS writes `c ~ dinterval(t, limit)`, is one where t lies on the
side that c tells, and zero elsewhere: t's full conditional is what it would be without, between limits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.tangent import NotLinear, Tangents
from dagmodels.forms.conditionals.target import Target, Touched
from dagmodels.graph import expression as ex
from dagmodels.numerics.tape import NAMES

Ints = NDArray[np.int64]


def side(board: Any, touched: Touched, target: Target, tangents: Tangents) -> tuple[int, int] | None:
    """Lower and upper ends by unit, infinite where there is none; None where the factor is no such child."""
    site, r = touched.factor.site, board.recorder
    tree = site.law.argument("p") if site.law.family == "Bernoulli" else None
    if not isinstance(tree, ex.Expression) or touched.factor.times > 1:
        return None
    p = board.builder.trees.number(tree, site.rows).value.register
    operations = board.influence.operations(p)
    if len(operations) != 1 or NAMES[operations[0][0]] not in ("<", "<="):
        return None
    _, _, less, more, _, _ = operations[0]
    for own, other, above in ((more, less, True), (less, more, False)):
        if board.influence.depends(other, target.slots):
            continue
        limit = _solved(r, tangents, own, other, touched)
        if limit is None:
            return None
        y = board.builder.value(site).value.register
        y = y if r.length(y) == 1 else r.gather(y, touched.rows)
        low, high = (r.constant(-np.inf), r.constant(np.inf))
        if above:
            ends = r.apply("if_else", y, limit, low), r.apply("if_else", y, high, limit)
        else:
            ends = r.apply("if_else", y, low, limit), r.apply("if_else", y, limit, high)
        return _by_unit(r, ends[0], touched, target, -np.inf), _by_unit(r, ends[1], touched, target, np.inf)
    return None


def _solved(r: Any, tangents: Tangents, own: int, other: int, touched: Touched) -> int | None:
    """Where a side that is linear in the elements, with a known positive slope, equals the other side."""
    if np.unique(touched.owner).size < touched.owner.size:
        return None  # several rows of one element
    try:
        slope = tangents.of(own)
    except NotLinear:
        return None
    known = None if slope is None else r.constant_value(slope)
    if known is None:
        return None
    known = known if known.size == 1 else known[touched.rows]
    if not (known > 0.0).all():
        return None
    rest, there = (x if r.length(x) == 1 else r.gather(x, touched.rows) for x in (tangents.rest(own), other))
    gap = r.apply("-", there, rest)
    return gap if (known == 1.0).all() else r.apply("/", gap, r.constant(known))  # type: ignore[no-any-return]


def _by_unit(r: Any, ends: int, touched: Touched, target: Target, none: float) -> int:
    n, m = len(target.units), touched.owner.size
    ends = ends if r.length(ends) == m else r.gather(ends, np.zeros(m, np.int64))
    others = np.setdiff1d(np.arange(n), touched.owner)
    parts: list[tuple[int, Ints]] = [(ends, touched.owner)]
    if others.size:
        parts.append((r.constant(np.full(others.size, none)), others))
    found: int = r.assemble(n, parts)
    return found


__all__ = ["side"]
