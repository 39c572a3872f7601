"""MomentsSolution -> Fit: estimates under the user's names, standard errors, conditional means of latents."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.defined import defined, root
from dagmodels.fits.moments.errors import STANDARD, Errors
from dagmodels.fits.moments.layout import Places
from dagmodels.fits.moments.predict import MomentsPredictions
from dagmodels.fits.moments.refit import MomentsAgain
from dagmodels.fits.unknowns import Unknowns
from dagmodels.forms.cells import element_labels
from dagmodels.forms.moments import MomentsForm, MomentsSolution
from dagmodels.numerics.triangle import inverse_of_regular
from dagmodels.results.fit import Fit
from dagmodels.results.limits import wald

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.refitting import Influence

Floats = NDArray[np.float64]
STEP = 1e-4  # of differences of what is linear in a coefficient, or nearly, in standard errors


def report(
    solution: MomentsSolution, plan: Plan | None, backend: str, *, expected: bool, errors: Errors = STANDARD,
    influence: Callable[[MomentsSolution], Influence] | None = None,
) -> Fit:  # fmt: skip
    """The fit that users see; standard errors by the expected or the observed information.

    influence : what the backend has for influence of units, None where it has nothing.
    """
    with np.errstate(all="ignore"):
        return _report(solution, MomentsAgain(solution, plan, backend, expected, errors, influence))


def _report(solution: MomentsSolution, again: MomentsAgain) -> Fit:
    form, optimum, errors = solution.form, solution.optimum, again.errors
    dag = form.problem.graph
    inner = coordinate_covariance(solution, expected=again.expected, errors=errors)
    w = form.workspace(optimum.x)
    unknowns = estimates(solution, inner, w)

    def given(name: str, at: NDArray[np.int64]) -> Floats:
        return w[form.tape.place(form.outer_registers[name])][at]

    extra = defined(form.small, unknowns, given)
    columns = _columns(solution, unknowns, extra)
    prior = bool(form.template.prior_places.size)
    deviance, likelihood = solution.at.deviance, solution.at.likelihood
    measures = {"deviance" if likelihood else "chisq": deviance}
    if prior:
        measures["log_posterior"] = -0.5 * optimum.value
    boundary = tuple(_boundary(solution, unknowns))
    return Fit(
        graph=dag,
        backend=again.backend,
        method=form.method if not prior else "posterior mode from moments",
        exact=True,
        converged=solution.converged,
        message=solution.message,
        estimate_columns=columns,
        latent_columns=partial(latents, solution, errors.profiled),
        latent_arrays=partial(latent_arrays, solution),
        log_likelihood=-0.5 * deviance if likelihood else None,
        n_parameters=solution.parameters,
        n_observations=form.observations,
        measures=measures,
        diagnostics={
            "gradient_norm": optimum.decrement / np.sqrt(2),
            "iterations": optimum.iterations,
            "evaluations": solution.evaluations,
            "smallest_eigenvalue": optimum.smallest,
            "seconds": solution.seconds,
        },
        boundary=boundary,
        warnings=tuple(_warnings(solution, boundary, prior)),
        plan=again.plan,
        predictor=_predictions(solution, inner, errors) if form.alone else None,
        covariance_names=tuple(unknowns.names),
        covariance_matrix=unknowns.covariance,
        moments=solution,
        again=again,
        coordinate_covariance=inner,
        plate_sizes={name: plate.size for name, plate in form.problem.plates.items()},
    )


def coordinate_covariance(solution: MomentsSolution, *, expected: bool, errors: Errors = STANDARD) -> Floats:
    """Covariance of the coordinates; nan on bounds and where the information is singular.

    A sandwich has the inverse information on both sides of `forms.casewise.meat`. Conditional errors are
    those of the field form: profiled coefficients given all other unknowns, these whatever the former are.
    """
    bread = _inverse_information(solution, expected)
    if errors.kind == "standard":
        return bread
    if errors.kind == "conditional":
        own = profiled_coordinates(solution.form, errors.profiled)
        bread[own] = bread[:, own] = 0.0
        return bread + coefficient_covariance(solution, own)
    known = np.where(np.isnan(bread), 0.0, bread)
    found = known @ solution.at.meat(errors.kind, errors.clusters) @ known
    found[np.isnan(bread)] = np.nan
    return found


def profiled_coordinates(form: MomentsForm, nodes: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which coordinates belong to these nodes, (k,)."""
    return np.concatenate(
        [np.zeros(0, dtype=bool), *(np.full(c.length, c.node in nodes) for c in form.coordinates)]
    )


def coefficient_covariance(solution: MomentsSolution, own: NDArray[np.bool_]) -> Floats:
    """Covariance of coordinates given all others; zero elsewhere, nan where they are not told apart."""
    found = np.zeros_like(solution.optimum.hessian)
    if own.any():
        at = np.ix_(own, own)
        part = solution.optimum.hessian[at]
        scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(part)), 1e-300))
        inverse = inverse_of_regular(part * scale[:, None] * scale)
        found[at] = np.nan if inverse is None else 2.0 * inverse * scale[:, None] * scale
    return found


