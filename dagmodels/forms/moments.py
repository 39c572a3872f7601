"""The `moments` form: mean and covariance structure of one exchangeable unit, and the units' statistics.

Arrays only. Every number of the structure that varies is data times a place of the tape's workspace; the
number of units does not occur: their means and covariances are summed once, by group and missing pattern.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.forms.outer import Coordinate
from dagmodels.numerics.moments import COVARIANCE, Moments, Sample, Structure
from dagmodels.numerics.optimise import Optimum
from dagmodels.numerics.tape import Tape

if TYPE_CHECKING:
    from dagmodels.forms.moment_constraints import TapeConstraints
    from dagmodels.numerics.constrained import Constrained

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STEP = 1e-5  # of differences of exact first derivatives, in units of a coordinate
POINTS = ((0.3, 0.7), (-0.7, -0.3), (1.0, 3.0), (-3.0, -1.0), (5.0, 50.0))  # ranges to see dependences in


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Thresholds of ordered variables, T in each of G groups.

    variable, which : (T,) the variable of the structure that each cuts, and its number there.
    base : (G, T) those that are known, else zero. group, slot, source, data : (h,) of the others, as the
        entries of a structure.
    """

    variable: Ints
    which: Ints
    base: Floats
    group: Ints
    slot: Ints
    source: Ints
    data: Floats

    def values(self, w: Floats) -> Floats:
        """(G, T) from the tape's workspace."""
        found = self.base.copy()
        np.add.at(found, (self.group, self.slot), self.data * w[self.source])
        return found


@dataclass(frozen=True, eq=False)
class Template:
    """What follows from the graph and its plates alone, and is kept with the graph.

    small : the problem with one unit for each group, without the units' data.
    structure : as `numerics.moments` takes it; moments of covariates are zero here.
    variables : (node, component) of each variable, component among the node's other plates in C order.
    given : (p,) which observed variables are covariates. units : the plate's name.
    source, data : (m,) place in the workspace of each entry and the number it is multiplied with.
    coordinates, x_places, outer_registers : of the outer unknowns, as in `forms.field`.
    prior_places, prior_counts : terms of minus twice the log prior.
    inner : (t,) where units are clusters, which variables are those of the elements of `inner_units` in them.
    thresholds : of ordered variables, where there are some.
    """

    small: Problem
    structure: Structure
    variables: tuple[tuple[str, int], ...]
    given: NDArray[np.bool_]
    units: str
    source: Ints
    data: Floats
    tape: Tape
    coordinates: tuple[Coordinate, ...]
    x_places: Ints
    outer_registers: Mapping[str, int]
    prior_places: Ints
    prior_counts: Floats
    inner: NDArray[np.bool_]
    inner_units: str = ""
    thresholds: Thresholds | None = None

    @cached_property
    def direct(self) -> tuple[Ints, Ints]:
        """Entries that are a coordinate times data, and these coordinates."""
        where = np.full(self.tape.initial.size, -1, dtype=np.int64)
        where[self.x_places] = np.arange(self.x_places.size)
        entries = np.flatnonzero(where[self.source] >= 0)
        return entries, where[self.source[entries]]

    @cached_property
    def indirect(self) -> tuple[Ints, Ints]:
        """Distinct places of the other entries, and which of them each entry is (-1: direct)."""
        entries, _ = self.direct
        rest = np.ones(self.source.size, dtype=bool)
        rest[entries] = False
        places, of = np.unique(self.source[rest], return_inverse=True)
        which = np.full(self.source.size, -1, dtype=np.int64)
        which[rest] = of.reshape(-1)
        return places, which

    @cached_property
    def bending(self) -> Ints:
        """Coordinates in which entries, or the prior, may have second derivatives.

        Those that entries hang on which are no plain coordinates, seen at random points, where no derivative
        vanishes by chance; several, because functions may have pieces.
        """
        if self.prior_places.size:
            return np.arange(self.x_places.size)
        rng, seen = np.random.default_rng(1), np.zeros(self.x_places.size, dtype=bool)
        with np.errstate(all="ignore"):
            for low, high in POINTS:
                w = self.tape.initial.copy()
                w[self.x_places] = rng.uniform(low, high, seen.size)
                self.tape.forward(w)
                seen |= (self.place_slopes(w, self.indirect[0]) != 0).any(axis=0)
        return np.flatnonzero(seen)

    @cached_property
    def constant_jacobian(self) -> Floats:
        """The part of the entries' derivatives that does not change."""
        found = np.zeros((self.source.size, self.x_places.size))
        entries, coordinates = self.direct
        found[entries, coordinates] = self.data[entries]
        return found

    def place_slopes(self, w: Floats, places: Ints) -> Floats:
        """Derivatives of places of the workspace in the coordinates, (places, k)."""
        where = np.full(w.size, -1, dtype=np.int64)
        where[self.x_places] = np.arange(self.x_places.size)
        found = np.zeros((places.size, self.x_places.size))
        for i, place in enumerate(places.tolist()):
            if where[place] >= 0:
                found[i, where[place]] = 1.0
                continue
            bar = np.zeros(w.size)
            bar[place] = 1.0
            self.tape.reverse(w, bar)
            found[i] = bar[self.x_places]
        return found

    def jacobian(self, w: Floats) -> Floats:
        """Derivatives of the entries in the coordinates, (m, k)."""
        places, which = self.indirect
        if not places.size:
            return self.constant_jacobian
        rows = self.place_slopes(w, places)
        found = self.constant_jacobian.copy()
        at = np.flatnonzero(which >= 0)
        found[at] += self.data[at, None] * rows[which[at]]
        return found

    @cached_property
    def least(self) -> Floats:
        """Zero for coordinates that are variances themselves, minus infinity for others."""
        s = self.structure
        entries, coordinates = self.direct
        found = np.full(self.x_places.size, -np.inf)
        own = (s.kind[entries] == COVARIANCE) & (s.row[entries] == s.column[entries])
        found[coordinates[own]] = 0.0
        return found

    @cached_property
    def lower(self) -> Floats:
        """Lower bounds of the coordinates."""
        return np.concatenate([np.zeros(0), *(c.lower for c in self.coordinates)])

    @cached_property
    def upper(self) -> Floats:
        """Upper bounds of the coordinates."""
        return np.concatenate([np.zeros(0), *(c.upper for c in self.coordinates)])


