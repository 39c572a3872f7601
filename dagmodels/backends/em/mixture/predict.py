"""Expected values of observed nodes, and states, for the data fitted or for new ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.new_rows import NewRows, asked
from dagmodels.forms.alike import alike
from dagmodels.forms.build_mixture import MixtureBuilder
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.mixture import MixtureForm
from dagmodels.forms.sites import Site
from dagmodels.forms.states import Expanded

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def joined(fitted: Problem, new: Any) -> tuple[NewRows, Problem]:
    """New data, and with them what the fit knows of elements that both have: chains go on from there."""
    rows = NewRows(fitted, new)
    problem = rows.problem
    values, observed = dict(problem.values), dict(problem.observed)
    for name, node in problem.graph.nodes.items():
        if name not in fitted.values or node.kind == "constant":
            continue
        shape = problem.shape(name)
        array = np.array(values.get(name, np.full(shape, np.nan)), dtype=np.float64)
        if node.plates:
            box = np.ix_(*(rows.known(p) for p in node.plates))
            old = fitted.values[name][box]
            array[box] = np.where(np.isnan(array[box]), old, array[box])
        values[name], observed[name] = array, ~np.isnan(array)
    return rows, replace(problem, values=values, observed=observed, memo={})


@dataclass(frozen=True, eq=False, slots=True)
class _Mean:
    """Means of a site's rows in each joint state of what they touch: (rows, states, entries) on the tape."""

    site: Site
    touched: Ints
    expanded: Expanded
    register: int


class _MeanBuilder(MixtureBuilder):
    """The mixture form with the means of observed nodes on its tape."""

    def __init__(self, problem: Problem, states: dict[str, int]) -> None:
        super().__init__(problem, states)
        self.means: list[_Mean] = []

    def _factor(self, site: Site) -> None:
        super()._factor(site)
        if self.graph.nodes[site.names[0]].role == "observed" and site.names[0] not in self.latents.first:
            self.means.extend(_Mean(*found) for found in self._means(site))

    def _means(self, site: Site) -> list[tuple[Site, Ints, Expanded, int]]:
        made = []
        for at, touched, names in self.patterns(site):
            part = site.at(at)
            expanded = Expanded.of(touched, tuple(self.latents.count[n] for n in names))
            wide = expanded.site(part)
            self.lowering.expanded = expanded
            try:
                found, arguments = super()._law(wide).law(site.law)
                if found.mean is None:
                    raise NotLowered(f"'{site.names[0]}' has no expected value: {found.name} has none")
                mean = self.jets.jet(found.mean(self.jets, *arguments))
            finally:
                self.lowering.expanded = None
            self.recorder.start(mean.value.register)
            made.append((part, touched, expanded, mean.value.register))
        return made

    def kept(self) -> list[int]:
        return [*super().kept(), *(m.register for m in self.means)]


def predict(form: MixtureForm, y: Floats, new: Any = None) -> Any:
    """Expected values of the observed nodes, averaged over the states that their units' data leave possible.

    Without data of a unit these are the prior probabilities of its states; of a chain those that go on
    from its last element. See `Fit.predict`.
    """
    rows, problem = (None, form.flat.problem) if new is None else joined(form.flat.problem, new)
    from dagmodels.backends.em.mixture.fit import counts_of

    counts = {**dict(form.latents.count), **counts_of(problem)}
    builder = _MeanBuilder(problem, counts)
    other = builder.build_form()
    point = other.flat.unconstrain(form.flat.constrain(y))
    w, expected = other.workspace(point), other.expected(point)
    answers: dict[str, Any] = {}
    for name, node in problem.graph.nodes.items():
        if node.role != "observed" or name in form.latents.first:
            continue
        whole = np.full(int(np.prod(problem.shape(name), dtype=np.int64)), np.nan)
        for mean in builder.means:
            if mean.site.names[0] == name:
                whole[mean.site.places] = _averaged(other, mean, w, expected.posterior)
        places, shape = asked(problem, rows, name)
        answers[name] = whole[places].reshape(shape)
    return next(iter(answers.values())) if len(answers) == 1 else answers


def _averaged(form: MixtureForm, mean: _Mean, w: Floats, posterior: tuple[Floats, ...]) -> Floats:
    """(rows, entries) means over the states."""
    n, s = mean.site.rows.n, mean.expanded.states
    entries = mean.site.places.shape[1]
    value = w[form.flat.tape.place(mean.register)]
    shape = (n, s, entries)
    value = value.reshape(shape) if value.size == n * s * entries else np.broadcast_to(value, shape)
    if not mean.touched.shape[1]:
        return value[:, 0]
    weights = np.zeros((n, s))
    counts = tuple((mean.expanded.digits.max(axis=0) + 1).tolist())
    for sums, own in zip(form.sums, posterior, strict=True):
        group = sums.slices
        row = np.full(form.latents.total, -1)
        slot = np.full(form.latents.total, -1)
        row[group.members], slot[group.members] = np.arange(group.size)[:, None], np.arange(len(group.counts))
        at = row[mean.touched]
        mine = np.flatnonzero(at[:, 0] >= 0)
        if not mine.size:
            continue
        if (at[mine] != at[mine, :1]).any():
            raise FitError(
                f"'{mean.site.names[0]}' hangs on several states of a chain: no expected values yet"
            )
        slots = slot[mean.touched[mine]]
        first, which = alike(slots.T, len(slots))
        for q, pattern in enumerate(slots[first]):
            rows = mine[which == q]
            to = np.ravel_multi_index(tuple(group.digits[:, pattern].T), counts)
            np.add.at(weights.T, (to[:, None], rows[None, :]), own[sums.distinct[at[rows, 0]]].T)
    return np.einsum("is,ise->ie", weights, value)
