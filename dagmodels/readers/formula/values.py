"""What a variable of a formula holds, row by row: numbers, several columns, or levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """One number a row; booleans where a comparison was made."""

    values: NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Several numbers a row, such as a spline's; `suffixes` end the names of the columns."""

    columns: tuple[Floats, ...]
    suffixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """One level a row: `codes` into `labels`, which stand in order.

    contrasts : what codes the levels as numbers; see `contrasts.coding`.
    """

    codes: Codes
    labels: tuple[str, ...]
    contrasts: Any = "contr.treatment"


Value = Numbers | Basis | Levels
