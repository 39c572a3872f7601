"""Ordered variables that are latent responses cut at thresholds (Pearson 1900; McKelvey and Zavoina 1975)."""

from __future__ import annotations

from dataclasses import dataclass

from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, remembered
from dagmodels.graph.statement import Stochastic


@dataclass(frozen=True, slots=True)
class Cut:
    """An observed node, the latent response behind it, and the thresholds between its categories."""

    name: str
    response: str
    thresholds: tuple[ex.Expression, ...]


@remembered
def cuts(dag: Dag) -> tuple[Cut, ...]:
    """All nodes whose category says between which thresholds one latent node of the same element lies."""
    found = []
    for node in dag.nodes.values():
        if not node.observed or len(node.statements) != 1:
            continue
        statement = node.statements[0]
        if isinstance(statement, Stochastic) and statement.distribution.family == "Categorical":
            chances = statement.distribution.argument("p")
            if isinstance(chances, ex.Vector) and (cut := _cut(node.name, chances.items)) is not None:
                found.append(cut)
    return tuple(found)


def _cut(name: str, chances: tuple[ex.Expression, ...]) -> Cut | None:
    """The cut that these zeros and ones say: r <= t1, (t1 < r)*(r <= t2), ..., r > tk."""
    if len(chances) < 2:
        return None
    match chances[0]:
        case ex.Binary("<=", ex.Reference() as response, first):
            thresholds = [first]
        case _:
            return None
    for chance in chances[1:-1]:
        match chance:
            case ex.Binary("*", ex.Binary("<", low, above), ex.Binary("<=", below, high)) if (
                low == thresholds[-1] and above == response == below
            ):
                thresholds.append(high)
            case _:
                return None
    if chances[-1] != ex.Binary(">", response, thresholds[-1]):
        return None
    return Cut(name, response.name, tuple(thresholds))
