"""Columns of the fixed part: names and numbers against R's rules by hand, and against formulaic."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formulaic import model_matrix

from dagmodels.readers.formula.contrasts import coding
from dagmodels.readers.formula.design import Collector, as_table, make
from dagmodels.readers.formula.evaluate import Evaluator
from dagmodels.readers.formula.formula import read_formula
from dagmodels.readers.formula.rank import dependent

ROWS = 60


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "x": rng.normal(size=ROWS),
            "z": rng.uniform(1, 9, size=ROWS),
            "a": rng.choice(["lo", "mid", "hi"], ROWS),
            "b": pd.Categorical(rng.choice(["u", "v"], ROWS), ["v", "u"]),
            "c": pd.Categorical(rng.choice(["p", "q", "r", "s"], ROWS)),
            "t": rng.random(ROWS) < 0.5,
            "k": rng.integers(0, 3, ROWS),
            "my f": rng.choice(["m", "n"], ROWS),
        }
    )


def design(
    text: str, data: Any, states: dict[str, Any] | None = None, contrasts: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Columns of `y ~ text` by name."""
    faults = Collector()
    evaluator = Evaluator(as_table(data), states, contrasts)
    made = make(read_formula(f"y ~ {text}"), evaluator, faults)
    faults.raise_all("")
    if states is not None:
        states.update(evaluator.states)
    ones = np.ones(made.n)
    return {name: ones if values is None else values for name, values in made.fixed}


def learned(text: str, data: Any) -> dict[str, Any]:
    """What a fit to these data keeps for new ones."""
    evaluator = Evaluator(as_table(data))
    faults = Collector()
    make(read_formula(f"y ~ {text}"), evaluator, faults)
    faults.raise_all("")
    return evaluator.states


@pytest.mark.parametrize(
    ("text", "names"),
    [  # colnames(model.matrix(~ ...)) of R 4.2
        ("x", ["(Intercept)", "x"]),
        ("a", ["(Intercept)", "alo", "amid"]),
        ("b", ["(Intercept)", "bu"]),
        ("t", ["(Intercept)", "tTRUE"]),
        ("0 + a", ["ahi", "alo", "amid"]),
        ("0 + a + b", ["ahi", "alo", "amid", "bu"]),
        ("0 + x + a", ["x", "ahi", "alo", "amid"]),
        ("a*b", ["(Intercept)", "alo", "amid", "bu", "alo:bu", "amid:bu"]),
        ("b*a", ["(Intercept)", "bu", "alo", "amid", "bu:alo", "bu:amid"]),
        ("a + a:b", ["(Intercept)", "alo", "amid", "ahi:bu", "alo:bu", "amid:bu"]),
        ("a:b", ["(Intercept)", "ahi:bv", "alo:bv", "amid:bv", "ahi:bu", "alo:bu", "amid:bu"]),
        ("x:a", ["(Intercept)", "x:ahi", "x:alo", "x:amid"]),
        ("x*a", ["(Intercept)", "x", "alo", "amid", "x:alo", "x:amid"]),
        ("x:z", ["(Intercept)", "x:z"]),
        ("factor(k)", ["(Intercept)", "factor(k)1", "factor(k)2"]),
        ("I(x^2) + log(z)", ["(Intercept)", "I(x^2)", "log(z)"]),
        ("I(x > 0)", ["(Intercept)", "I(x > 0)TRUE"]),
        ("poly(x, 2)", ["(Intercept)", "poly(x, 2)1", "poly(x, 2)2"]),
        ("poly(x, 1)", ["(Intercept)", "poly(x, 1)"]),
        ("bs(x, df = 4):b", [f"bs(x, df = 4){i}:b{j}" for j in "vu" for i in range(1, 5)]),
        ("C(a, contr.sum)", ["(Intercept)", "C(a, contr.sum)1", "C(a, contr.sum)2"]),
        ("`my f`", ["(Intercept)", "`my f`n"]),
        (
            "x + b + x:b:t",
            ["(Intercept)", "x", "bu", *(f"x:b{i}:t{j}" for j in ("FALSE", "TRUE") for i in "vu")],
        ),
    ],
)
def test_names_are_those_of_r(data: pd.DataFrame, text: str, names: list[str]):
    if text.startswith("bs"):
        names = ["(Intercept)", *names]
    assert list(design(text, data)) == names


def as_r(name: str) -> str:
    """A column's name of formulaic as R writes it."""
    name = "(Intercept)" if name == "Intercept" else name
    name = re.sub(r"\[T\.([^\]]*)\]", r"\1", name)
    return re.sub(r"\[([^\]]*)\]", r"\1", name).replace(" ** ", "^").replace("**", "^")


