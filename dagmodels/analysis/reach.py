"""Which unknowns a tree depends on, through deterministic nodes too, and whether linearly."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from dagmodels.analysis.linearity import linear_form
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, expressions


class Reach:
    """Dependence of the trees of one graph on its unknowns; what was found is kept."""

    def __init__(self, dag: Dag) -> None:
        self.dag = dag
        self._linear: dict[tuple[str, frozenset[str]], bool] = {}

    @cached_property
    def unknowns(self) -> frozenset[str]:
        """Stochastic nodes and parameters: what a mean may be linear in."""
        kinds = ("stochastic", "parameter")
        return frozenset(n for n, node in self.dag.nodes.items() if node.kind in kinds)

    @cached_property
    def through(self) -> Mapping[str, set[str]]:
        """For each deterministic node the unknowns it depends on."""
        waiting = [n for n in self.dag.order if self.dag.nodes[n].kind == "deterministic"]
        found: dict[str, set[str]] = {name: set() for name in waiting}
        changed = True
        while changed:  # one pass, and one more where lags tie deterministic nodes to each other
            changed = False
            for name in waiting:
                before = len(found[name])
                for parent in self.dag.parents[name]:
                    found[name] |= found.get(parent, set())
                    if parent in self.unknowns:
                        found[name].add(parent)
                changed |= len(found[name]) > before
        return found

    def of(self, tree: ex.Expression) -> dict[str, None]:
        """The unknowns a tree depends on, in the order of writing."""
        found: dict[str, None] = {}
        for reference in ex.references(tree):
            if reference.name in self.unknowns:
                found[reference.name] = None
            else:
                found.update(dict.fromkeys(sorted(self.through.get(reference.name, ()))))
        return found

    def unknowns_of(self, name: str) -> set[str]:
        """The unknowns in the statements of a node and in its residual covariances, itself left out."""
        found: set[str] = set()
        for statement in self.dag.nodes[name].statements:
            for tree in expressions(statement):
                found |= set(self.of(tree))
        for covariance in self.dag.covariances:
            if name in (covariance.left.name, covariance.right.name):
                found |= set(self.of(covariance.expression))
        return found - {name}

    def linear(self, tree: ex.Expression, unknowns: frozenset[str]) -> bool:
        """Whether a tree is linear in these unknowns together, deterministic nodes looked through."""
        if isinstance(tree, ex.Vector):
            return all(self.linear(item, unknowns) for item in tree.items)
        carriers: set[str] = set()
        for reference in ex.references(tree):
            if reference.name not in self.unknowns and self.through.get(reference.name, set()) & unknowns:
                carriers.add(reference.name)
        if linear_form(tree, unknowns | carriers) is None:
            return False
        return all(self._carrier_is_linear(name, unknowns) for name in carriers)

    def _carrier_is_linear(self, name: str, unknowns: frozenset[str]) -> bool:
        key = (name, frozenset(unknowns & self.through[name]))
        if key not in self._linear:
            self._linear[key] = True  # a recursion through lags is linear when each step is
            trees = [t for s in self.dag.nodes[name].statements for t in expressions(s)]
            self._linear[key] = all(self.linear(tree, unknowns) for tree in trees)
        return self._linear[key]
