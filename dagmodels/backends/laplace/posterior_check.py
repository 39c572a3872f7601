"""The check of an approximate posterior: draws from it, weighted by the exact joint density.

Outer unknowns are drawn from the lattice, interpolated linearly between its points (or from a product of
split t laws for a design), latents from a t law around their conditional Gaussian, with its mean shifted as
that of the estimates.  A draw's weight is the exact density of data, latents and outer unknowns over that of
the draw; for Normal leaves the latents cancel.  The tail of the weights says whether they correct the
approximation or show that it fails.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.laplace.posterior_moments import Conditionals
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.outer_scale import LogPosterior
from dagmodels.numerics.elimination import SCALED
from dagmodels.numerics.pareto import Smoothed, smoothed
from dagmodels.numerics.quadrature_lattice import Frame, QuadratureLattice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FREEDOM = 8.0  # degrees of freedom of the split t laws
MOST_STORED = 4_000_000


@dataclass(frozen=True, eq=False, slots=True)
class Check:
    """What the weights say.

    both, outer : weights of whole draws, and of the outer unknowns alone. y, elements : the draws (elements
        of the graph one a column; none for Normal leaves). log_evidence : its estimate by the weights.
    """

    both: Smoothed
    outer: Smoothed
    y: Floats
    elements: Floats | None
    log_evidence: float

    def shifts(self, draws: Floats) -> Floats:
        """How far weighting moves the means of draws (one quantity a column), in standard deviations."""
        sd = np.maximum(draws.std(axis=0), 1e-300)
        return (self.both.weight @ draws - draws.mean(axis=0)) / sd


def from_lattice(lattice: QuadratureLattice, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Points z and their log density in z, in the order of the lattice's points."""
    d = lattice.index.shape[1]
    chosen = np.sort(rng.choice(lattice.weight.size, size=draws, p=lattice.weight))
    jitter = rng.random((draws, d)) + rng.random((draws, d)) - 1.0
    z = lattice.index[chosen] + jitter
    weight = dict(zip(map(tuple, lattice.index.tolist()), lattice.weight.tolist(), strict=True))
    base = np.floor(z).astype(np.int64)
    part = z - base
    density = np.zeros(draws)
    for corner in itertools.product((0, 1), repeat=d):
        at = np.array(corner)
        share = np.where(at == 1, part, 1.0 - part).prod(axis=1)
        density += share * np.array([weight.get(tuple(k), 0.0) for k in (base + at).tolist()])
    return lattice.step * z, np.log(density) - d * math.log(lattice.step)


