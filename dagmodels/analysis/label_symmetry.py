"""Labels of discrete unknowns that may be exchanged: relabelling a mixture's components changes no density.

A plate's labels are exchangeable where every statement reads its elements alike: no head and no index names a
level, no order, no data and no unequal numbers tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dagmodels.analysis.discrete_latents import discrete_latents
from dagmodels.analysis.laws import distribution_of, families
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, Node, expressions
from dagmodels.graph.statement import Deterministic, Parameter, Rows, Statement, Stochastic


@dataclass(frozen=True, slots=True)
class LabelSymmetry:
    """Labels that may be exchanged.

    plate : whose. discrete : unknowns with values there. nodes : continuous unknowns on it, which change
    places.
    """

    plate: str
    discrete: tuple[str, ...]
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        """As a sentence without its full stop."""
        named = ", ".join(f"'{n}'" for n in self.nodes)
        return (
            f"the labels of '{self.plate}' are exchangeable, as nothing tells its elements apart: {named} "
            "may change places between chains and within one (label switching), and means by label say "
            "nothing"
        )

    def remedy(self, dag: Dag) -> str:
        """What to write instead."""
        for name in self.nodes:
            node = dag.nodes[name]
            law = distribution_of(node.statements[0])
            if law is not None and len(node.plates) == 1 and dag.base(node.plates[0]) == self.plate:
                if law.family in ("Dirichlet", "LKJCorr"):
                    continue
                return f"write {name}[{node.plates[0]}] ~ Ordered({law!r}), or look at what no label enters"
        return "name the labels by an order, or look at what no label enters"


def label_symmetries(dag: Dag, problem: Problem | None = None) -> tuple[LabelSymmetry, ...]:
    """Plates of values of discrete unknowns whose labels are exchangeable."""
    found = discrete_latents(dag, problem).nodes
    plates = dict.fromkeys(dag.base(d.values_in) for d in found.values() if d.values_in is not None)
    return tuple(s for plate in plates if (s := _symmetry(dag, plate, problem)) is not None)


def _symmetry(dag: Dag, plate: str, problem: Problem | None) -> LabelSymmetry | None:
    own = frozenset(p.name for p in dag.plates if dag.base(p.name) == plate)
    if any(own & set(p.parents) for p in dag.plates) or any(
        dag.plate[p].parents or dag.plate[p].ordered for p in own
    ):
        return None
    discrete = tuple(n for n, node in dag.nodes.items() if node.values_in in own)
    if any(_is_seen(dag.nodes[n], problem) for n in discrete):
        return None
    on = [n for n, node in dag.nodes.items() if set(node.plates) & own]
    unknown = [n for n in on if dag.nodes[n].role in ("latent", "parameter") and n not in discrete]
    if not unknown or any(dag.nodes[n].role in ("observed", "covariate", "constant") for n in on):
        return None
    if any(_tells_apart(dag, s, own, frozenset(discrete)) for s in dag.statements):
        return None
    return LabelSymmetry(plate, discrete, tuple(unknown))


def _is_seen(node: Node, problem: Problem | None) -> bool:
    """Whether some values of a discrete node are given."""
    if node.role == "covariate":
        return True
    if not node.observed:
        return False
    seen = None if problem is None else problem.observed.get(node.name)
    return seen is None or bool(seen.any())


def _tells_apart(dag: Dag, statement: Statement, own: frozenset[str], discrete: frozenset[str]) -> bool:
    """Whether a statement treats elements of the plate differently."""
    if isinstance(statement, Stochastic | Deterministic):
        for slot in statement.head.slots:
            if slot.plate in own and (slot.label is not None or slot.first):
                return True
    if isinstance(statement, Parameter):
        return bool(set(statement.plates) & own) and getattr(statement.domain, "kind", "") == "ordered"
    law = distribution_of(statement)
    if law is not None:
        if "Ordered" in families(law) and isinstance(statement, Stochastic):
            plates = [s.plate for s in statement.head.slots]
            if plates and plates[-1] in own:
                return True
        if law.family == "Table" and (
            isinstance(law.argument("rows"), Rows | ex.Vector)
            and (getattr(statement, "values_in", None) in own or _reads(statement, discrete))
        ):
            return True
    return any(
        _names(dag, part, own, discrete) for tree in expressions(statement) for part in ex.walk(tree)
    ) or (_concerns(statement, own, discrete) and any(not _even(v) for v in _vectors(statement)))


def _reads(statement: Statement, names: frozenset[str]) -> bool:
    return any(r.name in names for tree in expressions(statement) for r in ex.references(tree))


def _concerns(statement: Statement, own: frozenset[str], discrete: frozenset[str]) -> bool:
    """Whether a vector in a statement can lie along the plate."""
    if getattr(statement, "values_in", None) in own:
        return True
    slots = getattr(getattr(statement, "head", None), "slots", ())
    return any(s.plate in own for s in slots) or _reads(statement, discrete)


def _names(dag: Dag, part: ex.Expression, own: frozenset[str], discrete: frozenset[str]) -> bool:
    """Whether a part of a tree names a level of the plate, or an order of its elements."""
    match part:
        case ex.Reference(name, indices) if name in dag.nodes:
            plates = dag.nodes[name].plates
            return any(
                p in own and isinstance(i, ex.LevelIndex | ex.LagIndex)
                for p, i in zip(plates, indices or (), strict=False)
            )
        case ex.Binary(operator, left, right):
            sides = [_is_element(side, own, discrete) for side in (left, right)]
            return any(sides) and not (all(sides) and operator in ("==", "!="))
        case _:
            return False


def _is_element(tree: ex.Expression, own: frozenset[str], discrete: frozenset[str]) -> bool:
    """Whether a tree is an element of the plate: the plate itself, or a node with values in it."""
    return isinstance(tree, ex.Reference) and (tree.name in own or tree.name in discrete)


def _vectors(statement: Statement) -> Iterator[ex.Vector]:
    for tree in expressions(statement):
        yield from (part for part in ex.walk(tree) if isinstance(part, ex.Vector))


def _even(vector: ex.Vector) -> bool:
    """A vector of equal entries, or a matrix with equal entries on and off its diagonal."""
    rows = [item.items for item in vector.items if isinstance(item, ex.Vector)]
    if not rows:
        return len(set(vector.items)) <= 1
    on = {row[k] for k, row in enumerate(rows) if k < len(row)}
    off = {e for k, row in enumerate(rows) for j, e in enumerate(row) if j != k}
    return len(on) <= 1 and len(off) <= 1
