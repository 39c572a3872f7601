"""One outcome of a graph as a regression on its rows: what classical estimators need, read from the graph.

The outcome's predictor must be linear in its coefficients, its rows independent given the covariates, its law
Normal, Bernoulli or Poisson with the canonical link. Columns are functions of the true values, so that noise
can be added to what was observed (squares and interactions follow).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import location, location_argument
from dagmodels.analysis.reach import Reach
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution
from dagmodels.measurement.error_source import (
    CALIBRATED,
    STATES,
    calibrated_readings,
    crossed_error,
    error_source,
)
from dagmodels.measurement.mismeasured import Mismeasured, naive_values
from dagmodels.measurement.naive import mean_unknowns, naive_problem
from dagmodels.measurement.values import at_rows, law_of, with_reports

Floats = NDArray[np.float64]
LINKS = {"Normal": None, "Bernoulli": "expit", "Poisson": "exp"}


@dataclass(frozen=True, eq=False, slots=True)
class RowDesign:
    """A regression on rows.

    outcome, family : the node and its law. names : of the coefficients.
    y : (n,). true : nodes of the true values, k of them. w : their naive values, (n, k).
    error : covariance of the naive values' errors, (n, k, k). how : where each error variance is from.
    columns : from true values (n, k) to the design matrix (n, p). offset : (n,).
    within : by true value sums of squares whose mean is the error variance of one reading, with their
        degrees of freedom, (n,) each: within replicates, or what a reliability leaves; None where the
        variance is a number.
    share : what one reading's error variance is multiplied by, (n, k).
    plain : indices of the columns that are exactly one true value, by true value; -1 where none is.
    discrete : which true values are states; they have no error variance.
    cross : covariance of each naive value's error with that of y, (n, k).
    """

    outcome: str
    family: str
    names: tuple[str, ...]
    y: Floats
    true: tuple[str, ...]
    w: Floats
    error: Floats
    how: tuple[str, ...]
    columns: Callable[[Floats], Floats]
    offset: Floats
    within: tuple[tuple[Floats, Floats] | None, ...]
    share: Floats
    plain: tuple[int, ...]
    discrete: tuple[bool, ...]
    cross: Floats

    @property
    def design(self) -> Floats:
        """The design matrix at the naive values, (n, p)."""
        return self.columns(self.w)

    @property
    def linear(self) -> bool:
        """Whether every true value stands in the predictor as one column of its own and nowhere else."""
        if min(self.plain, default=-1) < 0:
            return False
        moved = self.columns(self.w + 1.0) - self.design
        expected = np.zeros(moved.shape[1])
        expected[list(self.plain)] = 1.0
        return bool(np.allclose(moved, expected, atol=1e-9))

    @property
    def affine(self) -> bool:
        """Whether columns are linear in the true values (interactions with known columns may be)."""
        one, two = self.columns(self.w + 1.0), self.columns(self.w + 2.0)
        return bool(np.allclose(two - one, one - self.design, atol=1e-9 * (1.0 + np.abs(one).max())))

    @property
    def side(self) -> Floats:
        """The columns that do not depend on any true value, (n, q)."""
        same = (self.columns(self.w + 1.0) == self.design).all(axis=0)
        return self.design[:, same]

    def errors_at(self, variances: Floats) -> Floats:
        """Covariances of the naive values' errors with other variances of one reading, (k,), for those that
        sums of squares tell; NaN leaves an error as it is."""
        found = self.error.copy()
        for j, v in enumerate(variances):
            if np.isfinite(v):
                found[:, j, j] = v * self.share[:, j]
        return found

    def pooled(self, weight: Floats | None = None) -> Floats:
        """Variance of one reading's error within replicates, (k,); NaN where they do not tell it."""
        found = np.full(len(self.true), np.nan)
        for j, inside in enumerate(self.within):
            if inside is not None:
                squares, degrees = inside if weight is None else (weight * v for v in inside)
                found[j] = squares.sum() / max(float(degrees.sum()), 1e-300)
        return found


