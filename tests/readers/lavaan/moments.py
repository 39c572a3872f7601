"""Implied moments of a linear graph by plain numpy: an oracle that knows nothing of parameter tables."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.readers.lavaan import Reading

Values = Mapping[tuple[str, str | None], float]  # node and level (None: no plate)


def number(tree: ex.Expression, values: Values, units: Mapping[str, float], group: str | None) -> float:
    """A tree at given parameters and values of the unit's variables."""

    def at(t: ex.Expression) -> float:
        return number(t, values, units, group)

    match tree:
        case ex.Number(value):
            return float(value)
        case ex.Unary(_, operand):
            return -at(operand)
        case ex.Binary(op, left, right):
            a, b = at(left), at(right)
            return {"+": a + b, "-": a - b, "*": a * b, "/": a / (b or math.nan), "**": a ** (b or 0)}[op]
        case ex.Call("sqrt", (inner,)):
            return math.copysign(math.sqrt(abs(at(inner))), at(inner))
        case ex.Call(name, (inner,)):
            return getattr(math, name)(at(inner))
        case ex.Reference(name, indices):
            if name in units:
                return units[name]
            if not indices:
                return values[name, None]
            index = indices[0]
            return values[name, str(index.label) if isinstance(index, ex.LevelIndex) else group]
    raise AssertionError(tree)


def settled(
    dag: Dag, values: dict[tuple[str, str | None], float], unit: str, groups: tuple[str, ...]
) -> None:
    """Adds what is deterministic among the parameters; statements for single levels hold over the whole."""
    waiting = [
        s
        for s in dag.statements
        if isinstance(s, st.Deterministic) and all(slot.plate != unit for slot in s.head.slots)
    ]
    waiting.sort(key=lambda s: sum(slot.label is not None for slot in s.head.slots))
    for _ in range(len(waiting) + 1):
        for statement in waiting:
            slots = statement.head.slots
            labels = [None] if not slots else [slots[0].label] if slots[0].label else groups
            for label in labels:
                try:
                    found = number(statement.expression, values, {}, label)  # type: ignore[arg-type]
                except KeyError:
                    continue
                values[statement.head.name, label] = found  # type: ignore[index]


def implied(
    reading: Reading,
    values: Values,
    exogenous: Mapping[tuple[str, ...], float],
    group: str | None = None,
    variables: tuple[str, ...] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance matrix of the variables; by default the observed ones in the table's order.

    exogenous : (co)variances by pair and means by name of the covariates, if any.
    """
    dag, unit = reading.dag, reading.provenance.unit
    laws = [s for s in dag.statements if isinstance(s, st.Stochastic | st.Deterministic | st.Joint)]
    equations: dict[str, ex.Expression] = {}
    cov: dict[tuple[str, str], float] = {}
    extra: dict[tuple[str, str], float] = {}
    for s in laws:
        if isinstance(s, st.Joint):
            mu, weights, matrix = (s.distribution.argument(n) for n in ("mu", "B", "cov"))
            assert isinstance(mu, ex.Vector)
            assert isinstance(weights, ex.Vector)
            assert isinstance(matrix, ex.Vector)
            for i, a in enumerate(s.names):
                equations[a] = mu.items[i]
                for j, b in enumerate(s.names):
                    extra[a, b] = number(weights.items[i].items[j], values, {}, group)  # type: ignore[attr-defined]
                    cov[a, b] = number(matrix.items[i].items[j], values, {}, group)  # type: ignore[attr-defined]
        elif any(slot.plate == unit for slot in s.head.slots):
            if isinstance(s, st.Deterministic):
                equations[s.head.name] = s.expression
            elif s.distribution.family == "Normal":
                law = dict(s.distribution.arguments)
                equations[s.head.name] = law["mu"]  # type: ignore[assignment]
                sd = number(law["sigma"], values, {}, group)  # type: ignore[arg-type]
                cov[s.head.name, s.head.name] = math.copysign(sd**2, sd)
    covariates = [s.name for s in dag.statements if isinstance(s, st.Covariate)]
    for s in dag.covariances:
        a, b = s.left.name, s.right.name
        cov[a, b] = cov[b, a] = number(s.expression, values, {}, group)
    names = [*covariates, *equations]
    place = {n: i for i, n in enumerate(names)}
    size = len(names)
    start, matrix_b, omega = np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
    for a in covariates:
        start[place[a]] = exogenous.get((a,), 0.0)
        for b in covariates:
            omega[place[a], place[b]] = exogenous.get((a, b), exogenous.get((b, a), math.nan))
    for (a, b), value in cov.items():
        omega[place[a], place[b]] = value
    for (a, b), value in extra.items():
        matrix_b[place[a], place[b]] += value
    zero = dict.fromkeys(names, 0.0)
    for name, tree in equations.items():
        own = start[place[name]] = number(tree, values, zero, group)
        for parent in {r.name for r in ex.references(tree)} & place.keys():
            slope = number(tree, values, {**zero, parent: 1.0}, group) - own
            matrix_b[place[name], place[parent]] += slope
    inverse = np.linalg.inv(np.eye(size) - matrix_b)
    keep = [place[n] for n in variables or reading.table.observed]
    return (inverse @ start)[keep], (inverse @ omega @ inverse.T)[np.ix_(keep, keep)]
