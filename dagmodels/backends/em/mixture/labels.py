"""Labels of components that nothing tells apart: put in order, and said so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.mixture import MixtureForm

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
EQUAL = 1e-9


def ordered(form: MixtureForm, y: Floats) -> tuple[Floats, tuple[str, ...]]:
    """The same optimum with components in ascending order, and sentences on labels that mean nothing.

    A plate's labels mean nothing where exchanging two elements in all unknowns leaves the density as it is.
    """
    told = []
    values = {n: np.array(v) for n, v in form.flat.constrain(y).items()}
    at = form.expected(y, whole=False).log_density
    for plate in _plates(form):
        name = _by(form, plate)
        if name is None or not _meaningless(form, values, plate, at):
            continue
        axis = _axes(form, name, plate)[0]
        means = np.moveaxis(values[name], axis, 0).reshape(values[name].shape[axis], -1)
        order = np.lexsort(means.T[::-1])
        values = _permuted(form, values, plate, order)
        told.append(
            f"the labels of '{plate}' mean nothing by themselves: elements are in ascending order of '{name}'"
        )
    return (form.flat.unconstrain(values) if told else y), tuple(told)


def matched(form: MixtureForm, y: Floats, to: Mapping[str, Floats]) -> Floats:
    """The same optimum with labels that mean nothing exchanged so that it lies nearest to other values.

    to : by node, values of a fit to other data. Distances of elements are sums of squares over the unknowns
    with one axis along the plate, each in units of its spread there (Stephens 2000, JRSS B 62:795).
    """
    from scipy.optimize import linear_sum_assignment

    values = {n: np.array(v) for n, v in form.flat.constrain(y).items()}
    at, moved = form.expected(y, whole=False).log_density, False
    for plate in _plates(form):
        if _by(form, plate) is None:
            continue
        size = form.flat.problem.plates[plate].size
        cost = np.zeros((size, size))
        for name in form.flat.unknown:
            axes = _axes(form, name, plate)
            if len(axes) == 1:
                new, old = (np.moveaxis(v[name], axes[0], 0).reshape(size, -1) for v in (values, to))
                spread = max(float(np.var(old, axis=0).mean()), 1e-300)
                cost += ((old[:, None, :] - new[None, :, :]) ** 2).sum(axis=2) / spread
        order = linear_sum_assignment(cost)[1]
        if (order == np.arange(size)).all() or not _meaningless(form, values, plate, at):
            continue
        values, moved = _permuted(form, values, plate, order), True
    return form.flat.unconstrain(values) if moved else y


def _meaningless(form: MixtureForm, values: dict[str, Floats], plate: str, at: float) -> bool:
    """Whether elements of a plate may be exchanged without changing the density."""
    size = form.flat.problem.plates[plate].size
    return size > 1 and all(_same(form, values, plate, swap, at) for swap in _swaps(size))


def _plates(form: MixtureForm) -> list[str]:
    """Plates in which latents take their values."""
    problem = form.flat.problem
    found = (problem.graph.nodes[n].values_in for n in form.latents.first)
    bases = dict.fromkeys(problem.graph.base(p) for p in found if p is not None)
    known = [
        n for n, node in problem.graph.nodes.items() if node.values_in is not None and n in problem.values
    ]
    barred = {problem.graph.base(problem.graph.nodes[n].values_in or "") for n in known}
    return [p for p in bases if p not in barred]


def _by(form: MixtureForm, plate: str) -> str | None:
    """The unknown that orders a plate: the first that is no vector of probabilities, else the first."""
    kinds = {s.node: s.kind for s in form.flat.stretches}
    own = [n for n in form.flat.unknown if _axes(form, n, plate)]
    return next((n for n in own if kinds.get(n) != "simplex"), own[0] if own else None)


def _axes(form: MixtureForm, name: str, plate: str) -> list[int]:
    dag = form.flat.problem.graph
    return [i for i, p in enumerate(dag.nodes[name].plates) if dag.base(p) == plate]


def _swaps(size: int) -> Iterator[Ints]:
    for k in range(size - 1):
        order = np.arange(size)
        order[[k, k + 1]] = k + 1, k
        yield order


def _permuted(form: MixtureForm, values: dict[str, Floats], plate: str, order: Ints) -> dict[str, Floats]:
    found = {}
    for name, array in values.items():
        for axis in _axes(form, name, plate):
            array = np.take(array, order, axis)
        found[name] = array
    return found


def _same(form: MixtureForm, values: dict[str, Floats], plate: str, order: Ints, at: float) -> bool:
    from dagmodels.errors import FitError

    try:
        y = form.flat.unconstrain(_permuted(form, values, plate, order))
    except FitError:  # an order that the model states
        return False
    return bool(abs(form.expected(y, whole=False).log_density - at) <= EQUAL * max(abs(at), 1.0))
