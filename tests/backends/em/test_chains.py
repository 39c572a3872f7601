"""Latent transitions and factorial chains of different lengths: every path listed by hand."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dagmodels as dm

LENGTHS = (1, 4, 2, 1, 3, 4)

TRANSITIONS = """model transitions
plate person
plate wave in person ordered
plate item = "a", "b", "c"
plate stage = 1..2
plate to as stage
parameter first[stage] simplex
parameter p[stage, to] simplex
parameter r[stage, item] in (0, 1)
z[wave first] in stage ~ Categorical(first)
z[wave] in stage ~ Categorical(p[z[wave-1], to])
observed y[wave, item] ~ Bernoulli(r[z, item])
"""

FACTORIAL = """model factorial
plate run
plate t in run ordered
parameter g, h in (0.01, 0.99)
parameter a, b
parameter s > 0
u[t first] ~ Bernoulli(0.4)
u[t] ~ Bernoulli(if_else(u[t-1] == 1, g, 1 - g))
v[t first] ~ Bernoulli(0.5)
v[t] ~ Bernoulli(if_else(v[t-1] == 1, h, 1 - h))
observed y[t] ~ Normal(a*u + b*v, s)
"""


def paths(length: int, states: Any, first: Any, step: Any, density: Any) -> tuple[dict[Any, float], Any]:
    """Log weights of all paths of one chain, and the best."""
    found = {}
    for path in product(states, repeat=length):
        total = np.log(first(path[0])) + density(0, path[0])
        for t in range(1, length):
            total += np.log(step(path[t - 1], path[t])) + density(t, path[t])
        found[path] = float(total)
    return found, max(found, key=lambda p: found[p])


def begun(lengths: tuple[int, ...]) -> np.ndarray:
    return np.cumsum([0, *lengths[:-1]])


def test_latent_transitions() -> None:
    rng = np.random.default_rng(1)
    lengths = LENGTHS * 12
    rows = []
    for person, length in enumerate(lengths):
        z = int(rng.random() < 0.4)
        for wave in range(length):
            z = z if wave == 0 or rng.random() < 0.75 else 1 - z
            chance = ([0.2, 0.1, 0.3], [0.9, 0.8, 0.7])[z]
            rows += [
                {"person": person, "wave": wave, "item": i, "y": float(rng.random() < c)}
                for i, c in zip("abc", chance, strict=True)
            ]
    data = pd.DataFrame(rows)
    fit = dm.read(TRANSITIONS).fit(data)
    assert fit.converged
    start = [fit["first[1]"], fit["first[2]"]]
    p = [[fit[f"p[{a}, {b}]"] for b in (1, 2)] for a in (1, 2)]
    r = np.array([[fit[f"r[{k}, {i}]"] for i in "abc"] for k in (1, 2)])
    wide = data["y"].to_numpy().reshape(-1, 3)
    states = fit.states()
    assert len(states) == sum(lengths)
    total = 0.0
    for first, length in zip(begun(lengths), lengths, strict=True):
        mine = wide[first : first + length]

        def density(t: int, k: int, mine: np.ndarray = mine) -> float:
            return float(np.log(np.where(mine[t] == 1, r[k], 1 - r[k])).sum())

        found, best = paths(length, (0, 1), lambda k: start[k], lambda k, n: p[k][n], density)
        own = np.logaddexp.reduce(list(found.values()))
        total += own
        told = states.iloc[first : first + length]
        assert tuple(told["path"] - 1) == best
        for t in range(length):
            one = sum(np.exp(v - own) for path, v in found.items() if path[t] == told["state"].iloc[t] - 1)
            assert told["probability"].iloc[t] == pytest.approx(one, abs=1e-9)
    assert fit.log_likelihood == pytest.approx(total, abs=1e-8)


def test_factorial_chains() -> None:
    rng = np.random.default_rng(2)
    lengths = LENGTHS * 8
    rows = []
    for run, length in enumerate(lengths):
        u, v = int(rng.random() < 0.4), int(rng.random() < 0.5)
        for t in range(length):
            u = u if t == 0 or rng.random() < 0.85 else 1 - u
            v = v if t == 0 or rng.random() < 0.6 else 1 - v
            rows.append({"run": run, "t": t, "y": 2 * u + 5 * v + 0.7 * rng.normal()})
    data = pd.DataFrame(rows)
    fit = dm.read(FACTORIAL).fit_quietly(data)
    assert fit.converged
    a, b, s, g, h = (fit[n] for n in ("a", "b", "s", "g", "h"))
    y = data["y"].to_numpy()
    states = fit.states().set_index("name")
    names = [f"{t}:{run}" for run, length in enumerate(lengths) for t in range(length)]
    four = list(product((0, 1), repeat=2))
    total = 0.0
    for first, length in zip(begun(lengths), lengths, strict=True):

        def step(one: tuple[int, int], other: tuple[int, int]) -> float:
            stays = (g if one[0] else 1 - g) if other[0] else (1 - g if one[0] else g)
            return stays * ((h if one[1] else 1 - h) if other[1] else (1 - h if one[1] else h))

        found, best = paths(
            length,
            four,
            lambda k: (0.4 if k[0] else 0.6) * 0.5,
            step,
            lambda t, k, first=first: float(stats.norm.logpdf(y[first + t], a * k[0] + b * k[1], s)),
        )
        own = np.logaddexp.reduce(list(found.values()))
        total += own
        for t in range(length):
            told = states.loc[[f"u[{names[first + t]}]", f"v[{names[first + t]}]"]]
            assert tuple(told["path"]) == best[t]
            for which in (0, 1):
                state = told["state"].iloc[which]
                one = sum(np.exp(w - own) for path, w in found.items() if path[t][which] == state)
                assert told["probability"].iloc[which] == pytest.approx(one, abs=1e-9)
    assert fit.log_likelihood == pytest.approx(total, abs=1e-8)
