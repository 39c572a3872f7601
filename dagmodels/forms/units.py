"""Units of a density: groups of few latents each, independent of one another given all other unknowns.

They are found on the tape of the `flat` form. Latents that meet in one entry of a log density belong
together. Candidates are taken one by one, those with the most elements first, as long as no unit gets more
than `MOST_DIMENSIONS` elements; the others stay outer. So of students' abilities and items' difficulties
the abilities are integrated.

Units that are the same function of their elements and of the outer unknowns need one integral: students with
one response pattern. They are found by value, at random points: log densities that are analytic and agree to
the last digits at several points agree everywhere, but for pairs closer than that.

Every factor must be log-concave in its unit's elements, as `numerics.curvature` proves it: then a tangent
bounds it, and elements are drawn exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.discrete_latents import discrete_latents
from dagmodels.analysis.unit_integrals import candidates
from dagmodels.bind.problem import Problem
from dagmodels.forms.build_flat import FlatBuilder
from dagmodels.forms.flat import Flat
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.standard_units import standard_units
from dagmodels.forms.unit_copies import Copies, one_copy
from dagmodels.forms.unit_summands import Summands, summands
from dagmodels.numerics.curvature import AFFINE, CONCAVE, curvature
from dagmodels.numerics.dependence import components, reached
from dagmodels.numerics.pruning import compact
from dagmodels.numerics.slicing import Slice, needed, sliced
from dagmodels.numerics.tape import Tape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_DIMENSIONS = 3
MOST_OUTER = 50  # more outer unknowns than this are no few
PROBES = ((1.0, 1), (0.1, 2), (1e-2, 3), (1e-3, 4))  # sizes and seeds of the points where units are compared


@dataclass(frozen=True, eq=False, slots=True)
class Factored:
    """A tape with its log density in entries, each of one unit or of none.

    outer : places of the outer unknowns, unconstrained. place : of each unit's elements, (units, d), -1 where
    it has fewer. entry : places of log densities. owner : their units, -1 of none. times : how often each
    counts. quadratic : which are polynomials of degree two at most in the elements. weight : how many units
    each stands for. summands : functions that log densities of units of one element are sums of, None where
    they are no such sums.
    """

    tape: Tape
    outer: Ints
    place: Ints
    entry: Ints
    owner: Ints
    times: Floats
    quadratic: NDArray[np.bool_]
    weight: Floats
    summands: Summands | None

    @property
    def shape(self) -> tuple[int, int]:
        """Units, and the most elements of one."""
        return self.place.shape  # type: ignore[return-value]

    def densities(self, points: Floats, elements: Floats) -> Floats:
        """Log densities (points, units) at outer points and elements (points, units, d) of all units."""
        from dagmodels.numerics.unit_steps import densities

        found = np.empty(elements.shape[:2])
        own = self.one_copy()
        densities(*own.arguments, np.ascontiguousarray(points), np.ascontiguousarray(elements), found)
        return found

    def one_copy(self) -> Copies:
        """As kernels take it."""
        return one_copy(self.tape, self.outer, self.place, self.entry, self.owner, self.times)


@dataclass(frozen=True, eq=False, slots=True)
class Units:
    """The units of a problem.

    problem : with scales in standard units where their priors need it (`standard_units`). standard : these
    scales; the nodes that stand for them are none of the user's. flat : the whole density.
    latents : nodes that are integrated. outer_nodes : the other unknowns.
    outer, elements : places of both in the flat form's vector, elements as (units, d), -1 where fewer.
    every : all units. distinct : one of each kind. kind : of each unit, its number among these.
    """

    problem: Problem
    standard: tuple[str, ...]
    flat: Flat
    latents: tuple[str, ...]
    outer_nodes: tuple[str, ...]
    outer: Ints
    elements: Ints
    every: Factored
    distinct: Factored
    kind: Ints


@dataclass(frozen=True, slots=True)
class NoUnits:
    """Why there are none, with node names."""

    because: tuple[str, ...]


def units(problem: Problem) -> Units | NoUnits:
    """The units of a problem, or why there are none; kept with the problem."""
    key = ("units",)
    if key not in problem.memo:
        problem.memo[key] = _units(problem)
    return problem.memo[key]


def _units(problem: Problem) -> Units | NoUnits:
    if summed := discrete_latents(problem.graph, problem).nodes:
        return NoUnits((f"{', '.join(map(repr, summed))}: summed out, together with what is continuous",))
    if free := [n for n, node in problem.graph.nodes.items() if node.kind == "parameter"]:
        return NoUnits((f"{', '.join(map(repr, free))}: no prior",))
    problem, standard = standard_units(problem)
    asked = candidates(problem.graph, problem)
    if asked.against:
        return NoUnits(asked.against)
    try:
        builder = FlatBuilder(problem, None)
        flat = builder.build()
    except NotLowered as error:
        return NoUnits((str(error),))
    tape, entry, times, source = _entries(builder)
    at = {n: _numbers(flat, n) for n in flat.unknown}
    tried = sorted((n for n in asked.names if n in at), key=lambda n: -at[n].size)
    latents: list[str] = []
    against: list[str] = []
    owners = np.full(tape.initial.size, -1)
    stands = dict(zip(tried, reached(tape, [at[n] for n in tried], entry), strict=True))
    for name in tried:
        met = np.unique(owners[entry][stands[name]])
        if (met >= 0).sum() > (MOST_DIMENSIONS - 1) * at[name].size:
            continue  # so many units that they meet in one of its elements: no need to count
        size, own = _most(tape, np.concatenate([at[n] for n in (*latents, name)]))
        if size <= MOST_DIMENSIONS:
            latents.append(name)
            owners = own
        elif not latents:
            against.append(f"'{name}': {size} of its elements meet, more than {MOST_DIMENSIONS}")
    if not latents:
        return NoUnits(tuple(against))
    chosen = np.sort(np.concatenate([at[n] for n in latents]))
    outer = np.setdiff1d(np.arange(flat.size), chosen)
    if outer.size > MOST_OUTER:
        rest = ", ".join(f"'{n}'" for n in flat.unknown if n not in latents)
        return NoUnits((f"{rest}: {outer.size} numbers would be left beside the units, too many",))
    curved = curvature(tape, chosen)
    parts = summands(tape, curved, entry)
    owner, number = owners[entry], owners[chosen]
    unproven = (owner >= 0) & ~np.isin(curved.shape[entry], (AFFINE, CONCAVE))
    if unproven.any():
        told = (_factor_of(builder, k) for k in dict.fromkeys(source[unproven].tolist()))
        named = ", ".join(dict.fromkeys(told))
        return NoUnits((f"{named}: not known to be log-concave in {', '.join(map(repr, latents))}",))
    place = _table(number, chosen)
    parts = None if parts is None or place.shape[1] > 1 else replace(parts, owner=owners[parts.argument])
    quadratic = curved.degree[entry] <= 2
    every = Factored(tape, outer, place, entry, owner, times, quadratic, np.ones(len(place)), parts)
    kind = _kinds(every)
    outer_nodes = tuple(n for n in flat.unknown if n not in latents)
    return Units(
        problem,
        standard,
        flat,
        tuple(n for n in flat.unknown if n in latents),
        outer_nodes,
        outer,
        place,
        every,
        _distinct(every, kind),
        kind,
    )


def _entries(builder: FlatBuilder) -> tuple[Tape, Ints, Floats, Ints]:
    """The tape with places of all log densities and Jacobians, how often each counts, and its factor."""
    recorder = builder.recorder
    terms = [(f.register, f.times) for f in builder.factors]
    terms += builder.jacobian
    for register, _ in terms:
        recorder.start(register)
    tape = compact(recorder.finish(), [r for r, _ in terms])
    places = [np.arange(p.start, p.stop) for p in (tape.place(r) for r, _ in terms)]
    times = [np.full(p.size, float(t)) for p, (_, t) in zip(places, terms, strict=True)]
    source = np.repeat(np.arange(len(places)), [p.size for p in places])
    return tape, np.concatenate(places), np.concatenate(times), source


def _factor_of(builder: FlatBuilder, k: int) -> str:
    """What a factor is, in words."""
    if k >= len(builder.factors):
        return "the change of variables"
    return ", ".join(f"'{n}'" for n in builder.factors[k].site.names)


def _numbers(flat: Flat, name: str) -> Ints:
    """Where a node's numbers stand in the unconstrained vector."""
    found = [np.arange(s.start, s.start + s.length) for s in flat.stretches if s.node == name]
    return np.concatenate([np.zeros(0, np.int64), *found])


