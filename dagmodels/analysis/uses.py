"""How a Gaussian latent is used by its children, and which parameters are free to move with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from dagmodels.analysis.laws import distribution_of, is_gaussian, location, spread
from dagmodels.analysis.linearity import LinearForm, depends, linear_form
from dagmodels.analysis.reach import Reach
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Distribution, Parameter, Stochastic


@dataclass(frozen=True, slots=True)
class Use:
    """One stochastic child of a latent: its law, and its mean as coefficients of the latent."""

    child: str
    law: Distribution
    form: LinearForm


def gaussian_latents(dag: Dag) -> Iterator[tuple[str, Distribution]]:
    """Latent nodes with one statement, which is Normal or MvNormal."""
    for name, node in dag.nodes.items():
        if node.role == "latent" and node.plates and len(node.statements) == 1:
            law = distribution_of(node.statements[0])
            if law is not None and is_gaussian(law) and isinstance(node.statements[0], Stochastic):
                yield name, law


@lru_cache(maxsize=256)
def uses_of(reach: Reach, latent: str) -> list[Use]:
    """Every child of the latent; none when one of them is not linear in it or not direct."""
    dag = reach.dag
    found: list[Use] = []
    for child in dag.children[latent]:
        node = dag.nodes[child]
        if child == latent or node.kind != "stochastic":
            return []
        for statement in node.statements:
            law = distribution_of(statement)
            if law is None:
                return []
            mean = location(law)
            if mean is None or any(latent in reach.of(tree) for tree in spread(law)):
                return []
            form = linear_form(mean, {latent})
            if form is None:
                return []
            if form.terms:
                found.append(Use(child, law, form))
    return found


def is_free(dag: Dag, name: str) -> bool:
    """A parameter, or a flat coefficient, none of whose levels is fixed."""
    node = dag.nodes.get(name)
    if node is None or len(node.statements) != 1:
        return False
    law = distribution_of(node.statements[0])
    return isinstance(node.statements[0], Parameter) or (law is not None and law.family == "Flat")


def free_reference(dag: Dag, tree: ex.Expression) -> str | None:
    """The name, where a tree is just a free parameter, its sign left out of account."""
    while isinstance(tree, ex.Unary):
        tree = tree.operand
    return tree.name if isinstance(tree, ex.Reference) and is_free(dag, tree.name) else None


def only_used_by(dag: Dag, name: str, users: set[str]) -> bool:
    """Whether no statement but these depends on a parameter (reports of it do not count)."""
    return all(c in users or _report(dag, c) for c in dag.children[name])


def _report(dag: Dag, name: str) -> bool:
    """A deterministic node that nothing depends on."""
    return dag.nodes[name].kind == "deterministic" and not dag.children[name]


def scale_parameter(dag: Dag, law: Distribution) -> str | None:
    """The free parameter that is a Normal's scale or variance, or an MvNormal's covariance."""
    trees = list(spread(law))
    if len(trees) != 1:
        return None
    tree = trees[0]
    if isinstance(tree, ex.Call) and tree.function == "sqrt":
        tree = tree.arguments[0]
    name = free_reference(dag, tree)
    if name is not None and isinstance(dag.nodes[name].statements[0], Parameter):
        return name
    return None


def has_covariances(dag: Dag, name: str) -> bool:
    return any(name in (c.left.name, c.right.name) for c in dag.covariances)


def in_spread(law: Distribution, names: set[str]) -> bool:
    return any(depends(tree, names) for tree in spread(law))
