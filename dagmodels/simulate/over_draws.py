"""Statements evaluated for many draws at once: what is observed, drawn anew, and its log density.

Every draw is one more axis of the rows: a statement with n rows becomes one with n rows a draw, and a
reference to a node that has draws reads those of its own draw. Graphs in which observed nodes follow one
another (chains, residual covariances, unknown tables) are simulated draw by draw instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import BoundPlate, Problem, Rows
from dagmodels.distributions import _numeric
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic, Joint, Stochastic
from dagmodels.simulate.ancestral import prepare
from dagmodels.simulate.arguments import law
from dagmodels.simulate.draw import Prepared, draw_all
from dagmodels.simulate.evaluate import Evaluator, Scope, Value
from dagmodels.simulate.jobs import Job
from dagmodels.simulate.order import Loop
from dagmodels.simulate.tables import table_keys

Floats = NDArray[np.float64]
DRAW = "(draw)"  # no plate can be called so
CELLS = 1 << 20  # numbers of one node worked on at once


class DrawsEvaluator(Evaluator):
    """Nodes in `drawn` have one value a draw: (draws, elements); rows carry their draw under DRAW."""

    def __init__(self, problem: Problem, values: Mapping[str, Floats], drawn: dict[str, Floats]) -> None:
        draws = len(next(iter(drawn.values())))
        plates = {**problem.plates, DRAW: BoundPlate(DRAW, tuple(range(draws)))}
        super().__init__(replace(problem, plates=plates, memo={}), values)
        self.drawn = drawn

    def _reference(self, reference: ex.Reference, scope: Scope) -> Value:
        own = self.drawn.get(reference.name)
        if own is None:
            return super()._reference(reference, scope)
        node = self.graph.nodes[reference.name]
        draw = scope.rows.codes[DRAW]
        if not node.plates:
            return Value(own[:, 0][draw])
        places, axes = self.places(reference, scope)
        at = draw.reshape(-1, *(1,) * (places.ndim - 1))
        found = own[at, places]
        return Value(np.where(places < 0, np.nan, found) if places.size and places.min() < 0 else found, axes)

    def places(self, reference: ex.Reference, scope: Scope) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Flat places that a reference points to: the reference to an array of its own places."""
        name = reference.name
        size = int(np.prod(self.problem.shape(name), dtype=np.int64))
        kept = self.values
        self.values = {**kept, name: np.arange(size, dtype=np.float64)}
        try:
            found = super()._reference(reference, scope)
        finally:
            self.values = kept
        return np.where(np.isnan(found.array), -1.0, found.array).astype(np.int64), found.axes

    def _used(self, tree: ex.Expression) -> dict[str, None]:
        return {**super()._used(tree), DRAW: None}


