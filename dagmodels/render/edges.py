"""Arrows of a picture: who depends on whom, through which lag, with which coefficient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, Node, defines, expressions
from dagmodels.graph.statement import Covariance, Deterministic, Distribution, Stochastic


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow.

    parent, child : node names.
    lags : "" for the same element, else the earlier elements referred to, such as "t−1".
    coefficient : the scalar unknown that multiplies the parent in the child's mean, or None.
    covariance : whether the child depends on the parent only through a `~~` statement.
    """

    parent: str
    child: str
    lags: str = ""
    coefficient: str | None = None
    covariance: bool = False


def edges(dag: Dag) -> tuple[Edge, ...]:
    """Every arrow once, children in the order of the model.

    The pairs are those of `dag.parents`; a parent that enters both at the same element and at an
    earlier one has two arrows, one of them with `lags`.
    """
    found: dict[tuple[str, str, bool], list[str]] = {}
    through_law: set[tuple[str, str]] = set()
    for statement in dag.statements:
        for name in defines(statement):
            for reference in _references(dag, statement):
                lags = _lags(reference)
                known = found.setdefault((reference.name, name, bool(lags)), [])
                known += [lag for lag in lags if lag not in known]
                if not isinstance(statement, Covariance):
                    through_law.add((reference.name, name))
    place = {name: i for i, name in enumerate(dag.nodes)}
    coefficient = coefficients(dag)
    return tuple(
        Edge(
            parent,
            child,
            ", ".join(lags),
            coefficient.get((parent, child, lagged)),
            (parent, child) not in through_law,
        )
        for (parent, child, lagged), lags in sorted(
            found.items(), key=lambda item: (place[item[0][1]], place[item[0][0]], item[0][2])
        )
    )


def _references(dag: Dag, statement: object) -> Iterator[ex.Reference]:
    for tree in expressions(statement):  # type: ignore[arg-type]
        yield from (r for r in ex.references(tree) if r.name in dag.nodes)


def _lags(reference: ex.Reference) -> tuple[str, ...]:
    return tuple(f"{i.plate}−{i.lag}" for i in reference.indices or () if isinstance(i, ex.LagIndex))


# Arguments that hold a mean or a linear predictor, and functions that hold one inside.
_MEANS = ("mu", "p", "eta")
_LINKS = ("exp", "expit", "logit", "probit", "Phi", "cloglog", "icloglog", "softmax")
_MOST_TERMS = 64


def coefficients(dag: Dag) -> dict[tuple[str, str, bool], str]:
    """For each (parent, child, lagged) the scalar unknown whose product with the parent is a term.

    A parent that enters any other term as well (an interaction, a square) has none: one number on
    the arrow would be less than the truth.
    """
    found = {}
    for child, node in dag.nodes.items():
        mean = _mean(node)
        if mean is None:
            continue
        terms = _terms(mean)
        uses: dict[tuple[str, bool], int] = {}
        for _, factors in terms:
            inside = {(r.name, bool(_lags(r))) for f in factors for r in ex.references(f)}
            for key in inside:
                uses[key] = uses.get(key, 0) + 1
        for negative, factors in terms:
            pair = _product(dag, factors)
            if pair is not None and not negative and uses[pair[1], pair[2]] == 1:
                found[pair[1], child, pair[2]] = pair[0]
    return found


def _mean(node: Node) -> ex.Expression | None:
    statement = node.statements[0]
    tree: object = None
    if isinstance(statement, Deterministic):
        tree = statement.expression
    elif isinstance(statement, Stochastic):
        distribution = statement.distribution
        inner = distribution.argument("distribution")
        if isinstance(inner, Distribution):
            distribution = inner
        tree = next((a for name in _MEANS if (a := distribution.argument(name)) is not None), None)
    while isinstance(tree, ex.Call) and tree.function in _LINKS and len(tree.arguments) == 1:
        tree = tree.arguments[0]
    return tree if isinstance(tree, ex.Expression) else None


Term = tuple[bool, tuple[ex.Expression, ...]]


def _terms(tree: ex.Expression) -> list[Term]:
    """The tree multiplied out: (negative, factors) of each term; what is no sum or product is a factor."""
    match tree:
        case ex.Unary("-", operand):
            return [(not negative, factors) for negative, factors in _terms(operand)]
        case ex.Unary("+", operand):
            return _terms(operand)
        case ex.Binary("+", left, right):
            return _terms(left) + _terms(right)
        case ex.Binary("-", left, right):
            return _terms(left) + [(not negative, factors) for negative, factors in _terms(right)]
        case ex.Binary("*", left, right):
            first, second = _terms(left), _terms(right)
            if len(first) * len(second) > _MOST_TERMS:
                return [(False, (tree,))]
            return [(n1 != n2, f1 + f2) for n1, f1 in first for n2, f2 in second]
        case _:
            return [(False, (tree,))]


def _product(dag: Dag, factors: tuple[ex.Expression, ...]) -> tuple[str, str, bool] | None:
    """(coefficient, parent, lagged) when the factors are a scalar unknown and one other node."""
    if len(factors) != 2 or not all(isinstance(f, ex.Reference) and f.name in dag.nodes for f in factors):
        return None
    references = [f for f in factors if isinstance(f, ex.Reference)]
    scalar = [_is_scalar_unknown(dag.nodes[r.name]) for r in references]
    if scalar[0] == scalar[1]:
        return None
    coefficient, parent = references if scalar[0] else reversed(references)
    return coefficient.name, parent.name, bool(_lags(parent))


def _is_scalar_unknown(node: Node) -> bool:
    return not node.plates and node.role in ("parameter", "latent")