@pytest.mark.parametrize(
    "text",
    [
        *("x", "x + z", "a", "b", "a + b + c", "0 + a", "0 + x", "x:z", "x*z"),
        *("a*b", "x*a", "x*a*b", "a + a:b", "(x + a + b)**2", "a/x", "b/z", "a*c - a:c", "0 + x:a"),
        *("a*b*c", "x + a:b + a + b", "0 + a*x"),
    ],
)
def test_the_fast_path_agrees_with_formulaic(data: pd.DataFrame, text: str):
    """Plain numbers, factors with treatment contrasts, and their interactions."""
    ours = design(text, data)
    theirs = {as_r(str(n)): v.to_numpy(float) for n, v in model_matrix(text, data).items()}
    assert sorted(ours) == sorted(theirs)
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("poly(x, 3)", "poly(x, degree=3)"),
        ("poly(x, 2, raw = TRUE)", "poly(x, degree=2, raw=True)"),
        ("bs(x, df = 5)", "bs(x, df=5)"),
        ("bs(x, knots = c(-1, 0.5), degree = 2)", "bs(x, knots=[-1, 0.5], degree=2)"),
        ("cr(x, df = 4)", "cr(x, df=4)"),
        ("cc(x, df = 4)", "cc(x, df=4)"),
        ("log(z)", "np.log(z)"),
        ("I(x^2 + 1)", "{x**2 + 1}"),
        ("scale(x)", "scale(x)"),
        ("center(x)", "center(x)"),
        ("C(a, contr.sum)", "C(a, contr.sum)"),
        ("C(a, contr.helmert)", "C(a, contr.helmert)"),
        ("C(c, contr.poly)", "C(c, contr.poly)"),
        ("C(a, Treatment('mid'))", "C(a, contr.treatment('mid'))"),
    ],
)
def test_functions_agree_with_formulaic(data: pd.DataFrame, ours: str, theirs: str):
    found = np.column_stack(list(design(f"{ours} + b", data).values()))
    wanted = model_matrix(f"{theirs} + b", data)
    at = [0, *range(2, found.shape[1]), 1] if wanted.columns[1] == "b[T.u]" else slice(None)
    np.testing.assert_allclose(found, wanted.to_numpy(float)[:, at], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "text", ["poly(x, 2) + a", "bs(x, df = 4)*b", "scale(z) + I(x^2)", "a*c", "C(a, contr.sum)"]
)
def test_new_rows_are_coded_as_the_rows_of_the_fit(data: pd.DataFrame, text: str):
    """Any few rows give the same numbers alone, whatever levels and ranges they have."""
    whole = design(text, data)
    states = learned(text, data)
    for rows in ([3], [0, 5, 9], list(range(20, 26))):
        part = design(text, data.iloc[rows], dict(states))
        assert list(part) == list(whole)
        for name, values in part.items():
            np.testing.assert_allclose(values, whole[name][rows], rtol=1e-12, atol=1e-14, err_msg=name)


def test_contrasts():
    """contr.sum(3), contr.helmert(3), contr.poly(4) and contr.treatment(3, base = 2) of R 4.2."""
    labels = ["p", "q", "r"]
    assert coding("contr.sum", labels, "f")[0].tolist() == [[1, 0], [0, 1], [-1, -1]]
    assert coding("contr.helmert", labels, "f")[0].tolist() == [[-1, -1], [1, -1], [0, 2]]
    matrix, ends = coding("contr.poly", [*labels, "s"], "f")
    assert ends == (".L", ".Q", ".C")
    np.testing.assert_allclose(
        matrix,
        [
            [-0.670820393249937, 0.5, -0.223606797749979],
            [-0.223606797749979, -0.5, 0.670820393249937],
            [0.223606797749979, -0.5, -0.670820393249937],
            [0.670820393249937, 0.5, 0.223606797749979],
        ],
        rtol=1e-14,
    )
    matrix, ends = coding(("treatment", 2), labels, "f")
    assert (matrix.tolist(), ends) == ([[1, 0], [0, 0], [0, 1]], ("p", "r"))


def test_contrasts_given_beside_the_formula(data: pd.DataFrame):
    found = design("a + `my f`", data, contrasts={"a": "contr.sum", "my f": [[-1.0], [2.0]]})
    assert list(found) == ["(Intercept)", "a1", "a2", "`my f`1"]
    assert set(found["`my f`1"].tolist()) == {-1.0, 2.0}


def test_dependent_columns_are_found_in_order():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 6))
    x[:, 2] = 2 * x[:, 0] - x[:, 1]
    x[:, 4] = 0
    x[:, 5] = 1e6 * x[:, 3] + 1e-3 * rng.normal(size=40)  # 1e-9 of its length is left
    assert dependent(x).tolist() == [2, 4, 5]
    assert dependent(x[:, [0, 1, 3]]).tolist() == []
    assert dependent(rng.normal(size=(3, 5))).tolist() == [3, 4]
    nearly = np.column_stack([x[:, 0], x[:, 0] + 1e-5 * x[:, 1]])
    assert dependent(nearly).tolist() == []


def test_the_fast_path_loads_neither_formulaic_nor_pandas():
    code = (
        "import sys\nfrom dagmodels.readers.formula import read\n"
        "d = {'y': [1.0, 2, 4, 3, 5, 9], 'x': [1, 2, 3, 4, 5, 6], 'f': list('ababab'), 'g': list('uuvvww')}\n"
        "r = read('y ~ x*f + log(x) + (1 | g)', d, reml=True)\n"
        "print([m for m in ('formulaic', 'pandas', 'scipy', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
