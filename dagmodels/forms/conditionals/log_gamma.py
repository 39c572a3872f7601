"""Log gamma densities as mixtures of normal laws: the numbers, and how they were found.

As a function of eta, the likelihood exp(y eta - exp(eta)) of a count y > 0 is the density of the logarithm of
a Gamma(y, 1) number (Fruehwirth-Schnatter, Fruehwirth, Held and Rue 2009, Stat. Comput. 19:479, have mixtures
for times between arrivals; here they stand for the likelihood itself). That of a count of zero,
exp(-exp(eta)), is level to the left and has no such density, but is as well a sum of normal curves, wider
and wider to the left. The likelihood of the log variance of a Normal number is of this kind with y = 1/2:
Omori, Chib, Shephard and Nakajima 2007, J. Econom. 140:425, have ten curves for it.

`log_gamma.csv` has, for each count of `NODES`, log weight, mean and log sd of each curve; of positive counts
for (eta - psi(y))/sqrt(psi'(y)), which hardly depends on y, so that the next node serves counts between. They
are least-squares fits of the log likelihood, weighted by the likelihood and by a power of it, which
reaches into the tails. `python -m dagmodels.forms.conditionals.log_gamma` writes the file anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.sweep_codes import CURVES, EXACT, RATIO, TO_HALF

Floats = NDArray[np.float64]
HALF = 0.5  # the last node
NODES = (*range(EXACT + 1), *(round(EXACT * RATIO**j, 1) for j in range(1, 91)), HALF)  # to 1e5
NEAR = 0.006  # sd of the log ratio that is near enough
FEWEST, MOST = 3, 8  # curves of a positive count
OF_ZERO = 9
WIDE, SELDOM = 6.0, 1e-7  # sd and weight of one curve more, so that no tail of the likelihood is above all
SPREAD, POWER = 0.3, 0.3  # share of the weights that is the power, and the power
_FILE = Path(__file__).with_name("log_gamma.csv")


@dataclass(frozen=True, eq=False, slots=True)
class Mixtures:
    """Mixtures by node: log weight, mean and log sd of each curve (nodes, CURVES, 3), minus infinity for the
    weight of none. error : sd of the log of the likelihood over the mixture, under the likelihood.
    """

    numbers: Floats
    error: Floats


@cache
def mixtures() -> Mixtures:
    """The file's."""
    table = np.loadtxt(_FILE, delimiter=",", comments="#")
    return Mixtures(table[:, 2:].reshape(len(table), CURVES, 3), table[:, 1])


def places(counts: Floats) -> NDArray[np.int64]:
    """Of counts and other shapes, the nodes that serve them; between counts the next above is nearer."""
    far = EXACT + np.rint(np.log(np.maximum(counts, EXACT) / EXACT) / np.log(RATIO))
    found = np.minimum(np.where(counts <= EXACT, np.ceil(counts), far), len(NODES) - 2)
    return np.where((counts > 0.0) & (counts < TO_HALF), len(NODES) - 1, found).astype(np.int64)


def errors(shapes: Floats) -> Floats:
    """sd of the log of the likelihood over the mixture that serves it, under the likelihood, by shape."""
    found = mixtures().error[places(shapes)].copy()
    between = (shapes <= EXACT) & (shapes != np.floor(shapes)) & (shapes != HALF)
    for shape in np.unique(shapes[between]):
        x, log_density, share, _ = _positive(shape)
        own = mixtures().numbers[places(np.array([shape]))[0]]
        gap = log_density - _log_sum(_curves(own[np.isfinite(own[:, 0])], x))
        found[shapes == shape] = np.sqrt(share @ (gap - share @ gap) ** 2)
    return found


# -- how the numbers were found --------------------------------------------------------------------------


def fitted(node: float) -> tuple[Floats, float]:
    """The mixture of a count (curves, 3), with as few curves as are near, and its error."""
    x, log_density, share, weight = _zero() if node == 0 else _positive(node)
    for curves in {0: (OF_ZERO,), HALF: (CURVES - 1,)}.get(node, range(FEWEST, MOST + 1)):
        found = _least_squares(x, log_density, weight, curves, zero=node == 0)
        own = found[np.argsort(-found[:, 1])]
        wide = [-25.0, -12.0, np.log(12.0)] if node == 0 else [np.log(SELDOM), -3.0, np.log(WIDE)]
        own = np.vstack([own, wide])
        gap = log_density - _log_sum(_curves(own, x))
        error = float(np.sqrt(share @ (gap - share @ gap) ** 2))
        if error < NEAR:
            break
    return own, error


