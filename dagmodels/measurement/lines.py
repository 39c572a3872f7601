"""`york` and `deming`: for people who only want the line."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.numerics import lines
from dagmodels.results.measurement.line import LineFit

Floats = NDArray[np.float64]
FUNCTIONAL = "functional, each true x is a constant of its own"


def york(
    x: ArrayLike, y: ArrayLike, sd_x: ArrayLike, sd_y: ArrayLike, correlation: ArrayLike = 0.0
) -> LineFit:
    """The line of least squares where each point's errors are known (York et al. 2004).

    Parameters
    ----------
    x, y : the observations, (n,), n >= 3.
    sd_x, sd_y : standard deviations of their errors, one for all or one a point; one of the two may be zero.
    correlation : of the two errors, one for all or one a point, between -1 and 1.

    Returns
    -------
    A `LineFit`. `measures` has chisq, df = n - 2, mswd = chisq/df, and standard errors times the square root
    of mswd (`se_intercept_scaled`, `se_slope_scaled`), which do without the scale of the errors.

    Raises
    ------
    ModelErrors : what is wrong with the columns, by row. FitError : no line is best.
    """
    columns = _columns({"x": x, "y": y, "sd_x": sd_x, "sd_y": sd_y, "correlation": correlation})
    _check_errors(columns)
    a, b, s, t, r = columns.values()
    _refuse_constant(a)
    with np.errstate(all="ignore"):
        found = lines.york(a, b, s, t, r)
    if not (np.isfinite(found.slope) and abs(found.score) < 1e-6):
        raise FitError(
            f"no slope was found to be best (its score is {found.score:.3g} standard errors): the line may "
            "be upright; exchange x and y"
        )
    df = a.size - 2
    mswd = found.chisq / df
    scaled = np.sqrt(found.covariance.diagonal() * mswd)
    measures = {"chisq": found.chisq, "df": float(df), "mswd": mswd}
    measures |= {"se_intercept_scaled": float(scaled[0]), "se_slope_scaled": float(scaled[1])}
    return LineFit(
        "York's line: weighted least squares in both coordinates",
        FUNCTIONAL,
        found.intercept,
        found.slope,
        found.covariance,
        "expected information at the adjusted points, errors taken as known",
        found.x,
        found.y,
        measures,
    )


def deming(x: ArrayLike, y: ArrayLike, variance_ratio: float = 1.0) -> LineFit:
    """The line where the errors of y have `variance_ratio` times the variance of those of x.

    Parameters
    ----------
    x, y : the observations, (n,), n >= 3.
    variance_ratio : var(error of y)/var(error of x), the same for all points; 1 is orthogonal regression.

    Returns
    -------
    A `LineFit` with standard errors by the jackknife (Linnet 1990). The line is the maximum likelihood under
    the functional and the structural reading alike; `measures` has both error variances (as n - 2 degrees of
    freedom give them, which is consistent; the functional likelihood's own are half of that).

    Raises
    ------
    ModelErrors : what is wrong with the columns or the ratio. FitError : no slope is preferred.
    """
    columns = _columns({"x": x, "y": y})
    a, b = columns.values()
    ratio = np.asarray(variance_ratio, dtype=float)
    if ratio.ndim or not np.isfinite(ratio) or ratio <= 0:
        hint = "give var(error of y)/var(error of x), a positive number; `york` takes errors point by point"
        raise_all([ModelError(f"variance_ratio is {variance_ratio!r}", hint=hint)], "the line")
    _refuse_constant(a)
    intercept, slope = lines.deming(a, b, float(ratio))
    if not np.isfinite(slope):
        raise FitError("x and y are uncorrelated and y scatters more: every line but an upright one is worse")
    left = np.array([lines.deming(np.delete(a, i), np.delete(b, i), float(ratio)) for i in range(a.size)])
    residual = b - intercept - slope * a
    share = slope / (ratio + slope**2)
    error_x = float(residual @ residual / (a.size - 2) / (ratio + slope**2))
    adjusted = a + share * residual
    return LineFit(
        f"Deming's line: least squares in both coordinates, variance ratio {float(ratio):g}",
        "functional or structural: both have this line",
        intercept,
        slope,
        lines.jackknife(left),
        "jackknife",
        adjusted,
        intercept + slope * adjusted,
        {"error_variance_x": error_x, "error_variance_y": float(ratio) * error_x, "df": float(a.size - 2)},
    )


def _columns(given: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """Columns as arrays of one length; all that is wrong with them at once."""
    faults: list[ModelError] = []
    found: dict[str, Floats] = {}
    for name, value in given.items():
        try:
            found[name] = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            faults.append(ModelError(f"'{name}' is not numbers", node=name, hint="give a column of numbers"))
    raise_all(faults, "the line")
    n = found["x"].size
    for name, value in found.items():
        if (
            value.ndim > 1
            or (value.ndim == 1 and value.size != n)
            or (value.ndim == 0 and name in ("x", "y"))
        ):
            told = f"'{name}' has the shape {value.shape}, and x has {n} points"
            faults.append(ModelError(told, node=name, hint="give one number a point"))
            continue
        found[name] = np.broadcast_to(value, (n,)).copy()
        bad = np.flatnonzero(~np.isfinite(found[name]))
        if bad.size:
            told = f"'{name}' has no finite value at position{'s' * (bad.size > 1)} {_listed(bad)}"
            faults.append(ModelError(told, node=name, hint="leave these points out"))
    if not faults and n < 3:
        faults.append(ModelError(f"there are {n} points", hint="a line and its errors need three"))
    raise_all(faults, "the line")
    return found


def _check_errors(columns: Mapping[str, Floats]) -> None:
    faults: list[ModelError] = []
    s, t, r = columns["sd_x"], columns["sd_y"], columns["correlation"]
    for name, value in (("sd_x", s), ("sd_y", t)):
        if (bad := np.flatnonzero(value < 0)).size:
            told = f"'{name}' is negative at position{'s' * (bad.size > 1)} {_listed(bad)}"
            faults.append(ModelError(told, node=name, hint="give standard deviations"))
    if (bad := np.flatnonzero((s == 0) & (t == 0))).size:
        told = f"'sd_x' and 'sd_y' are both zero at position{'s' * (bad.size > 1)} {_listed(bad)}"
        faults.append(ModelError(told, node="sd_x", hint="a point without any error has no finite weight"))
    if (bad := np.flatnonzero(np.abs(r) >= 1)).size:
        told = f"'correlation' is not between -1 and 1 at position{'s' * (bad.size > 1)} {_listed(bad)}"
        faults.append(ModelError(told, node="correlation", hint="give correlations of the two errors"))
    raise_all(faults, "the line")


def _refuse_constant(x: Floats) -> None:
    if np.ptp(x) == 0:
        fault = ModelError("all values of 'x' are equal", node="x", hint="no line can be told from one x")
        raise_all([fault], "the line")


def _listed(places: NDArray[np.intp]) -> str:
    more = f" and {places.size - 5} more" if places.size > 5 else ""
    return ", ".join(map(str, places[:5])) + more


__all__ = ["deming", "york"]
