"""Expected values of observed nodes from moments: given what each unit shows, for known and for new units.

With v the variables of a unit, v = a + A v + e and e ~ N(0, P), covariates are constants of a. What a unit
shows gives all its variables a mean m and a covariance V (as in the population where it shows nothing), so
that the expected mean of a variable is a + A m, with the variance A V A' in the diagonal; an entry that the
unit does not show is m itself, which counts residual covariances in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.unit import Unit, unit
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.forecast import Forecast
from dagmodels.fits.new_rows import NewRows
from dagmodels.forms.build_moments import template_of
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.moments import MomentsSolution, Template

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STEP = 1e-5  # of differences in the coordinates, in standard errors of these


@dataclass(frozen=True, eq=False, slots=True)
class MomentsPredictions:
    """What `Fit.predict` calls for fits from moments.

    covariance : of the coordinates, nan on bounds.
    """

    solution: MomentsSolution
    covariance: Floats

    def __call__(self, new: Any = None, *, type: str = "response", sd: bool = False) -> Any:
        """See `Fit.predict`.

        type : "response", or "link", which is the same for Normal nodes.
        sd : whether a `Forecast` is wanted: what latents and missing values may be given the unit, and the
            uncertainty of all estimates.
        """
        if type not in ("response", "link"):
            raise FitError(f"type={type!r} is neither 'response' nor 'link'")
        if self.solution.form.template.thresholds is not None:
            raise FitError(
                "predict: expected values are no linear function where variables are ordered; `latents` and "
                "`predict_factors` have the latent variables of each unit"
            )
        units = self._units(new)
        found = units.means(self.solution.optimum.x)
        parts = (found.mean,)
        if sd:
            spread = np.hypot(found.sd, self._of_estimates(units))
            parts = (found.mean, spread, np.hypot(found.noise, spread))
        answers: dict[str, Any] = {}
        for name, node in units.problem.graph.nodes.items():
            if node.role == "observed":
                told = tuple(units.asked(name, part) for part in parts)
                answers[name] = Forecast(*told) if sd else told[0]
        return next(iter(answers.values())) if len(answers) == 1 else answers

    def _of_estimates(self, units: Units) -> Floats:
        """Standard deviations that the estimates' own uncertainty adds, by the delta method."""
        x, cov = self.solution.optimum.x, np.where(np.isnan(self.covariance), 0.0, self.covariance)
        slopes, uncertain = [], []
        for i in range(x.size):
            if not cov[i, i] > 0:
                continue  # on a bound, or held
            h = STEP * np.sqrt(cov[i, i])
            ends = [units.means(x + d * (np.arange(x.size) == i)).mean for d in (h, -h)]
            uncertain.append(i)
            slopes.append((ends[0] - ends[1]) / (2 * h))
        if not slopes:
            return np.zeros((len(units.values), units.template.structure.order))
        j, among = np.stack(slopes, axis=-1), cov[np.ix_(uncertain, uncertain)]
        return np.sqrt(np.maximum(((j @ among) * j).sum(axis=-1), 0.0))

    def _units(self, new: Any) -> Units:
        form = self.solution.form
        found = unit(form.problem.graph)
        assert isinstance(found, Unit)  # it was fitted as one
        if new is None:
            if not form.values.size:
                raise FitError("this fit was made from a covariance matrix; give the rows to predict for")
            return Units(form.problem, None, form.template, form.group_of, form.values, form.values)
        rows = NewRows(form.problem, new)
        rows.refuse_contradictions(n for n in found.nodes if not form.problem.graph.nodes[n].observed)
        try:
            template, group_of = template_of(rows.problem, found)
        except NotLowered as error:
            raise FitError(f"these data cannot be predicted: {error}") from error
        if {c.node: c.length for c in template.coordinates} != {c.node: c.length for c in form.coordinates}:
            raise FitError(f"these data cannot be predicted: {_new_levels(rows, found.plate)}")
        given = columns(rows.problem, template)
        shown = given.copy()
        if template.variables == form.variables and form.values.size:
            known = rows.known(found.plate)
            shown[known] = np.where(np.isnan(form.values[known]), given[known], form.values[known])
            given[known] = np.where(np.isnan(given[known]), shown[known], given[known])
        return Units(rows.problem, rows, template, group_of, shown, given)


def _new_levels(rows: NewRows, units: str) -> str:
    """Which elements of other plates than that of the units the fit has no estimates for."""
    found = []
    for plate, codes in rows.problem.new.items():
        labels = [f"'{rows.problem.labels[plate][int(i)]}'" for i in codes[:3]]
        if plate != units and labels:
            found.append(f"{', '.join(labels)} of plate '{plate}'")
    told = "; ".join(found) or "some elements"
    return f"{told} were not in the fit, so that parameters of theirs have no estimates"


