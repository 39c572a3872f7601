"""Where a latent of unknown distribution may lie: between the values that units find best by themselves.

The support of a nonparametric estimate lies between the least and the greatest of these where likelihoods of
units have one maximum (Lindsay 1995, Mixture Models, section 5.2). They are found by values alone, for any
likelihood: first on powers of two about a start, then on ever finer grids between those that came out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.cells import element_label
from dagmodels.forms.mixing import MixingForm

Floats = NDArray[np.float64]
STARTS = (0.5, 1.0, -0.5, 1e-3, 100.0)
POWERS = 0.25 * 2.0 ** np.arange(42)  # up to 5e11 on both sides
FINE = 65
FLAT = 0.01  # of the log likelihood: a unit that gains less by going on to infinity stays
ROUNDS = 12


def plausible(form: MixingForm, y: Floats) -> tuple[float, float]:
    """The least and the greatest value that some unit finds best, and a step more on both sides.

    Raises `FitError` naming a unit that no value makes possible.
    """
    values, likelihood, base = _coarse(form, y)
    impossible = np.flatnonzero(~np.isfinite(likelihood).any(axis=0))
    if impossible.size:
        place = int(np.flatnonzero(form.unit_of == impossible[0])[0])
        label = element_label(form.problem, form.node, place)
        raise FitError(
            f"em: no value of '{label}' gives its data a positive probability at the starting values; state "
            "starting values ('parameter b start 1'), or a grid (grid=[...])"
        )
    flat = np.maximum(likelihood[0], likelihood[-1]) >= likelihood.max(axis=0) - FLAT
    best = _best(values, likelihood, base, flat)
    lowest = _edge(form, y, values, int(best.min()), -1)
    highest = _edge(form, y, values, int(best.max()), 1)
    for _ in range(ROUNDS):
        finer = np.linspace(lowest, highest, FINE)
        found = _best(finer, form.log_likelihood(y, finer), base, flat)
        step = (highest - lowest) / (FINE - 1)
        down, up = max(finer[found.min()] - step, lowest), min(finer[found.max()] + step, highest)
        narrow = up - down < 0.7 * (highest - lowest)
        lowest, highest = down, up
        if not narrow:
            break
    return float(lowest), float(highest)


def even(lower: float, upper: float, points: int) -> Floats:
    """About as many points at equal distances, zero among them where it lies between."""
    width = upper - lower
    if width <= 1e-12 * max(abs(lower), abs(upper)):
        return np.array([0.5 * (lower + upper)])
    if not lower < 0 < upper:
        return np.linspace(lower, upper, points)
    step = width / (points - 1)
    return step * np.arange(np.floor(lower / step + 1e-9), np.ceil(upper / step - 1e-9) + 1)


def _coarse(form: MixingForm, y: Floats) -> tuple[Floats, Floats, float]:
    """Log likelihoods on both sides of the start that suits most units, and that start."""
    tried = form.log_likelihood(y, np.array(STARTS))
    base = STARTS[int(np.isfinite(tried).sum(axis=1).argmax())]
    values = np.concatenate([base - POWERS[::-1], [base], base + POWERS])
    likelihood = form.log_likelihood(y, values)
    kept = np.isfinite(likelihood).any(axis=1)
    return values[kept], likelihood[kept], base


def _best(values: Floats, likelihood: Floats, base: float, flat: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where each unit is best; of units that gain for ever, the value next to the start that is almost so."""
    best = likelihood.argmax(axis=0)
    own = likelihood[:, flat]
    away = np.where(own >= own.max(axis=0) - FLAT, np.abs(values - base)[:, None], np.inf)
    best[flat] = away.argmin(axis=0)
    return best


def _edge(form: MixingForm, y: Floats, values: Floats, at: int, side: int) -> float:
    """The next value beyond, or the end of what is possible, if that comes before."""
    if 0 <= at + side < values.size:
        return float(values[at + side])
    inside = values[at]
    outside = inside + side * max(2.0 * abs(inside), 1.0)
    if np.isfinite(form.log_likelihood(y, np.array([outside]))).any():
        return float(inside)
    for _ in range(60):
        middle = 0.5 * (inside + outside)
        if np.isfinite(form.log_likelihood(y, np.array([middle]))).any():
            inside = middle
        else:
            outside = middle
    return float(inside)
