"""A fitted structural equation model of two levels under lavaan's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np

from dagmodels.errors import FitError
from dagmodels.forms.levels import LevelsForm
from dagmodels.results.fit import Fit
from dagmodels.results.sem.fit import SemFit, fields_of
from dagmodels.results.sem.levels.measures import (
    LevelComparison,
    compare_levels,
    correlation,
    implied_levels,
    level_measures,
)
from dagmodels.results.sem.levels.scaled import level_scaled
from dagmodels.results.sem.naming import SemNaming
from dagmodels.results.sem.positions import positions
from dagmodels.results.sem.scaled import scaled_measures
from dagmodels.results.sem.table import table_columns

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from dagmodels.results.sem.scores import GivenRows

SLACK = 1e-6  # of minus twice a log likelihood, by which a model may seem to exceed the unrestricted one
INSTEAD = {
    "score_test": "fits with and without the equality compare by lr_test",
    "predict": "predict_factors gives latent values; dm.lmer predicts single outcomes of clustered rows",
    "local_tests": "residuals('cor') shows which moments the model misses at each level",
    "miiv": "fit one level by dm.sem(..., cluster=), whose equations have instruments",
}
TYPES = ("raw", "cor", "cor_bollen", "cor_bentler")


@dataclass(frozen=True, eq=False, repr=False)
class LevelFit(SemFit):
    """A fit of two levels; `estimates` says the level of each row.

    cluster : the column of clusters.
    """

    cluster: str = field(default="")

    @property
    def form(self) -> LevelsForm:
        """The form that was fitted."""
        return cast(LevelsForm, self.solution.form)

    @property
    def levels(self) -> LevelComparison:
        """The model between its neighbours."""
        return cast(LevelComparison, self.comparison)

    def icc(self) -> Series[float]:
        """Intraclass correlations: the share of each variable's variance that lies between clusters, without
        any restriction; zero where the model has none there. A frame where there are several groups."""
        from pandas import DataFrame, Series

        free, form = self.levels.unrestricted, self.form
        names, inner = np.array(self._names()), form.inner
        within = np.diagonal(free.within, axis1=1, axis2=2)
        between = np.zeros((len(within), names.size))
        between[:, form.above] = np.diagonal(free.between, axis1=1, axis2=2)
        share = between[:, inner] / (between[:, inner] + within)
        index = names[inner].tolist()
        if len(self.naming.groups) == 1:
            return Series(share[0], index=index)
        return DataFrame(share.T, index=index, columns=list(self.naming.groups))  # type: ignore[return-value]

    def r2(self) -> Any:
        """Explained share of each endogenous variable's variance at each level: a frame with one column a
        level (and group), nan where a variable is not explained there."""
        from pandas import DataFrame

        moments, at = self.solution.at.moments, self.at
        s = moments.structure
        total = np.diagonal(moments.covariance, axis1=1, axis2=2)
        _, p, _ = s.filled(self.solution.at.entries)
        own = np.diagonal(p, axis1=1, axis2=2)
        found: dict[Any, dict[str, float]] = {}
        several = len(self.naming.groups) > 1
        for i, r in enumerate(self.naming.rows):
            if r.op in ("=~", "~"):
                v = int(at.row[i])
                level = self.naming.level_titles[r.level - 1]
                key = (self.naming.groups[r.group], level) if several else level
                name = r.rhs if r.op == "=~" else r.lhs
                found.setdefault(key, {})[name] = float(1 - own[r.group, v] / total[r.group, v])
        return DataFrame(found)

    def predict_factors(
        self, new: Any = None, method: str = "regression", se: bool = False, level: int = 1
    ) -> Any:
        """Factor scores of a level: one row a row of the data (1), under its index, or a cluster (2).

        new : rows of other clusters, with the column of clusters; None for the rows fitted.
        method : "regression" alone: the means of latent variables given all data of their cluster.
        se : True gives the pair (scores, standard errors), the parameters taken as known.
        """
        from dagmodels.results.sem.levels.scores import level_scores

        if method.lower() not in ("regression", "ebm"):
            raise FitError(f"method={method!r}: models of two levels have 'regression'")
        return level_scores(self, new, level, se)

    def fitted(self) -> dict[str, Any]:
        """Moments that the model implies: `cov` and `mean` by level, and by group of several. Variables of
        both levels have their mean between clusters."""
        within, between, mean = implied_levels(self.solution)
        return self._shown(within, between, mean)

    def residuals(self, type: str = "raw") -> dict[str, Any]:
        """Unrestricted moments less those implied, as `fitted` gives them.

        type : "raw"; "cor" (each of the two scaled by its own standard deviations) or "cor_bentler" (both by
            those of the unrestricted moments).
        """
        kind = type.replace(".", "_")
        if kind not in TYPES:
            raise FitError(f"type={type!r}: models of two levels have {', '.join(map(repr, TYPES))}")
        free, implied = self.levels.unrestricted, implied_levels(self.solution)
        parts = []
        for data, model in ((free.within, implied[0]), (free.between, implied[1])):
            each = []
            for s, m in zip(data, model, strict=True):
                d = np.sqrt(np.outer(np.diag(s), np.diag(s)))
                each.append(
                    s - m if kind == "raw" else (s - m) / d if kind == "cor_bentler"
                    else correlation(s) - correlation(m)
                )  # fmt: skip
            parts.append(np.array(each))
        mean = free.mean - implied[2]
        if kind != "raw":
            mean = mean / np.sqrt(self._variances())
        return self._shown(parts[0], parts[1], mean)

    def _variances(self) -> Any:
        """Unrestricted variances that means are scaled by: between clusters, where there are some."""
        free, form = self.levels.unrestricted, self.form
        found = np.empty_like(free.mean)
        found[:, form.inner] = np.diagonal(free.within, axis1=1, axis2=2)
        found[:, form.above] = np.diagonal(free.between, axis1=1, axis2=2)
        return found

    def _names(self) -> list[str]:
        form = self.form
        return [form.variables[v][0] for v in form.structure.observed.tolist()]

    def _shown(self, within: Any, between: Any, mean: Any) -> dict[str, Any]:
        from pandas import DataFrame, Series

        names, form = self._names(), self.form
        places = (np.flatnonzero(form.inner), np.flatnonzero(form.above))
        wanted = list(self.naming.observed)
        groups = []
        for g in range(len(self.naming.groups)):
            shown: dict[str, Any] = {}
            for at, cov, label, lower in zip(
                places, (within[g], between[g]), self.naming.level_titles, (True, False), strict=True
            ):
                own = [names[i] for i in at.tolist()]
                order = [n for n in wanted if n in own]
                level = mean[g, at] * ~form.split[at] if lower else mean[g, at]
                shown[label] = {
                    "cov": DataFrame(cov, index=own, columns=own).loc[order, order],
                    "mean": Series(level, index=own)[order],
                }
            groups.append(shown)
        return groups[0] if len(groups) == 1 else dict(zip(self.naming.groups, groups, strict=True))

    def _refused(self, what: str) -> NoReturn:
        raise FitError(f"{what}: not for models of two levels yet; {INSTEAD[what]}")

    def modindices(self, **options: Any) -> DataFrame:
        """Modification indices of loadings, covariances and regressions at each level, as for one level; a
        column says which."""
        from dagmodels.results.sem.levels.modification import level_modindices

        return level_modindices(self, **options)

    def score_test(self) -> DataFrame:
        """Not for two levels yet."""
        self._refused("score_test")

    def predict(self, new: Any = None, outcomes: Any = None, given: Any = None) -> DataFrame:
        """Not for two levels yet."""
        self._refused("predict")

    def reliability(self) -> DataFrame:
        """Alpha, omega and the average variance extracted of each latent variable at its level: of the units'
        own parts, and of clusters' parts (Geldhof, Preacher and Zyphur 2014)."""
        from dagmodels.results.sem.levels.reliability import level_reliability

        return level_reliability(self)

    def refitter(self) -> NoReturn:
        """Not for two levels: `bootstrap` refits to clusters drawn again."""
        raise FitError("refitter: models of two levels are refitted to clusters drawn again, by bootstrap()")

    def local_tests(self) -> DataFrame:
        """Not for two levels yet."""
        self._refused("local_tests")

    def miiv(self) -> DataFrame:
        """Not for two levels yet."""
        self._refused("miiv")


