"""Levels of a factor as numbers: R's contrasts, under R's names.

Venables and Ripley, Modern Applied Statistics with S, section 6.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dagmodels.errors import ModelError
from dagmodels.readers.formula.values import Floats

NAMES: Mapping[str, str] = {
    **dict.fromkeys(("contr.treatment", "treatment", "Treatment"), "treatment"),
    **dict.fromkeys(("contr.sum", "sum", "Sum"), "sum"),
    **dict.fromkeys(("contr.helmert", "helmert", "Helmert"), "helmert"),
    **dict.fromkeys(("contr.poly", "poly", "Poly"), "poly"),
    **dict.fromkeys(("contr.SAS", "SAS"), "SAS"),
}


def coding(kind: Any, labels: Sequence[str], factor: str) -> tuple[Floats, tuple[str, ...]]:
    """One row a level, one column a contrast, and what the columns' names end with.

    Parameters
    ----------
    kind : one of `NAMES`; ("treatment", base) with the label (or the place, counted from 1) of the base
        level; or a matrix with a row a level.
    labels : of the levels in order, two at least.
    factor : its name, for messages.
    """
    n = len(labels)
    base: Any = 0
    if isinstance(kind, tuple) and len(kind) == 2 and kind[0] == "treatment":
        kind, base = "contr.treatment", _base(kind[1], labels, factor)
    if not isinstance(kind, str):
        return _given(kind, n, factor)
    name = NAMES.get(kind)
    if name is None:
        known = ", ".join(k for k in NAMES if k.startswith("contr."))
        raise ModelError(
            f"there are no contrasts '{kind}' for '{factor}'", node=factor, hint=f"known: {known}"
        )
    numbers = tuple(str(i) for i in range(1, n))
    match name:
        case "treatment" | "SAS":
            at = base if name == "treatment" else n - 1
            kept = [i for i in range(n) if i != at]
            return np.eye(n)[:, kept], tuple(labels[i] for i in kept)
        case "sum":
            return np.vstack([np.eye(n - 1), np.full((1, n - 1), -1.0)]), numbers
        case "helmert":
            matrix = np.triu(np.full((n, n - 1), -1.0))
            matrix[np.arange(1, n), np.arange(n - 1)] = np.arange(1, n)
            return matrix, numbers
        case _:
            ends = (".L", ".Q", ".C", *(f"^{i}" for i in range(4, n)))
            return polynomial(n), ends[: n - 1]


def polynomial(n: int) -> Floats:
    """Orthonormal polynomials of degree 1 to n - 1 in the places of n levels."""
    centred = np.arange(n) - (n - 1) / 2
    q, r = np.linalg.qr(np.vander(centred, increasing=True))
    z = (q * np.diag(r))[:, 1:]
    return z / np.sqrt((z**2).sum(axis=0))


def _base(base: Any, labels: Sequence[str], factor: str) -> int:
    if isinstance(base, int) and 1 <= base <= len(labels):
        return base - 1
    if str(base) in labels:
        return list(labels).index(str(base))
    told = ", ".join(labels[:8])
    raise ModelError(f"'{base}' is no level of '{factor}'", node=factor, hint=f"its levels are {told}")


def _given(kind: Any, n: int, factor: str) -> tuple[Floats, tuple[str, ...]]:
    matrix = np.asarray(kind, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != n:
        raise ModelError(
            f"the contrasts given for '{factor}' are no matrix with {n} rows",
            node=factor,
            hint="one row a level, one column a coefficient",
        )
    return matrix, tuple(str(i) for i in range(1, matrix.shape[1] + 1))
