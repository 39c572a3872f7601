"""GModel(df, c0, points): a smooth unknown law, exp of a natural spline (Efron 2016, Biometrika 103:1)."""

from __future__ import annotations

from dagmodels.distributions._estimated import estimated
from dagmodels.distributions._family import Argument

FAMILY = estimated(
    name="GModel",
    parameters=(
        Argument("df", "count", default=5),
        Argument("c0", "nonnegative", default=1.0),
        Argument("points", "count", default=300),
    ),
    doc="Unknown smooth law: its logarithm is a natural spline with df coefficients, penalised by c0.",
)
