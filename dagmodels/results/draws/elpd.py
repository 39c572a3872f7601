"""How well draws predict what was not used: LOO and WAIC of a fit, and several fits side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.numerics.chains.leave_one_out import Pointwise, leave_one_out, reliable, waic
from dagmodels.results.tables import format_number, text_table

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
LARGE = 0.4
"""Variance of a log likelihood above which WAIC is not to be trusted (Vehtari, Gelman and Gabry 2017)."""


@dataclass(frozen=True, eq=False, slots=True)
class Elpd:
    """Expected log pointwise predictive density: larger is better.

    kind : "loo" or "waic". names : of the observations. pointwise : their numbers. draws : of all chains.
    """

    kind: str
    names: tuple[str, ...]
    values: Pointwise
    draws: int

    @property
    def elpd(self) -> float:
        """The sum over the observations."""
        return float(self.values.elpd.sum())

    @property
    def se(self) -> float:
        """Its standard error: observations taken as a sample of many."""
        return float(math.sqrt(self.values.elpd.size * self.values.elpd.var()))

    @property
    def p(self) -> float:
        """Effective number of parameters."""
        return float(self.values.p.sum())

    @property
    def good_k(self) -> float:
        """Tail shapes up to this one are fine."""
        return reliable(self.draws)

    @property
    def warning(self) -> bool:
        """Whether some observation is so influential that its number is not to be trusted."""
        return bool(self.doubtful.any())

    @property
    def doubtful(self) -> NDArray[np.bool_]:
        """Which observations those are."""
        return self.values.p > LARGE if self.kind == "waic" else ~(self.values.k <= self.good_k)

    @property
    def pointwise(self) -> DataFrame:
        """One row an observation: name, elpd, p, k (the tail shape; nan for WAIC)."""
        from pandas import DataFrame

        v = self.values
        return DataFrame({"name": list(self.names), "elpd": v.elpd, "p": v.p, "k": v.k})

    def __str__(self) -> str:
        head = f"{self.kind.upper()} from {self.draws} draws, {len(self.names)} observations"
        table = text_table({
            "": [f"elpd_{self.kind}", f"p_{self.kind}"],
            "estimate": [self.elpd, self.p],
            "se": [self.se, float(math.sqrt(self.values.p.size * self.values.p.var()))],
        })  # fmt: skip
        return f"{head}\n\n{table}\n\n{self._trust()}"

    __repr__ = __str__

    def _trust(self) -> str:
        at = np.flatnonzero(self.doubtful)
        what = "p_waic" if self.kind == "waic" else "Pareto k"
        bound = format_number(LARGE if self.kind == "waic" else self.good_k, 2)
        if not at.size:
            return f"{what} is at most {bound} for all observations."
        size = self.values.p if self.kind == "waic" else self.values.k
        worst = at[np.argsort(-size[at])][:5]
        told = ", ".join(f"{self.names[i]} ({size[i]:.2f})" for i in worst)
        more = f" and {at.size - 5} more" if at.size > 5 else ""
        advice = "use LOO" if self.kind == "waic" else "fit again without these, one by one, or by K folds"
        return f"{what} is above {bound} for {told}{more}: not to be trusted there; {advice}."


def elpd(
    kind: str,
    log_likelihood: Mapping[str, tuple[list[str], Floats]],
    efficiency: float | Floats = 1.0,
) -> Elpd:
    """From names and (chains, draws, observations) by node."""
    names = tuple(n for told, _ in log_likelihood.values() for n in told)
    table = np.concatenate([v.reshape(-1, v.shape[-1]) for _, v in log_likelihood.values()], axis=1)
    found = waic(table) if kind == "waic" else leave_one_out(table, efficiency)
    return Elpd(kind, names, found, len(table))


def loo_compare(fits: Mapping[str, Any], method: str = "loo") -> DataFrame:
    """Fits of the same data by their expected log predictive densities, the best first.

    fits : by name, what `fit.loo()` or `fit.waic()` gave, or fits that are asked for it.
    method : which of the two, of fits.

    Returns
    -------
    rank, elpd, p, elpd_diff (best minus this one), weight (of stacking: Yao, Vehtari, Simpson and Gelman
    2018, Bayesian Analysis 13, 917-1007), se, dse (standard error of the difference, by
    observation) and warning. A difference below some 4, or below two dse, says nothing.
    """
    from pandas import DataFrame

    _check(fits, method)
    found = {n: f if isinstance(f, Elpd) else getattr(f, method)() for n, f in fits.items()}
    _same(found)
    order = sorted(found, key=lambda n: -found[n].elpd)
    each = np.column_stack([found[n].values.elpd for n in order])
    lead = each[:, :1] - each
    count = len(each)
    return DataFrame(
        {
            "rank": range(len(order)),
            "elpd": [found[n].elpd for n in order],
            "p": [found[n].p for n in order],
            "elpd_diff": lead.sum(axis=0),
            "weight": stacking(each),
            "se": [found[n].se for n in order],
            "dse": np.sqrt(count * lead.var(axis=0)),
            "warning": [found[n].warning for n in order],
        },
        index=order,
    )


def stacking(each: Floats) -> Floats:
    """Weights w that maximise the sum over observations of log(sum_k w_k exp(elpd_ik)).

    That is concave; every step w_k <- mean_i of the share of k raises it (EM of a mixture's weights).
    """
    density = np.exp(each - each.max(axis=1, keepdims=True))
    w = np.full(each.shape[1], 1.0 / each.shape[1])
    for _ in range(100_000):
        share = (density / (density @ w)[:, None]).mean(axis=0)  # 1 at the optimum, or below where w is 0
        if share.max() - 1 < 1e-10:
            break
        w = w * share
    return w / w.sum()


def _check(fits: Mapping[str, Any], method: str) -> None:
    faults: list[ModelError] = []
    if method not in ("loo", "waic"):
        faults.append(ModelError(f"method is {method!r}", hint="'loo' or 'waic'"))
    if not isinstance(fits, Mapping) or len(fits) < 2:
        faults.append(ModelError("there are fewer than two fits", hint='give {"name": fit, "other": fit}'))
    else:
        faults += [
            ModelError(f"'{n}' is no fit with draws, but a {type(f).__name__}", hint="or give fit.loo()")
            for n, f in fits.items()
            if not isinstance(f, Elpd) and not hasattr(f, "loo")
        ]
    raise_all(faults, "the comparison")


def _same(found: Mapping[str, Elpd]) -> None:
    """The same observations in all fits, or their differences mean nothing."""
    first, *others = found
    faults = [
        ModelError(f"'{n}' and '{first}' have not the same observations", hint="fit both to the same data")
        for n in others
        if set(found[n].names) != set(found[first].names)
    ]
    faults += [
        ModelError(f"'{n}' has {found[n].kind}, '{first}' has {found[first].kind}", hint="use one of them")
        for n in others
        if found[n].kind != found[first].kind
    ]
    raise_all(faults, "the comparison")
