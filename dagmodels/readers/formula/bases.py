"""Polynomial and spline columns, by formulaic's stateful transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.errors import ModelError
from dagmodels.readers.formula.values import Basis, Floats

_ORDER = {"poly": ("degree", "raw"), "bs": ("df", "knots", "degree")}
_ARGUMENTS = {
    "poly": {"degree": "degree", "raw": "raw"},
    "bs": {
        "df": "df",
        "knots": "knots",
        "degree": "degree",
        "intercept": "include_intercept",
        "include_intercept": "include_intercept",
        "lower_bound": "lower_bound",
        "upper_bound": "upper_bound",
    },
    "cr": {k: k for k in ("df", "knots", "lower_bound", "upper_bound", "constraints")},
}


def basis(function: str, text: str, x: Floats, given: list[tuple[str, Any]], state: dict[str, Any]) -> Basis:
    """The columns of one call.

    Parameters
    ----------
    function : "poly", "bs" (B-splines), "cr" or "cs" (natural cubic splines), "cc" (cyclic ones).
    given : further arguments, "" for positional ones, by R's names.
    state : knots, bounds or coefficients of the fit; filled when empty.
    """
    from formulaic.transforms import TRANSFORMS

    kind = "cr" if function in ("cs", "cc") else function
    known, order = _ARGUMENTS[kind], _ORDER.get(kind, ("df", "knots"))
    told: dict[str, Any] = {}
    for place, (key, value) in enumerate(given):
        name = key or (order[place] if place < len(order) else "?")
        if name == "Boundary.knots" and isinstance(value, list) and len(value) == 2:
            told["lower_bound"], told["upper_bound"] = value
        elif name in known:
            told[known[name]] = value
        else:
            hint = f"it has {', '.join(known)}"
            raise ModelError(f"{function}() has no argument '{name}' in '{text}'", hint=hint)
    if function == "bs":
        told.setdefault("extrapolation", "extend")  # as R does, with a warning
    try:
        with np.errstate(all="ignore"):
            found = TRANSFORMS[function](x, _state=state, **told)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise ModelError(f"'{text}' cannot be made: {error}", hint="check its arguments") from error
    if hasattr(found, "items"):
        columns = [np.asarray(v, dtype=float) for _, v in found.items()]
    else:
        matrix = np.asarray(found, dtype=float)
        columns = [np.ascontiguousarray(c) for c in matrix.reshape(len(x), -1).T]
    suffixes = tuple(str(i) for i in range(1, len(columns) + 1))
    return Basis(tuple(columns), suffixes if len(columns) > 1 else ("",))