def _most(tape: Tape, chosen: Ints) -> tuple[int, Ints]:
    """The most of these places that meet, and for each place of the workspace the group on which it depends,
    -1 where on none."""
    number, owners = components(tape, np.sort(chosen), np.arange(tape.initial.size))
    return int(np.bincount(number).max(initial=0)), owners


def _table(number: Ints, chosen: Ints) -> Ints:
    """Places of the elements of each unit, (units, d)."""
    sizes = np.bincount(number)
    order = np.argsort(number, kind="stable")
    rank = np.arange(number.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = np.full((sizes.size, int(sizes.max(initial=0))), -1, dtype=np.int64)
    place[number[order], rank] = chosen[order]
    return place


def _kinds(every: Factored) -> Ints:
    """For each unit the number of its kind."""
    n, d = every.shape
    found = [(every.place >= 0).sum(axis=1).astype(np.float64)]
    for size, seed in PROBES:
        rng = np.random.default_rng(seed)
        point, element = size * rng.standard_normal((1, every.outer.size)), size * rng.standard_normal(d)
        value = every.densities(point, np.broadcast_to(element, (1, n, d)).copy())[0]
        found.append(np.array([float(f"{v:.11g}") for v in value]))
    table = np.stack(found, axis=1)
    odd = ~np.isfinite(table).all(axis=1)  # compared with nothing
    table[odd] = 0.0
    table[odd, 0] = -1.0 - np.flatnonzero(odd)
    _, first, kind = np.unique(table, axis=0, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # numbered as they come
    return np.asarray(rank[kind.reshape(-1)], dtype=np.int64)


def _distinct(every: Factored, kind: Ints) -> Factored:
    """One unit of each kind, on a tape that holds no others, and of choices by data what is chosen."""
    _, first, counts = np.unique(kind, return_index=True, return_counts=True)
    new = np.full(kind.size, -1, dtype=np.int64)
    new[first] = kind[first]
    kept = (every.owner < 0) | (new[every.owner] >= 0)
    place = every.place[first]
    entry, owner = every.entry[kept], every.owner[kept]
    read = np.concatenate([entry, every.outer, place[place >= 0]])
    part = sliced(every.tape, read)
    moved = part.places
    return Factored(
        part.tape,
        moved[every.outer],
        np.where(place >= 0, moved[place], -1),
        moved[entry],
        np.where(owner >= 0, new[owner], -1),
        every.times[kept],
        every.quadratic[kept],
        counts.astype(np.float64),
        _own_summands(every, part, moved[entry], new),
    )


def _own_summands(every: Factored, part: Slice, entry: Ints, new: Ints) -> Summands | None:
    """Those that the entries of a part of the tape are made of; new : numbers of its units."""
    if every.summands is None:
        return None
    read = needed(part.tape, entry)
    return every.summands.moved(np.where(read[part.places], part.places, -1), new)
