"""The unconstrained scale of outer unknowns: Jacobians by differences of the declared values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.bind.bind import bind
from dagmodels.forms.build_field import build_field
from dagmodels.forms.coordinates import free_places
from dagmodels.forms.outer_scale import Scale

KINDS = """model kinds
plate row
plate c = "a", "b", "c"
plate c2 as c
S[c, c2] ~ InverseWishart(6, [[2, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
R[c, c2] ~ LKJCorr(2)
s, t ~ HalfNormal(1)
p ~ Uniform(-1, 3)
k ~ Cauchy(0, 1)
a[row] ~ Normal(0, t)
observed x[row, c] ~ MvNormal([0, 0, 0], S)
observed z[row, c] ~ MvNormal([0, 0, 0], R)
observed y[row] ~ Normal(k*p + a, s)
"""


def kinds() -> Any:
    rows = np.repeat(np.arange(4), 3)
    rng = np.random.default_rng(2)
    frame = {"row": rows, "c": list("abc") * 4, "x": rng.normal(size=12), "z": rng.normal(size=12)}
    frame["y"] = np.repeat(rng.normal(size=4), 3)
    problem = bind(dm.read(KINDS).dag, frame)
    return build_field(problem, roles(problem.graph, problem))


def test_jacobians_against_differences_of_the_declared_values():
    field = kinds()
    scale = Scale.of(field)
    rng = np.random.default_rng(5)

    def declared(y: Any) -> Any:
        """Free entries of every outer node: the lower triangle of matrices, without a correlation's ones."""
        x = scale.place(y).x
        w = field.tape.initial.copy()
        w[field.x_places] = x
        field.tape.forward(w)
        found = []
        for c in field.coordinates:
            value = w[field.tape.place(field.outer_registers[c.node])]
            if c.order:
                i, j = np.tril_indices(c.order, -1 if c.kind == "partial" else 0)
                found.append(value.reshape(c.order, c.order)[i, j])
            else:
                found.append(value[free_places(field.problem, c.node)])
        return np.concatenate(found)

    for _ in range(3):
        y = rng.normal(size=scale.kind.size)
        steps = 1e-5 * np.eye(y.size)
        jacobian = np.stack([(declared(y + e) - declared(y - e)) / 2e-5 for e in steps], axis=1)
        place = scale.place(y)
        assert place.jacobian == pytest.approx(np.linalg.slogdet(jacobian)[1], abs=1e-6)
        slopes = [(scale.place(y + e).jacobian - scale.place(y - e).jacobian) / 2e-5 for e in steps]
        assert place.jacobian_slope == pytest.approx(slopes, abs=1e-6)
        x = [(scale.place(y + e).x - scale.place(y - e).x).sum() / 2e-5 for e in steps]
        assert place.slope == pytest.approx(x, abs=1e-6)
        many, jacobians = scale.points(np.stack([y, y]))
        assert many[1] == pytest.approx(place.x)
        assert jacobians[0] == pytest.approx(place.jacobian)
        y = np.clip(y, -1.5, 1.5)  # what is nearer to a bound is moved inside
        assert scale.unconstrained(scale.place(y).x, np.full(y.size, 1e-3)) == pytest.approx(y, abs=1e-10)
