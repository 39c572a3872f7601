"""What each node of a flat form is, element by element, before anything is recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import families, is_discrete
from dagmodels.analysis.unknown_scales import unknown_scales
from dagmodels.bind.problem import Problem, Rows
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.cells import Cells, cells, element_label
from dagmodels.forms.indicators import indicated
from dagmodels.forms.lower import Lowering, NotLowered
from dagmodels.forms.stretches import numbers_for
from dagmodels.forms.supports_of import Bound, Region, region, region_of
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Node
from dagmodels.graph.statement import Deterministic, Distribution, Joint, Parameter, Stochastic
from dagmodels.numerics.tape import Recorder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Ask:
    """Elements of a node that get a stretch of their own.

    places : (values, entries). kind, event : as in `Stretch`. length : unconstrained numbers.
    lower, upper : a number a value, a tree read on `rows`, or None where there is no end.
    law : of elements in standard units, whose location and scale are read on `rows`.
    """

    node: str
    places: Ints
    kind: str
    event: tuple[int, ...]
    length: int
    lower: Floats | ex.Expression | None
    upper: Floats | ex.Expression | None
    rows: Rows
    law: Distribution | None = None


@dataclass(frozen=True, eq=False, slots=True)
class NodePlan:
    """One node's elements.

    asks : what is unknown. given : flat places of what is neither unknown nor data. left_out : places whose
        factors sum to one. without_prior : some of it is a parameter.
    """

    asks: tuple[Ask, ...]
    given: Ints
    left_out: Ints
    without_prior: bool


def plans(
    problem: Problem,
    unknown: Iterable[str] | None,
    elsewhere: Collection[str] = (),
    standard: Mapping[str, Bools] = MappingProxyType({}),
) -> dict[str, NodePlan]:
    """A plan for every node that is not all data or deterministic, parents first.

    unknown : names; None for all. elsewhere : nodes whose unknown elements have no place here. standard : of
    nodes the flat places of elements that stand in standard units, where their scale is unknown.
    Raises `ModelErrors` naming nodes that cannot be unknown here.
    """
    dag = problem.graph
    errors: list[ModelError] = []
    chosen = None if unknown is None else set(unknown)
    for name in sorted(chosen or ()):
        if name not in dag.nodes:
            known = ", ".join(n for n, node in dag.nodes.items() if node.kind in ("stochastic", "parameter"))
            errors.append(ModelError(f"'{name}' is no node of the model", node=name, hint=f"nodes: {known}"))
        elif dag.nodes[name].kind not in ("stochastic", "parameter"):
            errors.append(ModelError(f"'{name}' is a {dag.nodes[name].kind} node, not an unknown", node=name))
    raise_all(errors, f"the flat form of model '{dag.name}'")
    found = {}
    for name in dag.order:
        node = dag.nodes[name]
        if node.kind in ("stochastic", "parameter") or len(node.statements) > 1:
            try:
                if name in elsewhere:
                    found[name] = NodePlan((), np.zeros(0, np.int64), np.zeros(0, np.int64), False)
                else:
                    found[name] = _plan(problem, node, chosen is None or name in chosen, standard.get(name))
            except ModelError as error:
                errors.append(error)
    raise_all(errors, f"the flat form of model '{dag.name}'")
    if chosen:
        for name in sorted(chosen):
            if not found[name].asks:
                errors.append(ModelError(f"'{name}' has no unknown elements", node=name))
    raise_all(errors, f"the flat form of model '{dag.name}'")
    return found


def _plan(problem: Problem, node: Node, chosen: bool, standard: Bools | None) -> NodePlan:
    size = int(np.prod(problem.shape(node.name), dtype=np.int64))
    known = np.zeros(size, dtype=bool)
    if node.name in problem.values:
        known = problem.observed[node.name].reshape(-1)
    asks: list[Ask] = []
    given = [np.zeros(0, np.int64)]
    left_out = [np.zeros(0, np.int64)]
    prior = True
    for share in cells(problem, node.name):
        statement = share.statement
        if isinstance(statement, Deterministic):
            continue
        missing = share.places[~known[share.places]]
        if not missing.size:
            continue
        law = statement.distribution if isinstance(statement, Stochastic | Joint) else None
        if not chosen:
            given.append(missing)
        elif law is not None and (reason := _no_density(law)):
            if not node.observed or problem.graph.children[node.name]:
                raise _refused(problem, node, missing, reason)
            left_out.append(missing)
        else:
            prior = prior and not isinstance(statement, Parameter)
            asks += asks_of(problem, node, share, known, standard)
    if chosen and not asks and len(node.statements) == 1 and not node.observed and not known.all() and size:
        raise ModelError(f"'{node.name}' has no unconstrained numbers", node=node.name)
    return NodePlan(tuple(asks), np.concatenate(given), np.concatenate(left_out), not prior)


def _no_density(law: Distribution) -> str:
    """Why a law's values have no density, or nothing."""
    if law.family == "Table" or is_discrete(law):
        return "discrete: it has no gradient"
    if "Censored" in families(law):
        return "censored: it is at a limit with positive probability, where it has no density"
    return ""


