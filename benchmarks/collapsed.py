"""Collapsed posteriors: from binding to the mode, a point's density, and a draw of everything.

Peers draw all unknowns one after the other (or by NUTS): JAGS 4.3 needs 10.6 us for one sweep of rats, whose
draws are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.common import Row, median_cpu

DRAWS = 4000
BOUNDS = {"eight_schools": 5.0, "radon_mn_partially_pooled": 60.0, "rats": 30.0, "pump": 5.0}  # us a draw


def rows() -> Iterator[Row]:
    """Of the four models with bounds."""
    import dagmodels as dm
    from dagmodels.bind.bind import bind
    from dagmodels.forms.collapsed import Collapsed, collapsed
    from tests.forms.test_collapsed_references import TEXTS, reference

    for name, bound in BOUNDS.items():
        dag, data = dm.read(TEXTS[name]).dag, reference(name)[0]

        def begin(dag: Any = dag, data: Any = data) -> tuple[Collapsed, Any]:
            c = collapsed(bind(dag, data))
            return c, c.modes().best

        c, mode = begin()
        root = np.linalg.cholesky(2 * np.linalg.inv(mode.hessian))
        y = mode.x + np.random.default_rng(1).standard_normal((DRAWS, c.dimension)) @ root.T
        unknown = [n for n in c.drawn if n not in c.completion.nodes]
        yield Row(f"{name}: bind, collapse, mode", 1e3 * median_cpu(begin), None, "ms")
        yield Row(f"{name}: density at a point", _each(lambda c=c, y=y: c.log_densities(y)), None, "us")
        yield Row(
            f"{name}: draw of all unknowns",
            _each(lambda c=c, y=y, n=unknown: c.draws(y, np.random.default_rng(2), n)),
            bound,
            "us",
        )
        yield Row(
            f"{name}: and of deterministic nodes",
            _each(lambda c=c, y=y: c.draws(y, np.random.default_rng(2))),
            None,
            "us",
        )
    c = collapsed(bind(dm.read(TEXTS["eight_schools"]).dag, reference("eight_schools")[0]))
    grid = np.linspace(-4.0, 4.0, 1600)[:, None]
    yield Row("eight_schools: 1600 points", 1e3 * median_cpu(lambda: c.log_densities(grid)), 10.0, "ms")


def _each(call: Callable[[], Any]) -> float:
    """Microseconds for each of `DRAWS` points."""
    return 1e6 * median_cpu(call, 9) / DRAWS
