"""Two-stage least squares with model-implied instruments: estimates that one wrong equation cannot spoil.

Bollen (1996, Psychometrika 61:109), equations 12 to 16; the test of overidentification is Sargan's (1958,
Econometrica 26:393): n times the explained share of the residuals on all instruments.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.analysis.instruments import Equation, instruments
from dagmodels.errors import FitError
from dagmodels.graph import expression as ex
from dagmodels.results.sem.naming import SemRow

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.fit import SemFit


def miiv(fit: SemFit) -> DataFrame:
    """Estimates equation by equation: lhs, op, rhs, group, estimate, se, z, pvalue, ml, sargan, sargan_df,
    sargan_p, instruments.

    Of complete data; coefficients that the model fixes are taken to the left-hand side. Equal coefficients of
    several equations are estimated separately. `ml` is the fit's own estimate.
    """
    from pandas import DataFrame
    from scipy.special import ndtr

    form = fit.solution.form
    if not form.sample.complete:
        raise FitError("two-stage least squares needs complete rows; fit with missing='listwise'")
    if form.template.thresholds is not None:
        raise FitError(
            "two-stage least squares takes numbers, and there are ordered variables; "
            "fit without ordered= to treat them as numbers, or see modindices()"
        )
    rows = []
    names = [form.variables[v][0] for v in form.structure.observed]
    for g, label in enumerate(fit.naming.groups):
        (cell,) = np.flatnonzero(form.sample.group == g)
        cov, n = form.sample.cov[cell], float(form.sample.n[cell])
        for e in instruments(form.problem.graph):
            for row in _equation(e, cov, n, names):
                rows.append({**_named(fit, row.pop("parent"), e.name, g), "group": label, **row})
    table = DataFrame(rows, columns=[
        "lhs", "op", "rhs", "group", "estimate", "se", "ml", "sargan", "sargan_df", "sargan_p", "instruments",
    ])  # fmt: skip
    z = table["estimate"].astype(float) / table["se"].astype(float)
    table.insert(6, "z", z)
    table.insert(7, "pvalue", 2 * ndtr(-np.abs(z)))
    return table


def _equation(e: Equation, cov: Any, n: float, names: list[str]) -> list[dict[str, Any]]:
    """One equation from the covariance matrix of all observed variables."""
    from scipy.special import chdtrc

    at = {name: i for i, name in enumerate(names)}
    free = [t for t in e.terms if not isinstance(t[2], ex.Number)]
    if not free or len(e.instruments) < len(free):
        return []
    fixed = [t for t in e.terms if isinstance(t[2], ex.Number)]
    load = np.zeros(len(names))  # the response less what is fixed, as a combination of variables
    load[at[e.response]] = 1.0
    for _, stand, coefficient in fixed:
        assert isinstance(coefficient, ex.Number)
        load[at[stand]] -= float(coefficient.value)
    x = [at[stand] for _, stand, _ in free]
    v = [at[name] for name in e.instruments]
    inner = np.linalg.pinv(cov[np.ix_(v, v)], hermitian=True)
    vx, vy = cov[np.ix_(v, x)], cov[v] @ load
    bread = vx.T @ inner @ vx
    if np.linalg.matrix_rank(bread) < len(free):
        return []
    inverse = np.linalg.inv(bread)
    b = inverse @ (vx.T @ inner @ vy)
    rest = load.copy()
    np.add.at(rest, x, -b)
    variance = float(rest @ cov @ rest)
    se = np.sqrt(np.diag(inverse) * variance / n)
    vu = cov[v] @ rest
    df = len(v) - len(free)
    sargan = n * float(vu @ inner @ vu) / variance if df else 0.0
    p = float(chdtrc(df, sargan)) if df else math.nan
    return [
        {"parent": parent, "estimate": float(b[k]), "se": float(se[k]), "sargan": sargan if df else math.nan,
         "sargan_df": df, "sargan_p": p, "instruments": e.instruments}
        for k, (parent, _, _) in enumerate(free)
    ]  # fmt: skip


def _named(fit: SemFit, parent: str, child: str, g: int) -> dict[str, Any]:
    """lavaan's row of a path, with the fit's own estimate."""

    def is_it(r: SemRow) -> bool:
        pair = (r.lhs, r.rhs) if r.op == "=~" else (r.rhs, r.lhs)
        return r.op in ("=~", "~") and pair == (parent, child) and r.group == g

    k = next((k for k, r in enumerate(fit.naming.rows) if is_it(r)), None)
    if k is None:
        return {"lhs": child, "op": "~", "rhs": parent, "ml": math.nan}
    r = fit.naming.rows[k]
    return {"lhs": r.lhs, "op": r.op, "rhs": r.rhs, "ml": fit.estimate_columns["estimate"][k]}
