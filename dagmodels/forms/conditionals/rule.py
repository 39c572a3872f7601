"""What a rule is: it recognises a class of elements, and says what draws them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.gaussian import Auxiliary
from dagmodels.forms.conditionals.target import Target

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


Draw = Callable[[tuple[Floats, ...], Floats, np.random.Generator], Floats]
"""Of what the registers hold, the slots' present values and random numbers: new values. Chains call it from
several threads."""


@dataclass(frozen=True, eq=False, slots=True)
class Update:
    """How a class is drawn.

    node : whose elements. slots : where the draws go, as the drawing code orders them.
    draw : the drawing code, a key of `sweep_steps.CODES`. count : draws of it.
    registers : its parameters, each of one entry or one a draw. repeated : they are computed at trial
    values of the slots, again and again, and not once an update.
    nodes : all of them, where there are several. pattern : of what is eliminated, row and column of each
    number; the last column is that of linear terms.
    statistics : names and places of numbers about the draw, which are kept beside it: the "evaluations" of a
    density, "acceptance_rate", "diverging".
    seldom : a second update, which a sweep may do without.
    function : what draws, where the code is "python". needs : auxiliary variables given which it holds.
    why : in words. extra : a whole number, and numbers : others, that the code needs and
    learns; updates with the same array share it.
    """

    node: str
    slots: Ints
    draw: str
    count: int
    registers: tuple[int, ...]
    why: str
    repeated: bool = False
    extra: int = 0
    numbers: Floats | None = None
    needs: tuple[Auxiliary, ...] = ()
    nodes: tuple[str, ...] = ()
    pattern: tuple[Ints, Ints] | None = None
    function: Draw | None = None
    statistics: tuple[tuple[str, int], ...] = ()
    seldom: bool = False

    @property
    def every(self) -> tuple[str, ...]:
        """All nodes that it draws."""
        return self.nodes or (self.node,)


class Rule(Protocol):
    """One way of drawing: a module or an object. `name` is what plans call it."""

    name: str

    def recognise(self, board: Board, target: Target) -> Update | str:
        """The update, or a sentence why the rule does not apply."""
        ...