def _predictions(solution: MomentsSolution, inner: Floats, errors: Errors) -> MomentsPredictions:
    """What expected values count as uncertain: as in the field form, coefficients alone where errors are
    conditional."""
    if errors.profiled:
        inner = coefficient_covariance(solution, profiled_coordinates(solution.form, errors.profiled))
    return MomentsPredictions(solution, inner)


def _inverse_information(solution: MomentsSolution, expected: bool) -> Floats:
    optimum = solution.optimum
    k = optimum.x.size
    full = np.full((k, k), np.nan)
    free = np.flatnonzero(~optimum.active)
    if not free.size:
        return full
    if solution.constrained is not None:
        return _on_tangent(solution, solution.constrained.tangent, expected)
    hessian = solution.at.error_information(optimum.hessian, expected=expected)
    inner = hessian[np.ix_(free, free)]
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(inner)), 1e-300))
    scaled = inner * scale[:, None] * scale
    inverse = inverse_of_regular(scaled)
    if inverse is None:
        if np.linalg.eigvalsh(scaled)[0] < 1e-12:
            return full
        inverse = np.linalg.inv(scaled)
    full[np.ix_(free, free)] = 2.0 * inverse * scale[:, None] * scale
    return full


def _on_tangent(solution: MomentsSolution, tangent: Floats, expected: bool) -> Floats:
    """Inverse information along the directions that binding constraints leave (Silvey 1959, Ann. Math. Stat.
    30:389): 2 Z (Z' I Z)^-1 Z'."""
    information = solution.at.error_information(solution.at.hessian(), expected=expected)
    inner = tangent.T @ information @ tangent
    found = np.zeros_like(information)
    if inner.size:
        scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(inner)), 1e-300))
        scaled = inner * scale[:, None] * scale
        if np.linalg.eigvalsh(scaled)[0] < 1e-12:
            return np.full_like(information, np.nan)
        turned = tangent * scale
        found = 2.0 * turned @ np.linalg.inv(scaled) @ turned.T
    held = solution.optimum.active
    found[held], found[:, held] = np.nan, np.nan
    return found


def estimates(solution: MomentsSolution, inner: Floats, w: Floats) -> Unknowns:
    """Outer unknowns with their covariance.

    inner : covariance of the coordinates. w : the tape's numbers at the optimum.
    """
    form, x = solution.form, solution.optimum.x
    places = Places(form)
    coordinate = np.full(w.size, -1, dtype=np.int64)
    coordinate[form.x_places] = np.arange(x.size)
    jacobian = np.zeros((places.at.size, x.size))
    own = coordinate[places.at]  # an unknown that is a coordinate itself, or -1
    jacobian[np.flatnonzero(own >= 0), own[own >= 0]] = 1.0
    for i in np.flatnonzero(own < 0).tolist():
        bar = np.zeros(w.size)
        bar[places.at[i]] = 1.0
        form.tape.reverse(w, bar)
        jacobian[i] = bar[form.x_places]
    number = places.values(w)
    jacobian[w[places.at] != number] *= -1.0
    unknown = np.isnan(np.diag(inner))
    total = jacobian @ np.where(np.isnan(inner), 0.0, inner) @ jacobian.T
    touched = (np.abs(jacobian[:, unknown]) > 0).any(axis=1)
    total[touched] = np.nan
    total[:, touched] = np.nan
    what = ["maximised" if varies else "fixed" for varies in jacobian.any(axis=1).tolist()]
    return Unknowns(places.names, places.nodes, what, number, total, places.of)


def _columns(solution: MomentsSolution, u: Unknowns, extra: dict[str, list[Any]]) -> dict[str, list[Any]]:
    form = solution.form
    se = root(np.diag(u.covariance))
    positive = {c.node for c in form.coordinates if not c.order and (c.symmetric.any() or c.kind == "log")}
    lower, upper = wald(u.value, se, positive=[n in positive for n in u.nodes])
    order = {name: i for i, name in enumerate(form.problem.graph.nodes)}
    by_node = sorted(range(len(u.names)), key=lambda j: order[u.nodes[j]])
    numbers = (u.names, u.value.tolist(), se.tolist(), lower.tolist(), upper.tolist(), u.what)
    keys = ("name", "estimate", "se", "lower", "upper", "what")
    return {k: [column[j] for j in by_node] + extra[k] for k, column in zip(keys, numbers, strict=True)}


def _boundary(solution: MomentsSolution, u: Unknowns) -> list[str]:
    """Estimates whose coordinates lie on a bound."""
    form, active = solution.form, solution.optimum.active
    found, position = [], 0
    for c in form.coordinates:
        if active[position : position + c.length].any():
            found.extend(n for n, node in zip(u.names, u.nodes, strict=True) if node == c.node)
        position += c.length
    return found


