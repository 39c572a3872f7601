"""Draws for graphs of exchangeable units: what the units share first, then each unit's latents, exactly."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from dagmodels.analysis.unit import Unit
from dagmodels.backends.gibbs.collapsed_route import STICKY, Proposed, Trajectories
from dagmodels.bind.problem import Problem
from dagmodels.fits.moments.start import starting_point
from dagmodels.forms.build_moments import build_moments
from dagmodels.forms.moments_posterior import MomentsPosterior
from dagmodels.numerics.sampling import independence
from dagmodels.numerics.sampling.streams import stream


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
    moved = tuple(posterior.places)
    return Trajectories(posterior, nodes, mode.x, covariance, warmup, method, (*told, why), moved)
