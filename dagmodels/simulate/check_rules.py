"""Are the updates that draw a graph's unknowns right? Geweke's joint-distribution test of a whole schedule.

Drawing data given the unknowns, and then every unknown once by its update, again and again, must leave the
joint law of both, which the graph itself simulates (Geweke 2004, J. Am. Stat. Assoc. 99:799). Compared are
probabilities of lying below quantiles, alone and in pairs, which exist whatever the tails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError

Floats = NDArray[np.float64]
CUTS = (0.05, 0.25, 0.5, 0.75, 0.95)
PAIRS = 40  # of quantities, at most


@dataclass(frozen=True, eq=False, slots=True)
class RuleCheck:
    """What the two ways of drawing gave.

    names : of the functions compared. simulated, swept : their means. z : differences in standard errors of
    both.
    updates : how each node was drawn, in words.
    """

    names: tuple[str, ...]
    simulated: Floats
    swept: Floats
    z: Floats
    updates: Mapping[str, str]

    @property
    def p_value(self) -> float:
        """Of all functions together (Bonferroni), at most 1: below 0.001 once in a thousand right
        schedules.
        """
        from scipy.stats import norm

        return float(min(1.0, 2.0 * norm.sf(np.abs(self.z).max()) * self.z.size))

    def __str__(self) -> str:
        worst = np.argsort(-np.abs(self.z))[:5]
        lines = [f"{self.z.size} probabilities by simulation and by sweeps; p value {self.p_value:.4f}", ""]
        lines += [
            f"  {self.names[k]}: {self.simulated[k]:.3f} and {self.swept[k]:.3f}, z = {self.z[k]:.1f}"
            for k in worst
        ]
        lines += ["", *(f"  {node}: {why}" for node, why in self.updates.items())]
        return "\n".join(lines)


def check_rules(
    graph: Any,
    data: Any = None,
    sizes: Mapping[str, Any] | None = None,
    *,
    simulated: int = 1000,
    sweeps: int = 5000,
    each: int = 3,
    seed: int = 1,
) -> RuleCheck:
    """Test the updates that `route="conditionals"` gives a graph, third parties' rules included.

    Parameters
    ----------
    graph : a small model whose unknowns all have proper priors, and whose observed nodes nothing depends on.
    data, sizes : as for `simulate`: covariates, and the elements of plates.
    simulated, sweeps : how many joint draws of either kind. each : elements compared of a node on plates.

    Raises `FitError` for a graph that cannot be so tested.
    """
    from dagmodels.forms.completion import completion
    from dagmodels.forms.conditionals.schedule import schedule_of
    from dagmodels.forms.conditionals.sweeper import Sweeper

    sets = graph.simulate(data, sizes=sizes, draws=simulated, seed=seed)
    first = graph._facts(sets[0]).problem
    held = [n for n in first.observed if graph.dag.nodes[n].kind == "stochastic"]
    for name in held:
        if graph.dag.children[name]:
            raise FitError(
                f"'{name}' is observed and others depend on it: test a graph in which nothing does"
            )
    problem = _without(first, held)
    responses = completion(problem, held)
    for name, why in responses.refused.items():
        raise FitError(f"'{name}' cannot be drawn given its parents: {why}")
    found = schedule_of(problem, held=held)
    state = np.ones(found.walk.size)
    for name, holding in found.board.builder.holdings.items():
        values = first.values[name] if name in held else _numbers(problem, name, sets[0].truth[name])
        state[holding.slots] = values.reshape(-1)[holding.places]
    sweeper, rng = (
        Sweeper(found.walk, state),
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,))),
    )
    kept = np.empty((sweeps, state.size))
    unknown = [n for n in found.board.builder.holdings if n not in held]
    for i in range(sweeps):
        values = (
            {n: found.values(state[None])[n] for n in unknown} if i == 0 else _values(found, state, unknown)
        )
        responses.complete(values, rng)
        for name in held:
            holding = found.board.builder.holdings[name]
            state[holding.slots] = values[name].reshape(-1)[holding.places]
        sweeper.place(state)
        state = kept[i] = sweeper.run(rng, 1)[0]
    drawn = _quantities(found.values(kept), unknown, each)
    truths = {n: np.stack([_numbers(problem, n, s.truth[n]).reshape(-1) for s in sets]) for n in unknown}
    return _compared(_quantities(truths, unknown, each), drawn, found.told())


def _values(found: Any, state: Floats, names: list[str]) -> dict[str, Floats]:
    every = found.values(state[None])
    return {n: every[n] for n in names}


def _without(problem: Any, names: list[str]) -> Any:
    """The problem with these nodes' values missing."""
    from dagmodels.bind.problem import Problem

    values, observed = dict(problem.values), dict(problem.observed)
    for name in names:
        values[name] = np.full_like(values[name], np.nan)
        observed[name] = np.zeros_like(observed[name])
    return Problem(problem.graph, problem.plates, values, observed)


def _numbers(problem: Any, node: str, truth: Any) -> Floats:
    """Values as numbers; levels by their codes."""
    plate = problem.graph.nodes[node].values_in
    if plate is None:
        return np.asarray(truth, dtype=np.float64)
    codes = {str(level): float(k) for k, level in enumerate(problem.plates[plate].levels)}
    labels = np.asarray(truth, dtype=object)
    return np.array([codes[str(x)] for x in labels.reshape(-1)]).reshape(labels.shape)


def _quantities(values: Mapping[str, Floats], names: list[str], each: int) -> dict[str, Floats]:
    found = {}
    for name in names:
        table = values[name].reshape(len(values[name]), -1)
        for k in range(min(each, table.shape[1])):
            found[name if table.shape[1] == 1 else f"{name}({k + 1})"] = table[:, k]
    return found


def _compared(
    truths: Mapping[str, Floats], drawn: Mapping[str, Floats], told: Mapping[str, str]
) -> RuleCheck:
    """Indicators of lying below quantiles of the simulated draws, and of pairs below their medians."""
    from dagmodels.numerics.chains.diagnose import ess_mean

    names, a, b = [], [], []
    middle: dict[str, tuple[Floats, Floats]] = {}
    for name, truth in truths.items():
        levels = np.unique(truth)
        cuts = levels[:-1] if levels.size <= len(CUTS) else np.unique(np.quantile(truth, CUTS))
        for cut in cuts:
            names.append(f"P({name} <= {cut:.3g})")
            a.append(truth <= cut)
            b.append(drawn[name] <= cut)
        half = np.median(truth)
        middle[name] = (truth <= half, drawn[name] <= half)
    listed = list(middle)
    pairs = [(p, q) for i, p in enumerate(listed) for q in listed[i + 1 :]]
    for p, q in pairs[:: max(1, len(pairs) // PAIRS)]:
        names.append(f"P({p} and {q} below their medians)")
        a.append(middle[p][0] & middle[q][0])
        b.append(middle[p][1] & middle[q][1])
    one, other = np.stack(a, axis=1).astype(float), np.stack(b, axis=1).astype(float)
    m, s = one.mean(axis=0), other.mean(axis=0)
    size = np.minimum(ess_mean(other[None]), len(other))
    share = (len(one) * m + size * s) / (len(one) + size)
    error = np.sqrt(np.maximum(share * (1 - share), 1.0 / len(one)) * (1.0 / len(one) + 1.0 / size))
    return RuleCheck(tuple(names), m, s, (s - m) / error, dict(told))
