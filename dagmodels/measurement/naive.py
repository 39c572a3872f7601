"""The naive model: readings in the place of true values, as if they had no error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import location_argument
from dagmodels.analysis.reach import Reach
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, defines, expressions
from dagmodels.graph.statement import (
    Covariance,
    Covariate,
    Distribution,
    Head,
    Joint,
    Slot,
    Statement,
    Stochastic,
)
from dagmodels.measurement.mismeasured import Mismeasured, naive_values

Floats = NDArray[np.float64]


def naive_problem(
    problem: Problem, found: Iterable[Mismeasured], values: Mapping[str, Floats] | None = None
) -> Problem:
    """The graph and data in which each true value is a column: its naive value.

    Outcomes of units without any reading count as missing.

    values : other columns in the place of the naive ones, by true value.
    """
    found = tuple(found)
    graph = naive_graph(problem.graph, found)
    given = {m.node: naive_values(problem, m) for m in found} | dict(values or {})
    own = {n: v for n, v in problem.values.items() if n in graph.nodes}
    seen = {n: v for n, v in problem.observed.items() if n in graph.nodes}
    for m in found:
        lost = ~np.isfinite(given[m.node])
        if lost.any():
            _leave_out(problem, m, lost, own, seen)
        own[m.node] = np.where(lost, 0.0, given[m.node])
        seen[m.node] = np.ones(own[m.node].shape, dtype=bool)
    plates = {n: p for n, p in problem.plates.items() if n in graph.plate}
    return Problem(graph, plates, own, seen, labels=problem.labels, cells=dict(problem.cells))


def naive_graph(dag: Dag, found: Iterable[Mismeasured]) -> Dag:
    """True values as covariates; their laws, their readings and what only these used are left out."""
    found = tuple(found)
    true = {m.node for m in found}
    readings = {r for m in found if not m.berkson for r in m.readings}
    statements: list[Statement] = []
    for s in dag.statements:
        names = set(defines(s))
        if isinstance(s, Covariance):
            if not names & (true | readings):
                statements.append(s)
        elif isinstance(s, Joint) and names & readings and not names <= readings | true:
            statements.append(_rest(s, readings | true))
        elif not names & (true | readings):
            statements.append(s)
    ancestors = {n for name in true | readings for n in _above(dag, name)}
    kept = _pruned(dag, statements, ancestors)
    columns = [Covariate(n, dag.nodes[n].plates, dag.nodes[n].values_in) for n in dag.nodes if n in true]
    return Dag(dag.name, dag.plates, (*columns, *kept), None, dag.source)


def _above(dag: Dag, name: str) -> set[str]:
    above, waiting = set[str](), [name]
    while waiting:
        for parent in dag.parents[waiting.pop()]:
            if parent not in above:
                above.add(parent)
                waiting.append(parent)
    return above


def _pruned(dag: Dag, statements: list[Statement], candidates: set[str]) -> list[Statement]:
    """Statements less the unknowns and reports that only the left-out laws used."""
    reach = Reach(dag)
    reports = {n for n, through in reach.through.items() if through & candidates}
    gone = True
    while gone:
        used = {r.name for s in statements for tree in expressions(s) for r in ex.references(tree)}
        there = {n for s in statements for n in defines(s)}
        idle = {
            n
            for n in (candidates | reports) & there
            if n not in used and dag.nodes[n].role in ("latent", "parameter")
        }
        idle |= {n for n in reports & there if n not in used and not set(dag.parents[n]) <= there | {""}}
        gone = bool(idle)
        statements = [s for s in statements if not set(defines(s)) & idle]
    return statements


def _rest(s: Joint, left_out: set[str]) -> Statement:
    """A vector less some of its components: their marginal law."""
    law = s.distribution
    cov, mean = law.argument("cov"), law.argument("mu")
    keep = [i for i, n in enumerate(s.names) if n not in left_out]
    if law.family != "MvNormal" or not isinstance(cov, ex.Vector) or not isinstance(mean, ex.Vector):
        told = f"the marginal law of '{s.names[keep[0]]}' cannot be written"
        hint = "write the joint law as MvNormal([..., ...], [[..., ...], [..., ...]])"
        raise_all([ModelError(told, node=s.names[keep[0]], hint=hint)], "the naive model")
    assert isinstance(mean, ex.Vector)
    assert isinstance(cov, ex.Vector)
    means = tuple(mean.items[i] for i in keep)
    rows = [cov.items[i] for i in keep]
    matrix = tuple(ex.Vector(tuple(r.items[j] for j in keep)) for r in rows if isinstance(r, ex.Vector))
    if len(keep) == 1:
        name = s.names[keep[0]]
        scale = ex.Call("sqrt", (matrix[0].items[0],))
        head = Head(name, tuple(Slot(p) for p in s.plates))
        return Stochastic(head, Distribution("Normal", (("mu", means[0]), ("sigma", scale))), s.observed)
    law = Distribution("MvNormal", (("mu", ex.Vector(means)), ("cov", ex.Vector(matrix))))
    return Joint(tuple(s.names[i] for i in keep), s.plates, law, s.observed)


def _leave_out(
    problem: Problem,
    m: Mismeasured,
    lost: NDArray[np.bool_],
    own: dict[str, Floats],
    seen: dict[str, NDArray[np.bool_]],
) -> None:
    """Outcomes of the units that have no reading become missing."""
    for name in m.outcomes:
        if name not in own:
            continue
        codes = problem.rows(problem.graph.nodes[name].plates).codes
        plates = problem.graph.nodes[m.node].plates
        if not all(p in codes for p in plates):
            hint = "leave these units out"
            told = f"units without any reading of '{m.node}' cannot be told apart in '{name}'"
            raise_all([ModelError(told, node=name, hint=hint)], "the naive model")
        out = lost[tuple(codes[p] for p in plates)].reshape(own[name].shape)
        own[name] = np.where(out, np.nan, own[name])
        seen[name] = seen[name] & ~out


def coefficients_of(dag: Dag, outcome: str, covariate: str) -> tuple[str, ...]:
    """Unknowns that multiply a covariate in an outcome's law, or that its state selects, in order."""
    found: set[str] = set()
    for statement in dag.nodes[outcome].statements:
        for tree in expressions(statement):
            _multiplied(dag, tree, covariate, found)
    return tuple(n for n in dag.nodes if n in found)


