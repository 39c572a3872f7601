"""Dirichlet proportions integrated by their children's counts; see `analysis/proportions`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.proportions import Counts, Proportions
from dagmodels.bind.problem import Rows
from dagmodels.distributions._conjugate import log_rising
from dagmodels.distributions._shared import NEVER
from dagmodels.forms.cells import Cells, cells
from dagmodels.forms.collapse import ClosedIntegral
from dagmodels.forms.formulas import Functions, Traced
from dagmodels.forms.lower import Lowering, expand
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Stochastic

Floats = NDArray[np.float64]


def collapse_counts(lowering: Lowering, functions: Functions, pair: Proportions) -> ClosedIntegral:
    """Record the integral over proportions.

    Each proportion's share of it is log gamma(a + c)/gamma(a), less an equal share of what the sums of both
    give.  `prior` and `sums` hold a and c, and beside each the rest of its vector, as for a Beta law.
    """
    problem, recorder = lowering.problem, lowering.recorder
    shape = problem.shape(pair.name)
    size, width = int(np.prod(shape, dtype=np.int64)), int(shape[-1])
    group = np.arange(size) // width
    counts, constants, rows = np.zeros(size), [], []
    for child in pair.counted:
        for share in cells(problem, child.node):
            if share.statement is child.statement:
                found, constant, n = _counted(lowering, child, share, size)
                counts += found
                constants.append(recorder.constant(np.array([constant])))
                rows.append((child.node, n, 1.0))
    whole = np.bincount(group, counts, size // width)[group]
    alpha = _concentrations(lowering, pair, size)
    total = functions.traced(recorder.gather(recorder.segment_sum(alpha, group, size // width), group))
    a, c, n = functions.traced(alpha), *(functions.traced(recorder.constant(v)) for v in (counts, whole))
    body = log_rising(functions, a, c) - log_rising(functions, total, n) * (1.0 / width)
    marginal = functions.where(a > 0.0, body, functions.traced(recorder.constant(np.full(size, NEVER))))
    rest = total - a
    prior = (_long(lowering, a, size), _long(lowering, rest, size))
    sums = (recorder.constant(counts), recorder.constant(whole - counts))
    return ClosedIntegral(pair, prior, sums, _long(lowering, marginal, size), tuple(constants), tuple(rows))


def _long(lowering: Lowering, x: Traced, size: int) -> int:
    if lowering.recorder.length(x.register) == size:
        return x.register
    return lowering.recorder.gather(x.register, np.zeros(size, dtype=np.int64))


def _concentrations(lowering: Lowering, pair: Proportions, size: int) -> int:
    """A register with the concentration of each proportion."""
    recorder, parts = lowering.recorder, []
    last = lowering.problem.graph.nodes[pair.name].plates[-1]
    for share in cells(lowering.problem, pair.name):
        assert isinstance(share.statement, Stochastic)
        tree = share.statement.distribution.argument("a")
        assert isinstance(tree, ex.Expression)
        if isinstance(tree, ex.Vector):
            numbers = np.array([float(getattr(i, "value", np.nan)) for i in tree.items])
            register = recorder.constant(numbers[share.rows.codes[last]])
        else:
            register = lowering.full(lowering.value(tree, share.rows), share.rows)
            if recorder.length(register) != share.rows.n:
                register = recorder.gather(register, np.zeros(share.rows.n, dtype=np.int64))
        parts.append((register, share.places))
    return parts[0][0] if len(parts) == 1 else recorder.assemble(size, parts)


def _counted(lowering: Lowering, child: Counts, share: Cells, size: int) -> tuple[Floats, float, int]:
    """How often each state came, the log of the multinomial coefficients, and the number of observations."""
    problem = lowering.problem
    given = problem.observed[child.node].reshape(-1)[share.places]
    y = problem.values[child.node].reshape(-1)[share.places]
    if child.statement.distribution.family == "Categorical":
        at = np.flatnonzero(given)
        rows = Rows(at.size, {p: c[at] for p, c in share.rows.codes.items()})
        assert child.reference.indices is not None
        plate = child.reference.indices[-1].plate  # type: ignore[union-attr]
        longer, owner = expand(problem, rows, (plate,))
        hit = longer.codes[plate] == y[at][owner].astype(np.int64)
        places = lowering.places(child.reference, longer)
        return np.bincount(places[hit], minlength=size).astype(float), 0.0, at.size
    from scipy.special import gammaln

    width = problem.shape(child.node)[-1]
    whole = given.reshape(-1, width).all(axis=1)
    vectors = y.reshape(-1, width)[whole]
    places = lowering.places(child.reference, share.rows).reshape(-1, width)[whole]
    constant = float((gammaln(vectors.sum(axis=1) + 1) - gammaln(vectors + 1).sum(axis=1)).sum())
    return np.bincount(places.reshape(-1), vectors.reshape(-1), size), constant, int(whole.sum())


__all__ = ["collapse_counts"]
