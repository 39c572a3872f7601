"""Residuals of nodes tied by `~~`: one Gaussian vector for every set of elements that are tied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.labels import level_code, rank
from dagmodels.bind.problem import Problem, Rows
from dagmodels.distributions.mv_normal import root
from dagmodels.errors import ModelError
from dagmodels.forms.cells import element_label
from dagmodels.graph.expression import Number
from dagmodels.graph.scope import head_plates
from dagmodels.graph.statement import Covariance, Head, Stochastic
from dagmodels.simulate.arguments import law
from dagmodels.simulate.domains import outside
from dagmodels.simulate.evaluate import Evaluator, Scope
from dagmodels.simulate.jobs import Job
from dagmodels.simulate.order import Residuals

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Tie:
    """A `~~` statement at its rows: flat places of both ends."""

    statement: Covariance
    rows: Rows
    left: Ints
    right: Ints


def ties(problem: Problem, group: Residuals) -> tuple[Tie, ...]:
    """Every statement of a group with the elements that it joins."""
    return tuple(_tie(problem, s) for s in group.ties)


def _tie(problem: Problem, statement: Covariance) -> Tie:
    over = tuple(str(s.plate) for s in statement.left.slots if s.label is None)
    rows = problem.rows(over)
    codes = dict(rows.codes)
    for slot in statement.left.slots:
        if slot.label is not None:
            codes[str(slot.plate)] = np.full(rows.n, level_code(problem, str(slot.plate), slot.label))

    def places(head: Head) -> Ints:
        flat = np.zeros(rows.n, dtype=np.int64)
        for slot in head.slots:
            plate = str(slot.plate)
            named = level_code(problem, plate, slot.label) if slot.label is not None else rows.codes[plate]
            flat = flat * problem.plates[plate].size + named
        return flat

    return Tie(statement, Rows(rows.n, codes), places(statement.left), places(statement.right))


def draw_residuals(
    evaluator: Evaluator,
    rng: np.random.Generator,
    members: Mapping[str, list[Job]],
    joins: tuple[Tie, ...],
    fixed: Mapping[str, int],
    shocks: dict[str, Floats],
) -> None:
    """Draw the residuals of a group into `shocks`, by node and flat place.

    Parameters
    ----------
    members : the Normal statements of each node, at the rows to draw.
    fixed : positions along ordered plates, in a loop; ties elsewhere are left out.

    Raises `ModelError` where a scale is negative or the covariances are no covariance matrix.
    """
    number: dict[str, Ints] = {}
    variances: list[Floats] = []
    count = 0
    for name, parts in members.items():
        number[name] = np.full(evaluator.values[name].size, -1)
        for job in parts:
            number[name][job.places[:, 0]] = count + np.arange(job.rows.n)
            count += job.rows.n
            variances.append(_variance(evaluator, name, job))
    variance = np.concatenate(variances)
    left, right, covariance = (
        np.concatenate(parts)
        for parts in zip(*(_joined(evaluator, tie, number, fixed) for tie in joins), strict=True)
    )
    found = _draw(rng, variance, left, right, covariance, joins)
    for name, parts in members.items():
        for job in parts:
            places = job.places[:, 0]
            shocks[name][places] = found[number[name][places]]


def _variance(evaluator: Evaluator, name: str, job: Job) -> Floats:
    assert isinstance(job.statement, Stochastic)
    arguments = job.statement.distribution.arguments
    mean_free = tuple((k, v) for k, v in arguments if k != "mu")
    normal = replace(job.statement.distribution, arguments=(("mu", Number(0)), *mean_free))
    sigma = law(normal, evaluator, Scope(job.rows, job.head), job.target).arguments[1]
    wrong, rule = outside(sigma, "scale")
    if wrong.any():
        value = sigma[int(np.argmax(wrong))]
        raise ModelError(f"sigma of '{name}' is {value:g}, but {rule}", node=name)
    return np.broadcast_to(sigma**2, (job.rows.n,))


def _joined(
    evaluator: Evaluator, tie: Tie, number: Mapping[str, Ints], fixed: Mapping[str, int]
) -> tuple[Ints, Ints, Floats]:
    """Numbers of the ends among the elements drawn, and their covariance."""
    left, right = tie.statement.left.name, tie.statement.right.name
    keep = np.ones(tie.rows.n, dtype=bool)
    for plate, step in fixed.items():
        keep &= rank(evaluator.problem, plate)[tie.rows.codes[plate]] == step
    at = np.flatnonzero(keep)
    rows = Rows(at.size, {p: c[at] for p, c in tie.rows.codes.items()})
    values = evaluator.value(tie.statement.expression, Scope(rows, head_plates(tie.statement))).array
    ends = number[left][tie.left[at]], number[right][tie.right[at]]
    for name, end, places in ((left, ends[0], tie.left), (right, ends[1], tie.right)):
        if (end < 0).any():
            place = int(places[at[int(np.argmax(end < 0))]])
            label = element_label(evaluator.problem, name, place)
            raise ModelError(f"{left} ~~ {right} concerns '{label}', which has no Normal law", node=name)
    return *ends, np.broadcast_to(values, (at.size,))


def _draw(
    rng: np.random.Generator, variance: Floats, left: Ints, right: Ints, covariance: Floats,
    joins: tuple[Tie, ...],
) -> Floats:  # fmt: skip
    """Sets of tied elements of one size are drawn as one batch of vectors."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = variance.size
    graph = coo_array((np.ones(left.size), (left, right)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    size = np.bincount(label)
    start = np.cumsum(size) - size
    position = np.empty(n, dtype=np.int64)
    position[order] = np.arange(n) - np.repeat(start, size)
    found = np.empty(n)
    for k in np.unique(size):
        sets = np.flatnonzero(size == k)
        batch = np.full(size.size, -1)
        batch[sets] = np.arange(sets.size)
        members = order[start[sets][:, None] + np.arange(k)]
        matrix = np.zeros((sets.size, k, k))
        matrix[:, np.arange(k), np.arange(k)] = variance[members]
        at = np.flatnonzero(batch[label[left]] >= 0)
        i, j = position[left[at]], position[right[at]]
        own = batch[label[left[at]]]
        matrix[own, i, j] = matrix[own, j, i] = covariance[at]
        wrong, rule = outside(matrix, "covariance", 2)
        if wrong.any():
            pairs = " and ".join(f"{t.statement.left.name} ~~ {t.statement.right.name}" for t in joins)
            raise ModelError(
                f"the residual covariances {pairs} with the nodes' variances make no covariance matrix: it "
                f"{rule}",
                node=joins[0].statement.left.name,
                hint="a covariance is at most the product of the two standard deviations",
            )
        z = rng.standard_normal((sets.size, k))
        found[members] = np.einsum("nij,nj->ni", root(matrix), z)
    return found
