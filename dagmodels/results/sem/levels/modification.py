"""Modification indices of two levels: what each block would gain by a parameter more.

Score tests of single parameters, as of one level (`results.sem.modification`), from the expected information
of all clusters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.level_moments import LevelMoments, LevelStructure
from dagmodels.numerics.moments import COVARIANCE, PATH
from dagmodels.results.sem.modification import index_and_change, listed
from dagmodels.results.sem.naming import SemRow
from dagmodels.results.sem.positions import KINDS, variable_numbers

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.levels.fit import LevelFit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def level_modindices(
    fit: LevelFit, *, sort: bool = False, minimum_value: float = 0.0, maximum_number: int | None = None,
    op: str | Sequence[str] | None = None,
) -> DataFrame:  # fmt: skip
    """As `modification.modindices`, with a column `level`: of parameters that a level's block has not."""
    from pandas import DataFrame

    rows = [*_fixed_at_zero(fit), *_candidates(fit)]
    kind, group, first, second = _places(fit, rows)
    moments, jacobian = _extended(fit, kind, group, first, second)
    m = jacobian.shape[0]
    held = np.arange(m, m + len(rows))
    whole = 0.5 * moments.information()
    slopes = jacobian[:, (jacobian != 0).any(axis=0)]
    shared = whole[np.ix_(held, np.arange(m))] @ slopes
    inner = slopes.T @ whole[:m, :m] @ slopes
    index, change = index_and_change(0.5 * moments.gradient[held], np.diag(whole)[held], shared, inner)
    total = np.diagonal(fit.solution.at.moments.covariance, axis1=1, axis2=2)
    with np.errstate(all="ignore"):
        sd_i, sd_j = np.sqrt(total[group, first]), np.sqrt(total[group, second])
        scale = np.select([kind == PATH, kind == COVARIANCE], [sd_j / sd_i, 1 / (sd_i * sd_j)], 1 / sd_i)
    table = DataFrame({
        "lhs": [r.lhs for r in rows], "op": [r.op for r in rows], "rhs": [r.rhs for r in rows],
        "group": [fit.naming.groups[r.group] for r in rows],
        "level": [fit.naming.levels[r.level - 1] for r in rows], "mi": index, "epc": change,
        "sepc_all": change * scale,
    })  # fmt: skip
    return listed(table, fit.naming, sort, minimum_value, maximum_number, op)


def _fixed_at_zero(fit: LevelFit) -> Iterator[SemRow]:
    """The user's own rows that are held at zero."""
    for r in fit.naming.rows:
        if r.op in ("=~", "~", "~~") and not r.free and not r.exogenous and r.value == 0 and r.lhs != r.rhs:
            yield r


def _candidates(fit: LevelFit) -> Iterator[SemRow]:
    """Loadings, covariances and regressions that a level could have beyond its rows."""
    naming = fit.naming
    for group in range(len(naming.groups)):
        for level in range(1, len(naming.levels) + 1):
            rows = [r for r in naming.rows if r.group == group and r.level == level]
            taken = {pair for r in rows for pair in ((r.lhs, r.rhs), (r.rhs, r.lhs))}
            for lhs, op, rhs in _all(fit, rows, level):
                if (lhs, rhs) not in taken:
                    taken.update(((lhs, rhs), (rhs, lhs)))
                    yield SemRow(lhs, op, rhs, group, False, level=level)


def _all(fit: LevelFit, rows: Sequence[SemRow], level: int) -> Iterator[tuple[str, str, str]]:
    latent = [f for f in fit.naming.latent if any(r.op == "=~" and r.lhs == f for r in rows)]
    x = set(fit.naming.predictors[level - 1])
    named = {n for r in rows for n in (r.lhs, r.rhs)}
    own = [v for v in fit.naming.observed if v in named and v not in x]
    yield from ((f, "=~", v) for f in latent for v in own)
    yield from ((v, "~~", u) for i, v in enumerate(own) for u in own[i + 1 :])
    yield from ((f, "~~", h) for i, f in enumerate(latent) for h in latent[i + 1 :])
    ends = dict.fromkeys(r.lhs for r in rows if r.op == "~")
    yield from ((v, "~", u) for v in ends for u in fit.naming.observed if u in x)


def _places(fit: LevelFit, rows: Sequence[SemRow]) -> tuple[Ints, Ints, Ints, Ints]:
    """Kind, group and variables of rows, those of the level."""
    number, naming = variable_numbers(fit.solution.form), fit.naming

    def at(name: str, r: SemRow) -> int:
        return number[naming.node(name, r.level)]

    pairs = [(at(r.rhs, r), at(r.lhs, r)) if r.op == "=~" else (at(r.lhs, r), at(r.rhs, r)) for r in rows]
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    kind = np.array([KINDS[r.op] for r in rows], dtype=np.int64)
    return kind, np.array([r.group for r in rows], dtype=np.int64), first, second


def _extended(
    fit: LevelFit, kind: Ints, group: Ints, first: Ints, second: Ints
) -> tuple[LevelMoments, Floats]:
    """The fit's structure with further entries at zero, and the slopes of its own in the coordinates."""
    levels, at = fit.form.levels, fit.solution.at
    s = levels.base
    more = replace(
        s,
        kind=np.concatenate([s.kind, kind]),
        group=np.concatenate([s.group, group]),
        row=np.concatenate([s.row, first]),
        column=np.concatenate([s.column, second]),
    )
    values = np.concatenate([at.entries, np.zeros(kind.size)])
    return LevelMoments(LevelStructure(more, levels.inner, levels.parts), values), at.jacobian
