"""What complete cases would be expected to show: states, and moments of the continuous nodes by state.

Within a joint state of the discrete nodes the continuous ones have one normal law; what a case shows of them
is its likelihood, and the rest has a conditional mean and covariance (Lauritzen 1995, section 4, for tables;
Schafer 1997, chapter 9, for tables with normal variables).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.linear_cases import LinearCases

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 1e-300  # a probability of zero has this logarithm


@dataclass(frozen=True, eq=False, slots=True)
class Numbers:
    """Values of all unknowns: locations, scales (standard deviations), probabilities by cell."""

    locations: Floats
    scales: Floats
    cells: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Expected:
    """log_likelihood : of all cases. moments : (states, u, u) sums of E(u u'). counts : (states,).
    posterior : (cases, states).
    """

    log_likelihood: float
    moments: Floats
    counts: Floats
    posterior: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Pattern:
    """Cases that show the same continuous nodes. shown, hidden : among the Normal nodes."""

    rows: Ints
    shown: Ints
    hidden: Ints


@dataclass(frozen=True, eq=False, slots=True)
class Expectation:
    """The E-step of a form. allowed : (cases, states) 0 where the states seen agree, else minus infinity."""

    form: LinearCases
    patterns: tuple[Pattern, ...]
    allowed: Floats
    _kept: dict[bytes, Expected] = field(default_factory=dict)

    @classmethod
    def of(cls, form: LinearCases) -> Expectation:
        """Of a form."""
        fits = np.ones((len(form.codes), len(form.digits)), dtype=bool)
        for i in range(len(form.discrete)):
            code = form.codes[:, i, None]
            fits &= (code < 0) | (code == form.digits[None, :, i])
        missing = np.isnan(form.values[:, form.first :])
        kinds, which = np.unique(missing, axis=0, return_inverse=True)
        patterns = tuple(
            Pattern(np.flatnonzero(which.reshape(-1) == k), np.flatnonzero(~kind), np.flatnonzero(kind))
            for k, kind in enumerate(kinds)
        )
        return cls(form, patterns, np.where(fits, 0.0, -np.inf))

    def coefficients(self, at: Numbers) -> list[Floats]:
        """Of each Normal node's mean on u, (states, u)."""
        return [law.base + law.design @ at.locations for law in self.form.laws]

    def deviations(self, at: Numbers) -> list[Floats]:
        """Scale of each Normal node, (states,)."""
        return [
            np.where(law.scale >= 0, at.scales[law.scale] if at.scales.size else 1.0, law.known)
            for law in self.form.laws
        ]

    def log_shares(self, at: Numbers) -> Floats:
        """Log probability of each joint state."""
        total = np.zeros(len(self.form.digits))
        for share in self.form.shares:
            free = at.cells[share.cell] if at.cells.size else 1.0
            total += np.log(np.maximum(np.where(share.cell >= 0, free, share.known), LEAST))
        return total

    def joint(self, at: Numbers) -> tuple[Floats, Floats]:
        """Normal nodes by state: means on (1, covariates), (states, nodes, .), and covariances."""
        form = self.form
        s, g, first = len(form.digits), len(form.normal), form.first
        means, covariance = np.zeros((s, g, first)), np.zeros((s, g, g))
        for i, (b, sd) in enumerate(zip(self.coefficients(at), self.deviations(at), strict=True)):
            on = b[:, first:]
            means[:, i] = b[:, :first] + np.einsum("sj,sjq->sq", on, means)
            cross = np.einsum("sj,sjl->sl", on, covariance)
            covariance[:, i, :] = cross
            covariance[:, :, i] = cross
            covariance[:, i, i] = np.einsum("sl,sl->s", cross, on) + sd**2
        return means, covariance

    def __call__(self, at: Numbers) -> Expected:
        """The E-step; of the last points it is remembered."""
        key = b"".join(x.tobytes() for x in (at.locations, at.scales, at.cells))
        if key not in self._kept:
            while len(self._kept) >= 4:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._expected(at)
        return self._kept[key]

    def _expected(self, at: Numbers) -> Expected:
        form = self.form
        means, covariance = self.joint(at)
        shares = self.log_shares(at)
        s, k = len(form.digits), form.values.shape[1]
        moments, total = np.zeros((s, k, k)), 0.0
        posterior = np.zeros_like(self.allowed)
        for pattern in self.patterns:
            u, spread, logs = self.filled(pattern, means, covariance)
            joint = logs + shares + self.allowed[pattern.rows]
            top = joint.max(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                weight = np.exp(joint - top[:, None])
                size = weight.sum(axis=1)
                total += float(np.sum(top + np.log(size)))
                weight /= size[:, None]
            posterior[pattern.rows] = weight
            turned = np.swapaxes(u, 0, 1)
            moments += np.swapaxes(turned * weight.T[:, :, None], 1, 2) @ turned
            if pattern.hidden.size:
                at_hidden = form.first + pattern.hidden
                moments[:, at_hidden[:, None], at_hidden] += weight.sum(axis=0)[:, None, None] * spread
        if not np.isfinite(total):
            total = -np.inf
        return Expected(total, moments, posterior.sum(axis=0), posterior)

    def filled(self, pattern: Pattern, means: Floats, covariance: Floats) -> tuple[Floats, Floats, Floats]:
        """What cases of one pattern hide, by state: expected u, (cases, states, u), the covariance of what is
        hidden, (states, hidden, hidden), and log densities of what is seen, (cases, states)."""
        form, o, h = self.form, pattern.shown, pattern.hidden
        given = form.values[pattern.rows]
        centre = np.einsum("nq,sgq->nsg", given[:, : form.first], means)
        u = np.repeat(given[:, None, :], len(form.digits), axis=1)
        if not o.size:
            u[:, :, form.first :] = centre
            return u, covariance, np.zeros(u.shape[:2])
        root = np.linalg.cholesky(covariance[:, o[:, None], o])
        inverse = np.linalg.inv(root)
        away = given[:, None, form.first + o] - centre[:, :, o]
        scaled = np.einsum("soj,nsj->nso", inverse, away)
        logs = -0.5 * np.sum(scaled**2, axis=2) - 0.5 * o.size * math.log(2 * math.pi)
        logs -= np.sum(np.log(np.diagonal(root, axis1=1, axis2=2)), axis=1)
        cross = inverse @ covariance[:, o[:, None], h]
        u[:, :, form.first + h] = centre[:, :, h] + np.einsum("soh,nso->nsh", cross, scaled)
        spread = covariance[:, h[:, None], h] - np.swapaxes(cross, 1, 2) @ cross
        return u, spread, logs
