"""The posterior of a few outer unknowns, with small units of latents integrated by quadrature.

Given the outer unknowns each unit (`units`) has a density of at most three dimensions. Its integral is by
adaptive Gauss-Hermite quadrature about its mode (Pinheiro and Bates 1995, J. Comput. Graph. Stat. 4, section
2.4), with as many nodes as make further ones immaterial. A unit's elements are then drawn exactly, by
rejection from a normal law that bounds its log-concave density.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.collapsible import Collapsible
from dagmodels.analysis.roles import roles
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.completion import Completion, completion
from dagmodels.forms.necks import neck
from dagmodels.forms.outer_mode import Modes, NoMode, modes_from
from dagmodels.forms.quadrature_rule import Rule
from dagmodels.forms.standard_units import units_of
from dagmodels.forms.unit_copies import MOST, Copies, Start, copies, fitting
from dagmodels.forms.unit_summands import line_copies
from dagmodels.forms.units import NoUnits, Units, units
from dagmodels.forms.visits import Choose, Visit, Visiting, all_inside, asked_for, portioned
from dagmodels.numerics.sampling.independence import Proposal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ORDERS = (7, 9, 11, 13, 15, 19, 23, 33, 49)  # nodes in each dimension that are tried
TOLERANCE = 1e-6  # of the log density
CLOSE = 1e-3  # of the log density: a mode by a rule that is off by less is good enough for proposals
MATTERS = 0.05  # of the density at the mode
AWAY = (1.0, 2.0, 3.0)  # standard deviations from the mode at which the order is checked, and at the mode
STEP = 1e-4  # differences of gradients
REACHED = 20.0  # sizes of a coordinate within which starts lie
SPREAD, DEGREES = 32, 5.0  # and at so many points of a multivariate t about it
ROUNDING = 1e-8  # by which a log density may exceed its bound
PORTION = 1 << 20  # elements that are drawn at once
TABLES = 1 << 22  # numbers of tangents that are kept at once
ROUNDS = 10_000


@dataclass(frozen=True, eq=False, slots=True)
class QuadratureCollapsed:
    """See the module; answers as `Collapsed` does.

    names : of the coordinates of y. start : where the distinct units' modes are looked for. tapes : these
    units on tapes of one copy and of more. best : modes of y, None until they were found.
    """

    problem: Problem
    units: Units
    verdict: Collapsible
    names: tuple[str, ...]
    completion: Completion
    rule: Rule
    start: Start
    tapes: tuple[Copies, ...]
    best: Modes | None = None

    @property
    def dimension(self) -> int:
        """Number of outer coordinates; with none, draws are independent."""
        return len(self.names)

    def for_thread(self) -> QuadratureCollapsed:
        """The same with a workspace of its own."""
        return replace(self, tapes=tuple(t.for_thread() for t in self.tapes))

    # -- the density ---------------------------------------------------------------------------------

    def log_density(self, y: Floats) -> tuple[float, Floats]:
        """Log posterior density of y (Jacobian included; its integral is the evidence) and its gradient.

        Minus infinity and nan where y is not admissible.
        """
        value, gradient = self.log_densities_and_gradients(y[None, :])
        return float(value[0]), gradient[0]

    def log_densities(self, y: Floats) -> Floats:
        """Of many points, one a row, in one compiled call."""
        return self._values(y, sloped=False)[0]

    def log_densities_and_gradients(self, y: Floats) -> tuple[Floats, Floats]:
        """The same with gradients, (points, outer)."""
        return self._values(y, sloped=True)

    def _values(self, y: Floats, sloped: bool) -> tuple[Floats, Floats]:
        return self._tape(len(y)).values(self.units.distinct.weight, self.start, self.rule, y, sloped)

    def _tape(self, points: int) -> Copies:
        return next((t for t in self.tapes if t.count >= points), self.tapes[-1])

    def _criterion(self, y: Floats) -> tuple[float, Floats]:
        value, gradient = self.log_density(y)
        return -2.0 * value, -2.0 * gradient

    def modes(self) -> Modes:
        """The mode in y with its Hessian (of minus twice the log density), from scratch."""
        if self.best is not None:
            return self.best
        return modes_from(self._criterion, self._starts(), self.names, self._curvature)

    def polished(self, modes: Modes) -> Modes:
        """The same mode with this rule, from where another rule has it."""
        size = np.sqrt(np.diagonal(np.linalg.inv(0.5 * modes.best.hessian)))
        best = modes_from(self._criterion, [(modes.best.x, size)], self.names, self._curvature).best
        return Modes(best, modes.others)

    def _curvature(self, y: Floats) -> Floats | None:
        """Hessian of the criterion by one-sided differences, in one call; None where it is not finite."""
        found, gradient = self.log_densities_and_gradients(np.vstack([y, y + STEP * np.eye(y.size)]))
        if not np.isfinite(found).all():
            return None
        hessian = -2.0 * (gradient[1:] - gradient[0]) / STEP
        return 0.5 * (hessian + hessian.T)

    def _starts(self) -> Iterator[tuple[Floats, Floats]]:
        """Points where the density is finite, each with the size of every coordinate: one over the root of
        half the curvature, 1 where it does not curve upward.

        Zero, and points about it: up to 2 away, or `REACHED` sizes where these are smaller, as those of a
        coefficient are whose covariate is in the thousands.
        """
        rng, reach = np.random.default_rng(1), np.full(self.dimension, 2.0)
        for k in range(40):
            y = reach * rng.uniform(-1.0, 1.0, self.dimension) if k else np.zeros(self.dimension)
            if math.isfinite(self._criterion(y)[0]):
                curved = self._curvature(y)
                curvature = np.ones(y.size) if curved is None else 0.5 * np.diagonal(curved)
                size = np.clip(np.where(curvature > 0.0, curvature, 1.0) ** -0.5, 1e-8, 1e4)
                if not k:
                    reach = np.minimum(2.0, np.where(curvature > 0.0, REACHED * size, 2.0))
                yield y, np.where(curvature > 0.0, size, 1.0)

    # -- draws ---------------------------------------------------------------------------------------

    @property
    def drawn(self) -> tuple[str, ...]:
        """Every node that `draws` knows: unknowns, responses with missing values, deterministic nodes."""
        aside = set(map(units_of, self.units.standard))
        return (*(n for n in self.units.flat.unknown if n not in aside), *self.completion.nodes)

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
        """Points (one a row) with their densities, and draws of all elements."""
        return self.through(y, y[:0], lambda density: np.arange(density.size), normals)

    def through(self, y: Floats, before: Floats, choose: Choose, normals: np.random.Generator) -> Visit:
        """Draws at points that are chosen once their densities are known, see `Choose`.

        Tangents at the nodes of the quadrature serve draws of units of one element (`unit_draws`), at any
        point; larger units are drawn at more cost.
        """
        points = np.concatenate([y, before.reshape(-1, self.dimension)]) if self.dimension else y
        if self.units.every.shape[1] > 1:
            density = self.log_densities(points)
            rows = choose(density[: len(y)])
            all_inside(density[rows])
            elements = self.elements(points[rows], normals)
            return Visit(density[rows], points[rows], elements.reshape(len(y), -1))
        tables = self._tape(len(points)).tables(self.units.distinct.weight, self.start, self.rule, points)
        density = np.where(np.isnan(tables.density), -np.inf, tables.density)
        rows = choose(density[: len(y)])
        rows = np.where(rows < 0, len(points) - 1, rows)
        all_inside(density[rows])
        return Visit(density[rows], points[rows], tables.draws(rows, self.units.kind, normals))

    def draws_of(
        self, count: int, visit: Visiting, rng: np.random.Generator, nodes: Collection[str] | None = None
    ) -> tuple[dict[str, Floats], Floats]:
        """As `draws_and_densities`, at points that are found as they are visited."""
        wanted = asked_for(self.drawn, nodes, self.completion.refused)
        predicted = roles(self.problem.graph, self.problem).predicted
        rest = self.completion if nodes is None else completion(self.problem, predicted, wanted)
        elements, missing = rng.spawn(2)
        flat, own = self.units.flat, self.units.elements

        def complete(at: Visit) -> Mapping[str, Floats]:
            whole = np.zeros((len(at.values), flat.size))
            whole[:, self.units.outer] = at.values
            whole[:, own[own >= 0]] = at.elements[:, (own >= 0).reshape(-1)]
            found = {n: v.reshape(len(whole), -1) for n, v in flat.constrain(whole).items()}
            rest.complete(found, missing)
            return found

        tables = len(self.units.distinct.place) * 5 * (self.rule.order + 1) if own.shape[1] == 1 else 0
        portion = max(1, min(PORTION // max(flat.size, 1), TABLES // max(tables, 1)))
        shapes = {n: self.problem.shape(n) for n in wanted}
        return portioned(count, portion, shapes, lambda part: visit(part, elements), complete)

    def elements(self, y: Floats, rng: np.random.Generator) -> Floats:
        """Exact draws of all units' elements, (points, units, d): rejection from normal laws that bound them.

        Right for units of any size; those of one element have a tighter bound (`through`).

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
        from dagmodels.numerics.unit_tangents import tangents

        f = self.units.distinct
        n, d = f.shape
        centre, root, top = np.empty((len(y), n, d)), np.empty((len(y), n, d, d)), np.empty((len(y), n))
        seeds = np.where(f.quadratic, f.times, 0.0)
        tangents(*f.one_copy().arguments, *self.start, seeds, np.ascontiguousarray(y), centre, root, top)
        all_inside(top.sum(axis=1))
        return centre, root, top


