"""The table of a fit under lavaan's names: estimates, errors and standardised values, a row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.fit import Fit
from dagmodels.results.limits import wald
from dagmodels.results.sem.definitions import Definitions
from dagmodels.results.sem.naming import SemNaming, SemRow
from dagmodels.results.sem.positions import Positions
from dagmodels.results.sem.standardized import standardized

Floats = NDArray[np.float64]


def table_columns(
    inner: Fit, naming: SemNaming, at: Positions, covariance: Floats
) -> tuple[Mapping[str, Any], Floats]:
    """The table, and the sampling covariance of its rows."""
    from scipy.special import ndtr

    rows = naming.rows
    known = np.where(np.isnan(covariance), 0.0, covariance)
    total = at.jacobian @ known @ at.jacobian.T
    lost = (np.abs(at.jacobian[:, np.isnan(np.diag(covariance))]) > 0).any(axis=1)
    value, se = at.value.copy(), np.sqrt(np.maximum(np.diag(total), 0.0))
    se[lost] = np.nan
    se[[i for i, r in enumerate(rows) if not r.free]] = 0.0  # what the model leaves is no estimate
    raw = {name: i for i, name in enumerate(inner.estimate_columns["name"])}
    for i, r in enumerate(rows):
        if r.op == ":=" and r.node in raw:  # a constant is no estimate, see below
            place = raw[r.node]
            value[i] = inner.estimate_columns["estimate"][place]
            se[i] = inner.estimate_columns["se"][place]
    definitions = Definitions(naming, inner.graph)
    for place, number in zip(definitions.rows, definitions.at(value).tolist(), strict=True):
        if rows[place].node not in raw:
            value[place], se[place] = number, 0.0
    se[~np.isfinite(value)] = np.nan  # the delta method speaks of finite numbers alone
    with np.errstate(all="ignore"):
        z = np.where(se > 0, value / se, np.nan)
    lower, upper = wald(value, se)
    std_lv, _ = standardized(inner.moments, at, latent_only=True)  # type: ignore[arg-type]
    std_all, _ = standardized(inner.moments, at, latent_only=False)  # type: ignore[arg-type]
    if definitions.rows:
        for column in (std_lv, std_all):
            column[definitions.rows] = definitions.at(column)
    return {
        "name": [name_of(r, naming) for r in rows],
        "estimate": value.tolist(),
        "se": se.tolist(),
        "lower": lower.tolist(),
        "upper": upper.tolist(),
        "lhs": [r.lhs for r in rows],
        "op": [r.op for r in rows],
        "rhs": ["" if r.op == "~1" else r.rhs for r in rows],
        "group": [naming.groups[r.group] for r in rows],
        **levels_of(naming),
        "label": [r.label for r in rows],
        "z": z.tolist(),
        "pvalue": (2 * ndtr(-np.abs(z))).tolist(),
        "std_lv": std_lv.tolist(),
        "std_all": std_all.tolist(),
        "what": ["defined" if r.op == ":=" else "maximised" if r.free else "fixed" for r in rows],
    }, total


def undefined(columns: Mapping[str, Any]) -> list[str]:
    """Sentences on defined quantities without a finite value at the estimates."""
    told = {True: "infinite", False: "no number"}
    rows = zip(columns["name"], columns["op"], columns["estimate"], strict=True)
    return [
        f"'{name}' is {told[bool(np.isinf(value))]} at the estimates ({value:g}): look at its definition"
        for name, op, value in rows
        if op == ":=" and not np.isfinite(value)
    ]


def name_of(r: SemRow, naming: SemNaming) -> str:
    """lavaan's name of a coefficient: its label, or what the row says, with the group from the second on."""
    if r.op == ":=":
        return r.lhs
    plain = f"{r.lhs}~1" if r.op == "~1" else f"{r.lhs}{r.op}{r.rhs}"
    if r.label:
        return r.label
    group = f".g{r.group + 1}" if r.group else ""
    level = f".l{naming.levels[r.level - 1]}" if r.level > 1 else ""
    return f"{plain}{group}{level}"


def levels_of(naming: SemNaming) -> dict[str, list[str]]:
    """The column of the rows' levels, where there are some; "" for what is at none."""
    if not naming.levels:
        return {}
    return {"level": [naming.levels[r.level - 1] if r.level else "" for r in naming.rows]}
