"""Standard errors, intervals and test by bootstrap: lavaan's `se="bootstrap"` and `test="bollen.stine"`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.results.bootstrap import faults_of

if TYPE_CHECKING:
    from dagmodels.results.sem.bootstrap import SemBootstrap
    from dagmodels.results.sem.fit import SemFit

TESTS = ("bollen.stine", "bootstrap")
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class BootstrapErrors:
    """What is asked for. errors : standard errors from rows drawn again. test : Bollen and Stine's."""

    draws: int
    seed: int
    errors: bool
    test: bool

    def applied(self, fit: SemFit) -> SemFit:
        """The fit with these standard errors, and with the test's p value."""
        if self.test:
            found = fit.bootstrap(self.draws, self.seed, kind="bollen.stine")
            fit = replace(fit, measures={**fit.measures, "pvalue": found.pvalue}, resampled_test=found)
        if self.errors:
            fit = with_draws(fit, fit.bootstrap(self.draws, self.seed))
        return fit


def bootstrap_options(options: Mapping[str, Any], seed: int) -> tuple[BootstrapErrors | None, dict[str, Any]]:
    """Takes lavaan's `se`, `test` and `bootstrap` out of the options where they ask for a bootstrap."""
    from dagmodels.errors import raise_all

    rest = dict(options)
    draws = rest.pop("bootstrap", DRAWS)
    errors = rest.get("se") in ("bootstrap", "boot")
    test = rest.get("test") in TESTS
    for key, here in (("se", errors), ("test", test)):
        if here:
            del rest[key]
    if not (errors or test):
        return None, rest
    raise_all(faults_of(draws, seed), "the bootstrap")
    return BootstrapErrors(int(draws), int(seed), errors, test), rest


def with_draws(fit: SemFit, found: SemBootstrap) -> SemFit:
    """Standard deviations and percentiles of draws of the table's rows in place of the delta method's."""
    from scipy.special import ndtr

    limits = found.intervals("percentile")
    moves = np.array([r.op == ":=" or r.free for r in fit.naming.rows]) & np.isfinite(found.se)
    columns = dict(fit.estimate_columns)
    value, old = (np.asarray(columns[k], dtype=float) for k in ("estimate", "se"))
    se = np.where(moves, found.se, np.where(old > 0, np.nan, old))
    with np.errstate(all="ignore"):
        z = np.where(se > 0, value / se, np.nan)
    columns |= {"se": se.tolist(), "z": z.tolist(), "pvalue": (2 * ndtr(-np.abs(z))).tolist()}
    for side in ("lower", "upper"):
        columns[side] = np.where(moves, limits[side].to_numpy(), value).tolist()
    draws = found.draws[np.isfinite(found.draws[:, moves]).all(axis=1)]
    told = tuple(w for w in (_told(found),) if w)
    return replace(
        fit, estimate_columns=columns, covariance_matrix=np.cov(draws, rowvar=False), resampled=found,
        warnings=(*fit.warnings, *told),
    )  # fmt: skip


def _told(found: SemBootstrap) -> str:
    bad, improper, total = len(found.failures), len(found.inadmissible), len(found.draws)
    parts = [f"{bad} of {total} refits failed and are not counted"] if bad else []
    parts += [f"{improper} of {total} draws are not admissible and count"] if improper else []
    return f"bootstrap: {'; '.join(parts)} (`fit.resampled.report()`)" if parts else ""
