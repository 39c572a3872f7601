"""Posterior points -> means, deviations, quantiles and densities under the user's names."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.general import IDENTITY, LOGIT
from dagmodels.backends.laplace.posterior import Points
from dagmodels.backends.laplace.posterior_closed import Closed
from dagmodels.backends.laplace.posterior_given import Given, given_points
from dagmodels.backends.laplace.posterior_moments import MANY, Conditionals
from dagmodels.backends.laplace.posterior_outer import (
    Lines,
    Value,
    convolved,
    exponential,
    itself,
    of_function,
)
from dagmodels.errors import FitError
from dagmodels.fits.field.layout import Layout, layout
from dagmodels.fits.field.report import is_coefficient
from dagmodels.fits.field.solve import Solution
from dagmodels.fits.unknowns import Unknowns
from dagmodels.forms.cells import element_label
from dagmodels.forms.coordinates import free_places
from dagmodels.forms.outer_scale import ABOVE, BELOW, BETWEEN, LOG, PLAIN, LogPosterior
from dagmodels.results.curves import Curve, Marginal
from dagmodels.results.mixtures import ClosedMixture, MappedMixture, Mixture

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LOWER, UPPER = 0.025, 0.975
MOST_STORED = 20_000_000
DENSITY_POINTS = 201


Law = Mixture | MappedMixture | ClosedMixture


class Group(NamedTuple):
    """Latent elements whose laws are of one kind; rows: of the elimination, None for what is no element."""

    names: list[str]
    law: Law
    rows: Ints | None = None


class Answers:
    """What is asked about a posterior; worked out when asked, and kept."""

    def __init__(self, solution: Solution, f: LogPosterior, points: Points) -> None:
        self.solution = solution
        self.f = f
        self.points = points
        self.layout: Layout = layout(solution)
        self.mode = self.layout.values(solution)
        self.conditionals = Conditionals(solution.evaluator)
        self._curves: dict[int, Curve] = {}
        self._places = _coordinates(solution, self.layout)
        lattice = points.lattice if points.y.shape[1] else None
        self._lines = None if lattice is None else Lines(lattice)

    # -- estimates, numbered as (coefficients, outer values, defined)

    @cached_property
    def given(self) -> Given:
        """Estimates and their conditional spread at every point."""
        found = given_points(self.layout, self.conditionals, self.points.x, self.points.weight)
        self._back()
        return found

    @cached_property
    def mixture(self) -> Mixture:
        """The estimates' laws given the points, mixed."""
        g = self.given
        return Mixture(self.points.weight, g.value, g.sd, g.skewness)

    @cached_property
    def _mixed(self) -> NDArray[np.bool_]:
        """Which estimates vary given the outer unknowns; the others are functions of these."""
        return self.points.weight @ self.given.sd > 0

    def columns(self) -> dict[str, list[Any]]:
        """The table of estimates."""
        mean, sd = self.mixture.moments()
        limits = np.full((2, mean.size), np.nan)
        mixed = np.flatnonzero(self._mixed)
        some = Mixture(self.points.weight, *(a[:, mixed] for a in _three(self.given)))
        if mixed.size:
            limits[0, mixed], limits[1, mixed] = some.quantiles(LOWER), some.quantiles(UPPER)
        for k in np.flatnonzero(~self._mixed):
            curve = self.curve(int(k))
            if curve is None:
                limits[:, k], sd[k] = mean[k], 0.0
                continue
            limits[:, k] = curve.quantile(LOWER), curve.quantile(UPPER)
            if self._lines is None:
                mean[k], sd[k] = curve.moments()
        order = self.layout.order
        what = ["posterior mean" if s > 0 else "fixed" for s in sd[order].tolist()]
        numbers = (mean, sd, limits[0], limits[1])
        table: dict[str, list[Any]] = {"name": list(self.layout.names)}
        for key, values in zip(("estimate", "se", "lower", "upper"), numbers, strict=True):
            table[key] = values[order].tolist()
        return {**table, "what": what, "mode": self.mode.tolist()}

    def unknowns(self) -> Unknowns:
        """Posterior means and covariance in place of the mode's."""
        known = self.layout.unknowns
        best = self.points.weight @ self.given.value[:, : known.value.size]
        return replace(known, value=best, covariance=self.covariance())

    def covariance(self) -> Floats:
        """Posterior covariance of coefficients and outer values."""
        size = self.layout.unknowns.value.size
        value, weight = self.given.value[:, :size], self.points.weight
        away = value - weight @ value
        total = (away * weight[:, None]).T @ away
        k = self.layout.rows.size
        total[:k, :k] += self.given.covariance
        return total

    def halving(self) -> float:
        """The largest change of an estimate's mean or deviation since the step was twice as long, in sds."""
        lattice = self.points.lattice
        if lattice is None or self._lines is None:
            return 0.0
        coarse = lattice.coarse
        weight = lattice.weight[coarse] / lattice.weight[coarse].sum()
        mean, sd = self.mixture.moments()
        other, wide = Mixture(weight, *(a[coarse] for a in _three(self.given))).moments()
        scale = np.maximum(sd, 1e-300)
        changes = np.maximum(np.abs(other - mean), np.abs(wide - sd)) / scale
        return float(changes[sd > 0].max(initial=lattice.error))

    # -- outer unknowns and what is defined by them

    def curve(self, k: int) -> Curve | None:
        """The density of an outer value, or of a quantity defined by outer values alone; None if constant."""
        if k not in self._curves:
            values = self.given.value[:, k]
            if np.ptp(values) <= 1e-13 * max(float(np.abs(values).max()), 1e-300):
                return None
            at = self._places.get(k)
            self._curves[k] = self._of_function(values) if at is None else self._of_coordinate(at)
        return self._curves[k]

    def _of_coordinate(self, at: int) -> Curve:
        frame, value = self.points.frame, _declared(self.f, at)
        direction, centre = frame.axes[at], float(frame.centre[at])
        if self._lines is not None:
            return self._lines.linear(direction, centre, value)
        return convolved(frame, direction, centre, value)

    def _of_function(self, values: Floats) -> Curve:
        if self._lines is not None:
            return self._lines.function(values)
        frame = self.points.frame
        z = np.linalg.solve(frame.axes, (self.points.y - frame.centre).T).T
        return of_function(frame, z, self.points.weight, values)

    # -- latents

    @cached_property
    def latents(self) -> tuple[Group, ...]:
        """Groups of latent elements: those integrated in closed form, then the others by their scale."""
        field, evaluator, points = self.solution.field, self.solution.evaluator, self.points
        places = {name: np.flatnonzero(r >= 0) for name, r in field.rows.items()}
        scales: dict[str, list[str]] = {}
        for name in field.rows:
            if not is_coefficient(self.solution, name) and places[name].size:
                scales.setdefault(field.roles.general.get(name, IDENTITY), []).append(name)
        rows = {k: np.concatenate([field.rows[n][places[n]] for n in v]) for k, v in scales.items()}
        every = np.concatenate([np.zeros(0, dtype=np.int64), *rows.values()])
        closed = [Closed(c) for c in field.collapsed]
        kept = _counting(points.weight, max([every.size, *(c.size for c in closed)]))
        weight = points.weight[kept] / points.weight[kept].sum()
        mean, sd, skewness = (np.zeros((kept.size, every.size)) for _ in range(3))
        known: Floats | None = None
        if every.size > MANY and self.conditionals.corrections is not None:
            evaluator.criterion(points.x[np.argmax(points.weight)])
            known = self._skewness_of_many()
        for j, number in enumerate(kept.tolist() if every.size or closed else ()):
            evaluator.criterion(points.x[number])
            for c in closed:
                c.add(evaluator.w)
            if every.size:
                found = self.conditionals.each(known)
                mean[j], sd[j], skewness[j] = found[0][every], np.sqrt(found[1][every]), found[2][every]
        self._back()
        groups = [Group(c.names(field.problem), c.mixture(weight)) for c in closed]
        begin = 0
        for scale, nodes in scales.items():
            at = slice(begin, begin + rows[scale].size)
            begin = at.stop
            names = [element_label(field.problem, n, int(i)) for n in nodes for i in places[n]]
            law = Mixture(weight, mean[:, at], sd[:, at], skewness[:, at])
            mapped = law if scale == IDENTITY else MappedMixture(law, scale == LOGIT)
            groups.append(Group(names, mapped, rows[scale]))
        return tuple(groups)

    def _skewness_of_many(self) -> Floats:
        """At one point, in portions that fit into memory."""
        size = self.solution.field.pattern.n - 1
        found = np.zeros(size)
        portion = max(1, MOST_STORED // max(size, self.conditionals.corrections.size))  # type: ignore[union-attr]
        for first in range(0, size, portion):
            rows = np.arange(first, min(first + portion, size))
            found[rows] = self.conditionals.skewness(rows)
        return found

    def element_names(self) -> tuple[Ints, list[str]]:
        """Elimination rows of all coefficients and latents, and their names."""
        field = self.solution.field
        rows, names = [np.zeros(0, dtype=np.int64)], []
        for name, every in field.rows.items():
            at = np.flatnonzero(every >= 0)
            rows.append(every[at])
            names.extend(element_label(field.problem, name, int(i)) for i in at)
        return np.concatenate(rows), names

    def element_means(self) -> Floats:
        """Posterior means of coefficients and latents, by elimination row."""
        found = self.solution.evaluator.means()
        rows = self.layout.rows
        found[rows] = self.points.weight @ self.given.value[:, : rows.size]
        for group in self.latents:
            mean = group.law.moments()[0]
            if isinstance(group.law, MappedMixture):
                mean = group.law.inverse(mean)
            if group.rows is not None:
                found[group.rows] = mean
        return found

    def latent_columns(self) -> dict[str, list[Any]] | None:
        """The table of latents."""
        table: dict[str, list[Any]] = {k: [] for k in ("name", "estimate", "sd", "lower", "upper")}
        for group in self.latents:
            numbers = (*group.law.moments(), group.law.quantiles(LOWER), group.law.quantiles(UPPER))
            table["name"].extend(group.names)
            for key, values in zip(list(table)[1:], numbers, strict=True):
                table[key].extend(values.tolist())
        return table if table["name"] else None

    # -- by name

    def density(self, name: str) -> Marginal | None:
        """See `Fit.marginal`; None for a name that nothing has."""
        found = self._law(name)
        if isinstance(found, Curve):
            return found.marginal()
        if found is None:
            return None
        mean, sd = (float(a[0]) for a in found.moments())
        low, high = (float(found.quantiles(p)[0]) for p in (1e-7, 1 - 1e-7))
        near = mean + sd * np.linspace(-4, 4, DENSITY_POINTS)
        parts = [np.linspace(low, high, DENSITY_POINTS), near]
        if not isinstance(found, Mixture):
            parts.append(np.geomspace(low, high, DENSITY_POINTS))  # these may be steep at zero
        x = np.unique(np.concatenate(parts))
        x = x[(x >= low) & (x <= high)]
        return Marginal(x, found.density(x))

    def quantile(self, name: str, p: float) -> float | None:
        """The p-quantile; None for a name that nothing has."""
        found = self._law(name)
        if found is None:
            return None
        return found.quantile(p) if isinstance(found, Curve) else float(found.quantiles(p)[0])

    def _law(self, name: str) -> Curve | Law | None:
        if name in self.layout.names:
            k = int(self.layout.order[self.layout.names.index(name)])
            if self._mixed[k]:
                return self.mixture.column(k)
            curve = self.curve(k)
            if curve is None:
                raise FitError(f"'{name}' is a known number: it has no density")
            return curve
        for group in self.latents:
            if name in group.names:
                return group.law.column(group.names.index(name))
        return None

    def _back(self) -> None:
        """The evaluator where other answers expect it: at the mode."""
        self.solution.evaluator.criterion(self.solution.optimum.x)


def _three(g: Given) -> tuple[Floats, Floats, Floats]:
    return g.value, g.sd, g.skewness


def _counting(weight: Floats, width: int) -> Ints:
    """The points that count, the largest first where memory does not take all."""
    kept = np.flatnonzero(weight > 1e-9 * weight.max())
    most = max(1, MOST_STORED // max(width, 1))
    if kept.size > most:
        kept = np.sort(kept[np.argsort(-weight[kept])[:most]])
    return kept


def _coordinates(solution: Solution, found: Layout) -> dict[int, int]:
    """For outer values that are one coordinate each, its number by theirs."""
    field = solution.field
    places: dict[int, int] = {}
    number, position = found.rows.size, 0
    for c in field.coordinates:
        at = field.tape.place(field.outer_registers[c.node])
        size = at.stop - at.start
        if c.order:
            number += c.batch * c.order * (c.order + 1) // 2
        else:
            for k, place in enumerate(free_places(field.problem, c.node).tolist()):
                places[number + place] = position + k
            number += size
        position += c.length
    return places


def _declared(f: LogPosterior, at: int) -> Value:
    """The declared value of one coordinate and its slope, from its unconstrained one."""
    kind = int(f.scale.kind[at])
    low, high = float(f.scale.lower[at]), float(f.scale.upper[at])

    def value(t: Floats) -> tuple[Floats, Floats]:
        if kind == PLAIN:
            return itself(t)
        if kind == LOG:
            return exponential(t)
        if kind == ABOVE:
            return low + np.exp(t), np.exp(t)
        if kind == BELOW:
            return high - np.exp(t), np.exp(t)
        assert kind == BETWEEN
        share = 1.0 / (1.0 + np.exp(-t))
        return low + (high - low) * share, (high - low) * share * (1.0 - share)

    return value
