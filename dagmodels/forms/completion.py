"""What is known once all unknowns are drawn: missing responses, then deterministic nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.reach import Reach
from dagmodels.bind.problem import Problem, Rows
from dagmodels.distributions import WRAPPERS, Family, family
from dagmodels.forms.cells import cells
from dagmodels.forms.coordinates import canonical
from dagmodels.forms.formulas import Functions, Traced
from dagmodels.forms.lower import Lowering, NotLowered
from dagmodels.forms.predicted_levels import levels, takes_vectors
from dagmodels.forms.vectors import Vector, matrix, vector_nodes, vectors
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution, Stochastic
from dagmodels.numerics.tape import Recorder, Tape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Draws = dict[str, Floats]  # by node, one draw a row, elements flat


@dataclass(frozen=True, eq=False, slots=True)
class Sheet:
    """A tape over the unknowns whose results are read at some places, for many draws at once.

    parts : where each result's numbers stand among what is read.
    """

    tape: Tape
    read: Ints
    parts: tuple[slice, ...]

    @classmethod
    def of(cls, recorder: Recorder, registers: Sequence[int]) -> Sheet:
        """Of the registers to read."""
        places, parts, at = [np.zeros(0, np.int64)], [], 0
        for register in registers:
            start, length = recorder.start(register), recorder.length(register)
            places.append(start + np.arange(length))
            parts.append(slice(at, at + length))
            at += length
        return cls(recorder.finish(), np.concatenate(places), tuple(parts))

    def values(self, draws: Draws) -> list[Floats]:
        """The results, one draw a row."""
        from dagmodels.numerics.posterior_steps import run

        m = len(next(iter(draws.values())))
        inputs = self.tape.inputs
        at = [np.arange(start, start + length) for start, length in inputs.values()]
        given = np.concatenate([np.zeros((m, 0)), *(draws[n] for n in inputs)], axis=1)
        out = np.empty((m, self.read.size))
        places = np.concatenate([np.zeros(0, np.int64), *at])
        run(given, places, self.tape.initial.copy(), *self.tape.operations, self.read, out)
        return [out[:, part] for part in self.parts]


@dataclass(frozen=True, eq=False, slots=True)
class Response:
    """Missing cells of one statement of a response: its family, their places, its parameters' results.

    widths : of parameters that are vectors, how many entries; else nothing.
    """

    node: str
    law: Family
    places: Ints
    arguments: tuple[int | float, ...]
    widths: tuple[int, ...] = ()

    def draw(self, results: list[Floats], rng: np.random.Generator, m: int) -> Floats:
        """One value a draw and cell."""
        arguments = [results[a] if isinstance(a, int) else a for a in self.arguments]
        for k, width in enumerate(self.widths):
            if width:
                arguments[k] = np.reshape(arguments[k], (m, -1, width))
        return np.asarray(self.law.draw(rng, *arguments, size=(m, self.places.size)), dtype=float)


@dataclass(frozen=True, eq=False, slots=True)
class Pattern:
    """Rows of a vector response that miss the same components.

    nodes, places : of each component, and its cells in these rows. missing : which of them are.
    means : results with each component's mean. covariance : result with the blocks. block : of each row.
    """

    nodes: tuple[str, ...]
    places: tuple[Ints, ...]
    missing: NDArray[np.bool_]
    means: tuple[int, ...]
    covariance: int
    block: Ints


@dataclass(frozen=True, eq=False, slots=True)
class Completion:
    """See the module. refused : nodes that have no such form, with the reason."""

    problem: Problem
    laws: Sheet
    responses: tuple[Response, ...]
    patterns: tuple[Pattern, ...]
    rest: Sheet
    deterministic: tuple[str, ...]
    refused: Mapping[str, str]
    forward: tuple[tuple[Sheet, tuple[Response, ...]], ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """What `complete` adds, but given responses of vectors."""
        missing = (n for n in self._predicted if not self.problem.observed[n].all())
        return (*missing, *(own[0].node for _, own in self.forward), *self.deterministic)

    @property
    def _predicted(self) -> tuple[str, ...]:
        found = [r.node for r in self.responses] + [n for p in self.patterns for n in p.nodes]
        return tuple(dict.fromkeys(found))

    def complete(self, draws: Draws, rng: np.random.Generator) -> None:
        """Add to the draws of all unknowns those of missing responses (given cells as they are), of nodes
        that nothing observed depends on, and deterministic nodes."""
        if self.responses or self.patterns:
            m = len(next(iter(draws.values())))
            for name in self._predicted:
                draws[name] = np.tile(self.problem.values[name].reshape(-1), (m, 1))
            results = self.laws.values(draws)
            for r in self.responses:
                draws[r.node][:, r.places] = r.draw(results, rng, m)
            for p in self.patterns:
                _draw_pattern(p, results, draws, rng)
        for sheet, own in self.forward:
            results = sheet.values(draws)
            m = len(next(iter(draws.values())))
            found = np.empty((m, int(np.prod(self.problem.shape(own[0].node), dtype=np.int64))))
            for r in own:
                found[:, r.places] = r.draw(results, rng, m)
            draws[own[0].node] = found
        if self.deterministic:
            draws.update(zip(self.deterministic, self.rest.values(draws), strict=True))


def _draw_pattern(p: Pattern, results: list[Floats], draws: Draws, rng: np.random.Generator) -> None:
    """Missing components given the others: the conditional normal law, all draws and rows at once."""
    k = p.missing.size
    mean = np.stack(
        [np.broadcast_to(results[a], (len(results[a]), p.block.size)) for a in p.means], axis=2
    )  # draws, rows, components
    blocks = results[p.covariance].reshape(len(mean), -1, k, k)
    lost, seen = np.flatnonzero(p.missing), np.flatnonzero(~p.missing)
    across = blocks[:, :, lost[:, None], seen]
    weights = np.linalg.solve(blocks[:, :, seen[:, None], seen], across.swapaxes(2, 3)).swapaxes(2, 3)
    root = np.linalg.cholesky(blocks[:, :, lost[:, None], lost] - weights @ across.swapaxes(2, 3))
    y = np.stack([draws[n][:, at] for n, at in zip(p.nodes, p.places, strict=True)], axis=2)
    away = (y - mean)[:, :, seen]
    z = rng.standard_normal((*mean.shape[:2], lost.size))
    found = (
        mean[:, :, lost]
        + np.einsum("srab,srb->sra", weights[:, p.block], away)
        + np.einsum("srab,srb->sra", root[:, p.block], z)
    )
    for j, component in enumerate(lost.tolist()):
        draws[p.nodes[component]][:, p.places[component]] = found[:, :, j]


def completion(
    problem: Problem,
    predicted: Collection[str],
    wanted: Collection[str] | None = None,
    forward: Collection[str] = (),
) -> Completion:
    """What completes the draws of a problem.

    predicted : observed nodes whose missing cells nothing depends on (`Roles.predicted`).
    wanted : names of nodes that are asked for; None: all.
    forward : nodes to be drawn from their parents, parents first.
    """
    dag, refused = problem.graph, dict[str, str]()
    predicted = [n for n in dag.nodes if n in predicted and (wanted is None or n in wanted)]
    laws, responses, patterns = _laws(problem, predicted, refused)
    reach = Reach(dag)
    lowering = _lowering(problem)
    names, registers = [], []
    for name in dag.order:
        if dag.nodes[name].kind != "deterministic" or not reach.through[name]:
            continue
        if wanted is not None and name not in wanted:
            continue
        try:
            registers.append(lowering.node(name))
            names.append(name)
        except NotLowered as error:
            refused[name] = str(error)
    rest = Sheet.of(lowering.recorder, registers)
    after = tuple(_forward(problem, name) for name in forward)
    return Completion(problem, laws, tuple(responses), tuple(patterns), rest, tuple(names), refused, after)


def _forward(problem: Problem, name: str) -> tuple[Sheet, tuple[Response, ...]]:
    """What draws a node from its parents."""
    lowering, registers = _lowering(problem), list[int]()

    def result(register: int) -> int:
        registers.append(register)
        return len(registers) - 1

    found = tuple(_scalar(lowering, name, result))
    return Sheet.of(lowering.recorder, registers), found


def _lowering(problem: Problem) -> Lowering:
    """Over a recorder whose inputs are nodes without values."""
    recorder = Recorder()
    return Lowering(
        problem,
        recorder,
        lambda n: recorder.input(n, int(np.prod(problem.shape(n), dtype=np.int64))),
        moving=True,
    )


def _laws(
    problem: Problem, predicted: list[str], refused: dict[str, str]
) -> tuple[Sheet, list[Response], list[Pattern]]:
    lowering = _lowering(problem)
    registers: list[int] = []

    def result(register: int) -> int:
        registers.append(register)
        return len(registers) - 1

    responses: list[Response] = []
    patterns: list[Pattern] = []
    done: list[Vector] = []
    tied = vector_nodes(vectors(problem)) if predicted else {}
    for name in predicted:
        try:
            if takes_vectors(problem, name):
                responses += [Response(name, *found) for found in levels(lowering, name, result)]
            elif name not in tied:
                responses += _scalar(lowering, name, result)
            elif not any(v is tied[name] for v in done):
                done.append(tied[name])
                patterns += _patterns(lowering, tied[name], result)
        except NotLowered as error:
            refused[name] = str(error)
    return Sheet.of(lowering.recorder, registers), responses, patterns


def _scalar(lowering: Lowering, name: str, result: Callable[[int], int]) -> list[Response]:
    problem, functions = lowering.problem, Functions(lowering.recorder)
    found = []
    for share in cells(problem, name):
        seen = problem.observed.get(name)
        at = np.arange(share.places.size) if seen is None else np.flatnonzero(~seen.reshape(-1)[share.places])
        if not at.size:
            continue
        assert isinstance(share.statement, Stochastic)
        law = _drawable(share.statement.distribution, name)
        rows = Rows(at.size, {p: c[at] for p, c in share.rows.codes.items()}, share.rows.axes)

        def argument(tree: object, rows: Rows = rows) -> Traced:
            assert isinstance(tree, ex.Expression)
            value = lowering.value(tree, rows)
            return functions.traced(value.register if value.key is None else lowering.full(value, rows))

        values = canonical(share.statement.distribution, argument, functions)  # type: ignore[arg-type]
        arguments = tuple(
            result(v.register) if isinstance(v, Traced) else float(v)  # type: ignore[arg-type]
            for v in values
        )
        found.append(Response(name, law, share.places[at], arguments))
    return found


def _drawable(d: Distribution, name: str) -> Family:
    """The family, if its parameters are numbers by row."""
    if d.family not in (*WRAPPERS, "Table"):
        law = family(d.family)
        if law.event == 0 and all(a.shape == 0 and a.domain != "plate" for a in law.parameters):
            return law
    raise NotLowered(f"missing values of '{name}' are {d.family}, which is not drawn after a collapse")


def _patterns(lowering: Lowering, vector: Vector, result: Callable[[int], int]) -> list[Pattern]:
    problem = lowering.problem
    given = np.stack([problem.observed[c.node].reshape(-1)[c.places] for c in vector.components], axis=1)
    law = matrix(lowering, vector, {})
    assert law.covariance is not None
    covariance = result(law.covariance)
    found = []
    kinds, of = np.unique(given, axis=0, return_inverse=True)
    for number, kind in enumerate(kinds):
        if kind.all():
            continue
        base = np.flatnonzero(of.reshape(-1) == number)
        means = []
        for c in vector.components:
            rows = Rows(base.size, {p: codes[base] for p, codes in c.rows.codes.items()})
            value = lowering.value(c.mean, rows)
            means.append(result(value.register if value.key is None else lowering.full(value, rows)))
        places = tuple(c.places[base] for c in vector.components)
        nodes = tuple(c.node for c in vector.components)
        found.append(Pattern(nodes, places, ~kind, tuple(means), covariance, law.block[base]))
    return found
