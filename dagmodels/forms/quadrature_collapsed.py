"""The posterior of a few outer unknowns, with small units of latents integrated by quadrature.

Given the outer unknowns each unit (`units`) has a density of at most three dimensions. Its integral is by
adaptive Gauss-Hermite quadrature about its mode (Pinheiro and Bates 1995, J. Comput. Graph. Stat. 4, section
2.4), with as many nodes as make further ones immaterial. A unit's elements are then drawn exactly, by
rejection from a normal law that bounds its log-concave density.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.collapsible import Collapsible
from dagmodels.analysis.roles import roles
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.collapsed import Visit
from dagmodels.forms.completion import Completion, completion
from dagmodels.forms.outer_mode import Modes, modes_from
from dagmodels.forms.units import NoUnits, Units, units

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ORDERS = (7, 11, 15, 23, 33, 49)  # nodes in each dimension that are tried
TOLERANCE = 1e-6  # of the log density
MATTERS = 0.05  # of the density at the mode
AWAY = (1.0, 2.0, 3.0)  # standard deviations from the mode at which the order is checked, and at the mode
ROUNDING = 1e-8  # by which a log density may exceed its bound
PORTION = 1 << 20  # elements that are drawn at once
ROUNDS = 10_000


@lru_cache(maxsize=32)
def _one_dimension(order: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    return nodes, np.log(weights) - 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True, eq=False, slots=True)
class Rule:
    """Nodes (n, d) and log weights (n) of the mean over independent standard normals."""

    order: int
    nodes: Floats
    log_weights: Floats

    @classmethod
    def of(cls, order: int, dimensions: int) -> Rule:
        """The product rule."""
        nodes, log_weights = _one_dimension(order)
        grid = np.array(list(product(range(order), repeat=dimensions)), dtype=np.int64)
        grid = grid.reshape(order**dimensions, dimensions)
        return cls(order, np.ascontiguousarray(nodes[grid]), log_weights[grid].sum(axis=1))


@dataclass(frozen=True, eq=False, slots=True)
class QuadratureCollapsed:
    """See the module; answers as `Collapsed` does.

    names : of the coordinates of y. begin : elements of the distinct units where their modes are looked for
    from. best : modes of y, None until they were found. workspace : of one thread.
    """

    problem: Problem
    units: Units
    verdict: Collapsible
    names: tuple[str, ...]
    completion: Completion
    rule: Rule
    begin: Floats
    workspace: Floats
    best: Modes | None = None

    @property
    def dimension(self) -> int:
        """Number of outer coordinates; with none, draws are independent."""
        return len(self.names)

    def for_thread(self) -> QuadratureCollapsed:
        """The same with a workspace of its own."""
        return replace(self, workspace=self.units.distinct.tape.initial.copy())

    # -- the density ---------------------------------------------------------------------------------

    def log_density(self, y: Floats) -> tuple[float, Floats]:
        """Log posterior density of y (Jacobian included; its integral is the evidence) and its gradient.

        Minus infinity and nan where y is not admissible.
        """
        from dagmodels.numerics.unit_steps import value_and_gradient

        gradient = np.empty(self.dimension)
        value = value_and_gradient(*self._arguments(), np.ascontiguousarray(y), gradient)
        return float(value), gradient

    def log_densities(self, y: Floats) -> Floats:
        """Of many points, one a row, in one compiled call."""
        from dagmodels.numerics.unit_steps import values

        found = np.empty(len(y))
        values(*self._arguments(), np.ascontiguousarray(y), found)
        return found

    def _arguments(self) -> tuple[Any, ...]:
        f = self.units.distinct
        places = (f.outer, f.place, f.entry, f.owner, f.times, f.weight)
        rule = (self.begin, self.rule.nodes, self.rule.log_weights)
        return (*f.tape.operations, self.workspace, *places, *rule)

    def _criterion(self, y: Floats) -> tuple[float, Floats]:
        value, gradient = self.log_density(y)
        return -2.0 * value, -2.0 * gradient

    def modes(self) -> Modes:
        """The mode in y with its Hessian (of minus twice the log density), from scratch."""
        if self.best is not None:
            return self.best
        return modes_from(self._criterion, self._starts(), self.names)

    def polished(self, modes: Modes) -> Modes:
        """The same mode with this rule, from where another rule has it."""
        size = np.sqrt(np.diagonal(np.linalg.inv(0.5 * modes.best.hessian)))
        best = modes_from(self._criterion, [(modes.best.x, size)], self.names).best
        return Modes(best, modes.others)

    def _starts(self) -> Iterator[tuple[Floats, Floats]]:
        """Points where the density is finite, each with the size of every coordinate."""
        rng = np.random.default_rng(1)
        for k in range(40):
            y = rng.uniform(-2.0, 2.0, self.dimension) if k else np.zeros(self.dimension)
            value, gradient = self._criterion(y)
            if math.isfinite(value):
                yield y, self._sizes(y, gradient)

    def _sizes(self, y: Floats, gradient: Floats) -> Floats:
        """One over the root of half the curvature in each coordinate, 1 where it does not curve upward."""
        found = np.ones(y.size)
        for i in range(y.size):
            step = 1e-4
            there = y.copy()
            there[i] += step
            curvature = 0.5 * (self._criterion(there)[1][i] - gradient[i]) / step
            if math.isfinite(curvature) and curvature > 0.0:
                found[i] = min(max(curvature**-0.5, 1e-8), 1e4)
        return found

    # -- draws ---------------------------------------------------------------------------------------

    @property
    def drawn(self) -> tuple[str, ...]:
        """Every node that `draws` knows: unknowns, responses with missing values, deterministic nodes."""
        return (*self.units.flat.unknown, *self.completion.nodes)

    def constrain(self, y: Floats) -> dict[str, Floats]:
        """Values of the outer nodes in their shapes, at one point or at many (points first)."""
        flat = self.units.flat
        whole = np.zeros((*y.shape[:-1], flat.size))
        whole[..., self.units.outer] = y
        found = flat.constrain(whole)
        return {n: found[n] for n in self.units.outer_nodes}

    def draws(
        self, y: Floats, rng: np.random.Generator, nodes: Collection[str] | None = None
    ) -> dict[str, Floats]:
        """One exact joint draw of everything integrated at each point y, and the nodes' values there.

        y : points of the outer unknowns, one a row. rng : gives two streams (elements, missing responses).
        nodes : which are wanted; None: all of `drawn`.
        Returns arrays (draws, *shape of the node).
        """
        return self.draws_and_densities(y, rng, nodes)[0]

    def draws_and_densities(
        self, y: Floats, rng: np.random.Generator, nodes: Collection[str] | None = None
    ) -> tuple[dict[str, Floats], Floats]:
        """As `draws`, and the log density of each point."""
        return self.draws_of(len(y), lambda part, normals: self.visited(y[part], normals), rng, nodes)

    def visited(self, y: Floats, normals: np.random.Generator) -> Visit:
        """Points (one a row) with their densities, and draws of units of one element.

        These come from the visit itself, by rejection below the tangents at the nodes (`unit_draws`); larger
        units are drawn once the points are settled, at more cost.
        """
        y = np.ascontiguousarray(y)
        if self.units.every.shape[1] > 1:
            return Visit(self.log_densities(y), y.copy(), np.empty((len(y), 0)))
        from dagmodels.numerics.unit_draws import draws

        found, density = np.empty((len(y), len(self.units.kind))), np.empty(len(y))
        draws(*self._arguments(), self.units.kind, normals, y, found, density)
        return Visit(np.where(np.isnan(density), -np.inf, density), y.copy(), found)

    def draws_of(
        self,
        count: int,
        visit: Callable[[slice, np.random.Generator], Visit],
        rng: np.random.Generator,
        nodes: Collection[str] | None = None,
    ) -> tuple[dict[str, Floats], Floats]:
        """As `draws_and_densities`, at points found as they are visited; see `Collapsed.draws_of`."""
        unknown = [n for n in nodes or () if n not in self.drawn]
        if unknown:
            told = [self.completion.refused.get(n, f"'{n}' is no unknown of the model") for n in unknown]
            raise FitError(f"no draws of {', '.join(map(repr, unknown))}: {'; '.join(dict.fromkeys(told))}")
        wanted = [n for n in self.drawn if nodes is None or n in nodes]
        predicted = roles(self.problem.graph, self.problem).predicted
        rest = self.completion if nodes is None else completion(self.problem, predicted, wanted)
        elements, missing = rng.spawn(2)
        flat, own = self.units.flat, self.units.elements
        portion = max(1, PORTION // max(flat.size, 1))
        shapes = {n: self.problem.shape(n) for n in wanted}
        drawn = {n: np.empty((count, math.prod(s))) for n, s in shapes.items()}
        densities = np.empty(count)
        for begin in range(0, count, portion):
            part = slice(begin, min(begin + portion, count))
            at = visit(part, elements)
            densities[part] = at.density
            self._all_inside(at.density)
            whole = np.zeros((len(at.values), flat.size))
            whole[:, self.units.outer] = at.values
            of_units = at.elements[:, :, None] if own.shape[1] == 1 else self.elements(at.values, elements)
            whole[:, own[own >= 0]] = of_units[:, own >= 0]
            found = {n: v.reshape(len(whole), -1) for n, v in flat.constrain(whole).items()}
            rest.complete(found, missing)
            for name, values in drawn.items():
                values[part] = found[name]
        return {n: v.reshape(count, *shapes[n]) for n, v in drawn.items()}, densities

    def elements(self, y: Floats, rng: np.random.Generator) -> Floats:
        """Exact draws of all units' elements, (points, units, d): rejection from normal laws that bound them.

        Right for units of any size; those of one element have a tighter bound (`visited`).

        A unit's log density is a quadratic q (its prior) and concave terms l, of which the tangent at the
        mode lies above: h <= T, T the quadratic with q's curvature that touches h at the mode
        (`unit_steps.tangents`). Proposals have the normal law of T and are kept with probability exp(h - T);
        about the ratio of the unit's standard deviations after and before the data is kept. Rounds of
        proposals for all units at a point, until every unit has taken one.
        """
        every, kind = self.units.every, self.units.kind
        n, d = every.shape
        centre, root, top = self.tangents(y)
        found = np.zeros((len(y), n, d))
        open_ = np.ones((len(y), n), dtype=bool)
        for _ in range(ROUNDS):
            at = np.flatnonzero(open_.any(axis=1))
            if not at.size:
                return found
            z = rng.standard_normal((at.size, n, d))
            z[:, every.place < 0] = 0.0
            proposed = centre[at][:, kind] + np.einsum("mgij,mgj->mgi", root[at][:, kind], z)
            ratio = every.densities(y[at], proposed) - top[at][:, kind] + 0.5 * (z**2).sum(axis=2)
            if (ratio > ROUNDING * (1.0 + abs(top[at][:, kind]))).any():
                raise FitError("a unit's density exceeds its bound: its factors are not log-concave")
            taken = open_[at] & (ratio > -rng.standard_exponential(ratio.shape))
            found[at] = np.where(taken[:, :, None], proposed, found[at])
            open_[at] &= ~taken
        raise FitError("elements of units could not be drawn: their densities are far narrower than priors")

    def tangents(self, y: Floats) -> tuple[Floats, Floats, Floats]:
        """Centres, roots and heights of the laws that bound every distinct unit's density at each point."""
        from dagmodels.numerics.unit_steps import tangents

        f = self.units.distinct
        n, d = f.shape
        centre, root, top = np.empty((len(y), n, d)), np.empty((len(y), n, d, d)), np.empty((len(y), n))
        places = (f.outer, f.place, f.entry, f.owner, f.times, f.weight, self.begin)
        seeds = np.where(f.quadratic, f.times, 0.0)
        points = np.ascontiguousarray(y)
        tangents(*f.tape.operations, self.workspace, *places, seeds, points, centre, root, top)
        self._all_inside(top.sum(axis=1))
        return centre, root, top

    def _all_inside(self, density: Floats) -> None:
        outside = int((~np.isfinite(density)).sum())
        if outside:
            raise FitError(
                f"{outside} of {len(density)} points have no posterior density: nothing is drawn there"
            )


