"""What a simulation returns: data as `fit` takes them, and the truth behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import BoundPlate, Problem
from dagmodels.graph.dag import Dag, Node
from dagmodels.graph.statement import Joint, Stochastic
from dagmodels.simulate.arguments import leaves

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Simulated(Mapping[str, Any]):
    """One simulated data set; as a mapping it is what `fit`, `check` and `bind` take.

    Its entries are a pandas DataFrame for each plate (one row an element: its level, the levels of the
    plates that it lies in, and the covariates and observed nodes on exactly that plate), and, under
    its own name, each covariate and observed node on no plate (a number) or on several (an array
    with one axis a plate).

    truth : every unobserved node: parameters, latents, deterministic nodes, as numbers or as arrays with
        one axis a plate; observed nodes of which some entries are withheld, whole; and under `Table(x)`
        the probabilities of tables that the model leaves unknown. Discrete nodes hold labels.
    levels : the labels of each plate in the order of those axes, as results print them.
    what : the data are, as `repr` says it.
    """

    data: Mapping[str, Any]
    truth: Mapping[str, Any]
    levels: Mapping[str, tuple[str, ...]]
    _crossed: Mapping[str, Mapping[str, Any]]
    what: str = "simulated data"

    def __eq__(self, other: object) -> bool:
        """Identity: frames do not compare as a whole."""
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """All data as long frames: one a plate, and one for the nodes on each set of crossed plates, named
        by these joined by `_`, with their level columns."""
        import pandas as pd

        found = {name: frame for name, frame in self.data.items() if isinstance(frame, pd.DataFrame)}
        found.update({name: pd.DataFrame(dict(columns)) for name, columns in self._crossed.items()})
        return found

    def __repr__(self) -> str:
        lines = [f"{name}: {_told(value)}" for name, value in self.data.items()]
        truth = [f"truth: {', '.join(self.truth)}"] if self.truth else []
        return "\n".join([self.what, *(f"  {line}" for line in (*lines, *truth))])


def _told(value: Any) -> str:
    if hasattr(value, "columns"):
        return f"{len(value)} rows of {', '.join(map(str, value.columns))}"
    return f"array of {' x '.join(map(str, value.shape))}" if np.ndim(value) else str(value)


def assemble(problem: Problem, values: Mapping[str, Floats], tables: Mapping[str, Floats]) -> Simulated:
    """The values of all nodes as frames, arrays and truth.

    Entries of observed nodes that the data given leave missing stay missing; their values are in `truth`.
    """
    import pandas as pd

    dag = problem.graph
    columns = {p.name: _levels(problem, p.name) for p in dag.plates if p.alias_of is None}
    columns = {name: found for name, found in columns.items() if problem.plates[name].size}
    needed = {name for name in columns if not _stated(dag, name)}
    truth: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    crossed: dict[str, dict[str, Any]] = {}
    for name, node in dag.nodes.items():
        shape = problem.shape(name)
        if node.kind == "constant":
            continue
        whole = _typed(problem, node, values[name]).reshape(shape)
        if not (node.observed or node.kind == "covariate"):
            truth[name] = whole if shape else whole[()]
            continue
        kept = _withheld(problem, node, values[name])
        if kept is not values[name]:
            truth[name] = whole if shape else whole[()]
        shown = _typed(problem, node, kept)
        if len(node.plates) == 1 and node.plates[0] in columns:
            needed.add(node.plates[0])
            columns[node.plates[0]][name] = shown
            continue
        arrays[name] = shown.reshape(shape) if shape else shown[0]
        if shape:
            group = crossed.setdefault("_".join(node.plates), {})
            for plate in node.plates:
                group.update(_level_columns(problem, plate, problem.rows(node.plates).codes[plate]))
            group[name] = shown
    frames = {name: pd.DataFrame(found) for name, found in columns.items() if name in needed}
    truth.update(tables)
    return Simulated({**frames, **arrays}, truth, problem.labels, crossed)


def _stated(dag: Dag, plate: str) -> bool:
    """Whether the model itself tells all elements of the plate."""
    return dag.plate[plate].levels is not None and not dag.plate[plate].parents


def _levels(problem: Problem, plate: str) -> dict[str, Any]:
    """The level columns of a plate's own frame, outer plates first."""
    return _level_columns(problem, plate, np.arange(problem.plates[plate].size))


def _level_columns(problem: Problem, plate: str, codes: NDArray[np.int64]) -> dict[str, Any]:
    bound = problem.plates[plate]
    found: dict[str, Any] = {}
    for parent, own in bound.parents.items():
        found.update(_level_columns(problem, parent, own[codes]))
    if bound.labelled:
        found[plate] = _as_declared(bound, _labels(bound)[codes])
    return found


def _labels(bound: BoundPlate) -> NDArray[Any]:
    if set(map(type, bound.levels)) <= {int}:
        return np.array(bound.levels, dtype=np.int64)
    labels = np.empty(bound.size, dtype=object)
    labels[:] = bound.levels
    return labels


def _as_declared(bound: BoundPlate, labels: NDArray[Any]) -> Any:
    """Text levels of an ordered plate as an ordered categorical: their order is not in their letters."""
    if bound.order is None or labels.dtype != object:
        return labels
    import networkx as nx
    import pandas as pd

    before: nx.DiGraph[Any] = nx.DiGraph()
    before.add_nodes_from(bound.levels)
    before.add_edges_from(
        (bound.levels[b], bound.levels[i]) for i, b in enumerate(bound.order.tolist()) if b >= 0
    )
    return pd.Categorical(
        labels, categories=list(nx.lexicographical_topological_sort(before, key=str)), ordered=True
    )


def _typed(problem: Problem, node: Node, flat: Floats) -> NDArray[Any]:
    """Labels for a discrete node, whole numbers for counts, else floats."""
    if node.values_in is not None:
        labels = _labels(problem.plates[node.values_in])
        missing = np.isnan(flat)
        if not missing.any():
            return labels[flat.astype(np.int64)]
        shown = labels[np.where(missing, 0, flat).astype(np.int64)].astype(object)
        shown[missing] = None
        return shown
    if node.kind == "stochastic" and _counts(node) and not np.isnan(flat).any():
        return flat.astype(np.int64)
    return flat


def _counts(node: Node) -> bool:
    from dagmodels.distributions import family

    laws = [s.distribution for s in node.statements if isinstance(s, Stochastic | Joint)]
    found = [leaf.family for law in laws for leaf in leaves(law)]
    if len(laws) < len(node.statements) or any(law.family == "Censored" for law in laws):
        return False  # other statements and limits may be any numbers
    return all(family(name).discrete for name in found if name != "Table")


def _withheld(problem: Problem, node: Node, flat: Floats) -> Floats:
    """The values with those missing that the data given leave missing."""
    if not node.observed or node.name not in problem.values:
        return flat
    given = problem.observed[node.name].reshape(-1)
    return flat if given.all() else np.where(given, flat, np.nan)
