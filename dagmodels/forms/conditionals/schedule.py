"""Problem -> Schedule: classes of elements, a rule for each, and the order in which all is computed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.forward import drawn_forward
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError, ModelError, ModelErrors
from dagmodels.forms.completion import Completion, Sheet, completion
from dagmodels.forms.conditionals import (
    blocks,
    interweaving,
    joint_states,
    marginal_blocks,
    marginal_scales,
    slices,
    trajectories,
)
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.corrected import corrected, drawn
from dagmodels.forms.conditionals.gaussian import Auxiliary
from dagmodels.forms.conditionals.registry import rules, template
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.segments import Walk, walk
from dagmodels.forms.conditionals.state import StateBuilder
from dagmodels.forms.conditionals.target import Target, Touched, coloured, distinct, parted
from dagmodels.forms.flat_plan import Ask
from dagmodels.forms.lower import NotLowered
from dagmodels.graph.statement import Deterministic, Statement

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
TOGETHER = ("lp", *trajectories.STATISTICS)  # statistics of which a sweep has one
AGAIN = (interweaving.name, marginal_scales.name, marginal_blocks.name)  # rules of second updates
FORWARD = "its own law, given its parents, after all else: nothing observed depends on it"
NUMBERS = ("real", "lower", "upper", "interval", "counted")  # supports whose elements are units of their own


@dataclass(frozen=True, eq=False, slots=True)
class Chosen:
    """An update with the name of its rule, and why the rules before it did not apply."""

    rule: str
    update: Update
    passed: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """An update in its place.

    rule : its name. touched : the factors that depend on what it draws. before : what draws numbers with all
    that the update draws integrated out, so that nothing may come in between.
    """

    rule: str
    update: Update
    touched: tuple[Touched, ...]
    before: tuple[Update, ...] = ()

    def separate(self) -> Iterator[Step]:
        """Each update with the name of its own rule."""
        for update in self.before:
            yield Step(marginal_blocks.name, update, ())
        yield self


@dataclass(frozen=True, eq=False, slots=True)
class Schedule:
    """All updates of a sweep, in order.

    board : the state with its factors. targets : the classes, with an update for each. steps : what is done
    in a sweep, in order. drawn : its updates, auxiliary variables included. completion : draws missing
    responses and deterministic nodes afterwards.
    computed : nodes of which equations give some elements, `equations`.
    """

    board: Board
    targets: tuple[Target, ...]
    updates: tuple[Chosen, ...]
    steps: tuple[Step, ...]
    drawn: tuple[Update, ...]
    completion: Completion
    computed: Sheet
    equations: tuple[str, ...]

    @property
    def walk(self) -> Walk:
        """What the compiled loop takes; made when first asked for, because a plan does without."""
        memo = self.problem.memo
        if "conditionals walk" not in memo:
            memo["conditionals walk"] = walk(self.board, self.drawn)
        found: Walk = memo["conditionals walk"]
        return found

    @property
    def problem(self) -> Problem:
        """Graph and data."""
        return self.board.builder.problem

    def values(self, states: Floats) -> dict[str, Floats]:
        """All elements of the unknown nodes at states (n, size), observed and fixed ones included: (n,
        elements).
        """
        found = {}
        problem, builder = self.problem, self.board.builder
        given = {n: states[:, h.slots] for n, h in builder.holdings.items()}
        for name, (_, length) in self.computed.tape.inputs.items():
            given.setdefault(name, np.zeros((len(states), length)))  # auxiliary variables: nothing reads them
        computed = self.computed.values(given) if self.equations else []
        for name, held in builder.holdings.items():
            size = int(np.prod(problem.shape(name), dtype=np.int64))
            if name in self.equations:
                found[name] = computed[self.equations.index(name)]
                continue
            if held.places.size == size and (held.places == np.arange(size)).all():
                found[name] = states[:, held.slots[0] : held.slots[0] + size].copy()
                continue
            whole = np.empty((len(states), size))
            if name in problem.values:
                whole[:] = problem.values[name].reshape(-1)
            whole[:, held.places] = states[:, held.slots]
            found[name] = whole
        return found

    def statistics(self, states: Floats) -> dict[str, Floats]:
        """What is known of each of the draws at states (n, size), by name: `lp`, and of updates by node.

        Evaluations of several updates of a node are added up, their acceptance is averaged.
        """
        found: dict[str, list[Floats]] = {}
        for update in self.drawn:
            for name, slot in update.statistics:
                together = (name in TOGETHER and update.function is not None) or name == "lp"
                for whole in (name,) if together else [f"{name}_{n}" for n in update.every]:
                    found.setdefault(whole, []).append(states[:, slot])
        kinds: dict[str, type] = {"diverging": bool, "n_steps": int}
        return {
            n: np.mean(v, axis=0)
            if n.startswith("acceptance_rate")
            else np.sum(v, axis=0).astype(kinds.get(n, float))
            for n, v in found.items()
        }

    @property
    def doubled(self) -> Ints:
        """Slots of the scales and locations that second updates draw."""
        every = [u for s in self.steps for u in (*s.before, s.update)]
        nodes = {u.node for u in every if u.seldom and u.draw != "copy"}
        own = [self.board.builder.holdings[n].slots for n in sorted(nodes)]
        return np.concatenate([np.zeros(0, np.int64), *own])

    def told(self) -> dict[str, str]:
        """For each unknown node how its elements are drawn."""
        found = {n: "; ".join(dict.fromkeys(s.update.why for s in own)) for n, own in self._by_node().items()}
        return found | dict.fromkeys(self.board.builder.forward, FORWARD)

    def rules(self) -> dict[str, tuple[str, ...]]:
        """For each unknown node the names of the rules that draw it."""
        found = {n: tuple(dict.fromkeys(s.rule for s in own)) for n, own in self._by_node().items()}
        return found | dict.fromkeys(self.board.builder.forward, ("its own law",))

    def _by_node(self) -> dict[str, list[Step]]:
        """Steps by node, parents first."""
        every = [t for s in self.steps for t in s.separate() if t.update.draw != "copy"]
        every.sort(key=lambda s: s.rule in AGAIN)
        found: dict[str, list[Step]] = {n: [] for s in every[::-1] for n in s.update.every}
        for step in every:
            for node in step.update.every:
                found[node].append(step)
        return found


def schedule(problem: Problem) -> Schedule:
    """Kept with the problem, because plans and fits both ask for it.

    Raises
    ------
    FitError : what the tape cannot hold, or a node that no rule draws.
    """
    if "conditionals" not in problem.memo:
        problem.memo["conditionals"] = schedule_of(problem)
    found: Schedule = problem.memo["conditionals"]
    return found


def schedule_of(problem: Problem, held: Collection[str] = ()) -> Schedule:
    """A fresh schedule. held : nodes that are part of the state and that nothing here draws."""
    dag = problem.graph
    candidates = [n for n in _predicted(problem) if n not in held]
    forward = () if held else drawn_forward(dag)
    rest = completion(problem, candidates, forward=forward)
    predicted = [n for n in candidates if n not in rest.refused]
    try:
        board = Board(StateBuilder(problem, predicted, forward))
    except ModelError as error:
        raise NotLowered(str(error)) from error
    # children first: latents near the data are where these want them before a scale or a mean hangs on them
    classes = tuple(t for t in targets(board) if t.node not in held)[::-1]
    answers = [ruled(board, t) for t in classes]
    left = {t.node: a for t, a in zip(classes, answers, strict=True) if not isinstance(a, Chosen)}
    classes = tuple(t for t in classes if t.node not in left)
    chosen = tuple(a for a in answers if isinstance(a, Chosen) and a.update.node not in left)
    steps = joined(board, classes, chosen)
    if left:
        steps.append(_together(board, left))
    drawn = (*with_auxiliaries(board, steps), _joint_density(board))
    partly = tuple(
        n
        for n in board.builder.holdings
        if any(isinstance(s, Deterministic) for s in dag.nodes[n].statements)
    )
    computed = Sheet.of(board.recorder, [board.builder.lowering.node(n) for n in partly])
    return Schedule(board, classes, chosen, tuple(steps), drawn, rest, computed, partly)


def joined(board: Board, classes: Sequence[Target], chosen: Sequence[Chosen]) -> list[Step]:
    """The updates in order, those of a block as one in the place of its first; scales and locations a
    second time at the start."""
    groups = blocks.grouped(board, classes, [c.update for c in chosen])
    first = {min(g): g for g in groups}
    inside = {k for g in groups for k in g}
    sets = [frozenset(g) for g in groups]
    before = marginal_scales.marginal(board, classes, [c.update for c in chosen], sets)
    movers = {s: marginal_blocks.movers(board, classes, s) for s in sets}
    served = [scale for scale, _ in before.values()] + [k for found in movers.values() for k in found]
    again = interweaving.interwoven(board, classes, sets, served)
    states = joint_states.together(board, classes, [c.update for c in chosen])
    inside |= {i for places, _ in states.values() for i in places}
    steps = []
    for k, (target, c) in enumerate(zip(classes, chosen, strict=True)):
        if k in states:
            members = [classes[i] for i in states[k][0]]
            touched = blocks.touched_by(members)
            steps += [Step(joint_states.name, update, touched) for update in states[k][1]]
        elif k in first:
            members = [classes[i] for i in first[k]]
            steps += _block(board, members, [t for own in movers[frozenset(first[k])].values() for t in own])
        elif k not in inside:
            steps += [Step(marginal_scales.name, *pair) for pair in before.get(k, (k, ()))[1]]
            steps.append(_alone(board, target, c))
    return [*_second(again), *steps]


def _block(board: Board, members: list[Target], movers: Sequence[Target]) -> list[Step]:
    """A joint draw, after numbers that are drawn with it integrated out.

    Where it is accepted or not, what is accepted must be reversible: they are drawn there and back, once
    beginning with each.
    """
    touched = blocks.touched_by(members)
    if not movers:
        return [Step(blocks.name, blocks.joint(board, members), touched)]
    present = blocks.system(board, blocks.ordered(members), at_rest=False)
    update = blocks.joint(board, members, present)
    made = [marginal_blocks.before(board, t, present, update) for t in movers]
    if not any(a.ratio is not None for a in update.needs):
        every = tuple(u for own in made for u in own)
        return [Step(blocks.name, update, (*touched, *blocks.touched_by(movers)), every)]
    touched = (*touched, *blocks.touched_by(movers))
    orders = ([*made[k:], *made[:k]] for k in range(len(made)))
    found = []
    for order in orders:
        there_and_back = (u for own in (*order, *order[-2::-1]) for u in own)
        before = tuple(
            replace(u, numbers=None if u.numbers is None else u.numbers.copy()) for u in there_and_back
        )
        found.append(Step(blocks.name, update, touched, before))
    return found


def _alone(board: Board, target: Target, chosen: Chosen) -> Step:
    """A class drawn by itself: by slices where the normal rule holds nearly: they take no acceptance."""
    if all(a.ratio is None for a in chosen.update.needs):
        return Step(chosen.rule, chosen.update, target.touched)
    update = slices.recognise(board, target)
    assert isinstance(update, Update)
    return Step(slices.name, update, target.touched)


def _second(again: Sequence[tuple[tuple[Update, tuple[Touched, ...]], ...]]) -> Iterator[Step]:
    """Second updates. They begin a sweep, in the order of the classes: so they follow the first ones, and
    what these have computed serves the joint density."""
    for updates in again:
        for update, touched in updates:
            yield Step(interweaving.name, update, touched)


def with_auxiliaries(board: Board, steps: Sequence[Step]) -> Iterator[Update]:
    """The updates, each after the auxiliary variables that it needs.

    These are drawn once a sweep, and again after an update that did without them though it changed their
    factor.
    """
    fresh: set[Auxiliary] = set()
    seldom: set[Auxiliary] = set()  # of these, and those that second updates have drawn for themselves
    for step in steps:
        update = step.update
        have = seldom if update.seldom else fresh
        near: list[Auxiliary] = []
        for a in update.needs:
            if a in have:
                continue
            if a.ratio is not None:  # drawn for each update anew
                near.append(a)
                continue
            seldom.add(a)
            have.add(a)
            yield drawn(a, seldom=update.seldom)
        yield from corrected(board, (*step.before, update), near) if near else (*step.before, update)
        changed = {t.factor.register for t in step.touched} - {a.factor for a in update.needs}
        fresh, seldom = ({a for a in own if a.factor not in changed} for own in (fresh, seldom))


def _predicted(problem: Problem) -> Iterator[str]:
    """Observed nodes with missing entries on which nothing depends."""
    for name in problem.missing():
        if problem.graph.nodes[name].observed and not problem.graph.children[name]:
            yield name


def targets(board: Board) -> Iterator[Target]:
    """The classes, node by node, parents first."""
    builder = board.builder
    statements = iter(builder.statements)
    for name, plan in builder.plans.items():
        at = 0
        for ask in plan.asks:
            slots = builder.holdings[name].slots[at : at + ask.places.size]
            at += ask.places.size
            yield from _classes(board, name, next(statements), ask, slots)


def _classes(board: Board, name: str, statement: Statement, ask: Ask, slots: Ints) -> Iterator[Target]:
    units = slots.reshape(-1, 1) if ask.kind in NUMBERS else slots.reshape(ask.places.shape)
    unit_of = np.repeat(np.arange(len(units)), units.shape[1])
    first = int(slots[0])
    touched: list[Touched] = []
    for factor in board.factors:
        rows, slot = board.pairs(factor)
        mine = (slot >= first) & (slot < first + slots.size)
        if not mine.any():
            continue
        pairs = distinct(rows[mine], unit_of[slot[mine] - first], len(units))
        length = board.recorder.length(factor.register)
        touched.append(Touched(factor, pairs[0], pairs[1], length))
    colours = coloured(len(units), [(t.rows, t.owner) for t in touched])
    if colours is None:
        yield Target(name, statement, ask, np.arange(len(units)), units, tuple(touched), crowded=True)
        return
    for colour in range(int(colours.max(initial=0)) + 1):
        at = np.flatnonzero(colours == colour)
        yield Target(name, statement, ask, at, units[at], parted(touched, at, len(units)))


def ruled(board: Board, target: Target) -> Chosen | list[str]:
    """The first rule that applies, or why none does."""
    if target.crowded:
        n = len(target.units)
        return [f"{n} elements of '{target.node}' depend on one another through single factors"]
    passed: list[str] = []
    for rule in rules():
        found = rule.recognise(board, target)
        if isinstance(found, Update):
            return Chosen(rule.name, found, tuple(passed))
        passed.append(f"{rule.name}: {found}")
    return passed


def _joint_density(board: Board) -> Update:
    """The log joint density of all values, written beside the state at the end of a sweep."""
    _, slots = board.auxiliary("log density", 1)
    total = board.whole_density()
    return Update("", slots, "copy", 1, (total,), "", statistics=(("lp", int(slots[0])),))


def _together(board: Board, left: Mapping[str, list[str]]) -> Step:
    """Trajectories of nodes that no rule draws; raises `FitError` with a template for a rule where there is
    no gradient."""
    told = [reasons[-1].removeprefix("slice: ") for reasons in left.values()]
    try:
        update = trajectories.together(board, list(left), told)
    except (FitError, ModelErrors) as error:
        node, reasons = next(iter(left.items()))
        because = "\n".join(f"  {p}" for p in (*reasons, f"trajectories: {error}"))
        raise FitError(
            f"no rule draws '{node}':\n{because}\nA rule of your own may begin like this, and be given to "
            f"dagmodels.register_rule:\n{template(node)}"
        ) from error
    return Step(trajectories.name, update, ())
