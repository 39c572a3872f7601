"""The adjoint of the elimination against complex steps through the dense formulas, and differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dagmodels.numerics import fill
from dagmodels.numerics.elimination import PROFILED, SCALED
from tests.numerics.systems import SHAPES, dense, filled, random_system

STEP = 1e-40
CASES = [(shape, seed) for shape in SHAPES for seed in range(8)]


@pytest.fixture(params=(0.0, 0.5, 2.0))
def share(request, monkeypatch):
    monkeypatch.setattr(fill, "_DENSE_SHARE", request.param)
    return request.param


def entries(system):
    """Pairs that the data touch, and pairs coupled by T."""
    i, j = np.nonzero(np.triu((system.touched.T.astype(int) @ system.touched) > 0))
    child, parent = np.nonzero(system.parents)
    return (i, j), (child, parent)


def criterion(system, dH, dT, ds, quad: float):
    """logdet + quad * residual with complex steps along (dH, dT, ds)."""
    answers = dense(
        system.kind, system.s + 1j * STEP * ds, system.T + 1j * STEP * dT, system.H + 1j * STEP * dH
    )
    return np.imag(answers.logdet + quad * answers.residual) / STEP


def bars(system, quad: float):
    work = filled(system)
    work.eliminate()
    return work.pattern, *work.adjoint(quad=quad)


@pytest.mark.parametrize(("shape", "seed"), CASES)
def test_along_random_directions(shape: str, seed: int, share: float) -> None:
    """Each of H, T and s alone, and all at once: 1e-7 of the sum of what is added up."""
    system = random_system(seed, shape)
    rng = np.random.default_rng(seed)
    quad = float(rng.normal())
    p, Hb, Tb, sb = bars(system, quad)
    (i, j), (child, parent) = entries(system)
    for which in ("H", "T", "s", "all", "all"):
        dH, dT = np.zeros(system.H.shape), np.zeros(system.T.shape)
        ds = np.where(system.kind == SCALED, rng.normal(size=system.q), 0.0) * (which in ("s", "all"))
        if which in ("H", "all"):
            dH[i, j] = dH[j, i] = rng.normal(size=i.size)
        if which in ("T", "all"):
            dT[child, parent] = rng.normal(size=child.size)
        terms = np.concatenate(
            [
                Hb[p.place(i, j)] * dH[i, j],
                Tb[p.place(child, parent)] * dT[child, parent],
                sb[: system.q] * ds,
            ]
        )
        scale = 1.0 + abs(terms).sum()
        assert abs(terms.sum() - criterion(system, dH, dT, ds, quad)) <= 1e-9 * scale


@pytest.mark.parametrize(("shape", "seed"), [c for c in CASES if c[1] < 3])
def test_entry_by_entry(shape: str, seed: int, share: float) -> None:
    """Every entry of H, T and s of small systems."""
    system = random_system(seed, shape, most=7)
    quad = 0.7
    p, Hb, Tb, sb = bars(system, quad)
    (i, j), (child, parent) = entries(system)
    zero_H, zero_T, zero_s = np.zeros(system.H.shape), np.zeros(system.T.shape), np.zeros(system.q)
    want_H, want_T, want_s = [], [], []
    for a, b in zip(i, j, strict=True):
        dH = zero_H.copy()
        dH[a, b] = dH[b, a] = 1.0
        want_H.append(criterion(system, dH, zero_T, zero_s, quad))
    for a, b in zip(child, parent, strict=True):
        dT = zero_T.copy()
        dT[a, b] = 1.0
        want_T.append(criterion(system, zero_H, dT, zero_s, quad))
    for a in np.flatnonzero(system.kind == SCALED):
        ds = zero_s.copy()
        ds[a] = 1.0
        want_s.append(criterion(system, zero_H, zero_T, ds, quad))
    for got, want in (
        (Hb[p.place(i, j)], want_H),
        (Tb[p.place(child, parent)], want_T),
        (sb[: system.q][system.kind == SCALED], want_s),
    ):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9 * (1 + np.max(np.abs(want), initial=0)))


@pytest.mark.parametrize(("shape", "seed"), [c for c in CASES if c[1] < 3])
def test_own_central_differences(shape: str, seed: int, share: float) -> None:
    """Differences of the elimination itself, Richardson-extrapolated: 1e-7 of the terms' sizes."""
    system = random_system(seed, shape, most=20, zeros=False)
    rng = np.random.default_rng(seed)
    p, Hb, Tb, sb = bars(system, 1.0)
    (i, j), (child, parent) = entries(system)
    direction = rng.normal(size=i.size), rng.normal(size=child.size), rng.normal(size=system.q)
    ds = np.where(system.kind == SCALED, direction[2] * system.s, 0.0)

    def value(h: float) -> float:
        work = filled(system)
        work.H[p.place(i, j)] += h * direction[0] * work.H[p.place(i, j)]
        work.T[p.place(child, parent)] += h * direction[1]
        work.s[: system.q] += h * ds
        return sum(work.eliminate())

    def slope(h: float) -> float:
        return (value(h) - value(-h)) / (2 * h)

    h = 1e-5
    numeric = (4 * slope(h / 2) - slope(h)) / 3
    work = filled(system)
    terms = np.concatenate(
        [
            Hb[p.place(i, j)] * direction[0] * work.H[p.place(i, j)],
            Tb[p.place(child, parent)] * direction[1],
            sb[: system.q] * ds,
        ]
    )
    assert abs(terms.sum() - numeric) <= 1e-7 * (1 + abs(terms).sum())