@dataclass(frozen=True, eq=False, slots=True)
class OverDraws:
    """The observed nodes of a problem, for many draws of its unknowns."""

    problem: Problem

    def posterior_predictive(self, draws: Any, seed: int) -> dict[str, Floats]:
        """Observed nodes drawn anew: by node, (chains, draws, *plates).

        draws : values by node with chains and draws first (`results.draws.Draws`).
        """
        prepared = self._prepared(draws)
        flat = self._flat(draws)
        count = len(next(iter(flat.values())))
        if self._follows(prepared):
            found = self._one_by_one(prepared, flat, seed)
        else:
            rng = np.random.default_rng(np.random.SeedSequence(seed))
            parts = [self._drawn(prepared, _part(flat, at), rng) for at in self._chunks(count)]
            found = {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}
        return {n: self._shaped(draws, n, v) for n, v in found.items()}

    def log_likelihood(self, draws: Any) -> dict[str, Floats]:
        """Log density of every observed entry: by node, (chains, draws, *plates), nan where there is none.

        Raises ModelErrors for laws whose entries have no density of their own (vectors, `~~`).
        """
        prepared = self._prepared(draws)
        self._check_laws(prepared)
        flat = self._flat(draws) | self._kept(draws)
        self._check_loops(prepared, flat)
        count = len(next(iter(flat.values())))
        parts = [self._densities(prepared, _part(flat, at)) for at in self._chunks(count)]
        return {n: self._shaped(draws, n, np.concatenate([p[n] for p in parts])) for n in parts[0]}

    def prior_predictive(self, draws: int, seed: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Unknowns from their priors and the observed nodes that follow: by node, (1, draws, *plates)."""
        errors: list[ModelError] = []
        prepared = prepare(self.problem, {}, errors)
        raise_all(errors, f"the prior of model '{self.problem.graph.name}'")
        assert prepared is not None
        every = [draw_all(prepared, np.random.SeedSequence(seed, spawn_key=(i,)))[0] for i in range(draws)]
        nodes = self.problem.graph.nodes
        found = {
            n: np.stack([e[n] for e in every]).reshape(1, draws, *self.problem.shape(n))
            for n, node in nodes.items()
            if node.kind not in ("covariate", "constant")
        }
        observed = {n: found.pop(n) for n in list(found) if nodes[n].role == "observed"}
        return found, observed

    # -- what is shared

    def _prepared(self, draws: Any) -> Prepared:
        """Everything but the draws; all unknowns that observed nodes hang on must have some."""
        graph = self.problem.graph
        needed = {n for n, node in graph.nodes.items() if node.role in ("latent", "parameter")}
        absent = sorted(n for n in needed if n not in draws.values)
        raise_all(
            [
                ModelError(f"there are no draws of '{n}'", node=n, hint="monitor it, or leave monitor= out")
                for n in absent
            ],
            "the prediction from draws",
        )
        first = {n: np.asarray(v)[0, 0] for n, v in draws.values.items() if n in needed}
        labelled = {n: self._labelled(n, v) for n, v in first.items()}
        errors: list[ModelError] = []
        prepared = prepare(self.problem, labelled, errors)
        raise_all(errors, f"the simulation of model '{graph.name}'")
        assert prepared is not None
        return prepared

    def _labelled(self, name: str, value: Any) -> Any:
        """Codes of a discrete node as the labels that `values` take."""
        values_in = self.problem.graph.nodes[name].values_in
        if values_in is None:
            return value
        levels = self.problem.plates[values_in].levels
        found = np.empty(np.shape(value), dtype=object)
        found.reshape(-1)[:] = [levels[int(c)] for c in np.reshape(value, -1)]
        return found if np.ndim(value) else found[()]

    def _flat(self, draws: Any) -> dict[str, Floats]:
        """(all draws, elements) by unknown node."""
        nodes = self.problem.graph.nodes
        return {
            n: np.asarray(v, dtype=np.float64).reshape(v.shape[0] * v.shape[1], -1)
            for n, v in draws.values.items()
            if nodes[n].role in ("latent", "parameter")
        }

    def _kept(self, draws: Any) -> dict[str, Floats]:
        """Draws of deterministic nodes and of missing entries, which densities need not find again."""
        nodes = self.problem.graph.nodes
        return {
            n: np.asarray(v, dtype=np.float64).reshape(v.shape[0] * v.shape[1], -1)
            for n, v in draws.values.items()
            if nodes[n].role in ("deterministic", "observed")
        }

    def _chunks(self, count: int) -> Iterator[slice]:
        sizes = [int(np.prod(self.problem.shape(n), dtype=np.int64)) for n in self.problem.graph.nodes]
        step = max(1, CELLS // max(sizes))
        return (slice(i, min(i + step, count)) for i in range(0, count, step))

    def _shaped(self, draws: Any, node: str, flat: Floats) -> Floats:
        lead = next(iter(draws.values.values())).shape[:2]
        return flat.reshape(*lead, *self.problem.shape(node))

    def _evaluator(self, prepared: Prepared, flat: Mapping[str, Floats]) -> DrawsEvaluator:
        """Data as they are, unknowns by draw; what statements fill in is copied before."""
        problem, nodes = self.problem, self.problem.graph.nodes
        values = {n: np.full(self._size(n), np.nan) for n in nodes}
        values |= {n: v.reshape(-1) for n, v in problem.values.items() if n in nodes}
        filled = {
            n for job in self._jobs(prepared) if isinstance(job.statement, Deterministic) for n in job.names
        }
        return DrawsEvaluator(problem, values, {n: v.copy() if n in filled else v for n, v in flat.items()})

    def _jobs(self, prepared: Prepared) -> Iterator[Job]:
        """In the order of their parents."""
        for step in prepared.steps:
            for vertex in _vertices([step]):
                if vertex in prepared.jobs:
                    yield prepared.jobs[vertex]

    def _follows(self, prepared: Prepared) -> bool:
        """Whether something needs the draws one by one."""
        nodes = self.problem.graph.nodes
        computed = any(nodes[n].role in ("deterministic", "observed") for n in _looped(prepared))
        return computed or bool(prepared.groups) or bool(table_keys(self.problem.graph))

    def _one_by_one(self, prepared: Prepared, flat: Mapping[str, Floats], seed: int) -> dict[str, Floats]:
        count = len(next(iter(flat.values())))
        observed = [n for n, node in self.problem.graph.nodes.items() if node.role == "observed"]
        parts: list[dict[str, Floats]] = []
        for i in range(count):
            own = replace(prepared, given={n: v[i] for n, v in flat.items()})
            drawn, _ = draw_all(own, np.random.SeedSequence(seed, spawn_key=(i,)))
            parts.append({n: drawn[n] for n in observed})
        return {n: np.stack([p[n] for p in parts]) for n in observed}

    # -- all draws at once

    def _walk(
        self, prepared: Prepared, flat: Mapping[str, Floats]
    ) -> Iterator[tuple[Job, Job, DrawsEvaluator]]:
        """Every statement of observed nodes, for one draw and for all; deterministic nodes are computed."""
        draws = len(next(iter(flat.values())))
        evaluator = self._evaluator(prepared, flat)
        for job in self._jobs(prepared):
            whole = _repeated(job, draws)
            if isinstance(job.statement, Deterministic) and job.names[0] in flat:
                continue
            if isinstance(job.statement, Deterministic):
                found = evaluator.value(job.statement.expression, Scope(whole.rows, whole.head)).array
                (name,) = job.names
                nothing = np.full((draws, self._size(name)), np.nan)
                own = evaluator.drawn.setdefault(name, nothing)
                own[:, job.places[:, 0]] = np.broadcast_to(found, whole.rows.n).reshape(draws, -1)
            elif self.problem.graph.nodes[job.names[0]].observed:
                yield job, whole, evaluator

    def _size(self, name: str) -> int:
        return int(np.prod(self.problem.shape(name), dtype=np.int64))

    def _drawn(
        self, prepared: Prepared, flat: Mapping[str, Floats], rng: np.random.Generator
    ) -> dict[str, Floats]:
        draws = len(next(iter(flat.values())))
        found: dict[str, Floats] = {}
        for job, whole, evaluator in self._walk(prepared, flat):
            statement = job.statement
            assert isinstance(statement, Stochastic | Joint)
            own = law(statement.distribution, evaluator, Scope(whole.rows, whole.head), whole.target)
            self._check(own, job)
            sizes = (len(job.names),) if isinstance(statement, Joint) else job.target.sizes
            made = own.family.draw(rng, *own.arguments, size=(whole.rows.n, *sizes))
            made = np.asarray(made, dtype=np.float64).reshape(draws, *job.places.shape[:1], -1)
            for k, name in enumerate(job.names):
                entry = made[:, :, [k]] if isinstance(statement, Joint) else made
                into = found.setdefault(name, np.full((draws, self._size(name)), np.nan))
                into[:, job.places] = entry
                evaluator.drawn[name] = into
        return found

    def _densities(self, prepared: Prepared, flat: Mapping[str, Floats]) -> dict[str, Floats]:
        draws = len(next(iter(flat.values())))
        found: dict[str, Floats] = {}
        for job, whole, evaluator in self._walk(prepared, flat):
            statement = job.statement
            assert isinstance(statement, Stochastic)
            (name,) = job.names
            own = law(statement.distribution, evaluator, Scope(whole.rows, whole.head), whole.target)
            self._check(own, job)
            places = job.places[:, 0]
            seen = self.problem.observed[name].reshape(-1)[places]
            value = np.tile(self.problem.values[name].reshape(-1)[places], draws)
            with np.errstate(all="ignore"):
                density = np.asarray(own.family.log_density(_numeric, value, *own.arguments))
            density = np.broadcast_to(density, value.shape).reshape(draws, -1)
            into = found.setdefault(name, np.full((draws, self._size(name)), np.nan))
            into[:, places] = np.where(seen, density, np.nan)
        return found

    def _check(self, own: Any, job: Job) -> None:
        fault = own.faults()
        if fault is not None:
            told = f"{fault[0]} of '{job.names[0]}' {fault[2]} in some draw"
            raise_all([ModelError(told, node=job.names[0])], "the prediction from draws")

    def _check_loops(self, prepared: Prepared, flat: Mapping[str, Floats]) -> None:
        nodes = self.problem.graph.nodes
        absent = [n for n in _looped(prepared) if nodes[n].role == "deterministic" and n not in flat]
        raise_all(
            [ModelError(f"there are no draws of '{n}'", node=n, hint="monitor it") for n in absent],
            "the pointwise log likelihood",
        )

    def _check_laws(self, prepared: Prepared) -> None:
        graph = self.problem.graph
        tied = {n for group in prepared.groups for n in group.names}
        faults: list[ModelError] = []
        for job in self._jobs(prepared):
            name = job.names[0]
            if not graph.nodes[name].observed:
                continue
            table = isinstance(job.statement, Stochastic) and job.statement.distribution.family == "Table"
            if isinstance(job.statement, Joint) or job.places.shape[1] > 1 or name in tied or table:
                told = f"entries of '{name}' have no log density of their own here"
                faults.append(ModelError(told, node=name, hint="the backend must give it"))
        raise_all(faults, "the pointwise log likelihood")


def _vertices(steps: Sequence[Any]) -> Iterator[int]:
    for step in steps:
        if isinstance(step, Loop):
            yield from _vertices(step.steps)
        else:
            yield step.vertex


def _looped(prepared: Prepared) -> set[str]:
    """Nodes that follow their own earlier elements."""
    loops = [v for s in prepared.steps if isinstance(s, Loop) for v in _vertices([s])]
    return {n for v in loops if v in prepared.jobs for n in prepared.jobs[v].names}


def _part(flat: Mapping[str, Floats], at: slice) -> dict[str, Floats]:
    return {n: v[at] for n, v in flat.items()}


def _repeated(job: Job, draws: int) -> Job:
    """The job's rows once a draw, draws slowest."""
    n = job.rows.n
    codes = {p: np.tile(c, draws) for p, c in job.rows.codes.items()}
    codes[DRAW] = np.repeat(np.arange(draws), n)
    places = np.tile(job.places, (draws, 1))
    return Job(job.statement, job.names, job.head, Rows(n * draws, codes), places, job.target, job.reads)
