"""Categorical(p): the code 0, 1, ..., k - 1 of a level, with probabilities p."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER, count, event_batch
from dagmodels.distributions.dirichlet import on_simplex


def log_density(f: Any, x: Any, p: Any) -> Any:
    valid = count(f, x) * (x < f.size(p)) * on_simplex(f, p)
    return f.where(valid, f.log(f.element(p, x)), NEVER)


def draw(rng: Any, p: Any, size: Any = None) -> Any:
    cumulated = np.cumsum(np.asarray(p, dtype=float), axis=-1)
    u = rng.random(event_batch(size, 0, (p, 1))) * cumulated[..., -1]
    return np.sum(u[..., None] >= cumulated, axis=-1)


FAMILY = Family(
    name="Categorical",
    parameters=(Argument("p", "simplex", shape=1),),
    support=Support("category", lower=0.0, upper=lambda f, p: f.size(p) - 1),
    log_density=log_density,
    draw=draw,
    discrete=True,
    doc="Level of a plate, by its code counted from 0, with probabilities p.",
)
