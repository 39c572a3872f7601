"""States of what is hidden, drawn jointly given what is seen of each case."""

from __future__ import annotations

import numpy as np

from dagmodels.fits.network.conflict import impossible
from dagmodels.fits.network.engine import LANES, Network
from dagmodels.fits.network.evidence import Evidence, Longs


def drawn(net: Network, codes: Longs, rng: np.random.Generator) -> Longs:
    """Cases without gaps: exact and independent draws by the junction tree.

    codes : (cases, nodes of the network), -1 where nothing is seen.

    Raises FitError for a case that cannot be, and where the largest clique takes more memory than there is.
    """
    found = codes.copy()
    step = LANES if net.is_small else 1
    for first in range(0, len(codes), step):
        rows = [_evidence(r) for r in codes[first : first + step]]
        engine = net.engine(rows[0])
        cells = engine.entered(*engine.weights(rows))
        _, logs = engine.collected(cells)
        if (logs == -np.inf).any():
            impossible(net, rows[int(np.argmin(logs))])
        states = engine.drawn(cells, rng)
        for k, evidence in enumerate(rows):
            for node, at in engine.place.items():
                if node not in evidence.seen:
                    found[first + k, node] = states[at, k]
    return found


def _evidence(row: Longs) -> Evidence:
    return Evidence({i: c for i, c in enumerate(row.tolist()) if c >= 0}, {})


__all__ = ["drawn"]
