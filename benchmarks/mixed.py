"""Large linear mixed models: whole calls from formula and frame to summary, data in memory.

Peers (CPU seconds of one thread): lme4 1.1-31 with OpenBLAS and without its derivative check, mixedlm 1.3.0
and gpboost 1.8.0 with their imports; lme-python 0.2.7 was stopped at 116 s. The simulated designs were
too large for the time there was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.common import ROOT, Row, median_cpu, peak_of

if TYPE_CHECKING:
    import pandas as pd


def insteval() -> tuple[str, pd.DataFrame]:
    """Ratings of lecturers by students."""
    import pandas as pd

    frame = pd.read_csv(ROOT / "tests" / "references" / "insteval" / "data.csv.gz")
    return "y ~ service + (1 | s) + (1 | d) + (1 | dept)", frame


def crossed() -> tuple[str, pd.DataFrame]:
    """Ratings of 3,500 films by 6,000 people, drawn at random."""
    import pandas as pd

    rng = np.random.default_rng(20260101)
    n, users, films = 200_000, 6_000, 3_500
    u, m = rng.integers(0, users, n), rng.integers(0, films, n)
    u[:users], m[:films] = np.arange(users), np.arange(films)
    y = 3.5 + 0.5 * rng.normal(size=users)[u] + 0.6 * rng.normal(size=films)[m] + 0.9 * rng.normal(size=n)
    return "y ~ 1 + (1 | u) + (1 | m)", pd.DataFrame({"y": y, "u": u, "m": m})


def nested() -> tuple[str, pd.DataFrame]:
    """A million pupils in 100,000 classes in 1,000 schools, intercepts and slopes at both levels."""
    import pandas as pd

    rng = np.random.default_rng(20260101)
    n, classes, schools = 1_000_000, 100_000, 1_000
    c = np.arange(n) % classes
    s = c % schools
    x = rng.normal(size=n)
    y = 1 + 0.5 * x + 0.4 * rng.normal(size=schools)[s] + 0.3 * rng.normal(size=schools)[s] * x
    y += 0.6 * rng.normal(size=classes)[c] + 0.2 * rng.normal(size=classes)[c] * x + 0.8 * rng.normal(size=n)
    return "y ~ x + (x | school/form)", pd.DataFrame({"y": y, "x": x, "school": s, "form": c})


CASES = (
    (
        "InstEval, 73,421 rows, 2,972 x 1,128 x 14",
        insteval,
        3,
        0.9,
        "lme4 4.8 s, mixedlm 3.7 s, gpboost 8.5 s",
    ),
    ("200,000 rows, 6,000 x 3,500 crossed", crossed, 1, 15.0, ""),
    ("1,000,000 rows, slopes in 100,000 of 1,000 groups", nested, 1, 10.0, ""),
)


def rows() -> Iterator[Row]:
    import dagmodels as dm

    small = dm.lmer("y ~ 1 + (1 | g)", {"y": [1.0, 2.0, 4.0, 3.0, 7.0, 6.0], "g": [1, 1, 2, 2, 3, 3]})
    small.summary()
    for name, make, repeats, bound, peer in CASES:
        formula, frame = make()

        def call(formula: str = formula, frame: pd.DataFrame = frame) -> None:
            fit = dm.lmer(formula, frame)
            if not fit.converged:
                raise RuntimeError(f"{formula}: {fit.message}")
            fit.summary()

        warm = int(repeats > 1)
        yield Row(f"REML, {name}", median_cpu(call, repeats=repeats, warm=warm), bound, "s", peer)
    script = (
        "import dagmodels as dm; from benchmarks.mixed import crossed; print(dm.lmer(*crossed()).summary())"
    )
    yield Row("memory of a process, 6,000 x 3,500 crossed", peak_of(script), 2.0, "GiB")
