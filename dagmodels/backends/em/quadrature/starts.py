"""First guesses of latents on nodes: principal components of what was observed, with the sign of its mean.

The sign matters where likelihoods do not tell a latent from its negative: loadings then come out positive
for what grows with the mean of the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.listed import PLATE, VALUE
from dagmodels.forms.mixture import MixtureForm, Sums, Use

Floats = NDArray[np.float64]
SHARE, WIDTH = 0.8, 0.5  # of a score that a first guess keeps, and its standard deviation
TURN = np.pi / 4  # the most that later starts turn a score into noise


def slots_on_nodes(form: MixtureForm, sums: Sums) -> list[int]:
    """Members of a class of slices that are latents on nodes."""
    graph = form.flat.problem.graph
    owners = [form.latents.owner(int(e))[0] for e in sums.slices.members[0]]
    return [k for k, name in enumerate(owners) if graph.nodes[name].values_in == PLATE]


def guess_on_nodes(
    form: MixtureForm,
    sums: Sums,
    rng: np.random.Generator,
    number: int,
    features: Callable[[MixtureForm, Sums, Sequence[Use]], Floats],
) -> Floats:
    """(distinct slices, states) first guesses of the posterior.

    features : columns of what uses observed, in standard units.
    """
    z, group, n = form.flat.problem.values[VALUE], sums.slices, sums.weights.size
    on_nodes = slots_on_nodes(form, sums)
    found = np.ones((n, group.states))
    met: dict[tuple[int, ...], int] = {}
    for slot, count in enumerate(group.counts):
        if slot not in on_nodes:
            found *= rng.dirichlet(np.full(count, 0.5), n)[:, group.digits[:, slot]]
            continue
        uses = tuple(k for k, use in enumerate(sums.uses) if _touches(use, slot, group.counts))
        rank = met[uses] = met.get(uses, -1) + 1
        chosen = [sums.uses[k] for k in uses]
        score = _score(features(form, sums, chosen), _means(form, sums, chosen), sums.weights, rank, rng)
        turn = 0.0 if number == 0 else rng.uniform(0, TURN)
        score = np.cos(turn) * score + np.sin(turn) * rng.normal(size=n)
        near = np.exp(-0.5 * ((z - SHARE * score[:, None]) / WIDTH) ** 2)
        found *= near[:, group.digits[:, slot]]
    return found / found.sum(axis=1, keepdims=True)


def _touches(use: Use, slot: int, counts: tuple[int, ...]) -> bool:
    """Whether the part's state changes with a member's."""
    states = use.states.reshape(counts)
    return counts[slot] > 1 and bool(np.diff(states, axis=slot).any())


def _means(form: MixtureForm, sums: Sums, uses: Sequence[Use]) -> Floats:
    """Mean of the observed values (or codes) of each slice."""
    total, count = np.zeros(sums.weights.size), np.zeros(sums.weights.size)
    for use in uses:
        part = form.parts[use.part]
        name = part.site.names[0]
        if form.flat.problem.graph.nodes[name].role != "observed" or name in form.latents.first or use.single:
            continue
        own = part.own[:, :1]
        total += (own if use.counts is None else use.counts @ own)[:, 0]
        count += 1.0 if use.counts is None else np.asarray(use.counts.sum(axis=1)).reshape(-1)
    return total / np.maximum(count, 1.0)


def _score(x: Floats, mean: Floats, weights: Floats, rank: int, rng: np.random.Generator) -> Floats:
    """One principal component in standard units; noise where there are too few."""
    if x.shape[1] <= rank:
        return rng.normal(size=len(x))
    root = np.sqrt(weights / weights.sum())[:, None]
    centred = x - (weights / weights.sum()) @ x
    left, _, _ = np.linalg.svd(root * centred, full_matrices=False)
    score = left[:, rank] / root[:, 0]
    return score if np.sum(weights * score * (mean - mean.mean())) >= 0 else -score
