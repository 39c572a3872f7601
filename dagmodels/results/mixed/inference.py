"""The verbs of a mixed model's fit that test, compare and explain; each is done in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.results.mixed.naming import Floats

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.mixed.components import Component
    from dagmodels.results.mixed.ddf import Judge
    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.means import MarginalMeans
    from dagmodels.results.mixed.naming import Naming


class Inference:
    """What `MixedFit` inherits; its data are those of `MixedFit`."""

    if TYPE_CHECKING:
        components: tuple[Component, ...]
        naming: Naming
        ddf: str | None
        estimate_columns: Mapping[str, Any]

    @property
    def beta(self) -> Floats:
        """The coefficients."""
        return np.array([r.estimate for r in self.components if r.kind == "fixed"], dtype=float)

    @cached_property
    def _judges(self) -> dict[str | None, Judge]:
        return {}

    def judge(self, ddf: str | None) -> Judge:
        """What judges contrasts by a method of degrees of freedom, each made once."""
        from dagmodels.results.mixed.ddf import judge, method_name

        name = method_name(ddf)
        if name not in self._judges:
            self._judges[name] = judge(self, name)
        return self._judges[name]

    def tests(self, ddf: str | None = "default", contrasts: Any = None, names: Any = None) -> DataFrame:
        """Tests of coefficients, or of contrasts of them: estimate, se, df, statistic, p.

        Parameters
        ----------
        ddf : degrees of freedom by "Satterthwaite" (the default of `lmer`'s fits) or "Kenward-Roger" (which
            adjusts the standard errors too); None for the Normal law.
        contrasts : one row a contrast, one column a coefficient. names : of the contrasts.

        Raises
        ------
        ModelErrors : an unknown method, or one that is not for this fit.
        """
        from dagmodels.results.mixed.tests import tests_table

        return tests_table(self, self._ddf(ddf), contrasts, names)

    def with_ddf(self, ddf: str | None) -> MixedFit:
        """The same fit whose `estimates` have columns df and pvalue for the coefficients, which `summary`
        prints too."""
        from dagmodels.results.mixed.ddf import method_name

        columns = {k: v for k, v in self.estimate_columns.items() if k not in ("df", "pvalue")}
        if ddf is not None:
            told = self.tests(ddf)
            rest = [np.nan] * (len(self.components) - len(told))
            columns = {**columns, "df": [*told["df"], *rest], "pvalue": [*told["p"], *rest]}
        return replace(self, estimate_columns=columns, ddf=method_name(ddf))

    def anova(self, type: Any = "III", ddf: str | None = "default") -> DataFrame:
        """Tests of the terms of the fixed part.

        For `lmer`: sums of squares, mean squares, NumDF, DenDF, F, p, as lmerTest's; for `glmer` Wald's
        chi-square. The hypotheses do not depend on the coding of factors.

        Parameters
        ----------
        type : "I" (each term after those before it), "II" (after all that do not contain it) or "III"
            (factors averaged over the levels of the others with equal weights).
        ddf : as for `tests`; None leaves out DenDF and p, as lme4 does.

        Raises
        ------
        ModelErrors : an unknown type or method, or one that is not for this fit.
        """
        from dagmodels.results.mixed.anova import anova

        return anova(self, type, self._ddf(ddf))

    def mean_squares(self) -> DataFrame:
        """Sequential mean squares of fixed terms, random factors and rest, with what each is expected to be:
        in the columns of the variances, how often each counts; `fixed` names the quadratic form beside them.

        Two rows whose columns differ in `fixed` alone make an exact F. For random intercepts.

        Raises
        ------
        ModelErrors : random slopes, weights, a fit of `glmer`, designs too large for dense matrices.
        """
        from dagmodels.results.mixed.mean_squares import mean_squares

        return mean_squares(self)

    def r2(self) -> dict[str, float]:
        """Shares of the variance explained: "marginal" by the fixed effects, "conditional" by the random ones
        too (Nakagawa, Johnson and Schielzeth 2017), on the scale of the link."""
        from dagmodels.results.mixed.explained import r2

        return r2(self)

    def icc(self) -> DataFrame:
        """Intraclass correlation by grouping factor: its share of the variance that fixed effects leave, with
        the mean cluster size (sum n^2 / sum n) and Kish's design effect, 1 + (size - 1) icc."""
        from dagmodels.results.mixed.explained import icc

        return icc(self)

    def emmeans(
        self,
        over: str | Sequence[str],
        at: Mapping[str, Any] | None = None,
        by: str | Sequence[str] | None = None,
        ddf: str | None = "default",
        level: float = 0.95,
        type: str = "link",
    ) -> MarginalMeans:
        """Estimated marginal means: expected values without random effects over a grid of the factors'
        levels, numbers at their means, averaged with equal weights over what is not asked for.

        Parameters
        ----------
        over : the variables asked for. by : others, within which `contrasts` compares.
        at : values of some variables, `{"Days": [0, 9]}`.
        ddf : as for `tests`. level : of the intervals.
        type : "link", or "response" for means on the scale of responses.

        Raises
        ------
        ModelErrors : variables or levels that the fixed part does not have.
        """
        from dagmodels.results.mixed.means import emmeans

        return emmeans(self, over, at, by, self._ddf(ddf), level, type)

    def _ddf(self, ddf: str | None) -> str | None:
        if ddf == "default":
            return self.ddf or ("Satterthwaite" if self.naming.call == "lmer" else None)
        return ddf
