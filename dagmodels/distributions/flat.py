"""Flat(): the improper uniform law on the whole line."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions._family import Family, Support
from dagmodels.errors import ModelError


def log_density(f: Any, x: Any) -> Any:
    return 0 * x


def draw(rng: Any, size: Any = None) -> Any:
    raise ModelError("Flat() has no draws: it is not a distribution", hint="give a value or a proper prior")


FAMILY = Family(
    name="Flat",
    parameters=(),
    support=Support("real"),
    log_density=log_density,
    draw=draw,
    doc="Improper: constant density 1 on the whole line.",
)
