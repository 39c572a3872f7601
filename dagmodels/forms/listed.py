"""Continuous latents listed on nodes of quadrature, as a graph with discrete latents in their place.

A latent theta ~ Normal(mu, sigma) becomes theta = mu + sigma * z[k] with k a category of known weights: then
integrals over it are sums over states (Bock and Aitkin 1981, Psychometrika 46:443). The nodes z are equally
spaced and weighted by the normal density, which converges faster than any power of their distance where
the integrand is smooth; for a normal integrand of standard deviation s (in units of sigma) and distance h the
relative error is 2 exp(-2 pi^2 s^2 / h^2) (Trefethen and Weideman 2014, SIAM Review 56:385, section 5).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import BoundPlate, Problem
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.graph.plate import Plate

Floats = NDArray[np.float64]
PLATE, VALUE, WEIGHT = "quadrature node", "value of a node", "weight of a node"
WIDEST = 7.5


def state_of(name: str) -> str:
    """The discrete node that stands for a latent."""
    return f"state of {name}"


def lattice(count: int) -> tuple[Floats, Floats]:
    """So many equally spaced values, and their weights, which sum to one.

    Their ends are where the normal tail beyond equals the error of their distance for a posterior of
    standard deviation 0.4.
    """
    end = min(math.sqrt(0.4 * math.pi * (count - 1)), WIDEST)
    z = np.linspace(-end, end, count)
    w = np.exp(-0.5 * z * z)
    return z, w / w.sum()


def listed(problem: Problem, latents: Iterable[str], count: int) -> Problem:
    """The problem in which latents are expressions of categories.

    latents : Normal or LogNormal nodes. count : nodes of each.
    """
    names = tuple(latents)
    dag = problem.graph
    statements: list[st.Statement] = []
    for statement in dag.statements:
        if isinstance(statement, st.Stochastic) and statement.head.name in names:
            statements += _statements(statement)
        else:
            statements.append(statement)
    z, w = lattice(count)
    statements[:0] = [
        st.Constant(VALUE, (PLATE,), tuple(z.tolist())),
        st.Constant(WEIGHT, (PLATE,), tuple(w.tolist())),
    ]
    levels = tuple(range(count))
    plates = (Plate(PLATE, levels=levels), *dag.plates)
    graph = Dag(dag.name, plates, tuple(statements), dag.data_file, dag.source, remarks=dag.remarks)
    known = np.ones(count, dtype=bool)
    return replace(
        problem,
        graph=graph,
        plates={**problem.plates, PLATE: BoundPlate(PLATE, levels, base=PLATE)},
        values={**problem.values, VALUE: z, WEIGHT: w},
        observed={**problem.observed, VALUE: known, WEIGHT: known},
        labels={},
        memo={},
    )


def _statements(statement: st.Stochastic) -> tuple[st.Statement, ...]:
    """The category, and the latent as an expression of it."""
    head, law = statement.head, statement.distribution
    indices = tuple(
        ex.PlateIndex(str(s.plate)) if s.label is None else ex.LevelIndex(s.label) for s in head.slots
    )
    own = st.Head(state_of(head.name), head.slots)
    weights = ex.Reference(WEIGHT, (ex.PlateIndex(PLATE),))
    category = st.Stochastic(own, st.Distribution("Categorical", (("p", weights),)), values_in=PLATE)
    z = ex.Reference(VALUE, (ex.NodeIndex(ex.Reference(own.name, indices)),))
    arguments = dict(law.arguments)
    mu, sigma = arguments["mu"], arguments.get("sigma")
    if sigma is None:
        tau = arguments["tau"]
        assert isinstance(tau, ex.Expression)
        sigma = ex.Binary("/", ex.Number(1), ex.Call("sqrt", (tau,)))
    assert isinstance(mu, ex.Expression)
    assert isinstance(sigma, ex.Expression)
    spread = z if sigma == ex.Number(1) else ex.Binary("*", sigma, z)
    value: ex.Expression = spread if mu == ex.Number(0) else ex.Binary("+", mu, spread)
    if law.family == "LogNormal":
        value = ex.Call("exp", (value,))
    return category, st.Deterministic(head, value, note=statement.note, place=statement.place)
