"""Chances that rise with a latent between limits that are unknown, as in item response models with guessing.

Answers at random make the density of a latent given its data flat, or give it two modes, and the more so the
further a search takes the limits. An approximation at one mode is then no criterion for them: its optima lie
where it is worst.
"""

from __future__ import annotations

from dataclasses import dataclass

from dagmodels.analysis.laws import distribution_of
from dagmodels.analysis.quadrature_latents import quadrature_latents
from dagmodels.analysis.reach import Reach
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Deterministic

LINKS = ("expit", "Phi", "icloglog")
LAWS = ("Bernoulli", "Binomial")
MOST = 3  # latents of a unit, up to which nodes of quadrature serve instead


@dataclass(frozen=True, slots=True)
class Limited:
    """leaf : whose chance it is. limits : the unknowns. latents : that quadrature could integrate instead."""

    leaf: str
    limits: tuple[str, ...]
    latents: tuple[str, ...]


def limited_chances(dag: Dag, problem: Problem | None) -> Limited | None:
    """The first leaf of that kind whose latents can be put on nodes of quadrature; None without any."""
    nodes = [n for n in dag.nodes.values() if n.role == "observed"]
    laws = [(n.name, law) for n in nodes for s in n.statements if (law := distribution_of(s)) is not None]
    laws = [(name, law) for name, law in laws if law.family in LAWS and law.argument("p") is not None]
    if not laws or dag.covariances:
        return None
    found = quadrature_latents(dag, problem)
    if not 0 < len(found.nodes) <= MOST:
        return None
    chances = _Chances(dag, Reach(dag), frozenset(found.nodes))
    for name, law in laws:
        tree = law.argument("p")
        limits = chances.limits(tree) if isinstance(tree, ex.Expression) else {}
        if limits:
            return Limited(name, tuple(n for n in dag.nodes if n in limits), found.nodes)
    return None


@dataclass(frozen=True, slots=True)
class _Chances:
    dag: Dag
    reach: Reach
    latents: frozenset[str]

    def limits(self, tree: ex.Expression) -> dict[str, None]:
        """Unknowns that stand outside of the link, beside what the link gives."""
        tree = self.written(tree)
        if not isinstance(tree, ex.Binary):
            return {}
        found: dict[str, None] = {}
        for inside, outside in ((tree.left, tree.right), (tree.right, tree.left)):
            if self.bent(inside):
                found.update(self.limits(inside))
                read = self.reach.of(outside)
                if not self.latents & read.keys():
                    found.update({n: None for n in read if self.dag.nodes[n].role in ("parameter", "latent")})
        return found

    def bent(self, tree: ex.Expression) -> bool:
        """Whether a latent stands inside a link."""
        tree = self.written(tree)
        if isinstance(tree, ex.Call):
            return tree.function in LINKS and bool(self.latents & self.reach.of(tree).keys())
        return isinstance(tree, ex.Binary) and (self.bent(tree.left) or self.bent(tree.right))

    def written(self, tree: ex.Expression) -> ex.Expression:
        """A computed node as the one tree that gives it."""
        passed = set[str]()
        while isinstance(tree, ex.Reference) and tree.name not in passed:
            passed.add(tree.name)
            node = self.dag.nodes.get(tree.name)
            if node is None or len(node.statements) != 1 or not isinstance(node.statements[0], Deterministic):
                break
            tree = node.statements[0].expression
        return tree


__all__ = ["Limited", "limited_chances"]