def test_scale_of_zero_has_the_one_sided_derivative(share: float) -> None:
    """At s = 0 the derivative in s is that of the dense formula, which is smooth there."""
    system = random_system(1, "random", free=False)
    system = replace(system, s=np.zeros(system.q))
    _, _, _, sb = bars(system, 1.0)
    unit = np.eye(system.q)
    want = [criterion(system, 0 * system.H, 0 * system.T, e, 1.0) for e in unit]
    np.testing.assert_allclose(sb[: system.q], want, rtol=1e-9, atol=1e-9)


def test_own_seeds(share: float) -> None:
    """A seed on one pivot alone: the derivative of its logarithm, by differences of the elimination."""
    system = random_system(6, "random", most=12, zeros=False)
    rng = np.random.default_rng(0)
    seed = np.append(rng.normal(size=system.q), 0.0)
    work = filled(system)
    work.eliminate()
    _, _, sb = work.adjoint(seed=seed, quad=0.0)
    ds = np.where(system.kind == SCALED, rng.normal(size=system.q) * system.s, 0.0)

    def value(h: float) -> float:
        other = filled(replace(system, s=system.s + h * ds))
        other.eliminate()
        return float(seed[:-1] @ np.log(other.p[:-1]))

    h = 1e-4
    numeric = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
    assert float(sb[: system.q] @ ds) == pytest.approx(numeric, rel=1e-7, abs=1e-7)


def test_profiled_elements_do_not_count() -> None:
    """The same element free and profiled: the determinants differ by its pivot, the rest agrees."""
    system = random_system(0, "nested", free=True)
    kinds = system.kind.copy()
    assert (kinds != SCALED).any()
    work = filled(replace(system, kind=np.where(kinds == SCALED, SCALED, PROFILED).astype(np.uint8)))
    free = filled(replace(system, kind=np.where(kinds == SCALED, SCALED, 1).astype(np.uint8)))
    profiled, counted = work.eliminate(), free.eliminate()
    assert profiled[1] == pytest.approx(counted[1], rel=1e-12)
    extra = np.log(free.p[:-1][kinds != SCALED]).sum()
    assert counted[0] - profiled[0] == pytest.approx(extra, rel=1e-12)
