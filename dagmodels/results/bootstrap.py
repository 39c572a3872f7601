"""Bootstrap: responses drawn from the fit (or units drawn again), the model fitted to each.

Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 6, 10 and 13.  Every draw has a
stream of its own from one seed tree, and draws are done in units of fixed size, so that numbers do not
depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError, ModelError, ModelErrors, raise_all

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pandas import DataFrame

    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]
UNIT = 50  # draws in one unit of work: enough that sending the fit to another process costs little
KINDS = ("percentile", "basic", "normal")
FAILURES = (FitError, ModelErrors, FloatingPointError, np.linalg.LinAlgError)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Draws of the estimates (or of a statistic), one a simulated response.

    names, estimates : of the fit itself. draws : (draws, names), rows of NaN where a refit failed.
    failures : number of the draw and what failed. seed : of the tree of streams. kind : "parametric"
    (responses drawn from the fit) or "nonparametric" (units drawn again).
    """

    names: tuple[str, ...]
    estimates: Floats
    draws: Floats
    failures: tuple[tuple[int, str], ...]
    seed: int
    kind: str = "parametric"

    @property
    def title(self) -> str:
        """Which bootstrap this is."""
        return f"{self.kind.capitalize()} bootstrap"

    @property
    def bias(self) -> Floats:
        """Mean of the draws less the estimate."""
        return _over(np.nanmean, self.draws) - self.estimates

    @property
    def se(self) -> Floats:
        """Standard deviations of the draws."""
        return _over(partial(np.nanstd, ddof=1), self.draws)

    @property
    def used(self) -> NDArray[np.int64]:
        """How many draws have each estimate: failures have none, nor a correlation beside a zero."""
        return np.isfinite(self.draws).sum(axis=0)

    def intervals(self, kind: str = "percentile", level: float = 0.95) -> DataFrame:
        """name, estimate, lower, upper: one row a name.

        kind : "percentile" (quantiles of the draws), "basic" (these reflected at the estimate), or
            "normal" (estimate less bias, plus and minus standard errors).
        """
        from pandas import DataFrame

        check_level(level)
        if kind not in KINDS:
            hint = f"one of {', '.join(map(repr, KINDS))}"
            raise_all([ModelError(f"kind is {kind!r}", hint=hint)], "the intervals")
        tail = (1 - level) / 2
        low, high = (
            _over(partial(np.nanquantile, q=q, method="weibull"), self.draws) for q in (tail, 1 - tail)
        )
        if kind == "basic":
            low, high = 2 * self.estimates - high, 2 * self.estimates - low
        elif kind == "normal":
            half = NormalDist().inv_cdf(1 - tail) * self.se
            low, high = self.estimates - self.bias - half, self.estimates - self.bias + half
        return DataFrame({"name": self.names, "estimate": self.estimates, "lower": low, "upper": high})

    def summary(self) -> str:
        """Estimates, bias, standard errors and percentile limits; failures are told below."""
        from dagmodels.results.shown import Shown

        frame = self.intervals()
        frame.insert(2, "bias", self.bias)
        frame.insert(3, "se", self.se)
        lines = [f"{self.title}, {len(self.draws)} draws (seed {self.seed}), percentile limits of 95 %"]
        lines += ["", frame.to_string(index=False), "", self.report()]
        return Shown("\n".join(lines))

    def report(self) -> str:
        """How many refits failed, with the commonest reason."""
        if not self.failures:
            return "All refits converged."
        reasons = [message for _, message in self.failures]
        common = max(dict.fromkeys(reasons), key=reasons.count)
        return (
            f"{len(self.failures)} of {len(self.draws)} refits failed and are not counted; "
            f"most often: {common} (`failures` has all)"
        )

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        told = f"{len(self.draws)} draws, {len(self.failures)} failed"
        return f"<Bootstrap of {len(self.names)} estimates: {told}>"


def bootstrap(
    fit: Fit, draws: int, seed: int, statistic: Callable[[Fit], Any] | None, executor: Executor | None
) -> Bootstrap:
    """See `Fit.bootstrap`."""
    check_draws(draws, seed, 2, "the bootstrap")
    names, estimates = numbers(fit, statistic)
    units = [range(first, min(first + UNIT, draws)) for first in range(0, draws, UNIT)]
    work = partial(_unit, fit, int(seed), statistic, len(names))
    done = map(work, units) if executor is None else executor.map(work, units)
    values, failures = [], []
    for found, failed in done:
        values.append(found)
        failures.extend(failed)
    return Bootstrap(names, estimates, np.concatenate(values), tuple(failures), int(seed))


def check_draws(draws: object, seed: object, least: int, where: str) -> None:
    """Raises ModelErrors for draws and seeds that are no whole numbers, or too small."""
    raise_all(faults_of(draws, seed, least), where)


def faults_of(draws: object, seed: object, least: int = 2) -> list[ModelError]:
    """What is wrong with the arguments that all bootstraps share."""
    faults: list[ModelError] = []
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < least:
        faults.append(ModelError(f"draws is {draws!r}", hint=f"give a whole number from {least}"))
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        faults.append(ModelError(f"seed is {seed!r}", hint="give a whole number from 0"))
    return faults


def _unit(
    fit: Fit, seed: int, statistic: Callable[[Fit], Any] | None, size: int, which: range
) -> tuple[Floats, list[tuple[int, str]]]:
    """Some of the draws, by number; the same wherever it runs."""
    refitter = fit.refitter()
    streams = [np.random.SeedSequence(seed, spawn_key=(number,)) for number in which]
    values, failures = np.full((len(which), size), np.nan), []
    for row, (number, y) in enumerate(zip(which, refitter.simulate(streams), strict=True)):
        try:
            if statistic is None:
                found = refitter.refit(y)
                converged, message, value = found.converged, found.message, found.estimates
            else:
                again = refitter.fit(y)
                converged, message = again.converged, again.message
                value = numbers(again, statistic)[1] if converged else np.zeros(0)
        except FAILURES as error:
            failures.append((number, reason(error)))
            continue
        if converged:
            values[row] = value
        else:
            failures.append((number, message))
    return values, failures


def numbers(fit: Fit, statistic: Callable[[Fit], Any] | None) -> tuple[tuple[str, ...], Floats]:
    """Names and values of what is bootstrapped."""
    if statistic is None:
        columns = fit.estimate_columns
        return tuple(map(str, columns["name"])), np.asarray(columns["estimate"], dtype=np.float64)
    found = statistic(fit)
    if isinstance(found, Mapping) or hasattr(found, "items"):
        pairs = dict(found.items())
        return tuple(map(str, pairs)), np.array([float(v) for v in pairs.values()])
    values = np.atleast_1d(np.asarray(found, dtype=np.float64)).reshape(-1)
    names = ("statistic",) if values.size == 1 else tuple(f"statistic[{i}]" for i in range(values.size))
    return names, values


def reason(error: Exception) -> str:
    """Why a refit failed, on one line."""
    if isinstance(error, ModelErrors):
        return "; ".join(str(e) for e in error.exceptions)
    return f"{type(error).__name__}: {error}"


def _over(what: Callable[..., Any], draws: Floats) -> Floats:
    """A summary of each column, NaN for those without two draws."""
    enough = np.isfinite(draws).sum(axis=0) >= 2
    found = np.full(draws.shape[1], np.nan)
    if enough.any():
        found[enough] = what(draws[:, enough], axis=0)
    return found


def check_level(level: float) -> None:
    if not 0 < level < 1:
        raise_all([ModelError(f"level is {level!r}", hint="a number between 0 and 1")], "the intervals")