def quadrature_collapsed(problem: Problem) -> QuadratureCollapsed:
    """The posterior of a problem's outer unknowns, its order of quadrature checked about the mode.

    Raises `FitError` where the graph has no small units, with every reason, where no mode is found, and where
    the most nodes are not enough.
    """
    found = units(problem)
    if isinstance(found, NoUnits):
        raise FitError(f"no quadrature for '{problem.graph.name}': {'; '.join(found.because)}")
    if narrows := neck(found.flat, found.outer_nodes):
        raise NoMode(narrows, went=True)
    labels = found.flat.names
    names = tuple(labels[i] for i in found.outer.tolist())
    problem = found.problem
    rest = completion(problem, roles(problem.graph, problem).predicted)
    d = found.distinct.shape[1]
    one, parts = found.distinct.one_copy(), found.distinct.summands
    counts = sorted({min(k, fitting(one, parts is not None)) for k in (1, 1 + found.outer.size, MOST)})
    tapes = tuple(copies(one, k)[0] if parts is None else line_copies(one, k, parts) for k in counts)
    start = Start.unknown(found.distinct.shape, found.outer.size)
    made = QuadratureCollapsed(
        *(problem, found, verdict(found, None), names, rest, Rule.of(ORDERS[0], d), start),
        tapes,
    )
    modes = made.modes()
    made = replace(made, start=_moved(made, modes))
    y = _around(modes)
    error, first = math.inf, 0.0
    for order in ORDERS:
        made = replace(made, rule=Rule.of(order, d))
        error = _error(made, y, d)
        first = max(first, error if order == ORDERS[0] else 0.0)
        if error < TOLERANCE:
            modes = modes if first < CLOSE else made.polished(modes)
            return replace(made, best=modes, verdict=verdict(found, order, error))
    raise FitError(
        f"quadrature with {ORDERS[-1]} nodes in each dimension is off by {error:.2g} in the log density"
    )


