"""A path diagram with what is free in it: which coefficients are unknowns of their own, numbers, or else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dagmodels.analysis.paths import Paths, paths
from dagmodels.analysis.unit import Unit, unit
from dagmodels.analysis.uses import free_reference, only_used_by
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, remembered
from dagmodels.graph.statement import Joint

FREE, FIXED, SHARED, OTHER = "free", "fixed", "shared", "other"


@dataclass(frozen=True, slots=True)
class Diagram:
    """Wright's path diagram of one unit; coefficients that are zero are left out.

    variables : in the order of the graph. observed, given, exact : as in `Paths`.
    arrows : (parent, child) -> kind; arcs : pair -> kind, those of covariates with each other included.
    variances : of residuals, by variable, covariates and exact variables left out.
        Kinds: "free" (an unknown of its own), "fixed" (a number), "shared" (an unknown that stands elsewhere
        too), "other" (a function of unknowns, an unknown some of whose elements are given).
    odd : variables that are several, or have several laws, or a coefficient that varies inside of the unit.
    levels : of means beside what causes give, by variable, as kinds.
    tied : some unknowns are equal between groups while others are not.
    saturated : each observed variable has an intercept of its own, so that means tell nothing else.
    """

    variables: tuple[str, ...]
    observed: frozenset[str]
    given: frozenset[str]
    exact: frozenset[str]
    arrows: dict[tuple[str, str], str]
    arcs: dict[frozenset[str], str]
    variances: dict[str, str]
    odd: frozenset[str]
    levels: dict[str, str]
    tied: bool
    saturated: bool

    @property
    def plain(self) -> bool:
        """Whether nothing but one group's covariances can identify: neither means nor equalities between
        groups."""
        return self.saturated and not self.tied

    @property
    def latents(self) -> tuple[str, ...]:
        return tuple(v for v in self.variables if v not in self.observed)

    def parents(self, name: str) -> tuple[str, ...]:
        return tuple(a for a, b in self.arrows if b == name)

    def children(self, name: str) -> tuple[str, ...]:
        return tuple(b for a, b in self.arrows if a == name)

    def partners(self, name: str) -> frozenset[str]:
        """Variables whose residuals covary with one's own."""
        return frozenset(v for pair in self.arcs if name in pair for v in pair if v != name)

    def below(self, name: str) -> frozenset[str]:
        """Everything that depends on one, itself included."""
        return _closure(name, self.children)

    def above(self, name: str) -> frozenset[str]:
        """Everything that one depends on, itself included."""
        return _closure(name, self.parents)

    def covary(self, one: str, other: str) -> bool:
        """Whether a trek joins two variables, so that their covariance is not zero almost everywhere."""
        up, also = self.above(one), self.above(other)
        return bool(up & also) or any(self.partners(v) & also for v in up)


def _closure(name: str, step) -> frozenset[str]:  # type: ignore[no-untyped-def]
    found, queue = {name}, [name]
    while queue:
        new = set(step(queue.pop())) - found
        found |= new
        queue += new
    return frozenset(found)


@remembered
def diagram(dag: Dag) -> Diagram:
    """Of a graph of exchangeable units.

    Raises
    ------
    ModelErrors : the graph is no such model, saying why.
    """
    p = paths(dag)
    found = unit(dag)
    assert isinstance(found, Unit)
    kinds = _Kinds(dag, p, found)
    arrows = {(a.parent, a.child): kinds.of(a.coefficient, (a.child,)) for a in p.arrows}
    arcs = {frozenset((c.left, c.right)): kinds.of(c.value, (c.left, c.right)) for c in p.arcs}
    arcs |= {frozenset((a, b)): FREE for a in p.given for b in p.given if a < b}
    variances = {v: kinds.of(t, (v,)) for v, t in p.variances.items() if v not in p.exact | p.given}
    allowed = {found.plate, *dag.lies_in(found.plate)}
    odd = {v for v in p.variables if len(dag.nodes[v].statements) != 1 or {*dag.nodes[v].plates} - allowed}
    levels = {v: kinds.of(t, (v,)) for v, t in p.levels.items()}
    return Diagram(
        p.variables, p.observed, p.given, p.exact,
        {k: v for k, v in arrows.items() if v != "zero"}, {k: v for k, v in arcs.items() if v != "zero"},
        variances, frozenset(odd), levels, kinds.tied,
        all(levels.get(v) == FREE for v in p.observed - p.given),
    )  # fmt: skip


class _Kinds:
    """Tells the kind of a coefficient from how often its unknown stands in the diagram."""

    def __init__(self, dag: Dag, p: Paths, found: Unit) -> None:
        self.dag, self.groups = dag, set(found.groups)
        trees = [a.coefficient for a in p.arrows] + [c.value for c in p.arcs]
        trees += [*p.variances.values(), *p.levels.values()]
        self.count = Counter(name for tree in trees for name in set(_names(tree)))
        used = [n for n in self.count if dag.nodes[n].kind == "parameter"]
        self.tied = bool(self.groups) and any(not self.groups <= {*dag.nodes[n].plates} for n in used)
        joints = [s for s in dag.statements if isinstance(s, Joint)]
        self.together = {n: s.names for s in joints for n in s.names}
        self.whole = [s.names for s in joints if self._alone(s.distribution.argument("cov"), s.names)]

    def of(self, tree: ex.Expression | None, ends: tuple[str, ...]) -> str:
        """The kind; "zero" too."""
        if tree is None:  # of a covariance matrix, which is one unknown
            return FREE if any(set(ends) <= set(names) for names in self.whole) else OTHER
        number = _number(tree)
        if number is not None:
            return FIXED if number else "zero"
        tree = _square(tree)
        if not isinstance(tree, ex.Reference) or self.dag.nodes[tree.name].kind != "parameter":
            return OTHER
        name = free_reference(self.dag, tree)
        node = self.dag.nodes[tree.name]
        if len(node.statements) != 1 or {*node.plates} - self.groups:
            return OTHER
        return FREE if name and self.count[name] == 1 and self._alone(tree, ends) else SHARED

    def _alone(self, tree: object, ends: Iterable[str]) -> bool:
        name = free_reference(self.dag, tree) if isinstance(tree, ex.Reference) else None
        users = {n for e in ends for n in self.together.get(e, (e,))}
        return name is not None and only_used_by(self.dag, name, users)


def _names(tree: ex.Expression | None) -> Iterator[str]:
    if tree is not None:
        yield from (r.name for r in ex.references(tree))


def _square(tree: ex.Expression) -> ex.Expression:
    """s of s*s, as standard deviations are squared, or of -s."""
    if isinstance(tree, ex.Unary):
        return _square(tree.operand)
    same = isinstance(tree, ex.Binary) and tree.operator == "*" and tree.left == tree.right
    return tree.left if same and isinstance(tree, ex.Binary) else tree


def _number(tree: ex.Expression) -> float | None:
    if isinstance(tree, ex.Unary):
        found = _number(tree.operand)
        return None if found is None else -found
    if isinstance(tree, ex.Binary) and tree.operator == "*":
        one, other = _number(tree.left), _number(tree.right)
        return None if one is None or other is None else one * other
    return float(tree.value) if isinstance(tree, ex.Number) else None