def from_axes(frame: Frame, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The same from independent t laws with two halves along each axis."""
    d = frame.centre.size
    up = rng.random((draws, d)) * (frame.up + frame.down) < frame.up
    size = np.abs(rng.standard_t(FREEDOM, (draws, d)))
    z = np.where(up, frame.up, -frame.down) * size
    constant = math.lgamma((FREEDOM + 1) / 2) - math.lgamma(FREEDOM / 2) - 0.5 * math.log(FREEDOM * math.pi)
    one = constant - 0.5 * (FREEDOM + 1) * np.log1p(size**2 / FREEDOM) + np.log(2.0 / (frame.up + frame.down))
    return z, one.sum(axis=1)


def check(
    f: LogPosterior,
    frame: Frame,
    lattice: QuadratureLattice | None,
    log_evidence: float,
    draws: int,
    seed: int,
) -> Check:
    """Draw, weigh, and fit the weights' tail."""
    rng = np.random.default_rng(seed)
    if lattice is not None and frame.centre.size:
        z, log_q = from_lattice(lattice, draws, rng)
    elif frame.centre.size:
        z, log_q = from_axes(frame, draws, rng)
    else:
        z, log_q = np.zeros((draws, 0)), np.zeros(draws)
    y = frame.y(z)
    log_q = log_q - float(np.linalg.slogdet(frame.axes)[1])
    evaluator = f.evaluator
    curved = isinstance(evaluator, ModeEvaluator) and evaluator.eta.size > 0
    latents = _Latents(f, frame.centre, draws, rng) if curved else None
    outer, more = np.empty(draws), np.zeros(draws)
    x, jacobian = f.scale.points(y)
    for s in range(draws):
        outer[s] = f.value(x[s]) + jacobian[s] - log_q[s] - log_evidence
        if latents is not None and math.isfinite(outer[s]):
            more[s] = latents.draw(s)
    both = outer + more
    both[~np.isfinite(both)] = -math.inf
    top = float(both.max())
    found = log_evidence + top + math.log(float(np.mean(np.exp(both - top))))
    return Check(smoothed(both), smoothed(outer), y, None if latents is None else latents.elements, found)


class _Latents:
    """Draws of the elements around their mode, and the log of exact over drawn density."""

    def __init__(self, f: LogPosterior, centre: Floats, draws: int, rng: np.random.Generator) -> None:
        assert isinstance(f.evaluator, ModeEvaluator)
        self.evaluator = e = f.evaluator
        self.conditionals = Conditionals(e)
        self.count = e.field.pattern.n - 1
        self.freedom = max(FREEDOM, 2.0 * self.count)
        self.rng = rng
        f.log_density(centre)
        loads = self.conditionals.loads()  # any are valid: those of the mode serve everywhere
        assert loads is not None
        self.loads = loads
        kept = draws * self.count <= MOST_STORED
        self.elements = np.full((draws, self.count), np.nan) if kept else None

    def draw(self, s: int) -> float:
        """At the point evaluated last; log [p(y, u | theta) / (Laplace's p(y | theta) q(u))].

        Laplace's approximation times the Gaussian at the mode is the exact density with each row's log
        density replaced by its quadratic expansion. A mean shifted by s = C A'b takes away b'A(u - mode - s)
        + b'A s/2 besides, a t law in place of the normal one adds the log of their ratio.
        """
        e, corrections = self.evaluator, self.conditionals.corrections
        assert corrections is not None
        b = self.loads
        shift, mode = corrections.shift(b), e.elimination.mean()
        vary = (e.elimination.s[:-1] > 0) | (e.field.pattern.kind[:-1] != SCALED)
        normals = np.where(vary, self.rng.standard_normal(self.count), 0.0)
        stretch = math.sqrt(self.freedom / self.rng.chisquare(self.freedom))
        u = mode + shift + stretch * (e.elimination.sample(normals) - mode)
        moved = corrections.predictors(np.stack([u - mode, shift], axis=1))
        d, along = moved[:, 0], moved[:, 1]
        if self.elements is not None:
            self.elements[s] = e.field.restored(u + e.field.shift)
        less = float(b @ (d - along) + 0.5 * b @ along)
        return self._beyond_quadratic(d) - less + self._normal_over_t(normals, stretch)

    def _normal_over_t(self, normals: Floats, stretch: float) -> float:
        """Log of the normal over the multivariate t density of a draw."""
        v, q = self.freedom, int(np.count_nonzero(normals))
        square = float(normals @ normals) * stretch**2
        constant = math.lgamma((v + q) / 2) - math.lgamma(v / 2) - 0.5 * q * math.log(v / 2)
        return -0.5 * square - constant + 0.5 * (v + q) * math.log1p(square / v)

    def _beyond_quadratic(self, d: Floats) -> float:
        """Log densities of all rows at the mode's predictors + d, less their quadratic expansions."""
        e = self.evaluator
        w = e.w
        there = w.copy()
        there[e._eta_places] = e.eta + d
        e.field.tape.forward(there)
        total, position = 0.0, 0
        for c in e.field.curved:
            size = len(c.element)
            part = d[position : position + size * c.n].reshape(size, c.n)
            position += size * c.n
            total += float((there[c.density] - w[c.density]).sum())
            for k, places in c.slopes.items():
                total -= float(w[places] @ part[k])
            for (k, m), places in c.weights.items():
                total += (0.5 if k == m else 1.0) * float(w[places] @ (part[k] * part[m]))
        return total if math.isfinite(total) else -math.inf
