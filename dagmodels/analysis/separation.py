"""d-separation, Markov blankets, implied independences and the moral graph.

A graph is read at the level of names: a node is all its elements together, so a statement such as
"y1 and y2 are separated by eta" holds for whole arrays.  Nodes that are not random (`parameter`,
`covariate`, `constant`) are always given, unless the question is about them.  Residual covariances
and joint statements tie nodes into districts, which the criterion of Richardson (2003, Scandinavian
Journal of Statistics 30, "Markov properties for acyclic directed mixed graphs") treats exactly:
separation in the moral graph of the smallest ancestral set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.dag import Dag
from dagmodels.graph.expression import Reference
from dagmodels.graph.statement import Joint

if TYPE_CHECKING:
    import networkx

RANDOM = ("stochastic", "deterministic")
Neighbours = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class Independence:
    """`first` and `second` are independent given `given`; prints as `a _||_ b | c, d`."""

    first: str
    second: str
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        rest = f" | {', '.join(self.given)}" if self.given else ""
        return f"{self.first} _||_ {self.second}{rest}"


def d_separated(
    dag: Dag, a: str | Iterable[str], b: str | Iterable[str], given: str | Iterable[str] = ()
) -> bool:
    """Whether every distribution of this graph makes `a` and `b` independent given `given`.

    Raises ModelErrors for what is no node's name, and for a node named on two sides.
    """
    left, right, fixed = _names(dag, a), _names(dag, b), _names(dag, given)
    both = (left & right) | (left & fixed) | (right & fixed)
    raise_all(
        [ModelError(f"'{n}' is named twice in the question", node=n) for n in sorted(both)],
        f"a question to model '{dag.name}'",
    )
    asked = left | right
    fixed |= {n for n, node in dag.nodes.items() if node.kind not in RANDOM and n not in asked}
    graph = _moral(dag, ancestors(dag, asked | fixed))
    return not _reachable(graph, left, fixed) & right


def markov_blanket(dag: Dag, node: str) -> tuple[str, ...]:
    """Parents, children, the children's other parents, and what residual covariances add.

    Given these the node is independent of everything else. In the order of the model.
    """
    name = _one(dag, node)
    return _in_order(dag, _moral(dag, set(dag.nodes))[name])


def implied_independences(dag: Dag, among: Iterable[str] | None = None) -> tuple[Independence, ...]:
    """One independence for each pair of stochastic nodes without an arrow between them.

    The pairwise basis: each pair is separated by the parents of the later one, from which every
    name that is not needed has been left out. `among` restricts the pairs (not what is given).
    Pairs that no set separates (a residual covariance on the way) are left out.
    """
    chosen = set(dag.nodes) if among is None else _names(dag, among)
    order = [n for n in dag.order if dag.nodes[n].kind == "stochastic"]
    parents = {n: stochastic_parents(dag, n) for n in order}
    districts = _districts(dag, set(dag.nodes))
    found: list[Independence] = []
    for later, b in enumerate(order):
        for a in order[:later]:
            adjacent = a in parents[b] or b in parents[a] or b in districts.get(a, ())
            if adjacent or a not in chosen or b not in chosen:
                continue
            given = _separator(dag, a, b, (parents[a] | parents[b]) - {a, b})
            if given is not None:
                found.append(Independence(a, b, given))
    return tuple(found)


def _separator(dag: Dag, a: str, b: str, candidates: set[str]) -> tuple[str, ...] | None:
    """A minimal subset of the candidates that separates a and b, None when they do not."""
    if not d_separated(dag, a, b, candidates):
        return None
    kept = set(candidates)
    for name in reversed(_in_order(dag, candidates)):
        if d_separated(dag, a, b, kept - {name}):
            kept.discard(name)
    return _in_order(dag, kept)


def stochastic_parents(dag: Dag, node: str) -> set[str]:
    """The stochastic nodes a node depends on, directly or through deterministic ones."""
    found: set[str] = set()
    seen: set[str] = set()
    queue = [p for p in dag.parents[node] if p != node]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        if dag.nodes[name].kind == "stochastic":
            found.add(name)
        elif dag.nodes[name].kind == "deterministic":
            queue.extend(dag.parents[name])
    return found - {node}


def ancestors(dag: Dag, names: Iterable[str]) -> set[str]:
    """The names and everything they depend on."""
    return _closure(names, dag.parents)


def descendants(dag: Dag, names: Iterable[str]) -> set[str]:
    """The names and everything that depends on them."""
    return _closure(names, dag.children)


def moral_graph(dag: Dag) -> networkx.Graph[str]:
    """Undirected networkx graph: parents of a common child are joined, arrows become lines."""
    import networkx

    graph: Any = networkx.Graph()
    graph.add_nodes_from(dag.nodes)
    linked = _moral(dag, set(dag.nodes))
    graph.add_edges_from((a, b) for a in dag.nodes for b in dag.nodes if b in linked[a])
    return graph


def to_networkx(dag: Dag) -> networkx.DiGraph[str]:
    """Directed networkx graph of the names.

    Nodes carry kind, role, observed and plates; an arrow of a node to itself is a lag. Residual
    covariances, which have no direction, are pairs of names in `graph["covariances"]`.
    """
    import networkx

    graph: Any = networkx.DiGraph(name=dag.name)
    for name, node in dag.nodes.items():
        graph.add_node(name, kind=node.kind, role=node.role, observed=node.observed, plates=node.plates)
    graph.add_edges_from((p, name) for name, parents in dag.parents.items() for p in parents)
    graph.graph["covariances"] = tuple((c.left.name, c.right.name) for c in dag.covariances)
    return graph


def _closure(names: Iterable[str], step: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue.extend(step[name])
    return found


def _districts(dag: Dag, inside: set[str]) -> Neighbours:
    """For each node the others it is tied to by `~~` or a joint statement, within a set."""
    ties: Neighbours = {}
    for statement in dag.statements:
        if isinstance(statement, Joint):
            group = [n for n in statement.names if n in inside]
            for name in group:
                ties.setdefault(name, set()).update(group)
    for c in dag.covariances:
        a, b = c.left.name, c.right.name
        if a != b and a in inside and b in inside:
            ties.setdefault(a, set()).add(b)
            ties.setdefault(b, set()).add(a)
    frozen = {n: tuple(t) for n, t in ties.items()}
    return {name: _closure([name], frozen) - {name} for name in ties}


def _moral(dag: Dag, inside: set[str]) -> Neighbours:
    """Moral graph of an ancestral set: every district with its parents becomes a clique."""
    districts = _districts(dag, inside)
    graph: Neighbours = {name: set() for name in inside}
    done: set[str] = set()
    for name in inside:
        if name in done:
            continue
        family = {name, *districts.get(name, ())}
        done |= family
        clique = family.union(*(dag.parents[n] for n in family))
        for member in clique:
            graph[member] |= clique
    for name, linked in graph.items():
        linked.discard(name)
    return graph


def _reachable(graph: Neighbours, start: set[str], blocked: set[str]) -> set[str]:
    found: set[str] = set()
    queue = list(start)
    while queue:
        name = queue.pop()
        if name not in found and name not in blocked:
            found.add(name)
            queue.extend(graph[name])
    return found


def _names(dag: Dag, names: object) -> set[str]:
    """Names of nodes given as one name or several."""
    given: list[object] = (
        list(names) if isinstance(names, Iterable) and not isinstance(names, str) else [names]
    )
    chosen: set[str] = set()
    faults: list[ModelError] = []
    for name in given:
        if isinstance(name, str) and name in dag.nodes:
            chosen.add(name)
        elif isinstance(name, str):
            faults.append(ModelError(f"'{name}' is no node", node=name, hint=suggestion(name, dag.nodes)))
        else:
            shown = f"'{name.name}'" if isinstance(name, Reference) else "'y' or ['x', 'y']"
            faults.append(ModelError(f"{name!r} is no name of a node", hint=f"give names: {shown}"))
    raise_all(faults, f"a question to model '{dag.name}'")
    return chosen


def _one(dag: Dag, node: object) -> str:
    """The name of one node."""
    names = _names(dag, node)
    if len(names) != 1:
        told = ModelError(f"the question is about one node, not about {len(names)}", hint="ask one by one")
        raise_all([told], f"a question to model '{dag.name}'")
    return next(iter(names))


def suggestion(name: str, known: Iterable[str]) -> str:
    """ "did you mean ...?", or what there is where nothing is close."""
    import difflib

    close = difflib.get_close_matches(name, list(known), 1)
    if close:
        return f"did you mean '{close[0]}'?"
    names = list(known)
    more = f", ... ({len(names)})" if len(names) > 12 else ""
    return f"the nodes are {', '.join(names[:12])}{more}" if names else "the model has no nodes"


def _in_order(dag: Dag, names: Iterable[str]) -> tuple[str, ...]:
    wanted = set(names)
    return tuple(n for n in dag.nodes if n in wanted)
