"""exp, log and their like of many numbers at once: digits against extended precision, and far numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from dagmodels.numerics.tape import Recorder

LONG = np.longdouble
EXACT = {
    "exp": np.exp,
    "expit": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "log": np.log,
    "log1p": np.log1p,
}
PLAIN = {
    "log": np.log,
    "log1p": np.log1p,
    "exp": np.exp,
    "expit": special.expit,
    "softplus": lambda x: np.logaddexp(0, x),
}


def on_tape(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and derivatives of a function of the tape."""
    r = Recorder()
    out = r.apply(name, r.input("x", x.size))
    tape = r.finish()
    start, length = tape.inputs["x"]
    w = tape.initial.copy()
    w[start : start + length] = x
    tape.forward(w)
    bar = np.zeros(w.size)
    bar[tape.place(out)] = 1.0
    tape.reverse(w, bar)
    return w[tape.place(out)], bar[start : start + length]


@pytest.mark.parametrize("name", EXACT)
def test_within_three_units_of_the_last_place(name: str) -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=4000) * s for s in (1e-9, 1e-3, 0.3, 3, 30, 150)])
    x = np.concatenate([x[np.abs(x) <= 700], [0.0, -0.0, 700.0, -700.0]])
    if name.startswith("log"):
        x = np.concatenate([x[x > 0], 1.0 + x[np.abs(x) < 1], np.geomspace(1e-300, 1e300, 4001), [1.0]])
        x = np.concatenate([x, -x[x < 1]]) if name == "log1p" else x
    value, slope = on_tape(name, x)
    exact = EXACT[name](x.astype(LONG))
    assert np.max(np.abs(value - exact) / np.spacing(exact.astype(float))) < 3
    p = special.expit(x)
    slopes = {"exp": np.exp, "log": lambda x: 1 / x, "log1p": lambda x: 1 / (1 + x)}
    slopes |= {"expit": lambda x: p * (1 - p), "softplus": lambda x: p}
    expected = slopes[name](x)
    np.testing.assert_allclose(slope, expected, rtol=1e-14)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("far", [-800.0, 800.0, -np.inf, np.inf, np.nan])
def test_numbers_out_of_reach(name: str, far: float) -> None:
    x = np.array([0.3, far, -2.0])
    value, _ = on_tape(name, x)
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_allclose(value, PLAIN[name](x), rtol=1e-15)


@pytest.mark.parametrize("name", ["+", "-", "*", "/"])
@pytest.mark.parametrize("lengths", [(5, 5), (5, 1), (1, 5), (1, 1)])
def test_arithmetic_and_its_adjoint(name: str, lengths: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    r = Recorder()
    x, y = (r.input(n, k) for n, k in zip("xy", lengths, strict=True))
    out = r.apply(name, x, y)
    tape = r.finish()
    w = tape.initial.copy()
    inputs = {n: rng.normal(size=k) for n, k in zip("xy", lengths, strict=True)}
    for n, v in inputs.items():
        w[tape.inputs[n][0] : tape.inputs[n][0] + v.size] = v
    tape.forward(w)
    np.testing.assert_allclose(w, tape.values(inputs), rtol=1e-15)
    bar = np.zeros(w.size)
    seed = bar[tape.place(out)] = rng.normal(size=max(lengths))
    tape.reverse(w, bar)
    for n, v in inputs.items():
        for k in range(v.size):
            moved = {m: u.astype(complex) for m, u in inputs.items()}
            moved[n][k] += 1e-30j
            slope = tape.values(moved)[tape.place(out)].imag / 1e-30
            assert bar[tape.inputs[n][0] + k] == pytest.approx(seed @ slope, rel=1e-13)


def test_no_adjoint_sends_nothing_through_infinity() -> None:
    r = Recorder()
    x, y = r.input("x", 2), r.input("y", 2)
    out = r.apply("*", x, y)
    tape = r.finish()
    w = tape.initial.copy()
    w[tape.inputs["x"][0] :][:2] = 1.0, 2.0
    w[tape.inputs["y"][0] :][:2] = np.inf, 3.0
    tape.forward(w)
    bar = np.zeros(w.size)
    bar[tape.place(out)] = 0.0, 1.0
    tape.reverse(w, bar)
    assert bar[tape.inputs["x"][0] :][:2].tolist() == [0.0, 3.0]
