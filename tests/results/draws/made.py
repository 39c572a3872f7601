"""Draws made by numpy from the exact posterior of eight schools, for tests of what is done with draws.

theta_j | mu, tau is Normal; (mu, tau) are drawn from a lattice of their exact joint posterior, so the means
have known answers (Gelman, Bay. Data Analysis, section 5.5, with the priors of specs/eight_schools.dag).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import halfcauchy, norm

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.results.draws.draws import Draws

ROOT = Path(__file__).parents[3]


def eight_schools() -> Problem:
    return bind(dm.read(ROOT / "specs" / "eight_schools.dag").dag, ROOT / "examples" / "eight_schools.csv")


def exact(problem: Problem, chains: int, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Independent draws of mu, tau and theta."""
    y, s = problem.values["y"], problem.values["sigma"]
    rng = np.random.default_rng(seed)
    tau = (np.arange(4000) + 0.5) / 100
    v = 1 / (s**2 + tau[:, None] ** 2)
    q = v.sum(axis=1) + 1 / 25
    m = (v * y).sum(axis=1) / q
    at = norm.logpdf(y, m[:, None], 1 / np.sqrt(v)).sum(axis=1)
    log = at + norm.logpdf(m, 0, 5) - 0.5 * np.log(q) + halfcauchy.logpdf(tau, 0, 5)
    weight = np.exp(log - log.max())
    pick = rng.choice(tau.size, size=(chains, draws), p=weight / weight.sum())
    mu = m[pick] + rng.standard_normal((chains, draws)) / np.sqrt(q[pick])
    t = tau[pick][..., None]
    precision = 1 / s**2 + 1 / t**2
    theta = (y / s**2 + mu[..., None] / t**2) / precision
    theta = theta + rng.standard_normal(theta.shape) / np.sqrt(precision)
    return {"theta": theta, "mu": mu, "tau": tau[pick]}


def draws(chains: int = 4, draws: int = 500, seed: int = 1, **others: Any) -> Draws:
    problem = eight_schools()
    values = exact(problem, chains, draws, seed)
    rng = np.random.default_rng(seed)
    statistics = {
        "energy": rng.standard_normal((chains, draws)),
        "diverging": np.zeros((chains, draws), dtype=bool),
        "acceptance_rate": rng.random((chains, draws)),
    }
    return Draws.of(problem, values, **{"statistics": statistics, "seed": seed, "warmup": 100, **others})
