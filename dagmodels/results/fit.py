"""The result of a fit: estimates under the user's names, and how they were obtained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.graph.dag import Dag
from dagmodels.results.ranges import bounds

if TYPE_CHECKING:
    from pandas import DataFrame

Columns = Mapping[str, Sequence[Any] | NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Fit:
    """What a backend hands back. Holds columns of numbers; tables are made when asked for.

    graph : the model.
    backend : the backend's name.
    method : how the numbers were obtained, as a sentence: "exact restricted maximum likelihood".
    exact : no approximation of an integral and no Monte Carlo error.
    converged : the optimum carries its certificate (small gradient, positive definite Hessian,
        one-sided test at a boundary); message says which test failed otherwise.
    estimate_columns : columns of `estimates`: name, estimate, se, lower, upper, what ("integrated",
        "profiled", "maximised", "defined", "fixed"), and others that the source language expects. Limits
        beyond a domain (a variance below zero, a correlation above 1) stop at its edge.
    latent_columns : columns of `latents`: name, estimate, sd; None without latents; or a function that
        gives them when they are asked for.
    log_likelihood : the maximised (restricted) log likelihood with all constants; None for draws.
    n_parameters, n_observations : as aic and bic count them.
    measures : by the field's names; aic and bic are added.
    diagnostics : gradient_norm, evaluations, seconds, ...
    boundary : names of estimates that lie on the edge of their domain, such as variances of zero.
    warnings : sentences the user must read.
    plan : the plan that was followed.
    covariance_names, covariance_matrix : sampling covariance of the estimates named.
    predictor : the backend's function behind `predict`.
    draws : None for a point fit.
    """

    graph: Dag
    backend: str
    method: str
    exact: bool
    converged: bool
    message: str
    estimate_columns: Columns
    latent_columns: Columns | Callable[[], Columns | None] | None = None
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
    predictor: Callable[[Any], Any] | None = field(default=None, repr=False)
    draws: Any = None

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

    @cached_property
    def estimates(self) -> DataFrame:
        """One row an estimate: name, estimate, se, lower, upper (95 % limits), what."""
        return _frame(self.estimate_columns)

    @cached_property
    def latents(self) -> DataFrame:
        """One row an element of a latent node: name, estimate, sd (given the parameters)."""
        return _frame(self.latent_table)

    @cached_property
    def latent_table(self) -> Columns:
        """The columns of `latents`; a backend's function for them is called when first asked for."""
        columns = self.latent_columns() if callable(self.latent_columns) else self.latent_columns
        return columns or {"name": [], "estimate": [], "sd": []}

    @cached_property
    def covariance(self) -> DataFrame | None:
        """Sampling covariance of the estimates, by name; None where the backend gives none."""
        if self.covariance_matrix is None:
            return None
        from pandas import DataFrame

        names = list(self.covariance_names)
        return DataFrame(np.asarray(self.covariance_matrix), index=names, columns=names)

    def __getitem__(self, name: str) -> float:
        """The estimate of that name: `fit["tau"]`."""
        names = list(self.estimate_columns["name"])
        if name not in names:
            raise KeyError(f"no estimate named '{name}'; there are {', '.join(map(str, names))}")
        return float(self.estimate_columns["estimate"][names.index(name)])

    def predict(self, new: Any = None) -> Any:
        """Expected values of the observed nodes for new data (frames as `fit` takes them).

        new : data as given to `fit`, without the observed columns; None means the data fitted.
            Elements seen in the fit keep their latents, new ones get the latents' mean.
        """
        if self.predictor is None:
            raise FitError(f"the '{self.backend}' backend gives no predictions for '{self.graph.name}'")
        return self.predictor(new)

    def summary(self) -> str:
        """Method, criterion, estimates, boundary and certificate as aligned text."""
        from dagmodels.results.summary import summary

        return summary(self)

    def __str__(self) -> str:
        return self.summary()

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


def _inside(graph: Dag, columns: Columns) -> Columns:
    """The estimates with limits that stop where the model says that no value lies beyond."""
    if "lower" not in columns or "upper" not in columns:
        return columns
    lowest, highest = bounds(graph, columns["name"])
    lower = np.asarray(columns["lower"], dtype=float)
    upper = np.asarray(columns["upper"], dtype=float)
    if not ((lower < lowest).any() or (upper > highest).any()):
        return columns
    return {**columns, "lower": np.maximum(lower, lowest), "upper": np.minimum(upper, highest)}


def _frame(columns: Columns) -> DataFrame:
    from pandas import DataFrame

    return DataFrame({name: list(values) for name, values in columns.items()})
