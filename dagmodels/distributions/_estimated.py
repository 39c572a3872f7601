"""Families whose law is itself estimated from all elements of a node: no density, no draws before the fit."""

from __future__ import annotations

from typing import Any, NoReturn

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.errors import ModelError


def estimated(name: str, parameters: tuple[Argument, ...], doc: str) -> Family:
    """A family that says how much is assumed of an unknown law, and no more.

    Its density and its draws raise `ModelError` with what to do.
    """

    def log_density(f: Any, x: Any, *arguments: Any) -> NoReturn:
        raise ModelError(
            f"{name}() has no density: it is the law that a fit estimates",
            hint="method='em' estimates it; a density of your own needs a family such as Normal",
        )

    def draw(rng: Any, *arguments: Any, size: Any = None) -> NoReturn:
        raise ModelError(
            f"{name}() has no draws: it is the law that a fit estimates",
            hint="give values for the node (of a fit: fit.mixing.draw(n)), or write a family such as Normal",
        )

    return Family(name, parameters, Support("real"), log_density, draw, estimated=True, doc=doc)
