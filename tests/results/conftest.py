"""A fit made by hand, for tests of what is done with fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dagmodels.readers import read
from dagmodels.results.fit import Fit

MODEL = """model made
plate g
plate r in g
a[g] ~ Normal(g0, tau)
observed y[r] ~ Normal(a[g], 1)
g0 ~ Flat()
parameter tau > 0
"""


def _made(**changes: Any) -> Fit:
    """A small fit with one variance at zero."""
    fields: dict[str, Any] = {
        "graph": read(MODEL),
        "backend": "laplace",
        "method": "exact restricted maximum likelihood (REML)",
        "exact": True,
        "converged": True,
        "message": "gradient and Hessian certified",
        "estimate_columns": {
            "name": ["g0", "tau"],
            "estimate": np.array([1.5, 0.0]),
            "se": np.array([0.25, np.nan]),
            "lower": np.array([1.01, np.nan]),
            "upper": np.array([1.99, np.nan]),
            "what": ["integrated", "maximised"],
        },
        "latent_columns": {"name": ["a[x]", "a[y]"], "estimate": [0.1, -0.1], "sd": [0.2, 0.2]},
        "log_likelihood": -100.0,
        "n_parameters": 3,
        "n_observations": 50,
        "measures": {"REML": 200.0},
        "diagnostics": {"gradient_norm": np.float64(2e-8), "evaluations": 7, "seconds": 0.004},
        "boundary": ("tau",),
        "covariance_names": ("g0",),
        "covariance_matrix": np.array([[0.0625]]),
    }
    fields.update(changes)
    return Fit(**fields)


@pytest.fixture
def made() -> Callable[..., Fit]:
    """`made(field=value)`: the small fit with these fields changed."""
    return _made
