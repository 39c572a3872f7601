"""Solution -> Fit: estimates under the user's names, standard errors, latents, certificate."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.general import IDENTITY
from dagmodels.analysis.measurement import true_values
from dagmodels.fits.defined import defined, root
from dagmodels.fits.field.closed import conditional_law
from dagmodels.fits.field.edges import ZERO, below_zero, negative_variances, set_edges
from dagmodels.fits.field.modes import departures, modes
from dagmodels.fits.field.restricted import measure, method
from dagmodels.fits.field.solve import Solution
from dagmodels.fits.unknowns import Unknowns
from dagmodels.forms.cells import element_label
from dagmodels.forms.coordinates import free_places
from dagmodels.forms.covariance import covariance_slopes
from dagmodels.forms.quadrature import QuadratureEvaluator
from dagmodels.forms.scales import values_and_slopes
from dagmodels.numerics.elimination import SCALED
from dagmodels.numerics.triangle import inverse_of_regular, lower_triangle
from dagmodels.results.coefficients import CoefficientSpread
from dagmodels.results.fit import Fit
from dagmodels.results.limits import wald

if TYPE_CHECKING:
    from dagmodels.plugin import Plan

Floats = NDArray[np.float64]


def report(solution: Solution, plan: Plan | None, *, joint: bool = False, backend: str = "laplace") -> Fit:
    """The fit that users see.

    joint : standard errors of coefficients include the uncertainty of the outer unknowns.
    backend : whose search it was.
    """
    with np.errstate(all="ignore"):  # what overflows or is undefined is nan in the tables, with a sentence
        return _report(solution, plan, joint, backend)


def _report(solution: Solution, plan: Plan | None, joint: bool, backend: str) -> Fit:
    from dagmodels.fits.field.predict import predictor
    from dagmodels.fits.field.refit import FieldAgain

    field, evaluator = solution.field, solution.evaluator
    dag = field.problem.graph
    criterion = evaluator.criterion(solution.optimum.x)
    means = evaluator.means()
    unknowns = estimate(solution, means, joint=joint)
    extra = defined(field.problem, unknowns, lambda name, at: means[field.rows[name][at]])
    columns = _columns(solution, unknowns, extra)
    prior = bool(field.prior_places.size)
    measures: dict[str, float] = {measure(dag, field.roles): criterion.deviance}
    if prior:
        measures = {"log_posterior": -0.5 * criterion.total, "deviance": criterion.deviance}
    how = method(dag, field.roles)
    order = evaluator.order if isinstance(evaluator, QuadratureEvaluator) else 1
    if order > 1:
        nodes = f"adaptive Gauss-Hermite quadrature with {order} nodes"
        how = how.replace("Laplace's approximation", nodes)
    boundary = _boundary(solution)
    return Fit(
        graph=dag,
        backend=backend,
        method=how,
        exact=not field.curved or not any(c.element for c in field.curved),
        converged=solution.converged,
        message=solution.message,
        estimate_columns=columns,
        latent_columns=partial(_quiet_latents, solution, means),
        latent_modes=partial(modes, solution),
        log_likelihood=-0.5 * criterion.deviance,
        n_parameters=_parameter_count(solution),
        n_observations=field.n_observations,
        measures=measures,
        diagnostics={
            "gradient_norm": solution.optimum.decrement / np.sqrt(2),
            "iterations": solution.optimum.iterations,
            "evaluations": evaluator.evaluations,
            "smallest_eigenvalue": solution.optimum.smallest,
            "elimination": field.order,
            "seconds": solution.seconds,
        },
        boundary=boundary,
        warnings=(
            *_warnings(boundary, prior, _errorless(columns, unknowns, boundary), backend),
            *negative_variances(solution),
        ),
        plan=plan,
        covariance_names=tuple(unknowns.names),
        covariance_matrix=unknowns.covariance,
        predictor=predictor(solution, unknowns, means),
        again=FieldAgain(solution, plan, joint, backend),
        plate_sizes={name: plate.size for name, plate in field.problem.plates.items()},
        spread=None if field.curved else partial(_spread, solution, tuple(unknowns.names)),
    )


def _spread(solution: Solution, names: tuple[str, ...]) -> CoefficientSpread:
    """The coefficients' covariance with its exact slopes in the coordinates."""
    evaluator, x = solution.evaluator, solution.optimum.x
    rows = coefficient_rows(solution)
    evaluator.criterion(x)
    covariance = evaluator.covariance(rows)
    outer = outer_covariance(solution)
    slopes = covariance_slopes(evaluator, x, rows)
    slopes[np.isnan(np.diag(outer))] = 0.0
    return CoefficientSpread(names[: rows.size], covariance, slopes, np.where(np.isnan(outer), 0.0, outer))


