"""Covariates measured with error: lines through points that err in both coordinates, what their errors did to
a fit, and classical estimators beside it. Names are loaded when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagmodels.measurement.lines import deming, york
    from dagmodels.measurement.opinions import second_opinions

_HOMES = {"deming": "lines", "york": "lines", "second_opinions": "opinions"}

__all__ = ["deming", "second_opinions", "york"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dagmodels.measurement' has no attribute '{name}'")
    found = getattr(import_module(f"dagmodels.measurement.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
