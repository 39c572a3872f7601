"""Mean vectors and covariance matrices of multivariate Normal components, from weighted sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.cells import element_label
from dagmodels.forms.leaves import VectorLeaf

if TYPE_CHECKING:
    from dagmodels.backends.em.mixture.closed import Point, Rule

Floats = NDArray[np.float64]
SINGULAR = 1e-12  # smallest eigenvalue of a component's covariance, in units of all values' variances


def vector_rule(rule: Rule, point: Point, weights: tuple[Floats, ...]) -> None:
    """Maximise over the mean vectors, or the covariance matrices, in place.

    Means are weighted by precisions where components with several covariances share one.

    Raises `Singular` where a component's covariance has no inverse.
    """
    if rule.kind == "vector":
        _means(rule, point, weights)
    else:
        _covariances(rule, point, weights)


def _sums(point: Point, p: int, weights: Floats) -> tuple[Floats, tuple[Floats, Floats, Floats]]:
    """Means by state where the maximisation began, and sums about these."""
    leaf = point.form.parts[p].leaf
    assert isinstance(leaf, VectorLeaf)
    if p not in point.vectors:
        mean = leaf.means(point.values.__getitem__)
        point.vectors[p] = mean, leaf.sums(weights, mean, leaf.covariances(point.values.__getitem__))
    return point.vectors[p]


def _means(rule: Rule, point: Point, weights: tuple[Floats, ...]) -> None:
    old = point.values[rule.node]
    d = point.form.parts[rule.terms[0].part].own.shape[1]
    count = old.size // d
    precision, product = np.zeros((count, d, d)), np.zeros((count, d))
    for term in rule.terms:
        leaf = point.form.parts[term.part].leaf
        assert isinstance(leaf, VectorLeaf)
        mean, (total, first, _) = _sums(point, term.part, weights[term.part])
        inverse = np.linalg.inv(leaf.covariances(point.values.__getitem__))
        for k, at in enumerate((term.element.places // d).tolist()):
            precision[at] += inverse[k] * total[k]
            product[at] += inverse[k] @ (first[k] + total[k] * mean[k])
    new = old.reshape(count, d).copy()
    for k in range(count):
        if np.trace(precision[k]) > 0:
            new[k] = np.linalg.solve(precision[k], product[k])
    point.values[rule.node] = new.reshape(-1)


def _covariances(rule: Rule, point: Point, weights: tuple[Floats, ...]) -> None:
    from dagmodels.backends.em.mixture.closed import Singular

    old = point.values[rule.node]
    d = point.form.parts[rule.terms[0].part].own.shape[1]
    count = old.size // (d * d)
    sizes, products = np.zeros(count), np.zeros((count, d, d))
    spread = np.zeros(d)
    for term in rule.terms:
        leaf = point.form.parts[term.part].leaf
        assert isinstance(leaf, VectorLeaf)
        mean, (total, first, second) = _sums(point, term.part, weights[term.part])
        moved = leaf.means(point.values.__getitem__) - mean
        cross = first[:, :, None] * moved[:, None, :]
        about = second - cross - np.swapaxes(cross, 1, 2)
        about += total[:, None, None] * moved[:, :, None] * moved[:, None, :]
        spread = np.maximum(spread, leaf.centred.var(axis=0))
        for k, at in enumerate((term.element.places // (d * d)).tolist()):
            sizes[at] += total[k]
            products[at] += about[k]
    new = old.reshape(count, d, d).copy()
    scale = np.sqrt(np.where(spread > 0, spread, 1.0))
    for k in range(count):
        if sizes[k] > 0:
            new[k] = 0.5 * (products[k] + products[k].T) / sizes[k]
            if not np.linalg.eigvalsh(new[k] / np.outer(scale, scale))[0] > SINGULAR:
                raise Singular(element_label(point.form.flat.problem, rule.node, k * d * d))
    point.values[rule.node] = new.reshape(-1)
