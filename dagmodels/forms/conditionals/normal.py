"""Normal full conditionals: every factor is Gaussian, linear in the element, with a precision free of it.

With e = x - mu = r + D u of each such row linear in the element u, the log density is a parabola with
precision P = sum tau D**2 and its top at -L/P, L = sum tau D r. The element's own prior is one of the rows.
An own law that is a Normal between limits, or flat there, leaves the same normal law between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import is_flat
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.gaussian import Auxiliary, Gaussian, normal_arguments, precision_of
from dagmodels.forms.conditionals.mixed_normals import ARGUMENTS
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.tangent import NotLinear, Tangents
from dagmodels.forms.conditionals.target import Target, Touched
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution

name = "normal"
Ints = NDArray[np.int64]
FLAT_BETWEEN = ("Uniform", "Flat", "HalfFlat")


def recognise(board: Board, target: Target) -> Update | str:
    """See the module."""
    if target.units.shape[1] != 1 or target.kind not in ("real", "lower", "upper", "interval"):
        return f"'{target.node}' is {target.kind}, not a number on a line"
    tangents = Tangents(board.influence, target.slots)
    parts: list[tuple[int, int]] = []
    needs: list[Auxiliary] = []
    sides: list[tuple[int, int]] = []
    told_by: list[str] = []
    for touched in target.touched:
        own = (
            touched.factor.site.names == (target.node,) and touched.factor.site.statement == target.statement
        )
        found = own_part(board, touched, target) if own else board.gaussian_in(touched.factor, target.slots)
        cut = None if own or found is not None else board.side(touched, target, tangents)
        if cut is not None:
            sides.append(cut)
            told_by.append(f"'{touched.factor.site.names[0]}'")
            continue
        if found is None:
            law, node = touched.factor.site.law.family, touched.factor.site.names[0]
            return f"'{node}' is {law}, not Normal" if not own else f"its prior is {law}, not Normal"
        if found == "flat":
            continue
        assert isinstance(found, Gaussian)
        sums = _sums(board, touched, found, tangents, target)
        if isinstance(sums, str):
            return sums
        if sums:
            parts.append(sums)
            if found.auxiliary is not None:
                needs.append(found.auxiliary)
    if not parts:
        return f"nothing gives '{target.node}' a precision"
    moments = (board.added([p[0] for p in parts]), board.added([p[1] for p in parts]))
    own_ends = limits(board, target)
    ends = _inner(board, [*([own_ends] if own_ends else []), *sides])
    told, given = _told(target, needs, told_by), tuple(needs)
    if ends is None:
        return Update(target.node, target.slots, "normal", len(target.slots), moments, told, needs=given)
    why = f"{told}; between limits{' that are known by ' + ', '.join(told_by) if told_by else ''}"
    return Update(
        target.node, target.slots, "cut normal", len(target.slots), (*moments, *ends), why, needs=given
    )


def _inner(board: Board, sides: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The ends that hold all of these."""
    if not sides:
        return None
    low, high = sides[0]
    for below, above in sides[1:]:
        low, high = board.recorder.apply("max", low, below), board.recorder.apply("min", high, above)
    return low, high


def _told(target: Target, needs: list[Auxiliary], told_by: list[str]) -> str:
    laws = {t.factor.register: t.factor.site.law.family for t in target.touched}
    given = {a.node: (laws[a.factor], a.why) for a in needs}
    plain = [f"'{c}'" for c in target.children() if c not in given and f"'{c}'" not in told_by]
    told = [f"{', '.join(plain)} Normal"] if plain else []
    for n, (law, why) in given.items():
        told.append(f"{'prior' if n == target.node else repr(n)} {law}, Normal given {why}")
    if not told:
        return "normal: its prior is Normal" + ("" if told_by else f" and nothing depends on '{target.node}'")
    return f"normal: {', '.join(told)}, linear in '{target.node}', precision does not depend on it"


def own_part(board: Board, touched: Touched, target: Target) -> Gaussian | str | None:
    """The element's own law as a Gaussian row, "flat", or None where it is neither."""
    law = touched.factor.site.law
    if law.family in ("Normal", "MvNormal", *ARGUMENTS) or touched.factor.ties is not None:
        return board.gaussian(touched.factor)
    inner = _inside(law)
    if inner is None:
        return None
    law, scaled = inner
    if is_flat(law) or law.family == "Uniform":
        return "flat"
    r = board.recorder
    x = board.builder.value(touched.factor.site).value.register
    if scaled:
        tree = law.argument("sigma")
        assert isinstance(tree, ex.Expression)
        sigma = board.builder.trees.number(tree, touched.factor.site.rows).value.register
        return Gaussian(x, precision_of(board, sigma))
    mean, precision = normal_arguments(board, touched.factor, law)
    return Gaussian(r.apply("-", x, mean), precision)


