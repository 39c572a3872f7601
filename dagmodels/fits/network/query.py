"""Posterior marginals, joint probabilities and the probability of evidence."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitWarning, ModelError, raise_all
from dagmodels.fits.network.asked import Asked
from dagmodels.fits.network.conflict import impossible, told
from dagmodels.fits.network.engine import LANES, Engine, Network
from dagmodels.fits.network.evidence import QUESTION, Cases, Evidence, no_node, read
from dagmodels.fits.network.mixed import answers, has_continuous, log_probability, question
from dagmodels.forms.tables import Tables, tables
from dagmodels.graph.dag import Dag, remembered

Floats = NDArray[np.float64]
Target = str | tuple[str, ...]


@remembered
def network(dag: Dag) -> Network:
    """The network of a graph, ready for questions."""
    return Network(tables(dag))


def query(
    asked: Dag | Asked, evidence: Any = None, targets: Any = None, joint: bool = False
) -> dict[Any, Any]:
    """Probabilities of states given evidence; see `api.Graph.query`."""
    of = asked if isinstance(asked, Asked) else Asked(asked)
    targets = of.targets(targets)
    of = of.about(of.spelled(evidence), targets)
    evidence = of.with_data(evidence)
    if has_continuous(of.dag):
        return answers(of.dag, evidence, targets, joint)
    net = network(of.dag)
    given = read(net.tables, evidence)
    wanted = targets_of(net.tables, targets, joint)
    if isinstance(given, Cases):
        if any(len(t) > 1 for t in wanted):
            fault = ModelError(
                "joint probabilities are answered for one set of evidence", hint="loop over rows"
            )
            raise_all([fault], QUESTION)
        return _of_cases(net, given, [t[0] for t in wanted])
    singles = [t[0] for t in wanted if len(t) == 1]
    found: dict[Any, Any] = {}
    if singles:
        found = _margins(net, given, singles)
    for target in wanted:
        if len(target) > 1:
            found[tuple(net.tables.names[i] for i in target)] = _joint(net, given, target)
    order = [net.tables.names[t[0]] if len(t) == 1 else tuple(net.tables.names[i] for i in t) for t in wanted]
    return {key: found[key] for key in order}


def probability(asked: Dag | Asked, evidence: Any = None) -> Any:
    """The probability of the evidence; an array for a table of cases."""
    of = asked if isinstance(asked, Asked) else Asked(asked)
    if has_continuous(of.dag):
        return float(np.exp(log_probability(question(of.dag, of.with_data(evidence), ()))))
    net = network(of.dag)
    given = read(net.tables, of.with_data(evidence))
    if isinstance(given, Cases):
        return np.exp(log_probabilities(net, given))
    return float(np.exp(_collected(net, given)))


def log_probabilities(net: Network, cases: Cases) -> Floats:
    """Logarithm of each row's probability."""
    return np.concatenate([logs for _, logs in _rows(net, cases, False)] or [np.zeros(0)])


def _collected(net: Network, evidence: Evidence) -> float:
    engine = net.engine(evidence, ())
    cells = engine.entered(*engine.weights([evidence]))
    return float(engine.collected(cells)[1][0])


def targets_of(tables: Tables, targets: Any, joint: bool) -> list[tuple[int, ...]]:
    """What is asked for, by position; one entry a marginal or joint distribution."""
    index = tables.index
    if targets is None:
        if joint:
            fault = ModelError("joint=True needs targets", hint='name them: targets=("a", "b")')
            raise_all([fault], QUESTION)
        return [(i,) for i in range(len(tables.names))]
    given: list[Any] = [targets] if isinstance(targets, str) else list(targets)
    groups: list[tuple[Any, ...]] = (
        [tuple(given)] if joint else [t if isinstance(t, tuple) else (t,) for t in given]
    )
    faults = [no_node(tables, n) for group in groups for n in group if n not in index]
    faults += [
        ModelError(f"{group!r} names a node twice", node=str(group[0]))
        for group in groups
        if len(set(group)) < len(group)
    ]
    raise_all(faults, QUESTION)
    return [tuple(index[n] for n in group) for group in groups]


def _margins(net: Network, evidence: Evidence, wanted: Iterable[int]) -> dict[str, dict[Any, float]]:
    wanted = list(wanted)
    engine = net.engine(evidence, wanted)
    cells = engine.entered(*engine.weights([evidence]))
    sent, logs = engine.collected(cells)
    if logs[0] == -np.inf:
        impossible(net, evidence)
    engine.distributed(cells, sent)
    found = engine.margins(cells)[:, 0].tolist()
    offsets = engine.tree.offsets.tolist()
    answers: dict[str, dict[Any, float]] = {}
    for node in wanted:
        at, labels = engine.place.get(node), net.tables.states[node]
        if at is None:  # seen, and left out of the tree
            code = evidence.seen[node]
            answers[net.tables.names[node]] = {s: float(k == code) for k, s in enumerate(labels)}
        else:
            numbers = found[offsets[at] : offsets[at + 1]]
            answers[net.tables.names[node]] = dict(zip(labels, numbers, strict=True))
    return answers


