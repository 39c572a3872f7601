"""Expected values of observed nodes, for the data fitted or for new ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.bind.problem import Problem
from dagmodels.forms.cells import cells, element_label
from dagmodels.forms.evaluate import Evaluation
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Deterministic, Joint, Stochastic

if TYPE_CHECKING:
    from dagmodels.backends.laplace.fit import Solution
    from dagmodels.backends.laplace.report import Floats, Unknowns


def predictor(solution: Solution, unknowns: Unknowns, means: Floats) -> Callable[[Any], Any]:
    """The function behind `Fit.predict`: elements seen keep their latents, new ones take the mean."""
    problem = solution.field.problem

    def predict(new: Any) -> Any:
        known: dict[str, dict[str, float]] = {}
        for name, rows in solution.field.rows.items():
            known[name] = {
                element_label(problem, name, int(i)): float(means[rows[i]]) for i in np.flatnonzero(rows >= 0)
            }
        outer = {c.node: unknowns.value[unknowns.places[c.node]] for c in solution.field.coordinates}
        return _expected(problem if new is None else _bound(problem, new), outer, known)

    return predict


def _bound(problem: Problem, new: Any) -> Problem:
    from dagmodels.bind.bind import bind

    return bind(problem.graph, new, levels=problem)


def _expected(
    problem: Problem, values: dict[str, Floats], known: dict[str, dict[str, float]]
) -> Floats | dict[str, Floats]:
    dag = problem.graph
    found = dict(values)
    evaluation = Evaluation(problem, found)
    for name in dag.order:
        if name in known:
            found[name] = _latent(evaluation, name, known[name])
    expected = {
        n.name: _mean(evaluation, n.name).reshape(problem.shape(n.name))
        for n in dag.nodes.values()
        if n.role == "observed"
    }
    return next(iter(expected.values())) if len(expected) == 1 else expected


def _latent(evaluation: Evaluation, name: str, known: dict[str, float]) -> Floats:
    """Fitted values where the element was seen, else its mean given its parents."""
    problem = evaluation.problem
    size = int(np.prod(problem.shape(name) or (1,)))
    labels = [element_label(problem, name, i) for i in range(size)]
    value = np.array([known.get(label, np.nan) for label in labels])
    data = problem.values.get(name)
    if data is not None:  # an observed node with missing cells
        value = np.where(np.isnan(data.reshape(-1)), value, data.reshape(-1))
    if np.isnan(value).any():
        evaluation.values[name] = value
        value = np.where(np.isnan(value), _mean(evaluation, name), value)
    return value


def _mean(evaluation: Evaluation, name: str) -> Floats:
    """Means of a node's elements."""
    problem: Problem = evaluation.problem
    out = np.full(int(np.prod(problem.shape(name) or (1,))), np.nan)
    for share in cells(problem, name):
        out[share.places] = evaluation.rows(
            _mean_tree(problem.graph, share.statement, share.component), share.rows
        )
    return out


def _mean_tree(dag: Dag, statement: Any, component: int | None) -> ex.Expression:
    match statement:
        case Deterministic(expression=tree):
            return tree
        case Stochastic(distribution=d) | Joint(distribution=d):
            mean = d.argument("mu")
            if isinstance(mean, ex.Vector) and component is not None:
                return mean.items[component]
            return mean if isinstance(mean, ex.Expression) else ex.Number(0)
        case _:
            return ex.Number(0)
