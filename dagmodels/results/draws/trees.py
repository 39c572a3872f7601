"""Draws as xarray's and ArviZ's: Datasets by group in one tree, and the way back.

Imported late, because xarray is heavy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from dagmodels.results.draws.draws import GIVEN, SAMPLED, Array, Draws
from dagmodels.results.draws.stored import LEAD, tree_name


class Tree(xr.DataTree):
    """A tree of ArviZ's shape whose `tree["theta"]` is that of its posterior, where no group has the name."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        posterior = self.children.get("posterior")
        if posterior is None or not isinstance(key, str) or key in self.children:
            return super().__getitem__(key)
        return posterior.dataset[key] if key in posterior.dataset else super().__getitem__(key)


def tree(draws: Draws) -> Tree:
    """All groups; `sample_stats` where the sampler told any."""
    parts: dict[str, xr.Dataset] = {"posterior": dataset(draws)}
    if draws.statistics:
        parts["sample_stats"] = xr.Dataset(
            {n: _statistic(n, v) for n, v in draws.statistics.items()}, _lead(draws), _attributes(draws)
        )
    return Tree.from_dict({**parts, **{g: group_dataset(draws, g) for g in draws.groups}})


def group_dataset(draws: Draws, group: str) -> xr.Dataset:
    """One of `Draws.groups`."""
    values = draws.groups[group].items()
    return _with_labels(draws, {tree_name(n): _variable(draws, n, v, group in SAMPLED) for n, v in values})


def dataset(draws: Draws) -> xr.Dataset:
    """The posterior."""
    variables = {tree_name(n): _variable(draws, n, v, True) for n, v in draws.values.items()}
    return _with_labels(draws, variables).assign_attrs(_attributes(draws))


def _variable(draws: Draws, node: str, value: Array, sampled: bool) -> xr.Variable:
    plates = tuple(map(tree_name, draws.plates[node]))
    lead = LEAD if sampled else ()
    if value.ndim != len(lead) + len(plates):  # the observed entries alone
        plates = (f"{node}_entry",)
    if node in draws.states:
        whole = np.isfinite(value).all()
        value = value.astype(np.int64) if whole else value
    attributes = {"node": node}
    if node in draws.states:
        levels = draws.labels[draws.states[node]]
        attributes |= {"values_in": draws.states[node], "levels": json.dumps(list(map(str, levels)))}
    return xr.Variable((*lead, *plates), value, attributes)


def _statistic(name: str, value: Array) -> xr.Variable:
    more = tuple(f"{name}_dim_{i}" for i in range(value.ndim - 2))
    return xr.Variable((*LEAD, *more), value)


def _lead(draws: Draws) -> dict[str, Any]:
    return {"chain": np.arange(draws.chains), "draw": np.arange(draws.draws)}


def _with_labels(draws: Draws, variables: Mapping[str, xr.Variable]) -> xr.Dataset:
    used = {d: s for v in variables.values() for d, s in zip(v.dims, v.shape, strict=True)}
    coordinates: dict[str, Any] = {d: np.arange(used[d]) for d in LEAD if d in used}
    for plate, labels in draws.labels.items():
        if tree_name(plate) in used:
            told = np.arange(1, len(labels) + 1) if draws.numbered else np.array(labels)
            coordinates[tree_name(plate)] = told
    return xr.Dataset(variables, coordinates)


def _attributes(draws: Draws) -> dict[str, Any]:
    told: dict[str, Any] = {
        "nodes": json.dumps(list(draws.values)),  # files sort them
        "inference_library": "dagmodels",
        "inference_library_version": version("dagmodels"),
        "model": draws.model,
        "tuning_steps": draws.warmup,
        "thin": draws.thin,
        "numbered": int(draws.numbered),
    }
    if draws.numbered:
        told["labels"] = json.dumps({p: list(map(str, v)) for p, v in draws.labels.items()})
    if draws.seed is not None:
        told["seed"] = draws.seed
    if draws.unknown:
        told["unknown"] = json.dumps(
            {n: u.reshape(-1).astype(int).tolist() for n, u in draws.unknown.items()}
        )
    return told


def from_tree(found: Any) -> Draws:
    """Draws of a DataTree (or anything with groups as attributes), or of the Dataset of a posterior."""
    posterior = found if isinstance(found, xr.Dataset) else found["posterior"].to_dataset()
    told = posterior.attrs
    groups = {} if isinstance(found, xr.Dataset) else {g: found[g].to_dataset() for g in found.children}
    values = {_node(n, v): _array(v) for n, v in posterior.data_vars.items()}
    order = json.loads(told.get("nodes", "[]"))
    values = {
        n: values[n] for n in sorted(values, key=lambda n: order.index(n) if n in order else len(order))
    }
    statistics = groups.pop("sample_stats", xr.Dataset())
    known = {g: groups[g] for g in (*SAMPLED, *GIVEN) if g in groups}
    plates: dict[str, tuple[str, ...]] = {}
    labels: dict[str, tuple[object, ...]] = {}
    states: dict[str, str] = {}
    for part in (*reversed(known.values()), posterior):
        for name, variable in part.data_vars.items():
            node = _node(name, variable)
            dims = tuple(str(d) for d in variable.dims if d not in LEAD)
            if dims != (f"{node}_entry",):
                plates[node] = tuple(_plate(d) for d in dims)
            else:
                plates.setdefault(node, ())
            for d in dims:
                labels[_plate(d)] = _labels(part, d)
            if "values_in" in variable.attrs:
                plate = str(variable.attrs["values_in"])
                states[node] = plate
                labels.setdefault(plate, tuple(json.loads(variable.attrs["levels"])))
    labels |= {p: tuple(v) for p, v in json.loads(told.get("labels", "{}")).items()}
    unknown = json.loads(told.get("unknown", "{}"))
    return Draws(
        model=str(told.get("model", "model")),
        values=values,
        plates=plates,
        labels=labels,
        states=states,
        unknown={n: np.array(u, dtype=bool).reshape(values[n].shape[2:]) for n, u in unknown.items()},
        statistics={str(n): np.asarray(v.values) for n, v in statistics.data_vars.items()},
        groups={g: {_node(n, v): _array(v) for n, v in p.data_vars.items()} for g, p in known.items()},
        seed=None if "seed" not in told else int(told["seed"]),
        warmup=int(told.get("tuning_steps", 0)),
        thin=int(told.get("thin", 1)),
        numbered=bool(told.get("numbered", 0)),
    )


def _node(name: Any, variable: xr.DataArray) -> str:
    return str(variable.attrs.get("node", name))


def _plate(dimension: str) -> str:
    return dimension[:-1] if dimension[:-1] in LEAD else dimension


def _array(variable: xr.DataArray) -> Array:
    """Chains and draws first, whatever the order of the dimensions."""
    lead = [d for d in LEAD if d in variable.dims]
    return np.asarray(variable.transpose(*lead, ...).values)


def _labels(part: xr.Dataset, dimension: str) -> tuple[object, ...]:
    if dimension in part.coords:
        return tuple(part.coords[dimension].values.tolist())
    return tuple(range(part.sizes[dimension]))
