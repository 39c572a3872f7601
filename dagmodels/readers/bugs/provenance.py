"""What a graph's elements are called in the BUGS text that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dagmodels.graph.dag import Dag
from dagmodels.readers.bugs.scope import Parts


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where nodes of a graph come from.

    nodes : the text's own nodes, in the order of their names; other nodes were made by the reader.
    pairs : for nodes on a nested plate, the indices of each element in the text.
    undefined : by node, the elements (flat places) that the text does not define.
    """

    nodes: tuple[str, ...]
    pairs: Mapping[str, tuple[tuple[int, int], ...]]
    undefined: Mapping[str, tuple[int, ...]]

    def element(self, node: str, places: tuple[int, ...]) -> str:
        """An element as BUGS prints it: `theta[3]`, `mu[2,5]`, counted from 1; `places` count from 0."""
        if node in self.pairs:
            places = tuple(k - 1 for k in self.pairs[node][places[0]])
        return f"{node}[{','.join(str(k + 1) for k in places)}]" if places else node


def provenance(parts: Parts, dag: Dag) -> Provenance:
    """The provenance of a graph."""
    own = tuple(sorted(n for n in dag.nodes if n in parts.names.relations))
    pairs: dict[str, tuple[tuple[int, int], ...]] = {}
    for name in own:
        if name in parts.spaces.pairs:
            table = parts.spaces.dims(name)[0].pairs
            assert table is not None
            pairs[name] = tuple((int(a), int(b)) for a, b in table)
    undefined = {n: tuple(np.flatnonzero(left).tolist()) for n, left in parts.undefined.items()}
    return Provenance(own, pairs, undefined)
