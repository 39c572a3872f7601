"""Conditional laws of latents that were integrated in closed form: means, standard deviations, departures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.distributions import _numeric, family
from dagmodels.forms.field import Conditional

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Law:
    """A latent given its children, at the outer unknowns; one entry an element.

    parameters : of the family `name`. mean, sd : infinite or nan where there is none.
    expected : mean of the law before the children are seen.
    """

    name: str
    parameters: tuple[Floats, Floats]
    mean: Floats
    sd: Floats
    expected: Floats


def conditional_law(found: Conditional, w: Floats) -> Law:
    """At a workspace whose tape has run."""
    prior = tuple(w[places] for places in found.prior)
    given = tuple(p + w[places] for p, places in zip(prior, found.sums, strict=True))
    name = found.pair.law.conditional
    law = family(name)
    assert law.mean is not None
    assert law.variance is not None
    return Law(
        name,
        (given[0], given[1]),
        np.asarray(_numeric.quietly(law.mean, *given)),
        np.sqrt(np.asarray(_numeric.quietly(law.variance, *given))),
        np.asarray(_numeric.quietly(law.mean, *prior)),
    )


__all__ = ["Law", "conditional_law"]
