"""The result of a backend that draws."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.graph.dag import Dag
from dagmodels.results.draws.draws import Draws
from dagmodels.results.fit import Columns, Fit

if TYPE_CHECKING:
    from dagmodels.numerics.chains.diagnose import Diagnosis
    from dagmodels.results.draws.elpd import Elpd
    from dagmodels.results.draws.stored import Told

Floats = NDArray[np.float64]


class Further(Protocol):
    """Chains that can go on."""

    def extended(self, before: Draws, draws: int, options: dict[str, Any]) -> DrawsFit:
        """A fit of the draws before and so many more of each chain."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class DrawsFit(Fit):
    """A fit by draws: all of `Fit`, and what only draws give. Made by `draws_fit`.

    estimates : one row an element: name, estimate, se, lower, upper (2.5 and 97.5 %), mean, sd, mcse (of the
        mean), ess_bulk, ess_tail, rhat. Discrete nodes have one row a level, `z[a] == 2`, its probability.
    converged : the verdict holds: R-hat below 1.01, bulk and tail ESS of 100 a chain, no divergence, E-BFMI
        above 0.3, all numbers finite. message : which of it does not, of which nodes, what to try.
    sampled : the draws, as arrays. `fit.draws` is ArviZ's tree of them.
    pointwise : gives the log likelihood of every observation in every draw: by node (chains, draws, *plates).
    further : goes on with the chains.
    """

    pointwise: Callable[[Draws], Mapping[str, Floats]] | None = field(default=None, repr=False)
    further: Further | None = field(default=None, repr=False)

    INSIDE: ClassVar[frozenset[str]] = Fit.INSIDE | {"sampled", "further"}

    @property
    def samples(self) -> Draws:
        """The draws as arrays by node."""
        assert isinstance(self.sampled, Draws)
        return self.sampled

    def extend(self, draws: int, **options: Any) -> DrawsFit:
        """A fit of these draws and so many more of each chain, exactly those that one long run would give.

        options : executor, progress, until, most; of this run alone.
        """
        if self.further is None:
            raise FitError(f"the draws of '{self.graph.name}' cannot go on: no chains are kept beside them")
        found = self.further.extended(self.samples, draws, options)
        return replace(
            found, plate_sizes=self.plate_sizes, simulator=self.simulator, pointwise=self.pointwise
        )

    # -- prediction

    def posterior_predictive(self, seed: int = 1, thin: int = 1) -> Mapping[str, Floats]:
        """Observed nodes drawn anew, one data set a draw: by node, (chains, draws, *plates).

        seed : of all random numbers. thin : every how many draws are used.
        """
        return self._simulator("posterior_predictive")(self._every(thin), seed)

    def prior_predictive(
        self, draws: int = 500, seed: int = 1
    ) -> tuple[Mapping[str, Floats], Mapping[str, Floats]]:
        """Unknowns drawn from their priors, and the data that follow: both by node, (1, draws, *plates)."""
        return self._simulator("prior_predictive")(draws, seed)

    def log_likelihoods(self) -> Mapping[str, Floats]:
        """Log density of every observation in every draw, given all other nodes (its latents too): by node,
        (chains, draws, *plates), nan where nothing was observed."""
        return self._log_likelihoods

    @cached_property
    def _log_likelihoods(self) -> Mapping[str, Floats]:
        of = self.pointwise if self.pointwise is not None else self._simulator("log_likelihood")
        return of(self.samples)

    def _every(self, thin: int) -> Draws:
        if thin == 1:
            return self.samples
        values = {n: v[:, ::thin] for n, v in self.samples.values.items()}
        return replace(self.samples, values=values, statistics={}, place=None)

    def _simulator(self, verb: str) -> Callable[..., Any]:
        found = getattr(self.simulator, verb, None)
        if found is None:
            raise FitError(f"this fit of '{self.graph.name}' was not made by `Graph.fit`: it cannot simulate")
        return found

    # -- comparison

    def loo(self) -> Elpd:
        """Expected log predictive density, leaving out one observation at a time (PSIS-LOO)."""
        from dagmodels.results.draws.elpd import elpd

        return elpd("loo", self._observations(), self._efficiency())

    def waic(self) -> Elpd:
        """The widely applicable information criterion, on the scale of log densities."""
        from dagmodels.results.draws.elpd import elpd

        return elpd("waic", self._observations())

    def _observations(self) -> dict[str, tuple[list[str], Floats]]:
        found: dict[str, tuple[list[str], Floats]] = {}
        for node, value in self.log_likelihoods().items():
            flat = value.reshape(*value.shape[:2], -1)
            seen = np.asarray(~np.isnan(flat).all(axis=(0, 1)))
            names = self.samples.names(node)
            found[node] = [n for n, s in zip(names, seen, strict=True) if s], flat[:, :, seen]
        if not any(names for names, _ in found.values()):
            raise FitError(f"'{self.graph.name}' has no observed node: there is nothing to predict")
        return found

    def _efficiency(self) -> float:
        """Mean effective share of draws over all quantities, 1 of a single chain: as ArviZ does."""
        from dagmodels.numerics.chains.diagnose import ess_mean

        if self.samples.chains == 1:
            return 1.0
        _, table = self.samples.table()
        return float(ess_mean(table).mean() / (self.samples.chains * self.samples.draws))

    # -- as others know them

    def to_arviz(self, *groups: str, seed: int = 1) -> Any:
        """ArviZ's tree, with groups made on the way: "log_likelihood", "posterior_predictive", "prior"
        (with "prior_predictive")."""
        found: dict[str, Mapping[str, Floats]] = {}
        for group in groups:
            if group == "log_likelihood":
                found[group] = self.log_likelihoods()
            elif group == "posterior_predictive":
                found[group] = self.posterior_predictive(seed)
            elif group in ("prior", "prior_predictive"):
                found["prior"], found["prior_predictive"] = self.prior_predictive(seed=seed)
            else:
                known = "log_likelihood, posterior_predictive, prior"
                raise FitError(f"to_arviz: there is no group {group!r} (there are {known})")
        return self.samples.with_groups(**found).to_arviz()

    def save(self, json: Any = None, csv: Any = None, draws: Any = None) -> None:
        """Write the record as JSON, the estimates as CSV, the draws as .nc or .zarr; each whole or not."""
        super().save(json=json, csv=csv)
        if draws is not None:
            self.samples.save(draws)

    # -- pictures

    def plot_trace(self, path: str | os.PathLike[str], nodes: Sequence[str] | None = None) -> Path:
        """Draw the chains of some nodes (None: the first twelve quantities) and their densities."""
        from dagmodels.results.draws.pictures import trace

        return trace(path, self.samples, nodes)

    def plot_rank(self, path: str | os.PathLike[str], nodes: Sequence[str] | None = None) -> Path:
        """Draw how each chain's ranks are spread, which is evenly where chains have mixed."""
        from dagmodels.results.draws.pictures import ranks

        return ranks(path, self.samples, nodes)


