"""Which unknowns are integrated, profiled or outer, and why (a partition, not a set).

Nodes multiplied with one another in a mean never share the Gaussian block: it is a colouring,
latents of the largest plate first.  What stands in a scale, in a function or in a family that is
not Gaussian is outer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, Node, distribution_expressions
from dagmodels.graph.statement import (
    Covariance,
    Deterministic,
    Distribution,
    Joint,
    Parameter,
    Stochastic,
)

Monomials = frozenset[frozenset[str]]
GAUSSIAN = ("Normal", "MvNormal", "Simultaneous")
FLAT = ("Flat",)


@dataclass(frozen=True, slots=True)
class Roles:
    """The partition of unknowns.

    integrated : Gaussian latents (and Gaussian or flat coefficients), by node, with the reason.
    profiled : coefficients without prior, solved with the latents but not counted.
    outer : everything else that is unknown and maximised over, with the reason.
    refused : unknowns that fit no role here, with the reason.
    predicted : observed vector nodes with missing cells, which their patterns leave out.
    """

    integrated: Mapping[str, str]
    profiled: Mapping[str, str]
    outer: Mapping[str, str]
    refused: Mapping[str, str]
    predicted: tuple[str, ...] = ()

    @property
    def block(self) -> tuple[str, ...]:
        """Nodes of the Gaussian block."""
        return (*self.integrated, *self.profiled)


@dataclass(slots=True)
class _Use:
    """How candidates are used across the graph: nonlinear ones with a reason, pairs multiplied."""

    nonlinear: dict[str, str] = field(default_factory=dict)
    products: set[frozenset[str]] = field(default_factory=set)


def roles(dag: Dag, problem: Problem | None = None) -> Roles:
    """Assign a role to every unknown of the graph.

    Parameters
    ----------
    dag : the model.
    problem : its data; without them every `observed` node counts as fully given.
    """
    if problem is None:
        return _roles(dag, None)
    if "roles" not in problem.memo:
        problem.memo["roles"] = _roles(dag, problem)
    return cast(Roles, problem.memo["roles"])


def _roles(dag: Dag, problem: Problem | None) -> Roles:
    partly = _partly_missing(dag, problem)
    tied = _vector_nodes(dag)
    apart = {n for n in partly if n in tied and not partly[n]}  # predicted from their vector afterwards
    unknown = [n for n in dag.nodes.values() if _is_unknown(n) or (n.name in partly and n.name not in apart)]
    candidates = {
        n.name: n for n in unknown if _is_candidate(n) and not (n.name in partly and n.name in tied)
    }
    use = _uses(dag, set(candidates))
    size = {name: _size(node, dag, problem) for name, node in candidates.items()}
    ranked = sorted(
        (n for n in candidates if n not in use.nonlinear), key=lambda n: (_rank(candidates[n]), -size[n])
    )
    block: list[str] = []
    displaced: dict[str, str] = {}
    for name in ranked:
        rival = next((b for b in block if frozenset((name, b)) in use.products), None)
        if rival is None:
            block.append(name)
        else:
            displaced[name] = f"it multiplies '{rival}', which is integrated"
    for name in partly:
        if name in tied and partly[name]:
            displaced[name] = "it belongs to a vector node"
    return _assemble(dag, unknown, block, displaced, use, partly, apart)


def _assemble(
    dag: Dag,
    unknown: list[Node],
    block: list[str],
    displaced: Mapping[str, str],
    use: _Use,
    partly: Mapping[str, bool],
    apart: set[str],
) -> Roles:
    integrated: dict[str, str] = {}
    profiled: dict[str, str] = {}
    outer: dict[str, str] = {}
    refused: dict[str, str] = {}
    for node in unknown:
        name = node.name
        if name in block:
            if node.kind == "parameter":
                profiled[name] = "a coefficient without prior that enters means linearly"
            elif _families(node) <= set(FLAT):
                integrated[name] = "a flat coefficient that enters means linearly"
            else:
                integrated[name] = "Gaussian and linear in every mean"
            continue
        reason = displaced.get(name) or use.nonlinear.get(name) or _why_outer(node)
        if node.values_in is not None or _families(node) & _DISCRETE:
            refused[name] = "it is discrete and unknown"
        elif name in partly:
            refused[name] = f"it has missing values that others depend on, and {reason}"
        elif node.kind == "stochastic" and _has_unknown_prior(dag, node, unknown):
            refused[name] = (
                f"its prior has unknown parameters, but {reason}: a joint mode would be degenerate"
            )
        else:
            outer[name] = reason
    return Roles(integrated, profiled, outer, refused, tuple(sorted(apart)))


def _vector_nodes(dag: Dag) -> set[str]:
    """Nodes of joint statements, of vector laws and of `~~`."""
    found: set[str] = set()
    for statement in dag.statements:
        match statement:
            case Joint(names=names):
                found.update(names)
            case Covariance(left=left, right=right):
                found.update((left.name, right.name))
            case Stochastic(head=head, distribution=d) if d.family in ("MvNormal", "Simultaneous"):
                found.add(head.name)
            case _:
                continue
    return found


def _partly_missing(dag: Dag, problem: Problem | None) -> dict[str, bool]:
    """Observed nodes with missing cells -> whether other nodes depend on them."""
    if problem is None:
        return {}
    found: dict[str, bool] = {}
    for node in dag.nodes.values():
        if (
            node.role == "observed"
            and node.name in problem.observed
            and not problem.observed[node.name].all()
        ):
            found[node.name] = bool(dag.children[node.name])
    return found


def _is_unknown(node: Node) -> bool:
    return node.role in ("latent", "parameter")


_DISCRETE = {
    "Bernoulli", "Binomial", "BetaBinomial", "Poisson", "NegativeBinomial", "Geometric",
    "Categorical", "OrderedLogistic", "Multinomial", "Table",
}  # fmt: skip


_DOMAINS = {
    "interval": "bounded, so not a free coefficient",
    "ordered": "ordered, so not free coefficients",
    "simplex": "a simplex",
    "covariance": "a covariance matrix",
    "correlation": "a correlation matrix",
}


def _families(node: Node) -> set[str]:
    return {s.distribution.family for s in node.statements if isinstance(s, Stochastic | Joint)}


def _is_candidate(node: Node) -> bool:
    for statement in node.statements:
        match statement:
            case Parameter(domain=None):
                continue
            case Stochastic(distribution=d) | Joint(distribution=d) if d.family in (*GAUSSIAN, *FLAT):
                continue
            case Deterministic():  # some levels are given: they are constants of the block
                continue
            case _:
                return False
    return True


def _why_outer(node: Node) -> str:
    for statement in node.statements:
        if isinstance(statement, Parameter) and statement.domain is not None:
            return _DOMAINS[statement.domain.kind]
        if isinstance(statement, Stochastic | Joint) and statement.distribution.family not in GAUSSIAN:
            return f"its prior is {statement.distribution.family}, not Gaussian"
    return "it does not enter means linearly"


def _has_unknown_prior(dag: Dag, node: Node, unknown: list[Node]) -> bool:
    names = {n.name for n in unknown}
    seen: set[str] = set()
    queue = [p for p in dag.parents[node.name] if p != node.name]
    while queue:
        parent = queue.pop()
        if parent in names:
            return True
        if parent not in seen and dag.nodes[parent].kind == "deterministic":
            seen.add(parent)
            queue.extend(dag.parents[parent])
    return False


def _rank(node: Node) -> int:
    """Latents on plates first, then coefficients with a prior, then those without."""
    if node.kind == "parameter":
        return 2
    return 0 if node.plates and not _families(node) <= set(FLAT) else 1


def _size(node: Node, dag: Dag, problem: Problem | None) -> float:
    if problem is None:
        return float(sum(len(dag.lies_in(p)) for p in node.plates))
    size = 1.0
    for n in problem.shape(node.name):
        size *= n
    return size


def _uses(dag: Dag, names: set[str]) -> _Use:
    use = _Use()
    cache: dict[str, Monomials] = {}
    for statement in dag.statements:
        match statement:
            case Stochastic(distribution=d) | Joint(distribution=d):
                _distribution_use(dag, d, names, use, cache)
            case Covariance(expression=tree):
                _mark(dag, (tree,), names, use, "it stands in a covariance")
            case _:
                continue
    return use


def _distribution_use(
    dag: Dag, d: Distribution, names: set[str], use: _Use, cache: dict[str, Monomials]
) -> None:
    for key, value in d.arguments:
        trees: Iterable[ex.Expression]
        if d.family in GAUSSIAN and key == "mu" and isinstance(value, ex.Expression):
            for tree in value.items if isinstance(value, ex.Vector) else (value,):
                for monomial in _monomials(dag, tree, names, use, cache):
                    use.products.update(frozenset((a, b)) for a in monomial for b in monomial if a != b)
            continue
        if isinstance(value, ex.Expression):
            trees = (value,)
        else:
            trees = tuple(distribution_expressions(Distribution(d.family, ((key, value),))))
        _mark(dag, trees, names, use, f"it stands in {key} of {d.family}")


def _mark(dag: Dag, trees: Iterable[ex.Expression], names: set[str], use: _Use, why: str) -> None:
    """Everything that these trees depend on, through deterministic nodes too, is nonlinear."""
    queue = [r.name for tree in trees for r in ex.references(tree)]
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in seen or name not in dag.nodes:
            continue
        seen.add(name)
        if name in names:
            use.nonlinear.setdefault(name, why)
        if dag.nodes[name].kind == "deterministic":
            queue.extend(dag.parents[name])


_ONE: Monomials = frozenset((frozenset(),))


def _monomials(
    dag: Dag, tree: ex.Expression, names: set[str], use: _Use, cache: dict[str, Monomials]
) -> Monomials:
    """Products of candidates that occur in a mean, deterministic nodes expanded."""

    def down(t: ex.Expression) -> Monomials:
        return _monomials(dag, t, names, use, cache)

    match tree:
        case ex.Reference(name, indices):
            inside = tuple(i.reference for i in indices or () if isinstance(i, ex.NodeIndex))
            _mark(dag, inside, names, use, "it is used as an index")
            if name in names:
                return frozenset((frozenset((name,)),))
            if name in dag.nodes and dag.nodes[name].kind == "deterministic":
                if name not in cache:
                    cache[name] = _ONE
                    found: set[frozenset[str]] = set()
                    for s in dag.nodes[name].statements:
                        if isinstance(s, Deterministic):
                            found |= down(s.expression)
                    cache[name] = frozenset(found)
                return cache[name]
            return _ONE
        case ex.Unary(_, operand):
            return down(operand)
        case ex.Binary("+" | "-", left, right):
            return down(left) | down(right)
        case ex.Binary("*", left, right):
            a, b = down(left), down(right)
            for x in a:
                for y in b:
                    for name in x & y:
                        use.nonlinear.setdefault(name, "it is multiplied with itself")
            return frozenset(x | y for x in a for y in b)
        case ex.Binary("/", left, right):
            _mark(dag, (right,), names, use, "it stands in a denominator")
            return down(left)
        case ex.Reduction("sum" | "mean", body, _):
            return down(body)
        case ex.Call("if_else", (test, yes, no)):
            _mark(dag, (test,), names, use, "it stands in a condition")
            return down(yes) | down(no)
        case _:
            _mark(dag, (tree,), names, use, "it is inside a function")
            return _ONE
