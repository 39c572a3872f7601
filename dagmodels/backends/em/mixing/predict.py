"""What the estimated distribution makes of elements: those fitted, or those of new data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixing.solve import Solution
from dagmodels.backends.em.mixture.predict import joined
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.new_rows import asked
from dagmodels.forms.build_mixing import MixingBuilder
from dagmodels.forms.cells import element_label
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.mixing import MixingForm
from dagmodels.forms.sites import Site, sites
from dagmodels.results.mixing_fit import Posterior

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def posterior(solution: Solution) -> Posterior:
    """Of the elements fitted."""
    form = solution.form
    labels = [element_label(form.problem, form.node, i) for i in range(form.unit_of.size)]
    return _posterior(solution, form, solution.y, labels)


def posterior_of(solution: Solution, new: Any = None) -> Posterior:
    """Of the elements fitted (None), or of those that new data have."""
    if new is None:
        return posterior(solution)
    rows, problem = joined(solution.form.problem, new)
    builder = _Means(problem, solution.form.node)
    form = builder.build_form()
    places, _ = rows.cells(form.node)
    labels = [element_label(problem, form.node, int(i)) for i in places.reshape(-1)]
    found = _posterior(solution, form, _point(solution, form), labels)
    return Posterior(found.values, found.probabilities, found.own, found.unit[places.reshape(-1)], labels)


def _point(solution: Solution, form: MixingForm) -> Floats:
    return form.flat.unconstrain(solution.form.flat.constrain(solution.y))


def _posterior(solution: Solution, form: MixingForm, y: Floats, labels: list[str]) -> Posterior:
    values, g = solution.law.values, solution.probabilities
    likelihood = form.log_likelihood(y, values)
    own = values[likelihood.argmax(axis=0)]
    top = likelihood[g > 0].max(axis=0)
    if not np.isfinite(top).all():
        place = int(np.flatnonzero(form.unit_of == np.flatnonzero(~np.isfinite(top))[0])[0])
        raise FitError(
            f"'{element_label(form.problem, form.node, place)}': its data have probability zero under the "
            "estimated distribution"
        )
    joint = g[:, None] * np.exp(np.minimum(likelihood - top, 700.0))
    joint /= joint.sum(axis=0)
    unit = np.where(form.unit_of >= 0, form.unit_of, form.units)
    own = np.append(own, np.nan)
    return Posterior(values, np.column_stack([joint, g]), own, unit, labels)


class _Means(MixingBuilder):
    """The mixing form with the means of observed nodes on its tape, of all elements."""

    needs_data = False

    def __init__(self, problem: Problem, node: str) -> None:
        super().__init__(problem, node)
        self.means: list[tuple[Site, int, Ints | None]] = []

    def record(self) -> None:
        super().record()
        for name, node in self.graph.nodes.items():
            if node.role == "observed":
                self.means.extend(self._mean(site) for site in sites(self.problem, name))

    def _mean(self, site: Site) -> tuple[Site, int, Ints | None]:
        found, arguments = self._law(site).law(site.law)
        if found.mean is None:
            raise NotLowered(f"'{site.names[0]}' has no expected value: {found.name} has none")
        register = self.jets.jet(found.mean(self.jets, *arguments)).value.register
        self.recorder.start(register)
        return site, register, self.element(site)

    def kept(self) -> list[int]:
        return [*super().kept(), *(register for _, register, _ in self.means)]


def predict(solution: Solution, new: Any = None) -> Any:
    """Expected values of the observed nodes, averaged over what an element's data leave of the distribution.

    Elements without data have the estimated distribution itself. See `Fit.predict`.
    """
    rows, problem = (None, solution.form.problem) if new is None else joined(solution.form.problem, new)
    builder = _Means(problem, solution.form.node)
    form = builder.build_form()
    y = _point(solution, form)
    found = _posterior(solution, form, y, [])
    answers: dict[str, Any] = {}
    averages = _averages(builder, form, y, found)
    for name, node in problem.graph.nodes.items():
        if node.role != "observed":
            continue
        whole = np.full(int(np.prod(problem.shape(name), dtype=np.int64)), np.nan)
        for (site, _, _), mean in zip(builder.means, averages, strict=True):
            if site.names[0] == name:
                whole[site.places] = mean.reshape(site.places.shape)
        places, shape = asked(problem, rows, name)
        answers[name] = whole[places].reshape(shape)
    return next(iter(answers.values())) if len(answers) == 1 else answers


def _averages(builder: _Means, form: MixingForm, y: Floats, found: Posterior) -> list[Floats]:
    """Means of all sites, (rows, entries), value by value of the latent."""
    space = form._workspace(y)
    totals = [np.zeros(site.places.shape) for site, _, _ in builder.means]
    for value, share in zip(found.values, found.probabilities, strict=True):
        if not share.any():
            continue
        form._run(space, value)
        for total, (site, register, element) in zip(totals, builder.means, strict=True):
            mean = space.values[form.flat.tape.place(register)]
            mean = mean.reshape(site.places.shape) if mean.size == site.places.size else mean
            own = share[-1] if element is None else share[found.unit[element]][:, None]
            if element is None:
                total[:] = mean
            else:
                total += np.where(own > 0, own * mean, 0.0)
    return totals