def coefficient_rows(solution: Solution) -> NDArray[np.int64]:
    """Elimination rows of all coefficients, in the order of the estimates' covariance."""
    field = solution.field
    found = [
        field.rows[name][field.rows[name] >= 0]
        for name in field.problem.graph.nodes
        if name in field.rows and is_coefficient(solution, name)
    ]
    return np.concatenate([np.zeros(0, dtype=np.int64), *found])


def _quiet_latents(solution: Solution, means: Floats) -> dict[str, list[Any]] | None:
    """`_latents` without numpy's remarks on undefined moments; a function, so that fits pickle."""
    with np.errstate(all="ignore"):
        return _latents(solution, means)


def is_coefficient(solution: Solution, name: str) -> bool:
    """Whether a block node is a coefficient (no unknown stands in its prior) rather than a latent.

    True values of a covariate that is measured with error are latents under every reading.
    """
    field = solution.field
    dag = field.problem.graph
    if name in true_values(dag):
        return False
    if name in field.roles.profiled:
        return True
    unknown = {*field.roles.block, *field.roles.outer}
    queue, seen = list(dag.parents[name]), set()
    while queue:
        parent = queue.pop()
        if parent in unknown:
            return False
        if parent not in seen:
            seen.add(parent)
            if dag.nodes[parent].kind == "deterministic":
                queue.extend(dag.parents[parent])
    return dag.nodes[name].role != "observed" and name not in _vector_latents(solution)


def _vector_latents(solution: Solution) -> set[str]:
    """Nodes that have unit shocks in the field (vector nodes)."""
    return {part for g in solution.field.group_names if "#" in g for part in g.split("#")[0].split("+")}


def estimate(solution: Solution, means: Floats, *, joint: bool = False) -> Unknowns:
    """Coefficients and outer unknowns with their covariance."""
    field = solution.field
    names: list[str] = []
    nodes: list[str] = []
    what: list[str] = []
    rows: list[int] = []
    places: dict[str, NDArray[np.int64]] = {}
    for name in field.problem.graph.nodes:
        if name in field.rows and is_coefficient(solution, name):
            at = field.rows[name]
            places[name] = np.full(at.size, -1, dtype=np.int64)
            for place in np.flatnonzero(at >= 0):
                places[name][place] = len(rows)
                names.append(element_label(field.problem, name, int(place)))
                nodes.append(name)
                what.append("integrated" if name in field.roles.integrated else "profiled")
                rows.append(int(at[place]))
    value = means[rows]
    covariance = solution.evaluator.covariance(np.array(rows, dtype=np.int64))
    outer_value, jacobian, outer_names, outer_nodes, outer_places = _outer(solution)
    k = len(rows)
    for c in field.coordinates:
        size = field.tape.place(field.outer_registers[c.node])
        places[c.node] = np.full(size.stop - size.start, -1, dtype=np.int64)
        for j, (node, place) in enumerate(zip(outer_nodes, outer_places, strict=True)):
            if node == c.node:
                places[node][place] = k + j
                if c.order:  # the other triangle is the same number
                    block, cell = divmod(place, c.order**2)
                    i, m = divmod(cell, c.order)
                    places[node][block * c.order**2 + m * c.order + i] = k + j
    inner = outer_covariance(solution)
    total = np.zeros((k + outer_value.size, k + outer_value.size))
    total[:k, :k] = covariance
    total[k:, k:] = _propagated(jacobian, inner)
    if joint and k and inner.size:
        slope = _slopes(solution, np.array(rows, dtype=np.int64))
        known = ~np.isnan(np.diag(inner))
        through = slope[:, known] @ inner[np.ix_(known, known)]
        total[:k, :k] += through @ slope[:, known].T
        total[:k, k:] = through @ jacobian[:, known].T
        total[k:, :k] = total[:k, k:].T
    return Unknowns(
        names + outer_names,
        nodes + outer_nodes,
        what + ["maximised" if row.any() else "fixed" for row in jacobian],
        np.concatenate([value, outer_value]),
        total,
        places,
    )


