"""Questions to networks with continuous nodes: discrete states by the junction tree, normal laws within them.

Unobserved Normal nodes that hang together form a block. Given the states of the discrete nodes that a block
reads its law is one normal law, so that what is seen of it is a likelihood of these states: a factor among
the tables (Lauritzen 1992; Lauritzen and Jensen 2001: the continuous nodes are eliminated first). The answer
for a Normal node is a mixture over these states. Continuous nodes of any law may be evidence where nothing
continuous above them is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.fits.network.blocks import Block, Blocks, Factor
from dagmodels.fits.network.conflict import impossible
from dagmodels.fits.network.engine import Engine, Network
from dagmodels.fits.network.evidence import QUESTION, Evidence, read
from dagmodels.forms.gaussians import is_continuous, read_by
from dagmodels.forms.table_values import Value
from dagmodels.forms.tables import Tables, node_states, states_of, tables_of
from dagmodels.graph.dag import Dag
from dagmodels.results.normal_mixture import NormalMixture

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Question:
    """A network with evidence, its continuous part worked out.

    net : of the discrete nodes. evidence : of these. blocks : of Normal nodes.
    factors : likelihoods of discrete states, by node positions. constant : their scale.
    """

    net: Network
    evidence: Evidence
    blocks: tuple[Block, ...]
    factors: tuple[Factor, ...]
    constant: float

    def engine(self, about: Iterable[int], together: tuple[int, ...] = ()) -> Engine:
        """The junction tree of discrete nodes with the continuous part's factors."""
        return self.net.engine(self.evidence, about, together, self.factors)


def has_continuous(dag: Dag) -> bool:
    """Whether some node has no states."""
    return any(n.kind == "stochastic" and is_continuous(dag, name) for name, n in dag.nodes.items())


def question(dag: Dag, evidence: Any, targets: Iterable[str], tied: Iterable[Sequence[str]] = ()) -> Question:
    """Work out what continuous evidence says of discrete states.

    targets : nodes asked for. tied : continuous nodes whose joint law is asked for.

    Raises
    ------
    ModelErrors : names and values that are none; nodes whose laws have no exact answer here, by name.
    FitError : a block that reads too many states, with the figure.
    """
    given = _mapping(evidence)
    continuous = {n for n, node in dag.nodes.items() if node.kind == "stochastic" and is_continuous(dag, n)}
    seen, rest = _numbers(given, continuous)
    parents = {n: read_by(dag, n) for n, node in dag.nodes.items() if node.kind == "stochastic"}
    unknown = [n for n in (*rest, *targets) if n not in parents]
    raise_all([_no_node(n, parents) for n in unknown], QUESTION)
    relevant = _ancestors(parents, (*given, *targets))
    discrete = [n for n in dag.nodes if n in relevant and n not in continuous]
    unseen = continuous - seen.keys()
    faults = [
        ModelError(
            f"'{n}' depends on '{p}', which is continuous and not seen",
            node=n,
            hint=f"exact answers need the value of '{p}' as evidence",
        )
        for n in discrete
        for p in sorted(parents[n] & unseen)
    ]
    raise_all(faults, QUESTION)
    known = {n: Value(np.asarray(v)) for n, v in seen.items()}
    net = Network(tables_of(dag, discrete, known)) if discrete else None
    labels = {n: node_states(dag, dag.nodes[n]) for n in discrete}
    states = states_of(dag, labels, known)
    place = {n: i for i, n in enumerate(discrete)}
    found = read(net.tables, rest) if net is not None else Evidence({}, {})
    assert isinstance(found, Evidence)
    work = Blocks(dag, states, place, found.seen, seen, parents)
    hidden = [n for n in dag.nodes if n in relevant and n in continuous and n not in seen]
    try:
        blocks, factors = work.blocks(hidden, tied)
        factors += work.leaves(n for n in seen if not parents[n] & set(hidden))
    except ModelError as error:
        raise_all([error], QUESTION)
        raise AssertionError("unreachable") from error
    constant, scaled = _scaled(factors)
    if net is None:
        net = Network(Tables((), (), (), ()))
    return Question(net, found, tuple(blocks), tuple(scaled), constant)


def _mapping(evidence: Any) -> dict[str, Any]:
    given = {} if evidence is None else evidence
    if not isinstance(given, Mapping) or any(np.ndim(v) for v in given.values()):
        told = "a network with continuous nodes answers one set of evidence at a time"
        raise_all([ModelError(told, hint='give a dict such as {"smoke": "yes", "x": 1.5}')], QUESTION)
    return {name: value for name, value in given.items() if value is not None and value == value}


def _numbers(given: Mapping[str, Any], continuous: set[str]) -> tuple[dict[str, float], dict[str, Any]]:
    seen: dict[str, float] = {}
    faults: list[ModelError] = []
    for name in given.keys() & continuous:
        try:
            seen[name] = float(given[name])
        except (TypeError, ValueError):
            faults.append(ModelError(f"'{name}' is {given[name]!r}", node=name, hint="give a number"))
    raise_all(faults, QUESTION)
    return seen, {n: v for n, v in given.items() if n not in continuous}


def _no_node(name: str, known: Mapping[str, Any]) -> ModelError:
    from dagmodels.analysis.separation import suggestion

    return ModelError(
        f"'{name}' is no node of the network", node=str(name), hint=suggestion(str(name), tuple(known))
    )


