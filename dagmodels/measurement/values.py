"""Numbers of a fit at the places of a bound graph, and what its trees come to with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.evaluate import CannotEvaluate, evaluate, head_rows
from dagmodels.bind.problem import Problem, Rows
from dagmodels.errors import FitError
from dagmodels.forms.cells import element_labels
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic, Distribution, Head, Joint, Slot, Stochastic

Floats = NDArray[np.float64]


def values_of(
    problem: Problem, numbers: Mapping[str, Any], arrays: Mapping[str, Floats] | None = None
) -> dict[str, Floats]:
    """By node an array of its shape with one more axis: data, numbers by element name, deterministic nodes.

    numbers : estimates by `Problem.element` names; elements without one are NaN, latents without any are left
        out. arrays : numbers by node, in its shape.
    """
    arrays = arrays or {}
    found: dict[str, Floats] = {n: v[..., None] for n, v in problem.values.items()}
    for name, node in problem.graph.nodes.items():
        if name in found and np.isfinite(found[name]).all():
            continue
        if node.role not in ("latent", "parameter", "observed"):
            continue
        shape = problem.shape(name)
        if name in arrays:
            flat = np.asarray(arrays[name], dtype=float).reshape(-1)
        else:
            flat = np.array([numbers.get(e, np.nan) for e in element_labels(problem, name)], dtype=float)
        own = found.get(name)
        array = flat.reshape(shape)[..., None]
        if np.isfinite(flat).any() or own is not None:
            found[name] = array if own is None else np.where(np.isfinite(own), own, array)
    return found


def with_reports(problem: Problem, values: Mapping[str, Floats]) -> dict[str, Floats]:
    """The values with deterministic nodes found from them."""
    found = dict(values)
    for name in problem.graph.order:
        node = problem.graph.nodes[name]
        if node.kind != "deterministic":
            continue
        for statement in node.statements:
            assert isinstance(statement, Deterministic)
            rows, named = head_rows(statement.head, problem)
            try:
                cells = evaluate(statement.expression, rows, found, problem)
            except CannotEvaluate:  # a vector or a recursion: what needs it says so
                continue
            cells = np.broadcast_to(cells, (rows.n, cells.shape[1]))
            if name not in found or not named.all():
                found.setdefault(name, np.full((*problem.shape(name), cells.shape[1]), np.nan))
            flat = found[name].reshape(rows.n, -1)
            found[name] = np.where(named[:, None], cells, flat).reshape(*problem.shape(name), -1)
    return found


def at_rows(
    problem: Problem, node: str, tree: ex.Expression, values: Mapping[str, Floats], first: int | None = None
) -> Floats:
    """A tree of a node's law at the node's rows, (rows, variants).

    first : how many rows are enough, where all are alike.

    Raises `FitError` where it has no single number a row.
    """
    plates = problem.graph.nodes[node].plates
    rows, _ = head_rows(Head(node, tuple(Slot(p) for p in plates)), problem)
    if first is not None and first < rows.n:
        rows = Rows(first, {p: c[:first] for p, c in rows.codes.items()})
    try:
        found = evaluate(tree, rows, values, problem)
    except CannotEvaluate as error:
        raise FitError(f"`{tree}` in the law of '{node}' has no single number a row: {error}") from error
    return np.broadcast_to(found, (rows.n, found.shape[1]))


def law_of(problem: Problem, node: str) -> tuple[Distribution, int | None]:
    """The only law of a node, and its component in it where that is a joint one. Raises `FitError`."""
    statements = problem.graph.nodes[node].statements
    if len(statements) != 1 or not isinstance(statements[0], Stochastic | Joint):
        raise FitError(f"'{node}' has several laws; what is asked for needs one")
    (statement,) = statements
    place = statement.names.index(node) if isinstance(statement, Joint) else None
    return statement.distribution, place


def error_variance(problem: Problem, node: str, values: Mapping[str, Floats]) -> Floats:
    """The variance of a reading about its mean, (rows,). Raises `FitError` for laws without one."""
    law, place = law_of(problem, node)

    def at(name: str) -> Floats | None:
        tree = law.argument(name)
        return at_rows(problem, node, tree, values)[:, 0] if isinstance(tree, ex.Expression) else None

    if law.family == "Normal":
        sigma, tau = at("sigma"), at("tau")
        if sigma is not None:
            return sigma**2
        if tau is not None:
            return 1.0 / tau
    if law.family == "StudentT" and (sigma := at("sigma")) is not None and (nu := at("nu")) is not None:
        return np.where(nu > 2, sigma**2 * nu / np.maximum(nu - 2, 1e-300), np.inf)
    if law.family == "Laplace" and (b := at("b")) is not None:
        return 2.0 * b**2
    cov = law.argument("cov")
    if law.family == "MvNormal" and place is not None and isinstance(cov, ex.Vector):
        row = cov.items[place]
        if isinstance(row, ex.Vector):
            return at_rows(problem, node, row.items[place], values)[:, 0]
    raise FitError(f"the error variance of '{node}' cannot be read off its law {law!r}")


__all__ = ["at_rows", "error_variance", "law_of", "values_of", "with_reports"]