def mean_unknowns(dag: Dag, outcome: str) -> tuple[str, ...]:
    """Parameters and latents without plates in an outcome's mean, in the order of the model."""
    reach = Reach(dag)
    found: set[str] = set()
    for statement in dag.nodes[outcome].statements:
        law = getattr(statement, "distribution", None)
        name = None if law is None else location_argument(law)
        tree = None if name is None else law.argument(name)
        if isinstance(tree, ex.Expression):
            found |= set(reach.of(tree))
    roles = {n: dag.nodes[n].role for n in found}
    return tuple(
        n
        for n in dag.nodes
        if roles.get(n) == "parameter" or (roles.get(n) == "latent" and not dag.nodes[n].plates)
    )


def _multiplied(dag: Dag, tree: ex.Expression, covariate: str, found: set[str]) -> None:
    """Collect, in products that hold the covariate, what stands beside it."""
    if isinstance(tree, ex.Binary) and tree.operator in ("*", "/", "**"):
        sides = (tree.left, tree.right)
        for one, other in (sides, sides[::-1]):
            if _holds(dag, one, covariate) and not _holds(dag, other, covariate):
                found.update(_unknowns(dag, other))
    if isinstance(tree, ex.Reference):
        if any(isinstance(i, ex.NodeIndex) and i.reference.name == covariate for i in tree.indices or ()):
            found.add(tree.name)
        node = dag.nodes.get(tree.name)
        if node is not None and node.kind == "deterministic":
            for statement in node.statements:
                for inner in expressions(statement):
                    _multiplied(dag, inner, covariate, found)
    for child in ex.children(tree):
        _multiplied(dag, child, covariate, found)


def _holds(dag: Dag, tree: ex.Expression, covariate: str) -> bool:
    return any(covariate in _seen_through(dag, r.name) for r in ex.references(tree))


def _unknowns(dag: Dag, tree: ex.Expression) -> set[str]:
    names = {n for r in ex.references(tree) for n in _seen_through(dag, r.name)}
    return {n for n in names if n in dag.nodes and dag.nodes[n].role in ("parameter", "latent")}


def _seen_through(dag: Dag, name: str) -> set[str]:
    """A name, and what stands behind it where it is deterministic."""
    node = dag.nodes.get(name)
    if node is None or node.kind != "deterministic":
        return {name}
    return {name}.union(
        *(
            _seen_through(dag, r.name)
            for s in node.statements
            for t in expressions(s)
            for r in ex.references(t)
        )
    )


__all__ = ["coefficients_of", "mean_unknowns", "naive_graph", "naive_problem"]
