"""What draws: a route holds one density, and makes the draws of one chain, a unit of work at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Draws of one unit of work.

    values : by node, (draws, *plates). statistics : what is known of each draw, (draws): `lp`,
    `acceptance_rate`, `diverging`, ...
    """

    values: Arrays
    statistics: Arrays = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """How many."""
        return len(next(iter((*self.values.values(), *self.statistics.values()))))

    def rows(self, which: slice) -> Part:
        """Some of the draws, as views."""
        values = {n: v[which] for n, v in self.values.items()}
        return Part(values, {n: v[which] for n, v in self.statistics.items()})

    def copy(self) -> Part:
        """With arrays of its own."""
        values = {n: v.copy() for n, v in self.values.items()}
        return Part(values, {n: v.copy() for n, v in self.statistics.items()})


@runtime_checkable
class Telling(Protocol):
    """A route that knows how nodes are drawn."""

    def updates(self, statistics: Mapping[str, Any]) -> dict[str, str]:
        """For each node what draws it and how that went, in words."""
        ...

    def blamed(self, statistics: Mapping[str, Any]) -> dict[str, int]:
        """Divergences by node."""
        ...


@runtime_checkable
class Learning(Protocol):
    """A route whose chains choose units in warm-up; of the states after it:"""

    def learned(self, states: Sequence[Any]) -> tuple[str, ...]:
        """Sentences: in which units nodes moved, and why."""
        ...

    def standard(self, states: Sequence[Any]) -> tuple[str, ...]:
        """Nodes with elements that moved in standard units."""
        ...


class Route(Protocol):
    """One way of drawing.

    method : in a few words. because : sentences: why this way. warmup : draws a chain before the first that
    counts, 0 where none are needed. unit : draws of a unit of work.
    A route whose draws do not hang on one another may also say `independent = True`: then neither R-hat nor
    effective sizes decide. One whose trajectories move some unknowns only (the others are integrated out)
    says which as `moved`.
    """

    @property
    def method(self) -> str: ...
    @property
    def because(self) -> tuple[str, ...]: ...
    @property
    def warmup(self) -> int: ...
    @property
    def unit(self) -> int: ...

    def begin(self, rng: np.random.Generator, chain: int) -> Any:
        """The state of a chain after its warm-up: everything that later draws hang on, and nothing shared."""
        ...

    def draw(self, state: Any, rng: np.random.Generator, count: int) -> tuple[Any, Part]:
        """So many further draws, and the state after them."""
        ...
