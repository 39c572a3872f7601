"""The graph's joint log density is that of the text, element by element, by another interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dagmodels.graph.printing import text
from dagmodels.readers.bugs import Reading, read
from dagmodels.readers.dag import from_text
from tests.readers.bugs.cases import CASES, Case
from tests.readers.bugs.classic import CLASSIC
from tests.readers.bugs.density import drawn, log_density
from tests.readers.bugs.oracle import Oracle

TOLERANCE = 1e-9  # relative: both sum the same terms in double precision


def bugs_arrays(reading: Reading, state: dict[str, np.ndarray]) -> dict[str, Any]:
    """Values as BUGS has them: labels count from 1, pairs are matrices."""
    found: dict[str, Any] = {}
    for name, values in state.items():
        own = values + 1 if reading.dag.nodes[name].values_in is not None else values
        if name in reading.provenance.pairs:
            pairs = np.array(reading.provenance.pairs[name])
            matrix = np.full(pairs.max(axis=0), np.nan)
            matrix[pairs[:, 0] - 1, pairs[:, 1] - 1] = own
            own = matrix
        found[name] = own
    return found


def check(text_: str, data: Any, reading: Reading, start: Any, seed: int) -> None:
    """The density, and every number that the text defines."""
    nodes = reading.dag.nodes
    everything = drawn(reading, start, seed)
    state = {n: v for n, v in everything.items() if nodes[n].kind == "stochastic"}
    ours = log_density(reading, {n: v + 1 if nodes[n].values_in else v for n, v in state.items()})
    oracle = Oracle(text_, data, bugs_arrays(reading, everything))  # it computes what the text defines
    theirs = oracle.log_density()
    assert np.isfinite(theirs)
    assert ours == pytest.approx(theirs, rel=TOLERANCE, abs=TOLERANCE)
    for name in reading.provenance.nodes:
        if nodes[name].kind == "deterministic" and name in oracle.shapes:  # not what the reader added
            own = everything[name]
            places = [tuple(k + 1 for k in place) for place in np.ndindex(*own.shape)]
            each = reading.provenance.pairs.get(name, places)
            left = reading.provenance.undefined.get(name, ())
            assert {each[k] for k in left} == {e for e in each if not oracle.defines(name, e)}
            want = [oracle.value(name, e) for k, e in enumerate(each) if k not in left]
            found = np.delete(own.reshape(-1), left)
            np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("case", [*CASES, *CLASSIC], ids=lambda c: c.name)
def test_the_density_is_that_of_the_text(case: Case) -> None:
    reading = read(case.text, case.data, case.inits)
    assert from_text(text(reading.dag)) == reading.dag
    for seed in range(3):
        check(case.text, case.data, reading, reading.inits[0], seed)