def draws_fit(
    graph: Dag,
    draws: Draws,
    *,
    backend: str,
    method: str,
    blamed: Mapping[str, int] | None = None,
    updates: Mapping[str, str] | None = None,
    moved: Collection[str] | None = None,
    independent: bool = False,
    diagnostics: Mapping[str, Any] | None = None,
    warnings: tuple[str, ...] = (),
    found: Told | None = None,
    **others: Any,
) -> DrawsFit:
    """The fit of a backend's draws: table, verdict, figures.

    Parameters
    ----------
    draws : what is reported; see `Draws.monitored`.
    method : how they were made, as a sentence. blamed : divergences by node, where known.
    updates : how each node was drawn, in words, where nodes are drawn each in its own way.
    moved : nodes that trajectories moved, as they are written; None: all unknowns.
    independent : they are no chains, and neither R-hat nor effective sizes decide.
    diagnostics : the backend's own: "seconds", ...
    found : what `diagnosed` says of the draws, where that is known.
    others : fields of the fit: plan, pointwise, n_observations, ...
    """
    from dagmodels.results.draws.stored import diagnosed
    from dagmodels.results.draws.verdict import judge

    names, diagnosis = diagnosed(draws) if found is None else found
    told = judge(graph, draws, names, diagnosis, blamed, updates, moved, independent=independent)
    if "n_observations" not in others:
        data = draws.groups.get("observed_data", {})
        others["n_observations"] = sum(int(np.isfinite(v).sum()) for v in data.values())
    return DrawsFit(
        graph=graph,
        backend=backend,
        method=method,
        exact=False,
        converged=told.holds,
        message="; ".join(told.sentences) or _certificate(independent),
        estimate_columns=_columns(names, diagnosis),
        latent_columns=_latents(graph, names, diagnosis),
        log_likelihood=None,
        diagnostics={**told.figures, **(diagnostics or {})},
        warnings=warnings,
        sampled=draws,
        **others,
    )


def _certificate(independent: bool) -> str:
    if independent:
        return "independent draws"
    return "R-hat below 1.01 and 100 effective draws a chain for all"


def _columns(names: list[str], found: Diagnosis) -> Columns:
    return {
        "name": names,
        "estimate": found.mean,
        "se": found.sd,
        "lower": found.quantiles[0],
        "upper": found.quantiles[1],
        "mean": found.mean,
        "sd": found.sd,
        "mcse": found.mcse,
        "ess_bulk": found.ess_bulk,
        "ess_tail": found.ess_tail,
        "rhat": found.rhat,
    }


def _latents(graph: Dag, names: list[str], found: Diagnosis) -> Columns | None:
    """The rows of latent nodes on plates."""

    def latent(name: str) -> bool:
        node = graph.nodes.get(name.partition("[")[0])
        return node is not None and node.role == "latent" and bool(node.plates)

    at = [i for i, n in enumerate(names) if latent(n)]
    if not at:
        return None
    return {"name": [names[i] for i in at], "estimate": found.mean[at], "sd": found.sd[at]}