def columns(problem: Problem, template: Template) -> Floats:
    """(units, p) values of the observed variables, nan where the data have none."""
    n = problem.plates[template.units].size
    found = np.full((n, template.structure.observed.size), np.nan)
    for column, v in enumerate(template.structure.observed.tolist()):
        name, part = template.variables[v]
        if name in problem.values:
            axis = problem.graph.nodes[name].plates.index(template.units)
            found[:, column] = np.moveaxis(problem.values[name], axis, 0).reshape(n, -1)[:, part]
    return found


@dataclass(frozen=True, eq=False, slots=True)
class Expectation:
    """Of every unit and variable, (units, t): the mean, its standard deviation given the estimates, and
    that of a new observation around it."""

    mean: Floats
    sd: Floats
    noise: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Units:
    """Units to predict for.

    shown : (units, p) what their latents are conditioned on. values : the same, with new numbers for what
        known units showed otherwise in the fit. rows : None for the units of the fit.
    """

    problem: Problem
    rows: NewRows | None
    template: Template
    group_of: Ints
    shown: Floats
    values: Floats

    def asked(self, name: str, part: Floats) -> Floats:
        """The elements of a node that the data ask for, in their shape."""
        problem, t = self.problem, self.template
        at = [v for v, (n, _) in enumerate(t.variables) if n == name]
        shape = problem.shape(name)
        axis = problem.graph.nodes[name].plates.index(t.units)
        inner = [s for a, s in enumerate(shape) if a != axis]
        whole = np.moveaxis(part[:, at].reshape(-1, *inner), 0, axis).reshape(-1)
        if self.rows is not None:
            places, asked = self.rows.cells(name)
        elif name in problem.cells:  # one value a row of the data
            places, asked = problem.cells[name], problem.cells[name].shape
        else:
            return whole.reshape(shape)
        found = whole[places]
        if (lost := np.flatnonzero(np.isnan(found))).size:
            label = problem.element(name, int(places[lost[0]]))
            raise FitError(f"'{label}' cannot be predicted: its mean is not a number; look at its covariates")
        return found.reshape(asked)

    def means(self, x: Floats) -> Expectation:
        """At some coordinates."""
        t, s = self.template, self.template.structure
        w = t.tape.initial.copy()
        w[t.x_places] = x
        t.tape.forward(w)
        a, p, level = s.filled(t.data * w[t.source])
        n = len(self.values)
        found = Expectation(*(np.full((n, s.order), np.nan) for _ in range(3)))
        for g, mask, rows in self._patterns():
            b = np.linalg.inv(np.eye(s.order) - a[g])
            covered, seen = s.observed[t.given], s.observed[mask & ~t.given]
            base = np.tile(level[g], (rows.size, 1))
            base[:, covered] = self.shown[np.ix_(rows, np.flatnonzero(t.given))]
            m, sigma = base @ b.T, b @ p[g] @ b.T
            weight = np.linalg.solve(sigma[np.ix_(seen, seen)], sigma[seen]).T
            m = m + (self.shown[np.ix_(rows, np.flatnonzero(mask & ~t.given))] - m[:, seen]) @ weight.T
            rest = sigma - weight @ sigma[seen]
            self._replaced(rows, m, a[g], level[g])
            hidden = np.setdiff1d(s.observed, s.observed[mask])
            mean, spread = m @ a[g].T + level[g], np.einsum("vi,ij,vj->v", a[g], rest, a[g])
            mean[:, hidden] = m[:, hidden]
            noise = p[g].diagonal().copy()
            noise[hidden] = rest.diagonal()[hidden] - spread[hidden]
            found.mean[rows] = mean
            found.sd[rows] = np.sqrt(np.maximum(spread, 0.0))
            found.noise[rows] = np.sqrt(np.maximum(noise, 0.0))
        return found

    def _patterns(self) -> Iterator[tuple[int, NDArray[np.bool_], Ints]]:
        """Group, which observed variables are shown, and the units."""
        keys = np.concatenate([self.group_of[:, None], ~np.isnan(self.shown)], axis=1)
        patterns, of = np.unique(keys, axis=0, return_inverse=True)
        for c, pattern in enumerate(patterns):
            yield int(pattern[0]), pattern[1:].astype(bool), np.flatnonzero(of.reshape(-1) == c)

    def _replaced(self, rows: Ints, m: Floats, a: Floats, level: Floats) -> None:
        """Put numbers that known units did not show in the fit in their places, and what follows exactly."""
        s = self.template.structure
        values, shown = self.values[rows], self.shown[rows]
        other = ~np.isnan(values) & (values != shown)
        if not other.any():
            return
        columns = s.observed
        m[:, columns] = np.where(other, values, m[:, columns])
        nodes = self.problem.graph.nodes
        derived = [v for v, (n, _) in enumerate(self.template.variables) if nodes[n].kind == "deterministic"]
        for v in s.sequence.tolist():
            if v in derived:
                m[:, v] = m @ a[v] + level[v]