def _ancestors(parents: Mapping[str, Iterable[str]], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(parents[name])
    return found


def _scaled(factors: Sequence[Factor]) -> tuple[float, list[Factor]]:
    """Log likelihoods as likelihoods with a largest entry of one, and what was taken off."""
    constant, found = 0.0, []
    for nodes, logs in factors:
        top = float(np.max(logs))
        constant += top
        found.append((nodes, np.exp(logs - top) if np.isfinite(top) else np.zeros_like(logs)))
    return constant, found


def answers(dag: Dag, evidence: Any, targets: Any, joint: bool) -> dict[Any, Any]:
    """Probabilities of discrete nodes, mixtures of normal laws for continuous ones; see `api.Graph.query`."""
    wanted = _wanted(dag, targets, joint)
    flat = [n for group in wanted for n in group]
    faults = [
        ModelError(
            f"{group!r} has discrete and continuous nodes",
            node=group[0],
            hint="ask for the continuous ones given each state of the others",
        )
        for group in wanted
        if 0 < sum(is_continuous(dag, n) for n in group if n in dag.nodes) < len(group)
    ]
    raise_all(faults, QUESTION)
    several = [g for g in wanted if len(g) > 1 and g[0] in dag.nodes and is_continuous(dag, g[0])]
    given = _mapping(evidence)
    asked = question(dag, given, flat, [[n for n in g if n not in given] for g in several])
    passed = _Passed.of(asked)
    found: dict[Any, Any] = {}
    for group in wanted:
        key = group[0] if len(group) == 1 else group
        if is_continuous(dag, group[0]):
            found[key] = _mixture(passed, given, group)
        else:
            found[key] = _states(passed, group)
    return found


def _wanted(dag: Dag, targets: Any, joint: bool) -> list[tuple[str, ...]]:
    if targets is None:
        names = [n for n, node in dag.nodes.items() if node.kind == "stochastic"]
        return [(n,) for n in names]
    given = [targets] if isinstance(targets, str) else list(targets)
    return [tuple(given)] if joint else [t if isinstance(t, tuple) else (t,) for t in given]


@dataclass(frozen=True, eq=False, slots=True)
class _Passed:
    """A question's tree after both passes of messages."""

    asked: Question
    engine: Engine
    cells: Floats

    @classmethod
    def of(cls, asked: Question, together: tuple[int, ...] = ()) -> _Passed:
        """together : nodes whose joint distribution is asked for."""
        everything = range(len(asked.net.tables.names))
        engine = asked.engine(everything, together)
        cells = engine.entered(*engine.weights([asked.evidence]))
        sent, logs = engine.collected(cells)
        if logs[0] == -np.inf:
            impossible(asked.net, asked.evidence)
        engine.distributed(cells, sent)
        return cls(asked, engine, cells)

    def joint(self, nodes: tuple[int, ...]) -> Floats:
        """Probabilities of nodes that share a clique, an axis a node; a node that is seen has one state."""
        seen = self.asked.evidence.seen
        local = [self.engine.place[i] for i in nodes if i not in seen]
        numbers = np.ones(())
        if local:
            clique = self.engine.tree.cliques.holder(local)
            members = self.engine.tree.cliques.members[clique]
            whole = self.engine.tree.view(np.ascontiguousarray(self.cells[:, 0]), clique)
            summed = whole.sum(axis=tuple(k for k, m in enumerate(members) if m not in local))
            kept = [m for m in members if m in local]
            numbers = np.transpose(summed, [kept.index(i) for i in local])
        found = np.zeros([self.asked.net.tables.sizes[i] for i in nodes])
        found[tuple(seen.get(i, slice(None)) for i in nodes)] = numbers / numbers.sum()
        return found


def _states(passed: _Passed, group: tuple[str, ...]) -> dict[Any, float]:
    """Marginal or joint probabilities of discrete nodes."""
    tables = passed.asked.net.tables
    nodes = tuple(tables.index[n] for n in group)
    if len(nodes) == 1:
        labels: Iterable[Any] = tables.states[nodes[0]]
    else:
        seen = passed.asked.evidence.seen
        passed = _Passed.of(passed.asked, tuple(i for i in nodes if i not in seen))
        labels = product(*(tables.states[i] for i in nodes))
    return dict(zip(labels, passed.joint(nodes).ravel().tolist(), strict=True))


def _mixture(passed: _Passed, given: Mapping[str, Any], group: tuple[str, ...]) -> Any:
    """What is known of continuous nodes; a value seen is itself."""
    if len(group) == 1 and group[0] in given:
        return float(given[group[0]])
    hidden = [n for n in group if n not in given]
    block = next(b for b in passed.asked.blocks if set(hidden) <= set(b.nodes))
    weights = passed.joint(block.axes).reshape(-1)
    at = [block.nodes.index(n) for n in hidden]
    means, covariances = block.means[:, at], block.covariances[:, at][:, :, at]
    live = weights > 0
    parts = np.concatenate([means[live], covariances[live].reshape(int(live.sum()), -1)], axis=1)
    distinct, back = np.unique(parts, axis=0, return_inverse=True)
    k = len(hidden)
    return NormalMixture(
        tuple(hidden),
        np.bincount(back.ravel(), weights=weights[live]),
        distinct[:, :k],
        distinct[:, k:].reshape(-1, k, k),
    )


def log_probability(asked: Question) -> float:
    """Logarithm of the probability (density) of all evidence."""
    engine = asked.engine(())
    cells = engine.entered(*engine.weights([asked.evidence]))
    return float(engine.collected(cells)[1][0]) + asked.constant
