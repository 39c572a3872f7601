"""Draws from the collapsed posterior: the few outer unknowns first, then everything integrated, exactly."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.collapsible import Collapsible
from dagmodels.backends.gibbs.reasons import impossible
from dagmodels.backends.gibbs.route import Part
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.collapsed import collapsed
from dagmodels.forms.outer_mode import Modes
from dagmodels.forms.quadrature_collapsed import quadrature_collapsed
from dagmodels.forms.visits import Choose, Visit, Visiting
from dagmodels.numerics.sampling import grid, independence, nuts, ridge
from dagmodels.numerics.sampling.adaptation import StepSize
from dagmodels.numerics.sampling.lines import Lines
from dagmodels.numerics.sampling.metric import Metric
from dagmodels.numerics.sampling.streams import stream

Floats = NDArray[np.float64]
GRID = 2  # most dimensions of a grid
CLOSE = 5e-3  # total variation by which a grid may differ from the density
STICKY = 0.3  # Pareto k of weights from which on chains of proposals may stay in a tail for long
HEAVY = 5.0  # mean weights: proposals in the shape of lines hold a chain for about as many draws at most
LIGHTER = (8.0, 12.0, 20.0, 40.0)  # degrees of freedom of tails, instead of five
EFFICIENT, LEAST = 0.8, 0.3  # shares of trial proposals that equal weights are worth: enough, and the least
MISSED = 3.0  # log weight of another mode above which proposals hardly come there
SPARSE = 0.5  # proposals worth less than this share are dear where units are integrated for each
CHEAP, DEAR = 334, 100  # draws of a unit of work: many points in one compiled call, or trajectories


class Drawn(Protocol):
    """A density of outer unknowns, and exact draws of the rest."""

    def for_thread(self) -> Drawn: ...
    def log_density(self, y: Floats) -> tuple[float, Floats]: ...
    def log_densities(self, y: Floats) -> Floats: ...
    def draws_and_densities(
        self, y: Floats, rng: np.random.Generator, nodes: Collection[str] | None = None
    ) -> tuple[dict[str, Floats], Floats]: ...
    def through(self, y: Floats, before: Floats, choose: Choose, normals: np.random.Generator) -> Visit: ...
    def draws_of(
        self, count: int, visit: Visiting, rng: np.random.Generator, nodes: Collection[str] | None = None
    ) -> tuple[dict[str, Floats], Floats]: ...


class Posterior(Drawn, Protocol):
    """Of few unknowns, with its mode: `Collapsed`, `QuadratureCollapsed`."""

    @property
    def problem(self) -> Problem: ...
    @property
    def verdict(self) -> Collapsible: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def dimension(self) -> int: ...
    def for_thread(self) -> Posterior: ...
    def log_densities_and_gradients(self, y: Floats) -> tuple[Floats, Floats]: ...
    def modes(self) -> Modes: ...


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Unchained:
    """Draws that do not hang on one another.

    nodes : whose draws are kept, None for all. method, because : in words.
    """

    nodes: Collection[str] | None
    method: str
    because: tuple[str, ...]
    warmup: int = 0
    unit: int = CHEAP
    independent: bool = True

    def begin(self, rng: np.random.Generator, chain: int) -> Any:
        """No state."""
        return None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Independent(Unchained):
    """Draws of y from a grid.

    table : None where nothing is outer.
    """

    posterior: Posterior
    table: grid.Grid | None

    def draw(self, state: Any, rng: np.random.Generator, count: int) -> tuple[Any, Part]:
        y = np.empty((count, 0)) if self.table is None else self.table.drawn(rng, count)
        values, density = self.posterior.for_thread().draws_and_densities(y, rng, self.nodes)
        return None, Part(values, {"lp": density})


@dataclass(frozen=True, eq=False, slots=True)
class Proposed:
    """Independence proposals from mode and curvature, their weights checked.

    trials : proposals by which they were, from which chains start. A state is a point and its log weight.
    """

    posterior: Drawn
    nodes: Collection[str] | None
    proposal: independence.Proposals
    trials: independence.Weighted
    method: str
    because: tuple[str, ...]
    warmup: int = 0
    unit: int = CHEAP

    def begin(self, rng: np.random.Generator, chain: int) -> Any:
        return independence.first(self.trials, rng)

    def draw(self, state: Any, rng: np.random.Generator, count: int) -> tuple[Any, Part]:
        own = self.posterior.for_thread()
        y = self.proposal.drawn(rng, count)
        log_proposed = self.proposal.log_density(y)
        moved = np.empty(count)

        def visit(part: slice, normals: np.random.Generator) -> Visit:
            """Every proposal is visited once; what is integrated is new for every draw, also of a stay."""

            def choose(density: Floats) -> NDArray[np.int64]:
                nonlocal state
                weight = density - log_proposed[part]
                chosen = independence.chain(weight, rng, state[1])
                moved[part] = chosen == np.arange(chosen.size)
                if chosen[-1] >= 0:
                    state = y[part][chosen[-1]].copy(), float(weight[chosen[-1]])
                return chosen

            return own.through(y[part], state[0], choose, normals)

        values, density = own.draws_of(count, visit, rng, self.nodes)
        return state, Part(values, {"accepted": moved, "lp": density})


@dataclass(frozen=True, eq=False, slots=True)
class Warm:
    """A chain of trajectories after its warm-up."""

    y: Floats
    step: StepSize
    metric: Metric


@dataclass(frozen=True, eq=False, slots=True)
class Trajectories:
    """The no-U-turn sampler on the collapsed density, its metric begun at the curvature of the mode.

    moved : nodes that it moves as they are written; neither what is integrated nor what stands in standard
    units.
    """

    posterior: Drawn
    nodes: Collection[str] | None
    mode: Floats
    covariance: Floats
    warmup: int
    method: str
    because: tuple[str, ...]
    moved: tuple[str, ...]
    unit: int = DEAR

    def begin(self, rng: np.random.Generator, chain: int) -> Any:
        spread = np.linalg.cholesky(self.covariance)
        sampler = nuts.sampler(self.posterior.for_thread().log_density, self.mode.size)
        metric = Metric.dense(self.covariance)
        y = self.mode + spread @ rng.standard_normal(self.mode.size)
        if not np.isfinite(sampler.evaluated(y)[0]):
            y = self.mode
        warmed = nuts.warm_up(sampler, y, rng, self.warmup, dense=True, metric=metric)
        return Warm(warmed.point.y, warmed.step, warmed.metric)

    def draw(self, state: Any, rng: np.random.Generator, count: int) -> tuple[Any, Part]:
        sampler = nuts.sampler(self.posterior.for_thread().log_density, self.mode.size)
        point, y, known, step = sampler.draws(sampler.at(state.y), state.step, state.metric, rng, count)
        told = {**trajectory_statistics(known), "lp": known.log_density}
        values, _ = self.posterior.for_thread().draws_and_densities(y, rng, self.nodes)
        return Warm(point.y, step, state.metric), Part(values, told)


def trajectory_statistics(known: nuts.Transitions) -> dict[str, NDArray[Any]]:
    """By ArviZ's names."""
    return {
        "diverging": known.divergent,
        "acceptance_rate": known.accept,
        "tree_depth": known.depth,
        "n_steps": known.gradients,
        "energy": known.energy,
    }