def level_fit(
    inner: Fit,
    naming: SemNaming,
    rows: Callable[[Any], GivenRows] | None,
    drawing: Callable[..., Path] | None,
    cluster: str,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> LevelFit:
    """A backend's fit of a lavaan graph of two levels -> the same under lavaan's names; see `sem_fit`."""
    solution = inner.moments
    assert solution is not None
    at = positions(solution, naming)
    compared = compare_levels(solution, naming.predictors)
    columns, total = table_columns(inner, naming, at, inner.coordinate_covariance)
    found, scaled = level_measures(solution, compared), None
    if naming.choice.scaled:
        with np.errstate(all="ignore"):
            scaled = level_scaled(solution, compared, observed=naming.information == "observed")
        found.update(scaled_measures(compared, scaled))
    doubts = _doubts(naming, compared)
    own = fields_of(inner, naming, columns, total, compared, found, more, doubts)
    return LevelFit(**own, rows=rows, drawing=drawing, scaled=scaled, cluster=cluster)


def _doubts(naming: SemNaming, c: LevelComparison) -> list[str]:
    """What a reader should know of the comparison and the clusters."""
    found = []
    free = {(r.node, r.label) for r in naming.rows if r.free and r.level == 2 and r.op != ":="}
    if c.clusters.sum() <= len(free):
        found.append(
            f"there are {c.clusters.sum():.0f} clusters for {len(free)} parameters between them: their "
            "standard errors say little; take a smaller model at level 2"
        )
    if c.excess > SLACK:
        found.append(
            "the model fits better than the best covariance matrices at both levels, by variances that are "
            "negative: its chi-square is no test; fix them at zero"
        )
    return found
