"""Effective sample sizes of many quantities at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from dagmodels.numerics.chain_loops import effective_sizes

Floats = NDArray[np.float64]

LAGS = 24
"""Lags times the binary digits of a chain's length up to which sums cost less than a transform."""


def effective(x: NDArray[np.generic]) -> Floats:
    """Effective sample size of the mean of each quantity.

    Geyer's initial monotone sequence over the autocovariances of all chains, with the variance between
    chains in the denominator (Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021, Bayesian Analysis 16,
    667-718, section 3.2). Chains are taken as they are: split them before.

    Parameters
    ----------
    x : (quantities, chains, draws), at least two draws; truth values count as 0 and 1.

    Returns
    -------
    (quantities,). All draws where a quantity never changes (it is known without error); nan where it is
    not finite everywhere. At most S log10(S), as the paper bounds antithetic chains.
    """
    values = np.ascontiguousarray(x, dtype=np.float64)
    k, m, n = values.shape
    found = np.empty(k)
    finite = np.isfinite(values.sum(axis=(1, 2)))
    effective_sizes(values, most_lags(n), np.empty((1, m, n)), found)
    found[~finite] = np.nan
    for q in np.flatnonzero(found < 0):
        found[q] = by_transform(values[q : q + 1])[0]
    return found


def most_lags(draws: int) -> int:
    """Up to which sums are taken."""
    return LAGS * draws.bit_length()


def by_transform(values: Floats) -> Floats:
    """Of chains that mix slowly: all lags at once."""
    m, n = values.shape[1:]
    total = m * n
    mean = values.mean(axis=2)
    covariance = _autocovariance(values - mean[:, :, None])
    within = covariance[:, 0] * (n / (n - 1.0))
    plus = within * ((n - 1.0) / n)
    if m > 1:
        plus = plus + mean.var(axis=1, ddof=1)
    correlation = 1.0 - (within[:, None] - covariance) / plus[:, None]
    correlation[:, 0] = 1.0
    return total / np.maximum(_time(correlation), 1.0 / np.log10(total))


def _autocovariance(centred: Floats) -> Floats:
    """(quantities, lags), averaged over the chains: the transform is linear, so the spectra are."""
    _, m, n = centred.shape
    length = fft.next_fast_len(2 * n, real=True)
    spectrum: NDArray[np.complex128] = np.asarray(fft.rfft(centred, n=length, axis=2))
    power = np.einsum("kmf,kmf->kf", spectrum.real, spectrum.real)
    power += np.einsum("kmf,kmf->kf", spectrum.imag, spectrum.imag)
    return np.asarray(fft.irfft(power, n=length, axis=1))[:, :n] / (m * n)


def _time(correlation: Floats) -> Floats:
    """Integrated autocorrelation time by pairs P_j = rho_2j + rho_2j+1, up to the first that is not positive.

    With J that pair (or the last one looked at): -1 + 2 sum over j < J of min(P_0..P_j), and once rho_2J
    where it is positive, or the pair is.
    """
    k, n = correlation.shape
    last = max((n - 3) // 2, 0)
    even, odd = correlation[:, 0 : 2 * last + 1 : 2], correlation[:, 1 : 2 * last + 2 : 2]
    pairs = even + odd
    ended = pairs <= 0
    end = np.where(ended.any(axis=1), ended.argmax(axis=1), last)
    falling = np.minimum.accumulate(pairs, axis=1)
    before = np.concatenate([np.zeros((k, 1)), np.cumsum(falling, axis=1)], axis=1)
    at = np.arange(k)
    final = even[at, end]
    return -1.0 + 2.0 * before[at, end] + np.where((final > 0) | (pairs[at, end] >= 0), final, 0.0)
