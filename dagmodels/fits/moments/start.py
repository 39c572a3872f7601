"""Starting values from sample moments: loadings by ratios of covariances, half of each variance as residual.

Loadings follow the instrumental ratios of Haegglund (1982, Psychometrika 47:209, FABIN 2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.levels import LevelsForm
from dagmodels.forms.moments import MomentsForm
from dagmodels.forms.outer import coordinates_of
from dagmodels.forms.row_errors import RowErrorsForm
from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH, Structure

Floats = NDArray[np.float64]
STEPS = 12
SMALLEST = 1e-6  # eigenvalue of a correlation matrix that starts from pairs of variables keep as it is
LIFTED = 1e-2  # else the smallest that they begin with


def starting_point(form: MomentsForm, *, plain: bool = False) -> Floats:
    """Coordinates whose structure is near the sample's; the user's own values hold unless `plain`."""
    target = _entries(form)
    x = _generic(form)
    entries, coordinates = form.template.direct
    if entries.size:
        total, count = np.zeros(x.size), np.zeros(x.size)
        np.add.at(total, coordinates, target[entries] / form.template.data[entries])
        np.add.at(count, coordinates, 1.0)
        x = np.where(count > 0, total / np.maximum(count, 1.0), x)
    if form.template.indirect[0].size:
        x = _solved(form, x, target)
    position = 0
    for c in form.coordinates:
        part = slice(position, position + c.length)
        position += c.length
        if not plain and c.start is not None and c.kind in ("identity", "log"):
            x[part] = coordinates_of(c, np.full(c.length, float(c.start)))
        x[part] = np.clip(x[part], c.lower, c.upper)
    return x


def _generic(form: MomentsForm) -> Floats:
    parts = [np.zeros(0)]
    for c in form.coordinates:
        if c.kind == "log" or c.kind == "partial":
            parts.append(np.zeros(c.length))
        elif c.kind == "cholesky":
            parts.append(np.where(c.symmetric, 1.0, 0.0))
        else:
            parts.append(np.full(c.length, 1.0 if c.use in ("scale", "variance") else 0.0))
    x = np.concatenate(parts)
    lower = np.concatenate([np.zeros(0), *(c.lower for c in form.coordinates)])
    upper = np.concatenate([np.zeros(0), *(c.upper for c in form.coordinates)])
    middle = np.where(np.isfinite(lower) & np.isfinite(upper), 0.0, np.clip(x, lower + 0.1, upper - 0.1))
    both = np.isfinite(lower) & np.isfinite(upper)
    middle[both] = 0.5 * (lower[both] + upper[both])
    inside = middle
    return np.where((x > lower) & (x < upper), x, inside)


def _solved(form: MomentsForm, x: Floats, target: Floats) -> Floats:
    """Gauss-Newton steps towards the entries wanted, for coordinates that are no entries themselves."""
    entries, coordinates = form.template.direct
    held = np.zeros(x.size, dtype=bool)
    held[coordinates] = True
    rest = np.ones(target.size, dtype=bool)
    rest[entries] = False
    weight = 1.0 / np.maximum(np.abs(target), 0.1 * np.abs(target).max(initial=1e-8) + 1e-12)
    for _ in range(STEPS):
        w = form.workspace(x)
        gap = weight[rest] * (target - form.template.data * w[form.template.source])[rest]
        jacobian = weight[rest, None] * form.template.jacobian(w)[rest][:, ~held]
        if not (np.isfinite(gap).all() and np.isfinite(jacobian).all()):
            break
        step = np.linalg.lstsq(jacobian, gap, rcond=1e-8)[0]
        x = x.copy()
        x[~held] += np.clip(step, -2.0, 2.0)
    return x


def _entries(form: MomentsForm) -> Floats:
    """The value wanted of every entry."""
    if isinstance(form, LevelsForm):
        from dagmodels.fits.moments.start_levels import level_entries

        return level_entries(form)
    s = form.structure
    found = np.zeros(s.kind.size)
    for g, at in enumerate(s.members):
        mean, cov = _sample_moments(form, g)
        fill(found, s, at, Guess(s, g, at, mean, cov))
    return found


def fill(found: Floats, s: Structure, at: NDArray[np.int64], guess: Guess) -> None:
    """Write what a guess says of the entries `at`."""
    if at.size:
        kind, i, j = s.kind[at], s.row[at], s.column[at]
        for e, k, a, b in zip(at.tolist(), kind.tolist(), i.tolist(), j.tolist(), strict=True):
            if k == MEAN:
                found[e] = guess.level(a)
            elif k == COVARIANCE:
                found[e] = guess.variance(a) if a == b else guess.covariance(a, b)
            else:
                found[e] = guess.path(a, b)


def _sample_moments(form: MomentsForm, g: int) -> tuple[Floats, Floats]:
    if isinstance(form, RowErrorsForm):
        mean, cov = _plain_moments(form, g)
        return mean, _definite(cov - form.errors[form.group_of == g].mean(axis=0))
    return _plain_moments(form, g)


def _plain_moments(form: MomentsForm, g: int) -> tuple[Floats, Floats]:
    x = form.sample
    cells = np.flatnonzero(x.group == g)
    if x.complete and cells.size == 1:
        return x.mean[cells[0]], x.cov[cells[0]]
    rows = form.values[form.group_of == g]
    there = ~np.isnan(rows)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, rows, 0.0).sum(axis=0) / count
    away = np.where(there, rows - mean, 0.0)
    pairs = np.maximum(there.T.astype(float) @ there, 1.0)
    return mean, _definite(away.T @ away / pairs)


def _definite(cov: Floats) -> Floats:
    """Covariances of pairs, which together may be no covariance matrix: small eigenvalues go up."""
    sd = np.sqrt(np.maximum(np.diag(cov), 1e-300))
    values, vectors = np.linalg.eigh(cov / np.outer(sd, sd))
    if values[0] > SMALLEST:
        return cov
    inner = (vectors * np.maximum(values, LIFTED)) @ vectors.T
    return inner * np.outer(sd, sd)


class Guess:
    """What sample moments say of one group's entries."""

    def __init__(self, s: Structure, g: int, at: NDArray[np.int64], mean: Floats, cov: Floats) -> None:
        t = s.order
        self.place = np.full(t, -1, dtype=np.int64)  # of a variable among the observed ones
        self.place[s.observed] = np.arange(s.observed.size)
        self.mean, self.cov = mean, cov
        free = np.zeros((t, t), dtype=bool)
        paths = at[s.kind[at] == PATH]
        free[s.row[paths], s.column[paths]] = True
        self.fixed = s.paths[g]
        self.arrows = free | (self.fixed != 0)
        self.incoming = self.arrows.any(axis=1)
        self.given = s.covariances[g].diagonal() != 0  # variances that are fixed
        self.loading: dict[int, dict[int, float]] = {}
        self.spread: dict[int, float] = {}
        for latent in np.flatnonzero(self.place < 0).tolist():
            self._factor(latent)

    def _factor(self, latent: int) -> None:
        indicators = [i for i in np.flatnonzero(self.arrows[:, latent]).tolist() if self.place[i] >= 0]
        if not indicators:
            return
        own = [self.place[i] for i in indicators]
        cov = self.cov[np.ix_(own, own)]
        markers = [n for n, i in enumerate(indicators) if self.fixed[i, latent] != 0]
        m = markers[0] if markers else 0
        ratio = np.ones(len(indicators))
        for n in range(len(indicators)):
            others = [k for k in range(len(indicators)) if k not in (n, m)]
            if n == m:
                continue
            if others:
                below = float(np.sum(cov[m, others] ** 2))
                ratio[n] = float(cov[n, others] @ cov[m, others]) / below if below > 0 else 1.0
            else:
                ratio[n] = np.sign(cov[n, m] or 1.0) * np.sqrt(cov[n, n] / max(cov[m, m], 1e-300))
        ratio = np.where(np.isfinite(ratio), np.clip(ratio, -10.0, 10.0), 1.0)
        others = [n for n in range(len(indicators)) if n != m and ratio[n] != 0]
        shared = float(np.mean([cov[n, m] / ratio[n] for n in others])) if others else 0.5 * cov[m, m]
        shared = float(np.clip(shared, 0.1 * cov[m, m], 0.9 * cov[m, m]))
        unit = self.fixed[indicators[m], latent] if markers else np.sqrt(shared)
        self.loading[latent] = {i: float(r * unit) for i, r in zip(indicators, ratio, strict=True)}
        self.spread[latent] = shared / unit**2

    def path(self, i: int, j: int) -> float:
        if self.place[j] < 0 and self.place[i] >= 0:
            return self.loading[j][i]
        if self.place[j] < 0 and self.fixed[:, j].any() and not self.loading.get(j):
            return 1.0  # a factor of factors
        return 0.0

    def variance(self, i: int) -> float:
        if self.place[i] >= 0:
            own = float(self.cov[self.place[i], self.place[i]])
            return 0.5 * own if self.incoming[i] else own
        return self.spread.get(i, 0.05) * (0.5 if self.incoming[i] else 1.0)

    def covariance(self, i: int, j: int) -> float:
        if self.place[i] >= 0 and self.place[j] >= 0 and not (self.incoming[i] or self.incoming[j]):
            return float(self.cov[self.place[i], self.place[j]])
        return 0.0

    def level(self, i: int) -> float:
        return float(self.mean[self.place[i]]) if self.place[i] >= 0 else 0.0
