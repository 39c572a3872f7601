"""One step of EM: the states' posterior, then every unknown at its best given that."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixture.closed import Point, Rule, Singular, apply, closed_nodes, rules
from dagmodels.forms.flat import OnEdge
from dagmodels.forms.mixture import Expected, MixtureForm
from dagmodels.numerics.limited import limited
from dagmodels.numerics.optimise import descend

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
INNER = 20  # steps on the gradient in one maximisation
MANY = 120  # unknowns from which steps on the gradient have limited memory
KEPT = 4  # points whose posterior is remembered
DEAR = 300_000  # numbers on the tape from which an inner maximisation costs more than it brings


@dataclass(eq=False, slots=True)
class Steps:
    """The map of EM on one form.

    rules : unknowns in closed form. rest : which unconstrained numbers are left to the gradient.
    evaluations : posteriors computed so far.
    """

    form: MixtureForm
    rules: tuple[Rule, ...]
    rest: Bools
    evaluations: int = 0
    _seen: dict[bytes, Expected] = field(default_factory=dict)

    @classmethod
    def of(cls, form: MixtureForm) -> Steps:
        """Of a form."""
        found = rules(form)
        closed = closed_nodes(found)
        rest = np.zeros(form.flat.size, dtype=bool)
        for s in form.flat.stretches:
            rest[s.start : s.start + s.length] = s.node not in closed
        return cls(form, found, rest)

    def fresh(self) -> Steps:
        """The same map for another thread."""
        return Steps(self.form, self.rules, self.rest)

    def expected(self, y: Floats) -> Expected:
        """The posterior at a point; of the last points it is remembered."""
        key = y.tobytes()
        if key not in self._seen:
            self.evaluations += 1
            while len(self._seen) >= KEPT:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = self.form.expected(y, whole=False)
        return self._seen[key]

    def value(self, y: Floats) -> float:
        """Minus the observed log density."""
        return -self.expected(y).log_density

    def step(self, y: Floats) -> Floats:
        """One step from y."""
        return self.maximised(y, self.expected(y).weights)

    def maximised(self, y: Floats, weights: tuple[Floats, ...], inner: int = INNER) -> Floats:
        """Where the expected complete log density is at its best, one block of unknowns after the other.

        Raises `Singular` where a component shrinks onto its values.
        """
        flat = self.form.flat
        values = {n: np.asarray(v, dtype=np.float64).reshape(-1).copy() for n, v in flat.constrain(y).items()}
        point = Point(self.form, values, None)
        for rule in self.rules:
            apply(rule, point, weights)
        try:
            new = point.y()
        except OnEdge as error:
            raise Singular(error.name) from error
        if not self.rest.any():
            return new
        at = np.flatnonzero(self.rest)

        def f(part: Floats) -> tuple[float, Floats]:
            whole = new.copy()
            whole[at] = part
            value, gradient = self.form.complete(whole, weights)
            return (-2 * value if np.isfinite(value) else np.inf), -2 * gradient[at]

        if not np.isfinite(f(new[at])[0]):
            return new
        if at.size > MANY:
            new[at] = limited(f, new[at], lambda value: 1e-12 * abs(value), inner).x
            return new
        free = np.full(at.size, np.inf)
        found = descend(f, new[at], np.ones(at.size), -free, free, limit=inner)
        new[at] = found.x
        return new

    @property
    def by_gradient(self) -> bool:
        """Whether most unknowns have no closed form and are many, or dear: steps follow the observed density.

        Its gradient is that of the expected complete density (Fisher's identity), so that each step costs
        one posterior, and the model of L-BFGS takes the place of an inner maximisation.
        """
        dear = self.form.flat.size > MANY or self.form.flat.tape.initial.size > DEAR
        return dear and bool(self.rest.mean() > 0.5)

    def objective(self, y: Floats) -> tuple[float, Floats]:
        """Minus the observed log density and its gradient; infinite where there is none."""
        self.evaluations += 1
        value, gradient = self.form.value_and_gradient(y)
        return (-value, -gradient) if np.isfinite(value) else (np.inf, np.zeros_like(y))
