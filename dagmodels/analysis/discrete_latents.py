"""Finite discrete unknowns of a graph: which they are, their states, what reads them, how they hang together.

Nodes whose values can be summed out are grouped by the laws that read them together; a group's sum is over
the states of its nodes, unit by unit (`forms.discrete_units` finds the units from the data).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from dagmodels.analysis.forward import drawn_forward
from dagmodels.analysis.laws import distribution_of, families, is_discrete, table_is_unknown, unwrapped
from dagmodels.analysis.reach import Reach
from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.circles import circle, defined
from dagmodels.graph.dag import Dag, Node, expressions
from dagmodels.graph.statement import Covariance, Joint, Stochastic

COUNTS_UP_TO = ("Binomial", "BetaBinomial", "ZeroInflatedBinomial")  # 0, ..., n


@dataclass(frozen=True, slots=True)
class DiscreteLatent:
    """A node with finitely many values, some of which are not given.

    values_in : the plate of its values; None where these are the numbers 0, 1, ...
    states : how many; None where only data would tell.
    partly : it is observed, with gaps.
    informed : something observed depends on it.
    """

    name: str
    values_in: str | None
    states: int | None
    partly: bool
    informed: bool


@dataclass(frozen=True, slots=True)
class DiscreteGroup:
    """Discrete nodes that stand together in laws.

    nodes : parents before children.
    leaves : stochastic nodes outside the group whose laws depend on one of them.
    through : deterministic nodes by which they do.
    kind : "separate" (one node, every law reads one element of it), "chain" (a node reads the element before
        of one of the group), or "joint" (several nodes, or several elements, stand in one law).
    plate : of a chain, the ordered plate along which it runs.
    """

    nodes: tuple[str, ...]
    leaves: tuple[str, ...]
    through: tuple[str, ...]
    kind: str
    plate: str | None = None


@dataclass(frozen=True, slots=True)
class DiscreteLatents:
    """nodes : what can be summed out. groups : how. refused : discrete unknowns that cannot, with the reason
    and what to do."""

    nodes: Mapping[str, DiscreteLatent]
    groups: tuple[DiscreteGroup, ...]
    refused: Mapping[str, str]

    def group_of(self, name: str) -> DiscreteGroup:
        """The group of a node."""
        return next(g for g in self.groups if name in g.nodes)


def discrete_latents(dag: Dag, problem: Problem | None = None) -> DiscreteLatents:
    """Finite discrete unknowns; with data, those that have missing values too.

    Missing values of observed nodes on which nothing depends are left out: their laws sum to one. Counts
    without an end are not refused where nothing observed depends on them.
    """
    memo = dag.memo if problem is None else problem.memo
    if "discrete latents" not in memo:
        memo["discrete latents"] = _found(dag, problem)
    return cast(DiscreteLatents, memo["discrete latents"])


def all_discrete(dag: Dag) -> bool:
    """Whether everything observed has states or counts, some of it in a plate of states, and no latent of the
    plates that data bring is continuous."""
    observed = [n for n in dag.nodes.values() if n.observed]
    brought = {p for n in observed for p in n.plates if dag.plate[p].levels is None}
    inside = [n for n in dag.nodes.values() if n.role == "latent" and brought & {*n.plates}]
    return any(n.values_in is not None for n in observed) and all(map(_is_discrete, (*observed, *inside)))


def _found(dag: Dag, problem: Problem | None) -> DiscreteLatents:
    nodes: dict[str, DiscreteLatent] = {}
    refused: dict[str, str] = {}
    informed, forward = _informed(dag), drawn_forward(dag)
    for name in dag.order:
        node = dag.nodes[name]
        if not (_is_discrete(node) and _is_unknown(node, problem)):
            continue
        if node.observed and not dag.children[name]:
            continue
        why = _why_not(node)
        states = _states(dag, problem, node)
        if not why and states is None and node.values_in is None:
            why = (
                "it is a count without an upper end: write a law with finitely many values, such as Binomial "
                "or Categorical, or integrate by hand (a Poisson with a Gamma mean is NegativeBinomial)"
            )
        if why and name in forward:
            continue
        if why:
            refused[name] = why
        else:
            nodes[name] = DiscreteLatent(name, node.values_in, states, node.observed, name in informed)
    for name, why in _refused_by_use(dag, nodes):
        refused.setdefault(name, why)
    kept = {n: found for n, found in nodes.items() if n not in refused}
    return DiscreteLatents(kept, tuple(_groups(dag, kept)), refused)


def _is_discrete(node: Node) -> bool:
    laws = [d for s in node.statements if (d := distribution_of(s)) is not None]
    return node.kind == "stochastic" and (node.values_in is not None or any(map(is_discrete, laws)))


def _is_unknown(node: Node, problem: Problem | None) -> bool:
    if not node.observed:
        return True
    seen = None if problem is None else problem.observed.get(node.name)
    return problem is not None and (seen is None or not bool(seen.all()))


def _why_not(node: Node) -> str:
    """Why a discrete node cannot be summed out, or nothing."""
    for statement in node.statements:
        law = distribution_of(statement)
        if law is None:
            continue
        if isinstance(statement, Joint) or unwrapped(law).family == "Multinomial":
            return f"it is a vector of counts ({law.family}), whose states are too many to sum over"
        if table_is_unknown(law):
            return "its Table states no numbers: draws need Categorical(p) with a Dirichlet p in its place"
        if "Censored" in families(law) or "Mixture" in families(law):
            return f"its law is {' of '.join(families(law)[:2])}, whose states are not listed"
    return ""


def _states(dag: Dag, problem: Problem | None, node: Node) -> int | None:
    """How many values a node can take; None where that is unknown or without end."""
    if node.values_in is not None:
        if problem is not None:
            return problem.plates[node.values_in].size
        levels = dag.plate[dag.base(node.values_in)].levels
        return None if levels is None else len(levels)
    most = 0
    for statement in node.statements:
        law = distribution_of(statement)
        if law is None:
            return None
        inner = unwrapped(law)
        if inner.family == "Bernoulli":
            most = max(most, 1)
        elif inner.family in COUNTS_UP_TO and problem is not None:
            trials = _largest(problem, inner.argument("n"))
            if trials is None:
                return None
            most = max(most, trials)
        else:
            return None
    return most + 1


def _largest(problem: Problem, tree: object) -> int | None:
    """The largest value of a number that is written or given."""
    if isinstance(tree, ex.Number):
        return int(tree.value)
    if isinstance(tree, ex.Reference) and tree.name in problem.values and problem.observed[tree.name].all():
        return int(np.max(problem.values[tree.name], initial=0))
    return None


def _informed(dag: Dag) -> frozenset[str]:
    """Nodes with an observed one among their descendants."""
    found = {n for n, node in dag.nodes.items() if node.observed}
    queue = list(found)
    while queue:
        for parent in dag.parents[queue.pop()]:
            if parent not in found:
                found.add(parent)
                queue.append(parent)
    below = {n for n in found if not dag.nodes[n].observed}
    return frozenset(below | {n for n in found if any(c in found and c != n for c in dag.children[n])})


def _refused_by_use(dag: Dag, nodes: Mapping[str, DiscreteLatent]) -> Iterator[tuple[str, str]]:
    """Nodes that stand where their states cannot be told."""
    for statement in dag.statements:
        for tree in expressions(statement):
            for reference in ex.references(tree):
                inner = [i.reference.name for i in reference.indices or () if isinstance(i, ex.NodeIndex)]
                for name in inner:
                    if name in nodes and reference.name in nodes:
                        yield (
                            reference.name,
                            f"which element of it is meant depends on '{name}', which is unknown too: "
                            "write the choice as a comparison of elements",
                        )
        if isinstance(statement, Covariance):
            for name in {r.name for r in ex.references(statement.expression)} & nodes.keys():
                yield name, "a residual covariance depends on it; write a MvNormal whose matrix does not"
    yield from _carried_on(dag, nodes)


def _carried_on(dag: Dag, nodes: Mapping[str, DiscreteLatent]) -> Iterator[tuple[str, str]]:
    """Nodes of which a definition that looks back at itself takes all that came before into some law."""
    queue = [
        r.name
        for node in dag.nodes.values()
        for s in node.statements
        if isinstance(s, Stochastic | Joint)
        for tree in expressions(s)
        for r in ex.references(tree)
    ]
    seen: set[str] = set()
    reach = Reach(dag)
    while queue:
        name = queue.pop()
        if name in seen or name not in dag.nodes:
            continue
        seen.add(name)
        queue += [r.name for tree in defined(dag, name) for r in ex.references(tree)]
        if dag.nodes[name].kind == "deterministic" and circle(dag, name):
            for latent in sorted(reach.through[name] & nodes.keys()):
                yield latent, f"'{name}' carries all its earlier elements on into a law"


def _groups(dag: Dag, nodes: Mapping[str, DiscreteLatent]) -> Iterator[DiscreteGroup]:
    reach = Reach(dag)
    reads = {name: reach.unknowns_of(name) & nodes.keys() for name in dag.nodes if _has_law(dag.nodes[name])}
    owner = {name: name for name in nodes}

    def top(name: str) -> str:
        while owner[name] != name:
            name = owner[name]
        return name

    for name, found in reads.items():
        members = [*found, *({name} & nodes.keys())]
        for other in members[1:]:
            owner[top(other)] = top(members[0])
    for root in [n for n in nodes if top(n) == n]:
        members = tuple(n for n in nodes if top(n) == root)
        leaves = tuple(n for n, found in reads.items() if found & set(members) and n not in members)
        through = tuple(n for n in reach.through if reach.through[n] & set(members))
        plate = _lagged_along(dag, members, through)
        kind = "chain" if plate else "separate" if _is_separate(dag, members, leaves, through) else "joint"
        yield DiscreteGroup(members, leaves, through, kind, plate)


def _has_law(node: Node) -> bool:
    return any(isinstance(s, Stochastic | Joint) for s in node.statements)


def _lagged_along(dag: Dag, members: tuple[str, ...], through: tuple[str, ...]) -> str | None:
    """The ordered plate along which a law reads an earlier element of a member."""
    for name in dag.nodes:
        for statement in dag.nodes[name].statements:
            for tree in expressions(statement):
                for reference in ex.references(tree):
                    if reference.name not in (*members, *through):
                        continue
                    for index in reference.indices or ():
                        if isinstance(index, ex.LagIndex):
                            return index.plate
    return None


def _is_separate(
    dag: Dag, members: tuple[str, ...], leaves: tuple[str, ...], through: tuple[str, ...]
) -> bool:
    """One node, read in every law by one element, with no sum over its elements."""
    first, *others = members
    if others:
        return False
    written: dict[ex.Reference, None] = {}
    for name in (*leaves, *through):
        for statement in dag.nodes[name].statements:
            for tree in expressions(statement):
                if any(
                    isinstance(part, ex.Reduction)
                    and any(r.name in (*members, *through) for r in ex.references(part.body))
                    for part in ex.walk(tree)
                ):
                    return False
                written.update(dict.fromkeys(r for r in ex.references(tree) if r.name == first))
    return len(written) <= 1
