"""What affine numbers are affine in, and the bindings of plates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

Element = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Shock:
    """Member `member` of the zero-mean Gaussian vector number `group`."""

    group: int
    member: int


@dataclass(frozen=True, slots=True)
class Free:
    """A coefficient without a proper prior; kind is "parameter" or "flat"."""

    name: str
    codes: tuple[int, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Env:
    """What is bound: the element of each plate; and the plates that a matrix function leaves whole."""

    codes: Mapping[str, int]
    whole: tuple[str, ...] = ()

    def without(self, plates: tuple[str, ...]) -> Env:
        """The same with some plates whole again."""
        return replace(self, codes={p: c for p, c in self.codes.items() if p not in plates})
