"""How many readings, units or validated rows an estimate needs: data drawn from the model, and fitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import DagmodelsError, FitError, ModelError, raise_all
from dagmodels.results.design import Design, Outcomes

if TYPE_CHECKING:
    from dagmodels.graph.dag import Dag
    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]
Columns = Mapping[str, Any] | Callable[[Mapping[str, int], np.random.Generator], Mapping[str, Any]]
Sizes = Mapping[str, "float | Sequence[float]"]
LEAST = 10  # data sets for a design


class Model(Protocol):
    """What has the verbs of a graph."""

    @property
    def dag(self) -> Dag: ...
    def simulate(self, data: Any = None, values: Any = None, sizes: Any = None, *, seed: int = 1) -> Any: ...
    def fit_quietly(self, data: Any = None, method: str = "auto", **options: Any) -> Fit: ...


def design(
    graph: Model,
    values: Mapping[str, Any],
    targets: str | Sequence[str],
    *,
    sizes: Sizes,
    per: Sizes | None = None,
    seen: Sizes | None = None,
    data: Columns | None = None,
    draws: int = 200,
    seed: int = 1,
    method: str = "auto",
    executor: Executor | None = None,
    **options: Any,
) -> Design:
    """The precision of estimates under several designs, by simulation from the graph.

    Parameters
    ----------
    graph : the model, which data are drawn from and fitted by.
    values : the truth, as `Graph.simulate` takes it.
    targets : names of estimates whose precision is asked for.
    sizes : elements of plates. per : elements of a nested plate for each element of the plate it lies in
        ({"reading": 2}). seen : share of an observed node's elements that is seen, others missing at random
        ({"x": 0.2}, a validation sample). A list in the place of a number tries each; lists are crossed.
    data : covariates, as columns, or a function (sizes, generator) -> columns.
    draws : data sets for each design. Those of different designs begin with the same seeds.
    seed : of all random numbers; the answer does not hang on the executor.
    method, options : of the fits. executor : runs them elsewhere.

    Raises
    ------
    ModelErrors : plates, nodes and targets that are none. FitError : no design gave any fit.
    """
    names = (targets,) if isinstance(targets, str) else tuple(targets)
    _check(graph.dag, names, values, sizes, per or {}, seen or {}, draws)
    designs = list(_designs(graph.dag, sizes, per or {}, seen or {}))
    seeds = np.random.SeedSequence(seed).generate_state(draws, np.uint32)
    common = (data, method, dict(options))
    tasks = [Task(graph, dict(values), names, d, int(s), *common) for d in designs for s in seeds]
    run = map if executor is None else executor.map
    found = list(run(_one, tasks))
    outcomes = tuple(
        _outcomes(d, found[k * draws : (k + 1) * draws], len(names)) for k, d in enumerate(designs)
    )
    if not any(len(o.estimates) for o in outcomes):
        told = next(iter(outcomes[0].lost))
        raise FitError(f"no data set of any design could be fitted; the first design says: {told}")
    truth = next(f.truth for f in found if isinstance(f, Answer))
    return Design(graph.dag.name, names, truth, outcomes)


@dataclass(frozen=True, slots=True)
class Sizing:
    """One design: sizes of plates, shares that are seen, and what to call them."""

    sizes: Mapping[str, int]
    seen: Mapping[str, float]
    varied: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Task:
    """One data set to draw and fit; travels to other processes."""

    graph: Any
    values: Mapping[str, Any]
    targets: tuple[str, ...]
    sizing: Sizing
    seed: int
    data: Columns | None
    method: str
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """Estimates, errors, limits and true values of the targets, (targets,) each."""

    estimate: Floats
    se: Floats
    lower: Floats
    upper: Floats
    truth: Floats


def _designs(dag: Dag, sizes: Sizes, per: Sizes, seen: Sizes) -> Iterator[Sizing]:
    keys = [*(("sizes", k) for k in sizes), *(("per", k) for k in per), *(("seen", k) for k in seen)]
    given = {"sizes": sizes, "per": per, "seen": seen}
    lists = [_listed(given[kind][name]) for kind, name in keys]
    for chosen in product(*lists):
        whole: dict[str, int] = {}
        shares: dict[str, float] = {}
        varied: dict[str, float] = {}
        for (kind, name), value in zip(keys, chosen, strict=True):
            if kind == "sizes":
                whole[name] = int(value)
            elif kind == "seen":
                shares[name] = float(value)
            varied[f"{name} per {dag.plate[name].parents[0]}" if kind == "per" else name] = float(value)
            if kind == "seen":
                varied[f"share of {name} seen"] = varied.pop(name)
        waiting = {name: value for (kind, name), value in zip(keys, chosen, strict=True) if kind == "per"}
        while waiting:  # parents first
            name = next(n for n in waiting if dag.plate[n].parents[0] not in waiting)
            whole[name] = round(waiting.pop(name) * whole[dag.plate[name].parents[0]])
        yield Sizing(whole, shares, varied)


def _listed(value: Any) -> list[float]:
    return [float(v) for v in value] if isinstance(value, Sequence | np.ndarray) else [float(value)]


def _one(task: Task) -> Answer | str:
    """The estimates of one data set, or why there are none."""
    rng = np.random.default_rng([task.seed, 1])
    sizes = task.sizing.sizes
    given = task.data(sizes, rng) if callable(task.data) else task.data
    columns = dict(given or {})
    nodes = task.graph.dag.nodes
    for name, share in task.sizing.seen.items():
        shape = tuple(sizes[p] for p in nodes[name].plates)
        count = int(np.prod(shape, dtype=np.int64))
        shown = np.full(count, np.nan)
        shown[rng.permutation(count)[: round(share * count)]] = 0.0
        columns[name] = shown.reshape(shape)
    sim = task.graph.simulate(columns or None, task.values, dict(sizes), seed=task.seed)
    try:
        fit = task.graph.fit_quietly(sim, method=task.method, **task.options)
    except DagmodelsError as error:
        return str(error).strip().splitlines()[0]
    if not fit.converged:
        return f"not converged: {fit.message}"
    rows = {str(n): i for i, n in enumerate(fit.estimate_columns["name"])}
    unknown = [t for t in task.targets if t not in rows]
    if unknown:
        hint = f"estimates are {', '.join(list(rows)[:12])}"
        faults = [ModelError(f"there is no estimate '{t}'", node=t, hint=hint) for t in unknown]
        raise_all(faults, "the targets of the design")
    at = [rows[t] for t in task.targets]
    table = fit.estimate_columns
    keys = ("estimate", "se", "lower", "upper")
    estimate, se, lower, upper = (np.asarray(table[k], dtype=float)[at] for k in keys)
    return Answer(
        estimate, se, lower, upper, np.array([_truth(sim, t, task.graph.dag) for t in task.targets])
    )


def _truth(sim: Any, target: str, dag: Dag) -> float:
    """The true value of an estimate; elements on plates by their labels."""
    name, _, rest = target.partition("[")
    number = np.asarray(sim.truth[name], dtype=float)
    plates = dag.nodes[name].plates
    labels = [part.strip() for part in rest.rstrip("]").split(",")] if plates else []
    at = tuple(list(sim.levels[p]).index(label) for p, label in zip(plates, labels, strict=True))
    return float(number[at])


def _outcomes(sizing: Sizing, found: Sequence[Answer | str], targets: int) -> Outcomes:
    good = [f for f in found if isinstance(f, Answer)]
    lost = Counter(f for f in found if isinstance(f, str))

    def stacked(key: str) -> Floats:
        return np.array([getattr(f, key) for f in good]).reshape(len(good), targets)

    truth = stacked("truth")
    covered = (stacked("lower") <= truth) & (truth <= stacked("upper"))
    return Outcomes(sizing.varied, stacked("estimate"), stacked("se"), covered, len(found), dict(lost))


def _check(
    dag: Dag, targets: tuple[str, ...], values: Mapping[str, Any], sizes: Sizes, per: Sizes, seen: Sizes,
    draws: int,
) -> None:  # fmt: skip
    faults = []
    for name in (*sizes, *per):
        if name not in dag.plate:
            hint = f"plates are {', '.join(dag.plate)}"
            faults.append(ModelError(f"there is no plate '{name}'", node=name, hint=hint))
    for name in per:
        if name in dag.plate and len(dag.plate[name].parents) != 1:
            faults.append(
                ModelError(
                    f"'{name}' lies in {len(dag.plate[name].parents)} plates, not in one",
                    node=name,
                    hint="give its number of elements in sizes=",
                )
            )
        elif name in dag.plate and dag.plate[name].parents[0] not in {*sizes, *per}:
            parent = dag.plate[name].parents[0]
            faults.append(
                ModelError(f"the size of '{parent}' is not given", node=name, hint="sizes= takes it")
            )
    for name, share in seen.items():
        if name not in dag.nodes or dag.nodes[name].role != "observed":
            hint = f"observed are {', '.join(n.name for n in dag.nodes.values() if n.role == 'observed')}"
            faults.append(ModelError(f"'{name}' is no observed node", node=name, hint=hint))
        elif not all(0 < s <= 1 for s in _listed(share)):
            faults.append(
                ModelError(f"a share of '{name}' that is seen is not above 0 and up to 1", node=name)
            )
    for target in targets:
        if target.partition("[")[0] not in dag.nodes:
            hint = f"unknowns are {', '.join(n for n in values)}"
            faults.append(ModelError(f"there is no estimate '{target}'", node=target, hint=hint))
    if draws < LEAST:
        faults.append(
            ModelError(f"draws={draws} tell no spread", hint=f"at least {LEAST}; 200 tell it to 5 %")
        )
    raise_all(faults, f"the design of model '{dag.name}'")


__all__ = ["design"]
