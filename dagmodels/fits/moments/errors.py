"""What standard errors are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, slots=True)
class Errors:
    """The inverse information, "conditional", or a sandwich of `forms.casewise.meat`.

    clusters : codes of the rows for "robust.cluster".
    profiled : nodes that the field form would have profiled. Where they are named, expected values count
        these alone as uncertain, as there; errors that are "conditional" are given all other unknowns.
    """

    kind: str = "standard"
    clusters: NDArray[Any] | None = None
    profiled: tuple[str, ...] = ()


STANDARD = Errors()