def _slopes(solution: Solution, rows: NDArray[np.int64]) -> Floats:
    """Exact derivatives of coefficients in the coordinates."""
    x, evaluator = solution.optimum.x, solution.evaluator
    directions = np.eye(x.size)
    return np.stack([evaluator.sensitivity(x, d).means[rows] for d in directions], axis=1)


def outer_covariance(solution: Solution) -> Floats:
    """Inverse of the observed information in the coordinates; nan where a coordinate is on a bound, and
    everywhere where the information is not finite."""
    optimum = solution.optimum
    k = optimum.x.size
    full = np.full((k, k), np.nan)
    free = np.flatnonzero(~(optimum.active | solution.zero))
    if free.size:
        inner = optimum.hessian[np.ix_(free, free)]
        if not np.isfinite(inner).all():
            return full
        scale = 1 / np.sqrt(np.maximum(np.abs(np.diag(inner)), 1e-300))
        scales = scale[:, None] * scale
        scaled = inner * scales
        inverse = inverse_of_regular(scaled)
        if inverse is None:
            inverse = np.linalg.pinv(scaled, rcond=1e-10)
        full[np.ix_(free, free)] = 2 * inverse * scales
    return full


def _outer(solution: Solution) -> tuple[Floats, Floats, list[str], list[str], list[int]]:
    """Values of outer nodes, their derivatives in the coordinates, names, nodes and flat places."""
    field, evaluator = solution.field, solution.evaluator
    values, rows, names, nodes, at_place = [], [], [], [], []
    for c in field.coordinates:
        register = field.outer_registers[c.node]
        at = field.tape.place(register)
        for place in range(at.stop - at.start):
            if c.order and place % c.order < place // c.order % c.order:
                continue  # one triangle of a symmetric matrix
            bar = np.zeros(evaluator.w.size)
            bar[at.start + place] = 1.0
            field.tape.reverse(evaluator.w, bar)
            values.append(evaluator.w[at.start + place])
            rows.append(bar[field.x_places])
            names.append(element_label(field.problem, c.node, place))
            nodes.append(c.node)
            at_place.append(place)
    jacobian = np.array(rows).reshape(len(values), field.x_places.size)
    value = np.array(values)
    flip = np.array(symmetric(solution), dtype=bool) & (value < 0)
    value[flip] = -value[flip]  # the criterion takes either sign: report the standard deviation
    jacobian[flip] = -jacobian[flip]
    edges = set_edges(solution)
    value[[name in edges.valueless for name in names]] = np.nan
    jacobian[[name in edges.valueless + edges.errorless for name in names]] = np.nan
    return value, jacobian, names, nodes, at_place


def _propagated(jacobian: Floats, inner: Floats) -> Floats:
    """J C J', where an unknown covariance (nan) counts only for what depends on it."""
    unknown = np.isnan(np.diag(inner))
    total = jacobian @ np.where(np.isnan(inner), 0.0, inner) @ jacobian.T
    touched = (np.abs(jacobian[:, unknown]) > 0).any(axis=1)
    total[touched, :] = np.nan
    total[:, touched] = np.nan
    return total


