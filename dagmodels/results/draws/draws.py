"""Draws of the unknowns by node, with plates, labels and how they were made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.fit import UnknownName

if TYPE_CHECKING:
    import os

    import xarray

    from dagmodels.bind.problem import Problem

Array = NDArray[Any]
Arrays = Mapping[str, Array]

SAMPLED = ("log_likelihood", "posterior_predictive", "prior", "prior_predictive")
GIVEN = ("observed_data", "constant_data")
GROUPS = (*SAMPLED, *GIVEN)


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws after warm-up, thinned as told.

    model : its name.
    values : by node, (chains, draws, *plates). Discrete nodes hold codes of their levels.
    plates : the plates of every node named anywhere here, in order.
    labels : the elements of every plate in order.
    states : for a discrete node the plate in which its values lie.
    unknown : for a node of which some elements are no unknowns (an observed node with missing entries), which
        ones are; left out, all are.
    statistics : of the sampler, (chains, draws, ...): `diverging`, `energy`, `lp`, ...
    groups : what else ArviZ knows, by its names: `log_likelihood`, `posterior_predictive`, `prior` and
        `prior_predictive` with axes (chains, draws, *plates), `observed_data` and `constant_data` without.
    seed, warmup, thin : of all random numbers; draws a chain left out before; every how many are kept.
    numbered : elements are named by position from 1, as BUGS prints them (`theta[3]`), else by label.
    place : the Zarr folder that the arrays stay in, None where they are in memory.
    """

    model: str
    values: Arrays
    plates: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    statistics: Arrays = field(default_factory=dict)
    groups: Mapping[str, Arrays] = field(default_factory=dict)
    seed: int | None = None
    warmup: int = 0
    thin: int = 1
    numbered: bool = False
    place: Path | None = None

    def __post_init__(self) -> None:
        raise_all(_faults(self), f"the draws of model '{self.model}'")

    @classmethod
    def of(cls, problem: Problem, values: Arrays, **others: Any) -> Draws:
        """The draws of a bound model: plates, labels, data and missing entries are the problem's.

        values : by node, (chains, draws, *plates); of a node with missing entries whole. others : the fields.
        """
        graph = problem.graph
        names = {name: tuple(map(str, problem.labels[name])) for name in problem.plates}
        given = {n: v for n, v in problem.values.items() if n in graph.nodes}
        stochastic = {n: graph.nodes[n].kind == "stochastic" for n in given}
        data = {
            "observed_data": {n: v for n, v in given.items() if stochastic[n]},
            "constant_data": {n: v for n, v in given.items() if not stochastic[n]},
        }
        unknown = {n: ~problem.observed[n] for n in values if n in problem.observed}
        return cls(
            graph.name,
            dict(values),
            {n: node.plates for n, node in graph.nodes.items()},
            {n: _levels(problem, n, names[n]) for n in names},
            {n: str(node.values_in) for n, node in graph.nodes.items() if node.values_in is not None},
            unknown,
            groups={**{g: v for g, v in data.items() if v}, **others.pop("groups", {})},
            **others,
        )

    @property
    def chains(self) -> int:
        """How many chains."""
        return next(iter(self.values.values())).shape[0]

    @property
    def draws(self) -> int:
        """How many draws a chain."""
        return next(iter(self.values.values())).shape[1]

    def __getitem__(self, node: str) -> Array:
        """(chains, draws, *plates) of a node."""
        if node not in self.values:
            raise _absent(node, self.values)
        return np.asarray(self.values[node])

    def __contains__(self, node: object) -> bool:
        return node in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __repr__(self) -> str:
        return (
            f"<Draws of {self.model}: {self.chains} chains of {self.draws} draws, {', '.join(self.values)}>"
        )

    # -- names

    def names(self, node: str) -> list[str]:
        """How the elements of a node are written, in the order of its array: `alpha[AITKIN]`, `tau`."""
        plates = self.plates[node]
        if not plates:
            return [node]
        if self.numbered:
            each = [[str(i + 1) for i in range(len(self.labels[p]))] for p in plates]
            told = [",".join(parts) for parts in _product(each)]
        else:
            told = [", ".join(parts) for parts in _product([list(map(str, self.labels[p])) for p in plates])]
        return [f"{node}[{t}]" for t in told]

    def table(
        self, nodes: Iterable[str] | None = None, *, indicators: bool = False
    ) -> tuple[list[str], NDArray[np.float64]]:
        """Names of all unknown elements, and their draws as one array (chains, draws, elements).

        nodes : which ones, or names of single elements; None for all.
        indicators : discrete nodes as 0 and 1 by level, `z[a] == 2`, in place of their codes.
        """
        names: list[str] = []
        parts: list[Array] = []
        for node, keep in self._chosen(nodes).items():
            every = self.names(node)
            flat = self[node].reshape(self.chains, self.draws, -1)
            own = every if keep.all() else [n for n, k in zip(every, keep, strict=True) if k]
            flat = flat if keep.all() else flat[:, :, keep]
            if indicators and node in self.states:
                levels = self.labels[self.states[node]]
                own = [f"{n} == {level}" for n in own for level in levels]
                flat = (flat[..., None] == np.arange(len(levels))).reshape(*flat.shape[:2], len(own))
            names += own
            parts.append(flat)
        if not parts:
            return [], np.empty((self.chains, self.draws, 0))
        if len(parts) == 1:
            return names, np.asarray(parts[0], dtype=np.float64)
        return names, np.concatenate(parts, axis=2, dtype=np.float64)

    def _chosen(self, nodes: Iterable[str] | None) -> dict[str, NDArray[np.bool_]]:
        found: dict[str, NDArray[np.bool_]] = {}
        for name in self.values if nodes is None else ([nodes] if isinstance(nodes, str) else nodes):
            node = name.partition("[")[0] if name not in self.values else name
            if node not in self.values:
                raise _absent(name, self.values)
            size = int(np.prod(self.values[node].shape[2:], dtype=np.int64))
            keep = self.unknown.get(node, np.ones(size, dtype=bool)).reshape(-1)
            if name != node:
                named = np.array(self.names(node)) == name
                if not named.any():
                    raise _absent(name, self.names(node))
                keep = named | found.get(node, np.zeros(size, dtype=bool))
            found[node] = keep
        return found

    # -- parts and sums

    def with_groups(self, **groups: Arrays) -> Draws:
        """With these groups beside (or in place of) those there are."""
        return replace(self, groups={**self.groups, **groups})

    def monitored(self, nodes: Iterable[str] | None) -> Draws:
        """With these nodes alone; None for all."""
        if nodes is None:
            return self
        wanted = [nodes] if isinstance(nodes, str) else list(nodes)
        absent = [ModelError(str(_absent(n, self.values)), node=n) for n in wanted if n not in self.values]
        raise_all(absent, f"what is monitored of model '{self.model}'")
        return replace(self, values={n: self[n] for n in self.values if n in wanted}, place=None)

    def then(self, more: Draws) -> Draws:
        """These draws, then those that continue their chains; other groups are of one part and dropped."""
        kept = {g: v for g, v in self.groups.items() if g in GIVEN}
        values = {n: np.concatenate([v, more[n]], axis=1) for n, v in self.values.items()}
        statistics = {
            n: np.concatenate([v, more.statistics[n]], axis=1)
            for n, v in self.statistics.items()
            if n in more.statistics
        }
        return replace(self, values=values, statistics=statistics, groups=kept)

    # -- as others know them

    def to_xarray(self) -> xarray.Dataset:
        """The draws alone: a Dataset with dimensions chain, draw and the plates with their labels."""
        from dagmodels.results.draws.trees import dataset

        return dataset(self)

    def to_arviz(self) -> Any:
        """The tree that ArviZ reads: `posterior`, `sample_stats`, `observed_data` and what other groups there
        are. Nodes of the posterior are found without their group too: `tree["theta"]`."""
        from dagmodels.results.draws.trees import tree

        if self.place is None:
            return tree(self)
        from dagmodels.results.draws.files import opened

        return opened(self)

    @classmethod
    def from_xarray(cls, found: Any) -> Draws:
        """From a tree of ArviZ's shape, or a Dataset of a posterior; the way back of both functions above."""
        from dagmodels.results.draws.trees import from_tree

        return from_tree(found)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tree: `.nc` (NetCDF, one file) or `.zarr` (a folder); whole or not at all."""
        from dagmodels.results.draws.files import save

        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Draws:
        """Read what `save`, or ArviZ, wrote."""
        from dagmodels.results.draws.files import load

        return load(path)


def _levels(problem: Problem, plate: str, printed: tuple[str, ...]) -> tuple[object, ...]:
    """Whole numbers and text as they are, where they are the labels; else the labels as printed."""
    levels = problem.plates[problem.plates[plate].base or plate].levels
    plain = all(isinstance(x, int | str | np.integer) and not isinstance(x, bool) for x in levels)
    alike = len(set(map(type, levels))) <= 1
    return tuple(levels) if plain and alike and tuple(map(str, levels)) == printed else printed


def _product(parts: list[list[str]]) -> Iterator[tuple[str, ...]]:
    from itertools import product

    return product(*parts)


def _absent(name: str, known: Iterable[str]) -> UnknownName:
    import difflib

    every = list(known)
    near = difflib.get_close_matches(name, every, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(every[:12])}"
    return UnknownName(f"there are no draws of '{name}' ({hint})")


def _faults(draws: Draws) -> list[ModelError]:
    """Arrays whose shapes are not those of their plates, or that differ in chains and draws."""
    found: list[ModelError] = []
    if not draws.values:
        return [ModelError("there are no draws of any node", hint="monitor at least one")]
    lead = next(iter(draws.values.values())).shape[:2]
    for name, value in draws.values.items():
        if name not in draws.plates:
            found.append(ModelError(f"'{name}' is no node of the model", node=name))
            continue
        want = (*lead, *(len(draws.labels[p]) for p in draws.plates[name]))
        if value.ndim < 2 or value.shape != want:
            axes = ", ".join(("chains", "draws", *draws.plates[name]))
            told = f"the draws of '{name}' have shape {value.shape}, but ({axes}) is {want}"
            found.append(ModelError(told, node=name, hint="give one axis a plate, in the node's order"))
    for name, value in draws.statistics.items():
        if value.shape[:2] != lead:
            found.append(ModelError(f"the statistic '{name}' has shape {value.shape}, not {lead} first"))
    wrong = [g for g in draws.groups if g not in GROUPS]
    found += [ModelError(f"'{g}' is no group of draws", hint=f"there are {', '.join(GROUPS)}") for g in wrong]
    return found
