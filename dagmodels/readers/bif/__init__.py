"""BIF, the interchange format of Bayesian networks: text to Dag.

Blocks of networks, variables and probabilities as Cozman's Interchange Format 0.15 has them (JavaBayes), and
as its later users write them: with or without commas, `|` and quotation marks.
"""

from __future__ import annotations

from dagmodels.readers.bif.network import from_bif

__all__ = ["from_bif"]
