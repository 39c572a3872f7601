"""The posterior of what units share, latents integrated by the units' moments, and exact draws of these.

Given the outer unknowns every unit is one draw of a multivariate normal law: its likelihood is that of the
`moments` form, and its latents and missing values have a normal law given what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.cells import element_label
from dagmodels.forms.completion import Completion, completion
from dagmodels.forms.coordinates import free_places
from dagmodels.forms.latent_signs import Turn, turns
from dagmodels.forms.moments import Criterion, MomentsForm
from dagmodels.forms.outer_scale import Scale
from dagmodels.forms.visits import Choose, Visit, Visiting, asked_for
from dagmodels.numerics.optimise import Optimum, minimise

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CERTIFIED = 1e-3  # Newton decrement of what counts as a mode


@dataclass(frozen=True, eq=False, slots=True)
class MomentsPosterior:
    """See the module.

    form : of the graph and its data. scale : what makes its coordinates unconstrained.
    names : of the coordinates. places : those of each outer node. residuals : the variables whose residuals
    vary, and need a covariance matrix. completion : what follows from a draw of all unknowns.
    drawn : every node that `draws` knows. turned : symmetries that draws are turned by.
    """

    problem: Problem
    form: MomentsForm
    scale: Scale
    names: tuple[str, ...]
    places: Mapping[str, slice]
    residuals: Ints
    completion: Completion
    drawn: tuple[str, ...]
    turned: tuple[Turn, ...] = ()

    @classmethod
    def of(cls, form: MomentsForm) -> MomentsPosterior:
        """Of a form of one level, for a likelihood."""
        problem, s = form.problem, form.structure
        names: list[str] = []
        places: dict[str, slice] = {}
        for c in form.coordinates:
            begin = len(names)
            if c.order:
                names.extend(f"{c.node}, coordinate {k + 1}" for k in range(c.length))
            else:
                names.extend(element_label(problem, c.node, int(k)) for k in free_places(problem, c.node))
            places[c.node] = slice(begin, len(names))
        rest = completion(problem, ())
        nodes = problem.graph.nodes
        inside = dict.fromkeys(n for n, _ in form.variables if nodes[n].kind == "stochastic")
        hidden = tuple(n for n in inside if n not in problem.observed or not problem.observed[n].all())
        given = s.observed[form.template.given]
        return cls(
            problem, form, Scale.of(form), tuple(names), places,
            np.setdiff1d(np.flatnonzero(s.varying), given), rest,
            (*places, *hidden, *rest.deterministic),
        )  # fmt: skip

    @property
    def dimension(self) -> int:
        """Number of outer coordinates."""
        return len(self.names)

    def for_thread(self) -> MomentsPosterior:
        """The same: nothing of it is written to."""
        return self

    # -- density

    def log_density(self, y: Floats) -> tuple[float, Floats]:
        """Log posterior density of y (Jacobian included) and its gradient; minus infinity and nan where a
        covariance matrix, also one of residuals and latents, is none."""
        with np.errstate(all="ignore"):
            at = self.scale.place(y)
            found = self._criterion(at.x)
            if found is None:
                return -math.inf, np.full(y.size, np.nan)
            slope = -0.5 * self._gradient(found) * at.slope + at.jacobian_slope
        return -0.5 * found.value + at.jacobian, slope

    def log_densities(self, y: Floats) -> Floats:
        """Of many points, one a row."""
        with np.errstate(all="ignore"):
            x, jacobian = self.scale.points(y)
            found = [self._criterion(row) for row in x]
        return np.array([-math.inf if c is None else -0.5 * c.value for c in found]) + jacobian

    def _criterion(self, x: Floats) -> Criterion | None:
        """The form at a point that is admissible."""
        if not np.isfinite(x).all():
            return None
        found = self.form.at(x)
        if not math.isfinite(found.value):
            return None
        _, p, _ = self.form.structure.filled(found.entries)
        try:
            np.linalg.cholesky(p[:, self.residuals[:, None], self.residuals])
        except np.linalg.LinAlgError:
            return None
        return found

    def _gradient(self, at: Criterion) -> Floats:
        """Of minus twice the log likelihood and prior in the form's coordinates: one sweep of the tape."""
        if at.w is None:
            return at.gradient
        t, bar = self.form.template, np.zeros(at.w.size)
        np.add.at(bar, t.source, at.moments.gradient * t.data)
        np.add.at(bar, t.prior_places, t.prior_counts)
        self.form.tape.reverse(at.w, bar)
        return bar[t.x_places]

    def mode(self, start: Floats) -> Optimum:
        """The mode in y, with the Hessian of minus twice the log density, from coordinates of the form.

        Raises
        ------
        FitError : none was found.
        """
        begin = self.scale.unconstrained(start, np.ones(start.size))
        free = np.full(begin.size, np.inf)

        def criterion(y: Floats) -> tuple[float, Floats]:
            value, gradient = self.log_density(y)
            return -2.0 * value, -2.0 * gradient

        if not math.isfinite(criterion(begin)[0]):
            raise FitError("the posterior density is not finite where the search starts; give tighter priors")
        found = minimise(criterion, begin, np.full(begin.size, 0.5), -free, free)
        if not (found.decrement < CERTIFIED and (not begin.size or found.smallest > 0.0)):
            far = self.names[int(np.argmax(np.abs(found.x)))]
            raise FitError(
                f"the posterior density has no maximum that was found ({found.message}; '{far}' went "
                "farthest): a tighter prior may help"
            )
        return found

    def oriented(self, mode: Optimum) -> MomentsPosterior:
        """With draws turned where a latent variable is not told from its negative."""
        return replace(self, turned=turns(self.form, self.scale, mode.x, 0.5 * mode.hessian))

    # -- draws

    def draws(
        self, y: Floats, rng: np.random.Generator, nodes: Collection[str] | None = None
    ) -> dict[str, Floats]:
        """One exact joint draw of latents and missing values at each point y, and the nodes' values there:
        arrays (draws, *shape of the node).

        nodes : which are wanted; None: all of `drawn`.
        """
        return self.draws_and_densities(y, rng, nodes)[0]

    def draws_and_densities(
        self, y: Floats, rng: np.random.Generator, nodes: Collection[str] | None = None
    ) -> tuple[dict[str, Floats], Floats]:
        """As `draws`, with the log density at each point."""
        return self.draws_of(len(y), lambda part, _: _visit(y[part]), rng, nodes)

    def through(self, y: Floats, before: Floats, choose: Choose, normals: np.random.Generator) -> Visit:
        """Points chosen once their densities are known, see `Choose`; `draws_of` draws what is integrated."""
        rows = choose(self.log_densities(y))
        return _visit(np.vstack([y, before])[rows])

    def draws_of(
        self, count: int, visit: Visiting, rng: np.random.Generator, nodes: Collection[str] | None = None
    ) -> tuple[dict[str, Floats], Floats]:
        """As `draws_and_densities`, at points that are found as they are visited, all at once."""
        wanted = asked_for(self.drawn, nodes, self.completion.refused)
        rest = self.completion if nodes is None else completion(self.problem, (), wanted)
        needed = {*wanted, *rest.rest.tape.inputs}
        hidden = [n for n in self.drawn if n in needed and n not in self.places and n not in rest.nodes]
        found = {n: np.empty((count, self._size(n))) for n in (*self.places, *hidden)}
        density, y = np.empty(count), visit(slice(0, count), rng).values
        for turn in self.turned:
            turn.apply(y)
        with np.errstate(all="ignore"):
            x, jacobian = self.scale.points(y)
            for k, row in enumerate(x):
                at = self._criterion(row)
                if at is None:
                    raise FitError("a point has no posterior density: nothing is drawn there")
                density[k] = -0.5 * at.value + jacobian[k]
                self._values(at, found, k)
                if hidden:
                    self._hidden(at, found, hidden, k, rng)
        rest.complete(found, rng)
        return {n: found[n].reshape(count, *self.problem.shape(n)) for n in wanted}, density

    def _values(self, at: Criterion, found: dict[str, Floats], k: int) -> None:
        """The outer nodes of one draw."""
        w = at.w if at.w is not None else self.form.workspace(at.x)
        for name, register in self.form.outer_registers.items():
            found[name][k] = w[self.form.tape.place(register)]

    def _hidden(
        self, at: Criterion, found: dict[str, Floats], names: list[str], k: int, rng: np.random.Generator
    ) -> None:
        """Latents and missing values of all units in one draw, given what each unit shows."""
        form, problem = self.form, self.problem
        drawn = _given_units(at, form.values, form.group_of, self._columns(names), rng)
        for name in names:
            own = [v for v, (n, _) in enumerate(form.variables) if n == name]
            shape, axis = problem.shape(name), problem.graph.nodes[name].plates.index(form.units)
            others = [s for a, s in enumerate(shape) if a != axis]
            values = np.moveaxis(drawn[:, own].reshape(-1, *others), 0, axis).reshape(-1)
            if name in problem.observed:
                seen = problem.observed[name].reshape(-1)
                values = np.where(seen, problem.values[name].reshape(-1), values)
            found[name][k] = values

    def _columns(self, names: list[str]) -> Ints:
        """The variables of these nodes."""
        return np.array([v for v, (n, _) in enumerate(self.form.variables) if n in names], dtype=np.int64)

    def _size(self, name: str) -> int:
        return math.prod(self.problem.shape(name))


