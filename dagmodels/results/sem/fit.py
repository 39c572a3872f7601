"""A fitted structural equation model under lavaan's names."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.moments import MomentsSolution
from dagmodels.numerics.saturated_moments import Singular
from dagmodels.results.fit import Fit, UnknownName
from dagmodels.results.limits import wald
from dagmodels.results.sem.definitions import Definitions
from dagmodels.results.sem.incomplete_measures import incomplete_measures
from dagmodels.results.sem.measures import Comparison, compare, measures, refuse_unseen
from dagmodels.results.sem.naming import SemNaming
from dagmodels.results.sem.positions import Positions, positions
from dagmodels.results.sem.refitting import SemRefitter
from dagmodels.results.sem.scaled import (
    Scaled,
    free_scores,
    scaled_difference,
    scaled_measures,
    scaled_test,
)
from dagmodels.results.sem.singular import refuse_singular, singular
from dagmodels.results.sem.squares import (
    compare_squares,
    square_measures,
    square_scaled,
    square_scaled_measures,
)
from dagmodels.results.sem.standardized import standardized
from dagmodels.results.sem.table import levels_of, table_columns, undefined
from dagmodels.results.shown import Shown

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pandas import DataFrame, Series

    from dagmodels.results.sem.bootstrap import SemBootstrap
    from dagmodels.results.sem.scores import GivenRows

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class SemFit(Fit):
    """A fit of `cfa`, `sem` or `growth`.

    `estimates` has lavaan's rows: lhs, op, rhs, group, label, est as `estimate`, se, z, pvalue, limits,
    std_lv, std_all.

    naming : the table's rows and the settings. inner : the same fit under the graph's names.
    rows : reads rows for scores and predictions: those fitted (None), or new ones. drawing : what draws it.
    scaled : the scaled test and its factors, where one was asked for.
    comparison : chi-square and its neighbours. admissible : no negative variance, no covariance matrix that
    is none. given_rows : of the data, with those that were left out; 0 where there were no rows.
    resampled, resampled_test : draws of the bootstrap behind standard errors and test, if any.
    """

    naming: SemNaming = field(default=None, repr=False)  # type: ignore[assignment]  # always given
    inner: Fit = field(default=None, repr=False)  # type: ignore[assignment]
    comparison: Comparison = field(default=None, repr=False)  # type: ignore[assignment]
    admissible: bool = True
    rows: Callable[[Any], GivenRows] | None = field(default=None, repr=False)
    drawing: Callable[..., Path] | None = field(default=None, repr=False)
    resampled: SemBootstrap | None = field(default=None, repr=False)
    resampled_test: SemBootstrap | None = field(default=None, repr=False)
    scaled: Scaled | None = None
    given_rows: int = 0

    INSIDE: ClassVar[frozenset[str]] = Fit.INSIDE | {
        "solution", "at", "comparison", "rows", "drawing", "scaled", "_incomplete",
    }  # fmt: skip

    @property
    def solution(self) -> MomentsSolution:
        """The form and the optimum."""
        assert self.moments is not None
        return self.moments

    @cached_property
    def at(self) -> Positions:
        """Where the rows stand in the structure."""
        return positions(self.solution, self.naming)

    def fit_measures(self, names: str | list[str] | None = None) -> Series[float]:
        """Fit measures, all or those named, as lavaan's `fitMeasures`.

        With missing values there are robust CFI, TLI and RMSEA too, which `measures` has after a scaled test
        alone, because their cost grows with the square of the number of moments.

        Raises
        ------
        UnknownName : measures that this fit has not.
        """
        from pandas import Series

        found = Series({**self.measures, **self._incomplete}, dtype=float)
        if names is None:
            return found
        chosen = [n.replace(".", "_") for n in ([names] if isinstance(names, str) else names)]
        odd = [n for n in chosen if n not in found]
        if odd:
            near = difflib.get_close_matches(odd[0], found.index, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(found.index)}"
            raise UnknownName(f"this fit has no measure '{odd[0]}' ({hint})")
        return found[chosen]

    @cached_property
    def _incomplete(self) -> dict[str, float]:
        if self.solution.form.sample.complete or self.scaled is not None or not self.solution.at.likelihood:
            return {}
        free = free_scores(self.solution, self.comparison)
        return incomplete_measures(self.solution, self.comparison, free, normal=True)

    def standardized(self, what: str = "all") -> DataFrame:
        """The standardised solution with standard errors: `what` is "all" or "lv"."""
        from pandas import DataFrame

        value, slopes = standardized(self.solution, self.at, latent_only=what == "lv", slopes=True)
        assert slopes is not None
        definitions = Definitions(self.naming, self.graph)
        if definitions.rows:
            value[definitions.rows] = definitions.at(value)
            slopes[definitions.rows] = definitions.slopes(value) @ np.where(np.isnan(slopes), 0.0, slopes)
        inner = _coordinates(self)
        variance = np.einsum("ij,jk,ik->i", slopes, inner, slopes)
        se = np.sqrt(np.maximum(variance, 0.0))
        lower, upper = wald(value, se)
        rows = self.naming.rows
        return DataFrame({
            "lhs": [r.lhs for r in rows], "op": [r.op for r in rows], "rhs": [r.rhs for r in rows],
            "group": [self.naming.groups[r.group] for r in rows], **levels_of(self.naming),
            "estimate": value, "se": se,
            "lower": lower, "upper": upper,
        })  # fmt: skip

    def icc(self) -> Series[float]:
        """Intraclass correlations, of models of two levels."""
        raise FitError("icc: this model has one level, so nothing lies between clusters")

    def scaled_difference(self, other: SemFit) -> Series[float]:
        """The scaled chi-square difference of nested fits (Satorra and Bentler 2001), in either order."""
        from pandas import Series

        return Series(scaled_difference(self, other), dtype=float)

    def r2(self) -> Series[float]:
        """Explained share of each endogenous variable's variance; a frame where there are several groups."""
        from pandas import DataFrame, Series

        s = self.solution.form.structure
        total = np.diagonal(self.solution.at.moments.covariance, axis1=1, axis2=2)
        _, p, _ = s.filled(self.solution.at.entries)
        own = np.diagonal(p, axis1=1, axis2=2)
        names = [n for n, _ in self.solution.form.variables]
        ends = dict.fromkeys(
            r.rhs if r.op == "=~" else r.lhs for r in self.naming.rows if r.op in ("=~", "~")
        )
        number = {n: v for v, n in enumerate(names)}
        found = {n: 1 - own[:, number[n]] / total[:, number[n]] for n in ends}
        if len(self.naming.groups) == 1:
            return Series({n: float(v[0]) for n, v in found.items()})
        return DataFrame(found, index=list(self.naming.groups)).T

    def modindices(self, **options: Any) -> DataFrame:
        """Modification indices and expected changes of all parameters that are fixed or left out.

        options : `sort`, `minimum_value`, `maximum_number`, `op` (one operator or several), as lavaan's.
        Columns: lhs, op, rhs, mi, epc, sepc_lv, sepc_all, sepc_nox. By expected information; equal parameters
        stay equal (`score_test` is for these).
        """
        from dagmodels.results.sem.modification import modindices

        return modindices(self, **options)

    def score_test(self) -> DataFrame:
        """What each equality constraint costs: score tests, one a constraint, and of all together."""
        from dagmodels.results.sem.score import score_test

        return score_test(self)

    def wald_test(self, constraints: str) -> Series[float]:
        """Wald test of constraints on the estimates, such as "a == b; c == 0": stat, df, pvalue."""
        from dagmodels.results.sem.wald import wald_test

        return wald_test(self, constraints)

    def lr_test(self, *others: SemFit) -> DataFrame:
        """Likelihood-ratio tests against models that it is nested in, or that are nested in it."""
        from dagmodels.results.sem.likelihood_ratio import comparison

        return comparison((self, *others), [f"fit{i + 1}" for i in range(len(others) + 1)])

    def predict_factors(
        self, new: Any = None, method: str = "regression", se: bool = False, level: int = 1
    ) -> Any:
        """Factor scores, one row a given row, one column a latent variable, under the rows' own index.

        new : rows to score, missing values allowed; None for the rows fitted.
        method : "regression" (for these models also the "EBM" of lavaan) or "Bartlett".
        se : True gives the pair (scores, standard errors), the parameters taken as known.
        level : of models of two levels.
        """
        from dagmodels.results.sem.scores import factor_scores

        if level != 1:
            raise FitError(f"level={level!r}: this model has one level")
        return factor_scores(self, new, method, se)

    def predict(self, new: Any = None, outcomes: Any = None, given: Any = None) -> DataFrame:
        """Expected values of observed variables given others, one row a given row.

        new : rows; only `given` is needed of them. None for the rows fitted.
        given : names; None for the variables that nothing is said about (lavaan's "ov.x").
        outcomes : names; None for all other observed variables. Of ordered ones, means of latent responses.
        """
        from dagmodels.results.sem.scores import responses

        return responses(self, new, outcomes, given)

    def fitted(self) -> dict[str, Any]:
        """Moments that the model implies: `cov`, and `mean` where it has means; by group of several.

        Of ordered variables thresholds `th`, and correlations of latent responses in `cov`; where there are
        covariates all given them, as `res_cov`, `res_th`, `res_int` and `res_slopes`.
        """
        from dagmodels.results.sem.residuals import implied

        return implied(self)

    def residuals(self, type: str = "raw") -> dict[str, Any]:
        """Moments of the data less those implied, as `fitted` gives them.

        type : "raw"; "cor" (each of the two scaled by its own standard deviations, also "cor_bollen") or
            "cor_bentler" (both by those of the data); "normalized" (divided by the standard errors of the
            data's moments) or "standardized" (by those of the residuals themselves).
        """
        from dagmodels.results.sem.residuals import residuals

        return residuals(self, type)

    def coef(self) -> Series[float]:
        """The free parameters by name."""
        from pandas import Series

        at = self._free_rows()
        columns = self.estimate_columns
        return Series({columns["name"][i]: float(columns["estimate"][i]) for i in at})

    def vcov(self) -> DataFrame:
        """Sampling covariance of the free parameters; equal ones stand there once."""
        from pandas import DataFrame

        at = self._free_rows()
        names = [self.estimate_columns["name"][i] for i in at]
        return DataFrame(np.asarray(self.covariance_matrix)[np.ix_(at, at)], index=names, columns=names)

    def _free_rows(self) -> list[int]:
        """Rows of free parameters, the first of equal ones."""
        names = self.estimate_columns["name"]
        found: dict[str, int] = {}
        for i, r in enumerate(self.naming.rows):
            if r.free and r.op != ":=":
                found.setdefault(names[i], i)
        return list(found.values())

    def reliability(self) -> DataFrame:
        """Alpha, omega (three denominators) and the average variance extracted, one row a latent variable."""
        from dagmodels.results.sem.reliability import reliability

        return reliability(self)

    def refitter(self) -> SemRefitter:
        """What refits in a loop, with the table's rows as estimates; one for each thread."""
        return SemRefitter(self)

    def bootstrap(
        self,
        draws: int = 999,
        seed: int = 1,
        statistic: Callable[[Any], Any] | str | None = None,
        executor: Executor | None = None,
        *,
        kind: str = "nonparametric",
    ) -> SemBootstrap:
        """Bootstrap of the table's rows, from sufficient statistics alone where the fit is by likelihood.

        Parameters
        ----------
        draws : how many. seed : of all random numbers; the same numbers with any executor.
        statistic : None for estimates (defined ones too), "std_lv" or "std_all" for standardised ones, or a
            function from a fit to a number, numbers or a dict of them, which takes whole fits.
        executor : any of `concurrent.futures`.
        kind : "nonparametric" (rows drawn again within groups), "parametric" (units drawn from the fit; an
            ordered variable is a Normal latent response, cut at its thresholds), or "bollen.stine" (rows
            of numbers turned so that the model holds, for the test: `pvalue`).

        Refits that fail, and draws that are not admissible, are counted and told.
        """
        from dagmodels.results.sem.bootstrap import sem_bootstrap

        return sem_bootstrap(self, draws, seed, statistic, executor, kind)

    def local_tests(self) -> DataFrame:
        """Each implied independence of observed variables and vanishing tetrad, tested, p values by Holm."""
        from dagmodels.results.sem.local_tests import local_tests

        return local_tests(self)

    def miiv(self) -> DataFrame:
        """A second opinion: two-stage least squares by model-implied instruments, with Sargan's tests."""
        from dagmodels.results.sem.miiv import miiv

        return miiv(self)

    def render(
        self,
        path: str | os.PathLike[str],
        style: str = "sem",
        show: str | None = None,
        stars: bool = False,
        intervals: bool = False,
        means: bool = False,
        residuals: bool = False,
    ) -> Path:
        """The path diagram in a file: .svg, .png, .pdf or .dot; groups stand side by side.

        Parameters
        ----------
        style : "sem", or "bayes" and "bn", which draw the whole graph as `Graph.render` does.
        show : "estimates" (the default), "standardized" or "names".
        stars : behind estimates, for p below 0.05, 0.01, 0.001. intervals : below them.
        means : as triangles. residuals : variances as loops.
        """
        if self.drawing is None:
            raise FitError("a refit in a loop draws nothing; use g.render(path, style='sem', fit=fit)")
        options = {"stars": stars, "intervals": intervals, "means": means, "residuals": residuals}
        return self.drawing(self, path, style, show, **(options if style == "sem" else {}))

    def summary(self) -> str:
        """lavaan's summary as aligned text."""
        from dagmodels.results.sem.summary import summary

        return Shown(summary(self))


