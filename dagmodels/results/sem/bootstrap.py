"""Bootstrap of structural models from sufficient statistics, or of rows where the fit is by least squares.

Rows drawn again, units drawn from the fit, or rows turned until the model holds.

Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 6, 13 and 14; Bollen and Stine 1992,
Sociol. Methods Res. 21:205, for the last. Every draw has a stream of its own from one seed tree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.forms.levels import LevelsForm
from dagmodels.forms.moment_samples import Rows, rows_of, saturated, simulated
from dagmodels.forms.square_samples import drawing, power
from dagmodels.numerics.moments import Sample
from dagmodels.results.bootstrap import FAILURES, UNIT, Bootstrap, faults_of, numbers, reason
from dagmodels.results.sem.refitting import STANDARDIZED, SemRefitter

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pandas import DataFrame

    from dagmodels.forms.moments import MomentsForm, MomentsSolution
    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
KINDS = ("nonparametric", "parametric", "bollen.stine")
CORRECTED = ("bc", "bca")
Statistic = Callable[["SemFit"], Any] | str | None


@dataclass(frozen=True, eq=False)
class SemBootstrap(Bootstrap):
    """Draws of the rows of a structural model's table, or of a statistic.

    kind : which bootstrap. chisq : (draws,) test statistics, NaN of failures and where rows miss values;
    observed_chisq : of the fit. inadmissible : numbers of draws with a negative variance or a covariance
    matrix that is none; they count, unless `admissible()` leaves them out.
    jackknife : function that gives the influence of each row on the numbers, for "bca".
    """

    kind: str = "nonparametric"
    chisq: Floats = field(default_factory=lambda: np.zeros(0))
    observed_chisq: float = float("nan")
    inadmissible: tuple[int, ...] = ()
    jackknife: Callable[[], Floats] | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """Which bootstrap this is."""
        return "Bollen-Stine bootstrap" if self.kind == "bollen.stine" else super().title

    @property
    def pvalue(self) -> float:
        """Share of draws whose test statistic exceeds the fit's, where the draws obey the model.

        Raises
        ------
        FitError : draws of the data's own law, whose test statistics say nothing about the model.
        """
        if self.kind == "nonparametric":
            raise FitError(
                "rows drawn again do not obey the model; bootstrap(kind='bollen.stine') gives its test"
            )
        known = self.chisq[np.isfinite(self.chisq)]
        if not known.size:
            raise FitError("no draw has a test statistic: with missing values there is none")
        return float(np.mean(known > self.observed_chisq))

    def admissible(self) -> SemBootstrap:
        """The same without inadmissible draws, which count as failures."""
        draws, chisq = self.draws.copy(), self.chisq.copy()
        at = list(self.inadmissible)
        draws[at], chisq[at] = np.nan, np.nan
        told = tuple((number, "not admissible") for number in at)
        failures = tuple(sorted((*self.failures, *told)))
        return replace(self, draws=draws, chisq=chisq, failures=failures, inadmissible=())

    def intervals(self, kind: str = "percentile", level: float = 0.95) -> DataFrame:
        """name, estimate, lower, upper: one row a name.

        kind : "percentile", "basic" or "normal", as elsewhere; "bc" (percentiles moved by the share of draws
            below the estimate) or "bca" (by the influence of single rows too; of rows drawn again alone).
        """
        if kind not in CORRECTED:
            return super().intervals(kind, level)
        from scipy.special import ndtr, ndtri

        found = super().intervals("percentile", level)
        below = [
            (np.sum(d < e) + 0.5 * np.sum(d == e)) / d.size if d.size else np.nan
            for d, e in ((c[np.isfinite(c)], e) for c, e in zip(self.draws.T, self.estimates, strict=True))
        ]
        bias = ndtri(np.array(below))
        skew = self._acceleration() if kind == "bca" else np.zeros(bias.size)
        for side, tail in (("lower", (1 - level) / 2), ("upper", (1 + level) / 2)):
            moved = bias + ndtri(tail)
            with np.errstate(invalid="ignore"):  # every draw on one side
                share = ndtr(bias + moved / (1 - skew * moved))
            limits = [
                float(np.nanquantile(c, q, method="weibull"))
                if np.isfinite(q) and np.isfinite(c).any()
                else e
                for c, q, e in zip(self.draws.T, share, self.estimates, strict=True)
            ]
            found[side] = limits
        return found

    def _acceleration(self) -> Floats:
        if self.jackknife is None:
            raise FitError(
                "'bca' needs the influence of single rows on estimates by maximum likelihood: "
                "bootstrap(kind='nonparametric') of such a fit has it; kind='bc' corrects the bias alone"
            )
        u = self.jackknife()
        u = u - u.mean(axis=0)
        with np.errstate(all="ignore"):
            a = np.sum(u**3, axis=0) / (6 * np.sum(u**2, axis=0) ** 1.5)
        return np.where(np.isfinite(a), a, 0.0)

    def report(self) -> str:
        """Failed and inadmissible draws."""
        lines = [super().report()]
        if self.inadmissible:
            lines.append(
                f"{len(self.inadmissible)} of {len(self.draws)} draws are not admissible (a negative "
                "variance, or a covariance matrix that is none) and count; `admissible()` leaves them out"
            )
        if self.kind != "nonparametric" and np.isfinite(self.chisq).any():
            lines.append(f"Test of the model: chi-square {self.observed_chisq:.3f}, p = {self.pvalue:.3f}")
        return "\n".join(lines)


def sem_bootstrap(
    fit: SemFit, draws: int, seed: int, statistic: Statistic, executor: Executor | None, kind: str
) -> SemBootstrap:
    """See `SemFit.bootstrap`."""
    faults = faults_of(draws, seed)
    if kind not in KINDS:
        faults.append(ModelError(f"kind is {kind!r}", hint=f"one of {', '.join(map(repr, KINDS))}"))
    if isinstance(statistic, str) and statistic not in STANDARDIZED:
        told = "'std_lv', 'std_all', or a function from a fit to numbers"
        faults.append(ModelError(f"statistic is {statistic!r}", hint=told))
    form = fit.solution.form
    if isinstance(form, LevelsForm) and kind != "nonparametric":
        hint = "kind='nonparametric' draws clusters again"
        faults.append(ModelError(f"kind is {kind!r}, and the model has two levels", hint=hint))
    if kind != "parametric" and not form.values.size:
        hint = "kind='parametric' needs no rows"
        faults.append(ModelError("this fit was made from covariance matrices, without rows", hint=hint))
    elif kind == "bollen.stine" and not form.sample.complete:
        faults.append(
            ModelError("Bollen and Stine's bootstrap needs complete rows", hint="kind='parametric'")
        )
    elif kind == "bollen.stine" and form.template.thresholds is not None:
        told = "Bollen and Stine's bootstrap turns rows of numbers, and there are ordered variables"
        hint = "kind='parametric' draws from the model too; test='scaled.shifted' needs no draws"
        faults.append(ModelError(told, hint=hint))
    raise_all(faults, "the bootstrap")
    names, estimates = _names(fit, statistic)
    units = [range(first, min(first + UNIT, draws)) for first in range(0, draws, UNIT)]
    work = partial(_unit, fit, int(seed), statistic, kind, estimates.size)
    done = list(map(work, units) if executor is None else executor.map(work, units))
    known = fit.solution.at.likelihood  # whose rows have scores
    rows = kind == "nonparametric" and known and not callable(statistic) and form.alone
    return SemBootstrap(
        names,
        estimates,
        np.concatenate([d[0] for d in done]),
        tuple(f for d in done for f in d[2]),
        int(seed),
        kind,
        np.concatenate([d[1] for d in done]),
        fit.comparison.chisq,
        tuple(n for d in done for n in d[3]),
        partial(_influence, fit, statistic) if rows else None,
    )


def _names(fit: SemFit, statistic: Statistic) -> tuple[tuple[str, ...], Floats]:
    if isinstance(statistic, str):
        columns = fit.estimate_columns
        names = tuple(map(str, columns["name"]))
        return names, np.asarray(columns[statistic], dtype=float)
    return numbers(fit, cast(Any, statistic))


def _unit(
    fit: SemFit, seed: int, statistic: Statistic, kind: str, size: int, at: range
) -> tuple[Floats, Floats, list[tuple[int, str]], list[int]]:
    """Some of the draws, by number; the same wherever it runs."""
    refitter, draw = SemRefitter(fit), _drawing(fit, kind)
    values, chisq = np.full((len(at), size), np.nan), np.full(len(at), np.nan)
    failures: list[tuple[int, str]] = []
    improper: list[int] = []
    for row, number in enumerate(at):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        try:
            form = draw(rng)
            free = _unrestricted(fit, form.sample)
            found = refitter.solve_form(form)
            if not found.converged:
                failures.append((number, found.message))
                continue
            values[row] = _value(refitter, found, form, statistic)
            chisq[row] = (found.at.moments.value if found.at.likelihood else found.at.deviance) - free
        except FAILURES as error:
            failures.append((number, reason(error)))
            continue
        if not admissible(found):
            improper.append(number)
    return values, chisq, failures, improper


def _unrestricted(fit: SemFit, sample: Sample) -> float:
    """What the criterion is for free moments, so that the rest is the test statistic; nan where unknown."""
    if not fit.solution.at.likelihood:
        return 0.0
    if not fit.solution.form.alone:
        return np.nan
    return saturated(sample) if sample.complete else np.nan


def _value(refitter: SemRefitter, found: MomentsSolution, form: MomentsForm, statistic: Statistic) -> Floats:
    if callable(statistic):
        return numbers(refitter.with_form(form), cast(Any, statistic))[1]
    return refitter.rows(found, statistic or "estimate")


def admissible(solution: MomentsSolution) -> bool:
    """Whether variances and covariance matrices of residuals and latents are such."""
    _, p, _ = solution.form.structure.filled(solution.at.entries)
    if (np.diagonal(p, axis1=1, axis2=2) < 0).any():
        return False
    least = np.linalg.eigvalsh(p)[:, 0]
    return bool((least >= -1e-8 * np.abs(p).max(axis=(1, 2))).all())


def _drawing(fit: SemFit, kind: str) -> Callable[[np.random.Generator], MomentsForm]:
    if not fit.solution.at.likelihood:
        return drawing(fit.solution, kind)
    form = fit.solution.form
    if isinstance(form, LevelsForm):
        return partial(_clusters, form)
    sample = _sampler(fit, kind)
    return lambda rng: form.with_sample(sample(rng))


def _clusters(form: LevelsForm, rng: np.random.Generator) -> MomentsForm:
    """Clusters drawn again within groups, each with all of its rows."""
    order, starts = form.rows_by_cluster
    group = form.group_of[order[starts]]
    drawn = [rng.choice(here, here.size) for g in np.unique(group) for here in [np.flatnonzero(group == g)]]
    return form.with_clusters(np.concatenate(drawn))


def _sampler(fit: SemFit, kind: str) -> Callable[[np.random.Generator], Sample]:
    if kind == "parametric":
        return partial(simulated, fit.solution)
    rows = rows_of(fit.solution.form)
    if kind == "nonparametric":
        return rows.drawn
    turned = _turn(fit.solution, rows)
    return lambda rng: turned(rows.drawn(rng))


def _turn(solution: MomentsSolution, rows: Rows) -> Callable[[Sample], Sample]:
    """Statistics of rows -> those of the same rows turned so that the data's moments are the model's.

    z = mu + Sigma^1/2 S^-1/2 (y - mean); a linear map, which statistics follow.
    """
    form, moments = solution.form, solution.at.moments
    o, sample = form.structure.observed, form.sample
    maps = [
        power(moments.covariance[g][np.ix_(o, o)], 0.5) @ power(sample.cov[g], -0.5)
        for g in range(form.structure.groups)
    ]
    centre = rows.centre

    def turn(drawn: Sample) -> Sample:
        mean = [
            moments.mean[g][o] + maps[g] @ (m - centre[g])
            for g, m in zip(drawn.group.tolist(), drawn.mean, strict=True)
        ]
        cov = [maps[g] @ c @ maps[g].T for g, c in zip(drawn.group.tolist(), drawn.cov, strict=True)]
        return Sample(drawn.group, drawn.n, drawn.mask, np.stack(mean), np.stack(cov))

    return turn


def _influence(fit: SemFit, statistic: Statistic) -> Floats:
    """(rows, names): how a little more weight of each row moves the numbers, to first order."""
    from dagmodels.forms.casewise import scores

    solution, refitter = fit.solution, SemRefitter(fit)
    x, hessian = solution.optimum.x, solution.optimum.hessian
    along = np.eye(x.size)[:, ~solution.optimum.active]
    if solution.constrained is not None:
        along = solution.constrained.tangent
    inner = np.linalg.inv(along.T @ hessian @ along)
    moved = 2.0 * along @ inner @ along.T @ scores(solution.at).T
    step = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", along, inner, along), 1e-300)) * 1e-4
    slopes = []
    for i, h in enumerate(step.tolist()):
        sides = []
        for sign in (1.0, -1.0):
            near = x.copy()
            near[i] += sign * h
            there = replace(solution, at=solution.form.at(near), optimum=replace(solution.optimum, x=near))
            sides.append(refitter.rows(there, statistic if isinstance(statistic, str) else "estimate"))
        slopes.append((sides[0] - sides[1]) / (2 * h))
    return moved.T @ np.stack(slopes)
