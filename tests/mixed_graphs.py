"""Mixed graphs for tests: published ones, random ones, and the rank of their Jacobian in numpy alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from dagmodels.analysis.identify.mixed_graph import Mixed

# Figures of Foygel, Draisma and Drton (2012), as the demo of their R package SEMID has them: arrows, arcs,
# what the half-trek criterion says, and whether the parametrisation is finite-to-one
FIGURES = {
    "3a": ("12 23 34 45", "13 14 24 25", "identified", True),
    "3b": ("12 15 23 24 35", "13 14 15", "identified", True),
    "3c": ("12 13 14 45", "12 13 14 15", "silent", True),
    "3d": ("12 23 32 34 45", "12 14 15 34", "identified", True),
    "3e": ("12 23 34 35 45 51", "13 23 24 45", "silent", True),
    "4a": ("12 13 14 15 23 24 34 35", "23 25", "not identified", False),
    "4b": ("12 13 14 15 23 45", "12 13 14 15", "silent", False),
    "4c": ("12 13 21 31 41 51", "12", "not identified", False),
    "4d": ("14 15 23 25 31 32 34 45 52", "45", "silent", False),
    "5a": ("12 13 14 15 25 35 45", "12 13 14", "silent", True),
    "5b": ("12 14 15 23 25 34", "12 13 15 24", "silent", True),
    "5c": ("12 23 34 45 51", "", "silent", True),
    "5d": ("12 14 15 23 25 31 34 42 51", "12", "silent", True),
    "9a": ("12 13 23 24 25 34 45", "14 23 25", "silent", True),
}


def mixed(arrows: str, arcs: str, n: int = 5) -> Mixed:
    """Of pairs of digits."""
    return Mixed(
        tuple(str(k + 1) for k in range(n)),
        frozenset((a[0], a[1]) for a in arrows.split()),
        frozenset(frozenset(b) for b in arcs.split()),
    )


def random_graph(rng: np.random.Generator, n: int, acyclic: bool) -> Mixed:
    """Each arrow and arc with a probability of its own graph."""
    names = tuple(str(k + 1) for k in range(n))
    some, many = rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.6)
    order = rng.permutation(n)
    pairs = [(names[i], names[j]) for i in range(n) for j in range(n)
             if i != j and (order[i] < order[j] or not acyclic)]  # fmt: skip
    some = some if acyclic else some / 2
    arrows = frozenset(p for p in pairs if rng.random() < some)
    arcs = frozenset(frozenset(p) for p in combinations(names, 2) if rng.random() < many)
    return Mixed(names, arrows, arcs)


def unidentified(g: Mixed, rng: np.random.Generator) -> tuple[set, int]:
    """Arrows and arcs that the covariances do not tell, and how many directions are lost, at random values.

    Derivatives of (I - L)^-T W (I - L)^-1 written out; L has the arrows, W the arcs and variances.
    """
    n = len(g.nodes)
    at = {v: k for k, v in enumerate(g.nodes)}
    arrows, arcs = sorted(g.arrows), sorted(tuple(sorted(p)) for p in g.arcs)
    lam, omega = np.zeros((n, n)), np.diag(rng.uniform(2, 3, size=n) * n)
    for a, b in arrows:
        lam[at[a], at[b]] = rng.uniform(0.3, 1.0) * rng.choice([-1, 1])
    for a, b in arcs:
        omega[at[a], at[b]] = omega[at[b], at[a]] = rng.uniform(0.3, 1.0) * rng.choice([-1, 1])
    k = np.linalg.inv(np.eye(n) - lam)
    sigma = k.T @ omega @ k
    columns = []
    for a, b in arrows:
        e = np.zeros((n, n))
        e[at[a], at[b]] = 1
        columns.append(sigma @ e @ k + (sigma @ e @ k).T)
    for a, b in [*arcs, *((v, v) for v in g.nodes)]:
        e = np.zeros((n, n))
        e[at[a], at[b]] = e[at[b], at[a]] = 1
        columns.append(k.T @ e @ k)
    jacobian = np.array([c[np.tril_indices(n)] for c in columns]).T
    jacobian /= np.sqrt((jacobian**2).sum(axis=0))
    _, values, right = np.linalg.svd(jacobian, full_matrices=True)
    null = right[int((values > 1e-9 * values[0]).sum()) :]
    names = [*arrows, *map(frozenset, arcs), *g.nodes]
    return {name for name, c in zip(names, null.T, strict=True) if np.abs(c).max(initial=0) > 1e-6}, len(null)
