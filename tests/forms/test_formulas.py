"""Log densities recorded on the tape: equal to the families' numeric densities, gradients too."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dagmodels.distributions import family
from dagmodels.distributions._numeric import quietly
from dagmodels.forms.formulas import Functions
from dagmodels.forms.lower import NotLowered
from dagmodels.numerics.tape import Recorder
from tests.numerics.tapes import folded, reverse, run

sys.path.insert(0, str(Path(__file__).parent.parent / "distributions"))
from family_cases import CASES, DENSE

UNIVARIATE = sorted(
    n
    for n in DENSE
    if family(n).event == 0 and all(p.shape == 0 for p in family(n).parameters) and n != "Hypergeometric"
)  # how many terms a hypergeometric law has is in its counts, and here these are inputs: see test_jets
MATRICES = ("LKJCorr", "Wishart", "InverseWishart")


def data(name: str, seed: int = 0) -> dict[str, Any]:
    """Points and parameters of the family's case, by argument name; x first."""
    case, rng = CASES[name], np.random.default_rng(seed)
    parameters = case.parameters(rng)
    names = [p.name for p in family(name).parameters]
    return {"x": case.points(rng, *parameters), **dict(zip(names, parameters, strict=True))}


def build(name: str) -> Any:
    def record(r: Recorder, x: dict[str, int]) -> int:
        f = Functions(r)
        return family(name).log_density(f, *(f.traced(v) for v in x.values())).register

    return record


def recorded(name: str, inputs: dict[str, Any]) -> tuple[Any, int]:
    recorder = Recorder()
    register = build(name)(recorder, {k: recorder.input(k, np.size(v)) for k, v in inputs.items()})
    recorder.start(register)
    return recorder.finish(), register


