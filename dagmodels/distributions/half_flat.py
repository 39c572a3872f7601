"""HalfFlat(): the improper uniform law on the positive half-line."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions._family import Family, Support
from dagmodels.distributions._shared import NEVER
from dagmodels.errors import ModelError


def log_density(f: Any, x: Any) -> Any:
    return f.where(x >= 0, 0.0, NEVER)


def draw(rng: Any, size: Any = None) -> Any:
    raise ModelError(
        "HalfFlat() has no draws: it is not a distribution", hint="give a value or a proper prior"
    )


FAMILY = Family(
    name="HalfFlat",
    parameters=(),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    doc="Improper: constant density 1 on the positive half-line.",
)