def symmetric(solution: Solution) -> list[bool]:
    """For each outer value whether its sign is a convention."""
    found: list[bool] = []
    for c in solution.field.coordinates:
        register = solution.field.outer_registers[c.node]
        at = solution.field.tape.place(register)
        if c.order:
            found.extend([False] * (c.batch * c.order * (c.order + 1) // 2))
        else:
            full = np.zeros(at.stop - at.start, dtype=bool)
            full[free_places(solution.field.problem, c.node)] = c.symmetric
            found.extend(full.tolist())
    return found


def _columns(solution: Solution, u: Unknowns, extra: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The estimates table, in the order of the graph's nodes."""
    se = root(np.diag(u.covariance))
    table: dict[str, list[Any]] = {k: [] for k in ("name", "estimate", "se", "lower", "upper", "what")}
    positive = _positive(solution)
    lower, upper = wald(u.value, se, positive=[node in positive for node in u.nodes])
    numbers = (u.names, u.value.tolist(), se.tolist(), lower.tolist(), upper.tolist(), u.what)
    order = {name: i for i, name in enumerate(solution.field.problem.graph.nodes)}
    by_node = sorted(range(len(u.names)), key=lambda j: order[u.nodes[j]])
    for key, column in zip(table, numbers, strict=True):
        table[key] = [column[j] for j in by_node]
    for key in table:
        table[key].extend(extra[key])
    return table


def _positive(solution: Solution) -> set[str]:
    """Outer scalars whose domain begins at zero."""
    found = set()
    for c in solution.field.coordinates:
        scale = c.kind in ("identity", "entry") and c.symmetric.any()
        if c.kind == "log" or scale or (c.kind == "identity" and (c.lower == 0).all()):
            found.add(c.node)
    return found


def _latents(solution: Solution, means: Floats) -> dict[str, list[Any]] | None:
    """Every element of the block that is not a coefficient, and those integrated in closed form:
    conditional mean and standard deviation."""
    field = solution.field
    names = [n for n in field.rows if not is_coefficient(solution, n)]
    if not names and not field.collapsed:
        return None
    table: dict[str, list[Any]] = {k: [] for k in ("name", "estimate", "sd", "deviation", "deviation_sd")}
    _add_closed(solution, table)
    if not names:
        return table
    variances = solution.evaluator.variances()
    every_deviation, every_deviation_sd = _deviations(solution)
    for name in names:
        rows = field.rows[name]
        at = np.flatnonzero(rows >= 0)
        deviation, deviation_sd = every_deviation[rows[at]], every_deviation_sd[rows[at]]
        none = below_zero(solution)[rows[at]]  # means are ratios of covariances; variances are not there
        variance = np.where(none, np.nan, variances[rows[at]])
        deviation_sd = np.where(none, np.nan, deviation_sd)
        value, slope = values_and_slopes(field.roles.general.get(name, IDENTITY), means[rows[at]])
        if name in field.roles.bent:  # departures are on another scale
            deviation, deviation_sd = np.full(at.size, np.nan), np.full(at.size, np.nan)
        table["name"].extend(element_label(field.problem, name, int(i)) for i in at)
        table["estimate"].extend(value.tolist())
        table["sd"].extend((slope * np.sqrt(np.maximum(variance, 0))).tolist())
        table["deviation"].extend(deviation.tolist())
        table["deviation_sd"].extend(deviation_sd.tolist())
    return table


def _add_closed(solution: Solution, table: dict[str, list[Any]]) -> None:
    """Rows of latents that were integrated in closed form, by their conditional laws."""
    for found in solution.field.collapsed:
        law = conditional_law(found, solution.evaluator.w)
        name, departure = found.pair.name, law.mean - law.expected
        table["name"].extend(element_label(solution.field.problem, name, i) for i in range(law.mean.size))
        for key, column in zip(list(table)[1:], (law.mean, law.sd, departure, law.sd), strict=True):
            table[key].extend(np.where(np.isfinite(column), column, np.nan).tolist())


def _deviations(solution: Solution) -> tuple[Floats, Floats]:
    """Each element's departure from its own mean (lme4's conditional modes), and its standard deviation
    given the coefficients; nan for flat elements, which have no mean of their own."""
    field, e = solution.field, solution.evaluator.elimination
    cov, sb = e.covariances(given_free=True)
    s = e.s
    child, parent, coefficient = field.parent_entries(solution.evaluator.w)
    shock = field.is_shock
    variance = np.maximum(s[:-1] - s[:-1] ** 2 * sb[:-1], 0.0)
    to_shock = shock[parent]
    c, p, v = child[to_shock], parent[to_shock], coefficient[to_shock]
    order = np.argsort(c, kind="stable")
    c, p, v = c[order], p[order], v[order]
    start = np.searchsorted(c, c, side="left")
    end = np.searchsorted(c, c, side="right")
    for step in range(int((end - start).max(initial=0))):
        partner = start + step
        ok = partner < end
        a, b = np.arange(c.size)[ok], partner[ok]
        np.add.at(variance, c[a], v[a] * v[b] * cov[field.pattern.place(p[a], p[b])])
    own = field.pattern.kind[:-1] == SCALED
    return departures(field, solution.evaluator), np.where(own, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def _boundary(solution: Solution) -> tuple[str, ...]:
    """Estimates on the edge of their domain, by name."""
    names: list[str] = []
    position = 0
    x, zero, active = solution.optimum.x, solution.zero, solution.optimum.active
    for c in solution.field.coordinates:
        part = slice(position, position + c.length)
        if c.kind == "cholesky":
            names.extend(_singular(solution, c.node, c.order, x[part], solution.scale[part]))
        elif c.group is None:
            edge = zero[part] | active[part] | (x[part] == c.lower) | (x[part] == c.upper)
            names.extend(element_label(solution.field.problem, c.node, int(i)) for i in np.flatnonzero(edge))
        position += c.length
    return (*names, *set_edges(solution).boundary)


def _singular(solution: Solution, node: str, order: int, x: Floats, scale: Floats) -> list[str]:
    """Matrices with a zero direction: named by the variance that is zero, else as a whole.

    scale : typical sizes of the coordinates; each component is measured by its own, since one may be in
        units far from those of another.
    """
    i, j = lower_triangle(order)
    found = []
    for part, sizes in zip(x.reshape(-1, i.size), scale.reshape(-1, i.size), strict=True):
        factor = np.zeros((order, order))
        factor[i, j] = part
        deviation = np.sqrt((factor**2).sum(axis=1))
        zero = deviation <= ZERO * sizes[i == j]
        for d in np.flatnonzero(zero):
            found.append(element_label(solution.field.problem, node, int(d * order + d)))
        if zero.any():
            continue
        rows = factor / deviation[:, None]
        if math.prod((rows.diagonal() ** 2).tolist()) > 1e-9:
            continue  # the smallest eigenvalue is at least the determinant over e order^(order - 1)
        if np.linalg.eigvalsh(rows @ rows.T)[0] <= 1e-10:
            found.append(node)
    return found


def _parameter_count(solution: Solution) -> int:
    """Coefficients without a proper prior and coordinates: what aic and bic count."""
    return int(solution.field.unrestricted.sum()) + int(solution.optimum.x.size)


def _errorless(columns: dict[str, list[Any]], u: Unknowns, boundary: tuple[str, ...]) -> list[str]:
    """Estimates without a standard error; those of a boundary are told with it."""
    negative = {n for n, v in zip(u.names, np.diag(u.covariance), strict=True) if v < 0}
    lost = [n for n, se in zip(columns["name"], columns["se"], strict=True) if np.isnan(se)]
    return [n for n in lost if n in negative or not boundary]


def _warnings(boundary: tuple[str, ...], prior: bool, errorless: list[str], backend: str) -> tuple[str, ...]:
    """Sentences beside the verdict, which `converged` and `message` hold."""
    found = [f"'{name}' is estimated on the boundary of its domain" for name in boundary]
    if errorless:
        told = ", ".join(f"'{n}'" for n in errorless[:6])
        more = f" and {len(errorless) - 6} more" if len(errorless) > 6 else ""
        found.append(
            f"no standard error of {told}{more}: the curvature of the criterion gives no variance there"
        )
    if prior:
        ask = "posterior=True" if backend == "laplace" else "method='laplace', posterior=True"
        found.append(f"these are modes of the marginal posterior, not posterior means ({ask})")
    return tuple(found)
