"""Every operation of the tape: kernel against numpy, reverse against complex steps, folding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from dagmodels.distributions._numeric import quietly
from dagmodels.numerics.pruning import compact, only
from dagmodels.numerics.tape import BINARY, CODES, SPECIAL, UNARY, Recorder
from dagmodels.numerics.tape_kernels import FEW
from tests.numerics.tapes import complex_step, folded, recorded, reverse, run


@dataclass(frozen=True)
class Case:
    """build(recorder, registers) -> register; draw(rng) -> inputs; steps : whether it has derivatives."""

    build: Callable[[Recorder, dict[str, int]], int]
    draw: Callable[[Any], dict[str, Any]]
    differentiable: bool = True
    rtol: float = 1e-11
    names: tuple[str, ...] = field(default=())


def real(rng: Any, n: int) -> Any:
    return rng.normal(0, 2, n)


def positive(rng: Any, n: int) -> Any:
    return np.exp(rng.uniform(np.log(1e-3), np.log(1e2), n))


def unit(rng: Any, n: int) -> Any:
    return rng.uniform(0.001, 0.999, n)


def away(rng: Any, n: int) -> Any:
    return rng.choice([-1, 1], n) * rng.uniform(0.1, 3, n)


def matrices(rng: Any, batch: int, d: int) -> Any:
    return (rng.normal(size=(batch, d, d)) + 3 * np.eye(d) * rng.choice([-1, 1], (batch, d, 1))).reshape(-1)


def covariances(rng: Any, batch: int, d: int) -> Any:
    A = rng.normal(size=(batch, d, d + 2)) * np.exp(rng.normal(size=(batch, d, 1)))
    return (A @ A.swapaxes(1, 2)).reshape(-1)


DOMAIN: dict[str, Callable[[Any, int], Any]] = {
    **dict.fromkeys(UNARY, real),
    **dict.fromkeys(
        ("log", "sqrt", "lgamma", "digamma", "binet", "binet1", "binet2", "log_i0e", "i1_over_i0"), positive
    ),
    **dict.fromkeys(("logit", "cloglog", "probit"), unit),
    "log1p": lambda rng, n: positive(rng, n) - 0.999,
    "abs": away,
}
LENGTHS = ((5, 5), (1, 5), (5, 1), (1, 1))
MANY = FEW + 3  # from FEW on the kernels of these go by vectors


def binary(name: str, m: int, n: int) -> Case:
    draw = {
        "**": lambda rng: {"a": positive(rng, m), "b": real(rng, n)},
        "/": lambda rng: {"a": real(rng, m), "b": away(rng, n)},
    }.get(name, lambda rng: {"a": real(rng, m), "b": real(rng, n)})
    if name in ("==", "!=", "<", "<="):
        draw = lambda rng: {"a": rng.integers(0, 3, m) * 1.0, "b": rng.integers(0, 3, n) * 1.0}  # noqa: E731
    return Case(lambda r, x: r.apply(name, x["a"], x["b"]), draw)


def unary(name: str, n: int) -> Case:
    return Case(lambda r, x: r.apply(name, x["a"]), lambda rng: {"a": DOMAIN[name](rng, n)})


def special(name: str, *lengths: int) -> Case:
    """Functions of two positive numbers, or of two and one between 0 and 1."""

    def draw(rng: Any) -> dict[str, Any]:
        parts = [positive(rng, n) for n in lengths[:2]] + [unit(rng, n) for n in lengths[2:]]
        return dict(zip("abc", parts, strict=False))

    return Case(lambda r, x: r.apply(name, *x.values()), draw)


def conditional(k: int, m: int, n: int) -> Case:
    def draw(rng: Any) -> dict[str, Any]:
        return {"t": rng.integers(0, 2, k) * 1.0, "a": real(rng, m), "b": real(rng, n)}

    return Case(lambda r, x: r.apply("if_else", x["t"], x["a"], x["b"]), draw)


def square(name: str, batch: int, d: int, draw: Any, **options: Any) -> Case:
    return Case(lambda r, x: r.matrix(name, d, x["a"], **options), lambda rng: {"a": draw(rng, batch, d)})


def product(batch: int, d: int, transposed: bool) -> Case:
    def draw(rng: Any) -> dict[str, Any]:
        return {"a": matrices(rng, batch, d), "b": matrices(rng, batch, d)}

    return Case(lambda r, x: r.matrix("matmul", d, x["a"], x["b"], transposed=transposed), draw)


def put(r: Recorder, x: dict[str, int]) -> int:
    """Three parts, one of them a single number for several places, one a constant."""
    known = r.constant([7.0, 8.0])
    places = (np.array([6, 0, 3]), np.array([1, 4]), np.array([2, 5]))
    return r.assemble(7, list(zip((x["a"], x["b"], known), places, strict=True)))


def pick(r: Recorder, x: dict[str, int]) -> int:
    """Places of several registers, with repetition."""
    c = r.apply("*", x["a"], x["b"])
    k = r.constant([1.0, 2.0])
    at = [r.start(c) + 1, r.start(x["a"]), r.start(k) + 1, r.start(c) + 1, r.start(x["b"])]
    return r.pick(np.array(at))


INDEX = np.array([2, 0, 2, 4, 1, 1])
CHAINS = np.array([2, 2, 0, 3, 5, -1, 1, 0, -1, 1])  # two chains of two states, two blocks of transitions
CASES: dict[str, list[Case]] = {
    **{name: [binary(name, m, n) for m, n in LENGTHS] for name in BINARY},
    **{name: [unary(name, 1), unary(name, 9)] for name in UNARY},
    **{
        name: [special(name, *lengths[:count]) for lengths in ((5, 5, 5), (1, 5, 5), (5, 1, 1), (1, 1, 1))]
        for name, count in SPECIAL.items()
    },
    "if_else": [conditional(*lengths) for lengths in ((5, 5, 5), (1, 5, 5), (5, 1, 5), (5, 5, 1), (1, 1, 1))],
    "gather": [
        Case(lambda r, x: r.gather(x["a"], INDEX), lambda rng: {"a": real(rng, 5)}),
        Case(lambda r, x: r.gather(x["a"], np.zeros(4, np.int64)), lambda rng: {"a": real(rng, 1)}),
        Case(pick, lambda rng: {"a": real(rng, 4), "b": real(rng, 1)}),
    ],
    "segment_sum": [
        Case(lambda r, x: r.segment_sum(x["a"], INDEX, 6), lambda rng: {"a": real(rng, 6)}),
        Case(lambda r, x: r.segment_sum(x["a"], INDEX, 6), lambda rng: {"a": real(rng, 1)}),
        Case(lambda r, x: r.segment_sum(x["a"], np.array([0]), 1), lambda rng: {"a": real(rng, 1)}),
    ],
    "put": [Case(put, lambda rng: {"a": real(rng, 3), "b": real(rng, 1)})],
    "cholesky": [square("cholesky", b, d, covariances) for b, d in ((1, 1), (1, 4), (3, 2), (2, 6))],
    "root": [square("root", b, d, covariances) for b, d in ((1, 1), (1, 4), (3, 2), (2, 6))],
    "inverse": [square("inverse", b, d, matrices) for b, d in ((1, 1), (1, 4), (3, 2), (2, 6))],
    "logdet": [square("logdet", b, d, covariances) for b, d in ((1, 1), (1, 4), (3, 2), (2, 6))],
    "matmul": [product(b, d, flag) for b, d in ((1, 1), (1, 4), (3, 2)) for flag in (False, True)],
    "take": [
        Case(
            lambda r, x: r.take(r.apply("*", x["a"], x["a"]), r.constant(INDEX)),
            lambda rng: {"a": real(rng, 5)},
        ),
        Case(
            lambda r, x: r.take(x["a"], r.apply("<", x["b"], r.constant(0.0))),
            lambda rng: {"a": real(rng, 2), "b": real(rng, 4)},
        ),
    ],
    "softmax": [
        Case(lambda r, x: r.softmax(x["a"], 3), lambda rng: {"a": real(rng, 12)}),
        Case(lambda r, x: r.softmax(x["a"], 4), lambda rng: {"a": 300 * real(rng, 4)}),
        Case(lambda r, x: r.softmax(x["a"], 1), lambda rng: {"a": real(rng, 3)}),
    ],
    "log_sum_exp": [
        Case(lambda r, x: r.log_sum_exp(x["a"], 3), lambda rng: {"a": real(rng, 12)}),
        Case(lambda r, x: r.log_sum_exp(x["a"], 4), lambda rng: {"a": 300 * real(rng, 4)}),
        Case(lambda r, x: r.log_sum_exp(x["a"], 1), lambda rng: {"a": real(rng, 3)}),
    ],
    "chain": [
        Case(
            lambda r, x: r.gather(r.chain(x["a"], x["b"], CHAINS), np.array([0, 1])),
            lambda rng: {"a": real(rng, 10), "b": real(rng, 8)},
        ),
    ],
}
for name in ("+", "-", "*", "/"):
    CASES[name] += [binary(name, m, n) for m, n in ((MANY, MANY), (1, MANY), (MANY, 1))]
for name in ("neg", "exp", "softplus", "expit"):
    CASES[name].append(unary(name, MANY))
ALL = [pytest.param(case, id=f"{name}-{k}") for name, cases in CASES.items() for k, case in enumerate(cases)]
SEEDS = range(5)


def close(got: Any, want: Any, rtol: float) -> None:
    scale = 1 + np.max(np.abs(np.real(want)), initial=0.0)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * 1e-2 * scale)


def test_every_operation_has_a_case() -> None:
    assert set(CASES) == set(CODES)
    assert len(set(CODES.values())) == len(CODES)


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("seed", SEEDS)
def test_forward(case: Case, seed: int) -> None:
    inputs = case.draw(np.random.default_rng(seed))
    tape, register = recorded(case.build, inputs)
    want = tape.values(inputs)
    assert np.isfinite(want[tape.place(register)]).all()
    close(run(tape, inputs), want, case.rtol)


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("seed", SEEDS)
def test_reverse(case: Case, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = case.draw(rng)
    tape, register = recorded(case.build, inputs)
    at = tape.place(register)
    weights = rng.normal(size=at.stop - at.start)
    got = reverse(tape, inputs, register, weights)
    want = complex_step(tape, inputs, register, weights)
    for name in inputs:
        close(got[name], want[name], case.rtol * 10)


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("seed", SEEDS)
def test_folding_is_execution(case: Case, seed: int) -> None:
    inputs = case.draw(np.random.default_rng(seed))
    tape, register = recorded(case.build, inputs)
    known = folded(case.build, inputs)
    assert known is not None
    close(run(tape, inputs)[tape.place(register)], known, case.rtol)


@pytest.mark.parametrize("name", BINARY)
def test_the_same_register_twice(name: str) -> None:
    """x op x sends both adjoints back to x."""
    inputs = {"a": np.array([0.3, 1.7, 2.5])}
    tape, register = recorded(lambda r, x: r.apply(name, x["a"], x["a"]), inputs)
    seed = np.array([1.0, -2.0, 0.5])
    close(run(tape, inputs), tape.values(inputs), 1e-13)
    close(reverse(tape, inputs, register, seed)["a"], complex_step(tape, inputs, register, seed)["a"], 1e-12)


def test_products_of_a_matrix_with_itself() -> None:
    rng = np.random.default_rng(0)
    inputs = {"a": matrices(rng, 2, 3)}
    for flag in (False, True):
        tape, register = recorded(
            lambda r, x, t=flag: r.matrix("matmul", 3, x["a"], x["a"], transposed=t), inputs
        )
        seed = rng.normal(size=18)
        got, want = (f(tape, inputs, register, seed)["a"] for f in (reverse, complex_step))
        close(got, want, 1e-11)


def test_taking_from_no_place_gives_no_number() -> None:
    recorder = Recorder()
    a, places = recorder.input("a", 3), recorder.input("places", 4)
    found = recorder.take(a, places)
    tape = recorder.finish()
    inputs = {"a": [1.0, 2.0, 3.0], "places": [2.0, -1.0, 3.0, np.nan]}
    np.testing.assert_array_equal(run(tape, inputs)[tape.place(found)], [3.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(tape.values(inputs)[tape.place(found)], [3.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(reverse(tape, inputs, found, np.ones(4))["a"], [0.0, 0.0, 1.0])


@pytest.mark.parametrize("n", [1, 7, 8, 9, 1000])
def test_totals_of_any_length(n: int) -> None:
    recorder = Recorder()
    a = recorder.input("a", n)
    found = recorder.total(recorder.apply("*", a, a))
    recorder.start(found)
    tape = recorder.finish()
    x = np.random.default_rng(n).normal(size=n)
    np.testing.assert_allclose(run(tape, {"a": x})[tape.place(found)], x @ x, rtol=1e-14)
    np.testing.assert_allclose(reverse(tape, {"a": x}, found, 1.0)["a"], 2 * x, rtol=1e-15)


def test_a_part_of_a_tape_gives_the_same_on_less() -> None:
    recorder = Recorder()
    unused = recorder.input("unused", 2)
    a, b = recorder.input("a", 4), recorder.input("b", 1)
    recorder.apply("exp", recorder.apply("+", unused, b))
    wanted = recorder.apply("*", recorder.apply("sin", a), b)
    recorder.apply("log", wanted)
    tape = recorder.finish()
    inputs = {"a": np.arange(4.0), "b": [2.0], "unused": [1.0, 1.0]}
    for part in (only(tape, [wanted]), compact(tape, [wanted])):
        assert part.operations[0].size == 2
        np.testing.assert_array_equal(run(part, inputs)[part.place(wanted)], 2 * np.sin(np.arange(4.0)))
        np.testing.assert_allclose(reverse(part, inputs, wanted, np.ones(4))["a"], 2 * np.cos(np.arange(4.0)))
    assert compact(tape, [wanted]).initial.size == 2 + 4 + 1 + 4 + 4
    assert list(compact(tape, [wanted]).inputs.values()) == [(0, 2), (2, 4), (6, 1)]


def test_larger_is_smaller_turned_round() -> None:
    inputs = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([2.0, 2.0, 2.0])}
    for name, want in ((">", [0, 0, 1]), (">=", [0, 1, 1])):
        tape, register = recorded(lambda r, x, f=name: r.apply(f, x["a"], x["b"]), inputs)
        np.testing.assert_array_equal(run(tape, inputs)[tape.place(register)], want)


def test_the_same_operation_is_recorded_once() -> None:
    recorder = Recorder()
    a, b = recorder.input("a", 3), recorder.input("b", 3)
    index = np.array([0, 2])
    assert recorder.apply("+", a, b) == recorder.apply("+", a, b)
    assert recorder.apply("+", a, b) != recorder.apply("+", b, a)
    assert recorder.gather(a, index) == recorder.gather(a, index)
    assert recorder.gather(a, index) != recorder.gather(b, index)
    assert recorder.constant(2.0) == recorder.constant([2])
    assert recorder.input("a", 3) == a


def test_operations_with_other_indices_are_other_operations() -> None:
    recorder = Recorder()
    a = recorder.input("a", 3)
    places = [recorder.gather(a, np.array([k])) for k in range(3) for _ in range(2)]
    tape = recorder.finish()
    w = run(tape, {"a": np.array([5.0, 6.0, 7.0])})
    assert [float(w[tape.place(p)][0]) for p in places] == [5, 5, 6, 6, 7, 7]


def test_powers_of_negative_numbers_and_of_zero() -> None:
    inputs = {"a": np.array([-2.0, -1.5, 0.0, 0.0, 3.0]), "b": np.array([2.0, 3.0, 2.0, 1.0, 0.0])}
    tape, register = recorded(lambda r, x: r.apply("**", x["a"], x["b"]), inputs)
    close(run(tape, inputs)[tape.place(register)], inputs["a"] ** inputs["b"], 1e-15)
    got = reverse(tape, inputs, register, np.ones(5))
    close(got["a"], [-4.0, 6.75, 0.0, 1.0, 0.0], 1e-14)
    close(got["b"][[2, 3, 4]], [0.0, 0.0, np.log(3.0)], 1e-14)


def test_derivatives_do_not_pass_through_the_branch_not_taken() -> None:
    """log(x) at x = 0 stands in the branch that is not chosen."""
    inputs = {"a": np.array([0.0, 2.0])}

    def build(r: Recorder, x: dict[str, int]) -> int:
        return r.apply("if_else", r.apply("==", x["a"], r.constant(0.0)), x["a"], r.apply("log", x["a"]))

    tape, register = recorded(build, inputs)
    np.testing.assert_array_equal(reverse(tape, inputs, register, np.ones(2))["a"], [1.0, 0.5])


@pytest.mark.parametrize("name", ["logdet", "cholesky", "root"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_matrices_that_are_not_positive_definite_give_nan(name: str, order: int) -> None:
    """Whatever the number of negative eigenvalues; kernel and folding alike."""
    for negative in range(1, order + 1):
        d = np.where(np.arange(order) < negative, -1.0, 2.0)
        A = np.random.default_rng(order).normal(size=(order, order)) + 3 * np.eye(order)
        inputs = {"a": (A @ np.diag(d) @ A.T).reshape(-1)}

        def build(r: Recorder, x: dict[str, int]) -> int:
            return r.matrix(name, order, x["a"])

        tape, register = recorded(build, inputs)
        assert np.isnan(run(tape, inputs)[tape.place(register)]).any(), negative
        assert np.isnan(folded(build, inputs)).any(), negative


def test_inverse_of_a_singular_matrix_is_not_a_number() -> None:
    """Execution and folding agree: nan, no exception from within numpy."""
    inputs = {"a": np.array([1.0, 2.0, 2.0, 4.0])}

    def build(r: Recorder, x: dict[str, int]) -> int:
        return r.matrix("inverse", 2, x["a"])

    tape, register = recorded(build, inputs)
    assert np.isnan(run(tape, inputs)[tape.place(register)]).all()
    assert np.isnan(folded(build, inputs)).all()


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_log_determinants_of_large_matrices(scale: float) -> None:
    """A constant matrix of order 120: the determinant itself would leave the range of numbers."""
    order = 120
    inputs = {"a": (scale * np.eye(order)).reshape(-1)}

    def build(r: Recorder, x: dict[str, int]) -> int:
        return r.matrix("logdet", order, x["a"])

    tape, register = recorded(build, inputs)
    want = order * np.log(scale)
    assert run(tape, inputs)[tape.place(register)][0] == pytest.approx(want, rel=1e-12)
    assert folded(build, inputs)[0] == pytest.approx(want, rel=1e-12)


def test_factors_of_singular_covariances() -> None:
    """Rank one, with zeros and without: a factor whose product is the matrix, though rounding intrudes."""
    rng = np.random.default_rng(0)
    bad = 0
    for _ in range(200):
        s = np.exp(rng.normal(size=3)) * (rng.random(3) < 0.8)
        A = np.outer(s, s)
        inputs = {"a": A.reshape(-1)}
        tape, register = recorded(lambda r, x: r.matrix("cholesky", 3, x["a"]), inputs)
        L = run(tape, inputs)[tape.place(register)].reshape(3, 3)
        bad += not np.allclose(L @ L.T, A, rtol=1e-7, atol=1e-7 * max(A.max(), 1e-300))
    assert bad == 0


@pytest.mark.parametrize("seed", range(20))
def test_roots_of_semidefinite_matrices(seed: int) -> None:
    """Of any rank and scale: the product is the matrix to 1e-12; kernel and folding agree; zeros stay."""
    rng = np.random.default_rng(seed)
    d, rank = int(rng.integers(1, 7)), int(rng.integers(0, 7))
    A = rng.normal(size=(d, rank)) * np.exp(5 * rng.normal(size=(d, 1))) * (rng.random((d, 1)) < 0.8)
    C = A @ A.T
    inputs = {"a": C.reshape(-1)}

    def build(r: Recorder, x: dict[str, int]) -> int:
        return r.matrix("root", d, x["a"])

    tape, register = recorded(build, inputs)
    F = run(tape, inputs)[tape.place(register)].reshape(d, d)
    size = np.sqrt(np.diag(C))
    np.testing.assert_array_less(np.abs(F @ F.T - C), 1e-12 * np.outer(size, size) + 1e-300)
    np.testing.assert_allclose(
        folded(build, inputs).reshape(d, d), F, rtol=1e-6, atol=1e-7 * size.max(initial=0)
    )
    assert (F[size == 0] == 0).all()


def test_root_of_a_smooth_kernel() -> None:
    """Squared-exponential kernels are of full rank and numerically singular: factored to rounding."""
    x = np.sort(np.random.default_rng(3).uniform(0, 5, 40))
    for length in (0.1, 0.5, 1.0, 3.0, 30.0):
        K = np.exp(-((x[:, None] - x) ** 2) / (2 * length**2))
        inputs = {"a": K.reshape(-1)}
        tape, register = recorded(lambda r, x: r.matrix("root", 40, x["a"]), inputs)
        F = run(tape, inputs)[tape.place(register)].reshape(40, 40)
        assert np.abs(F @ F.T - K).max() < 1e-12, length


def test_slope_of_a_root_at_a_zero_scale() -> None:
    """At s = 0 in [[s**2, r*s], [r*s, 1]] the derivative in s is exact: the other row is the pivot."""
    inputs = {"a": np.array([0.0, 0.0, 0.0, 1.0])}
    tape, register = recorded(lambda r, x: r.matrix("root", 2, x["a"]), inputs)
    F = run(tape, inputs)[tape.place(register)].reshape(2, 2)
    G = np.array([[0.7, -0.4], [-0.4, 0.3]])  # derivative of some criterion in F F'
    back = reverse(tape, inputs, register, (2 * G @ F).reshape(-1))["a"].reshape(2, 2)
    assert back[1, 0] == pytest.approx(2 * G[1, 0])
    assert back[1, 1] == pytest.approx(G[1, 1])


def test_empty_registers() -> None:
    """Operations on no elements give no elements."""
    recorder = Recorder()
    a, b = recorder.input("a", 0), recorder.input("b", 1)
    assert recorder.length(recorder.apply("+", a, a)) == 0
    assert recorder.length(recorder.apply("*", a, b)) == 0
    total = recorder.segment_sum(a, np.zeros(0, np.int64), 2)
    tape = recorder.finish()
    np.testing.assert_array_equal(run(tape, {"b": 3.0})[tape.place(total)], [0.0, 0.0])


def test_tape_without_operations() -> None:
    recorder = Recorder()
    a = recorder.input("a", 2)
    tape = recorder.finish()
    np.testing.assert_array_equal(run(tape, {"a": [1.0, 2.0]})[tape.place(a)], [1.0, 2.0])
    np.testing.assert_array_equal(reverse(tape, {"a": [1.0, 2.0]}, a, [3.0, 4.0])["a"], [3.0, 4.0])


@pytest.mark.parametrize("name", ["min", "max"])
def test_the_first_of_two_that_cannot_be_compared(name: str) -> None:
    """In kernels, folded on the tape, and in formulas."""
    inputs = {"a": np.array([np.nan, 1.0, 2.0, 1.0]), "b": np.array([1.0, np.nan, 1.0, 2.0])}

    def build(r: Recorder, x: dict[str, int]) -> int:
        return r.apply(name, x["a"], x["b"])

    tape, register = recorded(build, inputs)
    want = [np.nan, 1.0, *((1.0, 1.0) if name == "min" else (2.0, 2.0))]
    np.testing.assert_array_equal(run(tape, inputs)[tape.place(register)], want)
    np.testing.assert_array_equal(folded(build, inputs), want)
    np.testing.assert_array_equal(quietly(lambda f, a, b: getattr(f, name)(a, b), *inputs.values()), want)
