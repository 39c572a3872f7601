"""What a text means does not depend on the order of its statements."""

from __future__ import annotations

import random

import pytest

from dagmodels.readers.bugs import read
from dagmodels.readers.bugs.parse import parse
from dagmodels.readers.bugs.tokens import Source
from tests.readers.bugs.cases import CASES, Case
from tests.readers.bugs.classic import CLASSIC
from tests.readers.bugs.references import MODELS, Model
from tests.readers.bugs.writing import shuffled


@pytest.mark.parametrize("case", [*CASES, *CLASSIC], ids=lambda c: c.name)
def test_permuted_statements_give_the_same_graph(case: Case) -> None:
    first = read(case.text, case.data, case.inits)
    program = parse(Source(case.text))
    for seed in range(6):
        again = read(shuffled(program, random.Random(seed)), case.data, case.inits)
        assert again.dag == first.dag


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_permuted_references_give_the_same_graph(model: Model) -> None:
    first = read(model.text, model.data)
    program = parse(Source(model.text))
    for seed in range(2):
        assert read(shuffled(program, random.Random(seed)), model.data).dag == first.dag
