"""The frozen graph: plates, statements, and the nodes and edges that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, wraps
from types import MappingProxyType
from typing import TypeVar, cast

from dagmodels.graph import expression as ex
from dagmodels.graph.plate import Place, Plate
from dagmodels.graph.statement import (
    Constant,
    Covariance,
    Covariate,
    Deterministic,
    Distribution,
    Joint,
    Parameter,
    Rows,
    Statement,
    Stochastic,
)

Found = TypeVar("Found")
KINDS = ("stochastic", "deterministic", "covariate", "constant", "parameter")


@dataclass(frozen=True, slots=True)
class Node:
    """What all statements about one name say together.

    name : as written.
    kind : one of KINDS: that of the statement that names fewest levels. Where this is `=`, and others are
        `~` or `parameter`, the node has the kind of these, since it is unknown.
    plates : every plate of the node in order (aliases as written).
    observed : data will be given for it.
    values_in : the plate a discrete node's values lie in, else None.
    statements : all that define it, most general first; where they overlap the later one holds.
    """

    name: str
    kind: str
    plates: tuple[str, ...]
    observed: bool
    values_in: str | None
    statements: tuple[Statement, ...]

    @property
    def role(self) -> str:
        """ "observed" or "latent" for stochastic nodes, else the kind."""
        if self.kind == "stochastic":
            return "observed" if self.observed else "latent"
        return self.kind


@dataclass(frozen=True, slots=True)
class Remarks:
    """Comments that belong to no plate and no statement.

    before : the lines of comment before the `model` line, one a line.
    model, data : the comments that end these two lines.
    """

    before: str = ""
    model: str = ""
    data: str = ""


@dataclass(frozen=True, eq=False)
class Dag:
    """A model, data-free. Equality and hash ignore the order of statements, comments and places.

    Made by `graph.build.build`, which resolves names and raises all static faults at once;
    the constructor itself checks nothing.
    """

    name: str
    plates: tuple[Plate, ...] = ()
    statements: tuple[Statement, ...] = ()
    data_file: str | None = None
    source: str | None = field(default=None, compare=False)
    remarks: Remarks = field(default=Remarks(), compare=False)

    @cached_property
    def _key(self) -> tuple[object, ...]:
        return (self.name, self.data_file, frozenset(self.plates), frozenset(self.statements))

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Dag) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __getstate__(self) -> dict[str, object]:
        """What a copy or another process needs: the fields; what was found from them is found again."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __str__(self) -> str:
        """The model's text, which reads back as an equal model."""
        from dagmodels.graph import printing

        return printing.text(self)

    @cached_property
    def memo(self) -> dict[object, object]:
        """What functions of the graph alone have found, by their names; see `remembered`."""
        return {}

    @cached_property
    def plate(self) -> Mapping[str, Plate]:
        """Plates and aliases by name."""
        return MappingProxyType({p.name: p for p in self.plates})

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """Nodes by name, in the order of their first statement."""
        return MappingProxyType(_nodes(self.statements))

    @cached_property
    def covariances(self) -> tuple[Covariance, ...]:
        """The `~~` statements."""
        return tuple(s for s in self.statements if isinstance(s, Covariance))

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """For each node the nodes it depends on directly (itself, where a lag says so), in order."""
        found: dict[str, dict[str, None]] = {name: {} for name in self.nodes}
        for statement in self.statements:
            used = {
                r.name: None
                for tree in expressions(statement)
                for r in ex.references(tree)
                if r.name in self.nodes
            }
            for name in defines(statement):
                found[name].update(used)
        return MappingProxyType({name: tuple(p) for name, p in found.items()})

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """For each node the nodes that depend on it directly."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for child, parents in self.parents.items():
            for parent in parents:
                found[parent].append(child)
        return MappingProxyType({name: tuple(c) for name, c in found.items()})

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Node names, parents before children; self-loops (lags) left out of account.

        Nodes of an ordered plate that depend on one another's earlier elements form a cycle
        of names without a cycle of elements; they stay together in the order of statements.
        """
        return tuple(_topological(self))

    def lies_in(self, plate: str) -> tuple[str, ...]:
        """The plate itself and all plates it lies in, nearest first (aliases not followed)."""
        found: dict[str, None] = {}
        queue = [plate]
        while queue:
            top = queue.pop(0)
            if top not in found:
                found[top] = None
                if top in self.plate:
                    queue.extend(self.plate[top].parents)
        return tuple(found)

    def base(self, plate: str) -> str:
        """The plate that holds the elements: the alias's target, or the plate itself."""
        alias = self.plate[plate].alias_of
        return alias if alias is not None else plate


