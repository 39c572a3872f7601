"""The runs that tests compare: eight schools, by independent draws and by trajectories."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np

import dagmodels as dm
from dagmodels.errors import FitWarning
from dagmodels.results.draws.fit import DrawsFit

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "specs" / "eight_schools.dag"
TRAJECTORIES: dict[str, Any] = {"collapse": False, "warmup": 30}
WAYS: dict[str, dict[str, Any]] = {"independent": {}, "trajectories": TRAJECTORIES}


def run(seed: int = 1, **options: Any) -> DrawsFit:
    """Short runs: they need not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        return cast(DrawsFit, dm.read(MODEL).fit(method="gibbs", seed=seed, **options))


def same(a: DrawsFit, b: DrawsFit) -> bool:
    """Bit for bit, statistics too."""
    x, y = a.samples, b.samples
    alike = x.values.keys() == y.values.keys() and x.statistics.keys() == y.statistics.keys()
    return alike and all(
        np.array_equal(v, other[n])
        for own, other in ((x.values, y.values), (x.statistics, y.statistics))
        for n, v in own.items()
    )
