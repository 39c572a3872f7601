"""A fit in which discrete latents were summed out: what they probably are, unit by unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.fit import Fit

if TYPE_CHECKING:
    from pandas import DataFrame


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
    """

    find_states: Callable[[Any], States] = field(default=None, repr=False, kw_only=True)  # type: ignore[assignment]

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

    def probabilities(self, node: str, new: Any = None) -> DataFrame:
        """Posterior probabilities of one latent: a row an element, a column a level."""
        from pandas import DataFrame

        found = self.find_states(new)
        if node not in found.probabilities:
            from dagmodels.results.fit import UnknownName

            raise UnknownName(f"'{node}' is no discrete latent (there are {', '.join(found.probabilities)})")
        return DataFrame(found.probabilities[node], index=found.names[node], columns=list(found.levels[node]))
