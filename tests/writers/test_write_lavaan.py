"""lavaan's text from tables and graphs: what was written is read back as the same graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagmodels.errors import ModelErrors
from dagmodels.readers.dag import from_text
from dagmodels.readers.lavaan import Reading, read
from dagmodels.writers.lavaan import dag_to_lavaan, table_to_lavaan
from tests.readers.lavaan.cases import HOLZINGER, MODELS, checked, random_model, references

MORE: list[tuple[str, dict[str, Any]]] = [
    (HOLZINGER, {"groups": ["a b", "c"], "group_equal": ["loadings", "intercepts"], "group_partial": "x3~1"}),
    ("f =~ x1 + x2 + x3", {"effect_coding": True, "groups": 2}),
    ("f =~ x1 + start(0.5)*x2 + c(0.1, 0.2)?x3 + lower(0)*x4", {"groups": 2}),
    ("f =~ x + y + z\ng ~ a*f + b*w + 1*l*v\nq := 2^(a + b)^-2*-a\np := q/exp(a)\na == 2*b + 1", {}),
    ("group: 1\nf =~ a1*x1 + x2 + x3\ngroup: 2\nf =~ x1 + b*x2 + x3\nx1 ~~ x2", {}),
    ('f =~ x1 + x2 + equal("f=~x2")*x3', {"groups": 2}),
    ("f =~ NA*l*x + 0*z\nf ~~ 1*f\nx ~ z\nx ~~ 0*x\nf ~ w\ng =~ y1 + y2\ng ~~ f", {"meanstructure": True}),
    ("f =~ x1 + x2 + x3\nx1 ~~ v*x1\nv > 0\nf ~ 0.5*z", {}),
    ("f =~ x1\nf ~ z", {"model_type": "growth"}),
    ("y ~~ 0*x\nu ~~ w + y\ng =~ x + x1:x2", {}),
]


def again(text: str, reading: Reading) -> Reading:
    table = reading.table
    groups = table.groups if len(table.groups) > 1 else None
    return checked(text, model_type="lavaan", groups=groups, meanstructure=table.meanstructure)


def round_trip(text: str, **options: Any) -> None:
    reading = checked(text, **options)
    from_table = table_to_lavaan(reading.table)
    assert again(from_table, reading).dag == reading.dag, from_table
    from_dag = dag_to_lavaan(reading.dag)
    assert again(from_dag, reading).dag == reading.dag, from_dag


@pytest.mark.parametrize("name", references())
def test_reference_models_come_back(name: str):
    case = references()[name]
    round_trip(case["model"], model_type=case["model_type"], **case["options"])


@pytest.mark.parametrize(("text", "options"), MODELS + MORE)
def test_models_come_back(text: str, options: dict[str, Any]):
    round_trip(text, **options)


@pytest.mark.parametrize("seed", range(40))
def test_random_models_come_back(seed: int):
    text, options = random_model(seed)
    round_trip(text, **options)


@pytest.mark.parametrize("parameterization", ["delta", "theta"])
def test_thresholds_come_back(parameterization: str):
    options = {"ordered": {"u1": 2, "u2": 3}, "groups": 2, "group_equal": ["loadings", "thresholds"]}
    reading = checked("f =~ y1 + u1 + u2 + y2", parameterization=parameterization, **options)
    text = table_to_lavaan(reading.table)
    back = checked(text, model_type="lavaan", groups=2, parameterization=parameterization)
    assert back.dag == reading.dag
    with pytest.raises(ModelErrors) as caught:
        dag_to_lavaan(reading.dag)
    assert "`u1` is Categorical" in str(caught.value)


def test_a_table_comes_back_row_by_row_where_nothing_is_exogenous():
    table = read(HOLZINGER, model_type="cfa", meanstructure=True).table
    back = read(table_to_lavaan(table), model_type="lavaan").table
    assert [(r.key, r.free, r.value) for r in back] == [(r.key, r.free, r.value) for r in table]


def test_the_text_says_how_to_read_it():
    text = table_to_lavaan(read("f =~ x1 + a*x2 + x3", groups=["p", "q"]).table)
    assert text.splitlines()[:2] == [
        "# model_type=\"lavaan\", groups=['p', 'q']",
        "f =~ 1*x1 + a*x2 + x3",
    ]


def test_standard_deviations_become_variances():
    dag = from_text(
        "model m\nplate person\ncovariate x[person]\nparameter i, b\nparameter s > 0\n"
        "observed y[person] ~ Normal(i + b*x, s)\n"
    )
    text = dag_to_lavaan(dag)
    assert text.splitlines()[1:] == [
        "y ~ b*x",
        "y ~~ s.variance*y",
        "y ~ i*1",
        "s := sqrt(s.variance)",
    ]
    assert read(text, model_type="lavaan", unit="person").table.free == 3


def test_constants_are_numbers():
    dag = from_text(
        "model m\nplate r\nconstant k = 2\nparameter a, v\nf[r] ~ Normal(0, 1)\n"
        "observed y[r] ~ Normal(a + k*f, sqrt(v))\n"
    )
    text = dag_to_lavaan(dag)
    assert "f =~ 2*y" in text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("a ~ Normal(0, 1)\nobserved y[r] ~ Normal(a, 1)", "no priors"),
        ("parameter a\nobserved y[r] ~ Poisson(a)", "`y` is Poisson(a)"),
        ("parameter a, b\ncovariate x[r]\nobserved y[r] ~ Normal(a*b*x, 1)", "coefficient `a*b`"),
        ("parameter a, b\ncovariate x[r]\nobserved y[r] ~ Normal(a*x + b*x, 1)", "`x` stands in the mean"),
        ("parameter a\ncovariate x[r]\nobserved y[r] ~ Normal(exp(a*x), 1)", "mean `exp(a*x"),
        ("parameter a\ncovariate x[r], z[r]\nobserved y[r] ~ Normal(a*x*z, 1)", "which lavaan cannot say"),
        ("parameter a, b\nobserved y[r] ~ Normal(a + b, 1)", "mean `a + b`"),
        ("parameter a\nobserved y[r] ~ Normal(0, sqrt(a**2))", "variance `a**2`"),
        (
            "parameter a, b\nobserved y[r] ~ Normal(0, 1)\nobserved z[r] ~ Normal(0, 1)\ny ~~ z = a*b",
            "covariance",
        ),
        ("parameter a\nobserved y[r] ~ Normal(0, 1)", "`a` stands in no law"),
        ("covariate x[r]\nobserved y[r] ~ Normal(0, 1)", "`x` stands in no law"),
        ("plate k\nparameter a[k]\nobserved y[r, k] ~ Normal(a, 1)", "`y` lies on r, k"),
        ("parameter a simplex\nobserved y[r] ~ Normal(0, 1)", "is declared simplex"),
        ("parameter a, b\ncovariate x[r]\nf[r] = a*b*x\nobserved y[r] ~ Normal(f, 1)", "`f` is a function"),
        ("parameter a\nobserved y[r] ~ Normal(a, 1)\nq = cloglog(a)", "`q` is `cloglog(a)`"),
    ],
)
def test_what_lavaan_cannot_say_is_named(body: str, words: str):
    if "simplex" in body:
        body = "plate k = 1..3\n" + body.replace("a simplex", "a[k] simplex")
    with pytest.raises(ModelErrors) as caught:
        dag_to_lavaan(from_text(f"model m\nplate r\n{body}\n"))
    said = str(caught.value)
    assert words in said or ("simplex" in words and "lies on k" in said)
    assert all(e.hint for e in caught.value.exceptions)  # type: ignore[attr-defined]


def can_be_said(path: Path) -> bool:
    try:
        dag_to_lavaan(from_text(path.read_text(encoding="utf-8")))
    except ModelErrors:
        return False
    return True


def test_which_models_of_the_repository_can_be_said():
    """A factor model on one plate; crossed, long, discrete, dynamic and Bayesian ones have no lavaan text."""
    specs = sorted((Path(__file__).parents[2] / "specs").glob("*.dag"))
    assert specs
    assert [p.name for p in specs if can_be_said(p)] == ["abilities.dag"]
