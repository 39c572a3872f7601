"""Score tests of equality constraints: what each costs, from the fit at hand.

With the gradient s and expected information I of all free rows as if none were equal, and N a basis of the
changes that the other constraints allow, the statistic is s'N (N'I N)^-1 N's (Bentler and Chou 1993, Sage
Focus Editions 154:235); all constraints together give s'I^-1 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.results.sem.measures import upper_tail
from dagmodels.results.sem.written import derivatives, written

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]


def score_test(fit: SemFit) -> DataFrame:
    """One row a constraint, and `total` for all of them: lhs, op, rhs, chisq, df, pvalue."""
    from pandas import DataFrame

    naming = fit.naming
    if not naming.equalities:
        raise FitError(
            "score_test: no parameters are held equal in this model; modindices() tests those that are fixed "
            "or left out"
        )
    w = written(fit)
    free = np.array([n for n, i in enumerate(w.rows.tolist()) if naming.rows[i].free], dtype=np.int64)
    place = {int(w.rows[n]): m for m, n in enumerate(free.tolist())}
    used = [e for e in naming.equalities if all(i in place for i, _ in e.terms)]
    r = np.zeros((len(used), free.size))
    for q, e in enumerate(used):
        for i, coefficient in e.terms:
            r[q, place[i]] += coefficient
    found = derivatives(fit, w)
    information = found.block(free, free)
    d = 1.0 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    s, inner, r = found.gradient[free] * d, information * d[:, None] * d, r * d
    single = [_statistic(s, inner, np.delete(r, q, axis=0)) for q in range(len(used))]
    chisq = [*single, _statistic(s, inner, r[:0])]
    df = [*(1 for _ in used), int(np.linalg.matrix_rank(r))]
    return DataFrame({
        "lhs": [*(e.lhs for e in used), "total"], "op": [*("==" for _ in used), ""],
        "rhs": [*(e.rhs for e in used), ""],
        "meaning": [*(_meaning(fit, e.terms) for e in used), "all constraints released"],
        "chisq": chisq, "df": df, "pvalue": [upper_tail(x, k) for x, k in zip(chisq, df, strict=True)],
    })  # fmt: skip


def _statistic(s: Floats, information: Floats, kept: Floats) -> float:
    """With these constraints kept; changes without information, such as of scale, have no score either."""
    basis = np.eye(s.size)
    if len(kept):
        _, size, v = np.linalg.svd(kept)
        rank = int((size > 1e-10 * size.max(initial=1e-300)).sum())
        basis = v[rank:].T
    inner = basis.T @ information @ basis
    along = basis.T @ s
    return float(along @ np.linalg.pinv(inner, rcond=1e-9, hermitian=True) @ along)


def _meaning(fit: SemFit, terms: tuple[tuple[int, float], ...]) -> str:
    """The constraint in words of the model: `f=~x2 == f=~x2.g2`, or the rows that it ties."""
    from dagmodels.results.sem.naming import SemRow
    from dagmodels.results.sem.table import name_of

    def own(i: int) -> str:
        r = fit.naming.rows[i]
        return name_of(SemRow(r.lhs, r.op, r.rhs, r.group), fit.naming)

    if [c for _, c in terms] == [1.0, -1.0]:
        return " == ".join(own(i) for i, _ in terms)
    return ", ".join(own(i) for i, _ in terms)
