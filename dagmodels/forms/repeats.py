"""A mixture whose elements each stand for many equal ones, as `Problem.repeats` counts them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.lower import NotLowered
from dagmodels.forms.mixture import MixtureForm, Sums

Floats = NDArray[np.float64]


def repeated(form: MixtureForm) -> MixtureForm:
    """The form in which each slice counts as often as its element of the counted plate.

    Raises `NotLowered` where rows hang on no latent, latents are of other plates, or slices are chained.
    """
    problem = form.flat.problem
    ((plate, counts),) = problem.repeats.items()
    told = f"equal rows of '{plate}' were counted, but {{}}: the data are needed in one piece"
    for name in form.latents.first:
        if problem.graph.nodes[name].plates[:1] != (plate,):
            raise NotLowered(told.format(f"'{name}' is not of that plate"))
    if any(part.known for part in form.parts):
        raise NotLowered(told.format("some rows depend on no latent"))
    if any(sums.chained for sums in form.sums):
        raise NotLowered(told.format("latents are chained"))
    sums = tuple(_counted(form, s, counts, told) for s in form.sums)
    return replace(form, sums=sums, observations=int(counts.sum()))


def _counted(form: MixtureForm, sums: Sums, counts: Floats, told: str) -> Sums:
    rows = [_rows(form, element) for element in sums.slices.members.T]
    if any((r != rows[0]).any() for r in rows):
        raise NotLowered(told.format("some of its elements hang together"))
    return replace(sums, weights=np.bincount(sums.distinct, counts[rows[0]], sums.weights.size))


def _rows(form: MixtureForm, elements: NDArray[np.int64]) -> NDArray[np.int64]:
    """The element of the counted plate, the first of each node, that elements of latents belong to."""
    found = np.full(elements.size, -1)
    for name, first in form.latents.first.items():
        shape = form.flat.problem.shape(name)
        own = elements - first
        mine = (own >= 0) & (own < int(np.prod(shape, dtype=np.int64)))
        found[mine] = own[mine] // int(np.prod(shape[1:], dtype=np.int64))
    return found
