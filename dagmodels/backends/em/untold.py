"""Saying which estimates the data do not identify, in place of silence about missing standard errors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dagmodels.fits.unknowns import Unknowns

SHOWN = 8


def untold(unknowns: Unknowns, known: Iterable[str]) -> list[str]:
    """A sentence on estimates without a standard error; known : elements and nodes spoken of elsewhere."""
    lost, spoken = np.isnan(np.diag(unknowns.covariance)), set(known)
    flat = [
        name
        for name, node, none in zip(unknowns.names, unknowns.nodes, lost.tolist(), strict=True)
        if none and name not in spoken and node not in spoken
    ]
    if not flat:
        return []
    some = ", ".join(flat[:SHOWN]) + (", ..." if len(flat) > SHOWN else "")
    return [
        f"the data do not identify {some}: other numbers fit as well, so that these have no standard errors "
        "(as where two components agree: ask for fewer; or where only a sum counts: fix a part of it)"
    ]
