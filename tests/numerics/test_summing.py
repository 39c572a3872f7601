"""Sums over states on the tape, against enumeration, complex steps and hostile numbers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from dagmodels.numerics.tape import Recorder
from tests.numerics.tapes import complex_step, folded, recorded, reverse, run

RNG = np.random.default_rng(5)


def enumerated(index: Any, e: Any, a: Any) -> Any:
    """Log marginals of chains by all paths."""
    d, count = int(index[0]), int(index[1])
    starts, block = index[2 : 3 + count], index[3 + count :]
    e, a = e.reshape(-1, d), a.reshape(-1, d, d)
    found = []
    for first, last in itertools.pairwise(starts):
        total = 0.0
        for path in itertools.product(range(d), repeat=int(last - first)):
            log = sum(e[first + k, s] for k, s in enumerate(path))
            log += sum(a[block[first + k], path[k - 1], path[k]] for k in range(1, len(path)))
            total += np.exp(log)
        found.append(np.log(total))
    return np.array(found)


def chains(d: int, lengths: list[int], blocks: int) -> Any:
    starts = np.cumsum([0, *lengths])
    block = RNG.integers(0, blocks, starts[-1])
    block[starts[:-1]] = -1
    index = np.concatenate([[d, len(lengths)], starts, block]).astype(np.int64)
    e, a = RNG.normal(size=starts[-1] * d), RNG.normal(size=blocks * d * d)
    return index, {"e": e, "a": a}


@pytest.mark.parametrize(
    ("d", "lengths", "blocks"), [(2, [5], 1), (3, [1, 4, 2], 3), (1, [3, 1], 2), (4, [3], 5)]
)
def test_chains_are_sums_over_paths(d: int, lengths: list[int], blocks: int) -> None:
    index, inputs = chains(d, lengths, blocks)
    tape, register = recorded(lambda r, x: r.chain(x["e"], x["a"], index), inputs)
    got = run(tape, inputs)[tape.place(register)]
    np.testing.assert_allclose(got[: len(lengths)], enumerated(index, **inputs), rtol=1e-13)
    known = folded(lambda r, x: r.chain(x["e"], x["a"], index), inputs)
    np.testing.assert_allclose(got, known, rtol=1e-13)
    seed = np.zeros(got.size)
    seed[: len(lengths)] = RNG.normal(size=len(lengths))
    slopes, exact = reverse(tape, inputs, register, seed), complex_step(tape, inputs, register, seed)
    for name in inputs:
        np.testing.assert_allclose(slopes[name], exact[name], atol=1e-13)


def test_log_sum_exp_and_its_shares() -> None:
    inputs = {"x": RNG.normal(size=12) * 30}
    tape, register = recorded(lambda r, x: r.log_sum_exp(x["x"], 4), inputs)
    got = run(tape, inputs)[tape.place(register)]
    np.testing.assert_allclose(got, np.logaddexp.reduce(inputs["x"].reshape(3, 4), axis=1), rtol=1e-14)
    seed = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(
        reverse(tape, inputs, register, seed)["x"],
        complex_step(tape, inputs, register, seed)["x"],
        atol=1e-14,
    )


def test_impossible_states_send_nothing_back() -> None:
    recorder = Recorder()
    x = recorder.input("x", 4)
    out = recorder.log_sum_exp(x, 2)
    recorder.start(out)
    tape = recorder.finish()
    inputs = {"x": np.array([-np.inf, 1.0, -np.inf, -np.inf])}
    assert run(tape, inputs)[tape.place(out)].tolist() == [1.0, -np.inf]
    assert reverse(tape, inputs, out, np.ones(2))["x"].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_chains_with_impossible_transitions() -> None:
    index = np.array([2, 1, 0, 3, -1, 0, 0])
    inputs = {
        "e": np.array([0.0, -np.inf, -1.0, -2.0, -3.0, -900.0]),
        "a": np.array([-np.inf, 0.0, 0.0, -np.inf]),
    }
    tape, register = recorded(lambda r, x: r.chain(x["e"], x["a"], index), inputs)
    assert run(tape, inputs)[tape.place(register)][0] == -5.0
    seed = np.zeros(7)
    seed[0] = 1.0
    slopes = reverse(tape, inputs, register, seed)
    assert slopes["e"].tolist() == [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]
    assert slopes["a"].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_far_evidence_does_not_underflow() -> None:
    index, inputs = chains(3, [200], 1)
    inputs["e"] = inputs["e"] - 1e5
    tape, register = recorded(lambda r, x: r.chain(x["e"], x["a"], index), inputs)
    far = run(tape, inputs)[tape.place(register)][0]
    near = run(tape, {**inputs, "e": inputs["e"] + 1e5})[tape.place(register)][0]
    assert abs(far + 200e5 - near) < 1e-6
