"""Continuous latents of units that a quadrature can integrate: which they are, and the plate of the units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dagmodels.analysis.forward import drawn_forward
from dagmodels.analysis.laws import distribution_of, is_discrete
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, expressions
from dagmodels.graph.statement import Covariance, Stochastic

LAWS = ("Normal", "LogNormal")
ARGUMENTS = ({"mu", "sigma"}, {"mu", "tau"})


@dataclass(frozen=True, slots=True)
class QuadratureLatents:
    """nodes : to be integrated on nodes. plate : whose elements are units. because : why there are none."""

    nodes: tuple[str, ...]
    plate: str
    because: str = ""


def quadrature_latents(dag: Dag, problem: Problem | None = None) -> QuadratureLatents:
    """The latents of units: Normal (or LogNormal) nodes with an axis along one plate.

    The plate is the one with most latents whose law has unknowns, then the one with most elements. All other
    continuous unknowns are maximised, so that their laws must not hang on unknowns.
    """
    continuous = list(_continuous(dag))
    values = {dag.base(n.values_in) for n in dag.nodes.values() if n.values_in is not None}
    plates = {n: _bases(dag, n) - values for n in continuous}
    candidates = dict.fromkeys(p for n in continuous for p in plates[n])
    if not candidates:
        return QuadratureLatents((), "", "no continuous latent has a plate of units")
    hierarchical = [n for n in continuous if _has_unknowns(dag, n)]
    own = max(
        candidates,
        key=lambda p: (
            sum(p in plates[n] for n in hierarchical),
            problem.plates[p].size if problem is not None else 0,
            -list(candidates).index(p),
        ),
    )
    chosen = [n for n in continuous if own in plates[n]]
    for name in hierarchical:
        if name not in chosen:
            told = f"'{name}' is a latent of other units than those of '{own}', and its law has unknowns"
            return QuadratureLatents((), own, told)
    for name in chosen:
        if why := _why_not(dag, name):
            return QuadratureLatents((), own, f"'{name}' {why}")
    return QuadratureLatents(tuple(chosen), own)


def _continuous(dag: Dag) -> Iterator[str]:
    forward = drawn_forward(dag)
    for name, node in dag.nodes.items():
        laws = [d for s in node.statements if (d := distribution_of(s)) is not None]
        known = node.role != "latent" or not laws or node.values_in is not None or name in forward
        if not known and not any(map(is_discrete, laws)):
            yield name


def _bases(dag: Dag, name: str) -> set[str]:
    """The plates of a node and those that they lie in."""
    return {dag.base(p) for plate in dag.nodes[name].plates for p in (plate, *dag.lies_in(dag.base(plate)))}


def _has_unknowns(dag: Dag, name: str) -> bool:
    return any(
        dag.nodes[n].kind == "parameter" or dag.nodes[n].role in ("latent", "observed")
        for n in _sources(dag, name)
    )


def _sources(dag: Dag, name: str) -> set[str]:
    """Parents, those of deterministic parents too."""
    queue, found = list(dag.parents[name]), set[str]()
    while queue:
        parent = queue.pop()
        if parent not in found:
            found.add(parent)
            if dag.nodes[parent].kind == "deterministic":
                queue.extend(dag.parents[parent])
    return found


def _why_not(dag: Dag, name: str) -> str:
    for statement in dag.nodes[name].statements:
        if not isinstance(statement, Stochastic):
            return "is given in part by other than a law, and has no nodes of quadrature"
        law = statement.distribution
        if law.family not in LAWS:
            return f"is {law.family}: nodes of quadrature are for Normal and LogNormal latents"
        if {key for key, _ in law.arguments} not in ARGUMENTS:
            return "states its law by other than mu and sigma or tau"
        references = [r for tree in expressions(statement) for r in ex.references(tree)]
        if any(isinstance(i, ex.LagIndex) for r in references for i in r.indices or ()):
            return "follows its own earlier elements: units along a chain are not integrated on nodes"
    if any(name in _ends(c) for c in dag.covariances):
        return "has a residual covariance (~~): write one latent's mean as a multiple of the other"
    return ""


def _ends(covariance: Covariance) -> tuple[str, str]:
    return covariance.left.name, covariance.right.name
