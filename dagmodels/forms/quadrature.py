"""Adaptive Gauss-Hermite quadrature of any order, where latents fall into small separate groups.

At the mode, with cov = L L' the conditional covariance of one group's elements, a group's integral is its
Laplace approximation times the mean of exp(R(z)) over z ~ N(0, I): R sums, over its rows, the log
density at eta(mode + L z) less its quadratic expansion (a Gaussian prior is exactly quadratic; Pinheiro and
Bates 1995, J. Comput. Graph. Stat. 4, section 2.4).  One draw of the field with chosen normals moves
every group at once.  Derivatives are exact: complex steps through the mode, the draw and the densities.
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
from dagmodels.numerics.elimination import SCALED, Elimination

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]

MOST_DIMENSIONS = 3
STEP = 1e-30


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
        self._normals = np.where(place >= 0, points[:, np.maximum(place, 0)], 0.0)
        self._component = component
        self._row_group = [component[_first_element(c.element, field.pattern.n - 1)] for c in field.curved]
        self._n_groups = int(component.max(initial=-1)) + 1

    # -- one pass, real or complex -------------------------------------------------------------------

    def _correction(self, w: Array, e: Elimination, eta: Array, at: Any) -> Any:
        """Minus twice the log of the mean of exp(R), summed over groups.

        w : workspace at the mode. e : eliminated there. at : the workspace at other predictors.
        """
        ratios = np.zeros((self._log_weights.size, self._n_groups), dtype=w.dtype)
        for k, normals in enumerate(self._normals):
            moved = _predictors(self.field, w, e.sample(normals))
            there = at(moved)
            position = 0
            for c, group in zip(self.field.curved, self._row_group, strict=True):
                size = len(c.element)
                d = (moved - eta)[position : position + size * c.n].reshape(size, c.n)
                position += size * c.n
                r = there[c.density] - w[c.density]
                for i, places in c.slopes.items():
                    r = r - w[places] * d[i]
                for (i, j), places in c.weights.items():
                    r = r + (0.5 if i == j else 1.0) * w[places] * d[i] * d[j]
                np.add.at(ratios[k], group, r)
        total = ratios + self._log_weights[:, None]
        top = total.real.max(axis=0)
        return -2.0 * np.sum(top + np.log(np.exp(total - top).sum(axis=0)))

    def _forward(self, eta: Floats) -> Floats:
        w = self.w.copy()
        w[self._eta_places] = eta
        self.field.tape.forward(w)
        return w

    def criterion(self, x: Floats) -> Criterion:
        """The criterion by quadrature at x."""
        laplace = super().criterion(x)
        if not math.isfinite(laplace.total) or self.order == 1:
            return laplace
        more = float(self._correction(self.w, self.elimination, self.eta, self._forward))
        if not math.isfinite(more):
            return Criterion(math.inf, 0.0)
        return Criterion(laplace.deviance + more, laplace.penalty)

    def gradient(self) -> Floats:
        """Exact gradient at the last x: complex steps along each coordinate for what Laplace leaves out."""
        assert self._at is not None
        x = self._at
        more = np.zeros(x.size)
        if self.order > 1:
            for k in range(x.size):
                direction = np.zeros(x.size)
                direction[k] = 1.0
                more[k] = self._slope(x, direction)
        return super().gradient() + more

    def _slope(self, x: Floats, direction: Floats) -> float:
        raw = self._complex_inputs(x, STEP * direction)
        e, w = self._complex_system(self._moved(raw, self.eta))
        e.eliminate()
        moving = _predictors(self.field, w, e.mean()).imag / STEP
        eta = self.eta + 1j * STEP * moving
        e, w = self._complex_system(self._moved(raw, eta))
        e.eliminate()
        values = self.field.tape.values
        return float(np.imag(self._correction(w, e, eta, lambda at: values(self._moved(raw, at)))) / STEP)

    def _moved(self, raw: dict[str, Array], eta: Array) -> dict[str, Array]:
        """The tape's inputs with the leaves expanded at eta."""
        inputs, position = dict(raw), 0
        names = {start: name for name, (start, _) in self.field.tape.inputs.items()}
        for c in self.field.curved:
            for row in c.eta:
                inputs[names[int(row[0])]] = eta[position : position + c.n]
                position += c.n
        return inputs


def _predictors(field: Field, w: Array, u: Array) -> Array:
    full = np.append(u, 1.0)
    parts = [
        (c.data[k] * w[c.source[k]] * full[c.element[k]]).sum(axis=0)
        for c in field.curved
        for k in range(len(c.element))
    ]
    return np.concatenate(parts)


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
    """An element that each row depends on."""
    stacked = np.concatenate(element, axis=0)
    return np.where(stacked == constant, constant + 1, stacked).min(axis=0)
