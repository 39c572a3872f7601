"""Between which bounds an estimate can lie, by the model: limits beyond them mean nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.distributions import family
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, Node
from dagmodels.graph.statement import Deterministic, Distribution, Parameter, Stochastic
from dagmodels.graph.validate.values import constant

Range = tuple[float, float]
Of = Callable[[str], Range]
ANY: Range = (-inf, inf)
POSITIVE: Range = (0.0, inf)
UNIT: Range = (0.0, 1.0)
CORRELATION: Range = (-1.0, 1.0)

_CALLS: dict[str, Range] = {
    **dict.fromkeys(("exp", "sqrt", "abs"), POSITIVE),
    **dict.fromkeys(("expit", "Phi", "icloglog", "softmax"), UNIT),
}


def bounds(dag: Dag, names: Iterable[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bounds of estimates, from domains, priors and formulas; infinite where none is known.

    names : as in `Fit.estimates`: `tau`, `alpha[a]`, `Sigma[a, b]`. Variances in a covariance matrix are
        not negative, correlations lie between -1 and 1.
    """

    known = cast(dict[str, Range], dag.memo.setdefault("ranges", {}))

    def of(node: str) -> Range:
        if node not in known:
            known[node] = ANY  # what a lag leads back to
            known[node] = _node_range(dag, dag.nodes[node], of)
        return known[node]

    found = []
    for name in names:
        node, _, rest = str(name).partition("[")
        if node not in dag.nodes:
            found.append(ANY)
        elif _matrix(dag.nodes[node]) == "covariance":
            found.append(POSITIVE if _diagonal(rest) else ANY)
        else:
            found.append(of(node))
    table = np.array(found, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _matrix(node: Node) -> str | None:
    """ "covariance" or "correlation" for such matrices."""
    for s in node.statements:
        if isinstance(s, Parameter) and s.domain is not None:
            kind = s.domain.kind
        elif isinstance(s, Stochastic):
            kind = _support(s.distribution)
        else:
            continue
        if kind in ("covariance", "correlation"):
            return kind
    return None


def _support(law: Distribution) -> str:
    inner = next((v for _, v in law.arguments if isinstance(v, Distribution)), None)
    if inner is not None:
        return _support(inner)
    return "category" if law.family == "Table" else family(law.family).support.kind


def _diagonal(rest: str) -> bool:
    labels = rest.rstrip("]").split(", ")
    return len(labels) > 1 and labels[-1] == labels[-2]


def _node_range(dag: Dag, node: Node, of: Of) -> Range:
    """The bounds of all elements of a node together."""
    parts = []
    for s in node.statements:
        match s:
            case Parameter(domain=None):
                parts.append(ANY)
            case Parameter(domain=domain) if domain is not None:
                parts.append(_domain(domain.kind, domain.lower, domain.upper))
            case Stochastic(distribution=law):
                parts.append(_law(law))
            case Deterministic(expression=tree):
                parts.append(_tree(dag, tree, of))
            case _:
                return ANY
    return min((p[0] for p in parts), default=-inf), max((p[1] for p in parts), default=inf)


def _domain(kind: str, lower: float, upper: float) -> Range:
    named = {"simplex": UNIT, "correlation": CORRELATION, "interval": (lower, upper)}
    return named.get(kind, ANY)


def _law(law: Distribution) -> Range:
    """The support, as far as it does not hang on unknowns; inside the limits of a truncation."""
    inner = next((v for _, v in law.arguments if isinstance(v, Distribution)), None)
    if inner is not None:
        low, high = _law(inner)
    else:
        support = None if law.family == "Table" else family(law.family).support
        if support is None or support.kind not in ("interval", "integer"):
            return _domain(support.kind if support is not None else "", -inf, inf)
        low = support.lower if isinstance(support.lower, int | float) else -inf
        high = support.upper if isinstance(support.upper, int | float) else inf
    if law.family in ("Truncated", "Uniform"):
        stated = {k: constant(v, {}) for k, v in law.arguments if k in ("lower", "upper")}
        low = max(low, _known(stated.get("lower"), -inf))
        high = min(high, _known(stated.get("upper"), inf))
    return low, high


def _known(value: float | None, other: float) -> float:
    return other if value is None or value != value else value


def _tree(dag: Dag, tree: ex.Expression, of: Of) -> Range:
    """The bounds of an expression, by interval arithmetic; wide where that says little."""
    match tree:
        case ex.Number(value):
            return float(value), float(value)
        case ex.Reference(name) if name in dag.nodes and _matrix(dag.nodes[name]) is None:
            return of(name) if dag.nodes[name].values_in is None else ANY
        case ex.Unary("-", operand):
            low, high = _tree(dag, operand, of)
            return -high, -low
        case ex.Binary("+", left, right):
            (a, b), (c, d) = _tree(dag, left, of), _tree(dag, right, of)
            return a + c, b + d
        case ex.Binary("-", left, right):
            (a, b), (c, d) = _tree(dag, left, of), _tree(dag, right, of)
            return a - d, b - c
        case ex.Binary("*", left, right):
            return _product(_tree(dag, left, of), _tree(dag, right, of))
        case ex.Binary("/", left, right):
            low, high = _tree(dag, right, of)
            if low < 0:
                return ANY
            return _product(_tree(dag, left, of), (1 / high if high else inf, 1 / low if low else inf))
        case ex.Binary("**", left, ex.Number(power)):
            return POSITIVE if power % 2 == 0 or _tree(dag, left, of)[0] >= 0 else ANY
        case ex.Binary(op) if op in ("==", "!=", "<", "<=", ">", ">="):
            return UNIT
        case ex.Call(name) if name in _CALLS:
            return _CALLS[name]
        case _:
            return ANY


def _product(one: Range, other: Range) -> Range:
    corners = [0.0 if 0 in (a, b) else a * b for a in one for b in other]
    return min(corners), max(corners)
