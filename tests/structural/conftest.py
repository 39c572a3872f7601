"""Rows that several files fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

ITEMS = [f"x{i}" for i in range(1, 10)]


@pytest.fixture(scope="module")
def pupils():
    """Nine tests of ability in two schools (Holzinger and Swineford 1939)."""
    return pd.read_csv("examples/abilities.csv")


@pytest.fixture(scope="module")
def thirds(pupils):
    """The same in three categories each."""
    return pupils.assign(
        **{v: np.searchsorted(np.quantile(pupils[v], [0.33, 0.67]), pupils[v]) + 1 for v in ITEMS}
    )
