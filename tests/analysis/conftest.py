"""Small graphs made by hand, without the language's reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest

from dagmodels.bind.problem import Problem
from dagmodels.graph.dag import Dag
from dagmodels.graph.expression import Expression, Number, Reference
from dagmodels.graph.statement import Covariance, Distribution, Head, Parameter, Statement, Stochastic


def _drawn(
    arrows: Mapping[str, Iterable[str]], ties: Iterable[tuple[str, str]] = (), parameters: str = ""
) -> Dag:
    """Normal nodes from a dict child -> parents, `~~` ties, and parameter nodes."""
    statements: list[Statement] = [Parameter(name) for name in parameters.split()]
    for child, parents in arrows.items():
        mean: Expression = Number(0)
        for parent in parents:
            mean = mean + Reference(parent, ())
        law = Distribution("Normal", (("mu", mean), ("sigma", Number(1))))
        statements.append(Stochastic(Head(child), law))
    for left, right in ties:
        statements.append(Covariance(Head(left), Head(right), Number(0.5)))
    return Dag("drawn", (), tuple(statements))


@pytest.fixture
def drawn() -> Callable[..., Dag]:
    """`drawn({"c": ["a", "b"]})`: c has parents a and b."""
    return _drawn


@pytest.fixture
def read() -> Callable[[str], Dag]:
    """A graph from statements, one a line or parted by `;` outside brackets."""

    def parse(text: str) -> Dag:
        from dagmodels.readers import read as from_text

        lines = "\n".join(line.strip() for line in text.replace(";", "\n").splitlines())
        return from_text(f"model made\n{lines}\n")

    return parse


@pytest.fixture
def bound() -> Callable[..., Problem]:
    """`bound(dag, data)`: the graph with its data."""

    def make(dag: Dag, data: object) -> Problem:
        from dagmodels.bind.bind import bind

        return bind(dag, data, require_observed=False)

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@pytest.fixture(scope="session")
def models() -> dict[str, Dag]:
    """The models of the language's page, by name."""
    from dagmodels.readers import read as from_text

    folder = Path(__file__).parent.parent / "models"
    return {p.stem: from_text(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.dag"))}
