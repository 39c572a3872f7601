"""A fit in which discrete latents were summed out: what they probably are, unit by unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.fit import Fit

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pandas import DataFrame

    from dagmodels.results.bootstrap import Bootstrap

KINDS = ("parametric", "nonparametric")


@dataclass(frozen=True, eq=False, slots=True)
class States:
    """What discrete latents probably are.

    names : of the elements, by node. levels : of the values, by node. probabilities : by node (elements,
        levels). best : by node, the place of each element's level; of chains on the most probable whole path.
    """

    names: Mapping[str, list[str]]
    levels: Mapping[str, tuple[object, ...]]
    probabilities: Mapping[str, NDArray[np.float64]]
    best: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, eq=False, repr=False)
class MixtureFit(Fit):
    """A point fit with discrete latents; `latents` has one row a level, `z[a] == 2`, its probability.

    find_states : gives the states of the data fitted (None), or of new data.
    answers : what `query`, `probability` and `mpe` ask, by name.
    """

    find_states: Callable[[Any], States] = field(default=None, repr=False, kw_only=True)  # type: ignore[assignment]
    answers: Mapping[str, Callable[..., Any]] = field(
        default_factory=dict[str, Callable[..., Any]], repr=False, kw_only=True
    )

    def query(
        self,
        evidence: Any = None,
        targets: Any = None,
        joint: bool = False,
        data: Any = None,
        sizes: Mapping[str, Any] | None = None,
    ) -> dict[Any, Any]:
        """Exact probabilities given evidence, with the estimated numbers; as `Graph.query`.

        data : values seen beside the evidence; None takes the data fitted, unless sizes are given.
        sizes : elements of plates of which nothing is seen but the evidence: `sizes={"subject": 1}`.
        """
        return self.answers["query"](evidence, targets, joint, data=data, sizes=sizes)

    def probability(
        self, evidence: Any = None, data: Any = None, sizes: Mapping[str, Any] | None = None
    ) -> float:
        """The probability (density) of evidence together with the data; see `query`."""
        return self.answers["probability"](evidence, data=data, sizes=sizes)

    def mpe(
        self,
        evidence: Any = None,
        targets: Any = None,
        data: Any = None,
        sizes: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], Any]:
        """Most probable states given evidence and data, and their log probability; see `query`."""
        return self.answers["mpe"](evidence, targets, data=data, sizes=sizes)

    def bootstrap(
        self,
        draws: int = 999,
        seed: int = 1,
        statistic: Callable[[Fit], Any] | None = None,
        executor: Executor | None = None,
        *,
        kind: str = "parametric",
        units: str | None = None,
    ) -> Bootstrap:
        """Refits to responses drawn from the fit, or to its units drawn again; labels are those of this fit.

        Every search begins at the estimates of this fit. Labels that mean nothing are exchanged until the
        estimates lie nearest to those of this fit.

        Parameters
        ----------
        draws, seed, statistic, executor : see `Fit.bootstrap`.
        kind : "parametric", or "nonparametric": units drawn with replacement.
        units : the plate whose elements are drawn with all that lies in them; None for the finest ones
            that are independent (rows of a mixture, persons with several items, whole chains).
        """
        from dagmodels.results.bootstrap import bootstrap

        faults = []
        if kind not in KINDS:
            faults.append(ModelError(f"kind is {kind!r}", hint=f"one of {', '.join(map(repr, KINDS))}"))
        if units is not None and kind != "nonparametric":
            faults.append(ModelError("units are drawn again for kind='nonparametric' alone"))
        raise_all(faults, "the bootstrap")
        if kind == "parametric":
            return bootstrap(self, draws, seed, statistic, executor)
        of_units = replace(self, again=replace(self.again, units=units or ""))  # type: ignore[type-var]
        return replace(bootstrap(of_units, draws, seed, statistic, executor), kind=kind)

    def states(self, new: Any = None) -> DataFrame:
        """One row an element of a discrete latent: name, state, probability, path.

        `state` is the most probable level by itself, `path` that of the most probable assignment of all
        latents that hang together: of a hidden Markov chain the Viterbi path.

        new : data as given to `fit`, whose units are classified with the estimates of this fit; None for the
            data fitted.
        """
        from pandas import DataFrame

        found = self.find_states(new)
        rows: dict[str, list[Any]] = {"name": [], "state": [], "probability": [], "path": []}
        for node, names in found.names.items():
            probability, levels = found.probabilities[node], found.levels[node]
            top = probability.argmax(axis=1)
            rows["name"].extend(names)
            rows["state"].extend(levels[k] for k in top.tolist())
            rows["probability"].extend(probability.max(axis=1).tolist())
            rows["path"].extend(levels[k] for k in found.best[node].tolist())
        return DataFrame(rows)

    def log_likelihood_of(self, new: Any) -> float:
        """The log density of other data with the estimated numbers, hidden states summed out.

        new : data as given to `fit`, of units of their own.
        """
        return float(self.answers["log_likelihood"](new))

    def probabilities(self, node: str, new: Any = None) -> DataFrame:
        """Posterior probabilities of one latent: a row an element, a column a level."""
        from pandas import DataFrame

        found = self.find_states(new)
        if node not in found.probabilities:
            from dagmodels.results.fit import UnknownName

            raise UnknownName(f"'{node}' is no discrete latent (there are {', '.join(found.probabilities)})")
        return DataFrame(found.probabilities[node], index=found.names[node], columns=list(found.levels[node]))
