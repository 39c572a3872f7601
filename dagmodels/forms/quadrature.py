"""Adaptive Gauss-Hermite quadrature of any order, where latents fall into small separate groups.

At the mode, with cov = L L' the conditional covariance of one group's elements, a group's integral is its
Laplace approximation times the mean of exp(R(z)) over z ~ N(0, I): R sums, over its rows, the log
density at eta(mode + L z) less its quadratic expansion (a Gaussian prior is exactly quadratic; Pinheiro and
Bates 1995, J. Comput. Graph. Stat. 4, section 2.4).  One draw of the field with chosen normals moves
every group at once.  The gradient is exact: the way back through densities, draws and elimination gives the
derivatives in x and in the predictors of the expansion, which move with x as in `mode`.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.field import Criterion, Field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.numerics.elimination import SCALED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_DIMENSIONS = 3


class QuadratureEvaluator(ModeEvaluator):
    """`ModeEvaluator` whose integrals are by quadrature with `order` nodes in each dimension."""

    def __init__(self, field: Field, order: int) -> None:
        super().__init__(field)
        self.order = order
        component, place, dimensions = _groups(field)
        if dimensions > MOST_DIMENSIONS:
            raise FitError(
                f"quadrature takes at most {MOST_DIMENSIONS} latents a group, here {dimensions} meet; "
                "leave quadrature out for Laplace's approximation"
            )
        nodes, weights = np.polynomial.hermite_e.hermegauss(order)
        grid = list(product(range(order), repeat=dimensions))
        self._log_weights = np.array(
            [sum(math.log(weights[i]) for i in at) - 0.5 * dimensions * math.log(2 * math.pi) for at in grid]
        )
        points = np.array([[nodes[i] for i in at] for at in grid]).reshape(len(grid), dimensions)
        normals = np.where(place >= 0, points[:, np.maximum(place, 0)], 0.0)
        self._normals = np.zeros((len(grid), field.pattern.n))  # the constant has none
        self._normals[:, :-1] = normals
        element = [component[_first_element(c.element, field.pattern.n - 1)] for c in field.curved]
        group = np.concatenate(element or [np.zeros(0, np.int64)])
        self._there = np.zeros(self.w.size)
        self._share = np.zeros((len(grid), int(component.max(initial=-1)) + 1))
        self._leaves = self._listed(group)

    def _listed(self, group: Ints) -> tuple[Any, ...]:
        """All curved leaves as the kernels of `quadrature_steps` take them."""
        row_of, begin = [], 0
        for c in self.field.curved:
            row_of.append(np.tile(begin + np.arange(c.n), len(c.element)))
            begin += c.n
        row = np.concatenate(row_of or [np.zeros(0, np.int64)])
        first, second, weight, times, *_ = self.flat.model
        pairs = (first, second, weight, row[first], times)
        slopes = (self.slope_numbers, self.slope_places)
        return (
            *pairs,
            *slopes,
            self._eta_places,
            self._density,
            group,
            self._normals,
            self._log_weights,
            row,
        )

    # -- the criterion -------------------------------------------------------------------------------

    def criterion(self, x: Floats) -> Criterion:
        """The criterion by quadrature at x."""
        from dagmodels.numerics.quadrature_steps import correction

        laplace = super().criterion(x)
        if not math.isfinite(laplace.total) or self.order == 1:
            return laplace
        e = self.elimination
        n, ts, rows, nbr, base, _, _, kind, haspar = self.field.pattern.arguments
        more = correction(
            *(self.w, self._there, *self.field.tape.operations, n, ts, rows, nbr, base, kind, haspar),
            *(e.s, e.T, e.H, e.p, *self.flat.pieces, self.eta, *self._leaves, self._share),
        )
        if not math.isfinite(more):
            return Criterion(math.inf, 0.0)
        return Criterion(laplace.deviance + more, laplace.penalty)

    def _partial(self) -> tuple[Floats, Floats]:
        """Derivatives of the criterion at the last x in the coordinates and in the predictors."""
        from dagmodels.numerics.quadrature_steps import correction_gradient

        direct, moving = super()._partial()
        if self.order == 1:
            return direct, moving
        field, e = self.field, self.elimination
        more, more_moving = np.zeros(direct.size), np.zeros(moving.size)
        correction_gradient(
            *(self.w, self._there, *field.tape.operations, *field.fill, *field.pattern.arguments),
            *(e.s, e.T, e.H, e.p, *self.flat.pieces, self.eta, *self._leaves, self._share),
            *(field.x_places, np.zeros(self.w.size), more, more_moving),
        )
        return direct + more, moving + more_moving


def dimensions(field: Field) -> int:
    """The most latents that meet in a group. Raises as `_groups`."""
    return _groups(field)[2]


def _groups(field: Field) -> tuple[Ints, Ints, int]:
    """For each element its group and its dimension in the group (-1: none); the most dimensions of a group.

    Raises `FitError` where coefficients are integrated or profiled, which join all groups.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    q = field.pattern.n - 1
    if field.unrestricted.any():
        raise FitError(
            "quadrature needs coefficients that are maximised: write 'parameter b' instead of 'b ~ Flat()', "
            "or leave quadrature out for Laplace's approximation"
        )
    low, high = field.pattern.entries()
    inner = (low < q) & (high < q) & (low != high) & _filled(field)
    graph = coo_array((np.ones(int(inner.sum())), (low[inner], high[inner])), shape=(q, q))
    component = np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
    zero = np.flatnonzero(field.tape.initial == 0.0)
    own = ~np.isin(field.fill[0][:q], np.setdiff1d(zero, field.x_places)) | _moves(field)[:q]
    own |= field.pattern.kind[:-1] != SCALED  # latents whose law is a leaf
    place = np.full(q, -1, dtype=np.int64)
    counts = np.zeros(int(component.max(initial=-1)) + 1, dtype=np.int64)
    for i in np.flatnonzero(own):
        place[i] = counts[component[i]]
        counts[component[i]] += 1
    return component, place, int(counts.max(initial=0))


def _moves(field: Field) -> NDArray[np.bool_]:
    """Whether an element's scale is computed on the tape rather than a constant."""
    computed = np.zeros(field.tape.initial.size, dtype=bool)
    for out in field.tape.operations[1]:
        computed[field.tape.place(int(out))] = True
    computed[field.x_places] = True
    return computed[field.fill[0]]


def _filled(field: Field) -> NDArray[np.bool_]:
    """Places of the pattern that data or parents fill (not those that elimination adds)."""
    found = np.zeros(field.pattern.size, dtype=bool)
    found[field.fill[1]] = True
    found[field.fill[4]] = True
    return found


def _first_element(element: tuple[Ints, ...], constant: int) -> Ints:
    """An element that each row depends on; the first for rows without any, which no node moves."""
    stacked = np.concatenate(element, axis=0)
    first = np.where(stacked == constant, constant + 1, stacked).min(axis=0)
    return np.where(first > constant, 0, first)
