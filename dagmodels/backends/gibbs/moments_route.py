"""Draws for graphs of exchangeable units: what the units share first, then each unit's latents, exactly."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagmodels.analysis.unit import Unit
from dagmodels.backends.gibbs.collapsed_route import STICKY, Trajectories
from dagmodels.backends.gibbs.route import Part
from dagmodels.bind.problem import Problem
from dagmodels.fits.moments.start import starting_point
from dagmodels.forms.build_moments import build_moments
from dagmodels.forms.moments_posterior import MomentsPosterior
from dagmodels.numerics.sampling import independence
from dagmodels.numerics.sampling.streams import stream

UNIT = 200  # draws of a unit of work


@dataclass(frozen=True, eq=False, slots=True)
class Proposed:
    """Independence proposals from mode and curvature, their weights checked by `trials`, from which chains
    start. A state is a point and its log weight."""

    posterior: MomentsPosterior
    nodes: Collection[str] | None
    proposal: independence.Proposal
    trials: independence.Weighted
    method: str
    because: tuple[str, ...]
    warmup: int = 0
    unit: int = UNIT

    def begin(self, rng: np.random.Generator, chain: int) -> Any:
        return independence.first(self.trials, rng)

    def draw(self, state: Any, rng: np.random.Generator, count: int) -> tuple[Any, Part]:
        own = self.posterior
        proposals = independence.weighted(own.log_densities, self.proposal, rng, count)
        y, state, _ = independence.draws(proposals, rng, state)
        moved = (np.diff(y, axis=0, prepend=np.nan) != 0.0).any(axis=1).astype(np.float64)
        values, density = own.draws_and_densities(y, rng, self.nodes)
        return state, Part(values, {"accepted": moved, "lp": density})


def moments_route(
    problem: Problem, found: Unit, seed: int, warmup: int, nodes: Collection[str] | None
) -> Any:
    """Proposals from the mode where their weights may be trusted, else trajectories.

    Raises `FitError` where the density has no mode that was found, `NotLowered` where a law has no such form.
    """
    posterior = MomentsPosterior.of(build_moments(problem, found))
    mode = posterior.mode(starting_point(posterior.form))
    posterior, hessian = posterior.oriented(mode), 0.5 * mode.hessian
    left = ", ".join(posterior.places)
    told = (f"latents of every '{found.plate}' are integrated: its law is Gaussian given {left}",)
    flat = [n for n in posterior.places if problem.graph.nodes[n].kind == "parameter"]
    if flat:
        told = (*told, f"{', '.join(map(repr, flat))}: flat, as there is no prior")
    told = (*told, *(
        f"'{t.latent}' is not told from its negative: draws are turned so that "
        f"'{posterior.names[t.reference]}' is positive"
        for t in posterior.turned
    ))  # fmt: skip
    proposal = independence.Proposal.at_mode(mode.x, hessian)
    trials = independence.weighted(
        posterior.log_densities, proposal, stream(seed, 0, 2**32 - 1), independence.TRIALS
    )
    gate = independence.gate(trials)
    if gate.open and gate.k < STICKY and gate.effective > 0.3:
        why = f"independence proposals from the mode; {gate.because}"
        method = f"independence proposals for {left}"
        return Proposed(posterior, nodes, proposal, trials, method, (*told, why))
    sticky = f"Pareto k of the weights is {gate.k:.2f}: chains of proposals would be long in the tails"
    why = f"the no-U-turn sampler on the density of what units share; {sticky if gate.open else gate.because}"
    covariance = np.linalg.inv(hessian)
    method = f"trajectories (NUTS) of {left}"
    return Trajectories(posterior, nodes, mode.x, covariance, warmup, method, (*told, why))
