"""Defined quantities: deterministic nodes of the estimates, with standard errors by the delta method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.cells import element_label
from dagmodels.forms.lower import Lowering
from dagmodels.numerics.tape import Recorder, Tape
from dagmodels.results.limits import wald

if TYPE_CHECKING:
    from dagmodels.bind.problem import Problem
    from dagmodels.fits.unknowns import Floats, Unknowns

    Given = Callable[[str, NDArray[np.int64]], Floats]

MOST = 200  # longer deterministic nodes are predictors, not quantities that a table should list


def defined(problem: Problem, unknowns: Unknowns, given: Given) -> dict[str, list[Any]]:
    """Columns for deterministic nodes that depend on estimates alone (no latents, no plated data).

    given : numbers that statements fix, by node and flat places.
    """
    table: dict[str, list[Any]] = {k: [] for k in ("name", "estimate", "se", "lower", "upper", "what")}
    found = quantities(problem, unknowns)
    if found is None:
        return table
    tape = found.tape
    w = tape.initial.copy()
    for node, (start, length) in tape.inputs.items():
        w[start : start + length] = _node_value(unknowns, given, node)
    tape.forward(w)
    for label, place in zip(found.names, found.places.tolist(), strict=True):
        bar = np.zeros(w.size)
        bar[place] = 1.0
        tape.reverse(w, bar)
        gradient = _gradient(unknowns, tape.inputs, bar)
        used = np.flatnonzero(gradient)
        variance = gradient[used] @ unknowns.covariance[np.ix_(used, used)] @ gradient[used]
        se = float(root(variance)) if used.size else 0.0
        value = float(w[place])
        lower, upper = wald(value, se)
        row = (label, value, se, float(lower), float(upper), "defined")
        for key, cell in zip(table, row, strict=True):
            table[key].append(cell)
    return table


@dataclass(frozen=True, eq=False, slots=True)
class Quantities:
    """Defined quantities as a tape over estimates: their names, and their places in its workspace."""

    tape: Tape
    names: tuple[str, ...]
    places: NDArray[np.int64]

    def values(self, given: Callable[[str], Floats]) -> Floats:
        """At some estimates: by node all its elements, flat."""
        w = self.tape.initial.copy()
        for node, (start, length) in self.tape.inputs.items():
            w[start : start + length] = given(node)
        self.tape.forward(w)
        return w[self.places]


def quantities(problem: Problem, unknowns: Unknowns) -> Quantities | None:
    """Of a fit; None where the graph has none."""
    nodes = [n for n in problem.graph.order if _is_quantity(problem, unknowns, n)]
    if not nodes:
        return None
    recorder = Recorder()
    lowering = Lowering(
        problem, recorder, lambda n: recorder.input(n, int(np.prod(problem.shape(n) or (1,))))
    )
    registers = {n: lowering.node(n) for n in nodes}
    for register in registers.values():
        recorder.start(register)
    tape = recorder.finish()
    names, places = [], []
    for name in nodes:
        at = tape.place(registers[name])
        for place in range(at.stop - at.start):
            names.append(element_label(problem, name, place))
            places.append(at.start + place)
    return Quantities(tape, tuple(names), np.array(places, dtype=np.int64))


def root(variance: Any) -> Any:
    """Square root, nan where a variance is negative or undefined."""
    found = np.asarray(variance, dtype=np.float64)
    return np.sqrt(np.where(found >= 0, found, np.nan))


def _is_quantity(problem: Problem, unknowns: Unknowns, name: str) -> bool:
    dag = problem.graph
    if dag.nodes[name].kind != "deterministic" or int(np.prod(problem.shape(name) or (1,))) > MOST:
        return False
    queue, seen, found = list(dag.parents[name]), set(), False
    while queue:
        parent = queue.pop()
        if parent in seen:
            continue
        seen.add(parent)
        node = dag.nodes[parent]
        if node.role in ("latent", "observed") and parent not in unknowns.places:
            return False
        if node.kind == "covariate" and node.plates:
            return False
        found = found or parent in unknowns.places
        if node.kind == "deterministic":
            queue.extend(dag.parents[parent])
    return found


def _node_value(unknowns: Unknowns, given: Given, node: str) -> Floats:
    places = unknowns.places[node]
    value = np.where(places >= 0, unknowns.value[np.maximum(places, 0)], 0.0)
    fixed = np.flatnonzero(places < 0)
    if fixed.size:
        value[fixed] = given(node, fixed)
    return value


def _gradient(unknowns: Unknowns, inputs: dict[str, tuple[int, int]], bar: Floats) -> Floats:
    gradient = np.zeros(unknowns.value.size)
    for node, (start, length) in inputs.items():
        places = unknowns.places[node]
        part = bar[start : start + length]
        np.add.at(gradient, places[places >= 0], part[places >= 0])
    return gradient
