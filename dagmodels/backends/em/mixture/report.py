"""Solution -> Fit: estimates under the user's names with standard errors, and the states of the latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixture.loop import Solution
from dagmodels.backends.em.mixture.predict import predict
from dagmodels.backends.em.mixture.refit import MixtureAgain
from dagmodels.backends.em.mixture.table import by_node, labelled
from dagmodels.backends.em.untold import untold
from dagmodels.bind.problem import Problem
from dagmodels.fits.defined import defined, root
from dagmodels.fits.network.estimated import Estimated
from dagmodels.fits.new_rows import NewRows
from dagmodels.fits.unknowns import Unknowns
from dagmodels.forms.build_mixture import build_mixture
from dagmodels.forms.cells import element_label
from dagmodels.forms.mixture import MixtureForm
from dagmodels.numerics.identified import inverse_where_told
from dagmodels.results.limits import wald
from dagmodels.results.mixture_fit import MixtureFit, States

if TYPE_CHECKING:
    from dagmodels.plugin import Plan

Floats = NDArray[np.float64]
MODE = "mode of the posterior"
NOTHING = 1e-3  # a probability nearer to its end whose number ran off is at the end
STEP = 1e-5  # of differences of the transforms


def report(
    solution: Solution,
    plan: Plan,
    labels: tuple[str, ...],
    finish: Callable[[MixtureFit], MixtureFit] | None = None,
) -> MixtureFit:
    """The fit that users see.

    finish : what refits are turned into, where the form is not that of the user's graph itself.
    """
    form = solution.form
    problem = form.flat.problem
    unknowns = estimates(solution)
    extra = defined(problem, unknowns, lambda name, at: _values(form, solution.y)[name][at])
    prior = any(problem.graph.nodes[n].kind == "stochastic" for n in form.flat.unknown)
    boundary = _boundary(solution, unknowns.names, unknowns.value, unknowns.places)
    total = form.expected(solution.y).log_density
    likelihood = total - _log_prior(form, solution.y)
    found = partial(states, form, solution.y)
    return MixtureFit(
        graph=problem.graph,
        backend="em",
        method=f"{MODE if prior else 'maximum likelihood'}, discrete latents summed out, by EM",
        exact=True,
        converged=solution.converged,
        message=solution.message,
        estimate_columns=columns(form, unknowns, extra),
        latent_columns=partial(_latents, found),
        log_likelihood=likelihood,
        n_parameters=form.flat.size,
        n_observations=form.observations,
        measures={"log_posterior": total} if prior else {},
        diagnostics={
            "gradient_norm": float(solution.optimum.decrement / np.sqrt(2)),
            "iterations": solution.steps,
            "smallest_eigenvalue": float(solution.optimum.smallest),
            "starts": solution.starts,
            "starts_at_best": solution.reached,
            "singular_starts": list(solution.singular),
            "labels": list(labels),
            "seconds": solution.seconds,
        },
        boundary=boundary,
        warnings=tuple(_warnings(solution, unknowns, boundary, prior)),
        plan=replace(plan, notes=(*plan.notes, *labels)),
        covariance_names=tuple(unknowns.names),
        covariance_matrix=unknowns.covariance,
        plate_sizes={name: plate.size for name, plate in problem.plates.items()},
        predictor=partial(predict, form, solution.y),
        again=MixtureAgain(solution, plan, finish=finish),
        find_states=partial(_states_of, form, solution.y, found),
        answers=_answers(form, solution.y),
    )


def _answers(form: MixtureForm, y: Floats) -> dict[str, Any]:
    """What the fit is asked later."""
    estimated = Estimated(form.flat.problem, _values(form, y))
    return {**estimated.answers, "log_likelihood": partial(_of_others, form, y, estimated)}


def _of_others(form: MixtureForm, y: Floats, estimated: Estimated, new: Any) -> float:
    """The log likelihood of other data."""
    from dagmodels.backends.em.mixture.fit import counts_of

    problem = estimated.afresh(new)
    other = build_mixture(problem, {**dict(form.latents.count), **counts_of(problem)})
    at = other.flat.unconstrain(form.flat.constrain(y))
    return other.expected(at, whole=False).log_density - _log_prior(other, at)


def _log_prior(form: MixtureForm, y: Floats) -> float:
    """What the priors of unknowns add: all factors that are not data's."""
    return float(form.workspace(y)[form.flat.joint])


