"""A graph of exchangeable units as arrows and arcs between its variables: Wright's path diagram.

Read from the statements alone, so that no data are needed; what stands on a plate inside of the unit is one
variable here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dagmodels.analysis.clusters import exchangeable
from dagmodels.analysis.linearity import ONE, ZERO, linear_form
from dagmodels.analysis.unit import NoUnit, Unit, unit
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, remembered
from dagmodels.graph.statement import Covariance, Deterministic, Distribution, Joint, Stochastic


@dataclass(frozen=True, slots=True)
class Arrow:
    """`child` depends on `parent` with a coefficient (a tree of numbers and unknowns)."""

    parent: str
    child: str
    coefficient: ex.Expression


@dataclass(frozen=True, slots=True)
class Arc:
    """Two residuals (or exogenous variables) covary; `value` is None where a matrix says how."""

    left: str
    right: str
    value: ex.Expression | None


@dataclass(frozen=True, slots=True)
class Paths:
    """Variables of one unit in the order of the graph, and how they depend on one another.

    observed : data are given for them, covariates included. given : the covariates, which covary freely.
    exact : variables without a residual. variances, levels : by variable, of residuals and means.
    """

    variables: tuple[str, ...]
    observed: frozenset[str]
    given: frozenset[str]
    exact: frozenset[str]
    arrows: tuple[Arrow, ...]
    arcs: tuple[Arc, ...]
    variances: dict[str, ex.Expression | None]
    levels: dict[str, ex.Expression]

    def parents(self, name: str) -> tuple[str, ...]:
        """Variables that one depends on directly."""
        return tuple(a.parent for a in self.arrows if a.child == name)

    def children(self, name: str) -> tuple[str, ...]:
        """Variables that depend on one directly."""
        return tuple(a.child for a in self.arrows if a.parent == name)

    def below(self, name: str) -> frozenset[str]:
        """Everything that depends on one, itself included."""
        found, queue = {name}, [name]
        while queue:
            new = set(self.children(queue.pop())) - found
            found |= new
            queue += new
        return frozenset(found)


def paths(dag: Dag) -> Paths:
    """The path diagram of a graph.

    Raises
    ------
    ModelErrors : the graph is no model of exchangeable units, saying why.
    """
    found = unit(dag)
    if isinstance(found, NoUnit):
        hint, because = "other graphs are drawn in the styles 'bayes' and 'bn'", found.because
        both = exchangeable(dag)
        if isinstance(both, Unit):
            because = (f"'{both.inner}' lie in '{both.plate}': paths and their rules are those of one level",)
            hint += "; fit(form='moments') checks by itself what two levels identify"
        where = f"the path diagram of model '{dag.name}'"
        raise_all([ModelError(told, hint=hint) for told in because], where)
    return _paths(dag)


@remembered
def _paths(dag: Dag) -> Paths:
    found = unit(dag)
    assert isinstance(found, Unit)
    inside = {*found.nodes, *found.derived, *found.covariates}
    names = tuple(n for n in dag.nodes if n in inside)
    arrows: list[Arrow] = []
    arcs: list[Arc] = []
    variances: dict[str, ex.Expression | None] = {}
    levels: dict[str, ex.Expression] = {}

    def mean(child: str, tree: object) -> None:
        form = linear_form(tree, inside) if isinstance(tree, ex.Expression) else None
        if form is None:
            return
        if form.offset != ZERO:
            levels.setdefault(child, form.offset)
        seen = {(a.parent, a.child) for a in arrows}
        arrows.extend(
            Arrow(t.reference.name, child, t.coefficient)
            for t in form.terms
            if (t.reference.name, child) not in seen
        )

    for name in names:
        for statement in dag.nodes[name].statements:
            if isinstance(statement, Deterministic):
                mean(name, statement.expression)
            elif isinstance(statement, Stochastic):
                mean(name, statement.distribution.argument("mu"))
                variances.setdefault(name, _variance(statement.distribution))
    for statement in dag.statements:
        if isinstance(statement, Joint) and statement.names[0] in inside:
            _joint(statement, mean, arrows, arcs, variances)
        elif isinstance(statement, Covariance) and statement.left.name in inside:
            arcs.append(Arc(statement.left.name, statement.right.name, statement.expression))
    given = frozenset(found.covariates)
    seen = frozenset(n for n in names if n in given or dag.nodes[n].observed)
    exact = frozenset(n for n in found.derived)
    return Paths(names, seen, given, exact, tuple(arrows), tuple(arcs), variances, levels)


def _joint(statement: Joint, mean, arrows: list[Arrow], arcs: list[Arc], variances) -> None:  # type: ignore[no-untyped-def]
    names, d = statement.names, statement.distribution
    means = d.argument("mu")
    for name, tree in zip(
        names, means.items if isinstance(means, ex.Vector) else (means,) * len(names), strict=True
    ):
        mean(name, tree)
    slopes = d.argument("B") if d.family == "Simultaneous" else None
    for i, j, tree in _cells(slopes):
        if tree != ZERO:
            arrows.append(Arrow(names[j], names[i], tree))
    table = d.argument("cov")
    if isinstance(table, ex.Vector):
        for i, j, tree in _cells(table):
            if i == j:
                variances[names[i]] = tree
            elif j < i and tree != ZERO:
                arcs.append(Arc(names[j], names[i], tree))
    else:
        variances.update(dict.fromkeys(names))
        arcs.extend(Arc(a, b, None) for k, b in enumerate(names) for a in names[:k])


def _cells(table: object) -> Iterator[tuple[int, int, ex.Expression]]:
    if isinstance(table, ex.Vector):
        for i, line in enumerate(table.items):
            if isinstance(line, ex.Vector):
                yield from ((i, j, tree) for j, tree in enumerate(line.items))


def _variance(law: Distribution) -> ex.Expression | None:
    sigma = law.argument("sigma")
    if isinstance(sigma, ex.Call) and sigma.function == "sqrt":
        return sigma.arguments[0]
    if sigma == ONE or (sigma is None and law.family == "Normal" and law.argument("tau") is None):
        return ONE
    return ex.Binary("*", sigma, sigma) if isinstance(sigma, ex.Expression) else None
