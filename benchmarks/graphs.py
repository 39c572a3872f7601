"""Building and checking a graph of 2,000 nodes. `benchmarks/build_graph.py` shows the steps."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.build_graph import NODES, text
from benchmarks.common import Row, median_cpu


def rows() -> Iterator[Row]:
    import dagmodels as dm

    source = text()

    def whole() -> None:
        graph = dm.read(source)
        assert len(graph.dag.nodes) == NODES

    graph = dm.read(source)
    yield Row(f"read and build a graph of {NODES:,} nodes", median_cpu(whole, repeats=3, warm=1), 1.0)
    yield Row(f"g.check() of {NODES:,} nodes", median_cpu(graph.check, repeats=3, warm=1), 1.0)
