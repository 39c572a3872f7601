"""Solution -> Fit: outer estimates with standard errors, the distribution, each element given it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.unknown_laws import UnknownLaw, is_penalised
from dagmodels.backends.em.mixing.laws import Free
from dagmodels.backends.em.mixing.predict import posterior, posterior_of, predict
from dagmodels.backends.em.mixing.solve import Solution
from dagmodels.backends.em.mixture.report import columns, estimates
from dagmodels.fits.defined import defined
from dagmodels.results.mixing import NOTHING, Mixing
from dagmodels.results.mixing_fit import MixingFit

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.mixing_fit import Posterior

Floats = NDArray[np.float64]
COARSE = 1.0  # of the log likelihood (or a thousandth of it a unit) that a finer grid could add


def report(solution: Solution, law: UnknownLaw, plan: Plan, seconds: float) -> MixingFit:
    """The fit that users see."""
    form, flat = solution.form, solution.form.flat
    problem = form.problem
    unknowns = estimates(solution)
    values = {n: np.asarray(v).reshape(-1) for n, v in flat.constrain(solution.y).items()}
    extra = defined(problem, unknowns, lambda name, at: values[name][at])
    mixing = Mixing(
        form.node,
        law.family,
        solution.law.values,
        solution.probabilities,
        solution.standard_errors,
        solution.law.width,
    )
    prior = any(problem.graph.nodes[n].kind == "stochastic" for n in flat.unknown)
    diagnostics = _diagnostics(solution, seconds)
    penalised = "penalised " if is_penalised(law) else ""
    what = "mode of the posterior" if prior else "maximum likelihood"
    found = partial(posterior, solution)
    return MixingFit(
        graph=problem.graph,
        backend="em",
        method=f"{penalised}{what}, distribution of '{form.node}' estimated ({law.family})",
        exact=True,
        converged=solution.converged,
        message=_message(solution),
        estimate_columns=columns(form, unknowns, extra),
        latent_columns=partial(_latents, found),
        log_likelihood=solution.log_posterior - solution.log_prior,
        n_parameters=flat.size + _free(solution),
        n_observations=int(form.counts.sum()),
        measures={"log_posterior": solution.log_posterior} if prior else {},
        diagnostics=diagnostics,
        warnings=_warnings(solution, prior, diagnostics.get("gap_between_points", 0.0)),
        plan=plan,
        covariance_names=tuple(unknowns.names),
        covariance_matrix=unknowns.covariance,
        plate_sizes={name: plate.size for name, plate in problem.plates.items()},
        predictor=partial(predict, solution),
        mixing=mixing,
        find_posterior=partial(posterior_of, solution),
    )


def _free(solution: Solution) -> int:
    """Free numbers of the distribution: coefficients of a spline, else positive weights, less one."""
    if solution.alpha is not None:
        return solution.alpha.size
    assert solution.weights is not None
    return int(np.count_nonzero(solution.weights.weights > NOTHING)) - 1


def _diagnostics(solution: Solution, seconds: float) -> dict[str, Any]:
    found = solution.weights
    told: dict[str, Any] = {
        "gradient_norm": float(solution.optimum.decrement / np.sqrt(2)),
        "units": solution.form.units,
        "values": int(solution.law.values.size),
        "seconds": seconds,
    }
    if found is None:
        return {**told, "iterations": solution.optimum.iterations}
    told = {**told, "iterations": found.steps, "duality_gap": found.gap, "log_likelihoods": found.values}
    if isinstance(solution.law, Free) and solution.law.values.size > 1:
        told["gap_between_points"] = _between(solution)
    return told


def _between(solution: Solution) -> float:
    """The duality gap at the middles of the intervals next to values that have weight: what a grid twice as
    fine there could add to the log likelihood at most."""
    form, values, g = solution.form, solution.law.values, solution.probabilities
    own = np.flatnonzero(g > 0)
    left = np.unique(np.concatenate([own[own > 0] - 1, own[own < values.size - 1]]))
    middles = 0.5 * (values[left] + values[left + 1])
    likelihood = form.log_likelihood(solution.y, np.concatenate([values[own], middles]))
    top = likelihood[: own.size].max(axis=0)
    likelihood = np.exp(np.minimum(likelihood - top, 650.0))  # a coarse grid may be hopeless for some units
    ratios = likelihood[own.size :] @ (form.counts / (g[own] @ likelihood[: own.size]))
    return float(max(ratios.max() - form.counts.sum(), 0.0))


def _message(solution: Solution) -> str:
    if not solution.converged:
        return solution.optimum.message
    if solution.weights is None:
        return "gradient and Hessian certified"
    gap = solution.weights.gap
    return f"no other weights on this grid have a log likelihood more than {gap:.2g} above"


def _warnings(solution: Solution, prior: bool, between: float) -> tuple[str, ...]:
    found = ["these are modes of the posterior, not posterior means"] if prior else []
    if between > COARSE * max(1.0, 1e-3 * solution.form.counts.sum()):
        values = solution.law.values
        much = f"up to {between:.3g}" if between < 1e3 * solution.form.counts.sum() else "much"
        far = f"from {values[0]:g} to {values[-1]:g}"
        found.append(
            f"the grid of '{solution.form.node}' is coarse: its {values.size} values {far} could gain {much} "
            "of the log likelihood from others between them; ask for more (points=), state the "
            "grid (grid=), or look at the units that make it so wide"
        )
    return tuple(found)


def _latents(found: Any) -> dict[str, list[Any]]:
    """Posterior means, standard deviations and 95 per cent points of all elements."""
    at: Posterior = found()
    mean, sd = at.moments()
    limits = (at.quantiles(0.025), at.quantiles(0.975))
    numbers = (mean, sd, *limits)
    keys = ("estimate", "sd", "lower", "upper")
    return {"name": at.labels, **{k: v.tolist() for k, v in zip(keys, numbers, strict=True)}}
