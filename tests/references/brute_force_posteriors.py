"""Posteriors of the BUGS examples seeds and salm by nested quadrature, which knows nothing of the package.

Both have independent rows given (beta, tau): y_i from eta_i = x_i'beta + b_i, b_i ~ N(0, 1/tau).  Each b_i is
integrated by adaptive Gauss-Hermite quadrature, beta by a tensor rule scaled by mode and Hessian given tau,
log(tau) by the trapezoid rule.  Writes `reference.json` beside each example's data: run it from this folder,
a minute in all.  Halving the number of nodes changes no figure beyond its sixth digit.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy import optimize, special

HERE = Path(__file__).parent
A = 1e-3  # shape and rate of the prior of tau


def table(name):
    return np.genfromtxt(HERE / name / "data.csv", delimiter=",", names=True)


def salm():
    d = table("salm")
    log_dose = np.log(d["x"] + 10)
    x = np.c_[np.ones(18), log_dose - log_dose.mean(), d["x"] - d["x"].mean()]
    y = d["y"]

    def density(e):
        return y[:, None] * e - np.exp(e) - special.gammaln(y + 1)[:, None]

    def slopes(e):
        return y - np.exp(e), -np.exp(e)

    start, size = np.array([3.3, 0.3, 0.0]), np.array([0.1, 0.1, 4e-4])
    return x, np.array([100.0, 100.0, 1e5]), density, slopes, start, size, np.linspace(-1, 12, 79)


def seeds():
    d = table("seeds")
    n, r = d["n"], d["r"]
    x = np.c_[np.ones(21), d["x1"], d["x2"], d["x1"] * d["x2"]]
    choose = special.gammaln(n + 1) - special.gammaln(r + 1) - special.gammaln(n - r + 1)

    def density(e):
        return r[:, None] * e - n[:, None] * np.logaddexp(0, e) + choose[:, None]

    def slopes(e):
        p = special.expit(e)
        return r - n * p, -n * p * (1 - p)

    return x, np.full(4, 1000.0), density, slopes, np.zeros(4), np.full(4, 0.3), np.linspace(-3, 11, 71)


def rows(beta, x, s, density, slopes, nodes):
    """Log likelihood for each row of beta, the b_i integrated."""
    z, w = hermegauss(nodes)
    w = w / np.sqrt(2 * np.pi)
    eta = beta @ x.T
    v = np.zeros_like(eta)
    for _ in range(40):
        first, second = slopes(eta + s * v)
        v = v - np.clip((s * first - v) / (s * s * second - 1), -3, 3)
    sd = 1 / np.sqrt(1 - s * s * slopes(eta + s * v)[1])
    u = v[..., None] + sd[..., None] * z
    inner = density(eta[..., None] + s * u) - 0.5 * u * u + 0.5 * z * z + np.log(w)
    return (special.logsumexp(inner, axis=-1) + np.log(sd)).sum(-1)


def posterior(case, nodes=20, outer=8):
    x, prior, density, slopes, at, size, grid = case
    k = x.shape[1]
    z, w = hermegauss(outer)
    points = np.stack(np.meshgrid(*[z] * k, indexing="ij"), -1).reshape(-1, k)
    weights = sum(np.meshgrid(*[np.log(w)] * k, indexing="ij")).ravel()
    found = []
    for t in grid:
        s = np.exp(-t / 2)

        def minus(b, s=s):
            inner = rows(b[None], x, s, density, slopes, nodes)[0] - 0.5 * (b**2 / prior**2).sum()
            return -inner if np.isfinite(inner) else 1e10

        at = optimize.minimize(lambda q: minus(q * size), at / size, method="BFGS").x * size
        e = np.diag(0.02 * size)
        hessian = np.empty((k, k))
        for i in range(k):
            for j in range(k):
                signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
                differences = sum(a * b * minus(at + a * e[i] + b * e[j]) for a, b in signs)
                hessian[i, j] = differences / (4 * e[i, i] * e[j, j])
        root = 1.1 * np.linalg.cholesky(np.linalg.inv(hessian))
        beta = at + points @ root.T
        parts = np.array_split(beta, max(1, len(beta) // 400))
        value = np.concatenate([rows(b, x, s, density, slopes, nodes) for b in parts])
        value += -0.5 * (beta**2 / prior**2).sum(1) - np.log(prior).sum() - k / 2 * np.log(2 * np.pi)
        value += weights + 0.5 * (points**2).sum(1) + np.log(np.diag(root)).sum()
        total = special.logsumexp(value)
        share = np.exp(value - total)
        log_prior = A * np.log(A) - special.gammaln(A) + A * t - A * np.exp(t)
        found.append((total + log_prior, share @ beta, share @ beta**2))
    value = np.array([f[0] for f in found])
    evidence = special.logsumexp(value) + np.log(grid[1] - grid[0])
    share = np.exp(value - special.logsumexp(value))
    assert max(share[0], share[-1]) < 1e-8
    mean, square = share @ np.array([f[1] for f in found]), share @ np.array([f[2] for f in found])
    sigma = np.exp(-grid / 2)
    m = share @ sigma
    return {
        "log_evidence": evidence,
        "beta": {"mean": mean.tolist(), "sd": np.sqrt(square - mean**2).tolist()},
        "sigma": {"mean": m, "sd": np.sqrt(share @ sigma**2 - m * m)},
        "log_tau": {"mean": share @ grid, "sd": np.sqrt(share @ grid**2 - (share @ grid) ** 2)},
    }


if __name__ == "__main__":
    for name, case in (("salm", salm()), ("seeds", seeds())):
        record = {
            "origin": "nested quadrature by brute_force_posteriors.py; data of the BUGS examples, volume 1",
            "tolerance": 1e-5,
            **posterior(case),
        }
        (HERE / name / "reference.json").write_text(json.dumps(record, indent=1) + "\n")
