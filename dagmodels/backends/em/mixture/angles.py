"""Directions and concentrations of von Mises laws, from weighted sums of cosines and sines.

Banerjee, Dhillon, Ghosh and Sra 2005 (J. Mach. Learn. Res. 6:1345), on the circle: the direction is that of
the weighted mean vector, and the concentration k solves I1(k)/I0(k) = r, r the mean cosine about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.distributions._numeric import i1_over_i0
from dagmodels.forms.cells import element_label

if TYPE_CHECKING:
    from dagmodels.backends.em.mixture.closed import Point, Rule

Floats = NDArray[np.float64]
SINGULAR = 1e12  # a concentration beyond which a component stands on its values
LEAST = 1e-9  # a concentration that stands for zero
STEPS = 50


def angle_rule(rule: Rule, point: Point, weights: tuple[Floats, ...]) -> None:
    """Maximise over directions ("direction") or concentrations, in place.

    Raises `Singular` where a component shrinks onto its values.
    """
    from dagmodels.backends.em.mixture.closed import inside_domain, summed

    form, old = point.form, point.values[rule.node]
    first, second = np.zeros(old.size), np.zeros(old.size)
    for term in rule.terms:
        own, w = form.parts[term.part].own, weights[term.part]
        if rule.kind == "direction":
            w = w * point.argument(term.part, "kappa")
            more = summed(form, term, old.size, w * np.cos(own), w * np.sin(own))
        else:
            more = summed(form, term, old.size, w, w * np.cos(own - point.argument(term.part, "mu")))
        first, second = first + more[0], second + more[1]
    if rule.kind == "direction":
        new = np.where(np.hypot(first, second) > 0, np.arctan2(second, first), old)
        turns = np.round((old - new) / (2 * np.pi))  # steps are taken from where the direction was
        point.values[rule.node] = inside_domain(rule, new + 2 * np.pi * turns, old)
        return
    live = first > 0
    new = old.copy()
    new[live] = concentration(second[live] / first[live])
    if (~(new < SINGULAR)).any():
        raise _singular(point, rule, int(np.flatnonzero(~(new < SINGULAR))[0]))
    point.values[rule.node] = inside_domain(rule, new, old)


def _singular(point: Point, rule: Rule, place: int) -> Exception:
    from dagmodels.backends.em.mixture.closed import Singular

    return Singular(element_label(point.form.flat.problem, rule.node, place))


def concentration(r: Floats) -> Floats:
    """k with I1(k)/I0(k) = r, by Newton's steps; next to zero where r is not positive, infinite at r = 1."""
    safe = np.clip(r, 0.0, 1.0 - 1e-13)
    k = safe * (2.0 - safe**2) / (1.0 - safe**2)  # Banerjee et al., eq. 4.4
    for _ in range(STEPS):
        a = i1_over_i0(k)
        slope = np.where(k > 1e-8, 1.0 - a / np.maximum(k, 1e-300) - a * a, 0.5)
        step = (a - safe) / np.maximum(slope, 1e-300)
        k = np.clip(k - step, 0.1 * k, 10.0 * k)
        if (np.abs(step) <= 1e-14 * k).all():
            break
    return np.where(r >= 1.0 - 1e-13, np.inf, np.maximum(k, LEAST))
