"""Models and data of the binding tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagmodels.bind.bind import bind
from dagmodels.errors import ModelErrors
from dagmodels.graph.dag import Dag
from dagmodels.readers import read

REFERENCES = Path(__file__).parent.parent / "references"

RADON = """
model radon
plate county
plate house in county
covariate floor[house], u[county]
alpha[county] ~ Normal(g0 + g1*u, tau)
observed log_radon[house] ~ Normal(alpha[county] + beta*floor, sigma)
g0, g1, beta ~ Normal(0, 10)
tau, sigma ~ HalfNormal(5)
"""

RATS = """
model rats
plate rat
plate week
covariate x[week]
a[rat] ~ Normal(0, s)
observed y[rat, week] ~ Normal(a[rat] + b*x[week], s)
parameter b
parameter s > 0
"""

PASTES = """
model pastes
plate batch
plate cask in batch
plate row in cask
b[batch] ~ Normal(0, sb)
c[cask] ~ Normal(0, sc)
observed strength[row] ~ Normal(mu + b[batch] + c[cask], s)
parameter mu
parameter sb, sc, s > 0
"""


@pytest.fixture(scope="session")
def radon() -> Dag:
    return read(RADON)


@pytest.fixture(scope="session")
def rats() -> Dag:
    return read(RATS)


@pytest.fixture(scope="session")
def pastes() -> Dag:
    return read(PASTES)


@pytest.fixture(scope="session")
def model() -> Callable[[str], Dag]:
    """One of the models of the language page, by name."""
    return lambda name: read(Path(__file__).parent.parent / "models" / f"{name}.dag")


@pytest.fixture
def faults() -> Callable[..., str]:
    """All problems of a binding, one a line; binding without problems is a failure of the test."""

    def collect(dag: Dag, *args: object, **kwargs: object) -> str:
        try:
            bind(dag, *args, **kwargs)  # type: ignore[arg-type]
        except ModelErrors as errors:
            return "\n".join(map(str, errors.exceptions))
        raise AssertionError("binding found no fault")

    return collect
