"""Posteriors of capture-recapture texts beside grids over a likelihood that is summed by hand.

The grid's likelihood goes forward through the occasions of each animal, with every probability on the grid at
once. Means of draws may differ from it by 4.5 Monte Carlo standard errors, which one number in 147,000 does
by chance; standard deviations by a tenth, some six of their standard errors.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import dagmodels as dm

Floats = NDArray[np.float64]
ERRORS = 4.5

CORMACK_JOLLY_SEBER = """model {
  for (i in 1:nind) {
    for (t in f[i]:(n.occasions-1)) { phi[i,t] <- mean.phi ; p[i,t] <- mean.p }
    z[i,f[i]] <- 1
    for (t in (f[i]+1):n.occasions) {
      z[i,t] ~ dbern(mu1[i,t])
      mu1[i,t] <- phi[i,t-1]*z[i,t-1]
      y[i,t] ~ dbern(mu2[i,t])
      mu2[i,t] <- p[i,t-1]*z[i,t]
    }
  }
  mean.phi ~ dunif(0, 1)
  mean.p ~ dunif(0, 1)
}"""

TWO_SITES = """model {
  for (i in 1:n) {
    z[i,f[i]] <- y[i,f[i]]
    for (t in (f[i]+1):T) {
      z[i,t] ~ dcat(ps[z[i,t-1], i, t-1, ])
      y[i,t] ~ dcat(po[z[i,t], i, t-1, ])
    }
    for (t in f[i]:(T-1)) {
      ps[1,i,t,1] <- s*(1 - m); ps[1,i,t,2] <- s*m; ps[1,i,t,3] <- 1 - s
      ps[2,i,t,1] <- s*m; ps[2,i,t,2] <- s*(1 - m); ps[2,i,t,3] <- 1 - s
      ps[3,i,t,1] <- 0; ps[3,i,t,2] <- 0; ps[3,i,t,3] <- 1
      po[1,i,t,1] <- p; po[1,i,t,2] <- 0; po[1,i,t,3] <- 1 - p
      po[2,i,t,1] <- 0; po[2,i,t,2] <- p; po[2,i,t,3] <- 1 - p
      po[3,i,t,1] <- 0; po[3,i,t,2] <- 0; po[3,i,t,3] <- 1
    }
  }
  s ~ dunif(0, 1)
  m ~ dbeta(2, 4)
  p ~ dunif(0, 1)
}"""


def forward(
    y: Floats, first: NDArray[np.int64], moves: Floats, seen: Floats, start: Callable[[float], int]
) -> Floats:
    """The log likelihood of histories from their first captures on.

    moves, seen : (states, states, ...) and (states, outcomes, ...), probabilities on a grid.
    start : the state of what is seen first; y counts outcomes from 0.
    """
    total = np.zeros(moves.shape[2:])
    for history, begin in zip(y.astype(int), first, strict=True):
        alive = np.zeros((moves.shape[0], *moves.shape[2:]))
        alive[start(history[begin - 1])] = 1
        for outcome in history[begin:]:
            alive = np.einsum("i...,ij...->j...", alive, moves) * seen[:, outcome]
        total += np.log(alive.sum(axis=0))
    return total


def moments(log_density: Floats, axes: list[Floats]) -> list[tuple[float, float]]:
    """Mean and standard deviation along each axis of a grid of equal cells."""
    weight = np.exp(log_density - log_density.max())
    found = []
    for x in np.meshgrid(*axes, indexing="ij"):
        mean = float((weight * x).sum() / weight.sum())
        found.append((mean, float(np.sqrt((weight * (x - mean) ** 2).sum() / weight.sum()))))
    return found


def compare(fit: Any, wanted: dict[str, tuple[float, float]]) -> None:
    rows = fit.estimates.set_index("name")
    for name, (mean, sd) in wanted.items():
        assert abs(rows["estimate"][name] - mean) < ERRORS * rows["mcse"][name], name
        assert rows["se"][name] == pytest.approx(sd, rel=0.1), name


def cells(n: int) -> Floats:
    """The middles of n cells between 0 and 1."""
    return (np.arange(n) + 0.5) / n


def histories(n: int, occasions: int, phi: float, p: float, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    first = rng.integers(1, occasions, n)
    y = np.zeros((n, occasions))
    for i, f in enumerate(first):
        lives = np.cumprod(rng.random(occasions - f) < phi)
        y[i, f - 1], y[i, f:] = 1, lives * (rng.random(occasions - f) < p)
    return y, first


def known_states(y: Floats) -> Floats:
    """1 between the first and the last capture, without the first: what is known of being alive."""
    z = np.full(y.shape, np.nan)
    for own, seen in zip(z, map(np.flatnonzero, y), strict=True):
        own[seen[0] + 1 : seen[-1] + 1] = 1
    return z


@pytest.mark.parametrize("known", [True, False])
def test_survival_and_recapture(known: bool) -> None:
    y, first = histories(40, 6, 0.7, 0.5, seed=4)
    data = {"nind": 40, "n.occasions": 6, "f": first, "y": y}
    if known:
        data["z"] = known_states(y)
    model = dm.read(CORMACK_JOLLY_SEBER, data=data, format="bugs")
    assert "summed out along 'i.t' by a forward recursion" in str(model.plan())
    fit = model.fit(method="gibbs", draws=2000, seed=1, monitor=["mean.phi", "mean.p"])

    grid = cells(60)
    phi, p = np.meshgrid(grid, grid, indexing="ij")
    no, one = np.zeros_like(phi), np.ones_like(phi)
    moves = np.array([[phi, 1 - phi], [no, one]])
    seen = np.array([[1 - p, p], [one, no]])
    both = moments(forward(y, first, moves, seen, lambda _: 0), [grid, grid])
    compare(fit, dict(zip(("mean.phi", "mean.p"), both, strict=True)))


def test_states_are_drawn_from_their_posterior() -> None:
    """The chance to be alive at the end of an animal that was seen once, averaged over the posterior."""
    y, first = histories(12, 4, 0.7, 0.5, seed=2)
    y[0], first[0] = [1, 0, 0, 0], 1
    data = {"nind": 12, "n.occasions": 4, "f": first, "y": y, "z": known_states(y)}
    model = dm.read(CORMACK_JOLLY_SEBER, data=data, format="bugs")
    fit = model.fit(method="gibbs", draws=4000, seed=1)

    grid = cells(60)
    phi, p = np.meshgrid(grid, grid, indexing="ij")
    no, one = np.zeros_like(phi), np.ones_like(phi)
    moves = np.array([[phi, 1 - phi], [no, one]])
    seen = np.array([[1 - p, p], [one, no]])
    weight = np.exp(forward(y, first, moves, seen, lambda _: 0))
    hidden = [phi**k * (1 - p) ** k for k in range(4)]  # alive after k occasions, never seen
    unseen = hidden[3] + sum(hidden[k] * (1 - phi) for k in range(3))
    chance = float((weight * hidden[3] / unseen).sum() / weight.sum())
    drawn = fit.samples["z"][..., model.provenance.pairs["z"].index((1, 4))]
    error = np.sqrt(chance * (1 - chance) / (drawn.size / 4))  # at least a quarter of the draws counts
    assert abs(drawn.mean() - chance) < ERRORS * error


def test_two_sites() -> None:
    rng = np.random.default_rng(7)
    n, occasions = 50, 5
    first = rng.integers(1, occasions, n)
    moves = np.array([[0.56, 0.24, 0.2], [0.24, 0.56, 0.2], [0, 0, 1]])
    seen = np.array([[0.6, 0, 0.4], [0, 0.6, 0.4], [0, 0, 1]])
    y = np.full((n, occasions), 3.0)
    for i, f in enumerate(first):
        state = int(rng.integers(2))
        y[i, f - 1] = state + 1
        for t in range(f, occasions):
            state = int(rng.choice(3, p=moves[state]))
            y[i, t] = rng.choice(3, p=seen[state]) + 1
    model = dm.read(TWO_SITES, data={"n": n, "T": occasions, "f": first, "y": y}, format="bugs")
    assert "summed out along 'i.t' by a forward recursion" in str(model.plan())
    fit = model.fit(method="gibbs", draws=2000, seed=1, monitor=["s", "m", "p"])

    grid = cells(40)
    s, m, p = np.meshgrid(grid, grid, grid, indexing="ij")
    no, one = np.zeros_like(s), np.ones_like(s)
    ways = np.array([[s * (1 - m), s * m, 1 - s], [s * m, s * (1 - m), 1 - s], [no, no, one]])
    sight = np.array([[p, no, 1 - p], [no, p, 1 - p], [no, no, one]])
    found = forward(y - 1, first, ways, sight, int) + np.log(m) + 3 * np.log1p(-m)
    compare(fit, dict(zip(("s", "m", "p"), moments(found, [grid] * 3), strict=True)))


def test_animals_that_enter() -> None:
    """Jolly-Seber as restricted occupancy: whether one enters hangs on all occasions before."""
    text = """model {
      for (i in 1:M) {
        z[i,1] ~ dbern(g[1])
        for (t in 2:T) {
          q[i,t-1] <- 1 - z[i,t-1]
          mu[i,t] <- phi*z[i,t-1] + g[t]*prod(q[i,1:(t-1)])
          z[i,t] ~ dbern(mu[i,t])
        }
        for (t in 1:T) { y[i,t] ~ dbern(p*z[i,t]) }
      }
      phi ~ dunif(0, 1)
      p ~ dunif(0, 1)
    }"""
    y = [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0]]
    g = [0.3, 0.2, 0.4, 0.2]
    model = dm.read(text, data={"M": 7, "T": 4, "y": y, "g": g}, format="bugs")
    assert "up to 4 elements at once" in str(model.plan())
    fit = model.fit(method="gibbs", draws=2000, seed=1, monitor=["phi", "p"])

    grid = cells(60)
    phi, p = np.meshgrid(grid, grid, indexing="ij")
    total = np.zeros_like(phi)
    for history in y:
        chance = np.zeros_like(phi)
        for z in product((0, 1), repeat=4):
            term = np.ones_like(phi)
            for k in range(4):
                mu = phi * z[k - 1] * (k > 0) + g[k] * (not any(z[:k]))
                term = term * (mu if z[k] else 1 - mu) * (p * z[k] if history[k] else 1 - p * z[k])
            chance += term
        total += np.log(chance)
    compare(fit, dict(zip(("phi", "p"), moments(total, [grid, grid]), strict=True)))
