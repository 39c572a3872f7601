"""Units of a density on a tape of several copies, as kernels take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape import Tape
from dagmodels.numerics.tiling import tiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ROOM = 1 << 14  # numbers of a workspace: more would leave the cache
MOST = 32  # copies


class Start(NamedTuple):
    """Where units' modes are looked for: begin + lean (y - base), (units, d) and (units, d, outer), each
    element with its scale `spread` (units, d)."""

    base: Floats
    begin: Floats
    lean: Floats
    spread: Floats

    @classmethod
    def unknown(cls, shape: tuple[int, int], outer: int) -> Start:
        """Zero, with scales of one."""
        return cls(np.zeros(outer), np.zeros(shape), np.zeros((*shape, outer)), np.ones(shape))


@dataclass(frozen=True, eq=False, slots=True)
class Copies:
    """Units by copies: see `numerics.unit_steps`, which has the sense of all fields.

    workspace : of one thread.
    """

    tape: Tape
    fixed: int
    still: int
    outer: Ints
    place: Ints
    entry: Ints
    owner: Ints
    times: Floats
    workspace: Floats

    @property
    def count(self) -> int:
        """How many points are served at once."""
        return len(self.outer)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The first arguments of kernels."""
        own = np.ascontiguousarray(self.place)  # gathered places may lie the other way
        places = (self.outer, own, self.entry, self.owner, self.times)
        return (*self.tape.operations, self.fixed, self.still, self.workspace, *places)

    def for_thread(self) -> Copies:
        """With a workspace of its own."""
        return Copies(
            *(self.tape, self.fixed, self.still, self.outer, self.place, self.entry, self.owner, self.times),
            workspace=self.tape.initial.copy(),
        )


def one_copy(tape: Tape, outer: Ints, place: Ints, entry: Ints, owner: Ints, times: Floats) -> Copies:
    """The tape as it is."""
    return Copies(tape, 0, 0, outer[None, :], place, entry, owner, times, tape.initial.copy())


def copies(one: Copies, count: int) -> Copies:
    """So many of one copy; where an operation cannot be repeated, that one."""
    found = tiled(one.tape, count, one.place[one.place >= 0])
    if found is None:
        return one
    every, n = np.arange(count), len(one.place)
    owner = np.where(one.owner >= 0, one.owner + n * every[:, None], -1 - every[:, None])
    place = np.where(one.place >= 0, found.places[:, one.place], -1)
    return Copies(
        found.tape,
        found.fixed,
        found.still,
        np.ascontiguousarray(found.places[:, one.outer[0]]),
        place.reshape(-1, one.place.shape[1]),
        found.places[:, one.entry].reshape(-1),
        owner.reshape(-1),
        np.tile(one.times, count),
        found.tape.initial.copy(),
    )


def fitting(one: Copies) -> int:
    """Copies that a cache holds."""
    return int(np.clip(ROOM // max(one.tape.initial.size, 1), 1, MOST))
