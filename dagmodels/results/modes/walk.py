"""How the joint density of a hierarchical model behaves as a scale of its latents goes to zero or infinity.

With J latents of law Normal(mu, tau) the joint density has the factor
tau^-J exp(-sum (theta - mu)^2 / (2 tau^2)).  Latents that approach mu as fast as tau goes to zero keep the
exponent, so that the density grows without bound wherever the prior of tau is positive there: no joint mode
exists.  Here that is shown by numbers: each scale is moved by powers of ten, and everything else but the
other scales is maximised at each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.reach import Reach
from dagmodels.errors import FitError
from dagmodels.forms.flat import Flat, Workspace
from dagmodels.graph.dag import Dag
from dagmodels.graph.expression import Expression
from dagmodels.graph.statement import Distribution, Joint, Stochastic
from dagmodels.results.modes.climb import climb

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCALES = {"sigma": 1, "b": 1, "beta": 1, "cov": 2, "chol": 1, "tau": 2}
"""Arguments of laws that set a scale, and the power of it that they are; `tau` of its inverse."""
DECADES = 8  # of a standard deviation: further out differences of latents lose all their digits
FALLEN = 50.0  # below the highest value so far: a walk ends
STEADY = 0.7  # of the gain of the step before, that the last step must bring where the growth goes on
LITTLE = 1e-3  # gain of a step that is none
MOST = 8  # walks


@dataclass(frozen=True, eq=False, slots=True)
class Walk:
    """One scale moved by powers of ten.

    node, name : the node and its element. latents : whose scale it is. size : their number of elements.
    factor : of the reference value, in order. value : of the element. log_density : the joint density of all
    values, maximised over everything that is no scale, in the same order. values : of all unknown nodes at
    the end where it is highest.
    """

    node: str
    name: str
    latents: tuple[str, ...]
    size: int
    value: Floats
    log_density: Floats
    values: Mapping[str, Floats]
    y: Floats

    @property
    def growth(self) -> float:
        """Growth of the log density at the end that grows, for each factor e of the scale; else nan."""
        end = self.end
        if end == 0:
            return np.nan
        x, v = np.log(self.value), self.log_density
        i, j = (0, 1) if end < 0 else (-1, -2)
        return float((v[i] - v[j]) / abs(x[i] - x[j]))

    @property
    def end(self) -> int:
        """-1: the density goes on growing as far down as the scale goes, 1: as far up, 0: neither."""
        if _grows(self.log_density[::-1]):
            return -1
        return 1 if _grows(self.log_density) else 0

    @property
    def highest(self) -> bool:
        """Whether the end that grows is also the highest point so far."""
        return self.end != 0 and int(np.argmax(self.log_density)) == (
            0 if self.end < 0 else self.value.size - 1
        )


def _grows(v: Floats) -> bool:
    """Whether the last step gains, and bends towards no maximum."""
    steps = np.diff(v)
    return bool(steps.size > 1 and steps[-1] > LITTLE and steps[-1] > STEADY * steps[-2])


def scale_nodes(dag: Dag) -> dict[str, dict[str, int]]:
    """Unknowns that set the scale of latents on plates: for each the latents, and the power of the standard
    deviation that it is (-2 for precisions)."""
    reach = Reach(dag)
    found: dict[str, dict[str, int]] = {}
    for name, node in dag.nodes.items():
        if node.role != "latent" or not node.plates:
            continue
        for statement in node.statements:
            if isinstance(statement, Stochastic | Joint):
                for key, tree in _scales(statement.distribution):
                    power = -2 if key == "tau" else SCALES[key]
                    for unknown in reach.of(tree):
                        if unknown != name:
                            found.setdefault(unknown, {})[name] = power
    return found


def _scales(law: Distribution) -> list[tuple[str, Expression]]:
    found: list[tuple[str, Expression]] = []
    for key, value in law.arguments:
        if isinstance(value, Distribution):
            found += _scales(value)
        elif (
            key in SCALES and isinstance(value, Expression) and not (key == "beta" and law.family != "Gamma")
        ):
            found.append((key, value))
    return found


def walks(flat: Flat, reference: Mapping[str, Floats]) -> list[Walk]:
    """Each scale of latents moved from its reference value, both ways.

    reference : values of all unknown nodes over their plates, inside their supports.

    Raises `FitError` where the reference has no density.
    """
    dag, problem = flat.problem.graph, flat.problem
    scales = {n: of for n, of in scale_nodes(dag).items() if n in flat.nodes}
    owner = np.array([n.partition("[")[0] for n in flat.names])
    free = np.flatnonzero(~np.isin(owner, list(scales)))
    space = flat.workspace()
    start = climb(flat, flat.unconstrain(reference), free, space)
    if not np.isfinite(start.value):
        raise FitError(
            f"the joint density has no value at the posterior means: {'; '.join(flat.why(start.y))}"
        )
    found: list[Walk] = []
    for node, latents in scales.items():
        shape = problem.shape(node)
        whole = "covariance" in {s.kind for s in flat.stretches if s.node == node}
        for at in [None] if whole else range(int(np.prod(shape, dtype=np.int64))):
            if len(found) < MOST:
                found.append(_walk(flat, node, at, latents, start.y, free, space))
    return found


def _walk(
    flat: Flat, node: str, at: int | None, latents: Mapping[str, int], y: Floats, free: Ints, space: Workspace
) -> Walk:
    """at : the element, None for all of a matrix together."""
    from dagmodels.forms.cells import element_label

    sides: list[list[tuple[float, float, Floats]]] = []
    power = max(abs(p) for p in latents.values())
    for sign in (-1.0, 1.0):
        side: list[tuple[float, float, Floats]] = []
        now, peak = y, -np.inf
        for k in range(0 if sign < 0 else 1, DECADES * power + 1):
            moved = _moved(flat, now if side else y, node, at, y, 10.0 ** (sign * k))
            if moved is None:
                break
            top = climb(flat, moved, free, space)
            if not np.isfinite(top.value):
                break
            side.append((_value(flat, top.y, node, at), top.value, top.y))
            now, peak = top.y, max(peak, top.value)
            if top.value < peak - FALLEN:
                break
        sides.append(side)
    every = [*reversed(sides[0]), *sides[1]]
    best = max(every, key=lambda row: row[1])[2]
    name = node if at is None else element_label(flat.problem, node, at)
    size = sum(int(np.prod(flat.problem.shape(n), dtype=np.int64)) for n in latents)
    value, density = (np.array([row[i] for row in every]) for i in (0, 1))
    return Walk(node, name, tuple(latents), size, value, density, flat.constrain(best), best)


def _moved(
    flat: Flat, now: Floats, node: str, at: int | None, reference: Floats, factor: float
) -> Floats | None:
    """The point with the scale at its reference value times the factor; None outside its support."""
    values = flat.constrain(now)
    first = flat.constrain(reference)[node]
    if at is None:
        values[node] = first * factor
    else:
        flat_values = values[node].reshape(-1).copy()
        flat_values[at] = first.reshape(-1)[at] * factor
        values[node] = flat_values.reshape(first.shape)
    try:
        return flat.unconstrain(values)
    except FitError:
        return None


def _value(flat: Flat, y: Floats, node: str, at: int | None) -> float:
    """Of the element; of a matrix its mean diagonal."""
    value = flat.constrain(y)[node]
    return float(np.diagonal(value, axis1=-2, axis2=-1).mean() if at is None else value.reshape(-1)[at])
