"""NPMLE(points): any distribution at all, by nonparametric maximum likelihood (Kiefer and Wolfowitz 1956)."""

from __future__ import annotations

from dagmodels.distributions._estimated import estimated
from dagmodels.distributions._family import Argument

FAMILY = estimated(
    name="NPMLE",
    parameters=(Argument("points", "count", default=300),),
    doc="Unknown law without any shape: weights on a grid of that many points.",
)