def _positive(node: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Standardised lattice, log density, its probabilities, and weights of the fit."""
    from scipy.special import digamma, gammaln, polygamma

    scale = float(np.sqrt(polygamma(1, node)))
    z = np.concatenate([np.linspace(-14.0, -6.0, 60, endpoint=False), np.linspace(-6.0, 3.2, 240)])
    x = digamma(node) + scale * z
    log_density = node * x - np.exp(x) - gammaln(node) + np.log(scale)
    kept = log_density > -45.0
    z, log_density = z[kept], log_density[kept]
    return z, log_density, *_weights(z, np.exp(log_density))


def _zero() -> tuple[Floats, Floats, Floats, Floats]:
    """The same of exp(-exp(x)): probabilities are those of where it falls, half of the weights lie left."""
    x = np.concatenate([np.linspace(-30.0, -6.0, 120, endpoint=False), np.linspace(-6.0, 3.4, 260)])
    share, weight = _weights(x, np.exp(x - np.exp(x)))
    left = np.where(x < -1.0, 1.0 / (1.0 - x), 0.0) * np.gradient(x)
    return x, -np.exp(x), share, 0.5 * weight + 0.5 * left / left.sum()


def _weights(x: Floats, density: Floats) -> tuple[Floats, Floats]:
    share, reach = density * np.gradient(x), density**POWER * np.gradient(x)
    share, reach = share / share.sum(), reach / reach.sum()
    return share, (1.0 - SPREAD) * share + SPREAD * reach


def _curves(own: Floats, x: Floats) -> Floats:
    """Log densities of weighted normal curves (curves, points)."""
    log_weight, mean, log_sd = own.T[:, :, None]
    return log_weight - log_sd - 0.5 * np.log(2.0 * np.pi) - 0.5 * ((x - mean) * np.exp(-log_sd)) ** 2


def _log_sum(logs: Floats) -> Floats:
    top = logs.max(axis=0)
    return top + np.log(np.exp(logs - top).sum(axis=0))


def _least_squares(x: Floats, log_density: Floats, weight: Floats, curves: int, *, zero: bool) -> Floats:
    """The best of several starts (Levenberg and Marquardt)."""
    from scipy.optimize import least_squares

    root = np.sqrt(weight)

    def residual(flat: Floats) -> Floats:
        return root * (log_density - _log_sum(_curves(flat.reshape(-1, 3), x)))

    def jacobian(flat: Floats) -> Floats:
        own = flat.reshape(-1, 3)
        logs = _curves(own, x)
        part = np.exp(logs - _log_sum(logs))
        sd = np.exp(own[:, 2:])
        d = (x - own[:, 1:2]) / sd
        found: Floats = (
            -(root * np.stack([part, part * d / sd, part * (d * d - 1.0)], axis=1)).reshape(-1, x.size).T
        )
        return found

    best: Any = None
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(size=curves)
        if zero:
            mean = 1.5 - np.geomspace(1.2, 26.0, curves) * np.exp(0.2 * noise)
            log_sd = np.log(0.45 * np.abs(mean - 1.2) + 0.2)
            log_weight = log_sd
        else:
            mean = np.linspace(0.8, -3.0, curves) + 0.1 * noise
            log_sd = np.log(np.linspace(0.6, 1.5, curves))
            log_weight = -0.5 * mean**2
        start = np.stack([log_weight, mean, log_sd], axis=1).reshape(-1)
        found = least_squares(residual, start, jacobian, method="lm", max_nfev=3000)
        if best is None or found.cost < best.cost:
            best = found
    result: Floats = best.x.reshape(-1, 3)
    return result


def write() -> None:
    """The file anew."""
    lines = ["# count, sd of the log ratio, then log weight, mean and log sd of each curve: see log_gamma.py"]
    for node in NODES:
        own, error = fitted(float(node))
        whole = np.full((CURVES, 3), 0.0)
        whole[:, 0] = -np.inf
        whole[: len(own)] = own
        lines.append(",".join([f"{node:g}", f"{error:.2g}", *(f"{v:.6g}" for v in whole.reshape(-1))]))
    _FILE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write()
