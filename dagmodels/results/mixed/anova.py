"""Analysis of variance: Wald tests of the terms of the fixed part."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.hypotheses import conditional, hypotheses
from dagmodels.results.mixed.variances import fixed_matrix, seen

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.naming import FixedTerm, Floats

KINDS = {"1": "I", "2": "II", "3": "III", "I": "I", "II": "II", "III": "III"}


def anova(fit: MixedFit, type: Any, ddf: str | None) -> DataFrame:
    """See `MixedFit.anova`."""
    kind = KINDS.get(str(type).strip().upper())
    linear = fit.naming.call == "lmer"
    if kind is None or (kind == "I" and not linear):
        told = f"type={type!r} is unknown" if kind is None else "type I is for fits of lmer"
        hint = "'I', 'II' or 'III'" if kind is None else "take type 'II' or 'III', or compare two fits"
        raise_all([ModelError(told, hint=hint)], "the analysis of variance")
    return _f_table(fit, kind or "III", ddf) if linear else _chisq_table(fit, kind or "III")


def contrasts_of_terms(fit: MixedFit, kind: str) -> list[tuple[str, Floats]]:
    """For each term that has coefficients its contrasts, by the rows that have a response."""
    rows = seen(fit)
    terms = [_cut(t, rows) for t in fit.design.fixed_terms()]
    if kind == "II" and fit.naming.call == "glmer":
        found = [conditional(fit.judge(None).covariance, t, terms) for t in terms]
    else:
        found = hypotheses(kind, fixed_matrix(fit)[rows], terms)
    return [(t.name, L) for t, L in zip(terms, found, strict=True) if t.places]


def _cut(term: FixedTerm, rows: Any) -> FixedTerm:
    from dataclasses import replace

    return replace(term, whole=term.whole[rows])


def _f_table(fit: MixedFit, kind: str, ddf: str | None) -> DataFrame:
    from pandas import DataFrame

    judge = fit.judge(ddf)
    table: dict[str, list[Any]] = {
        k: [] for k in ("Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "Pr(>F)")
    }
    names = []
    for name, contrasts in contrasts_of_terms(fit, kind):
        test = judge.f(contrasts)
        square = test.wald * fit.sigma**2
        names.append(name)
        cells = (square * test.df1, square, test.df1, test.df2, test.value, test.p)
        for column, cell in zip(table.values(), cells, strict=True):
            column.append(cell)
    if judge.name is None:
        del table["DenDF"], table["Pr(>F)"]
    frame = DataFrame(table, index=names)
    how = f" with {judge.name}'s method" if judge.name else ""
    frame.attrs["heading"] = f"Type {kind} Analysis of Variance Table{how}"
    return frame


def _chisq_table(fit: MixedFit, kind: str) -> DataFrame:
    from pandas import DataFrame
    from scipy import stats

    judge = fit.judge(None)
    rows, names = [], []
    for name, contrasts in contrasts_of_terms(fit, kind):
        test = judge.f(contrasts)
        chisq = test.value * test.df1
        names.append(name)
        rows.append(
            (chisq, test.df1, math.nan if math.isnan(chisq) else float(stats.chi2.sf(chisq, test.df1)))
        )
    frame = DataFrame(rows, index=names, columns=["Chisq", "Df", "Pr(>Chisq)"])
    frame.attrs["heading"] = f"Analysis of Deviance Table (Type {kind} Wald chi-square tests)"
    return frame