def _inside(law: Distribution) -> tuple[Distribution, bool] | None:
    """A law that is Normal or flat between limits: the law inside, and whether it is a half normal one."""
    if law.family == "Truncated":
        inner = law.argument("distribution")
        assert isinstance(inner, Distribution)
        return (inner, False) if inner.family in ("Normal", *FLAT_BETWEEN) else None
    if law.family == "HalfNormal" and law.argument("sigma") is not None:
        return law, True
    return (law, False) if law.family in FLAT_BETWEEN else None


def _sums(
    board: Board, touched: Touched, g: Gaussian, tangents: Tangents, target: Target
) -> tuple[int, int] | str | None:
    """L and P of one factor's rows, by unit; a sentence where it is not linear, None where it is free of
    it.
    """
    node = touched.factor.site.names[0]
    if board.influence.depends(g.weight, target.slots):  # auxiliary variables count as free
        return f"the precision of '{node}' depends on '{target.node}'"
    try:
        slope = tangents.of(g.residual)
    except NotLinear as error:
        return f"'{node}' is not linear in '{target.node}' ({error})"
    if slope is None:
        return None
    if g.left is not None:
        return pair_sums(board, g, tangents, target, slope)
    r, count = board.recorder, len(target.units)
    single = r.length(g.weight) == 1
    known = board.statistics.gradients(g.residual, touched, target.slots) if single else None
    if known is not None:
        total, own = known
        squares = r.constant(own[0] if (own == own[0]).all() else own)
        return r.apply("*", g.weight, total), tangents.times(squares, g.weight)
    rest = tangents.rest(g.residual)
    scalar = r.length(slope) == 1 and r.constant_value(slope) is not None
    weighted = rest if scalar else tangents.times(slope, rest)
    squares = r.apply("*", slope, slope)
    if single:
        total = tangents.times(board.by_owner(weighted, touched, count), g.weight)
        square = tangents.times(board.by_owner(squares, touched, count), g.weight)
    else:
        total = board.by_owner(r.apply("*", g.weight, weighted), touched, count)
        square = board.by_owner(tangents.times(squares, g.weight), touched, count)
    return (tangents.times(slope, total) if scalar else total), square


def pair_sums(board: Board, g: Gaussian, tangents: Tangents, target: Target, slope: int) -> tuple[int, int]:
    """L and P where residuals come in pairs."""
    r, count, place = board.recorder, len(target.units), np.full(board.influence.size, -1)
    place[target.slots] = np.arange(count)
    entries, slots = board.influence.pairs(g.residual)
    owner = np.full(r.length(g.residual), -1)
    mine = place[slots] >= 0
    owner[entries[mine]] = place[slots[mine]]
    assert g.left is not None
    assert g.right is not None
    at = np.flatnonzero(owner[g.left] >= 0)
    left, right = g.left[at], g.right[at]
    weighted = r.apply("*", r.gather(g.weight, at), spread(board, slope, left))
    of = owner[left]
    total = r.segment_sum(r.apply("*", weighted, spread(board, tangents.rest(g.residual), right)), of, count)
    both = np.flatnonzero(owner[right] >= 0)
    squares = r.apply("*", r.gather(weighted, both), spread(board, slope, right[both]))
    return total, r.segment_sum(squares, of[both], count)


def spread(board: Board, register: int, at: Ints) -> int:
    """The entries at places; of one entry, that one."""
    return register if board.recorder.length(register) == 1 else board.recorder.gather(register, at)


def limits(board: Board, target: Target) -> tuple[int, int] | None:
    """Registers of the ends of the own law's support, None where there are none."""
    if target.kind == "real":
        return None
    r, ask = board.recorder, target.ask
    found = []
    for end, none in ((ask.lower, -np.inf), (ask.upper, np.inf)):
        if isinstance(end, ex.Expression):
            register = board.builder.trees.number(end, ask.rows).value.register
            found.append(register if r.length(register) == 1 else r.gather(register, target.at))
            continue
        values = np.array([none]) if end is None else end[target.at]
        found.append(r.constant(values[0] if (values == values[0]).all() else values))
    return found[0], found[1]


__all__ = ["limits", "name", "own_part", "recognise"]
