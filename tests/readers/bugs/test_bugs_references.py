"""The classic examples: read, printed, bound, started, drawn from; densities against the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.bugs import BugsModel
from dagmodels.readers.bugs import read
from tests.readers.bugs.references import MODELS, Model
from tests.readers.bugs.test_bugs_density import check

PUMP = """model pump
plate N

covariate t[N]
alpha ~ Exponential(1)
beta ~ Gamma(0.1, 1)
lambda[N] = theta*t
theta[N] ~ Gamma(alpha, beta)
observed x[N] ~ Poisson(lambda)
"""
EYES = """model eyes
plate N
plate j = 1..2

observed Itot[j] ~ Bernoulli(tot > 0)
P[j] ~ Dirichlet(alpha)
T[N] in j ~ Categorical(P[j])
constant alpha[j] = [1, 1]
ind[N, j] = T[N] == j
lambda[j] ~ Normal(0, tau=1e-6)
lambda[2] = lambda[1] + theta
sigma = 1/sqrt(tau)
tau ~ Gamma(0.01, 0.01)
theta ~ Truncated(Normal(0, tau=1e-6), lower=0)
tot[j] = sum(ind[N, j] for N)
observed y[N] ~ Normal(lambda[T], tau=tau)
"""


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name + m.variant)
def test_examples_are_graphs(model: Model) -> None:
    reading = read(model.text, model.data, model.inits, model.name)
    assert dm.read(str(reading.dag)).dag == reading.dag
    assert reading.data is not None
    problem = bind(reading.dag, reading.data, require_observed=True)
    assert {n: p.size for n, p in problem.plates.items()} == model.sizes
    assert problem.unused == model.unused
    (start,) = reading.inits
    for name, value in start.items():
        assert value.shape == problem.shape(name)
    assert set(start) == set(model.inits) & set(reading.dag.nodes)
    check(model.text, model.data, reading, {**model.starts, **start}, 1)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name + m.variant)
def test_examples_are_checked_and_drawn_from(model: Model) -> None:
    g = dm.read(model.path("model", "bug"), data=model.data, inits=model.path("inits", "json"))
    assert isinstance(g, BugsModel)
    told = str(g.check(model.data))
    assert all(f"Plate '{name}' has {size} elements." in told for name, size in model.sizes.items())
    drawn = g.simulate(values={**model.starts, **g.inits[0]}, seed=3)
    again = bind(g.dag, drawn, require_observed=True)
    assert {n: p.size for n, p in again.plates.items()} == model.sizes


@pytest.mark.parametrize("model", [m for m in MODELS if m.name != "lsat"], ids=lambda m: m.name + m.variant)
def test_without_data_the_statements_are_the_same(model: Model) -> None:
    """Only data tell what is observed; the data block of lsat cannot be read without."""
    alone, given = dm.read(model.text), dm.read(model.text, data=model.data)
    assert str(alone).replace("observed ", "") == str(given).replace("observed ", "")
    assert dm.read(str(alone)).dag == alone.dag


def test_printed_texts() -> None:
    by_name = {m.name + m.variant: m for m in MODELS}
    for name, wanted in (("pump", PUMP), ("eyes", EYES)):
        assert str(read(by_name[name].text, by_name[name].data, name=name).dag) == wanted


def test_missing_values_are_latent() -> None:
    model = next(m for m in MODELS if m.variant == "_missing")
    reading = read(model.text, model.data)
    problem = bind(reading.dag, reading.data)
    rows = np.array(model.data["Y"], dtype=float)
    assert problem.missing() == {"Y": int(np.isnan(rows).sum())}
    np.testing.assert_array_equal(problem.values["Y"], rows)


def test_plates_are_collapsed_as_if_written_here() -> None:
    """The plan of a BUGS text is that of the same model in the language."""
    model = next(m for m in MODELS if m.name == "rats")
    assert "closed form" in str(dm.read(model.text, data=model.data).plan())