def collapsed_route(problem: Problem, seed: int, warmup: int, nodes: Collection[str] | None) -> Any:
    """The best way that this density allows, by numerics.md section 6.

    Raises `FitError` where the density has no mode, and `ModelErrors` where the graph has no such posterior.
    """
    return best_route(collapsed(problem), seed, warmup, nodes)


def quadrature_route(problem: Problem, seed: int, warmup: int, nodes: Collection[str] | None) -> Any:
    """The same where small units of latents are integrated by quadrature."""
    return best_route(quadrature_collapsed(problem), seed, warmup, nodes)


def dear_draws(route: Any) -> str:
    """Why an effective draw of a route by quadrature needs many of its quadratures; "" where it does not."""
    if isinstance(route, Trajectories):
        told = "every step of their trajectories would integrate all units anew"
    elif isinstance(route, Proposed) and (share := independence.gate(route.trials).effective) < SPARSE:
        told = f"of 100 independence proposals some {100 * share:.0f} would count"
    else:
        return ""
    return f"{', '.join(map(repr, route.posterior.names))}: {told}"


def _modes(posterior: Posterior) -> Modes:
    """Its modes; a density that is nowhere finite says of which nodes, with their parents' values."""
    try:
        return posterior.modes()
    except FitError as error:
        _somewhere(posterior, np.zeros((1, posterior.dimension)), error)
        raise


def _somewhere(posterior: Posterior, y: Floats, error: FitError | None = None) -> None:
    """Refuse data that have probability zero, or no density, whatever the unknowns are."""
    if error is None and np.isfinite(posterior.log_densities(y)).all():
        return
    if told := impossible(posterior.problem):
        raise FitError(f"{told}; look at these data and laws") from error


def best_route(posterior: Posterior, seed: int, warmup: int, nodes: Collection[str] | None) -> Any:
    """See `collapsed_route`."""
    d, told = posterior.dimension, posterior.verdict.because
    if d == 0:
        _somewhere(posterior, np.empty((1, 0)))
        why = "nothing is left to sample: every draw is exact and independent"
        how = "independent draws in closed form"
        return Independent(posterior=posterior, nodes=nodes, table=None, method=how, because=(*told, why))
    modes = _modes(posterior)
    centre, hessian = modes.best.x, 0.5 * modes.best.hessian
    left = ", ".join(posterior.names)
    against = ""
    if d <= GRID:
        try:
            table = grid.explored(posterior.log_densities, centre, grid.axes_of(hessian))
        except FitError as error:
            against = f"; {error}"
        else:
            if table.error > CLOSE:
                against = f"; a grid of {table.points} points is off by {table.error:.1g}"
        if not against:
            why = f"{left}: independent draws from a grid of {table.points} points, off by {table.error:.1g}"
            how = f"independent draws from a grid over {left}"
            return Independent(
                posterior=posterior, nodes=nodes, table=table, method=how, because=(*told, why)
            )
    found, why = proposals(posterior, modes, stream(seed, 0, 2**32 - 1))
    if found is not None:
        how = f"independence proposals for {left}"
        return Proposed(posterior, nodes, *found, how, (*told, f"{left}: {why}{against}"))
    why = f"{left}: the no-U-turn sampler on the collapsed density{against}; {why}"
    return Trajectories(
        *(posterior, nodes, centre, np.linalg.inv(hessian), warmup),
        *(f"trajectories (NUTS) of {left}", (*told, why), _moved(posterior)),
    )