@pytest.mark.parametrize("name", UNIVARIATE)
def test_density(name: str) -> None:
    """To 1e-10 of 1 + |log density| (log beta functions are three log gammas here)."""
    inputs = data(name)
    tape, register = recorded(name, inputs)
    got = run(tape, inputs)[tape.place(register)]
    want = quietly(family(name).log_density, *inputs.values())
    np.testing.assert_allclose(got, np.broadcast_to(want, got.shape), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_gradient(name: str) -> None:
    """Reverse on the tape against complex steps through the numeric density."""
    inputs = data(name, seed=1)
    tape, register = recorded(name, inputs)
    at = tape.place(register)
    got = reverse(tape, inputs, register, np.ones(at.stop - at.start))
    for key in inputs:
        moved = {k: v + (1e-200j if k == key else 0) for k, v in inputs.items()}
        want = np.imag(quietly(family(name).log_density, *moved.values())) / 1e-200
        if CASES[name].counts and key != "x" and [*inputs].index(key) - 1 in CASES[name].counts:
            continue
        if family(name).discrete and key == "x":
            continue
        assert np.isfinite(got[key]).all(), key
        want = np.broadcast_to(want, got[key].shape)
        size = 1 + np.abs(want)
        if at.stop - at.start == 1:  # a density that does not depend on the point: one entry for all
            assert not want.any()
        np.testing.assert_allclose(got[key] / size, want / size, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_outside_the_support(name: str) -> None:
    """Minus infinity where the family says so, folded and executed."""
    keys = ["x", *(p.name for p in family(name).parameters)]
    for point in CASES[name].outside:
        inputs = {k: np.array([float(v)]) for k, v in zip(keys, point, strict=True)}
        tape, register = recorded(name, inputs)
        assert run(tape, inputs)[tape.place(register)] == -np.inf, point
        assert folded(build(name), inputs) == -np.inf, point


@pytest.mark.parametrize("name", UNIVARIATE)
def test_folding(name: str) -> None:
    inputs = data(name, seed=2)
    tape, register = recorded(name, inputs)
    want = run(tape, inputs)[tape.place(register)]
    np.testing.assert_allclose(folded(build(name), inputs), want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", MATRICES)
def test_matrix_densities(name: str) -> None:
    """One matrix and its parameters; the gradient against complex steps, entry by entry."""
    everything = data(name)
    shapes = {k: np.ndim(v[0]) for k, v in everything.items()}
    for row in range(5):
        inputs = {k: np.ravel(v[row]) for k, v in everything.items()}
        recorder = Recorder()
        f = Functions(recorder)
        order = round(np.sqrt(inputs["x"].size))
        traced = [
            f.traced(recorder.input(k, v.size), order if shapes[k] == 2 else 0) for k, v in inputs.items()
        ]
        register = family(name).log_density(f, *traced).register
        tape = recorder.finish()

        def value(given: dict[str, Any], order: int = order) -> Any:
            arrays = (v.reshape((order, order) if shapes[k] == 2 else ()) for k, v in given.items())
            return quietly(family(name).log_density, *arrays)

        got = run(tape, inputs)[tape.place(register)]
        np.testing.assert_allclose(got, value(inputs), rtol=1e-9)
        slopes = reverse(tape, inputs, register, np.ones(1))
        for key, given in inputs.items():
            for k in range(given.size):
                moved = given.astype(complex)
                partners = {k}
                if shapes[key] == 2:  # symmetric moves: a matrix stays a covariance
                    partners = {k, (k % order) * order + k // order}
                for p in partners:
                    moved[p] += 1e-200j
                want = np.imag(value({**inputs, key: moved})) / 1e-200
                total = sum(slopes[key][p] for p in partners)
                bound = 1e-6 * (1 + np.abs(slopes[key]).max())
                assert total == pytest.approx(float(want), rel=1e-6, abs=bound), key


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_that_are_not_positive_definite(name: str) -> None:
    """Never a finite log density, whatever the number of negative eigenvalues."""
    case = CASES[name]
    for point in case.outside:
        recorder = Recorder()
        f = Functions(recorder)
        arrays = [np.asarray(v, dtype=float) for v in point]
        traced = [
            f.traced(recorder.input(f"v{k}", v.size), v.shape[0] if v.ndim == 2 else 0)
            for k, v in enumerate(arrays)
        ]
        register = family(name).log_density(f, *traced).register
        tape = recorder.finish()
        got = run(tape, {f"v{k}": v.reshape(-1) for k, v in enumerate(arrays)})[tape.place(register)]
        assert not np.isfinite(got).any(), point


def test_unknown_functions_name_themselves() -> None:
    with pytest.raises(NotLowered, match="'bessel'"):
        Functions(Recorder()).bessel(1.0)


def test_operators_record_what_python_means() -> None:
    inputs = {"a": np.array([1.5, 2.5]), "b": np.array([2.5, 2.0])}
    recorder = Recorder()
    f = Functions(recorder)
    a, b = (f.traced(recorder.input(k, 2)) for k in inputs)
    cases = {
        "sum": (a + b, inputs["a"] + inputs["b"]), "rsum": (1 + a, 1 + inputs["a"]),
        "difference": (a - 2, inputs["a"] - 2), "rdifference": (2 - a, 2 - inputs["a"]),
        "product": (3 * a * b, 3 * inputs["a"] * inputs["b"]), "quotient": (a / b, inputs["a"] / inputs["b"]),
        "rquotient": (1 / a, 1 / inputs["a"]), "power": (a**2, inputs["a"] ** 2),
        "rpower": (2**a, 2 ** inputs["a"]),
        "negative": (-a, -inputs["a"]), "less": (a < b, inputs["a"] < inputs["b"]),
        "most": (a <= 1.5, inputs["a"] <= 1.5), "more": (a > b, inputs["a"] > inputs["b"]),
        "least": (a >= 2.5, inputs["a"] >= 2.5), "rless": (a > 2.0, inputs["a"] > 2.0),
        "equal": (f.equal(b, 2.5), inputs["b"] == 2.5), "where": (f.where(a > 2, b, 0), [0.0, 2.0]),
        "max": (f.max(a, 2), np.maximum(inputs["a"], 2)), "min": (f.min(b, a), np.minimum(*inputs.values())),
        "log": (f.log(a), np.log(inputs["a"])),
    }  # fmt: skip
    tape = recorder.finish()
    w = run(tape, inputs)
    for name, (traced, want) in cases.items():
        np.testing.assert_allclose(w[tape.place(traced.register)], want, rtol=1e-14, err_msg=name)
