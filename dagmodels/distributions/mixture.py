"""Mixture(w, [D1, D2, ...]): one of several families, with probabilities w."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family
from dagmodels.distributions._shared import NEVER, event_batch, log_add_exp
from dagmodels.distributions.dirichlet import on_simplex
from dagmodels.errors import ModelError


def mixture(components: Sequence[Family]) -> Family:
    """The mixture family: `weights`, then the parameters of each component in turn, as "0.mu", "1.mu".

    Raises `ModelError` when components are of different kinds (counts and continuous values).
    """
    first = components[0]
    if any(c.event or c.discrete != first.discrete for c in components):
        raise ModelError(
            "a mixture needs univariate components, all continuous or all discrete",
            hint="its components are " + ", ".join(c.name for c in components),
        )
    ends = np.cumsum([len(c.parameters) for c in components])
    starts = [0, *ends[:-1]]

    def split(values: Sequence[Any]) -> list[Sequence[Any]]:
        return [values[a:b] for a, b in zip(starts, ends, strict=True)]

    def combined(pick: str) -> Any:
        def formula(f: Any, x: Any, weights: Any, *values: Any) -> Any:
            terms = [
                f.log(f.element(weights, k)) + getattr(c, pick)(f, x, *own)
                for k, (c, own) in enumerate(zip(components, split(values), strict=True))
            ]
            total = reduce(lambda a, b: log_add_exp(f, a, b), terms)
            return f.where(on_simplex(f, weights), total, NEVER)

        return formula

    def draw(rng: Any, weights: Any, *values: Any, size: Any = None) -> Any:
        shapes = [(p, a.shape) for c, own in zip(components, split(values), strict=True)
                  for p, a in zip(own, c.parameters, strict=True)]  # fmt: skip
        shape = event_batch(size, 0, (weights, 1), *shapes)
        from dagmodels.distributions import categorical

        which = categorical.draw(rng, weights, shape)
        each = [c.draw(rng, *own, size=shape) for c, own in zip(components, split(values), strict=True)]
        return np.choose(which, each)

    def mean(f: Any, weights: Any, *values: Any) -> Any:
        means = [c.mean(f, *own) for c, own in zip(components, split(values), strict=True)]  # type: ignore[misc]
        return sum(f.element(weights, k) * m for k, m in enumerate(means))

    closed = all(c.log_cdf is not None and c.log_survival is not None for c in components)
    return Family(
        name="Mixture(" + ", ".join(c.name for c in components) + ")",
        parameters=(
            Argument("weights", "simplex", shape=1),
            *(replace(a, name=f"{k}.{a.name}") for k, c in enumerate(components) for a in c.parameters),
        ),
        support=_widest(components),
        log_density=combined("log_density"),
        draw=draw,
        discrete=first.discrete,
        log_cdf=combined("log_cdf") if closed else None,
        log_survival=combined("log_survival") if closed else None,
        mean=mean if all(c.mean is not None for c in components) else None,
        doc="One of several families, chosen with probabilities `weights`.",
    )


def _widest(components: Sequence[Family]) -> Any:
    """A support that holds every component's: theirs if all agree, else without bounds."""
    first = components[0].support
    if all(c.support == first for c in components):
        return first
    return replace(first, kind="integer" if components[0].discrete else "real", lower=None, upper=None)