def _values(form: MixtureForm, y: Floats) -> dict[str, Floats]:
    return {n: np.asarray(v, dtype=np.float64).reshape(-1) for n, v in form.flat.constrain(y).items()}


def estimates(solution: Solution) -> Unknowns:
    """All unknown elements with their covariance, by the delta method from the observed information."""
    form, y = solution.form, solution.y
    values = _values(form, y)
    names, nodes, places = labelled(form)
    number = np.concatenate([*values.values(), np.zeros(0)])
    jacobian = np.zeros((number.size, y.size))
    points = np.repeat(y[None, :], 2 * y.size, axis=0)
    points[np.arange(y.size), np.arange(y.size)] += STEP
    points[y.size + np.arange(y.size), np.arange(y.size)] -= STEP
    if y.size:
        moved = form.flat.constrain(points)
        wide = np.concatenate([np.asarray(moved[n]).reshape(2 * y.size, -1) for n in values], axis=1)
        jacobian = ((wide[: y.size] - wide[y.size :]) / (2 * STEP)).T
    inner = _covariance(solution)
    unknown = np.isnan(np.diag(inner)) & ~solution.held
    covariance = jacobian @ np.where(np.isnan(inner), 0.0, inner) @ jacobian.T
    touched = (np.abs(jacobian[:, unknown]) > 1e-9).any(axis=1)
    still = np.array([n in _boundary(solution, names, number, places) for n in names], dtype=bool)
    for none in (touched, still):
        covariance[none] = np.nan
        covariance[:, none] = np.nan
    moving = {(s.node, int(i)) for s in form.flat.stretches for i in s.places.reshape(-1)}
    what = [
        "maximised" if (node, place) in moving else "fixed"
        for node in values
        for place in range(values[node].size)
    ]
    return Unknowns(names, nodes, what, number, covariance, places)


def _silent(hessian: Floats) -> NDArray[np.bool_]:
    """Unconstrained numbers that no density depends on, as transitions of chains of length one."""
    return (hessian == 0.0).all(axis=1)


def _untold(solution: Solution) -> list[str]:
    """Nodes of which the data say nothing at all."""
    silent = _silent(solution.optimum.hessian)
    found = [s.node for s in solution.form.flat.stretches if silent[s.start : s.start + s.length].any()]
    return list(dict.fromkeys(found))


def _covariance(solution: Solution) -> Floats:
    """Twice the inverse Hessian of minus twice the log density; nan where nothing can be said."""
    hessian = solution.optimum.hessian
    k = len(hessian)
    full = np.full((k, k), np.nan)
    free = np.flatnonzero(~solution.held & ~_silent(hessian))
    if free.size:
        sizes = np.maximum(np.abs(solution.y[free]), 1.0)
        full[np.ix_(free, free)] = 2.0 * inverse_where_told(hessian[np.ix_(free, free)], sizes)[0]
    held = np.flatnonzero(solution.held)
    full[held], full[:, held] = 0.0, 0.0
    full[held, held] = np.nan
    return full


def columns(form: MixtureForm, u: Unknowns, extra: dict[str, list[Any]]) -> dict[str, list[Any]]:
    se = root(np.diag(u.covariance))
    lower, upper = wald(u.value, se)
    order = by_node(form, u.nodes)
    numbers = (u.names, u.value.tolist(), se.tolist(), lower.tolist(), upper.tolist(), u.what)
    keys = ("name", "estimate", "se", "lower", "upper", "what")
    return {k: [column[j] for j in order] + extra[k] for k, column in zip(keys, numbers, strict=True)}


def _boundary(
    solution: Solution, names: list[str], values: Floats, places: dict[str, Any]
) -> tuple[str, ...]:
    """Estimates that stand at the edge of their domain: probabilities of 0 or 1."""
    form = solution.form
    found: list[str] = []
    for s in form.flat.stretches:
        held = solution.held[s.start : s.start + s.length]
        if not held.any():
            continue
        own = s.places.reshape(-1) if s.kind == "simplex" else s.entries()[held]
        for at in places[s.node][own].tolist():
            if s.kind not in ("interval", "simplex") or min(values[at], 1 - values[at]) < NOTHING:
                found.append(names[at])
    return tuple(found)


