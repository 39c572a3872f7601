"""Unobserved nodes and missing values that nothing observed depends on: the data say no more of them than
of their parents.

They need no place in a sampler: each is drawn from its law, given its parents, after all else.
"""

from __future__ import annotations

from dagmodels.analysis.laws import FLAT, distribution_of, is_discrete
from dagmodels.bind.problem import Problem
from dagmodels.graph.dag import Dag, Node, remembered
from dagmodels.graph.statement import Stochastic

VECTORS = ("Truncated", "Censored", "Ordered", "Mixture", "Table")


@remembered
def drawn_forward(dag: Dag) -> tuple[str, ...]:
    """Latent nodes without observed descendants whose laws have numbers for arguments, parents first.

    Their stochastic descendants are such nodes too. None where there is no other unknown.
    """
    kept = {n for n, node in dag.nodes.items() if node.role == "latent" and _is_plain(dag, node)}
    tied = {head.name for c in dag.covariances for head in (c.left, c.right)}
    kept -= tied
    while True:
        gone = {n for n in kept if not _descendants(dag, n) <= kept}
        if not gone:
            others = any(
                node.role in ("latent", "parameter") and n not in kept for n, node in dag.nodes.items()
            )
            return tuple(n for n in dag.order if n in kept) if others else ()
        kept -= gone


def missing_at_ends(problem: Problem) -> tuple[str, ...]:
    """Observed nodes of continuous numbers with missing values on which no other node depends.

    Such values may have several modes, one for each state of a discrete parent: no sampler should walk
    between them. None where there is no other unknown.
    """
    dag = problem.graph
    tied = {head.name for c in dag.covariances for head in (c.left, c.right)}
    if not any(node.role in ("latent", "parameter") for node in dag.nodes.values()):
        return ()
    return tuple(
        n
        for n, seen in problem.observed.items()
        if (node := dag.nodes.get(n)) is not None
        and node.role == "observed"
        and not seen.all()
        and n not in tied
        and not dag.children[n]
        and _is_plain(dag, node)
        and not any(is_discrete(law) for s in node.statements if (law := distribution_of(s)) is not None)
    )


def _descendants(dag: Dag, name: str) -> set[str]:
    """The next stochastic nodes below, through deterministic ones; parameters' places count as such."""
    found: set[str] = set()
    queue, seen = [name], {name}
    while queue:
        for child in dag.children[queue.pop()]:
            if child in seen:
                continue
            seen.add(child)
            if dag.nodes[child].kind == "deterministic":
                queue.append(child)
            else:
                found.add(child)
    return found


def _is_plain(dag: Dag, node: Node) -> bool:
    """One number an element, of a proper law that depends on no other element of the node."""
    from dagmodels.distributions import family

    if node.name in dag.parents[node.name]:
        return False
    for statement in node.statements:
        law = distribution_of(statement)
        if not isinstance(statement, Stochastic) or law is None or law.family in (*VECTORS, *FLAT):
            return False
        found = family(law.family)
        if found.event or any(a.shape or a.domain == "plate" for a in found.parameters):
            return False
    return True


__all__ = ["drawn_forward", "missing_at_ends"]