def _warnings(solution: MomentsSolution, boundary: tuple[str, ...], prior: bool) -> list[str]:
    found = [f"'{name}' is estimated on the boundary of its domain" for name in boundary]
    found.extend(inadmissible(solution))
    if prior:
        found.append("these are modes of the posterior, not posterior means")
    return found


def inadmissible(solution: MomentsSolution) -> list[str]:
    """Sentences on estimated variances below zero and covariance matrices of latents that are none."""
    form, structure = solution.form, solution.form.structure
    _, p, _ = structure.filled(solution.at.entries)
    found: dict[str, None] = {}
    for g in range(structure.groups):
        for v in np.flatnonzero(np.diag(p[g]) < 0).tolist():
            found[f"the estimated variance of '{variable_label(form, v)}' is negative (a Heywood case)"] = (
                None
            )
        if not found and np.linalg.eigvalsh(p[g])[0] < -1e-8 * np.abs(p[g]).max():
            found["the estimated covariance matrix of residuals and latents is not positive definite"] = None
    return list(found)


def variable_label(form: MomentsForm, v: int) -> str:
    """A variable of the unit as users call it: the node, with its component's level."""
    name, part = form.variables[v]
    own = (form.units, form.template.inner_units)
    plates = [p for p in form.problem.graph.nodes[name].plates if p not in own]
    if not plates:
        return name
    shape = [form.problem.plates[p].size for p in plates]
    where = np.unravel_index(part, shape)
    labels = (form.problem.labels[p][int(i)] for p, i in zip(plates, where, strict=True))
    return f"{name}[{', '.join(labels)}]"


def _of_coefficients(solution: MomentsSolution, own: NDArray[np.bool_]) -> dict[str, Floats]:
    """Standard deviations of conditional means that are due to coefficients, by plate of elements."""
    form, x = solution.form, solution.optimum.x
    covariance = coefficient_covariance(solution, own)
    at, slopes = np.flatnonzero(own), []
    for i in at.tolist():
        e = STEP * np.sqrt(covariance[i, i]) * (np.arange(x.size) == i)
        up, down = (form.conditional(form.at(x + d)) for d in (e, -e))
        slopes.append({plate: (up[plate][0] - down[plate][0]) / (2 * e[i]) for plate in up})
    found = {}
    for plate in slopes[0]:
        j = np.stack([s[plate] for s in slopes], axis=-1)
        found[plate] = np.sqrt(np.maximum(((j @ covariance[np.ix_(at, at)]) * j).sum(axis=-1), 0.0))
    return found


def latents(solution: MomentsSolution, profiled: tuple[str, ...] = ()) -> dict[str, list[Any]] | None:
    """Every latent element and missing response: its mean given the unit's data, and standard deviation.

    profiled : nodes whose uncertainty counts too, as it does in the field form.
    """
    problem = solution.form.problem
    table: dict[str, list[Any]] = {"name": [], "estimate": [], "sd": []}
    for name, (mean, sd) in _conditional(solution, profiled).items():
        wanted = np.arange(mean.size)
        if name in problem.observed and problem.graph.nodes[name].observed:
            wanted = np.flatnonzero(~problem.observed[name].reshape(-1))
        labels = element_labels(problem, name)
        table["name"].extend(labels if wanted.size == mean.size else [labels[i] for i in wanted.tolist()])
        table["estimate"].extend(mean[wanted].tolist())
        table["sd"].extend(sd[wanted].tolist())
    return table if table["name"] else None


def latent_arrays(solution: MomentsSolution) -> dict[str, Floats]:
    """The means of the same as arrays of the nodes' shapes."""
    shape = solution.form.problem.shape
    return {n: mean.reshape(shape(n)) for n, (mean, _) in _conditional(solution).items()}


def _conditional(
    solution: MomentsSolution, profiled: tuple[str, ...] = ()
) -> dict[str, tuple[Floats, Floats]]:
    """Means and standard deviations by node, flat, given the data of each unit."""
    form = solution.form
    dag = form.problem.graph
    given = form.conditional(solution.at)
    own = profiled_coordinates(form, profiled)
    if own.any():
        more = _of_coefficients(solution, own)
        given = {plate: (mean, np.hypot(sd, more[plate])) for plate, (mean, sd) in given.items()}
    found: dict[str, tuple[Floats, Floats]] = {}
    for name in dict.fromkeys(n for n, _ in form.variables):
        if dag.nodes[name].kind != "stochastic":
            continue
        columns = [v for v, (n, _) in enumerate(form.variables) if n == name]
        shape, plates = form.problem.shape(name), dag.nodes[name].plates
        plate = next(p for p in given if p in plates)
        mean, sd = given[plate]
        axis = plates.index(plate)
        others = [s for a, s in enumerate(shape) if a != axis]
        middle, spread = (
            np.moveaxis(x[:, columns].reshape(-1, *others), 0, axis).reshape(-1) for x in (mean, sd)
        )
        found[name] = middle, spread
    return found
