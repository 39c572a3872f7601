"""Random linear-Gaussian systems, and their answers by dense algebra in plain numpy.

Nothing here shares code with the elimination.  The dense formulas contain no square root, so that
complex numbers run through them and give complex-step derivatives, at scales of zero too.  With
u = c + Z x, x = (scaled shocks a ~ N(0, S), free elements phi), they are built on
M = diag(I, 0) + diag(S, I) Z'HZ: its determinant, x = -M^-1 diag(S, I) Z'(Hc + h), and the covariance
Z M^-1 diag(S, I) Z'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from dagmodels.numerics.elimination import FREE, PROFILED, SCALED, Elimination, Pattern, pattern

SHAPES = ("random", "dense", "chain", "nested", "crossed", "vector", "tree", "mixed", "lonely")


@dataclass(frozen=True, eq=False)
class System:
    """kind, s : by element. T[i, j] : coefficient of element i on j > i (j = q: the constant).

    rows : the data's coefficients on the elements and the constant, one row each, weights included.
    touched : for each data row the positions that it touches (its pattern, zeros included).
    """

    kind: Any
    s: Any
    T: Any
    rows: Any
    touched: Any
    parents: Any

    @property
    def q(self) -> int:
        return self.kind.size

    @property
    def H(self) -> Any:
        return self.rows.T @ self.rows


def random_system(seed: int, shape: str, *, most: int = 60, free: bool = True, zeros: bool = True) -> System:
    """A system of that shape, its size, scales and coefficients random."""
    rng = np.random.default_rng([seed, SHAPES.index(shape)])
    q = int(rng.integers(1, most + 1))
    parents = _parents(rng, shape, q)
    q = parents.shape[0]
    fixed = int(rng.integers(0, min(q, 6) + 1)) if free else 0
    kind = np.full(q, SCALED, np.uint8)
    at = q - fixed + np.arange(fixed)
    kind[at] = FREE
    kind[at[rng.integers(0, fixed + 1) :]] = PROFILED  # those go last
    parents = parents & (kind == SCALED)[:, None]
    T = np.where(parents, rng.normal(0, 0.6, parents.shape), 0.0)
    s = np.exp(rng.uniform(np.log(1e-3), np.log(1e3), q))
    if zeros:
        s[rng.random(q) < 0.25] = 0.0
    if shape == "vector":
        s = np.where(np.arange(q) % 4 < 2, 0.0, 1.0)
    s[kind != SCALED] = 0.0
    count = int(rng.integers(1, 3 * q + 2)) + 3 * fixed
    touched = np.zeros((count, q + 1), bool)
    touched[:, q] = True
    for r in range(count):
        touched[r, _touched(rng, shape, q)] = True
        if r < 3 * fixed:  # every free element is met often enough
            touched[r, at[r % fixed]] = True
    rows = np.where(touched, rng.normal(size=touched.shape), 0.0)
    rows *= np.exp(rng.uniform(-2, 2, count))[:, None]
    return System(kind, s, T, rows, touched, parents)


def _touched(rng: Any, shape: str, q: int) -> Any:
    if shape == "lonely":
        return rng.integers(0, q, 1)
    if shape == "dense":
        return rng.integers(0, q, min(q, 6))
    if shape in ("chain", "tree"):
        return rng.integers(0, q, 1)
    return rng.integers(0, q, int(rng.integers(1, 4)))


def _parents(rng: Any, shape: str, q: int) -> Any:
    """Which later positions (the constant last) each element depends on."""
    if shape == "nested":
        a, b, c = (int(x) for x in rng.integers(1, 4, 3))
        q = a + a * b + a * b * c
        found = np.zeros((q, q + 1), bool)
        inner, middle = np.arange(a * b * c), a * b * c + np.arange(a * b)
        found[inner, a * b * c + inner // c] = True
        found[middle, a * b * c + a * b + (middle - a * b * c) // b] = True
    elif shape == "chain":
        length = int(rng.integers(1, 4))
        found = np.zeros((q, q + 1), bool)
        for lag in range(1, length + 1):
            i = np.arange(max(q - lag, 0))
            found[i, i + lag] = True
    elif shape == "crossed":
        a, b = (int(x) for x in rng.integers(2, 7, 2))
        q = a * b + a + b
        found = np.zeros((q, q + 1), bool)
        i = np.arange(a * b)
        found[i, a * b + i // b] = True
        found[i, a * b + a + i % b] = True
    elif shape == "vector":  # pairs of pure substitutions on pairs of unit shocks
        q = 4 * max(q // 4, 1)
        found = np.zeros((q, q + 1), bool)
        for g in range(0, q, 4):
            found[g, g + 2] = found[g + 1, g + 2] = found[g + 1, g + 3] = True
    else:
        share = {"random": 0.15, "dense": 0.7, "tree": 0.0, "mixed": 0.08, "lonely": 0.0}[shape]
        found = np.triu(rng.random((q, q + 1)) < share, 1)
        if shape == "tree":
            i = np.arange(q - 1)
            found[i, [int(rng.integers(k + 1, q)) for k in i]] = True
    found[:, -1] = rng.random(q) < 0.5
    return found


def pattern_of(system: System) -> Pattern:
    """The system's pattern, zeros of its numbers included."""
    pairs = np.zeros((system.q + 1, system.q + 1), bool)
    for row in system.touched:
        at = np.flatnonzero(row)
        pairs[np.ix_(at, at)] = True
    i, j = np.nonzero(np.triu(pairs))
    child, parent = np.nonzero(system.parents)
    return pattern(system.kind, i, j, child, parent)


