"""The most probable states of all nodes (MPE), or of some with the others summed out (marginal MAP)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitWarning, ModelError, raise_all
from dagmodels.fits.network.asked import Asked
from dagmodels.fits.network.conflict import impossible
from dagmodels.fits.network.engine import LANES, Factor, Network, refuse_large
from dagmodels.fits.network.evidence import QUESTION, Cases, Evidence, no_node, read
from dagmodels.fits.network.mixed import has_continuous, question
from dagmodels.fits.network.query import network, told_of_rows
from dagmodels.forms.gaussians import is_continuous
from dagmodels.graph.dag import Dag
from dagmodels.numerics.junction.tree import Cliques, cliques_of, tree_of

Floats = NDArray[np.float64]


def mpe(asked: Dag | Asked, evidence: Any = None, targets: Any = None) -> tuple[dict[str, Any], Any]:
    """Most probable states and the logarithm of their probability with the evidence; see `api.Graph.mpe`."""
    of = asked if isinstance(asked, Asked) else Asked(asked)
    targets = of.targets(targets)
    of = of.about(of.spelled(evidence), targets)
    if has_continuous(of.dag):
        return _beside_continuous(of.dag, of.with_data(evidence), targets)
    net = network(of.dag)
    given = read(net.tables, of.with_data(evidence))
    if isinstance(given, Cases):
        if targets is not None:
            fault = ModelError("marginal MAP is answered for one set of evidence", hint="loop over rows")
            raise_all([fault], QUESTION)
        return _of_cases(net, given)
    if targets is None:
        return _whole(net, given)
    names: list[Any] = [targets] if isinstance(targets, str) else list(targets)
    raise_all([no_node(net.tables, n) for n in names if n not in net.tables.index], QUESTION)
    return _marginal(net, given, dict.fromkeys(net.tables.index[n] for n in names))


def _beside_continuous(dag: Dag, evidence: Any, targets: Any) -> tuple[dict[str, Any], float]:
    """The states of the discrete nodes; continuous ones that are not seen are integrated out."""
    discrete = [n for n, node in dag.nodes.items() if node.kind == "stochastic" and not is_continuous(dag, n)]
    names: list[Any] = discrete if targets is None else [targets] if isinstance(targets, str) else targets
    found = question(dag, evidence, names)
    if targets is None:
        states, log = _whole(found.net, found.evidence, found.factors)
    else:
        index = found.net.tables.index
        faults = [
            ModelError(f"'{n}' is continuous and has no states", node=n, hint="query gives its distribution")
            for n in names
            if n not in index
        ]
        raise_all(faults, QUESTION)
        states, log = _marginal(found.net, found.evidence, [index[n] for n in names], found.factors)
    return states, log + found.constant


def _whole(net: Network, evidence: Evidence, more: Sequence[Factor] = ()) -> tuple[dict[str, Any], float]:
    engine = net.engine(evidence, None if not more else range(len(net.tables.names)), (), more)
    cells = engine.entered(*engine.weights([evidence]))
    _, logs = engine.collected(cells, largest=True)
    if logs[0] == -np.inf:
        impossible(net, evidence)
    codes = {**dict(zip(engine.nodes, engine.traced(cells)[:, 0].tolist(), strict=True)), **evidence.seen}
    return _labelled(net, codes, range(len(net.tables.names))), float(logs[0])


def _labelled(net: Network, codes: dict[int, int], nodes: Iterable[int]) -> dict[str, Any]:
    return {net.tables.names[i]: net.tables.states[i][codes[i]] for i in nodes}


def _of_cases(net: Network, cases: Cases) -> tuple[dict[str, NDArray[Any]], Floats]:
    """Arrays by node, and the logarithm of each row; None and -inf where a row cannot be."""
    states: list[NDArray[np.int64]] = []
    found: list[Floats] = []
    engine = net.engine(Evidence({}, {}))
    for first in range(0, len(cases.codes), LANES):
        cells = engine.entered(*engine.of_cases(Cases(cases.nodes, cases.codes[first : first + LANES])))
        found.append(engine.collected(cells, largest=True)[1])
        states.append(engine.traced(cells))
    codes = np.concatenate(states, axis=1) if states else np.zeros((len(net.tables.names), 0), dtype=np.int64)
    logs = np.concatenate(found or [np.zeros(0)])
    labels = [np.array(s, dtype=object) for s in net.tables.states]
    named = {name: labels[i][codes[i]] for i, name in enumerate(net.tables.names)}
    lost = np.flatnonzero(logs == -np.inf)
    if lost.size:
        for array in named.values():
            array[lost] = None
        warnings.warn(told_of_rows(net, cases, lost, len(logs)), FitWarning, stacklevel=4)
    return named, logs


def _marginal(
    net: Network, evidence: Evidence, targets: Iterable[int], more: Sequence[Factor] = ()
) -> tuple[dict[str, Any], float]:
    """The others are summed out first: cliques with targets alone stand at the roots of a strong tree."""
    targets = tuple(targets)
    tied = (i for group, _ in more for i in group)
    relevant = tuple(sorted(net.ancestors((*targets, *evidence.nodes, *tied))))
    factors = [*net.factors(relevant, evidence.seen), *more]
    nodes = [i for i in relevant if i not in evidence.seen]
    place = {node: k for k, node in enumerate(nodes)}
    local = [(tuple(place[i] for i in rest), table) for rest, table in factors]
    local += [((place[i],), weights) for i, weights in evidence.weights.items()]
    free = [i for i in targets if i not in evidence.seen]
    last = sum(1 << place[i] for i in free)
    cliques = cliques_of([n for n, _ in local], [net.tables.sizes[i] for i in nodes], (), last)
    refuse_large(cliques, [net.tables.names[i] for i in nodes])
    with np.errstate(divide="ignore"):
        total = sum(float(np.log(t)) for n, t in local if not n)
    found, log = _eliminated(cliques, [(n, t) for n, t in local if n], {place[i] for i in free})
    if total + log == -np.inf:
        impossible(net, evidence)
    codes = {**{nodes[k]: code for k, code in found.items()}, **evidence.seen}
    return _labelled(net, codes, targets), total + log


def _eliminated(
    cliques: Cliques, factors: list[tuple[tuple[int, ...], Floats]], targets: set[int]
) -> tuple[dict[int, int], float]:
    """Sums over the other nodes and maxima over the targets, from the leaves; then the targets' states."""
    tree = tree_of(cliques)
    cells = tree.potentials(factors)
    total = 0.0
    summed: list[tuple[tuple[int, ...], Floats]] = [((), cells)] * len(cliques.members)
    for c in reversed(range(len(cliques.members))):
        members, view = cliques.members[c], tree.view(cells, c)
        shared = cliques.shared[c]
        gone = tuple(k for k in range(shared, len(members)) if members[k] not in targets)
        kept = tuple(m for k, m in enumerate(members) if k not in gone)
        summed[c] = kept, view.sum(axis=gone)
        message = summed[c][1].max(axis=tuple(range(shared, len(kept))))
        scale = float(np.max(message))
        if scale == 0.0:
            return dict.fromkeys(targets, 0), -np.inf
        total += float(np.log(scale))
        above = cliques.parents[c]
        if above >= 0:
            outer, inner = tree.view(cells, above), cliques.members[c][:shared]
            sizes = [cliques.sizes[m] if m in inner else 1 for m in cliques.members[above]]
            order = sorted(range(shared), key=lambda k: cliques.members[above].index(inner[k]))
            outer *= (message / scale).transpose(order).reshape(sizes)
    found: dict[int, int] = {}
    for kept, numbers in summed:
        fixed = numbers[tuple(found.get(m, slice(None)) for m in kept)]
        free = [m for m in kept if m not in found]
        if free and all(m in targets for m in free):
            best = np.unravel_index(int(np.argmax(fixed)), fixed.shape)
            found.update(zip(free, map(int, best), strict=True))
    return found, total
