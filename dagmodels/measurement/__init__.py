"""Covariates measured with error: lines through points that err in both coordinates."""

from dagmodels.measurement.lines import deming, york

__all__ = ["deming", "york"]