def filled(system: System, shape: Pattern | None = None) -> Elimination:
    """An elimination with the system's numbers, not run yet."""
    shape = pattern_of(system) if shape is None else shape
    work = Elimination(shape)
    H = system.H
    i, j = np.nonzero(np.triu((system.touched.T.astype(int) @ system.touched) > 0))
    work.H[shape.place(i, j)] = H[i, j]
    child, parent = np.nonzero(system.parents)
    work.T[shape.place(child, parent)] = system.T[child, parent]
    work.s[: system.q] = system.s
    return work


@dataclass(frozen=True, eq=False)
class Answers:
    """What the elimination should say."""

    logdet: Any
    residual: Any
    mean: Any
    given_free: Any
    covariance: Any


def dense(kind: Any, s: Any, T: Any, H: Any) -> Answers:
    """All answers by dense algebra; real or complex numbers; no conjugation anywhere."""
    q = kind.size
    fixed = np.flatnonzero(kind != SCALED)
    fixed = fixed[np.argsort(kind[fixed], kind="stable")]  # counted ones first
    unit = np.eye(q)
    own = np.where((kind == SCALED)[:, None], T, 0.0)
    B = np.linalg.inv(unit - own[:, :q])
    c = B @ own[:, q]
    Z = np.concatenate([np.where((kind == SCALED)[None, :], B, 0.0), B[:, fixed]], axis=1)
    front = np.concatenate([np.where(kind == SCALED, s, 0.0), np.ones(fixed.size)])
    rest = np.diag(np.concatenate([np.ones(q), np.zeros(fixed.size)]))
    M = rest + front[:, None] * (Z.T @ H[:q, :q] @ Z)
    x = np.linalg.solve(M, -front * (Z.T @ (H[:q, :q] @ c + H[:q, q])))
    mean = c + Z @ x
    full = np.append(mean, 1.0)
    pull = H @ full
    residual = full @ pull - x[:q] @ (Z[:, :q].T @ pull[:q])
    counted = q + int(np.sum(kind == FREE))
    covariance = Z @ np.linalg.solve(M, front[:, None] * Z.T)
    V = Z[:, :q] @ np.linalg.solve(M[:q, :q], front[:q, None] * Z[:, :q].T)
    return Answers(_logdet(M[:counted, :counted]), residual, mean, V, covariance)


def _logdet(matrix: Any) -> Any:
    if matrix.size == 0:
        return 0.0
    if not np.iscomplexobj(matrix):
        sign, value = np.linalg.slogdet(matrix)
        assert sign > 0
        return value
    real = np.real(matrix)  # first order is all that a complex step needs
    return np.linalg.slogdet(real)[1] + 1j * np.trace(np.linalg.solve(real, np.imag(matrix)))


def of(system: System) -> Answers:
    """Dense answers of a system."""
    return dense(system.kind, system.s, system.T, system.H)


def permuted(system: System, order: Any) -> System:
    """The same system with its elements eliminated in another order: position k is element order[k]."""
    full = np.append(order, system.q)
    return replace(
        system,
        kind=system.kind[order],
        s=system.s[order],
        T=system.T[np.ix_(order, full)],
        rows=system.rows[:, full],
        touched=system.touched[:, full],
        parents=system.parents[np.ix_(order, full)],
    )


def exact(kind: Any, s: Any, T: Any, H: Any) -> tuple[float, float, Any]:
    """Log determinant, residual and means in rational arithmetic, one Gaussian integral over (e, phi).

    s must hold rationals (as Fraction); T and H floats are exact rationals already.
    """
    import math

    q = kind.size
    number = np.vectorize(Fraction, otypes=[object])
    T, H = number(T), number(H)
    # standardise by S itself: shocks with variance s; rows of zero scale are substituted out
    live = [i for i in range(q) if kind[i] != SCALED or s[i] != 0]
    Z = np.full((q, len(live) + 1), Fraction(0), dtype=object)  # u in live shocks, free elements and 1
    for i in range(q - 1, -1, -1):
        if kind[i] == SCALED:
            Z[i] = sum((T[i, j] * Z[j] for j in range(i + 1, q)), start=Z[i])
            Z[i, -1] += T[i, q]
        if i in live:
            Z[i, live.index(i)] += 1
    one = np.full((1, len(live) + 1), Fraction(0), dtype=object)
    one[0, -1] = Fraction(1)
    A = np.concatenate([Z, one])
    J = A.T @ H @ A
    for k, i in enumerate(live):
        if kind[i] == SCALED:
            J[k, k] += 1 / Fraction(s[i])
    determinant = Fraction(1)
    rows = [list(r) for r in J]
    for k, i in enumerate(live):
        pivot = rows[k][k]
        if kind[i] != PROFILED:
            determinant *= pivot * (Fraction(s[i]) if kind[i] == SCALED else 1)
        for r in range(k + 1, len(rows)):
            f = rows[r][k] / pivot
            rows[r] = [a - f * b for a, b in zip(rows[r], rows[k], strict=True)]
    v = [Fraction(0)] * len(live) + [Fraction(1)]
    for k in range(len(live) - 1, -1, -1):
        v[k] = -sum(rows[k][j] * v[j] for j in range(k + 1, len(v))) / rows[k][k]
    mean = Z @ np.array(v, dtype=object)
    log = math.log(determinant.numerator) - math.log(determinant.denominator)
    return log, float(rows[-1][-1]), mean.astype(float)
