"""Debye's expansion of the modified Bessel function of large order or argument, in powers of two numbers.

With s = sqrt(nu^2 + x^2), p = nu / s and t = 1 / s, I_nu(x) is

    exp(s) (x / (nu + s))^nu / sqrt(2 pi s) * sum_k t^k U_k(p) / p^k

(DLMF 10.41.3 with 10.41.10; for nu = 0 it is Hankel's expansion, 10.40.1). What is left out after
k = 4 is below 0.23 t^5.
"""

from __future__ import annotations

import numpy as np

Terms = dict[tuple[int, int], float]  # of p^a t^k, by (a, k)

_POLYNOMIALS = (
    (1, (1,)),
    (24, (3, -5)),
    (1152, (81, -462, 385)),
    (414720, (30375, -369603, 765765, -425425)),
    (39813120, (4465125, -94121676, 349922430, -446185740, 185910725)),
)
SUM: Terms = {
    (2 * j, k): c / denominator
    for k, (denominator, row) in enumerate(_POLYNOMIALS)
    for j, c in enumerate(row)
}


def in_order(terms: Terms) -> Terms:
    """Derivative in nu at a fixed x."""
    found: Terms = {}
    for (a, k), c in terms.items():
        for key, value in (((a - 1, k + 1), a * c), ((a + 1, k + 1), -(a + k) * c)):
            if value:
                found[key] = found.get(key, 0.0) + value
    return found


def in_quarter_square(terms: Terms) -> Terms:
    """Derivative in z = x^2 / 4 at a fixed nu."""
    return {(a, k + 2): -2.0 * (a + k) * c for (a, k), c in terms.items() if a + k}


def columns(terms: Terms) -> np.ndarray:
    """Powers of p, powers of t and coefficients, one row a term."""
    return np.array([(a, k, c) for (a, k), c in terms.items()])
