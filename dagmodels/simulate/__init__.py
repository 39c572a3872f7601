"""Data drawn from a model: `simulate`, and what it returns."""

from __future__ import annotations

from dagmodels.simulate.again import Redraw
from dagmodels.simulate.ancestral import simulate
from dagmodels.simulate.simulated import Simulated

__all__ = ["Redraw", "Simulated", "simulate"]