def _joint(net: Network, evidence: Evidence, target: tuple[int, ...]) -> dict[tuple[Any, ...], float]:
    engine = net.engine(evidence, target, target)
    cells = engine.entered(*engine.weights([evidence]))
    sent, logs = engine.collected(cells)
    if logs[0] == -np.inf:
        impossible(net, evidence)
    engine.distributed(cells, sent)
    local = [engine.place[i] for i in target]
    clique = engine.tree.cliques.holder(local)
    members = engine.tree.cliques.members[clique]
    whole = engine.tree.view(np.ascontiguousarray(cells[:, 0]), clique)
    summed = whole.sum(axis=tuple(k for k, m in enumerate(members) if m not in local))
    kept = [m for m in members if m in local]
    numbers = np.transpose(summed, [kept.index(i) for i in local])
    labels = product(*(net.tables.states[i] for i in target))
    return dict(zip(labels, (numbers / numbers.sum()).ravel().tolist(), strict=True))


def _of_cases(net: Network, cases: Cases, wanted: list[int]) -> dict[str, dict[Any, Floats]]:
    """Marginals of every row."""
    blocks = list(_rows(net, cases, True))
    logs = np.concatenate([found for _, found in blocks] or [np.zeros(0)])
    sizes = np.cumsum([0, *net.tables.sizes])
    found = np.concatenate([m for m, _ in blocks], axis=1) if blocks else np.zeros((int(sizes[-1]), 0))
    lost = np.flatnonzero(logs == -np.inf)
    if lost.size:
        warnings.warn(told_of_rows(net, cases, lost, len(logs)), FitWarning, stacklevel=4)
    return {
        net.tables.names[i]: {label: found[sizes[i] + k] for k, label in enumerate(net.tables.states[i])}
        for i in wanted
    }


def told_of_rows(net: Network, cases: Cases, lost: NDArray[np.int64], n: int) -> str:
    """Which rows cannot be, and why the first of them."""
    why = told(net, row_of(cases, int(lost[0])))
    return (
        f"{lost.size} of {n} rows cannot be, and have no answer (NaN); the first is row {lost[0] + 1}: {why}"
    )


def row_of(cases: Cases, row: int) -> Evidence:
    """What one row of a table says."""
    codes = cases.codes[row].tolist()
    return Evidence({i: c for i, c in zip(cases.nodes.tolist(), codes, strict=True) if c >= 0}, {})


def _rows(net: Network, cases: Cases, margins: bool) -> Iterable[tuple[Floats, Floats]]:
    """By block of rows: probabilities of all states, if asked for, and the logarithms of the rows' own.

    Equal rows are answered once.
    """
    codes, back = _distinct(cases.codes)
    if net.is_small:
        parts = [
            _block(net.engine(Evidence({}, {})), Cases(cases.nodes, codes[first : first + LANES]), margins)
            for first in range(0, len(codes), LANES)
        ]
    else:
        parts = [_single(net, row_of(Cases(cases.nodes, codes), row), margins) for row in range(len(codes))]
    if parts:
        found = np.concatenate([m for m, _ in parts], axis=1)
        logs = np.concatenate([logs for _, logs in parts])
        yield found[:, back], logs[back]


def _distinct(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct rows, and which of them each row is."""
    if not codes.shape[1]:
        return codes[:1], np.zeros(len(codes), dtype=np.int64)
    keys = np.ascontiguousarray(codes.astype(np.int32)).view(np.dtype((np.void, 4 * codes.shape[1]))).ravel()
    _, first, back = np.unique(keys, return_index=True, return_inverse=True)
    return np.ascontiguousarray(codes[first]), back


def _block(engine: Engine, cases: Cases, margins: bool) -> tuple[Floats, Floats]:
    cells = engine.entered(*engine.of_cases(cases))
    sent, logs = engine.collected(cells)
    if not margins:
        return np.zeros((0, len(logs))), logs
    engine.distributed(cells, sent)
    return engine.margins(cells), logs


def _single(net: Network, evidence: Evidence, margins: bool) -> tuple[Floats, Floats]:
    """One row of a network without a common tree."""
    if not margins:
        return np.zeros((0, 1)), np.array([_collected(net, evidence)])
    everything = range(len(net.tables.names))
    if _collected(net, evidence) == -np.inf:
        return np.full((sum(net.tables.sizes), 1), np.nan), np.array([-np.inf])
    found = _margins(net, evidence, everything)
    numbers = [p for name in net.tables.names for p in found[name].values()]
    return np.array(numbers)[:, None], np.zeros(1)


__all__ = ["log_probabilities", "network", "probability", "query", "row_of", "targets_of", "told_of_rows"]
