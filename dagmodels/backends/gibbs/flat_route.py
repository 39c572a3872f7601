"""Draws of all differentiable unknowns together: the no-U-turn sampler on the whole graph's log density."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.discrete_latents import discrete_latents
from dagmodels.analysis.forward import drawn_forward, missing_at_ends
from dagmodels.analysis.roles import roles
from dagmodels.backends.gibbs import plate_units
from dagmodels.backends.gibbs.collapsed_route import DEAR, trajectory_statistics
from dagmodels.backends.gibbs.plate_units import Forms, Masks, Units
from dagmodels.backends.gibbs.reasons import flat_priors, started
from dagmodels.backends.gibbs.route import Part
from dagmodels.backends.gibbs.states import told
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.build_summed import build_summed
from dagmodels.forms.completion import Completion, completion
from dagmodels.forms.flat import Flat
from dagmodels.forms.lower import NotLowered
from dagmodels.numerics.sampling import nuts
from dagmodels.numerics.sampling.adaptation import StepSize
from dagmodels.numerics.sampling.metric import Metric

Floats = NDArray[np.float64]
Inits = Mapping[str, Any]
CAREFUL = (
    0.9  # least acceptance aimed at in standard units: their necks are at large scales, where few draws go
)
TRIES = 100  # random starts of a chain before it gives up
WIDTH = 2.0  # they are uniform on (-2, 2), unconstrained (Stan Reference Manual, "Initialization")


@dataclass(frozen=True, eq=False, slots=True)
class Enumerated:
    """Independent draws where nothing continuous is unknown: the sum over all states is exact."""

    flat: Flat
    nodes: Collection[str] | None
    rest: Completion
    because: tuple[str, ...]
    method: str = "independent draws of discrete unknowns, by exact sums"
    warmup: int = 0
    unit: int = 1000
    independent: bool = True

    def begin(self, rng: np.random.Generator, chain: int) -> Any:
        if not np.isfinite(self.flat.log_density(np.zeros(0))):
            why = "; ".join(self.flat.why(np.zeros(0))) or "no state of the discrete unknowns is possible"
            raise FitError(f"the data have probability zero under the model: {why}")
        return None

    def draw(self, state: Any, rng: np.random.Generator, count: int) -> tuple[Any, Part]:
        points = np.zeros((count, 0))
        kept = completed(self.flat, points, self.rest, self.nodes, rng)
        return None, Part(kept, {"lp": np.full(count, self.flat.log_density(np.zeros(0)))})


@dataclass(frozen=True, eq=False, slots=True)
class Moving:
    """A chain after its warm-up: where it is, in its units."""

    y: Floats
    step: StepSize
    metric: Metric
    units: Units


@dataclass(frozen=True, eq=False, slots=True)
class Whole:
    """See the module.

    forms : the density, in the units that each chain chooses. nodes : what is kept of the draws, None for
    all. rest : what follows from the unknowns. inits : the user's, one for each chain.
    """

    forms: Forms
    nodes: Collection[str] | None
    rest: Completion
    warmup: int
    target: float
    inits: Sequence[Inits]
    method: str
    because: tuple[str, ...]
    unit: int = DEAR

    @property
    def flat(self) -> Flat:
        """The density in the units of the model's text."""
        return self.forms.written

    def begin(self, rng: np.random.Generator, chain: int) -> Any:
        y = self._start(rng, self.inits[chain] if chain < len(self.inits) else {}, chain)
        units = Units()

        def change(drawn: Floats) -> tuple[nuts.Sampler, Floats, float] | None:
            nonlocal units
            units, moved = self.forms.chosen(units, drawn)
            if moved is drawn:
                return None
            target = max(self.target, CAREFUL) if units.masks else self.target
            return _sampler(self.forms.of(units.masks)), moved, target

        try:
            warmed = nuts.warm_up(
                *(_sampler(self.flat), y, rng, self.warmup),
                dense=None,
                target=self.target,
                change=change if self.forms.every else None,
            )
        except FitError as error:
            raise FitError(f"chain {chain + 1}: {error}{flat_priors(self.flat.problem)}") from error
        return Moving(warmed.point.y, warmed.step, warmed.metric, units)

    def draw(self, state: Any, rng: np.random.Generator, count: int) -> tuple[Any, Part]:
        flat = self.forms.of(state.units.masks)
        sampler = _sampler(flat)
        point, y, known, step = sampler.draws(sampler.at(state.y), state.step, state.metric, rng, count)
        kept = completed(flat, y, self.rest, self.nodes, rng)
        written = known.log_density - flat.log_scales(y)  # one density for all chains
        part = Part(kept, {**trajectory_statistics(known), "lp": written})
        return Moving(point.y, step, state.metric, state.units), part

    def learned(self, states: Sequence[Any]) -> tuple[str, ...]:
        """In which units chains moved, and why."""
        return plate_units.told(self.flat, [s.units for s in states])

    def standard(self, states: Sequence[Any]) -> tuple[str, ...]:
        """Nodes of which a chain moved elements in standard units."""
        return tuple(dict.fromkeys(n for s in states for n in s.units.masks))

    def _start(self, rng: np.random.Generator, inits: Inits, chain: int) -> Floats:
        """The user's values, the rest at random; until the density is finite."""
        space = self.flat.workspace()
        for _ in range(TRIES):
            y = rng.uniform(-WIDTH, WIDTH, self.flat.size)
            if inits:
                y = started(self.flat, self.flat.constrain(y), inits, chain)
            value, gradient = self.flat.value_and_gradient(y, at=space)
            if np.isfinite(value) and np.isfinite(gradient).all():
                return y
        why = self.flat.why(y, at=space)
        told = "; ".join(why) if why else "its log density, or its gradient, is not finite"
        hint = "change the initial values" if inits else "look at these data and laws, or give inits="
        raise FitError(f"chain {chain + 1} has no place to start: {told}; {hint}")