def quadrature_collapsed(problem: Problem) -> QuadratureCollapsed:
    """The posterior of a problem's outer unknowns, its order of quadrature checked about the mode.

    Raises `FitError` where the graph has no small units, with every reason, where no mode is found, and where
    the most nodes are not enough.
    """
    found = units(problem)
    if isinstance(found, NoUnits):
        raise FitError(f"no quadrature for '{problem.graph.name}': {'; '.join(found.because)}")
    labels = found.flat.names
    names = tuple(labels[i] for i in found.outer.tolist())
    rest = completion(problem, roles(problem.graph, problem).predicted)
    d = found.distinct.shape[1]
    made = QuadratureCollapsed(
        problem,
        found,
        verdict(found, None),
        names,
        rest,
        Rule.of(ORDERS[0], d),
        np.zeros(found.distinct.shape),
        found.distinct.tape.initial.copy(),
    )
    error, modes = math.inf, None
    for order in ORDERS:
        made = replace(made, rule=Rule.of(order, d))
        modes = made.modes() if modes is None else made.polished(modes)
        y = _around(modes)
        error = _error(made, y, d)
        if error < TOLERANCE:
            begin = made.tangents(modes.best.x[None, :])[0][0]
            return replace(
                made, best=modes, begin=np.ascontiguousarray(begin), verdict=verdict(found, order, error)
            )
    raise FitError(
        f"quadrature with {ORDERS[-1]} nodes in each dimension is off by {error:.2g} in the log density"
    )


