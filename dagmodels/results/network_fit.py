"""A fit of a discrete network: its tables, and the network itself with these numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dagmodels.graph.dag import Dag
from dagmodels.results.fit import Fit

Answer = Callable[..., Any]


@dataclass(frozen=True, eq=False, repr=False)
class NetworkFit(Fit):
    """Tables estimated from cases.

    `estimates` has the columns `node`, `given`, `state` and `cases` beside the usual ones: the combination
    of the parents' states, the state, and how many cases are expected to have that combination. Rows
    without any case keep the numbers they began with; their `what` is "no data".

    network : one case with the estimated numbers; `dm.Graph.of(fit.network)` is a graph again.
    """

    network: Dag = field(kw_only=True)
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer], repr=False, kw_only=True)

    def query(self, evidence: Any = None, targets: Any = None, joint: bool = False) -> dict[Any, Any]:
        """Exact probabilities given evidence, with the estimated numbers; as `Graph.query`."""
        return self.answers["query"](self.network, evidence, targets, joint)

    def probability(self, evidence: Any = None) -> Any:
        """The probability of evidence, or of each row of a table."""
        return self.answers["probability"](self.network, evidence)

    def mpe(self, evidence: Any = None, targets: Any = None) -> tuple[dict[str, Any], Any]:
        """Most probable states given evidence; as `Graph.mpe`."""
        return self.answers["mpe"](self.network, evidence, targets)