def remembered(function: Callable[[Dag], Found]) -> Callable[[Dag], Found]:
    """Let a function of the graph alone work once a graph; its answer must not be changed."""
    key = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def asked(dag: Dag) -> Found:
        if key not in dag.memo:
            dag.memo[key] = function(dag)
        return cast(Found, dag.memo[key])

    return asked


def defines(statement: Statement) -> tuple[str, ...]:
    """Names a statement gives a value, law or role to; `~~` defines none, its expression feeds both ends."""
    match statement:
        case Stochastic(head=head) | Deterministic(head=head):
            return (head.name,)
        case Joint(names=names):
            return names
        case Covariance(left=left, right=right):
            return (left.name, right.name)
        case _:
            return (statement.name,)


def distribution_expressions(distribution: Distribution) -> Iterator[ex.Expression]:
    """Every tree among a distribution's arguments, nested ones included."""
    for _, value in distribution.arguments:
        match value:
            case Distribution():
                yield from distribution_expressions(value)
            case Rows(rows):
                for row in rows:
                    yield from row.entries
            case tuple():
                for part in value:
                    yield from distribution_expressions(part)
            case _:
                yield value


def expressions(statement: Statement) -> Iterator[ex.Expression]:
    """Every tree on the right-hand side of a statement."""
    match statement:
        case Stochastic(distribution=distribution) | Joint(distribution=distribution):
            yield from distribution_expressions(distribution)
        case Deterministic(expression=tree) | Covariance(expression=tree):
            yield tree
        case _:
            return


def _slots(statement: Statement) -> tuple[tuple[str, ...], int]:
    """Plates of the node and how many levels the statement names (its specificity)."""
    match statement:
        case Stochastic(head=head) | Deterministic(head=head):
            plates = tuple(s.plate or "" for s in head.slots)
            return plates, sum(s.label is not None or s.first > 0 for s in head.slots)
        case Covariance():
            return (), 0
        case Joint(plates=plates):
            return plates, 0
        case _:
            return statement.plates, 0


def _kind(statement: Statement) -> str:
    match statement:
        case Stochastic() | Joint():
            return "stochastic"
        case Deterministic():
            return "deterministic"
        case Covariate():
            return "covariate"
        case Constant():
            return "constant"
        case Parameter():
            return "parameter"
        case _:
            raise TypeError(f"{type(statement).__name__} gives no node a kind")


def _kind_of_all(general: Statement, group: list[Statement]) -> str:
    kinds = {_kind(s) for s in group}
    unknown = next((k for k in ("stochastic", "parameter") if k in kinds), None)
    return unknown if unknown is not None and isinstance(general, Deterministic) else _kind(general)


def _nodes(statements: tuple[Statement, ...]) -> dict[str, Node]:
    grouped: dict[str, list[Statement]] = {}
    for statement in statements:
        if not isinstance(statement, Covariance):
            for name in defines(statement):
                grouped.setdefault(name, []).append(statement)
    nodes = {}
    for name, group in grouped.items():
        ranked = sorted(group, key=lambda s: _slots(s)[1])
        general = ranked[0]
        nodes[name] = Node(
            name=name,
            kind=_kind_of_all(general, group),
            plates=_slots(general)[0],
            observed=any(getattr(s, "observed", False) for s in group),
            values_in=next((v for s in group if (v := getattr(s, "values_in", None))), None),
            statements=tuple(ranked),
        )
    return nodes


def _topological(dag: Dag) -> Iterator[str]:
    waiting = {n: {p for p in ps if p != n} for n, ps in dag.parents.items()}
    ready = [n for n, ps in waiting.items() if not ps]
    done: set[str] = set()
    children = dag.children
    while waiting:
        if not ready:  # nodes tied by lags: take the first that waits only for such nodes
            ready = [next(iter(waiting))]
        name = ready.pop(0)
        if name in done:
            continue
        done.add(name)
        waiting.pop(name, None)
        yield name
        for child in children[name]:
            if child in waiting:
                waiting[child].discard(name)
                if not waiting[child] and child not in ready:
                    ready.append(child)


__all__ = [
    "KINDS",
    "Dag",
    "Node",
    "Place",
    "Remarks",
    "defines",
    "distribution_expressions",
    "expressions",
    "remembered",
]