def _warnings(solution: Solution, u: Unknowns, boundary: tuple[str, ...], prior: bool) -> list[str]:
    found = [f"'{name}' is estimated on the boundary of its domain" for name in boundary]
    silent = _untold(solution)
    for name in silent:
        found.append(f"the data say nothing of some elements of '{name}', which stay where the search began")
    if solution.converged:
        found += untold(u, (*silent, *boundary))
    if solution.singular:
        named = ", ".join(f"'{n}'" for n in solution.singular if n)
        if named:
            found.append(
                "some starts ended where a component shrinks onto its values, which has no bound, or runs to "
                f"the edge of its domain ({named}): the optimum reported is the best of the others"
            )
    if prior:
        found.append("these are modes of the posterior, not posterior means")
    return found


def states(form: MixtureForm, y: Floats) -> States:
    """Posterior probabilities and best assignments of all latent elements."""
    problem = form.flat.problem
    expected, paths = form.expected(y), form.paths(y)
    names, levels, found, best = {}, {}, {}, {}
    for node, first in form.latents.first.items():
        size, count = int(np.prod(problem.shape(node), dtype=np.int64)), form.latents.count[node]
        probability = np.full((size, count), np.nan)
        path = np.zeros(size, dtype=np.int64)
        for sums, posterior, states_ in zip(form.sums, expected.posterior, paths, strict=True):
            group = sums.slices
            for slot in range(group.members.shape[1]):
                own = group.members[:, slot] - first
                mine = np.flatnonzero((own >= 0) & (own < size))
                if not mine.size:
                    continue
                digit = group.digits[:, slot]
                marginal = posterior @ (digit[:, None] == np.arange(count))
                probability[own[mine]] = marginal[sums.distinct[mine]]
                path[own[mine]] = digit[states_[mine]]
        live = np.flatnonzero(~np.isnan(probability[:, 0]))
        values_in = problem.graph.nodes[node].values_in
        names[node] = [element_label(problem, node, int(i)) for i in live]
        levels[node] = tuple(range(count)) if values_in is None else problem.plates[values_in].levels
        found[node], best[node] = probability[live], path[live]
    return States(names, levels, found, best)


def _states_of(form: MixtureForm, y: Floats, fitted: Any, new: Any) -> States:
    if new is None:
        return fitted()
    from dagmodels.backends.em.mixture.fit import counts_of
    from dagmodels.backends.em.mixture.predict import joined

    rows, problem = joined(form.flat.problem, new)
    other = build_mixture(problem, counts_of(problem))
    found = states(other, other.flat.unconstrain(form.flat.constrain(y)))
    return _asked(rows, problem, found)


def _asked(rows: NewRows, problem: Problem, found: States) -> States:
    """The elements that new data ask for, in their order."""
    names, probabilities, best = {}, {}, {}
    for node, known in found.names.items():
        places, _ = rows.cells(node)
        index = {name: i for i, name in enumerate(known)}
        wanted = [element_label(problem, node, int(i)) for i in places.reshape(-1)]
        at = np.array([index[n] for n in wanted if n in index], dtype=np.int64)
        names[node] = [known[i] for i in at]
        probabilities[node], best[node] = found.probabilities[node][at], found.best[node][at]
    return States(names, found.levels, probabilities, best)


def _latents(found: Any) -> dict[str, list[Any]]:
    """Rows `z[a] == 2` with their probability and the standard deviation of being so."""
    table: dict[str, list[Any]] = {"name": [], "estimate": [], "sd": []}
    at: States = found()
    for node, names in at.names.items():
        p = at.probabilities[node].reshape(-1)
        table["name"].extend(f"{n} == {level}" for n in names for level in at.levels[node])
        table["estimate"].extend(p.tolist())
        table["sd"].extend(np.sqrt(p * (1 - p)).tolist())
    return table
