"""Dirichlet latents whose children are counted states, integrated by their counts (Dirichlet-multinomial).

Given counts c of the states, proportions with the law Dirichlet(a) have Dirichlet(a + c), and what is left is
the product over states of gamma(a_k + c_k)/gamma(a_k) over gamma(sum a + sum c)/gamma(sum a), times the
children's multinomial coefficients (Mosimann 1962, Biometrika 49, 65-82).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from dagmodels.analysis.conjugacy import Conjugate
from dagmodels.analysis.reach import Reach
from dagmodels.distributions import family
from dagmodels.distributions._family import ConjugatePrior
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import expressions
from dagmodels.graph.functions import FUNCTIONS
from dagmodels.graph.printing import expression_text
from dagmodels.graph.statement import Deterministic, Stochastic

COUNTED = {"Categorical": "p", "Multinomial": "p"}


@dataclass(frozen=True, slots=True)
class Counts:
    """One statement of a child: its states have the probabilities `reference`."""

    node: str
    statement: Stochastic
    reference: ex.Reference
    text: str


@dataclass(frozen=True, slots=True)
class Proportions(Conjugate):
    """Dirichlet proportions with their children; each by itself has the law Beta."""

    counted: tuple[Counts, ...] = ()

    @property
    def law(self) -> ConjugatePrior:
        """Of one proportion beside the sum of the others."""
        found = family("Beta").conjugate_prior
        assert found is not None
        return found

    @property
    def nodes(self) -> tuple[str, ...]:
        """The children."""
        return tuple(c.node for c in self.counted)

    @property
    def why(self) -> str:
        """The pair in words."""
        told = (
            f"'{c.node}' is {c.statement.distribution.family} with probabilities {c.text}"
            for c in self.counted
        )
        return f"in closed form: its prior is Dirichlet, {' and '.join(told)}"


def proportions(reach: Reach, name: str, latents: Set[str]) -> Proportions | None:
    """The latent with its children, where it can be integrated; `latents` as for `conjugate`."""
    node, beside = reach.dag.nodes[name], latents | {name}
    for statement in node.statements:
        law = statement.distribution if isinstance(statement, Stochastic) else None
        if law is None or law.family != "Dirichlet":
            return None
        for _, value in law.arguments:
            if not isinstance(value, ex.Expression) or set(reach.of(value)) & beside or not _by_entry(value):
                return None
    children: list[Counts] = []
    for statement in reach.dag.statements:
        if isinstance(statement, Deterministic):
            continue
        trees = expressions(statement)
        if name not in {n for tree in trees for n in reach.of(tree)}:
            continue
        child = _child(reach, statement, name, beside)
        if child is None:
            return None
        children.append(child)
    return Proportions(name, "Dirichlet", (), tuple(children)) if children else None


def _by_entry(tree: ex.Expression) -> bool:
    """Whether a tree gives each concentration by itself: a list of numbers, or no vectors at all."""
    if isinstance(tree, ex.Vector):
        return all(isinstance(i, ex.Number) for i in tree.items)
    return not any(
        isinstance(t, ex.Vector | ex.Reduction)
        or (isinstance(t, ex.Call) and FUNCTIONS[t.function].event is not None)
        for t in ex.walk(tree)
    )


def _child(reach: Reach, statement: object, name: str, beside: Set[str]) -> Counts | None:
    if not isinstance(statement, Stochastic) or not statement.observed:
        return None
    if statement.head.name in beside:  # itself, or a child with missing values that others depend on
        return None
    law = statement.distribution
    p = law.argument(COUNTED[law.family]) if law.family in COUNTED else None
    if not isinstance(p, ex.Reference) or p.name != name or not p.indices:
        return None
    last = p.indices[-1]
    others = [v for _, v in law.arguments if v is not p and isinstance(v, ex.Expression)]
    found = {n for v in others for n in reach.of(v)} | (set(reach.of(p)) - {name})
    if found & beside or not isinstance(last, ex.PlateIndex):
        return None
    if any(r.name == name for v in others for r in ex.references(v)):
        return None
    plates_of = {n: x.plates for n, x in reach.dag.nodes.items()}
    node = statement.head.name
    return Counts(node, statement, p, expression_text(p, plates_of[node], plates_of))


__all__ = ["Counts", "Proportions", "proportions"]
