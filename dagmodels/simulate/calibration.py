"""Simulation-based calibration: is a backend's posterior the posterior of the model?

Draw the truth from the priors, data from the truth, and the posterior of these data: then the rank of each
truth among its draws is uniform, whatever the model (Talts, Betancourt, Simpson, Vehtari and Gelman 2018,
arXiv:1804.06788, theorem 1).  A chi-square test of ranks in bins tells when it is not.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError, FitWarning

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 5.0  # expected ranks in a bin
MOST_BINS = 20


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """Ranks of truths.

    names : of the quantities: scalar nodes, and up to `each` elements of nodes on plates.
    ranks : (replicates, quantities), from 0 to `draws`. draws : with which each truth was compared.
    """

    names: tuple[str, ...]
    ranks: Ints
    draws: int

    @property
    def bins(self) -> int:
        """The most that divide the possible ranks evenly and expect five ranks each."""
        most = min(MOST_BINS, int(len(self.ranks) / LEAST))
        return max((b for b in range(2, most + 1) if (self.draws + 1) % b == 0), default=1)

    @property
    def p_values(self) -> Mapping[str, float]:
        """Of the hypothesis that ranks are uniform, by quantity."""
        from scipy.stats import chi2

        bins, n = self.bins, len(self.ranks)
        if bins < 2:
            raise FitError(f"{n} replicates of {self.draws} draws are too few for a test: 100 of 99 will do")
        at = self.ranks * bins // (self.draws + 1)
        found = {}
        for k, name in enumerate(self.names):
            counts = np.bincount(at[:, k], minlength=bins)
            statistic = float(((counts - n / bins) ** 2).sum() / (n / bins))
            found[name] = float(chi2.sf(statistic, bins - 1))
        return found

    @property
    def p_value(self) -> float:
        """Of all quantities together: the smallest one times their number (Bonferroni), at most 1."""
        p = self.p_values
        return min(1.0, min(p.values()) * len(p))

    def __str__(self) -> str:
        p = self.p_values
        width = max(map(len, p))
        lines = [f"ranks of {len(self.ranks)} truths among {self.draws} draws, in {self.bins} bins", ""]
        lines += [f"  {'quantity':{width}}  p value"]
        lines += [f"  {n:{width}}  {v:.4f}" for n, v in p.items()]
        lines += ["", f"  all together: {self.p_value:.4f}"]
        return "\n".join(lines)


def calibration(
    graph: Any,
    data: Any = None,
    sizes: Mapping[str, Any] | None = None,
    *,
    replicates: int = 100,
    draws: int = 99,
    each: int = 3,
    method: str = "gibbs",
    seed: int = 1,
    fitted: Any = None,
    **options: Any,
) -> Calibration:
    """Calibrate a backend that draws on a model whose unknowns all have proper priors.

    Parameters
    ----------
    graph : the model. data, sizes : as for `simulate`: covariates, and the elements of plates.
    replicates : data sets. draws : of one chain for each; thin them (`thin=`) until they are nearly
        independent. each : elements tested of a node on plates.
    method, options : of `fit`, for any backend.
    fitted : another model for the same data, which is fitted instead: what a test of this test needs.

    Returns
    -------
    The ranks; `p_value` is below 0.001 once in a thousand runs of a right sampler.

    Raises `FitError` for a backend without draws. Warnings of single fits are not shown.
    """
    model = graph if fitted is None else fitted
    sets = graph.simulate(data, sizes=sizes, draws=replicates, seed=seed)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    names: tuple[str, ...] = ()
    ranks = []
    for k, one in enumerate(sets if replicates > 1 else [sets]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)
            fit = model.fit(one, method=method, seed=seed + k, chains=1, draws=draws, **options)
        if fit.sampled is None:
            raise FitError(f"the backend '{fit.backend}' gave no draws: there is nothing to rank")
        found = _ranks(fit.sampled, one.truth, each, rng)
        names = tuple(found)
        ranks.append(list(found.values()))
    return Calibration(names, np.array(ranks, dtype=np.int64), draws)


def _ranks(sampled: Any, truth: Mapping[str, Any], each: int, rng: np.random.Generator) -> dict[str, int]:
    """Of each quantity; equal values are put in random order."""
    found = {}
    for node in sampled:
        if node not in truth:
            continue
        drawn = sampled[node][0].reshape(sampled.draws, -1)
        true = _numbers(sampled, node, truth[node]).reshape(-1)
        for k in range(min(each, true.size)):
            below = int((drawn[:, k] < true[k]).sum())
            equal = int((drawn[:, k] == true[k]).sum())
            found[sampled.names(node)[k]] = below + int(rng.integers(equal + 1))
    return found


def _numbers(sampled: Any, node: str, truth: Any) -> Floats:
    """The truth as draws hold it: levels by their codes."""
    if node not in sampled.states:
        return np.asarray(truth, dtype=np.float64)
    codes = {str(level): k for k, level in enumerate(sampled.labels[sampled.states[node]])}
    labels = np.asarray(truth, dtype=object)
    return np.array([float(codes[str(x)]) for x in labels.reshape(-1)])
