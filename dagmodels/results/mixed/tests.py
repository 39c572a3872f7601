"""Tests of single coefficients and of any contrasts of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.naming import Floats

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.mixed.ddf import Judge
    from dagmodels.results.mixed.fit import MixedFit


def p_value(statistic: float, df: float) -> float:
    """The two-sided probability under Student's law; Normal where df is infinite."""
    if math.isnan(statistic) or math.isnan(df):
        return math.nan
    if math.isinf(df):
        return math.erfc(abs(statistic) / math.sqrt(2))
    from scipy import stats

    return float(2 * stats.t.sf(abs(statistic), df))


def quantile(level: float, df: float) -> float:
    """The point that a statistic stays below in absolute value with this probability."""
    from scipy import stats

    if math.isnan(df):
        return math.nan
    return float(stats.norm.ppf(0.5 + level / 2) if math.isinf(df) else stats.t.ppf(0.5 + level / 2, df))


def contrast_columns(
    judge: Judge, beta: Floats, contrasts: Floats, null: float = 0.0
) -> dict[str, list[float]]:
    """Columns estimate, se, df, statistic and p of contrasts, (m, p); rows with NaN cannot be estimated."""
    table: dict[str, list[float]] = {k: [] for k in ("estimate", "se", "df", "statistic", "p")}
    for row in contrasts:
        known = not np.isnan(row).any()
        estimate = float(row @ beta) if known else math.nan
        variance = float(row @ judge.covariance @ row) if known else math.nan
        se = math.sqrt(variance) if variance >= 0 else math.nan
        df = judge.df(row) if known and se > 0 else math.nan
        statistic = (estimate - null) / se if se > 0 else math.nan
        for key, value in zip(table, (estimate, se, df, statistic, p_value(statistic, df)), strict=True):
            table[key].append(value)
    return table


def tests_table(fit: MixedFit, ddf: str | None, contrasts: Any, names: Sequence[str] | None) -> DataFrame:
    """See `MixedFit.tests`."""
    from pandas import DataFrame

    count = len(fit.naming.coefficients)
    if contrasts is None:
        matrix, labels = np.eye(count), list(fit.naming.coefficients)
    else:
        matrix = as_contrasts(contrasts, count)
        labels = list(names) if names is not None else [str(i + 1) for i in range(matrix.shape[0])]
        if len(labels) != matrix.shape[0]:
            message = f"{len(labels)} names for {matrix.shape[0]} contrasts"
            raise_all([ModelError(message, hint="one name a row")], "tests")
    columns = contrast_columns(fit.judge(ddf), fit.beta, matrix)
    frame = DataFrame(columns, index=labels)
    frame.attrs["ddf"] = fit.judge(ddf).name
    return frame


def as_contrasts(given: Any, count: int) -> Floats:
    """Rows of numbers, one a coefficient.

    Raises
    ------
    ModelErrors : another shape.
    """
    matrix = np.atleast_2d(np.asarray(given, dtype=float))
    if matrix.ndim != 2 or matrix.shape[1] != count:
        message = f"the contrasts have shape {matrix.shape}, but there are {count} coefficients"
        raise_all([ModelError(message, hint="one column a coefficient, one row a contrast")], "tests")
    return matrix