@dataclass(frozen=True, eq=False)
class MomentsForm:
    """See the module.

    problem : graph and data. template : what does not hang on the data.
    structure : the template's, with the covariates' moments. sample : the units' statistics.
    group_of : group of every unit. values : (units, p) observed variables, nan where missing.
    given_constant : minus twice the log density of the covariates, which the sample's likelihood includes.
    constraints : between unknowns, which the optimum has to keep; None where there are none.
    ERRORS : kinds of standard errors. alone : whether units stand alone, so that others may stand in their
        place (predictions, refits).
    """

    ERRORS: ClassVar[tuple[str, ...]] = (
        "conditional", "standard", "robust.sem", "robust.huber.white", "robust.cluster",
    )  # fmt: skip
    alone: ClassVar[bool] = True

    problem: Problem
    template: Template
    structure: Structure
    sample: Sample
    group_of: Ints
    values: Floats
    given_constant: float
    constraints: TapeConstraints | None = None

    @property
    def small(self) -> Problem:
        return self.template.small

    @property
    def variables(self) -> tuple[tuple[str, int], ...]:
        return self.template.variables

    @property
    def units(self) -> str:
        return self.template.units

    @property
    def tape(self) -> Tape:
        return self.template.tape

    @property
    def coordinates(self) -> tuple[Coordinate, ...]:
        return self.template.coordinates

    @property
    def x_places(self) -> Ints:
        return self.template.x_places

    @property
    def outer_registers(self) -> Mapping[str, int]:
        return self.template.outer_registers

    def workspace(self, x: Floats) -> Floats:
        """The tape's numbers at x."""
        w = self.tape.initial.copy()
        w[self.x_places] = x
        self.tape.forward(w)
        return w

    def moments(self, entries: Floats) -> Moments:
        """The likelihood at values of the entries."""
        return Moments(self.structure, self.sample, entries)

    def at(self, x: Floats) -> Criterion:
        """The criterion at x."""
        return Criterion(self, x)

    def with_sample(self, sample: Sample) -> MomentsForm:
        """The same form with other statistics; raises as `moment_samples.with_sample`."""
        from dagmodels.forms.moment_samples import with_sample

        return with_sample(self, sample)

    def with_values(self, values: Floats) -> MomentsForm:
        """The same form with other rows in the same groups, (units, p), nan where missing."""
        from dagmodels.forms.moment_samples import with_values

        return with_values(self, values)

    @property
    def observations(self) -> int:
        """The number of observed values, covariates apart."""
        return int(self.sample.n @ self.sample.mask[:, ~self.template.given].sum(axis=1))

    def conditional(self, at: Criterion) -> dict[str, tuple[Floats, Floats]]:
        """Means of all variables given the data and standard deviations, (n, t) each, by plate of rows."""
        from dagmodels.forms.conditional import conditional

        return {self.units: conditional(at.moments, self.values, self.group_of)}

    @property
    def method(self) -> str:
        """What the criterion is, for people."""
        return f"maximum likelihood from moments of one {self.units}"

    def start(self, x: Floats) -> Floats:
        """Starting values, from those that suit the means and covariances."""
        return x