def _refused(problem: Problem, node: Node, missing: Ints, reason: str) -> ModelError:
    label = node.name
    if node.observed:
        label = element_label(problem, node.name, int(missing[0]))
        reason = f"missing and {reason}"
    hint = "leave it out of `unknown` and give its values, or sum it out"
    return ModelError(f"'{label}' is {reason}", node=node.name, hint=hint)


def asks_of(
    problem: Problem, node: Node, share: Cells, known: Bools, standard: Bools | None = None
) -> list[Ask]:
    """What the unknown elements of one share need: a stretch for each kind of support.

    standard : flat places whose elements stand in standard units.
    """
    statement = share.statement
    if isinstance(statement, Stochastic | Joint):
        where = region(statement.distribution)
    else:
        assert isinstance(statement, Parameter)
        where = region_of(statement.domain)
    if where.kind != "interval" and isinstance(statement, Joint):
        law = statement.distribution.family
        raise NotLowered(
            f"'{node.name}' is of a joint {law}, a {where.kind} over several nodes: not on the tape yet"
        )
    if where.kind != "interval":
        return [_vectors(problem, node, share, known, where)]
    at = np.flatnonzero(~known[share.places])
    places = share.places[at]
    rows = share.rows
    if at.size < rows.n:
        rows = Rows(at.size, {p: c[at] for p, c in rows.codes.items()})
    lower, upper = (_end(problem, b, rows) for b in (where.lower, where.upper))
    low, high = indicated(problem, node, lambda tree, own: _end(problem, tree, own))
    lower = lower if isinstance(lower, ex.Expression) else np.maximum(lower, low[places])
    upper = upper if isinstance(upper, ex.Expression) else np.minimum(upper, high[places])
    open_below, open_above = (_open(e, at.size) for e in (lower, upper))
    found = []
    own = np.zeros(at.size, dtype=bool) if standard is None else standard[places]
    own &= open_below & open_above & bool(unknown_scales(problem.graph, statement))
    for kind, below, above in (
        ("standard", True, True),
        ("real", True, True),
        ("lower", False, True),
        ("upper", True, False),
        ("interval", False, False),
    ):
        mine = np.flatnonzero((open_below == below) & (open_above == above) & (own == (kind == "standard")))
        if mine.size:
            part = rows
            if mine.size < rows.n:
                part = Rows(mine.size, {p: c[mine] for p, c in rows.codes.items()})
            if kind == "standard":
                assert isinstance(statement, Stochastic)
                law = statement.distribution
                found.append(
                    Ask(node.name, places[mine][:, None], kind, (), mine.size, None, None, part, law)
                )
                continue
            first = None if below else _some(lower, mine)
            last = None if above else _some(upper, mine)
            found.append(Ask(node.name, places[mine][:, None], kind, (), mine.size, first, last, part))
    return found


def _vectors(problem: Problem, node: Node, share: Cells, known: NDArray[np.bool_], where: Region) -> Ask:
    """Whole vectors or matrices: the last axis, or the last two."""
    axes = 2 if where.kind in ("covariance", "correlation") else 1
    event = problem.shape(node.name)[-axes:]
    entries = int(np.prod(event))
    if len(event) < axes or share.places.size % entries:
        raise NotLowered(f"'{node.name}' is {where.kind}, but a statement gives only some of its entries")
    blocks = share.places.reshape(-1, entries)
    seen = known[blocks]
    if (seen.any(axis=1) & ~seen.all(axis=1)).any() or (blocks != blocks[:, :1] + np.arange(entries)).any():
        raise NotLowered(f"'{node.name}' is {where.kind}: its values must be observed whole or not at all")
    mine = blocks[~seen.all(axis=1)]
    length = numbers_for(where.kind, len(mine), event)
    return Ask(node.name, mine, where.kind, event, length, None, None, Rows(0, {}))


def _end(problem: Problem, bound: Bound, rows: Rows) -> Floats | ex.Expression:
    """Known ends as numbers by row; others stay trees."""
    if isinstance(bound, float | int):
        return np.full(rows.n, float(bound))
    if not _is_known(problem, bound):
        return bound
    recorder = Recorder()
    lowering = Lowering(problem, recorder, _never)
    found = recorder.constant_value(lowering.full(lowering.value(bound, rows), rows))
    assert found is not None
    return np.broadcast_to(found, rows.n)


def _never(name: str) -> int:
    raise AssertionError(f"'{name}' was taken for data")


def _is_known(problem: Problem, tree: ex.Expression) -> bool:
    """Whether a tree is made of data alone."""
    for reference in ex.references(tree):
        node = problem.graph.nodes.get(reference.name)
        if node is None or (reference.name in problem.values and problem.observed[reference.name].all()):
            continue
        if node.kind != "deterministic" or not all(
            isinstance(s, Deterministic) and _is_known(problem, s.expression) for s in node.statements
        ):
            return False
    return True


def _open(end: Floats | ex.Expression, n: int) -> NDArray[np.bool_]:
    """Where an end is infinite; one that depends on unknowns is taken for finite."""
    return np.zeros(n, dtype=bool) if isinstance(end, ex.Expression) else np.isinf(end)


def _some(end: Floats | ex.Expression, at: Ints) -> Floats | ex.Expression:
    return end if isinstance(end, ex.Expression) else end[at]