def _sampler(flat: Flat) -> nuts.Sampler:
    density = nuts.TapeDensity(flat.tape, np.arange(flat.size), flat.total)
    return nuts.sampler(density, flat.size, flat.workspace().values)


def completed(
    flat: Flat, y: Floats, rest: Completion, nodes: Collection[str] | None, rng: np.random.Generator
) -> dict[str, Floats]:
    """All nodes at points (draws, size): discrete unknowns drawn, then what follows; (draws, *plates)."""
    values = {n: v.reshape(len(y), -1) for n, v in flat.constrain(y).items()}
    if flat.summed is not None:
        values |= flat.summed.draw(y, rng)
    rest.complete(values, rng)
    return {
        n: v.reshape(len(y), *flat.problem.shape(n)) for n, v in values.items() if nodes is None or n in nodes
    }


def flat_route(
    problem: Problem, warmup: int, nodes: Collection[str] | None, target: float, inits: Sequence[Inits]
) -> Whole | Enumerated:
    """Raises `FitError` naming what has no differentiable log density."""
    found, latents = discrete_latents(problem.graph, problem), drawn_forward(problem.graph)
    ends = missing_at_ends(problem)
    forward = (*latents, *ends)
    summable = (found.nodes.keys() | found.refused.keys()) - set(forward)

    def build(standard: Masks) -> Flat:
        if summable:
            return build_summed(problem, forward, standard)
        return build_flat(problem, forward=forward, standard=standard)

    try:
        forms = Forms(build, summable)
    except NotLowered as error:
        raise FitError(f"gibbs: {error}") from error
    flat = forms.written
    rest = completion(problem, (*roles(problem.graph, problem).predicted, *ends), nodes, latents)
    summed = tuple(told(found, problem, flat.forward)) if flat.summed is not None else ()
    if not flat.size:
        return Enumerated(flat, nodes, rest, summed)
    method = f"trajectories (NUTS) of {', '.join(flat.unknown)}"
    flatly = ", ".join(f"'{n}'" for n in flat.without_prior)
    because = (*summed, *((f"{flatly}: flat, as there is no prior",) if flatly else ()))
    return Whole(forms, nodes, rest, warmup, target, inits, method, because)