class Criterion:
    """Minus twice the log likelihood (and prior) at x, with exact gradient, expected and exact Hessian.

    value : of both. deviance : without the prior. likelihood : that it is one.
    """

    likelihood = True

    def __init__(self, form: MomentsForm, x: Floats) -> None:
        self.form, self.x = form, x
        t = self.template = form.template
        self.w = form.workspace(x) if t.indirect[0].size or t.prior_places.size else None
        self.moments = form.moments(self.entries)
        self.deviance = self.moments.value - form.given_constant
        self.value = self.deviance
        if t.prior_places.size:
            assert self.w is not None
            self.value += float(t.prior_counts @ self.w[t.prior_places])
        if np.isnan(self.value):
            self.value = np.inf

    @property
    def entries(self) -> Floats:
        """Values of the entries."""
        t = self.template
        if self.w is not None:
            return t.data * self.w[t.source]
        found = np.empty(t.source.size)
        entries, coordinates = t.direct
        found[entries] = t.data[entries] * self.x[coordinates]
        return found

    @cached_property
    def jacobian(self) -> Floats:
        return self.template.constant_jacobian if self.w is None else self.template.jacobian(self.w)

    @cached_property
    def gradient(self) -> Floats:
        found = self.moments.gradient @ self.jacobian
        return found + self._prior_gradient() if self.template.prior_places.size else found

    def information(self) -> Floats:
        """Expected Hessian; of a prior its exact one, where it is positive in the diagonal."""
        found = self.jacobian.T @ self.moments.information() @ self.jacobian
        if self.template.prior_places.size:
            prior = np.diag(self._bent(np.zeros(self.template.source.size)))
            found = found + np.diag(np.maximum(prior, 0.0))
        return found

    def hessian(self) -> Floats:
        """Exact up to differences of exact first derivatives of entries that are not plain coordinates."""
        found = self.jacobian.T @ self.moments.hessian() @ self.jacobian
        if self.w is not None:
            found = found + self._bent(self.moments.gradient)
        return found

    def error_information(self, hessian: Floats, *, expected: bool) -> Floats:
        """Whose inverse, doubled, is the covariance of estimates; hessian : the exact one here."""
        return self.information() if expected else hessian

    def meat(self, kind: str, clusters: Ints | None = None) -> Floats:
        """The middle of a sandwich; see `forms.casewise.meat`."""
        from dagmodels.forms.casewise import meat

        return meat(self, kind, clusters)

    def _prior_gradient(self) -> Floats:
        assert self.w is not None
        bar = np.zeros(self.w.size)
        np.add.at(bar, self.template.prior_places, self.template.prior_counts)
        self.form.tape.reverse(self.w, bar)
        return bar[self.form.x_places]

    def _bent(self, weights: Floats) -> Floats:
        """Hessian in the coordinates of the entries' sum with these weights, and of the prior."""
        form, t, k = self.form, self.template, self.x.size
        found = np.zeros((k, k))
        for i in t.bending.tolist():
            h = STEP * max(1.0, abs(self.x[i]))
            sides = []
            for sign in (1.0, -1.0):
                near = self.x.copy()
                near[i] += sign * h
                w = form.workspace(near)
                bar = np.zeros(w.size)
                np.add.at(bar, t.source, weights * t.data)
                np.add.at(bar, t.prior_places, t.prior_counts)
                form.tape.reverse(w, bar)
                sides.append(bar[form.x_places])
            found[i] = (sides[0] - sides[1]) / (2 * h)
        return 0.5 * (found + found.T)


@dataclass(frozen=True, eq=False, slots=True)
class MomentsSolution:
    """An optimum of the form with its certificate.

    at : the criterion there. converged, message : whether the certificate holds, and which part fails
    otherwise. constrained : what the constraints say there.
    """

    form: MomentsForm
    at: Criterion
    optimum: Optimum
    evaluations: int
    converged: bool
    message: str
    seconds: float
    constrained: Constrained | None = None

    @property
    def parameters(self) -> int:
        """Free coordinates less the equalities between them."""
        return int(self.optimum.x.size) - (0 if self.constrained is None else self.constrained.rank)
