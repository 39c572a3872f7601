"""What standard errors are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, slots=True)
class Errors:
    """The inverse information, or a sandwich of `forms.casewise.KINDS`.

    clusters : codes of the rows for "robust.cluster".
    """

    kind: str = "standard"
    clusters: NDArray[Any] | None = None


STANDARD = Errors()