def _around(modes: Modes) -> Floats:
    """The mode, and points some standard deviations from it along each coordinate."""
    centre = modes.best.x
    if not centre.size:
        return centre[None, :]
    sd = np.diag(np.sqrt(np.diagonal(np.linalg.inv(0.5 * modes.best.hessian))))
    return np.concatenate([centre[None, :], *(centre + way * a * sd for a in AWAY for way in (-1.0, 1.0))])


def _error(made: QuadratureCollapsed, y: Floats, d: int) -> float:
    """The largest change of the log density when there are about twice as many nodes.

    y : the mode first. Where the density is less than `MATTERS` of that there, changes count less in
    proportion: they are as much less of the whole.
    """
    finer = replace(made, rule=Rule.of(2 * made.rule.order + 1, d))
    value, better = made.log_densities(y), finer.log_densities(y)
    change = np.abs(value - better) * np.exp(np.minimum(0.0, better - better[0] - math.log(MATTERS)))
    return float(change.max()) if np.isfinite(change).all() else math.inf


def verdict(found: Units, order: int | None, error: float = 0.0) -> Collapsible:
    """What is integrated and what is sampled, in words."""
    n, d = found.every.shape
    kinds = found.distinct.shape[0]
    of = f"{kinds} distinct ones of {n} units" if kinds < n else f"{n} units"
    how = "" if order is None else f", {order} nodes in each dimension: off by {error:.1g} in the log density"
    what = f"{_listed(found.latents)} integrated by adaptive quadrature"
    told = [f"{what}: {of}, of dimension {d} at most{how}"]
    told += [f"{_listed(found.outer_nodes)} sampled: what the units share"] if found.outer_nodes else []
    return Collapsible(True, tuple(told), found.latents, (), found.outer_nodes)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{n}'" for n in names)


__all__ = ["QuadratureCollapsed", "quadrature_collapsed", "verdict"]
