"""Questions to discrete networks, one by one and for the rows of a table, and reading BIF.

Peers: medians on the machine of the bounds, pyAgrum 3.3.1 (lazy propagation), pgmpy 1.1.2 (elimination).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from benchmarks.common import ROOT, Row, median_cpu

BN = ROOT / "tests" / "references" / "bn"
CASES = (
    ("asia", 0.15e-3, "pyAgrum 0.32 ms, pgmpy 2.3 ms"),
    ("alarm", 1.0e-3, "pyAgrum 2.5 ms, pgmpy 34 ms"),
    ("insurance", 1.2e-3, "pyAgrum 3.4 ms, pgmpy 25 ms"),
)
ROWS = 10_000


def rows() -> Iterator[Row]:
    import dagmodels as dm
    from dagmodels.readers.bif import from_bif

    for name, bound, peer in CASES:
        g = dm.read(BN / f"{name}.bif")
        evidence = [q["evidence"] for q in json.loads((BN / f"queries_{name}.json").read_text())["queries"]]
        seconds = median_cpu(partial(_loop, g, evidence)) / len(evidence)
        yield Row(f"{name}: all posterior marginals, one by one", seconds, bound, "s", peer)
        table = cases(g)
        seconds = median_cpu(partial(g.query, table), 3, 1) / ROWS
        yield Row(f"{name}: the same, a row of {ROWS}", seconds, 0.1e-3)
    yield from _fits()
    text = wide_text(76)
    yield Row("BIF of 76 nodes: read", median_cpu(partial(from_bif, text)), 0.010, "s", "pgmpy 1.0 to 1.6 s")


EM = (
    ("asia", "asia_mcar20", 0.02, "pyAgrum 2.4 s"),
    ("asia", "asia_latent", 0.02, "pgmpy 0.46 s an iteration"),
    ("lca3", "lca3_latent", 0.02, "pyAgrum 412 s"),
    ("alarm", "alarm_mcar20", 0.3, ""),
)


def _fits() -> Iterator[Row]:
    import pandas as pd

    import dagmodels as dm

    for name, case, bound, peer in EM:
        g, data = dm.read(BN / f"{name}.bif"), pd.read_csv(BN / f"{case}.csv")
        if not g.fit(data).converged:
            raise RuntimeError(case)
        yield Row(f"{case}: EM fit call, five starts", median_cpu(partial(g.fit, data)), bound, "s", peer)


def _loop(g, evidence) -> None:
    for known in evidence:
        g.query(known)


def cases(g):
    """Rows drawn from the network, four cells in ten not seen."""
    import numpy as np

    from dagmodels.forms.tables import tables

    net, rng = tables(g.dag), np.random.default_rng(1)
    codes, found = {}, {}
    for name in g.dag.order:
        i = net.index[name]
        rows = net.known[i][tuple(codes[p] for p in net.parents[i])]
        below = np.cumsum(np.broadcast_to(rows, (ROWS, rows.shape[-1])), axis=1)[:, :-1]
        codes[i] = (rng.random((ROWS, 1)) > below).sum(axis=1)
        found[name] = np.array(net.states[i], dtype=object)[codes[i]]
        found[name][rng.random(ROWS) < 0.4] = None
    return found


def wide_text(nodes: int) -> str:
    """A network of as many nodes as win95pts has, with about as many numbers."""
    lines = ["network wide {", "}"]
    for i in range(nodes):
        lines += [f"variable node{i} {{", "  type discrete [ 2 ] { yes, no };", "}"]
    for i in range(nodes):
        parents = [f"node{j}" for j in (i // 2, i // 3, i // 5) if j < i]
        parents = list(dict.fromkeys(parents))
        if not parents:
            lines += [f"probability ( node{i} ) {{", "  table 0.25, 0.75;", "}"]
            continue
        lines.append(f"probability ( node{i} | {', '.join(parents)} ) {{")
        for k in range(2 ** len(parents)):
            states = ", ".join("yes" if k >> b & 1 else "no" for b in range(len(parents)))
            lines.append(f"  ({states}) {0.1 + 0.1 * k}, {0.9 - 0.1 * k};")
        lines.append("}")
    return "\n".join(lines) + "\n"
