"""Errors whose variances are data: the graph without them, and what they add to each unit's covariance.

`y[row] ~ Normal(a + b*x, sqrt(s**2 + sy**2))` with a column sy is the same law for every row plus an error of
variance sy**2, which differs between rows but hangs on no unknown. Where nothing depends on y, the covariance
matrix of a row's observed nodes is that of the graph without the error, and sy**2 in y's diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.clusters import exchangeable
from dagmodels.analysis.evaluate import evaluate, head_rows
from dagmodels.analysis.laws import variance_tree
from dagmodels.analysis.linearity import ZERO, plus
from dagmodels.analysis.unit import NoUnit, Unit, unit
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, remembered
from dagmodels.graph.statement import Covariance, Distribution, Head, Slot, Statement, Stochastic

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KnownError:
    """What is added to the covariance of two observed nodes (the variance of one), element by element.

    left, right : of one shape. expression : of covariates and constants alone.
    """

    left: Head
    right: Head
    expression: ex.Expression

    def values(self, problem: Problem) -> Floats:
        """At every element of the left node, in its shape."""
        rows, _ = head_rows(self.left, problem)
        found = evaluate(self.expression, rows, {n: v[..., None] for n, v in problem.values.items()}, problem)
        return np.broadcast_to(found[:, 0], (rows.n,)).reshape(problem.shape(self.left.name))


@dataclass(frozen=True, eq=False, slots=True)
class WithoutErrors:
    """A graph less its known errors, and these."""

    dag: Dag
    errors: tuple[KnownError, ...]


@remembered
def without_known_errors(dag: Dag) -> WithoutErrors | None:
    """The graph's known errors that differ between elements, taken out; None where it has none, or where one
    stands elsewhere than in the last link of a chain."""
    errors: list[KnownError] = []
    statements: list[Statement] = []
    for statement in dag.statements:
        kept: Statement | None = statement
        parts = _parts(dag, statement)
        if parts is not None:
            head, other, common, known = parts
            errors.append(KnownError(head, other, known))
            kept = _with_variance(statement, common)
        if kept is not None:
            statements.append(kept)
    if not errors:
        return None
    return WithoutErrors(Dag(dag.name, dag.plates, tuple(statements), dag.data_file), tuple(errors))


def _parts(dag: Dag, statement: Statement) -> tuple[Head, Head, ex.Expression, ex.Expression] | None:
    """Two heads, and the parts of their covariance that are common and known."""
    match statement:
        case Stochastic(head=head, distribution=d) if d.family == "Normal" and _last(dag, head.name):
            heads, tree = (head, head), variance_tree(d)
        case Covariance(left=left, right=right, expression=tree) if all(
            _last(dag, h.name) for h in (left, right)
        ):
            heads = (left, right)
        case _:
            return None
    if any(s.plate is None or s.label is not None or s.first for h in heads for s in _slots(dag, h)):
        return None
    plates = {s.plate for s in _slots(dag, heads[0])}
    common, known = ZERO, ZERO
    for term in _terms(tree):
        names = {r.name for r in ex.references(term)}
        if _data(dag, names) and any({*dag.nodes[n].plates} & plates for n in names if n in dag.nodes):
            known = plus(known, term)
        else:
            common = plus(common, term)
    if known == ZERO:
        return None
    full = tuple(Head(h.name, _slots(dag, h)) for h in heads)
    return full[0], full[1], common, known


def _slots(dag: Dag, head: Head) -> tuple[Slot, ...]:
    """The places of a head, written or not."""
    return head.slots or tuple(Slot(p) for p in dag.nodes[head.name].plates)


def _last(dag: Dag, name: str) -> bool:
    """Observed, of one statement, and nothing depends on it."""
    node = dag.nodes[name]
    return node.observed and len(node.statements) == 1 and not dag.children[name] and bool(node.plates)


def _data(dag: Dag, names: set[str]) -> bool:
    return all(n not in dag.nodes or dag.nodes[n].kind in ("covariate", "constant") for n in names)


def _terms(tree: ex.Expression) -> Iterator[ex.Expression]:
    match tree:
        case ex.Binary("+", left, right):
            yield from _terms(left)
            yield from _terms(right)
        case ex.Unary("+", operand):
            yield from _terms(operand)
        case _:
            yield tree


def _with_variance(statement: Statement, variance: ex.Expression) -> Statement | None:
    """The statement with another variance or covariance; None for a covariance of nothing."""
    if isinstance(statement, Covariance):
        return None if variance == ZERO else Covariance(statement.left, statement.right, variance)
    assert isinstance(statement, Stochastic)
    sigma = ZERO if variance == ZERO else ex.Call("sqrt", (variance,))
    mu = tuple((k, v) for k, v in statement.distribution.arguments if k == "mu")
    law = Distribution("Normal", (*mu, ("sigma", sigma)))
    return Stochastic(statement.head, law, statement.observed)


@remembered
def unit_of_rows(dag: Dag) -> Unit | NoUnit:
    """The exchangeable unit, of the graph as it is or without the known errors of its units."""
    found = exchangeable(dag)
    if isinstance(found, Unit) or (less := without_known_errors(dag)) is None:
        return found
    other = unit(less.dag)
    latent = isinstance(other, Unit) and any(not dag.nodes[n].observed for n in other.nodes)
    return replace(other, errors=less.errors) if isinstance(other, Unit) and latent else found
