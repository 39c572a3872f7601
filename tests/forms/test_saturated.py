"""Saturated covariance matrices: which are recognised, and their unknowns as entries of a factor."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.forms.saturated import entries_of, record, saturated_sets
from dagmodels.forms.vectors import vectors
from dagmodels.numerics.tape import Recorder
from tests.numerics.tapes import run
from tests.oracle.cases import problem_of

BASE = "model m\nplate h\nplate g in h\nplate r in g\ncovariate x[r]\nparameter m0\n{}\n"
LEAF = "observed y[r] ~ Normal(m0 + a + b*x, 1)\n"
SIZES = {
    "h": [0, 0, 0, 0, 1, 1],
    "g": [0, 0, 1, 1, 2, 2],
    "r": list(range(6)),
    "x": np.arange(6.0),
    "y": np.ones(6),
}
TIED = "a[g] ~ Normal({}, {})\nb[g] ~ Normal(0, {})\na ~~ b = {}\n"
SCALES = "parameter s, t > 0\n"

RECOGNISED = {
    "joint": (
        SCALES + "parameter q in (-1, 1)\n(a, b)[g] ~ MvNormal([0, 0], [[s**2, q*s*t], [q*s*t, t**2]])\n"
    ),
    "products": (
        SCALES + "parameter q in (-1, 1)\n(a, b)[g] ~ MvNormal([0, 0], [[s*s, s*t*q], [t*q*s, t*t]])\n"
    ),
    "entries": "parameter v, w > 0\nparameter c\n(a, b)[g] ~ MvNormal([0, 0], [[v, c], [c, w]])\n",
    "roots": "parameter v, w\nparameter q in (-1, 1)\n(a, b)[g] ~ MvNormal([0, 0], [[v, q*sqrt(v)*sqrt(w)], "
    "[q*sqrt(v*w), w]])\n",
    "tied by a covariance": SCALES + "parameter c\n" + TIED.format(0, "s", "t", "c"),
    "tied by a correlation": SCALES + "parameter q in (-1, 1)\n" + TIED.format(0, "s", "t", "q*s*t"),
    "variances": "parameter v, w > 0\nparameter c\n" + TIED.format(0, "sqrt(v)", "sqrt(w)", "c"),
    "through a name": SCALES + "parameter q in (-1, 1)\nk = q*s*t\n" + TIED.format(0, "s", "t", "k"),
    "reported": SCALES + "parameter c\nq = c/(s*t)\nq2 = 2*q\n" + TIED.format(0, "s", "t", "c"),
    "by group": "parameter s[h], t[h] > 0\nparameter c[h]\n" + TIED.format(0, "s[h]", "t[h]", "c[h]"),
}
OTHER = {
    "a prior": "parameter s > 0\nt ~ HalfNormal(1)\nparameter c\n" + TIED.format(0, "s", "t", "c"),
    "used in a mean": SCALES + "parameter c\n" + TIED.format("s", "s", "t", "c"),
    "used in a mean, by another name": SCALES + "parameter c\nk = c + 1\n" + TIED.format("k", "s", "t", "c"),
    "one scale": "parameter s > 0\nparameter c\n" + TIED.format(0, "s", "s", "c"),
    "another multiple": SCALES + "parameter c\n" + TIED.format(0, "s", "t", "2*c"),
    "a number": SCALES + TIED.format(0, "s", "t", "0.3*s*t"),
    "a bound": SCALES + "parameter c > 0\n" + TIED.format(0, "s", "t", "c"),
    "a narrow correlation": SCALES + "parameter q in (0, 1)\n" + TIED.format(0, "s", "t", "q*s*t"),
    "a precision": SCALES + "parameter c\n" + TIED.format(0, "tau=s", "t", "c"),
    "groups for some": "parameter s[h] > 0\nparameter t > 0\nparameter c\n"
    + TIED.format(0, "s[h]", "t", "c"),
    "one of the groups": "parameter s[h], t[h] > 0\nparameter c[h]\n"
    + TIED.format(0, "s[0]", "t[0]", "c[0]"),
    "some levels given": "parameter s[h] > 0\nparameter t[h] > 0\nparameter c[h]\ns[0] = 1\n"
    + TIED.format(0, "s[h]", "t[h]", "c[h]"),
    "asymmetric": SCALES + "parameter c, d\n(a, b)[g] ~ MvNormal([0, 0], [[s**2, c], [d, t**2]])\n",
    "also a residual": SCALES
    + "parameter c\n"
    + TIED.format(0, "s", "t", "c")
    + "observed z[g] ~ Normal(0, s)\n",
}


def sets_of(statements: str):
    data = SIZES | ({"z": np.ones(6)} if "z[g]" in statements else {})
    problem = problem_of(BASE.format(statements) + LEAF, data)
    return saturated_sets(problem, vectors(problem))


@pytest.mark.parametrize("name", sorted(RECOGNISED))
def test_recognised(name: str) -> None:
    found = sets_of(RECOGNISED[name])
    assert len(found) == 3
    (group,) = set(found.values())
    assert set(group.names) == set(found)
    assert group.components == ("a", "b")


@pytest.mark.parametrize("name", sorted(OTHER))
def test_not_recognised(name: str) -> None:
    assert not sets_of(OTHER[name])


def test_three_components_missing_a_covariance() -> None:
    """Two of three ties leave a zero in the matrix: it is not any covariance matrix."""
    ties = {"a ~~ b = c1\n": 6, "": 0}
    for last, size in ties.items():
        text = SCALES + "parameter u > 0\nparameter c1, c2, c3\na[g] ~ Normal(0, s)\nb[g] ~ Normal(0, t)\n"
        text += "d[g] ~ Normal(m0, u)\na ~~ d = c2\nb ~~ d = c3\n" + last
        assert len(sets_of(text)) == size


@pytest.mark.parametrize("name", ["joint", "entries", "by group", "variances"])
def test_unknowns_and_factor(name: str) -> None:
    """Values -> coordinates -> values, and the factor's product is the matrix that the values say."""
    found = sets_of(RECOGNISED[name])
    (group,) = set(found.values())
    n = 2 if name == "by group" else 1
    rng = np.random.default_rng(1)
    values = {}
    for owner, what in zip(group.names, group.what, strict=True):
        low, high = (0.5, 2.0) if what in ("scale", "variance") else (-0.2, 0.2)
        values[owner] = rng.uniform(low, high, n)
    recorder = Recorder()
    registers, factor = record(recorder, group, n)
    tape = recorder.finish()
    w = run(tape, entries_of(group, values))
    for owner in group.names:
        np.testing.assert_allclose(w[tape.place(registers[owner])], values[owner], rtol=1e-13)
    L = w[tape.place(factor)].reshape(n, 2, 2)
    matrix = L @ L.swapaxes(1, 2)
    a, c, b = (values[name] for name in group.names)
    if group.what[0] == "scale":
        a, b = a**2, b**2
    np.testing.assert_allclose(matrix[:, 0, 0], a, rtol=1e-13)
    np.testing.assert_allclose(matrix[:, 1, 1], b, rtol=1e-13)
    expected = c * np.sqrt(a * b) if group.what[1] == "correlation" else c
    np.testing.assert_allclose(matrix[:, 1, 0], expected, rtol=1e-12)
