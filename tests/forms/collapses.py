"""Models for tests of the collapsed posterior, with their dense normal algebra written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.forms.collapsed import Collapsed, collapsed

Floats = NDArray[np.float64]
FLAT = 0.0  # prior precision of a flat element


@dataclass(frozen=True)
class Dense:
    """Precision-form algebra at some outer values: prior N(m, P^-1) of all elements, y ~ N(A u, R).

    elements : (node, flat place) of each entry of u. log_prior : of the outer unknowns, Jacobian included.
    """

    elements: list[tuple[str, int]]
    m: Floats
    P: Floats
    A: Floats
    R: Floats
    y: Floats
    log_prior: float

    @property
    def covariance(self) -> Floats:
        return np.linalg.inv(self.P + self.A.T @ np.linalg.solve(self.R, self.A))

    @property
    def mean(self) -> Floats:
        return self.covariance @ (self.P @ self.m + self.A.T @ np.linalg.solve(self.R, self.y))

    @property
    def log_density(self) -> float:
        """log p(y, outer): joint density at the conditional mean over the conditional density there."""
        u, q = self.mean, self.m.size
        away = u - self.m
        flat = int(np.sum(~self.P.any(axis=1)))
        proper = self.P.any(axis=1)
        inner = self.P[np.ix_(proper, proper)]
        prior = 0.5 * np.linalg.slogdet(inner)[1] - 0.5 * (q - flat) * np.log(2 * np.pi)
        prior -= 0.5 * away @ self.P @ away
        data = stats.multivariate_normal.logpdf(self.y, self.A @ u, self.R)
        given = -0.5 * np.linalg.slogdet(self.covariance)[1] - 0.5 * q * np.log(2 * np.pi)
        return float(self.log_prior + prior + data - given)


@dataclass(frozen=True)
class Case:
    """text, data: of the model. points : outer values by node. dense : the algebra at one of them."""

    text: str
    data: Mapping[str, Any]
    points: list[dict[str, float]]
    dense: Callable[..., Dense]

    def collapsed(self) -> Collapsed:
        return collapse(self.text, self.data)


def collapse(text: str, data: Mapping[str, Any]) -> Collapsed:
    return collapsed(bind(dm.read(text).dag, data))


# -- groups with a random slope, a covariate, a missing response and a level given by a statement

SLOPES = """model slopes
plate g
plate r in g
covariate x[r]
a[g] ~ Normal(m, t)
b[g] ~ Normal(0.5*m, 0.7)
m ~ Normal(1, 2)
c ~ Normal(0, 3)
t ~ HalfNormal(1)
s ~ HalfCauchy(2)
observed y[r] ~ Normal(a + b*x + c*x**2, s)
"""


def slopes() -> Case:
    rng = np.random.default_rng(11)
    g = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    x, y = rng.normal(size=9), rng.normal(size=9) + 3
    y[4] = np.nan

    def dense(t: float, s: float) -> Dense:
        elements = [
            *(("a", k) for k in range(3)),
            *(("b", k) for k in range(3)),
            ("m", 0),
            ("c", 0),
            ("y", 4),
        ]
        P, A = np.zeros((9, 9)), np.zeros((9, 9))
        for k in range(3):
            for row, sd, weights in ((k, t, {6: 1.0}), (3 + k, 0.7, {6: 0.5})):
                v = np.zeros(9)
                v[row] = 1.0
                for parent, w in weights.items():
                    v[parent] -= w
                P += np.outer(v, v) / sd**2
        P[6, 6] += 1 / 4
        P[7, 7] += 1 / 9
        m = np.zeros(9)
        for r in range(9):
            A[r, g[r]], A[r, 3 + g[r]], A[r, 7] = 1.0, x[r], x[r] ** 2
        v = -A[4].copy()
        v[8] = 1.0
        P += np.outer(v, v) / s**2
        given = np.arange(9) != 4
        m[:3], m[3:6], m[6] = 1.0, 0.5, 1.0
        m[8] = A[4] @ m
        log_prior = stats.halfnorm.logpdf(t) + stats.halfcauchy.logpdf(s, scale=2) + np.log(t) + np.log(s)
        return Dense(elements, m, P, A[given], s**2 * np.eye(8), y[given], float(log_prior))

    points = [{"t": 0.6, "s": 1.1}, {"t": 0.01, "s": 0.3}, {"t": 4.0, "s": 2.0}]
    return Case(SLOPES, {"g": g, "x": x, "y": y}, points, dense)


# -- flat coefficients far from zero (columns are centred), a known and an unknown scale

FLATS = """model flats
plate r
covariate x[r], k[r]
b0, b1 ~ Flat()
tau ~ Gamma(2, 3)
observed y[r] ~ Normal(b0 + b1*x, k/sqrt(tau))
"""


def flats() -> Case:
    rng = np.random.default_rng(12)
    x, k = 100 + rng.normal(size=7), rng.uniform(0.5, 2, size=7)
    y = 20 + 0.3 * x + k * rng.normal(size=7)

    def dense(tau: float) -> Dense:
        A = np.stack([np.ones(7), x], axis=1)
        log_prior = stats.gamma.logpdf(tau, 2, scale=1 / 3) + np.log(tau)
        return Dense(
            [("b0", 0), ("b1", 0)], np.zeros(2), np.zeros((2, 2)), A, np.diag(k**2) / tau, y, float(log_prior)
        )

    return Case(FLATS, {"x": x, "k": k, "y": y}, [{"tau": 0.7}, {"tau": 5.0}], dense)


# -- a chain whose lag coefficient is bounded, with covariance matrices of pairs beside it

CHAIN = """model chain
plate time ordered
x[time] ~ Normal(phi*x[time-1], q)
x[time first] ~ Normal(2, 1)
phi ~ Uniform(-1, 1)
q ~ LogNormal(0, 0.5)
observed y[time] ~ Normal(x, 0.4)
"""


def chain() -> Case:
    y = np.array([2.2, 1.5, 1.4, 0.2, -0.3, 0.4])

    def dense(phi: float, q: float) -> Dense:
        L = np.eye(6) - phi * np.eye(6, k=-1)
        P = L.T @ np.diag([1.0] + [q**-2] * 5) @ L
        m = 2.0 * phi ** np.arange(6)
        log_prior = (
            np.log(0.5) + stats.lognorm.logpdf(q, 0.5) + np.log(q) + np.log(2 * (1 + phi) / 2 * (1 - phi) / 2)
        )
        return Dense([("x", k) for k in range(6)], m, P, np.eye(6), 0.16 * np.eye(6), y, float(log_prior))

    return Case(CHAIN, {"y": y}, [{"phi": 0.8, "q": 0.5}, {"phi": -0.3, "q": 2.0}], dense)


# -- random intercepts and slopes with an unknown covariance matrix

PAIRS = """model pairs
plate g
plate k = "one", "two"
plate k2 as k
plate r in g
covariate x[r]
b[g, k] ~ MvNormal([m, 0.5], S)
m ~ Normal(0, 1)
S[k, k2] ~ InverseWishart(5, [[1, 0.2], [0.2, 2]])
observed y[r] ~ Normal(b[g, "one"] + b[g, "two"]*x, 0.8)
"""


def pairs() -> Case:
    rng = np.random.default_rng(13)
    g, x, y = np.array([0, 0, 1, 1, 1]), rng.normal(size=5), rng.normal(size=5) + 1

    def dense(S: Floats) -> Dense:
        L = np.eye(5)[:4]
        L[[0, 2], 4] = -1.0
        P = L.T @ np.kron(np.eye(2), np.linalg.inv(S)) @ L
        P[4, 4] += 1.0
        A = np.zeros((5, 5))
        A[np.arange(5), 2 * g], A[np.arange(5), 2 * g + 1] = 1.0, x
        low = np.linalg.cholesky(S)
        # of the logarithms of the diagonal and the entry below it: 2^2 L11^3 L22^2
        jacobian = np.log(4) + 3 * np.log(low[0, 0]) + 2 * np.log(low[1, 1])
        log_prior = stats.invwishart.logpdf(S, 5, np.array([[1, 0.2], [0.2, 2]])) + jacobian
        elements = [*(("b", k) for k in range(4)), ("m", 0)]
        return Dense(elements, np.array([0, 0.5, 0, 0.5, 0]), P, A, 0.64 * np.eye(5), y, float(log_prior))

    points: list[Any] = [
        {"S": np.array([[1.3, 0.4], [0.4, 0.6]])},
        {"S": np.array([[0.2, -0.1], [-0.1, 3.0]])},
    ]
    return Case(PAIRS, {"g": g, "x": x, "y": y}, points, dense)


# -- two crossed plates: a dense tail that is eliminated by blocks

CROSSED = """model crossed
plate p
plate q
plate r in p, q
a[p] ~ Normal(m, t)
b[q] ~ Normal(0, 0.5)
m ~ Normal(2, 3)
t ~ HalfNormal(1)
observed y[r] ~ Normal(a + b, 0.7)
"""


def crossed() -> Case:
    rng = np.random.default_rng(14)
    n, big, small = 400, 70, 60
    p = np.concatenate([np.arange(big), rng.integers(0, big, n - big)])
    q = np.concatenate([np.arange(small), rng.integers(0, small, n - small)])
    y = rng.normal(size=n) + 2

    def dense(t: float) -> Dense:
        size = big + small + 1
        elements = [*(("a", k) for k in range(big)), *(("b", k) for k in range(small)), ("m", 0)]
        L = np.eye(size)[:-1]
        L[:big, -1] = -1.0
        P = L.T @ np.diag([t**-2] * big + [4.0] * small) @ L
        P[-1, -1] += 1 / 9
        A = np.zeros((n, size))
        A[np.arange(n), p], A[np.arange(n), big + q] = 1.0, 1.0
        mean = np.array([2.0] * big + [0.0] * small + [2.0])
        log_prior = stats.halfnorm.logpdf(t) + np.log(t)
        return Dense(elements, mean, P, A, 0.49 * np.eye(n), y, float(log_prior))

    return Case(CROSSED, {"p": p, "q": q, "y": y}, [{"t": 0.4}, {"t": 2.0}], dense)


CASES: dict[str, Callable[[], Case]] = {
    "slopes": slopes,
    "flats": flats,
    "chain": chain,
    "pairs": pairs,
    "crossed": crossed,
}


def unconstrained(c: Collapsed, values: Mapping[str, Any]) -> Floats:
    """The point y with these outer values, by formulas of its own."""
    y = np.zeros(c.dimension)
    for node, part in c.places.items():
        v = np.asarray(values[node], dtype=float)
        if v.ndim == 2:
            low = np.linalg.cholesky(v)
            y[part] = [np.log(low[0, 0]), low[1, 0], np.log(low[1, 1])]
        elif node == "phi":
            y[part] = np.log((1 + v) / (1 - v))
        else:
            y[part] = np.log(v)
    return y
