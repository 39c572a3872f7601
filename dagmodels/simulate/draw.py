"""Draws all nodes of a bound graph once, statement by statement."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.labels import rank
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.cells import element_label
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic, Stochastic
from dagmodels.simulate.evaluate import Evaluator, Scope
from dagmodels.simulate.jobs import Job
from dagmodels.simulate.order import Loop, Residuals, Step
from dagmodels.simulate.residual import Tie, draw_residuals
from dagmodels.simulate.stochastic import Inputs, draw_job
from dagmodels.simulate.tables import drawn_table, table_keys, table_shape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EQUAL = 1e-9
"""Relative difference up to which a value given for a deterministic node agrees with the model."""


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """Everything that does not depend on random numbers.

    jobs : by statement number; groups, ties : residuals tied by `~~`, after all statements.
    given : values of the user, flat, NaN where there are none. tables : given for `Table(x)`.
    """

    problem: Problem
    jobs: Mapping[int, Job]
    groups: tuple[Residuals, ...]
    ties: tuple[tuple[Tie, ...], ...]
    steps: tuple[Step, ...]
    given: Mapping[str, Floats]
    tables: Mapping[str, Floats]


def draw_all(
    prepared: Prepared, stream: np.random.SeedSequence
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Flat arrays of every node, and the tables that the model leaves unknown.

    Each statement has a stream of its own, found by the names that it defines: reordering
    statements, or giving values for some, leaves the other numbers as they are.

    Raises
    ------
    ModelErrors : arguments or values outside their domains, all that can be told at once.
    """
    run = _Run(prepared, stream)
    run.steps(prepared.steps, {})
    raise_all(run.errors, f"the simulation of model '{prepared.problem.graph.name}'")
    return run.values, run.tables