def _moved(made: QuadratureCollapsed, modes: Modes) -> Start:
    """Units' modes at the mode of y, and how they move with y: differences over half a standard deviation."""
    base, sd = modes.best.x, _deviations(modes)
    y = np.concatenate([base[None, :], base + np.diag(0.5 * sd), base - np.diag(0.5 * sd)])
    found, roots = made.tapes[-1].modes(made.start, y)
    lean = np.moveaxis((found[1 : 1 + sd.size] - found[1 + sd.size :]) / sd[:, None, None], 0, 2)
    spread = np.sqrt((roots[0] ** 2).sum(axis=2))
    known = np.isfinite(lean).all() and np.isfinite(found[0]).all()
    lean = lean if known else np.zeros_like(lean)
    return Start(
        base, np.nan_to_num(found[0]), np.ascontiguousarray(lean), np.where(spread > 0.0, spread, 1.0)
    )


def _deviations(modes: Modes) -> Floats:
    return np.sqrt(np.diagonal(np.linalg.inv(0.5 * modes.best.hessian)))


def _around(modes: Modes) -> Floats:
    """Where the order is judged: the mode, points some standard deviations from it along each coordinate,
    and points of a multivariate t, which lie where the density may and few coordinates are as at the mode."""
    centre = modes.best.x
    if not centre.size:
        return centre[None, :]
    sd = np.diag(_deviations(modes))
    along = [centre + way * a * sd for a in AWAY for way in (-1.0, 1.0)]
    spread = Proposal.at_mode(centre, 0.5 * modes.best.hessian, DEGREES).drawn(
        np.random.default_rng(1), SPREAD
    )
    return np.concatenate([centre[None, :], *along, spread])


def _error(made: QuadratureCollapsed, y: Floats, d: int) -> float:
    """The largest change of the log density when there are about twice as many nodes.

    y : the mode first. Where the density is less than `MATTERS` of that there, changes count less in
    proportion: they are as much less of the whole. Points without a density say nothing, but the mode does.
    """
    finer = replace(made, rule=Rule.of(2 * made.rule.order + 1, d))
    value, better = made.log_densities(y), finer.log_densities(y)
    if not np.isfinite(value[0] + better[0]):
        return math.inf
    known = np.isfinite(value) & np.isfinite(better)
    value, better = value[known], better[known]
    change = np.abs(value - better) * np.exp(np.minimum(0.0, better - better[0] - math.log(MATTERS)))
    return float(change.max())


def verdict(found: Units, order: int | None, error: float = 0.0) -> Collapsible:
    """What is integrated and what is sampled, in words."""
    n, d = found.every.shape
    kinds = found.distinct.shape[0]
    of = f"{kinds} distinct ones of {n} units" if kinds < n else f"{n} units"
    how = "" if order is None else f", {order} nodes in each dimension: off by {error:.1g} in the log density"
    what = f"{_listed(found.latents)} integrated by adaptive quadrature"
    told = [f"{what}: {of}, of dimension {d} at most{how}"]
    stand = {units_of(n): n for n in found.standard}
    outer = tuple(stand.get(n, n) for n in found.outer_nodes)
    told += [f"{_listed(outer)} sampled: what the units share"] if outer else []
    return Collapsible(True, tuple(told), found.latents, (), outer)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{n}'" for n in names)


__all__ = ["QuadratureCollapsed", "quadrature_collapsed", "verdict"]
