"""Problem -> Fit of conditional linear-Gaussian cases."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.executor import executor_of
from dagmodels.backends.em.linear.completion import Completion
from dagmodels.backends.em.linear.expectation import Expectation
from dagmodels.backends.em.linear.loop import Solution, solve
from dagmodels.backends.em.linear.states import continuous, states
from dagmodels.backends.em.untold import untold
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.defined import defined, root
from dagmodels.fits.network.estimated import Estimated
from dagmodels.fits.unknowns import Unknowns
from dagmodels.forms.cells import element_label
from dagmodels.forms.linear_cases import LinearCases, linear_cases
from dagmodels.numerics.identified import inverse_where_told
from dagmodels.results.limits import wald
from dagmodels.results.mixture_fit import MixtureFit

if TYPE_CHECKING:
    from dagmodels.plugin import Plan

Floats = NDArray[np.float64]
STARTS = 8
CLOSE = 1e-4  # Newton decrement of minus twice the log likelihood that counts as converged


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> MixtureFit:
    """Options: `starts` (how many, the best is reported), `seed` (of all random numbers) and `executor` (of
    `concurrent.futures`, for the starts).

    Raises
    ------
    FitError : an unknown option; what the form does not hold; no start that ended.
    """
    unknown = [name for name in options if name not in ("seed", "starts", "executor")]
    if unknown:
        told = ", ".join(map(repr, unknown))
        raise FitError(
            f"em has no option {told} for linear Gaussian cases; it has starts=, seed= and executor="
        )
    starts = options.get("starts", STARTS)
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 1:
        raise FitError(f"starts={starts!r} is not a number of starts")
    began = time.process_time()
    form = linear_cases(problem)
    solution = solve(form, starts, int(options.get("seed", 1)), executor_of(options))
    return _report(solution, plan, time.process_time() - began)


def _report(solution: Solution, plan: Plan, seconds: float) -> MixtureFit:
    form, optimum = solution.maximisation.form, solution.optimum
    problem = form.problem
    unknowns = _unknowns(solution)
    extra = defined(problem, unknowns, lambda name, at: _values(solution)[name][at])
    converged = bool(optimum.decrement < CLOSE and optimum.smallest > -1e-7)
    estimated = Estimated(problem, _values(solution))
    at_edge = _edges(solution)
    boundary = tuple(n for n, edge in zip(unknowns.names, at_edge, strict=True) if edge)
    return MixtureFit(
        graph=problem.graph,
        backend="em",
        method="maximum likelihood, hidden states summed out and hidden normal values integrated, by EM",
        exact=True,
        converged=converged,
        message="gradient and Hessian certified" if converged else optimum.message,
        estimate_columns=_columns(unknowns, extra),
        latent_columns=partial(_latents, solution),
        log_likelihood=-0.5 * optimum.value,
        n_parameters=len(optimum.x),
        n_observations=len(form.codes),
        diagnostics={
            "gradient_norm": float(optimum.decrement / np.sqrt(2)),
            "iterations": solution.evaluations,
            "smallest_eigenvalue": float(optimum.smallest),
            "starts": solution.starts,
            "starts_at_best": solution.reached,
            "singular_starts": list(solution.shrunk),
            "labels": [
                f"'{name}' is never seen: its states may change places, and stand as the best start had them"
                for name, codes in zip(form.discrete, form.codes.T, strict=True)
                if (codes < 0).all()
            ],
            "seconds": seconds,
        },
        boundary=boundary,
        warnings=(
            *(f"'{name}' is estimated on the boundary of its domain" for name in boundary),
            *(untold(unknowns, boundary) if converged else ()),
        ),
        plan=plan,
        covariance_names=tuple(unknowns.names),
        covariance_matrix=unknowns.covariance,
        plate_sizes={name: plate.size for name, plate in problem.plates.items()},
        completer=Completion(form, solution.maximisation.expectation, solution.numbers),
        find_states=partial(_states_of, solution, estimated),
        answers={**estimated.answers, "log_likelihood": partial(_of_others, solution, estimated)},
    )


def _elements(form: LinearCases) -> list[tuple[str, int, int]]:
    """All unknown elements: node, flat place, position among (locations, scales, cells)."""
    every = [*form.locations, *form.scales, *form.cells]
    found = [(node, place, i) for i, (node, place) in enumerate(every) if place >= 0]
    order = {name: i for i, name in enumerate(form.problem.graph.nodes)}
    return sorted(found, key=lambda e: (order[e[0]], e[1]))


def _flat(solution: Solution, y: Floats) -> Floats:
    at = solution.maximisation.numbers(y)
    return np.concatenate([at.locations, at.scales, at.cells])


def _values(solution: Solution) -> dict[str, Floats]:
    """Flat estimates by node; nan for elements that no law reads."""
    form, flat = solution.maximisation.form, _flat(solution, solution.optimum.x)
    found: dict[str, Floats] = {}
    for node, place, at in _elements(form):
        size = int(np.prod(form.problem.shape(node), dtype=np.int64))
        found.setdefault(node, np.full(size, np.nan))[place] = flat[at]
    return found


def _edges(solution: Solution) -> list[bool]:
    form = solution.maximisation.form
    first = len(form.locations) + len(form.scales)
    cells = solution.numbers.cells
    held = np.zeros(first + cells.size, dtype=bool)
    at = first
    for row in form.rows:
        if solution.held[at : at + len(row) - 1].any():
            held[[first + c for c in row if min(cells[c], 1 - cells[c]) < 1e-5]] = True
        at += len(row) - 1
    return [bool(held[i]) for _, _, i in _elements(form)]


def _unknowns(solution: Solution) -> Unknowns:
    """With covariance by the delta method from the observed information."""
    form, optimum = solution.maximisation.form, solution.optimum
    elements, y = _elements(form), optimum.x
    free = np.flatnonzero(~solution.held & (optimum.hessian != 0).any(axis=1))
    inner = np.full((y.size, y.size), np.nan)
    inner[solution.held], inner[:, solution.held] = 0.0, 0.0
    if free.size:
        sizes = np.maximum(np.abs(y[free]), 1.0)
        inner[np.ix_(free, free)] = 2 * inverse_where_told(optimum.hessian[np.ix_(free, free)], sizes)[0]
    jacobian = np.zeros((_flat(solution, y).size, y.size))
    for i in range(y.size):
        step = np.zeros(y.size)
        step[i] = 1e-5
        jacobian[:, i] = (_flat(solution, y + step) - _flat(solution, y - step)) / 2e-5
    jacobian = jacobian[[i for _, _, i in elements]]
    lost = np.isnan(np.diag(inner))
    covariance = jacobian @ np.where(np.isnan(inner), 0.0, inner) @ jacobian.T
    untold = (np.abs(jacobian[:, lost]) > 1e-12).any(axis=1) | np.array(_edges(solution), dtype=bool)
    covariance[untold], covariance[:, untold] = np.nan, np.nan
    flat = _flat(solution, y)
    places: dict[str, list[int]] = {}
    for k, (node, _, _) in enumerate(elements):
        places.setdefault(node, []).append(k)
    return Unknowns(
        [element_label(form.problem, node, place) for node, place, _ in elements],
        [node for node, _, _ in elements],
        ["maximised"] * len(elements),
        np.array([flat[i] for _, _, i in elements]),
        covariance,
        {node: np.array(at) for node, at in places.items()},
    )


def _columns(u: Unknowns, extra: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    se = root(np.diag(u.covariance))
    lower, upper = wald(u.value, se)
    numbers = (u.names, u.value.tolist(), se.tolist(), lower.tolist(), upper.tolist(), u.what)
    keys = ("name", "estimate", "se", "lower", "upper", "what")
    return {k: [*column, *extra[k]] for k, column in zip(keys, numbers, strict=True)}


def _states_of(solution: Solution, estimated: Estimated, new: Any) -> Any:
    form = solution.maximisation.form
    other = form if new is None else linear_cases(estimated.afresh(new))
    return states(other, Expectation.of(other), solution.numbers)


def _of_others(solution: Solution, estimated: Estimated, new: Any) -> float:
    form = linear_cases(estimated.afresh(new))
    return Expectation.of(form)(solution.numbers).log_likelihood


def _latents(solution: Solution) -> dict[str, list[Any]]:
    """Probabilities of hidden states; means and standard deviations of hidden values."""
    form, expectation = solution.maximisation.form, solution.maximisation.expectation
    found = states(form, expectation, solution.numbers)
    table: dict[str, list[Any]] = {"name": [], "estimate": [], "sd": []}
    for node, names in found.names.items():
        p = found.probabilities[node].reshape(-1)
        table["name"] += [f"{n} == {level}" for n in names for level in found.levels[node]]
        table["estimate"] += p.tolist()
        table["sd"] += np.sqrt(p * (1 - p)).tolist()
    for name, mean, sd in continuous(expectation, solution.numbers):
        table["name"].append(name)
        table["estimate"].append(mean)
        table["sd"].append(sd)
    return table
