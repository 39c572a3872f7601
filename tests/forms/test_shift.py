"""The provisional fit: any shift leaves the same system, written about another origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from dagmodels.forms.pieces import Piece
from dagmodels.forms.shift import provisional_fit
from dagmodels.numerics.elimination import FREE, PROFILED, SCALED

ONE = 0  # place of the plain factor one in the workspace
W = 5
SEEDS = range(25)


@dataclass
class Response:
    """As the builder's: a leaf's pieces and response, by row."""

    node: str
    n: int
    pieces: list[Piece]
    y: Any
    root_weight: Any
    curved: bool = False


class Random:
    """A random system: scaled elements on later ones, free last; plain and tape coefficients mixed."""

    def __init__(self, seed: int, level: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        self.q = q = int(rng.integers(2, 12))
        free = int(rng.integers(0, min(q, 4)))
        self.kind = np.full(q, SCALED, np.uint8)
        if free:
            self.kind[-free:] = rng.choice([FREE, PROFILED], free)
        edges = [
            (c, p)
            for c in range(q - free)
            for p in range(c + 1, q + 1)
            if rng.random() < (0.6 if p == q else 0.3)
        ]
        edges += edges[:2]  # an entry twice adds up
        self.child, self.parent = (np.array([e[k] for e in edges], dtype=np.int64) for k in (0, 1))
        self.value = rng.normal(size=len(edges))
        self.source = np.where(rng.random(len(edges)) < 0.6, ONE, rng.integers(1, W, len(edges)))
        self.w = np.append(1.0, rng.normal(size=W - 1))
        self.responses = [self._response(rng, k, level) for k in range(int(rng.integers(1, 4)))]
        self.rng = rng

    def _response(self, rng: Any, k: int, level: float) -> Response:
        n = int(rng.integers(3, 20))
        pieces = []
        for _ in range(int(rng.integers(1, 5))):
            element = rng.integers(0, self.q + 1, n)
            element = element if rng.random() < 0.7 else int(element[0])
            mixed = np.where(rng.random(n) < 0.5, ONE, rng.integers(1, W, n))
            source = mixed if rng.random() < 0.4 else (ONE if rng.random() < 0.7 else int(rng.integers(1, W)))
            pieces.append(Piece(element, source, rng.normal(size=n) if rng.random() < 0.7 else 1.0))
        weight = rng.uniform(0.5, 2, n) if rng.random() < 0.5 else 1.0
        return Response(f"y{k}", n, pieces, level + rng.normal(size=n), weight)

    def fit(self) -> Any:
        return provisional_fit(
            self.responses, self.kind, self.child, self.parent, self.value, self.source, ONE
        )

    def solve(self, edges: Any, free: Any, noise: Any) -> Any:
        """Elements from their equations, parents first."""
        u = np.append(np.where(self.kind == SCALED, 0.0, free), 1.0)
        child, parent, value, source = edges
        for i in range(self.q - 1, -1, -1):
            if self.kind[i] == SCALED:
                at = child == i
                u[i] = noise[i] + np.sum(value[at] * self.w[source[at]] * u[parent[at]])
        return u

    def residuals(self, responses: list[Response], u: Any) -> Any:
        found = []
        for r in responses:
            total = -np.asarray(r.y, dtype=float)
            for p in r.pieces:
                total = total + np.broadcast_to(p.data * self.w[p.source] * u[p.element], r.n)
            found.append(total)
        return np.concatenate(found)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("level", [0.0, 1e3])
def test_the_shifted_system_is_the_same_system(seed: int, level: float) -> None:
    """For any noise and any free values: u' = u - shift, and every residual is unchanged."""
    system = Random(seed, level)
    fit = system.fit()
    original = (system.child, system.parent, system.value, system.source)
    for _ in range(3):
        free, noise = system.rng.normal(size=system.q), system.rng.normal(size=system.q)
        u = system.solve(original, free, noise)
        moved = system.solve(fit.edges, free - fit.shift, noise)
        scale = 1 + np.abs(u).max() + np.abs(fit.shift).max()
        np.testing.assert_allclose(moved[:-1] / scale, (u[:-1] - fit.shift) / scale, atol=1e-11)
        want, got = system.residuals(system.responses, u), system.residuals(fit.responses, moved)
        bound = (1 + np.abs(want).max() + level) * scale
        np.testing.assert_allclose(got / bound, want / bound, atol=1e-11)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_given_is_changed(seed: int) -> None:
    system = Random(seed)
    before = [r.y.copy() for r in system.responses], system.value.copy(), system.parent.copy()
    system.fit()
    for r, y in zip(system.responses, before[0], strict=True):
        np.testing.assert_array_equal(r.y, y)
    np.testing.assert_array_equal(system.value, before[1])
    np.testing.assert_array_equal(system.parent, before[2])


def regression(offset: float, columns: int = 3) -> tuple[Any, Any]:
    """y far from zero on a plain design with a constant column."""
    rng = np.random.default_rng(0)
    n = 200
    X = np.column_stack([np.ones(n), 1e4 + rng.normal(size=(n, columns - 1))])
    e = rng.normal(size=n)
    y = offset + X @ np.ones(columns) + e
    kind = np.full(columns, FREE, np.uint8)
    pieces = [Piece(k, ONE, X[:, k]) for k in range(columns)]
    none = np.zeros(0, np.int64)
    fit = provisional_fit([Response("y", n, pieces, y, 1.0)], kind, none, none, np.zeros(0), none, ONE)
    return fit, e


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_what_is_left_has_the_size_of_the_residuals(offset: float) -> None:
    fit, e = regression(offset)
    left = fit.responses[0].y
    assert np.sqrt(np.mean(left**2)) <= 1.05 * np.std(e) + 1e-3 * (offset > 1e9)
    assert fit.leaves[0].node == "y"


def test_more_free_elements_than_columns_of_the_fit() -> None:
    """Beyond the limit they stay unshifted, and the system is still the same."""
    fit, _ = regression(10.0, columns=60)
    assert (fit.shift[50:] == 0).all()
    assert fit.shift[:3].any()


def test_without_responses_or_free_elements() -> None:
    """The shift is the deterministic part of the means."""
    none = np.zeros(0, np.int64)
    kind = np.full(2, SCALED, np.uint8)
    child, parent = np.array([0, 1]), np.array([1, 2])
    fit = provisional_fit([], kind, child, parent, np.array([2.0, 3.0]), np.array([ONE, ONE]), ONE)
    np.testing.assert_array_equal(fit.shift, [6.0, 3.0])
    assert fit.edges[1].tolist() == [1]
    empty = provisional_fit([], np.zeros(0, np.uint8), none, none, np.zeros(0), none, ONE)
    assert empty.shift.size == 0
