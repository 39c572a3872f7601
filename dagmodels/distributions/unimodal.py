"""Unimodal(mode, nullweight, points): an unknown law with one mode (Stephens 2017, Biostatistics 18:275).

A nullweight of 10 counts nine elements more at the mode than there are, so that what data cannot tell from a
mass there is taken for one (as in ashr); with 1 it is maximum likelihood.
"""

from __future__ import annotations

from dagmodels.distributions._estimated import estimated
from dagmodels.distributions._family import Argument

FAMILY = estimated(
    name="Unimodal",
    parameters=(
        Argument("mode", default=0.0),
        Argument("nullweight", "positive", default=10.0),
        Argument("points", "count", default=300),
    ),
    doc="Unknown law that falls on both sides of its mode, where it may have a mass.",
)
