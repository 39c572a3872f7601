"""Estimated marginal means over a reference grid, and contrasts of them.

Searle, Speed and Milliken 1980, Amer. Statist. 34, 216-221; the grid's factors that are not asked for are
averaged with equal weights, as R's emmeans does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.expected import inverse_link as of_link
from dagmodels.results.mixed.naming import Floats
from dagmodels.results.mixed.tests import contrast_columns, quantile
from dagmodels.results.mixed.variances import seen

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.mixed.ddf import Judge
    from dagmodels.results.mixed.fit import MixedFit

ADJUSTMENTS = ("tukey", "holm", "bonferroni", "none")


@dataclass(frozen=True, slots=True, eq=False)
class MarginalMeans:
    """Estimated marginal means.

    over, by : the variables asked for; contrasts are made within each combination of the latter.
    cells : values of over and by, one tuple a mean. fixed : their contrasts of the coefficients.
    offset : added to every mean. level : of the intervals.
    """

    judge: Judge
    beta: Floats
    over: tuple[str, ...]
    by: tuple[str, ...]
    cells: tuple[tuple[Any, ...], ...]
    fixed: Floats
    offset: float = 0.0
    level: float = 0.95
    link: str = "identity"
    scale: str = "link"

    @property
    def table(self) -> DataFrame:
        """One row a mean: its values of the variables, emmean (response on the scale of responses), se, df,
        lower, upper. Means that the data cannot tell are NaN."""
        from pandas import DataFrame

        found = contrast_columns(self.judge, self.beta, self.fixed)
        estimate = np.array(found["estimate"]) + self.offset
        se, df = np.array(found["se"]), np.array(found["df"])
        half = se * np.array([quantile(self.level, v) for v in df])
        lower, upper, name = estimate - half, estimate + half, "emmean"
        if self.scale == "response":
            step = 1e-6
            slope = (of_link(self.link, estimate + step) - of_link(self.link, estimate - step)) / (2 * step)
            ends = of_link(self.link, lower), of_link(self.link, upper)
            lower, upper = np.minimum(*ends), np.maximum(*ends)
            estimate, se, name = of_link(self.link, estimate), np.abs(slope) * se, "response"
        return DataFrame(
            {**self._labels(range(len(self.cells))), name: estimate, "se": se, "df": df}
            | {"lower": lower, "upper": upper}
        )

    def _labels(self, rows: Sequence[int] | range) -> dict[str, list[Any]]:
        names = (*self.over, *self.by)
        return {name: [self.cells[i][j] for i in rows] for j, name in enumerate(names)}

    def contrasts(self, method: str = "pairwise", adjust: str | None = None, ref: Any = None) -> DataFrame:
        """Differences of means, on the scale of the link: contrast, estimate, se, df, statistic, p, lower,
        upper.

        Parameters
        ----------
        method : "pairwise", or "trt.vs.ctrl": each against `ref` (the first mean).
        adjust : p values and limits for as many comparisons as there are within a combination of `by`:
            "tukey" (the default of pairwise ones), "holm" (of others; its limits are Bonferroni's),
            "bonferroni" or "none".
        ref : the control's value, as `cells` have it.

        Raises
        ------
        ModelErrors : an unknown method, adjustment or control.
        """
        from pandas import DataFrame

        adjust = adjust or ("tukey" if method == "pairwise" else "holm")
        self._refuse(method, adjust)
        table: dict[str, list[Any]] = {}
        k = len(self.over)
        for by in dict.fromkeys(cell[k:] for cell in self.cells):
            rows = [i for i, cell in enumerate(self.cells) if cell[k:] == by]
            pairs = self._pairs(rows, method, ref)
            L = np.array([self.fixed[i] - self.fixed[j] for i, j in pairs]).reshape(-1, self.beta.size)
            found = contrast_columns(self.judge, self.beta, L)
            critical, p = _adjusted(
                adjust, found["statistic"], found["df"], found["p"], len(rows), self.level
            )
            half = [c * se for c, se in zip(critical, found["se"], strict=True)]
            part: dict[str, list[Any]] = {
                "contrast": [f"{self._name(i)} - {self._name(j)}" for i, j in pairs],
                **{name: [value] * len(pairs) for name, value in zip(self.by, by, strict=True)},
                **found,
                "p": p,
                "lower": [e - h for e, h in zip(found["estimate"], half, strict=True)],
                "upper": [e + h for e, h in zip(found["estimate"], half, strict=True)],
            }
            for key, values in part.items():
                table.setdefault(key, []).extend(values)
        frame = DataFrame(table)
        frame.attrs["adjust"] = adjust
        return frame

    def _name(self, i: int) -> str:
        return " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in self.cells[i][: len(self.over)])

    def _refuse(self, method: str, adjust: str) -> None:
        errors = []
        if method not in ("pairwise", "trt.vs.ctrl"):
            errors.append(ModelError(f"method={method!r} is unknown", hint="'pairwise' or 'trt.vs.ctrl'"))
        if adjust not in ADJUSTMENTS:
            errors.append(ModelError(f"adjust={adjust!r} is unknown", hint=", ".join(map(repr, ADJUSTMENTS))))
        elif adjust == "tukey" and method == "trt.vs.ctrl":
            told = "Tukey's adjustment is for all pairs, not for comparisons with a control"
            errors.append(ModelError(told, hint="adjust='holm'"))
        raise_all(errors, "the contrasts")

    def _pairs(self, rows: Sequence[int], method: str, ref: Any) -> list[tuple[int, int]]:
        if method == "pairwise":
            return list(combinations(rows, 2))
        at = rows[0]
        if ref is not None:
            wanted = ref if isinstance(ref, tuple) else (ref,)
            same = [
                i for i in rows if tuple(map(str, self.cells[i][: len(self.over)])) == tuple(map(str, wanted))
            ]
            if not same:
                hint = f"there are {', '.join(self._name(i) for i in rows[:8])}"
                raise_all([ModelError(f"there is no mean of {ref!r}", hint=hint)], "the contrasts")
            at = same[0]
        return [(i, at) for i in rows if i != at]

    def __str__(self) -> str:
        from dagmodels.results.tables import text_table

        how = f"degrees of freedom: {self.judge.name}" if self.judge.name else "large-sample"
        told = text_table({k: list(v) for k, v in self.table.items()})  # type: ignore[arg-type]
        return f"{told}\n{how}; {100 * self.level:g} % intervals"

    __repr__ = __str__


def _adjusted(
    adjust: str, statistic: list[float], df: list[float], p: list[float], means: int, level: float
) -> tuple[list[float], list[float]]:
    """Critical values for limits, and p values, of a family of comparisons."""
    from scipy import stats

    m = len(p)
    if adjust == "none" or not m:
        return [quantile(level, v) for v in df], p
    if adjust == "tukey":
        law = stats.studentized_range
        root = math.sqrt(2)
        told = [float(law.sf(abs(t) * root, means, v)) for t, v in zip(statistic, df, strict=True)]
        known = {v: float(law.ppf(level, means, v)) / root for v in set(df) if not math.isnan(v)}
        return [known.get(v, math.nan) for v in df], told
    critical = [quantile(1 - (1 - level) / m, v) for v in df]
    if adjust == "bonferroni":
        return critical, [min(1.0, m * v) for v in p]
    order = np.argsort(p)
    raised = np.array(p)[order] * (m - np.arange(m))
    found = np.empty(m)
    found[order] = np.minimum(1.0, np.maximum.accumulate(raised))
    return critical, found.tolist()


def emmeans(
    fit: MixedFit,
    over: str | Sequence[str],
    at: Mapping[str, Any] | None,
    by: str | Sequence[str] | None,
    ddf: str | None,
    level: float,
    type: str,
) -> MarginalMeans:
    """See `MixedFit.emmeans`."""
    over = (over,) if isinstance(over, str) else tuple(over)
    by = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    rows = seen(fit)
    grid = fit.design.grid(at or {}, rows)
    errors = []
    if fit.naming.levels:
        told = "marginal means of grades have no scale of their own"
        errors.append(ModelError(told, hint="predict() gives the probability of each grade"))
    elif type == "response" and (fit.naming.of_kind("zi") or fit.naming.family.startswith("truncated")):
        told = "expected responses hang on the zeros too, which marginal means leave out"
        errors.append(ModelError(told, hint="type='link', or predict() for new rows"))
    for name in (*over, *by):
        if name not in grid.levels:
            hint = f"there are {', '.join(grid.levels) or 'none'}"
            errors.append(ModelError(f"'{name}' is no variable of the fixed part", node=name, hint=hint))
    if type not in ("link", "response"):
        errors.append(ModelError(f"type={type!r} is unknown", hint="'link' or 'response'"))
    if not 0 < level < 1:
        errors.append(ModelError(f"level={level!r} is no probability", hint="such as 0.95"))
    raise_all(errors, "the marginal means")
    names = list(grid.levels)
    shape = [len(v) for v in grid.levels.values()]
    wanted = [*over, *by]
    others = tuple(i for i, name in enumerate(names) if name not in wanted)
    cube = grid.fixed.reshape(*shape, -1).mean(axis=others)
    left = [name for name in names if name in wanted]
    # the first of `over` varies fastest, as in R
    slow = [*reversed(by), *reversed(over)]
    cube = np.transpose(cube, [*(left.index(name) for name in slow), len(left)])
    sizes = [len(grid.levels[name]) for name in slow]
    cells = []
    for index in np.ndindex(*sizes):
        value = {name: grid.levels[name][k] for name, k in zip(slow, index, strict=True)}
        cells.append(tuple(value[name] for name in wanted))
    offset = 0.0 if fit.rows.offset is None else float(fit.rows.offset[rows].mean())
    return MarginalMeans(
        fit.judge(ddf), fit.beta, over, by, tuple(cells), cube.reshape(len(cells), -1), offset, level,
        fit.naming.link, type,
    )  # fmt: skip
