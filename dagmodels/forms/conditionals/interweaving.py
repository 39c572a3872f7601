"""Second updates of scales and locations, with what they scale and shift given in standard units.

Where theta has a law with location m and scale s, both unknown, draws of s given theta barely move once s is
small, and draws of m given theta barely move where data say little. Given eta = (theta - m)/s instead they
do. Both in turn mix at least nearly as well as the better of the two (ancillarity-sufficiency interweaving,
Yu and Meng 2011, J. Comput. Graph. Stat. 20:531, theorem 1).

A scale is moved by a slice, on its logarithm where it is positive: theta' = m(s') + s' eta takes theta's
place in every factor, the Jacobian of theta and its own law cancel. A location is moved with e = theta - m
given, by the normal rule where it applies and else by a slice. All is recorded by replacing theta in
registers that are there, sufficient statistics included.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import LOCATION_SCALE
from dagmodels.forms.build_flat import Factor
from dagmodels.forms.conditionals import normal, slices
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.gaussian import Gaussian
from dagmodels.forms.conditionals.influence import Influence
from dagmodels.forms.conditionals.replaced import Replaced
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.squares import Statistics
from dagmodels.forms.conditionals.tangent import Tangents
from dagmodels.forms.conditionals.target import Target, Touched, coloured, distinct
from dagmodels.graph import expression as ex

name = "interweaving"
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
COLOURS = 4  # parts into which a class of scales may fall apart
NUMBERS = ("real", "lower", "upper", "interval")


@dataclass(frozen=True, eq=False, slots=True)
class Standard:
    """A node's elements that one statement gives by location and scale.

    slots : of the elements, as `rows` of the factor have them. location, scale : registers by element, of one
    entry where that serves all. others : registers of the law's other parameters.
    """

    node: str
    factor: Factor
    slots: Ints
    location: int
    scale: int
    others: tuple[int, ...]


Second = tuple[tuple[Update, tuple[Touched, ...]], ...]
"""Updates that belong together, each with what it touches."""


def interwoven(
    board: Board, classes: Sequence[Target], blocks: Sequence[frozenset[int]], served: Collection[int] = ()
) -> list[Second]:
    """All second updates. blocks : places of classes that are drawn jointly. served : places of scales that
    need none.
    """
    every = standards(board, classes)
    found = list[Second]()
    for k, target in enumerate(classes):
        if k in served or not moves(target):
            continue
        scaled = [s for s in every if board.influence.depends(s.scale, target.slots)]
        if scaled and (updates := tuple(_scale(board, target, scaled))):
            found.append(updates)
    for standard in every:
        own = {k for k, t in enumerate(classes) if t.node == standard.node}
        movers = [
            k
            for k, t in enumerate(classes)
            if t.kind in NUMBERS
            and t.units.shape[1] == 1
            and board.influence.depends(standard.location, t.slots)
            and not board.influence.depends(standard.scale, t.slots)
            and not any(k in block and own & block for block in blocks)
        ]
        if movers and (updates := _location(board, [classes[k] for k in movers], standard)):
            found.append(updates)
    return found


def moves(target: Target) -> bool:
    """Whether elements are numbers that move alone."""
    return target.kind in NUMBERS and target.units.shape[1] == 1 and not target.crowded


def standards(board: Board, classes: Sequence[Target]) -> list[Standard]:
    """Latents with a location and a scale that hang on known slots, by statement."""
    return [s for s in _standards(board, classes) if board.influence.pattern(s.scale) is not None]


def _standards(board: Board, classes: Sequence[Target]) -> Iterator[Standard]:
    """Latents with such a law, by statement."""
    builder = board.builder
    drawn = {t.node for t in classes}
    for factor in board.factors:
        site = factor.site
        _, places = LOCATION_SCALE.get(site.law.family, ("", None))
        if places is None or len(site.names) != 1 or site.event or factor.ties is not None:
            continue
        node = site.names[0]
        held = builder.holdings.get(node)
        if node not in drawn or held is None or builder.graph.nodes[node].observed:
            continue
        place = np.full(int(np.prod(builder.problem.shape(node), dtype=np.int64)), -1)
        place[held.places] = held.slots
        slots = place[site.places[:, 0]]
        if (slots < 0).any():
            continue
        jets = builder.jets
        registers = [jets.jet(a).value.register for a in builder.law_of(site)[1]]
        location, scale = registers[places[0]], registers[places[1]]
        if any(board.influence.depends(x, slots) for x in registers):
            continue  # elements that follow one another
        others = tuple(x for k, x in enumerate(registers) if k not in places)
        yield Standard(node, factor, slots, location, scale, others)


# -- scales ------------------------------------------------------------------------------------------------


def _scale(
    board: Board, target: Target, scaled: Sequence[Standard]
) -> Iterator[tuple[Update, tuple[Touched, ...]]]:
    """A slice of each class of scales that no row ties together."""
    owner = np.full(board.influence.size, -1)
    owner[target.slots] = np.arange(len(target.units))
    for s in scaled:
        if any(board.influence.depends(x, target.slots) for x in s.others):
            return
        of = owners(board, s.scale, target, s.slots.size)
        if of is None:
            return
        owner[s.slots[of >= 0]] = of[of >= 0]
        shifted = owners(board, s.location, target, s.slots.size)
        if shifted is None or ((shifted >= 0) & (shifted != of)).any():
            return
    gone = {s.factor.register for s in scaled}
    touched = list(_touched(board, owner, gone))
    colours = coloured(len(target.units), [(t.rows, t.owner) for t in touched])
    if colours is None or colours.max(initial=0) >= COLOURS:
        return
    for colour in range(int(colours.max(initial=0)) + 1):
        at = np.flatnonzero(colours == colour)
        part = replace(target, at=target.at[at], units=target.units[at])
        mine = np.full(len(target.units), -1)
        mine[at] = np.arange(at.size)
        own = np.where(owner >= 0, mine[owner], -1)
        yield from _slice(board, replace(part, touched=tuple(_touched(board, own, gone))), scaled, own)


def owners(board: Board, register: int, target: Target, n: int) -> Ints | None:
    """For each of n entries the unit of the class that it depends on, -1 where none; None where several."""
    place = np.full(board.influence.size, -1)
    place[target.slots] = np.arange(len(target.units))
    entries, slots = board.influence.pairs(register)
    unit = place[slots]
    entries, unit = entries[unit >= 0], unit[unit >= 0]
    length = board.recorder.length(register)
    if np.unique(entries).size < entries.size:
        return None
    found = np.full(length, -1)
    found[entries] = unit
    return found if length == n else np.repeat(found, n)


def _touched(board: Board, owner: Ints, gone: Iterable[int]) -> Iterator[Touched]:
    """Rows with the units on which they depend, directly or through what moves along."""
    for factor in board.factors:
        if factor.register in gone:
            continue
        rows, slot = board.pairs(factor)
        mine = owner[slot] >= 0
        if mine.any():
            pairs = distinct(rows[mine], owner[slot[mine]], int(owner.max()) + 1)
            yield Touched(factor, pairs[0], pairs[1], board.recorder.length(factor.register))


def _slice(
    board: Board, target: Target, scaled: Sequence[Standard], owner: Ints
) -> Iterator[tuple[Update, tuple[Touched, ...]]]:
    """Standardise, move the scales, and give back what moved along."""
    r, n = board.recorder, len(target.units)
    lower, upper, logarithm = line(board, target)
    parts = [(s, np.flatnonzero(owner[s.slots] >= 0)) for s in scaled]
    slots = np.concatenate([target.slots, *(s.slots[at] for s, at in parts)])
    here = board.entries(target.slots)
    start = [r.apply("log", here) if logarithm else here]
    for s, at in parts:
        gap = r.apply("-", board.entries(s.slots[at]), _spread(board, s.location, at))
        start.append(r.apply("/", gap, _spread(board, s.scale, at)))
    along, at_line = board.auxiliary(f"line of {target.node}", n)
    units = [board.auxiliary(f"standard {s.node}", at.size) for s, at in parts]
    moved = Moved.begun(board)
    moved.put(target.slots, r.apply("exp", along) if logarithm else along)
    after = [moved.values[-1][1]]
    for (s, at), (eta, _) in zip(parts, units, strict=True):
        scale, location = (_spread(board, moved.replaced().of(x), at) for x in (s.scale, s.location))
        moved.put(s.slots[at], r.apply("+", location, r.apply("*", scale, eta)))
        after.append(moved.values[-1][1])
    density = moved.replaced().of(board.log_density(target))
    if logarithm:
        density = r.apply("+", density, along)
    told = ", ".join(dict.fromkeys(f"'{s.node}'" for s in scaled))
    why = f"then by a slice with {told} in standard units (interweaving)"
    into = np.concatenate([at_line, *(places for _, places in units)])
    yield copied(board, target.node, into, start), ()
    numbers = np.concatenate([np.ones(n), np.zeros(n), lower, upper])
    own = slices.counting(board, target)
    update = Update(
        target.node, at_line, "slice", n, (density,), why, repeated=True, numbers=numbers, seldom=True, **own
    )  # fmt: skip
    yield update, target.touched
    yield copied(board, target.node, slots, after), ()


def line(board: Board, target: Target) -> tuple[Floats, Floats, bool]:
    """Ends of the line on which a slice moves, and whether it is that of logarithms."""
    lower, upper = slices.ends(target, whole=False)
    if (lower == 0.0).all() and not isinstance(target.ask.upper, ex.Expression):
        with np.errstate(divide="ignore"):
            return np.full(lower.size, -np.inf), np.log(upper), True
    return lower, upper, False


# -- locations ---------------------------------------------------------------------------------------------


def _location(
    board: Board, targets: Sequence[Target], standard: Standard
) -> tuple[tuple[Update, tuple[Touched, ...]], ...]:
    """Each location in turn with the deviations given; () where rows tie two of a class together."""
    r = board.recorder
    n = standard.slots.size
    of = np.arange(n)
    gap = r.apply("-", board.entries(standard.slots), _spread(board, standard.location, of))
    deviations, places = board.auxiliary(f"deviations of {standard.node}", n)
    moved = Moved.begun(board, {deviations: int(places[0])})
    moved.put(standard.slots, r.apply("+", _spread(board, standard.location, of), deviations))
    after = moved.values[-1][1]
    found: list[tuple[Update, tuple[Touched, ...]]] = []
    for target in targets:
        if any(board.influence.depends(x, target.slots) for x in standard.others):
            continue
        unit = owners(board, standard.location, target, n)
        if unit is None:
            continue
        owner = np.full(board.influence.size, -1)
        owner[target.slots] = np.arange(len(target.units))
        owner[standard.slots[unit >= 0]] = unit[unit >= 0]
        touched = tuple(_touched(board, owner, {standard.factor.register}))
        colours = coloured(len(target.units), [(t.rows, t.owner) for t in touched])
        if colours is None or colours.max(initial=0) > 0:
            continue
        whole = replace(target, touched=touched)
        update = normal.recognise(moved, whole)
        if not isinstance(update, Update):
            update = slices.recognise(moved, whole)
        if isinstance(update, Update):
            how = "by a slice" if update.repeated else "by its normal law"
            why = f"then {how} with '{standard.node}' given by its deviations (interweaving)"
            found.append((replace(update, why=why, seldom=True), touched))
    if not found:
        return ()
    return (
        (copied(board, standard.node, places, [gap]), ()),
        *found,
        (copied(board, standard.node, standard.slots, [after]), ()),
    )


# -- what both share ---------------------------------------------------------------------------------------


class Moved(Board):
    """A board on which some slots are given by registers; for the rules that ask for nothing else of it.

    Its own elements stay slots, and so do further variables that it is begun with: of these residuals are
    linear too, which sufficient statistics ask for.
    """

    def __init__(self, base: Board, influence: Influence) -> None:
        self.base, self.builder, self.added_inputs = base, base.builder, base.added_inputs
        self.influence = influence
        self.statistics = base.statistics if influence is base.influence else Statistics(influence)
        self.values: list[tuple[Ints, int]] = []
        self._gaussian, self._pairs = {}, base._pairs
        self._replaced: Replaced | None = None

    @classmethod
    def begun(cls, base: Board, further: dict[int, int] | None = None) -> Moved:
        """With nothing moved yet. further : first slots of auxiliary inputs."""
        if further is None:
            return cls(base, base.influence)
        size = max(start + base.recorder.length(x) for x, start in further.items())
        inputs = {**base.influence.inputs, **further}
        return cls(base, Influence(base.recorder, inputs, size, base.influence.levels))

    def put(self, slots: Ints, register: int) -> None:
        """Let a register, of one entry a slot, stand for slots."""
        self.values.append((slots, register))
        self._replaced, self._gaussian = None, {}

    def replaced(self) -> Replaced:
        """Registers with all that was put."""
        if self._replaced is None:
            slots = np.concatenate([s for s, _ in self.values])
            others = {}
            for register, start in self.base.influence.inputs.items():
                n = self.recorder.length(register)
                inside = [(s, x) for s, x in self.values if start <= s[0] < start + n]
                if inside:
                    rest = np.setdiff1d(np.arange(n), np.concatenate([s - start for s, _ in inside]))
                    parts = [(x, s - start) for s, x in inside]
                    if rest.size:
                        parts.append((self.recorder.gather(register, rest), rest))
                    others[register] = _whole(self.recorder, n, parts)
            self._replaced = Replaced(self.base.influence, slots, others)
        return self._replaced

    def gaussian(self, factor: Factor) -> Gaussian | None:
        key = factor.register
        if key not in self._gaussian:
            g = self.base.gaussian(factor)
            if g is not None and g.nearly:
                g = None  # no block, no acceptance
            of = self.replaced().of
            self._gaussian[key] = g and replace(g, residual=of(g.residual), weight=of(g.weight))
        return self._gaussian[key]

    def gaussian_in(self, factor: Factor, slots: Ints) -> Gaussian | None:
        return self.gaussian(factor)

    def side(self, touched: Touched, target: Target, tangents: Tangents) -> None:
        """Limits are on what has been moved."""

    def log_density(self, target: Target) -> int:
        return self.replaced().of(self.base.log_density(target))


def _whole(r: Any, n: int, parts: list[tuple[int, Ints]]) -> int:
    """Parts put together; one that is all of it is itself."""
    register, places = parts[0]
    if len(parts) == 1 and places.size == n and (places == np.arange(n)).all():
        return register
    return r.assemble(n, parts)


def _spread(board: Board, register: int, at: Ints) -> int:
    """The entries at places; of one entry, that one."""
    r = board.recorder
    n = r.length(register)
    if n == 1 or (at.size == n and (at == np.arange(n)).all()):
        return register
    return r.gather(register, at)


def copied(board: Board, node: str, slots: Ints, registers: Sequence[int]) -> Update:
    """Write registers into slots, one after the other."""
    r = board.recorder
    if len(registers) > 1:
        at = np.cumsum([0, *(r.length(x) for x in registers)])
        parts = [(x, a + np.arange(r.length(x))) for x, a in zip(registers, at, strict=False)]
        registers = [r.assemble(int(at[-1]), parts)]
    return Update(node, slots, "copy", slots.size, (registers[0],), "", seldom=True)
