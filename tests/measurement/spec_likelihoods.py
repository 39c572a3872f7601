"""Log likelihoods of the models of specs/eiv, written by hand: dense normal laws, sums over states, and
quadrature with 120 nodes about what the readings say of the true value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import expit, gammaln, logsumexp

NODES, WEIGHTS = hermegauss(120)
LOG_WEIGHTS = np.log(WEIGHTS) - 0.5 * np.log(2 * np.pi)
Numbers = dict[str, float]


def normal(x, mean, sd):
    return -0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)


def joint(columns, means, cov) -> float:
    """Rows of normal vectors: columns and means k of (n,), cov k by k of numbers or (n,)."""
    n = len(columns[0])
    d = np.stack([np.broadcast_to(c - m, n) for c, m in zip(columns, means, strict=True)], axis=1)
    v = np.stack([np.stack([np.broadcast_to(c, n) for c in row], axis=1) for row in cov], axis=1)
    _, logdet = np.linalg.slogdet(v)
    quadratic = np.einsum("ni,ni->n", d, np.linalg.solve(v, d[..., None])[..., 0])
    return float(-0.5 * (quadratic + logdet + d.shape[1] * np.log(2 * np.pi)).sum())


def integrated(log_density: Callable[[np.ndarray], np.ndarray], mean, sd) -> float:
    """The sum over rows of log E exp(log_density(x)) with x ~ Normal(mean, sd); log_density of (n, nodes)."""
    x = np.asarray(mean)[:, None] + np.asarray(sd).reshape(-1, 1) * NODES
    return float(logsumexp(log_density(x) + LOG_WEIGHTS, axis=1).sum())


def given(mean, sd, reading, error):
    """Mean and sd of a true value given one reading."""
    share = sd**2 / (sd**2 + error**2)
    return mean + share * (reading - mean), np.sqrt(share) * error


def bernoulli(y, eta):
    return -np.logaddexp(0, np.where(y[:, None] == 1, -eta, eta))


def poisson_law(y, eta):
    return y[:, None] * eta - np.exp(eta) - gammaln(y + 1.0)[:, None]


def pair(p: Numbers, d: Any, error: float, scatter: float) -> float:
    """A reading of slope one and a linear outcome."""
    s2, b = p["s"] ** 2, p["b"]
    cov = [[s2 + error**2, b * s2], [b * s2, b**2 * s2 + scatter**2]]
    return joint([d.w, d.y], [p["mu"], p["a"] + b * p["mu"]], cov)


def known_variance(p: Numbers, d: Any) -> float:
    return pair(p, d, 0.8, p["d"])


def known_reliability(p: Numbers, d: Any) -> float:
    return pair(p, d, p["s"] * np.sqrt(0.3 / 0.7), p["d"])


def replicates(p: Numbers, d: Any) -> float:
    total = 0.0
    by = d["reading"].groupby("subject")["w"].apply(list)
    for k in sorted(set(map(len, by))):
        who = by[by.map(len) == k]
        z, y = (d["subject"][c].to_numpy()[who.index] for c in "zy")
        m, load = p["g0"] + p["g1"] * z, np.r_[np.ones(k), p["b"]]
        cov = p["s"] ** 2 * np.outer(load, load) + np.diag(np.r_[np.full(k, p["e"] ** 2), p["d"] ** 2])
        w = np.array(who.tolist()).T
        total += joint([*w, y], [*[m] * k, p["a"] + p["b"] * m + p["c"] * z], cov)
    return total


def _biased(p: Numbers, w, y) -> float:
    s2, b, c = p["s"] ** 2, p["b"], p["c1"]
    cov = [[c * c * s2 + p["e"] ** 2, b * c * s2], [b * c * s2, b * b * s2 + p["d"] ** 2]]
    return joint([w, y], [p["c0"] + c * p["mu"], p["a"] + b * p["mu"]], cov)


def internal_validation(p: Numbers, d: Any) -> float:
    seen = d[d.x.notna()]
    rest = d[d.x.isna()]
    own = normal(seen.x, p["mu"], p["s"]) + normal(seen.w, p["c0"] + p["c1"] * seen.x, p["e"])
    return float((own + normal(seen.y, p["a"] + p["b"] * seen.x, p["d"])).sum()) + _biased(p, rest.w, rest.y)


def external_validation(p: Numbers, d: Any) -> float:
    one, two = d["subject"], d["validated"]
    return float(normal(two.v, p["c0"] + p["c1"] * two.true, p["e"]).sum()) + _biased(p, one.w, one.y)


def instrument(p: Numbers, d: Any) -> float:
    load = np.array([1.0, p["c1"], p["b"]])
    cov = p["s"] ** 2 * np.outer(load, load) + np.diag([p["e"] ** 2, p["u"] ** 2, p["d"] ** 2])
    return joint([d.w, d.z, d.y], np.array([0, p["c0"], p["a"]]) + load * p["mu"], cov)


def berkson(p: Numbers, d: Any) -> float:
    y = d.y.to_numpy()
    return integrated(lambda x: poisson_law(y, p["a"] + p["b"] * x), d.w.to_numpy(), 0.5)


def astronomy(p: Numbers, d: Any) -> float:
    s2, b = p["s"] ** 2, p["b"]
    cov = [[s2 + d.sd_x**2, b * s2], [b * s2, b * b * s2 + p["t"] ** 2 + d.sd_y**2]]
    return joint([d.wx, d.wy], [p["mu"], p["a"] + b * p["mu"]], cov)


def correlated_errors(p: Numbers, d: Any) -> float:
    s2, b = p["s"] ** 2, p["b"]
    both = b * s2 + d.c_xy
    cov = [[s2 + d.v_x, both], [both, b * b * s2 + p["t"] ** 2 + d.v_y]]
    return joint([d.wx, d.wy], [p["mu"], p["a"] + b * p["mu"]], cov)


def several(p: Numbers, d: Any) -> float:
    m = [p["m1"] + p["g1"] * d.z, p["m2"] + p["g2"] * d.z]
    c = p["rho"] * p["s1"] * p["s2"]
    x = np.array([[p["s1"] ** 2, c], [c, p["s2"] ** 2]])
    load = np.array([[1, 0], [0, 1], [p["b1"], p["b2"]]])
    cov = load @ x @ load.T + np.diag([0.36, 0.81, p["d"] ** 2])
    mean = [m[0], m[1], p["a"] + p["b1"] * m[0] + p["b2"] * m[1] + p["c"] * d.z]
    return joint([d.w1, d.w2, d.y], mean, cov)


def logistic(p: Numbers, d: Any) -> float:
    m = (p["g0"] + p["g1"] * d.z).to_numpy()
    v, e2 = p["s"] ** 2, p["e"] ** 2
    readings = joint([d.w1, d.w2], [m, m], [[v + e2, v], [v, v + e2]])
    mean, sd = given(m, p["s"], ((d.w1 + d.w2) / 2).to_numpy(), p["e"] / np.sqrt(2))
    side = (p["a"] + p["c"] * d.z).to_numpy()[:, None]
    return readings + integrated(lambda x: bernoulli(d.y.to_numpy(), side + p["b"] * x), mean, sd)


def poisson(p: Numbers, d: Any) -> float:
    m = (p["g0"] + p["g1"] * d.z).to_numpy()
    readings = normal(d.w, m, np.hypot(p["s"], 0.5)).sum()
    side = (p["a"] + p["c"] * d.z).to_numpy()[:, None]
    law = lambda x: poisson_law(d.y.to_numpy(), side + p["b"] * x)  # noqa: E731
    return float(readings) + integrated(law, *given(m, p["s"], d.w.to_numpy(), 0.5))


def survival(p: Numbers, d: Any) -> float:
    w, spell = d["subject"].w.to_numpy(), d["spell"]
    base = np.array([p[f"base[{k}]"] for k in (1, 2, 3, 4)])
    side = (np.log(spell.risk) + base[spell.year - 1]).to_numpy()[:, None]

    def law(x):
        rows = poisson_law(spell.event.to_numpy(), side + p["b"] * x[spell.subject])
        total = np.zeros(x.shape)
        np.add.at(total, spell.subject.to_numpy(), rows)
        return total

    readings = normal(w, p["mu"], np.hypot(p["s"], 0.6)).sum()
    return float(readings) + integrated(law, *given(np.full(w.size, p["mu"]), p["s"], w, 0.6))


def misclassified(p: Numbers, d: Any) -> float:
    states = []
    for x in (0, 1):
        chance = p["sensitivity"] if x else 1 - p["specificity"]
        outcome = expit(p["a"] + p["b"] * x)
        own = np.log(p["p"] if x else 1 - p["p"])
        own = own + np.log(np.where(d.w == 1, chance, 1 - chance))
        own = own + np.log(np.where(d.y == 1, outcome, 1 - outcome))
        states.append(np.where(d.x.isna() | (d.x == x), own, -np.inf))
    return float(np.logaddexp(*states).sum())


def mixed(p: Numbers, d: Any) -> float:
    w, y = (d[c].to_numpy().reshape(-1, 12).T for c in "wy")  # schools of twelve
    one, eye = np.ones((12, 12)), np.eye(12)
    x = p["t_x"] ** 2 * one + p["s"] ** 2 * eye
    yy = p["b"] ** 2 * x + p["tau"] ** 2 * one + p["d"] ** 2 * eye
    cov = np.block([[x + 0.49 * eye, p["b"] * x], [p["b"] * x, yy]])
    return joint([*w, *y], np.r_[np.full(12, p["mu"]), np.full(12, p["a"] + p["b"] * p["mu"])], cov)


def square(p: Numbers, d: Any) -> float:
    y = d.y.to_numpy()[:, None]
    readings = normal(d.w, p["mu"], np.hypot(p["s"], 0.6)).sum()
    law = lambda x: normal(y, p["a"] + p["b1"] * x + p["b2"] * x**2, p["d"])  # noqa: E731
    mean, sd = given(np.full(len(d), p["mu"]), p["s"], d.w.to_numpy(), 0.6)
    return float(readings) + integrated(law, mean, sd)


def interaction(p: Numbers, d: Any) -> float:
    m, s2 = p["g0"] + p["g1"] * d.z, p["s"] ** 2
    b = p["b"] + p["bz"] * d.z
    cov = [[s2 + 0.49, b * s2], [b * s2, b * b * s2 + p["d"] ** 2]]
    return joint([d.w, d.y], [m, p["a"] + b * m + p["c"] * d.z], cov)