def row_design(
    problem: Problem, found: tuple[Mismeasured, ...], outcome: str, fitted: Mapping[str, Floats]
) -> RowDesign:
    """The regression of one outcome. Raises `FitError` with the reason where it is none.

    fitted : values of the fit by node, for error variances that neither the graph nor replicates tell.
    """
    own = tuple(m for m in found if outcome in m.outcomes)
    if any(m.berkson for m in own):
        raise FitError("these estimators are for classical error, and the covariate has Berkson's")
    plain = naive_problem(problem, own)
    law, family = _family(plain, outcome)
    tree = location(law)
    assert tree is not None
    names = _coefficients(plain, outcome)
    rows = _predictor(plain, outcome, tree, names, own)
    y = plain.values[outcome].reshape(-1)
    codes = problem.rows(problem.graph.nodes[outcome].plates).codes
    at = [_flat(problem, m.node, codes) for m in own]
    w = np.stack([naive_values(problem, m).reshape(-1)[i] for m, i in zip(own, at, strict=True)], axis=1)
    keep = np.isfinite(y) & np.isfinite(w).all(axis=1)
    if any(np.unique(i[keep]).size < int(keep.sum()) for i in at):
        raise FitError(f"several rows of '{outcome}' share one true value: they are not independent")
    k, n = len(own), int(keep.sum())
    error, share, how, within = np.zeros((n, k, k)), np.ones((n, k)), list[str](), []
    cross = np.zeros((n, k))
    for j, m in enumerate(own):
        if m.discrete:
            how.append(STATES)
            within.append(None)
            continue
        variance, part, told, inside = error_source(problem, m, fitted)
        if told == CALIBRATED:
            mean, variance = calibrated_readings(problem, m, fitted)
            w[:, j] = mean[at[j]]
        cross[:, j] = crossed_error(problem, m, outcome, fitted, y.size)[keep]
        error[:, j, j] = variance[at[j]][keep]
        share[:, j] = part[at[j]][keep]
        how.append(told)
        within.append(None if inside is None else tuple(v[at[j]][keep] for v in inside))
    base = np.where(np.isfinite(w), w, 0.0)

    def columns(x: Floats) -> Floats:
        full = base.copy()
        full[keep] = x
        return rows(full)[0][keep]

    offset = rows(base)[1][keep]
    design = RowDesign(
        outcome, family, names, y[keep], tuple(m.node for m in own), w[keep], error, tuple(how), columns,
        offset, tuple(within), share, (-1,) * k, tuple(m.discrete for m in own), cross,
    )  # fmt: skip
    return replace(design, plain=_plain(design))


def _family(plain: Problem, outcome: str) -> tuple[Distribution, str]:
    law, place = law_of(plain, outcome)
    if law.family not in LINKS or place is not None:
        raise FitError(f"'{outcome}' is {law.family}: there must be a Normal, Bernoulli or Poisson outcome")
    link = LINKS[law.family]
    tree = law.argument(location_argument(law) or "")
    if link is not None and not (isinstance(tree, ex.Call) and tree.function == link):
        raise FitError(f"'{outcome}' has another link than {link}")
    return law, law.family


def _coefficients(plain: Problem, outcome: str) -> tuple[str, ...]:
    """Elements of the unknowns in the mean; latents make rows dependent, and are refused."""
    graph = plain.graph
    law, _ = law_of(plain, outcome)
    tree = location(law)
    assert tree is not None
    latent = [n for n in Reach(graph).of(tree) if graph.nodes[n].role == "latent" and graph.nodes[n].plates]
    if latent:
        raise FitError(f"the rows of '{outcome}' are not independent: '{latent[0]}' is latent beside them")
    names = mean_unknowns(graph, outcome)
    return tuple(
        plain.element(n, i) for n in names for i in range(int(np.prod(plain.shape(n), dtype=np.int64)))
    )


def _predictor(
    plain: Problem, outcome: str, tree: ex.Expression, names: tuple[str, ...], own: tuple[Mismeasured, ...]
) -> Callable[[Floats], tuple[Floats, Floats]]:
    """From naive values (rows, k) to design matrix and offset over all rows of the outcome."""
    p = len(names)
    nodes = tuple(dict.fromkeys(n.partition("[")[0] for n in names))
    variants = np.concatenate([np.zeros((1, p)), np.eye(p), [np.linspace(1.0, 2.0, p)]])
    held: dict[str, Floats] = {n: v[..., None] for n, v in plain.values.items()}
    position = 0
    for node in nodes:
        shape = plain.shape(node)
        size = int(np.prod(shape, dtype=np.int64))
        held[node] = variants[:, position : position + size].T.reshape(*shape, len(variants))
        position += size
    codes = plain.rows(plain.graph.nodes[outcome].plates).codes
    at = [_flat(plain, m.node, codes) for m in own]

    def rows(x: Floats) -> tuple[Floats, Floats]:
        values = dict(held)
        for j, m in enumerate(own):
            array = plain.values[m.node].reshape(-1).copy()
            array[at[j]] = x[:, j]
            values[m.node] = array.reshape(plain.shape(m.node))[..., None]
        found = at_rows(plain, outcome, tree, with_reports(plain, values))
        found = np.broadcast_to(found, (found.shape[0], len(variants)))
        offset, design = found[:, 0], found[:, 1:-1] - found[:, :1]
        size = 1.0 + np.abs(found[:, -1])
        if (np.abs(offset + design @ variants[-1] - found[:, -1]) > 1e-8 * size).any():
            raise FitError(f"the mean of '{outcome}' is not linear in its coefficients")
        return design, offset

    return rows


def _flat(problem: Problem, node: str, codes: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """The flat place of the true value that each row of an outcome uses."""
    plates = problem.graph.nodes[node].plates
    if not plates or not all(p in codes for p in plates):
        raise FitError(f"the rows of the outcome do not lie in the plates of '{node}'")
    return np.ravel_multi_index(tuple(codes[p] for p in plates), problem.shape(node)).astype(np.int64)


def _plain(design: RowDesign) -> tuple[int, ...]:
    """For each true value the column that is exactly it."""
    x = design.design
    found = []
    for j in range(design.w.shape[1]):
        same = np.flatnonzero((np.abs(x - design.w[:, j : j + 1]) < 1e-12).all(axis=0))
        found.append(int(same[0]) if same.size == 1 else -1)
    return tuple(found)


__all__ = ["RowDesign", "row_design"]
