"""How far means of draws are from what they should be, in standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np

# |z| beyond 5.5 with 80 batches (t with 79 degrees of freedom): 4.6e-7 each.  The tests of this folder ask
# about a thousand times, so that one run in 2000 fails by chance.
FAR = 5.5


def independent_z(values: Any, expected: Any) -> Any:
    """(mean - expected)/standard error of independent rows."""
    values = np.asarray(values, dtype=float)
    return (values.mean(axis=0) - expected) / (values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def z(chains: Any, expected: Any, batches: int = 20) -> Any:
    """The same for chains (chain, draw, ...), by means of batches long enough to be nearly independent."""
    chains = np.asarray(chains, dtype=float)
    count = chains.shape[1] // batches
    means = chains[:, : count * batches].reshape(len(chains) * batches, count, *chains.shape[2:]).mean(axis=1)
    return independent_z(means, expected)
