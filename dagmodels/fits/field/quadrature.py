"""From Laplace's optimum to that of the criterion by quadrature: a few more steps."""

from __future__ import annotations

import time

import numpy as np

from dagmodels.analysis.measurement import true_values
from dagmodels.errors import FitError
from dagmodels.fits.field.inside import settled
from dagmodels.fits.field.objective import Objective, Space
from dagmodels.fits.field.solve import Solution
from dagmodels.fits.field.verdict import verdict
from dagmodels.forms.field import Field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.quadrature import QuadratureEvaluator, dimensions
from dagmodels.graph.dag import Dag
from dagmodels.numerics.optimise import minimise

# by latents a group, the orders to try: the first gives ten digits of framingham's likelihood with one, the
# last ones are for laws with two modes (an outcome that depends on the square of a latent)
ORDERS = {1: (15, 31, 63, 100), 2: (9, 15, 25), 3: (7, 11)}
AGREE = 1e-3  # how far the deviance may move with the next order


def order_by_itself(dag: Dag, field: Field) -> int:
    """Nodes in each dimension where nobody asked for a number: more than one for covariates with error.

    Their slopes are what such a model is fitted for, and Laplace's approximation moves them by a tenth of a
    standard error where an outcome is binary and the error large. One, which is Laplace's, for all other
    graphs (lme4's default) and where more than three latents meet or coefficients join all groups.
    """
    if not any(c.element for c in field.curved) or not true_values(dag):
        return 1
    return 1 if field.unrestricted.any() else ORDERS.get(dimensions(field), (1,))[0]


def by_enough(solution: Solution, began: float) -> Solution:
    """The optimum with as many nodes as the deviance needs: the next order would move it by less than 0.001.

    Judged where Laplace's search ended, and again at the optimum; the last order of the table is taken as it
    is.
    """
    orders = ORDERS[dimensions(solution.field)]
    order = orders[0]
    while True:
        order = _enough(solution, orders[orders.index(order) :])
        solution = by_quadrature(solution, order, began)
        if _enough(solution, orders[orders.index(order) :]) == order:
            return solution
        order = orders[orders.index(order) + 1]


def unsettled(solution: Solution) -> str | None:
    """What to know where even the last order of the table does not agree with the one before."""
    orders = ORDERS[dimensions(solution.field)]
    used, x = solution.evaluator, solution.optimum.x
    if not isinstance(used, QuadratureEvaluator) or used.order < orders[-1]:
        return None
    fewer = QuadratureEvaluator(solution.field, orders[-2])
    fewer.begin_at(used)
    gap = abs(fewer.criterion(x).total - used.criterion(x).total)
    if gap < AGREE:
        return None
    dag, integrated = solution.field.problem.graph, solution.field.roles.integrated
    named = ", ".join(f"'{n}'" for n in integrated if dag.nodes[n].plates)
    return (
        f"the integral over {named} is not settled: {orders[-2]} and {orders[-1]} nodes differ by {gap:.2g} "
        "in the deviance, as where an outcome is nearly a step of a true value; method='gibbs' with priors "
        "needs no nodes"
    )


def _enough(solution: Solution, orders: tuple[int, ...]) -> int:
    """The first of the orders with which the next one agrees at the solution's point."""
    before: tuple[int, float] | None = None
    for order in orders:
        evaluator = QuadratureEvaluator(solution.field, order)
        assert isinstance(solution.evaluator, ModeEvaluator)
        evaluator.begin_at(solution.evaluator)
        value = evaluator.criterion(solution.optimum.x).total
        if before is not None and abs(value - before[1]) < AGREE:
            return before[0]
        before = order, value
    return orders[-1]


def by_quadrature(solution: Solution, order: int, began: float) -> Solution:
    """The optimum with `order` nodes in each dimension, beginning at Laplace's.

    Raises `FitError` where the graph has no such integral: everything is exact already, or latents of
    different groups meet in a row.
    """
    field = solution.field
    if not isinstance(solution.evaluator, ModeEvaluator):
        raise FitError("quadrature has nothing to do: every integral is exact here; leave the option out")
    evaluator = QuadratureEvaluator(field, order)
    evaluator.begin_at(solution.evaluator)
    f = Objective(field, evaluator, Space.of(field, solution.scale))
    s = f.space
    optimum = minimise(f, solution.optimum.x, s.scale, s.lower, s.upper, model=solution.optimum.hessian)
    optimum = settled(f, optimum)
    converged, message = verdict(field, f, optimum)
    evaluator.criterion(optimum.x)
    zero = s.symmetric & (optimum.x == 0.0)
    seconds = time.process_time() - began
    return Solution(field, evaluator, optimum, s.scale, np.asarray(zero), converged, message, seconds)