def _visit(y: Floats) -> Visit:
    """Points whose densities are found when what is integrated is drawn there."""
    return Visit(np.full(len(y), np.nan), y.copy(), np.empty((len(y), 0)))


def _given_units(
    at: Criterion, values: Floats, group_of: Ints, wanted: Ints, rng: np.random.Generator
) -> Floats:
    """(units, t) one draw of the wanted variables of each unit given its values, which stand there too."""
    m = at.moments
    o, t = m.structure.observed, m.structure.order
    found = np.empty((len(values), t))
    found[:, o] = values
    there = ~np.isnan(values)
    keys = np.concatenate([group_of[:, None], there], axis=1)
    kinds, of = np.unique(keys, axis=0, return_inverse=True)
    for c in range(len(kinds)):
        rows = np.flatnonzero(of.reshape(-1) == c)
        g, mask = int(group_of[rows[0]]), there[rows[0]]
        seen = o[mask]
        lost = np.setdiff1d(wanted, seen)
        if not lost.size:
            continue
        sigma, mean = m.covariance[g], m.mean[g]
        weight = np.linalg.solve(sigma[np.ix_(seen, seen)], sigma[np.ix_(seen, lost)])
        rest = sigma[np.ix_(lost, lost)] - sigma[np.ix_(lost, seen)] @ weight
        centre = mean[lost] + (values[np.ix_(rows, np.flatnonzero(mask))] - mean[seen]) @ weight
        found[np.ix_(rows, lost)] = centre + rng.standard_normal(centre.shape) @ _root(rest).T
    return found


def _root(cov: Floats) -> Floats:
    """A root of a covariance matrix, which may lack directions."""
    try:
        return np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(cov)
        return vectors * np.sqrt(np.maximum(values, 0.0))
