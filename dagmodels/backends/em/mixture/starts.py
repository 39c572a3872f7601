"""Where EM begins: at first guesses of the states, some by clusters of what was observed, some at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixture.steps import Steps
from dagmodels.backends.em.quadrature.starts import guess_on_nodes, slots_on_nodes
from dagmodels.bind.problem import Problem
from dagmodels.forms.cells import cells
from dagmodels.forms.flat import Flat
from dagmodels.forms.mixture import MixtureForm, Sums, Use
from dagmodels.graph.statement import Parameter

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_FEATURES = 200
FIRST = 50  # steps on the gradient of the first maximisation
AWAY = 0.3  # of the unconstrained numbers of a start at random, from the middle
SOFT = 0.1  # share of a first guess that is spread over all states


def beginning(flat: Flat) -> Floats:
    """Stated starting values, and the middle of every domain for what has none."""
    values: dict[str, Floats] = {n: np.array(v) for n, v in flat.constrain(np.zeros(flat.size)).items()}
    for name, array in values.items():
        for share in cells(flat.problem, name):
            if isinstance(share.statement, Parameter) and share.statement.start is not None:
                array.reshape(-1)[share.places] = float(share.statement.start)
    return flat.unconstrain(values)


def stated(problem: Problem) -> bool:
    """Whether some parameter has a starting value."""
    return any(
        isinstance(s, Parameter) and s.start is not None
        for node in problem.graph.nodes.values()
        for s in node.statements
    )


def start(steps: Steps, number: int, seed: int) -> Floats:
    """The unconstrained point of one start, after a first maximisation.

    number : 0 begins at the stated values and at what rows without latents tell; others alternate between
        clusters and random states.
    """
    form = steps.form
    y = beginning(form.flat)
    if number == 0 and not any(slots_on_nodes(form, sums) for sums in form.sums):
        known = any(p.known for p in form.parts)
        if stated(form.flat.problem):
            return y
        if known:
            nothing = tuple(
                np.bincount(p.kind, minlength=p.kinds)[:, None].astype(float)
                if p.known
                else np.zeros((p.kinds, p.expanded.states))
                for p in form.parts
            )
            return steps.maximised(y, nothing, FIRST)
    rng = np.random.default_rng((seed, number))
    if any(sums.slices.states > sums.weights.size for sums in form.sums):
        return y + AWAY * rng.standard_normal(y.size)  # too many states to guess from clusters
    guesses = [guess(form, sums, rng, number) for sums in form.sums]
    return steps.maximised(y, implied(form, guesses), FIRST)


def guess(form: MixtureForm, sums: Sums, rng: np.random.Generator, number: int) -> Floats:
    """(distinct slices, states) first guesses of the posterior."""
    if slots_on_nodes(form, sums):
        return guess_on_nodes(form, sums, rng, number, features)
    n, s = sums.weights.size, sums.slices.states
    x = features(form, sums)
    if number % 4 == 3 or x.shape[1] == 0 or s > n:
        found = rng.dirichlet(np.full(s, 0.5), n)
    else:
        found = np.eye(s)[clusters(x, sums.weights, s, rng, rounds=0 if number % 4 == 2 else 10)]
    return (1 - SOFT) * found + SOFT / s


def features(form: MixtureForm, sums: Sums, uses: Sequence[Use] | None = None) -> Floats:
    """What was observed at each slice: means of numbers, shares of levels, in standard units.

    uses : those that count; None for all.
    """
    dag = form.flat.problem.graph
    columns: list[Floats] = []
    for use in sums.uses if uses is None else uses:
        part = form.parts[use.part]
        name = part.site.names[0]
        if dag.nodes[name].role != "observed" or name in form.latents.first:
            continue
        own = part.own
        if dag.nodes[name].values_in is not None:
            own = np.eye(form.flat.problem.plates[dag.nodes[name].values_in or ""].size)[
                own[:, 0].astype(int)
            ]
        if part.site.law.family == "VonMises":
            own = np.concatenate([np.cos(own), np.sin(own)], axis=1)
        if use.counts is None:
            columns.extend(own.T)
            continue
        total = np.maximum(np.asarray(use.counts.sum(axis=1)).reshape(-1), 1.0)
        columns.extend((use.counts @ own / total[:, None]).T)
        if 1 < total.max() <= MOST_FEATURES and own.shape[1] == 1:
            columns.extend(_unfolded(use.counts, own[:, 0], form.parts[use.part].kinds))
    x = np.stack(columns, axis=1) if columns else np.zeros((sums.weights.size, 0))
    if x.shape[1] > MOST_FEATURES:
        x = x[:, :MOST_FEATURES]
    sd = x.std(axis=0)
    return (x - x.mean(axis=0))[:, sd > 0] / sd[sd > 0]


def _unfolded(counts: object, own: Floats, kinds: int) -> list[Floats]:
    """Each kind of row by itself, where a slice has several."""
    if kinds > MOST_FEATURES:
        return []
    dense = counts.toarray()  # type: ignore[attr-defined]
    return list(dense.T)


def clusters(x: Floats, weights: Floats, k: int, rng: np.random.Generator, rounds: int) -> Ints:
    """k-means with spread seeds (Arthur and Vassilvitskii 2007, SODA), numbered by their first coordinate."""
    centres = x[[rng.choice(len(x), p=weights / weights.sum())]]
    nearest = ((x - centres[0]) ** 2).sum(axis=1)
    for _ in range(k - 1):
        chance = weights * nearest
        total = chance.sum()
        at = rng.choice(len(x), p=chance / total) if total > 0 else rng.integers(len(x))
        centres = np.vstack([centres, x[at]])
        nearest = np.minimum(nearest, ((x - x[at]) ** 2).sum(axis=1))
    label = _nearest(x, centres)
    for _ in range(rounds):
        for c in range(k):
            mine = label == c
            if weights[mine].any():
                centres[c] = np.average(x[mine], axis=0, weights=weights[mine])
        new = _nearest(x, centres)
        if (new == label).all():
            break
        label = new
    order = np.argsort(np.argsort(centres[:, 0], kind="stable"), kind="stable")
    return order[label]


def _nearest(x: Floats, centres: Floats) -> Ints:
    return ((centres**2).sum(axis=1) - 2 * x @ centres.T).argmin(axis=1)


def implied(form: MixtureForm, posteriors: list[Floats]) -> tuple[Floats, ...]:
    """Weights of all parts from posteriors of slices, steps of chains taken for independent."""
    weights = [form._certain(p) for p in form.parts]
    for sums, posterior in zip(form.sums, posteriors, strict=True):
        counted = posterior * sums.weights[:, None]
        for use in sums.uses:
            weights[use.part] += use.returned(counted, form.parts[use.part].expanded.states)
        if sums.table is not None:
            inner = np.flatnonzero(~sums.slices.start)
            s = sums.slices.states
            moves = np.zeros((int(sums.table.max(initial=0)) + 1, s * s))
            pairs = (posterior[inner - 1][:, :, None] * posterior[inner][:, None, :]).reshape(-1, s * s)
            np.add.at(moves, sums.table[inner], pairs)
            for use in sums.moves:
                weights[use.part] += use.returned(moves, form.parts[use.part].expanded.states)
    return tuple(weights)


__all__ = ["Mapping", "beginning", "clusters", "features", "start"]
