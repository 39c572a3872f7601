"""SIMEX: noise is added to readings, and the trend of naive estimates is extrapolated back to no error.

Cook and Stefanski (1994, JASA 89:1314); variance as a trend too, by the difference of naive variance and
scatter between pseudo data sets (Stefanski and Cook 1995, JASA 90:1247, section 3). An error variance that
replicates tell is taken to be known, as in that paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.measurement.regression import regress, robust_covariance
from dagmodels.measurement.row_design import RowDesign

Floats = NDArray[np.float64]
LAMBDAS = (0.5, 1.0, 1.5, 2.0)
NEAR_POLE = 0.05
EXTRAPOLANTS = ("linear", "quadratic", "rational")


@dataclass(frozen=True, eq=False, slots=True)
class Trend:
    """Naive estimates against the share of added error.

    added : 0 and the shares of the error variance that were added, (m,). estimate, variance : (m, p); the
    variance less the scatter between pseudo data sets.
    """

    added: Floats
    estimate: Floats
    variance: Floats

    def back(self, extrapolant: str) -> tuple[Floats, Floats]:
        """Estimates and standard errors where the error is taken away.

        Variances are extrapolated by the parabola (by the line with the linear extrapolant): they are too
        noisy for a pole. NaN for one that comes out negative.
        """
        smooth = "linear" if extrapolant == "linear" else "quadratic"
        value = np.array([extrapolate(self.added, c, extrapolant) for c in self.estimate.T])
        variance = np.array([extrapolate(self.added, c, smooth) for c in self.variance.T])
        with np.errstate(invalid="ignore"):
            return value, np.where(np.isfinite(value), np.sqrt(variance), np.nan)


def trend(design: RowDesign, replicates: int, seed: int) -> Trend:
    """Naive estimates with 0.5, 1, 1.5 and 2 times the error variance added, `replicates` data sets each."""
    error = design.errors_at(design.pooled())
    factor = np.linalg.cholesky(error + 1e-300 * np.eye(error.shape[1]))

    def worse(share: float, rng: np.random.Generator) -> Floats:
        noise = np.einsum("nij,nj->ni", factor, rng.standard_normal(design.w.shape))
        return design.w + np.sqrt(share) * noise

    return _trend(design, worse, replicates, seed)


def misclassified_trend(design: RowDesign, chances: Floats, replicates: int, seed: int) -> Trend:
    """MC-SIMEX (Kuechenhoff, Mwalili and Lesaffre 2006, Biometrics 62:85): observed states change with powers
    of the matrix of misclassification.

    chances : of each observed state (column) given each true state (row). Raises `FitError` where its powers
    are no probabilities.
    """
    values, vectors = np.linalg.eig(chances)
    powers = [np.real(vectors @ np.diag(values**t) @ np.linalg.inv(vectors)) for t in LAMBDAS]
    if np.iscomplex(values).any() or values.min() <= 0 or min(p.min() for p in powers) < -1e-12:
        raise FitError(
            "powers of the misclassification matrix are no probabilities: states are seen too badly"
        )
    table = dict(zip(LAMBDAS, (np.cumsum(p, axis=1) for p in powers), strict=True))
    codes = design.w[:, 0].astype(np.int64)

    def worse(share: float, rng: np.random.Generator) -> Floats:
        drawn = (rng.random(codes.size)[:, None] > table[share][codes]).sum(axis=1)
        return np.minimum(drawn, chances.shape[0] - 1)[:, None].astype(float)

    return _trend(design, worse, replicates, seed)


def _trend(
    design: RowDesign, worse: Callable[[float, np.random.Generator], Floats], replicates: int, seed: int
) -> Trend:
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))
    family, y, offset = design.family, design.y, design.offset
    naive = regress(family, design.design, y, offset)
    estimates, variances = [naive], [robust_covariance(family, design.design, y, offset, naive).diagonal()]
    for share in LAMBDAS:
        each, own = [], []
        for _ in range(replicates):
            x = design.columns(worse(share, rng))
            beta = regress(family, x, y, offset, start=naive)
            each.append(beta)
            own.append(robust_covariance(family, x, y, offset, beta).diagonal())
        estimates.append(np.mean(each, axis=0))
        variances.append(np.mean(own, axis=0) - np.var(each, axis=0, ddof=1))
    return Trend(np.array([0.0, *LAMBDAS]), np.array(estimates), np.array(variances))


def extrapolate(added: Floats, values: Floats, extrapolant: str) -> float:
    """The value at -1 of a least-squares curve through (added, values).

    linear a + b t, quadratic a + b t + c t^2, rational a + b/(c + t) with c > 1 (no pole on the way); NaN
    where the best c lies so near to one that the value is the pole's (a reliability below 5 %).
    """
    if extrapolant in ("linear", "quadratic"):
        degree = 1 if extrapolant == "linear" else 2
        return float(np.polyval(np.polyfit(added, values, degree), -1.0))
    from scipy.optimize import minimize_scalar

    def fitted(log_c: float) -> tuple[float, float]:
        c = 1.0 + np.exp(log_c)
        x = np.stack([np.ones(added.size), 1.0 / (c + added)], axis=1)
        coefficient = np.linalg.lstsq(x, values, rcond=None)[0]
        left = values - x @ coefficient
        return float(left @ left), float(coefficient @ [1.0, 1.0 / (c - 1.0)])

    grid = np.linspace(-4.0, 6.0, 41)
    k = int(np.argmin([fitted(g)[0] for g in grid]))
    bounds = (grid[max(k - 1, 0)], grid[min(k + 1, grid.size - 1)])
    best = minimize_scalar(lambda g: fitted(g)[0], bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return np.nan if np.exp(best.x) < NEAR_POLE else fitted(float(best.x))[1]


__all__ = ["EXTRAPOLANTS", "Trend", "extrapolate", "misclassified_trend", "trend"]