def _coordinates(fit: SemFit) -> Floats:
    """Covariance of the coordinates, zero where it is unknown."""
    found = fit.coordinate_covariance
    return np.where(np.isnan(found), 0.0, found)


def sem_fit(
    inner: Fit,
    naming: SemNaming,
    rows: Callable[[Any], GivenRows] | None = None,
    drawing: Callable[..., Path] | None = None,
    clusters: NDArray[Any] | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> SemFit:
    """A backend's fit of a lavaan graph -> the same under lavaan's names.

    rows : reads rows for it. drawing : draws it. clusters : codes of the rows, where the choice of errors
    has clusters. more : fields of the fit besides; `warnings` come before those of the fit itself.
    """
    solution = inner.moments
    assert solution is not None
    at = positions(solution, naming)
    covariance = inner.coordinate_covariance
    likelihood = solution.at.likelihood
    refuse_unseen(solution.form, naming.groups)
    if likelihood:
        refuse_singular(solution.form, naming.groups)
    try:
        neighbours = compare if likelihood else compare_squares
        compared = neighbours(solution, meanstructure=naming.meanstructure)
    except Singular as error:
        raise singular(solution.form, naming.groups, error) from error
    except FloatingPointError as error:
        raise FitError(f"{error}; leave variables out, or give more rows") from error
    columns, total = table_columns(inner, naming, at, covariance)
    means, scaled = naming.meanstructure, None
    found = (measures if likelihood else square_measures)(solution, compared, meanstructure=means)
    rowless = not solution.form.values.size or (clusters is None and naming.choice.cluster)
    if naming.choice.scaled and not likelihood:
        scaled = square_scaled(solution, compared, naming.choice)
        found.update(square_scaled_measures(solution, compared, scaled))
    elif naming.choice.scaled and not rowless:  # refits from sums have no scaled test
        free = None if solution.form.sample.complete else free_scores(solution, compared)
        scaled = scaled_test(solution, compared, naming.choice, clusters, free, meanstructure=means)
        found.update(scaled_measures(compared, scaled))
        if free is not None:
            found.update(incomplete_measures(solution, compared, free, normal=False))
    own = fields_of(inner, naming, columns, total, compared, found, more, ())
    return SemFit(**own, rows=rows, drawing=drawing, scaled=scaled)


def fields_of(
    inner: Fit, naming: SemNaming, columns: Mapping[str, Any], total: Floats, compared: Comparison,
    measured: Mapping[str, float], more: Mapping[str, Any], doubts: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """The fields of a fit under lavaan's names; see `sem_fit`. doubts : warnings after those of the fit."""
    negative = any("negative" in w or "not positive definite" in w for w in inner.warnings)
    assert inner.moments is not None
    return {
        **{f.name: getattr(inner, f.name) for f in fields(Fit)},
        "estimate_columns": columns,
        "measures": measured,
        "n_parameters": compared.parameters,
        "n_observations": int(inner.moments.form.sample.rows),
        "covariance_names": tuple(columns["name"]),
        "covariance_matrix": total,
        "naming": naming,
        "inner": inner,
        "comparison": compared,
        "admissible": not negative,
        **more,
        "warnings": (*more.get("warnings", ()), *inner.warnings, *undefined(columns), *doubts),
    }