def _moved(posterior: Posterior) -> tuple[str, ...]:
    """Outer nodes with coordinates of their own: what stands in standard units is computed from these."""
    nodes = posterior.problem.graph.nodes
    return tuple(n for n in posterior.verdict.outer if nodes[n].kind != "deterministic")


Tried = tuple[independence.Proposals, independence.Weighted]


def proposals(posterior: Posterior, modes: Modes, rng: np.random.Generator) -> tuple[Tried | None, str]:
    """A law of proposals whose weights are light, with trials of it, and why that one; or why none.

    That at the mode where it serves well, else that along the ridge, where there may be other modes too.
    """
    centre, hessian = modes.best.x, 0.5 * modes.best.hessian
    against, plain, at_mode = [], None, None
    if modes.others:
        against.append(f"{1 + len(modes.others)} modes were found")
    else:
        *at_mode, plain = _proposals(posterior, centre, hessian, rng)
        if _light(plain) and plain.effective > EFFICIENT:
            return (at_mode[0], at_mode[1]), f"independence proposals from the mode; {plain.because}"
        if not _light(plain):
            against.append(_heavy(plain))
    try:
        axis = ridge.least_normal(posterior.log_densities, centre, np.linalg.inv(hessian))
        along = ridge.followed(posterior.log_densities_and_gradients, centre, hessian, axis)
    except FitError as error:
        against.append(str(error))
    else:
        trials = independence.weighted(posterior.log_densities, along, rng, independence.TRIALS)
        gate = independence.gate(trials)
        where = np.array([o.x for o in modes.others]).reshape(-1, centre.size)
        missed = posterior.log_densities(where) - along.log_density(where) > gate.log_evidence + MISSED
        better = plain is None or not _light(plain) or gate.effective > plain.effective
        if _light(gate) and not missed.any() and better:
            told = f"independence proposals along {posterior.names[axis]}, the others given it"
            return _lighter(along, trials, gate.effective), f"{told}; {gate.because}"
        why = "a mode is missed" if missed.any() else gate.because if _light(gate) else _heavy(gate)
        against.append(f"along {posterior.names[axis]}: {why}")
    if at_mode is not None and plain is not None and _light(plain):
        return (at_mode[0], at_mode[1]), f"independence proposals from the mode; {plain.because}"
    return None, "; ".join(against)


def _lighter(along: ridge.Ridge, trials: independence.Weighted, effective: float) -> Tried:
    """The ridge with the tails that serve best, by trials of heavy ones: where these hold all of the density,
    lighter ones keep more proposals. None of their weights at a trial is large."""
    before = along.log_density(trials.y)
    found: Tried = along, trials
    for degrees in LIGHTER:
        other = replace(along, degrees=degrees)
        density = other.log_density(trials.y)
        share, largest = independence.exchanged(trials, before, density)
        if largest > HEAVY or share < effective:
            break
        found = other, independence.Weighted(trials.y, trials.log_weight + before - density)
        effective = share
    return found


def _light(gate: independence.Gate) -> bool:
    return gate.open and gate.k < STICKY and gate.effective > LEAST


def _heavy(gate: independence.Gate) -> str:
    sticky = f"Pareto k of the weights is {gate.k:.2f}: chains of proposals would be long in the tails"
    return sticky if gate.open and gate.k >= STICKY else gate.because


def _proposals(
    posterior: Posterior, centre: Floats, hessian: Floats, rng: np.random.Generator
) -> tuple[independence.Proposals, independence.Weighted, independence.Gate]:
    """Proposals, trials of them, and whether they may be used.

    A multivariate t is judged. Lines through the mode hold a share of it, so that their weights have no
    heavier tails than its own; they are taken where they are better, and none of their weights is large.
    """
    plain = independence.Proposal.at_mode(centre, hessian)
    trials = independence.weighted(posterior.log_densities, plain, rng, independence.TRIALS)
    gate = independence.gate(trials)
    if not gate.open:
        return plain, trials, gate
    try:
        shaped = Lines.through(posterior.log_densities, plain)
    except FitError:  # no value on a line, where the density ends
        return plain, trials, gate
    before, other = plain.log_density(trials.y), shaped.log_density(trials.y)
    share, largest = independence.exchanged(trials, before, other)
    if share < gate.effective or largest > HEAVY:
        return plain, trials, gate
    again = independence.Weighted(trials.y, trials.log_weight + before - other)
    return shaped, again, gate._replace(effective=share)