@dataclass(slots=True, eq=False)
class _Run:
    """The state of one draw.

    broken : nodes whose law failed, and those that depend on them: they are passed over in silence.
    """

    prepared: Prepared
    stream: np.random.SeedSequence
    values: dict[str, Floats] = field(init=False)
    evaluator: Evaluator = field(init=False)
    tables: dict[str, Floats] = field(default_factory=dict)
    shocks: dict[str, Floats] = field(default_factory=dict)
    errors: list[ModelError] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    _generators: dict[str, np.random.Generator] = field(default_factory=dict)
    _sorted: dict[tuple[int, str], tuple[Ints, Ints]] = field(default_factory=dict)
    _ranks: dict[str, Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problem = self.prepared.problem
        self.values = {}
        for name, node in problem.graph.nodes.items():
            size = int(np.prod(problem.shape(name), dtype=np.int64))
            if node.kind in ("covariate", "constant"):
                self.values[name] = problem.values[name].reshape(-1)
            elif node.kind == "parameter":
                self.values[name] = self.prepared.given.get(name, np.full(size, np.nan)).copy()
            else:
                self.values[name] = np.full(size, np.nan)
        for group in self.prepared.groups:
            self.shocks.update({n: np.zeros(self.values[n].size) for n in group.names})
        self.evaluator = Evaluator(problem, self.values)
        self._draw_tables()

    def _draw_tables(self) -> None:
        for key, statement in table_keys(self.prepared.problem.graph).items():
            shape = table_shape(self.prepared.problem, statement)
            given = self.prepared.tables.get(key)
            self.tables[key] = drawn_table(self.generator(key), shape) if given is None else given

    def generator(self, key: str) -> np.random.Generator:
        """The stream of this name in this draw."""
        if key not in self._generators:
            words = np.frombuffer(hashlib.blake2b(key.encode(), digest_size=16).digest(), dtype="<u4")
            place = (*self.stream.spawn_key, *map(int, words))
            child = np.random.SeedSequence(self.stream.entropy, spawn_key=place)
            self._generators[key] = np.random.default_rng(child)
        return self._generators[key]

    # -- the order

    def steps(self, steps: Sequence[Step], fixed: Mapping[str, int]) -> None:
        """Draw every vertex; `fixed` are positions along ordered plates in the loops around."""
        for step in steps:
            if isinstance(step, Loop):
                length = int(self.rank(step.plate).max(initial=-1)) + 1
                for position in range(length):
                    self.steps(step.steps, {**fixed, step.plate: position})
            elif step.vertex in self.prepared.jobs:
                self._guarded(step.vertex, fixed)
            elif step.vertex >= len(self.prepared.problem.graph.statements):
                self._residuals(step.vertex - len(self.prepared.problem.graph.statements), fixed)

    def rank(self, plate: str) -> Ints:
        """Each element's position in its chain."""
        if plate not in self._ranks:
            self._ranks[plate] = rank(self.prepared.problem, plate)
        return self._ranks[plate]

    def _chosen(self, vertex: int, fixed: Mapping[str, int]) -> Ints | None:
        """The rows of a job at these positions; None for all."""
        if not fixed:
            return None
        (first, position), *others = fixed.items()
        codes = self.prepared.jobs[vertex].rows.codes
        if (vertex, first) not in self._sorted:
            at = self.rank(first)[codes[first]]
            order = np.argsort(at, kind="stable")
            ends = np.searchsorted(at[order], np.arange(int(self.rank(first).max()) + 2))
            self._sorted[vertex, first] = order, ends
        order, ends = self._sorted[vertex, first]
        chosen = order[ends[position] : ends[position + 1]]
        for plate, position in others:
            chosen = chosen[self.rank(plate)[codes[plate][chosen]] == position]
        return chosen

    def _guarded(self, vertex: int, fixed: Mapping[str, int]) -> None:
        job = self.prepared.jobs[vertex]
        if not self.broken.isdisjoint(job.reads):
            self.broken.update(job.names)
        if not self.broken.isdisjoint(job.names):
            return
        job = job.at(self._chosen(vertex, fixed))
        if not job.rows.n:
            return
        try:
            if isinstance(job.statement, Deterministic):
                self._compute(job, job.statement)
            else:
                inputs = Inputs(self.evaluator, self.prepared.given, self.tables, self.shocks)
                for name, found in draw_job(job, inputs, self.generator(_key(job))).items():
                    self.values[name][job.places] = found
        except ModelError as error:
            self._fail(job, error)

    def _fail(self, job: Job, error: ModelError) -> None:
        place = getattr(job.statement, "place", None)
        if error.line is None and place is not None:
            error.line, error.column = place.line, place.column
            error.source = self.prepared.problem.graph.source
        self.errors.append(error)
        self.broken.update(job.names)

    def _compute(self, job: Job, statement: Deterministic) -> None:
        (name,) = job.names
        places = job.places[:, 0]
        found = self.evaluator.value(statement.expression, Scope(job.rows, job.head)).array
        self.values[name][places] = found
        given = self.prepared.given.get(name)
        if given is None:
            return
        own, want = self.values[name][places], given[places]
        wrong = ~np.isnan(want) & ~(np.abs(own - want) <= EQUAL * (1 + np.abs(own)))
        if wrong.any():
            at = int(np.argmax(wrong))
            label = element_label(self.prepared.problem, name, int(places[at]))
            message = f"values: '{label}' is given as {want[at]:g}, but the model makes it {own[at]:g}"
            inputs = ", ".join(sorted(job.reads))
            hint = f"it is computed: give {inputs} instead" if inputs else "the model fixes it"
            self._fail(job, ModelError(message, node=name, hint=hint))

    def _residuals(self, number: int, fixed: Mapping[str, int]) -> None:
        group = self.prepared.groups[number]
        members: dict[str, list[Job]] = {name: [] for name in group.names}
        reads: set[str] = set()
        for vertex, job in self.prepared.jobs.items():
            if job.names[0] in members and isinstance(job.statement, Stochastic):
                members[job.names[0]].append(job.at(self._chosen(vertex, fixed)))
                scales = [v for k, v in job.statement.distribution.arguments if k != "mu"]
                reads.update(_names(scales))
        reads.update(_names([t.expression for t in group.ties]))
        if not self.broken.isdisjoint(reads):
            self.broken.update(group.names)
            return
        try:
            rng = self.generator("~~".join(group.names))
            draw_residuals(self.evaluator, rng, members, self.prepared.ties[number], fixed, self.shocks)
        except ModelError as error:
            first = next(job for parts in members.values() for job in parts)
            self._fail(first, error)
            self.broken.update(group.names)


def _names(trees: Sequence[object]) -> set[str]:
    return {r.name for tree in trees if isinstance(tree, ex.Expression) for r in ex.references(tree)}


def _key(job: Job) -> str:
    """A name for the statement's random numbers that its place in the text does not change."""
    if isinstance(job.statement, Stochastic):
        slots = [(s.plate, s.label, s.first) for s in job.statement.head.slots]
        return f"{job.names[0]}{slots}"
    return ",".join(job.names)
