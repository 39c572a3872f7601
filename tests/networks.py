"""Random discrete networks, and their answers by summing over all states."""

from __future__ import annotations

import itertools

import numpy as np

import dagmodels as dm


def random_network(rng: np.random.Generator, nodes: int, most: int = 3, zeros: float = 0.1) -> dm.Graph:
    """Nodes of 1 to 4 states with up to `most` parents each; some entries are zero."""
    g = dm.Graph("random")
    sizes = rng.integers(1, 5, size=nodes).tolist()
    for size in sorted(set(sizes)):
        g.plate(f"p{size}", levels=[f"s{k}" for k in range(size)])
    order = rng.permutation(nodes).tolist()
    for place, i in enumerate(order):
        count = int(rng.integers(0, min(place, most) + 1))
        parents = rng.choice(order[:place], size=count, replace=False).tolist() if count else []
        rows = {}
        for states in itertools.product(*(range(sizes[p]) for p in parents)):
            row = rng.dirichlet(np.ones(sizes[i])) * (rng.random(sizes[i]) > zeros)
            row = row / row.sum() if row.sum() > 0 else np.full(sizes[i], 1 / sizes[i])
            rows[tuple(f"s{s}" for s in states)] = row.tolist()
        law = dm.Table(*(f"x{p}" for p in parents), rows) if parents else dm.Table(rows[()])
        g.node(f"x{i}", law, values_in=f"p{sizes[i]}")
    return g


def joint(g: dm.Graph) -> tuple[list[str], np.ndarray]:
    """Names, and the probability of every combination of states: one axis a node.

    From the statements themselves, entry by entry.
    """
    dag = g.dag
    names = list(dag.nodes)
    levels = {n: dag.plate[dag.nodes[n].values_in].levels for n in names}
    found = np.ones([len(levels[n]) for n in names])
    for at in np.ndindex(*found.shape):
        state = {n: levels[n][k] for n, k in zip(names, at, strict=True)}
        for n in names:
            law = dag.nodes[n].statements[0].distribution
            parents = [v.name for k, v in law.arguments if k != "rows"]
            rows = law.argument("rows")
            if parents:
                entries = next(r.entries for r in rows.rows if r.labels == tuple(state[p] for p in parents))
            else:
                entries = rows.items
            row = np.array([e.value for e in entries], dtype=float)
            found[at] *= row[levels[n].index(state[n])] / row.sum()
    return names, found
