"""Questions to networks whose exact answer takes more memory than there is: estimates from draws.

Draws from the network weighted by the likelihood of what is seen (Fung and Chang 1990, UAI; Shachter and
Peot 1990, UAI). Where the weights leave few of them, chains begin at some of these and draw each hidden node
given its Markov blanket (Pearl 1987, Artificial Intelligence 32:245).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError, FitWarning, ModelError, raise_all
from dagmodels.fits.network.asked import Asked
from dagmodels.fits.network.engine import Network
from dagmodels.fits.network.evidence import QUESTION, Cases, Evidence, read
from dagmodels.fits.network.mixed import has_continuous
from dagmodels.fits.network.query import network, targets_of

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
ENOUGH = 99.0  # independent draws that weighted ones must be worth, else chains are run
CHAINS = 100
WARM = 0.5  # sweeps before those that count, as a share of these
MIXED = 1.05  # R-hat from which the chains do not agree


def drawn(asked: Asked, evidence: Any, targets: Any, joint: bool, draws: int, seed: int) -> dict[Any, Any]:
    """Estimated probabilities of states given evidence; see `api.Graph.query`.

    Raises
    ------
    ModelErrors : what exact questions raise; rows of evidence; numbers of draws that are none.
    FitError : continuous nodes; no draw that the evidence leaves possible.
    """
    targets = asked.targets(targets)
    of = asked.about(asked.spelled(evidence), targets)
    if has_continuous(of.dag):
        raise FitError("method='draws' answers for discrete nodes; continuous ones have simulate(draws=...)")
    net = network(of.dag)
    given = read(net.tables, of.with_data(evidence))
    wanted = targets_of(net.tables, targets, joint)
    raise_all(_faults(given, draws), QUESTION)
    assert isinstance(given, Evidence)
    rng = np.random.default_rng(seed)
    sampler = Sampler(net, given, {i for group in wanted for i in group})
    states, weights = sampler.weighted(draws, rng)
    worth = float(weights.sum() ** 2 / (weights @ weights))
    if worth < ENOUGH and sampler.hidden:
        states = sampler.chains(states, weights, draws, rng)
        weights = np.ones(next(iter(states.values())).size)
    tables = net.tables
    return {
        tables.names[g[0]] if len(g) == 1 else tuple(tables.names[i] for i in g): _shares(
            net, states, weights, g
        )
        for g in wanted
    }


def _faults(given: Evidence | Cases, draws: Any) -> list[ModelError]:
    found = []
    if isinstance(given, Cases):
        found.append(ModelError("method='draws' answers for one set of evidence", hint="loop over rows"))
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < CHAINS:
        found.append(ModelError(f"draws is {draws!r}", hint=f"give a whole number from {CHAINS}"))
    return found


def _shares(
    net: Network, states: dict[int, Longs], weights: Floats, group: tuple[int, ...]
) -> dict[Any, float]:
    sizes = [net.tables.sizes[i] for i in group]
    codes = np.ravel_multi_index(tuple(states[i].reshape(-1) for i in group), sizes)
    found = np.bincount(codes, weights, int(np.prod(sizes))) / weights.sum()
    labels = [net.tables.states[i] for i in group]
    keys = labels[0] if len(group) == 1 else product(*labels)
    return dict(zip(keys, found.tolist(), strict=True))


@dataclass(frozen=True, eq=False, slots=True)
class Blanket:
    """What a hidden node is drawn from: tables of its own and of its children, its own states last.

    tables : logarithms. others : for each the nodes of the other axes.
    """

    tables: tuple[Floats, ...]
    others: tuple[tuple[int, ...], ...]


class Sampler:
    """Draws of the nodes that matter: those asked for and seen, and all above them."""

    def __init__(self, net: Network, evidence: Evidence, wanted: set[int]) -> None:
        self.net, self.evidence, self.wanted = net, evidence, wanted
        self.relevant = self._ordered(net.ancestors((*wanted, *evidence.nodes)))
        self.hidden = [i for i in self.relevant if i not in evidence.seen]

    def _ordered(self, nodes: set[int]) -> list[int]:
        """Parents before children."""
        left = {i: set(self.net.tables.parents[i]) for i in sorted(nodes)}
        found: list[int] = []
        while left:
            ready = [i for i, parents in left.items() if not parents & left.keys()]
            found += ready
            for i in ready:
                del left[i]
        return found

    def weighted(self, draws: int, rng: np.random.Generator) -> tuple[dict[int, Longs], Floats]:
        """Draws from the network with what is seen held, and their weights.

        Raises FitError where none has a positive weight.
        """
        tables, states, log = self.net.tables, dict[int, Longs](), np.zeros(draws)
        with np.errstate(divide="ignore"):
            for i in self.relevant:
                rows = tables.known[i][tuple(states[p] for p in tables.parents[i])]
                rows = np.broadcast_to(rows, (draws, tables.sizes[i]))
                if i in self.evidence.seen:
                    states[i] = np.full(draws, self.evidence.seen[i])
                    log = log + np.log(rows[:, self.evidence.seen[i]])
                    continue
                states[i] = _chosen(rows, rng)
                if i in self.evidence.weights:
                    log = log + np.log(self.evidence.weights[i])[states[i]]
        if log.max() == -np.inf:
            raise FitError(
                f"none of {draws} draws is possible under the evidence: its probability is zero or next to "
                "it; more draws (draws=...) may find some"
            )
        return states, np.exp(log - log.max())

    def chains(
        self, states: dict[int, Longs], weights: Floats, draws: int, rng: np.random.Generator
    ) -> dict[int, Longs]:
        """Draws of the nodes asked for, (sweeps, chains), from starts drawn by their weights."""
        start = rng.choice(weights.size, CHAINS, p=weights / weights.sum())
        now = {i: s[start].copy() for i, s in states.items()}
        blankets = {i: self._blanket(i) for i in self.hidden}
        kept = -(-draws // CHAINS)
        found = {i: np.empty((kept, CHAINS), dtype=np.int64) for i in self.wanted}
        for sweep in range(-int(WARM * kept), kept):
            for i, blanket in blankets.items():
                now[i] = self._redrawn(i, blanket, now, rng)
            if sweep >= 0:
                for i, kept_states in found.items():
                    kept_states[sweep] = now[i]
        self._judge(found)
        return found

    def _blanket(self, node: int) -> Blanket:
        tables = self.net.tables
        own: list[tuple[Floats, tuple[int, ...]]] = []
        for i in self.relevant:
            family = tables.families[i]
            if node in family:
                at = family.index(node)
                with np.errstate(divide="ignore"):
                    table = np.log(np.moveaxis(tables.known[i], at, -1))
                own.append((np.ascontiguousarray(table), tuple(f for f in family if f != node)))
        return Blanket(tuple(t for t, _ in own), tuple(o for _, o in own))

    def _redrawn(self, node: int, blanket: Blanket, now: dict[int, Longs], rng: np.random.Generator) -> Longs:
        log = np.zeros((CHAINS, self.net.tables.sizes[node]))
        if node in self.evidence.weights:
            with np.errstate(divide="ignore"):
                log = log + np.log(self.evidence.weights[node])
        for table, others in zip(blanket.tables, blanket.others, strict=True):
            log = log + table[tuple(now[i] for i in others)]
        density = np.exp(log - log.max(axis=1, keepdims=True))
        return _chosen(density / density.sum(axis=1, keepdims=True), rng)

    def _judge(self, found: dict[int, Longs]) -> None:
        """Warn where the chains do not agree about a node asked for."""
        from dagmodels.numerics.chains.diagnose import rhat

        apart = []
        for i, states in found.items():
            for code in range(self.net.tables.sizes[i]):
                own = (states == code).astype(np.float64).T
                if 0 < own.mean() < 1 and not float(rhat(own)) < MIXED:
                    apart.append(self.net.tables.names[i])
                    break
        if apart:
            some = ", ".join(sorted(apart)[:6]) + (", ..." if len(apart) > 6 else "")
            told = (
                f"the chains do not agree about {some} (R-hat {MIXED} or more): take more draws (draws=...)"
            )
            warnings.warn(told, FitWarning, stacklevel=5)


def _chosen(rows: Floats, rng: np.random.Generator) -> Longs:
    """A state for each row of probabilities."""
    ends = np.cumsum(rows, axis=1)
    point = rng.random((len(rows), 1)) * ends[:, -1:]
    return np.minimum((point >= ends).sum(axis=1), rows.shape[1] - 1)
