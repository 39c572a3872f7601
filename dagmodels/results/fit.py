"""The result of a fit: estimates under the user's names, and how they were obtained."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import DagmodelsError, FitError
from dagmodels.graph.dag import Dag
from dagmodels.results.ranges import bounds
from dagmodels.results.shown import Shown

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pandas import DataFrame

    from dagmodels.forms.moments import MomentsSolution
    from dagmodels.results.bootstrap import Bootstrap
    from dagmodels.results.coefficients import CoefficientSpread
    from dagmodels.results.curves import Marginal, Marginals
    from dagmodels.results.draws.draws import Draws
    from dagmodels.results.measurement.attenuation import Attenuation
    from dagmodels.results.measurement.opinions import SecondOpinions
    from dagmodels.results.refitting import Again, Influence, Refitter, Target

Columns = Mapping[str, Sequence[Any] | NDArray[Any]]
Modes = Mapping[str, tuple[tuple[tuple[str, ...], ...], NDArray[np.float64]]]


class UnknownName(DagmodelsError, KeyError):
    """A name that no estimate has, with what to ask for instead."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, eq=False)
class Fit:
    """What a backend hands back. Holds columns of numbers; tables are made when asked for.

    graph : the model.
    backend : the backend's name.
    method : how the numbers were obtained, as a sentence: "exact restricted maximum likelihood".
    exact : no approximation of an integral and no Monte Carlo error.
    converged : the optimum carries its certificate (small gradient, no negative eigenvalue of the Hessian,
        one-sided test at a boundary); message says which test failed otherwise.
    estimate_columns : columns of `estimates`: name, estimate, se, lower, upper, what ("integrated",
        "profiled", "maximised", "defined", "fixed"), and others that the source language expects. Limits
        beyond a domain (a variance below zero, a correlation above 1) stop at its edge.
    latent_columns : columns of `latents`: name, estimate, sd; None without latents; or a function that
        gives them when they are asked for.
    latent_arrays : gives the latents' means by node as arrays of its shape, without names of elements; None
        where a backend has `latent_columns` alone.
    latent_modes : gives the latents' departures from their means alone, by node: labels along each plate, and
        an array of the node's shape; None where a backend has no cheaper way than `latent_columns`.
    log_likelihood : the maximised (restricted) log likelihood with all constants; None for draws.
    n_parameters, n_observations : as aic and bic count them.
    measures : by the field's names; aic and bic are added.
    diagnostics : gradient_norm, evaluations, seconds, ...
    boundary : names of estimates that lie on the edge of their domain, such as variances of zero.
    warnings : sentences the user must read.
    plan : the plan that was followed.
    covariance_names, covariance_matrix : sampling covariance of the estimates named.
    predictor : the backend's function behind `predict`.
    again : what the backend fits once more with: `refit`, `bootstrap`, `confint`.
    simulator : draws responses, given estimates by node and a stream; `Graph.fit` adds it.
    completer : of fits that draw what is missing by themselves, given streams of random numbers and what
        draws estimates by node from one: by stream the cells of nodes with gaps, flat, states by their codes.
        None where `impute` draws by a sampler.
    spread : the backend's function for the coefficients' covariance and its slopes, where they are exact.
    marginals : the posterior behind `marginal` and its quantiles; None for a point fit.
    sampled : the draws behind `draws`, as arrays by node (`results.draws.Draws`); None for a point fit.
    moments : the form and the optimum of fits from moments; None for others. coordinate_covariance : sampling
        covariance of that form's coordinates.
    beside : what fits other models to the same data: `attenuation`; `Graph.fit` adds it.
    plate_sizes : number of elements by plate of the data fitted, for pictures; `Graph.fit` adds them.
    """

    graph: Dag
    backend: str
    method: str
    exact: bool
    converged: bool
    message: str
    estimate_columns: Columns
    latent_columns: Columns | Callable[[], Columns | None] | None = None
    latent_arrays: Callable[[], Mapping[str, NDArray[np.float64]]] | None = field(default=None, repr=False)
    latent_modes: Callable[[], Modes] | None = field(default=None, repr=False)
    log_likelihood: float | None = None
    n_parameters: int = 0
    n_observations: int = 0
    measures: Mapping[str, float] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    boundary: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    plan: object | None = None
    covariance_names: tuple[str, ...] = ()
    covariance_matrix: NDArray[np.float64] | None = None
    predictor: Callable[..., Any] | None = field(default=None, repr=False)
    again: Again | None = field(default=None, repr=False)
    simulator: Callable[..., Any] | None = field(default=None, repr=False)
    completer: Callable[..., Sequence[Mapping[str, NDArray[np.float64]]]] | None = field(
        default=None, repr=False
    )
    spread: Callable[[], CoefficientSpread] | None = field(default=None, repr=False)
    marginals: Marginals | None = field(default=None, repr=False)
    sampled: Draws | None = field(default=None, repr=False)
    moments: MomentsSolution | None = field(default=None, repr=False)
    coordinate_covariance: Any = field(default=None, repr=False)
    plate_sizes: Mapping[str, int] = field(default_factory=dict, repr=False)
    beside: Any = field(default=None, repr=False)

    INSIDE: ClassVar[frozenset[str]] = frozenset({
        "INSIDE", "estimate_columns", "latent_columns", "latent_modes", "latent_table", "covariance_names",
        "latent_arrays",
        "covariance_matrix", "predictor", "again", "simulator", "completer", "beside", "targets", "marginals",
        "domains", "spread", "_estimates", "_latents", "moments", "coordinate_covariance",
    })  # fmt: skip

    def __post_init__(self) -> None:
        measures = dict(self.measures)
        if self.log_likelihood is not None:
            measures.setdefault("aic", 2 * self.n_parameters - 2 * self.log_likelihood)
            if self.n_observations > 0:
                penalty = math.log(self.n_observations) * self.n_parameters
                measures.setdefault("bic", penalty - 2 * self.log_likelihood)
        object.__setattr__(self, "measures", measures)
        object.__setattr__(self, "estimate_columns", _inside(self.graph, self.estimate_columns))

    @property
    def aic(self) -> float | None:
        """Akaike's criterion, -2 log likelihood + 2 parameters; None without a likelihood."""
        return self.measures.get("aic")

    @property
    def bic(self) -> float | None:
        """Schwarz's criterion, -2 log likelihood + log(observations) parameters."""
        return self.measures.get("bic")

    @property
    def estimates(self) -> DataFrame:
        """One row an estimate: name, estimate, se, lower, upper (95 % limits), what. Yours to change."""
        return self._estimates.copy()

    @property
    def latents(self) -> DataFrame:
        """One row an element of a latent node: name, estimate, sd (given the parameters). Yours to change."""
        return self._latents.copy()

    @cached_property
    def _estimates(self) -> DataFrame:
        return _frame(self.estimate_columns)

    @cached_property
    def _latents(self) -> DataFrame:
        return _frame(self.latent_table)

    @cached_property
    def latent_table(self) -> Columns:
        """The columns of `latents`; a backend's function for them is called when first asked for."""
        columns = self.latent_columns() if callable(self.latent_columns) else self.latent_columns
        return columns or {"name": [], "estimate": [], "sd": []}

    @cached_property
    def draws(self) -> Any:
        """The draws as the tree of xarray that ArviZ reads; None for a point fit. `fit.draws["theta"]` has
        the dimensions chain, draw and the plates with their labels."""
        return None if self.sampled is None else self.sampled.to_arviz()

    @property
    def covariance(self) -> DataFrame | None:
        """Sampling covariance of the estimates, by name; None where the backend gives none."""
        if self.covariance_matrix is None:
            return None
        from pandas import DataFrame

        names = list(self.covariance_names)
        return DataFrame(np.array(self.covariance_matrix), index=names, columns=names)

    def __getitem__(self, name: str) -> float:
        """The estimate of that name: `fit["tau"]`."""
        names = list(map(str, self.estimate_columns["name"]))
        if name not in names:
            raise UnknownName(_unknown(self.graph, name, names))
        return float(self.estimate_columns["estimate"][names.index(name)])

    def predict(self, new: Any = None, **options: Any) -> Any:
        """Expected values of the observed nodes: one a given row, in the rows' order.

        A dict by node where several are observed. Matrices (data by position, or frames that name rows and
        columns apart) give matrices.

        new : data as given to `fit`; observed columns are not needed. None means the data fitted, in the
            order of their rows (of their elements, where they were no rows). Elements seen in the fit keep
            their latents, new ones get the mean that their law gives them (in fits from moments, given what
            their rows show); chains go on step by step from their last element.
        options : the backend's. Of laplace: `type="link"` for the linear predictor, `sd=True` for the triple
            (mean, sd, sd_new) with standard deviations of the mean and of a new observation.

        Raises
        ------
        FitError : something that has no expected value, with the reason; a backend without predictions.
        ModelErrors : data that do not fit the model, or that contradict what known elements were fitted with.
        """
        if self.predictor is None:
            raise FitError(f"the '{self.backend}' backend gives no predictions for '{self.graph.name}'")
        known = inspect.signature(self.predictor)
        try:
            known.bind(new, **options)
        except TypeError as error:
            told = ", ".join(f"{k}={v!r}" for k, v in options.items() if k not in known.parameters)
            there = ", ".join(list(known.parameters)[1:]) or "no options"
            raise FitError(
                f"predict: the '{self.backend}' backend does not take {told} (there are new, {there})"
            ) from error
        return self.predictor(new, **options)

    def marginal(self, name: str) -> Marginal:
        """Posterior density of an estimate or of a latent's element: `x, density = fit.marginal("tau")`.

        The density integrates to one over x. For fits with `posterior=True` alone.
        """
        if self.marginals is None:
            raise FitError(
                f"this fit of '{self.graph.name}' is a point estimate and has no densities; "
                "fit with posterior=True, where every unknown has a proper prior"
            )
        found = self.marginals.density(name)
        if found is None:
            names = [*self.estimate_columns["name"], *self.latent_table["name"]]
            raise UnknownName(_unknown(self.graph, name, list(map(str, names))))
        return found

    # -- the fit once more

    def refit(self, y: Any) -> Fit:
        """The fit for other responses in the same cells: nothing but them is read anew.

        y : numbers in the order (or shape) of the observed node's elements, missing ones ignored; a dict by
            node where several are observed. `refitter()` is for many of them.
        """
        return self.refitter().fit(y)

    def refitter(self) -> Refitter:
        """What refits in a loop: `r.refit(y)` gives `estimates` (in the order of `r.names`), `criterion`,
        `converged` and no tables; `r.fit(y)` the whole fit. One for each thread."""
        if self.again is None:
            raise FitError(f"the '{self.backend}' backend does not refit '{self.graph.name}'")
        return self.again.refitter(self.simulator)

    def bootstrap(
        self,
        draws: int = 999,
        seed: int = 1,
        statistic: Callable[[Fit], Any] | None = None,
        executor: Executor | None = None,
    ) -> Bootstrap:
        """Parametric bootstrap: responses (and latents) drawn from the fit, the model fitted to each.

        Parameters
        ----------
        draws : how many. seed : of all random numbers; the same numbers with any executor.
        statistic : from a fit to a number, numbers or a dict of them; None for the estimates, which is far
            faster, because no tables are made.
        executor : any of `concurrent.futures`; other processes need a statistic that travels (no lambda).

        Refits that fail are counted and told (`failures`), and left out of the intervals.
        """
        from dagmodels.results.bootstrap import bootstrap

        return bootstrap(self, draws, seed, statistic, executor)

    def confint(
        self,
        method: str = "wald",
        level: float = 0.95,
        which: str | Iterable[str] | None = None,
        **options: Any,
    ) -> DataFrame:
        """Confidence intervals: name, estimate, lower, upper.

        Parameters
        ----------
        method : "wald" (estimate and standard errors), "profile" (of the likelihood; REML fits are profiled
            by ML, as in lme4), "boot", or "posterior" (equal tails, of fits with `posterior=True`).
        which : names; None for all (profiles: all estimates that are not defined by others).
        options : for "boot" those of `bootstrap`, and `kind`, as of `Bootstrap.intervals`.
        """
        from dagmodels.results.intervals import confint

        return confint(self, method, level, which, options)

    # -- influence of the responses

    def leverage(self) -> Any:
        """Leverage of each observed cell: the derivative of its expected value in its own response, the outer
        unknowns held; their sum is the number of parameters that the means effectively have. In the shape
        of the observed node (a dict for several), NaN where nothing was observed. For linear Normal leaves.
        """
        found = self.influence().leverage()
        return next(iter(found.values())) if len(found) == 1 else found

    def cooks_distance(self, by: str | None = None) -> Any:
        """Cook's distance of the coefficients without prior: how far they move, in the metric of their
        covariance and divided by their number, when cells are left out (the outer unknowns held).

        by : a plate, whose elements are left out one by one with all their cells; None for single cells.
        NaN where the coefficients are not identified without these cells.
        """
        influence = self.influence()
        if by is not None:
            sets, count = influence.sets(by)
            return influence.cooks(sets, count)
        found = influence.cooks(None, 0)
        return next(iter(found.values())) if len(found) == 1 else found

    def influence(self) -> Influence:
        """What `leverage` and `cooks_distance` ask: sums are made once, for sets of cells of your own too."""
        if self.again is None:
            raise FitError(f"the '{self.backend}' backend has no closed forms of influence")
        return self.again.influence()

    # -- what is missing

    def impute(self, m: int = 20, seed: int = 1) -> list[Any]:
        """Complete data sets: what is missing, drawn from the fitted model given what is not.

        Each begins with a draw of the estimates from their sampling distribution (of draws: another draw of
        the posterior), so that `dm.pool` of fits to them is valid where the model is, and values are missing
        at random given what the model holds.

        m : how many. seed : of all random numbers.

        Returns
        -------
        Mappings of frames and arrays as `Graph.simulate` returns them: each is data for `fit`.

        Raises
        ------
        FitError : nothing is missing, or estimates that are no numbers of the model's nodes.
        """
        return self._with_data().impute(self, m, seed)

    # -- covariates measured with error

    def attenuation(self, readings: Mapping[str, Any] | None = None) -> Attenuation:
        """What errors of covariates did: naive and corrected coefficients, reliability, loss of precision.

        The naive fit takes the mean of the readings of each true value for the true value itself.

        readings : by true value its readings, where the graph does not tell: `{"x": "w"}`.

        Raises
        ------
        ModelErrors : nothing was measured with error, or the model does not say by what.
        FitError : no backend fits the naive model.
        """
        return self._with_data().attenuation(self, readings)

    def second_opinions(
        self,
        readings: Mapping[str, Any] | None = None,
        draws: int = 200,
        replicates: int = 100,
        seed: int = 1,
    ) -> SecondOpinions:
        """Classical estimators of the coefficients of mismeasured covariates, from the same graph and data.

        For Normal outcomes moments (eivreg), regression calibration and SIMEX; for Bernoulli and Poisson
        outcomes with their canonical links the last two and the conditional score; the corrected score for
        Poisson; MC-SIMEX for a misclassified binary covariate. `refusals` tells why one gave no answer.

        Parameters
        ----------
        readings : as for `attenuation`.
        draws : bootstrap resamples of regression calibration. replicates : data sets of SIMEX at each of four
            amounts of added error. seed : of all random numbers.
        """
        return self._with_data().second_opinions(self, readings, draws, replicates, seed)

    def _with_data(self) -> Any:
        if self.beside is None:
            raise FitError(f"this fit of '{self.graph.name}' does not hold its data: fit it with Graph.fit")
        return self.beside

    def domains(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest value that each estimate may have."""
        lowest, highest = bounds(self.graph, self.estimate_columns["name"])
        return np.asarray(lowest, dtype=float), np.asarray(highest, dtype=float)

    def targets(self, names: Sequence[str]) -> list[Target]:
        """Estimates as functions of the backend's own."""
        from dagmodels.results.refitting import Target, itself

        every = list(map(str, self.estimate_columns["name"]))
        lowest, highest = self.domains()
        at = [every.index(n) for n in names]
        return [Target(n, (n,), itself, lowest[i], highest[i]) for n, i in zip(names, at, strict=True)]

    def summary(self) -> str:
        """Method, criterion, estimates, boundary and certificate as aligned text."""
        from dagmodels.results.summary import summary

        return Shown(summary(self))

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from dagmodels.results.shown import fit_html

        return fit_html(self)

    def __dir__(self) -> list[str]:
        """What users ask for; what backends hand over and tables are made of is left out."""
        return [n for n in super().__dir__() if n not in self.INSIDE]

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        count = len(self.estimate_columns["name"])
        return f"<Fit of {self.graph.name} by {self.backend}: {count} estimates, {state}>"

    def to_json(self) -> dict[str, Any]:
        """The agreed record of a fit, ready for `json.dumps`; numbers that are not finite are None."""
        from dagmodels.results.records import fit_record

        return fit_record(self)

    def save(self, json: Any = None, csv: Any = None) -> None:
        """Write the record as JSON, the table of estimates as CSV, or both; whole or not at all.

        Raises ModelErrors before anything is written when a folder is not writable.
        """
        from dagmodels.results.records import save

        save(self, json=json, csv=csv)


def _unknown(graph: Dag, name: object, names: Sequence[str]) -> str:
    """Why there is no estimate of this name, and what there is instead."""
    told = f"no estimate is named {name!r}"
    node = graph.nodes.get(str(name).partition("[")[0])
    parts = [n for n in names if n.partition("[")[0] == str(name)]
    if parts:
        return f"{told}; it has elements: {_some(parts)}"
    if (
        node is not None
        and node.role == "latent"
        and not any(n.partition("[")[0] == node.name for n in names)
    ):
        return f"{told}: '{node.name}' is latent, and its elements are in `fit.latents`"
    near = difflib.get_close_matches(str(name), names, 1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{told}; {hint}There are {_some(names)}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:10])}, ... ({len(names)})"


def _inside(graph: Dag, columns: Columns) -> Columns:
    """The estimates with limits that stop where the model says that no value lies beyond."""
    if isinstance(columns, _Limited) or "lower" not in columns or "upper" not in columns:
        return columns
    lowest, highest = bounds(graph, columns["name"])
    lower = np.asarray(columns["lower"], dtype=float)
    upper = np.asarray(columns["upper"], dtype=float)
    if not ((lower < lowest).any() or (upper > highest).any()):
        return _Limited(columns)
    return _Limited({**columns, "lower": np.maximum(lower, lowest), "upper": np.minimum(upper, highest)})


class _Limited(dict[str, Sequence[Any]]):
    """Columns whose limits stop where they should: what `dataclasses.replace` need not look at again."""


def _frame(columns: Columns) -> DataFrame:
    from pandas import DataFrame

    return DataFrame({name: list(values) for name, values in columns.items()})
