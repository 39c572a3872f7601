"""Bad input in whole sentences: what is wrong, where, and what to do next; nothing that is not so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars
import pytest

import dagmodels as dm

MODEL = """model small
plate g
plate r in g
covariate x[r]
parameter m, b
parameter tau, s > 0
u[g] ~ Normal(0, tau)
observed y[r] ~ Normal(m + b*x + u[g], s)
"""
RNG = np.random.default_rng(0)
DATA = {"g": list("aabbcc") * 2, "x": RNG.normal(size=12).round(3), "y": RNG.normal(size=12).round(3)}
COVARIATES = {"g": DATA["g"], "x": DATA["x"]}
VALUES = {"m": 0, "b": 1, "tau": 1, "s": 1}


def told(action) -> list[str]:
    """All that is complained of."""
    with pytest.raises(dm.ModelErrors) as caught:
        action()
    return [str(e) for e in caught.value.exceptions]


def rows(delimiter, comma="."):
    lines = (
        f"{g}{delimiter}{x}{delimiter}{y}".replace(".", comma) for g, x, y in zip(*DATA.values(), strict=True)
    )
    return "\n".join([f"g{delimiter}x{delimiter}y", *lines]) + "\n"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "ragged.csv",
            "g,x,y\na,1,2\nb,1\n",
            "ragged.csv: row 2 has 2 fields, the header 3 (quote fields that",
        ),
        ("ragged.csv", "g;x;y\na;1;2\nb;1\n", "hold the delimiter, here the semicolon)"),
        ("empty.csv", "", "empty.csv is empty (its first line names the columns)"),
        ("latin.csv", b"g,x,y\n\xe4,1,2\n", "latin.csv is not UTF-8 text: byte 6 (save it as UTF-8)"),
        ("absent.csv", None, "no data file '"),
        ("data.xyz", "g", "data.xyz: unknown kind of data file (write it as .csv, .parquet or .json)"),
    ],
)
def test_data_that_cannot_be_read_are_complained_of_once(tmp_path, file, text, message):
    if text is not None:
        (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    (only,) = told(lambda: dm.read(MODEL).fit(tmp_path / file))
    assert message in only
    (only,) = told(lambda: dm.read(MODEL).fit({"g": {"g": ["a"]}, "r": tmp_path / "other.csv"}))
    assert "no data file" in only


def test_an_unseen_level_of_an_outer_plate_is_one_problem():
    stated = dm.read(MODEL.replace("plate g\n", 'plate g = "a", "b"\n'))
    assert told(lambda: stated.check(DATA)) == [
        "line 2, column 7: the data: 'c' in row 5 of column 'g' is no level of plate 'g' "
        "(the levels are a, b)"
    ]


@pytest.mark.parametrize(
    ("column", "hint"),
    [("x", "(give a finite number)"), ("y", "(give a finite number, or leave it missing)")],
)
def test_infinite_values_come_with_a_hint(column, hint):
    (only,) = told(lambda: dm.read(MODEL).check({**DATA, column: [1, np.inf] * 6}))
    assert only.endswith(f"inf in row 2 of '{column}' and 5 others is infinite {hint}")


@pytest.mark.parametrize(
    ("values", "told_of", "hint"),
    [
        (
            [1, 2.5],
            "2.5 in row 2 of 'y' is no whole number, but Poisson counts",
            "a law of continuous values",
        ),
        ([1, -2], "-2 in row 2 of 'y' is below 0, the least value of Poisson", "choose another law"),
    ],
)
def test_values_outside_a_support_come_with_a_hint(values, told_of, hint):
    (only,) = told(lambda: dm.read("model m\nplate i\nobserved y[i] ~ Poisson(2)").check({"y": values}))
    assert told_of in only
    assert hint in only


def test_a_column_that_prediction_lacks_comes_with_a_hint():
    fit = dm.read(MODEL).fit_quietly(DATA)
    (only,) = told(lambda: fit.predict(pd.DataFrame({"g": ["a"]})))
    assert only.endswith("the data have no column 'x' for the covariate (the columns are g; add 'x')")


def test_unknown_nodes_in_a_question_come_with_the_nodes():
    assert told(lambda: dm.read(MODEL).d_separated("nothing", "tua")) == [
        "'nothing' is no node (the nodes are x, m, b, tau, s, u, y)",
    ]
    assert told(lambda: dm.read(MODEL).d_separated("y", "tua")) == ["'tua' is no node (did you mean 'tau'?)"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"m": "q"}, "values: 'q' for 'm' is not a number (give a number)"),
        (
            {"u": {"a": "q"}},
            "values: 'q' for 'u' is not a number (give a number for all, an array in the order of its "
            "plates, or {label: number})",
        ),
        (
            {"tau": -1},
            "values: 'tau' is -1, but must not be below 0 (give values={\"tau\": ...} in the parameter's",
        ),
        ({"x": 1}, "values: 'x' is a covariate, which is data (give data={\"x\": ...})"),
    ],
)
def test_bad_values_for_a_simulation_come_with_a_hint(values, message):
    (only,) = told(lambda: dm.read(MODEL).simulate(COVARIATES, values={**VALUES, **values}))
    assert message in only


def test_values_beyond_a_support_and_tables_come_with_a_hint():
    (only,) = told(lambda: dm.read("model m\nx ~ Beta(1, 1)").simulate(values={"x": 3}))
    assert only.endswith("(give a value that Beta can take, or leave it out to draw it)")
    network = 'model m\nplate a = "y", "n"\nx in a ~ Table([0.5, 0.5])\nz in a ~ Table(x)'
    (only,) = told(lambda: dm.read(network).simulate(values={"Table(z)": [1, 2, 3]}))
    assert only.endswith("must be an array of 2 x 2 (its axes are: states of x, its own states)")
    (only,) = told(lambda: dm.read(network).simulate(values={"Table(z)": [[1, 2], [0, 1]]}))
    assert only.endswith("must be probabilities that sum to 1 (divide each row by its sum)")


@pytest.mark.parametrize(
    ("method", "hint"),
    [
        ("laplac", "; did you mean 'laplace'?"),
        ("gibs", "; did you mean 'gibbs', which is not installed either?"),
        ("atuo", "; did you mean 'auto'?"),
        ("gibbs", "(installed: laplace)"),
        ("zzz", "(installed: laplace)"),
    ],
)
def test_a_misspelt_method_is_recognised(monkeypatch, method, hint):
    from dagmodels.dispatch import plan, registry

    laplace = {"laplace": registry.backends()["laplace"]}
    monkeypatch.setattr(plan, "backends", lambda: laplace)
    with pytest.raises(dm.FitError) as caught:
        dm.read(MODEL).fit(DATA, method=method)
    (line,) = [line for line in str(caught.value).split("\n") if "no backend named" in line]
    assert line.endswith(hint)


LONG = "a" * 200_000


@pytest.mark.parametrize(
    "action",
    [
        lambda: dm.read(f"[{LONG}", format="json"),
        lambda: dm.read(f'{{"dagmodels": 1, "{LONG}": 2}}', format="json"),
        lambda: dm.read(LONG),
        lambda: dm.read("b c " * 50_000),
        lambda: dm.read(f"model m\n{LONG} {LONG}"),
        lambda: dm.read(f"model m\ny ~ {LONG}(1)"),
        lambda: dm.read(MODEL, format=LONG),
        lambda: dm.read(MODEL).check(LONG),
        lambda: dm.read(MODEL).check(f"{LONG}.csv"),
        lambda: dm.read(MODEL).check({**DATA, "x": [*DATA["x"][:11], LONG]}),
        lambda: dm.read(MODEL).simulate(COVARIATES, values={LONG: 1}),
        lambda: dm.read(MODEL).simulate(COVARIATES, sizes={LONG: 1}),
        lambda: dm.read(MODEL).fit(DATA, method=LONG),
        lambda: dm.read(MODEL).d_separated(LONG, "y"),
    ],
)
def test_long_input_is_not_echoed_whole(action):
    with pytest.raises(dm.DagmodelsError) as caught:
        action()
    assert len(str(caught.value)) < 1000


def test_json_text_may_begin_with_any_bracket():
    (only,) = told(lambda: dm.read("[1, 2]", format="json"))
    assert only == 'The JSON text holds no model. (the first field is "dagmodels": 1)'


def test_a_nul_byte_is_called_so(tmp_path):
    message = (
        "line 2, column 5: The text holds a NUL byte, which no model has. (save the model as UTF-8 text;"
    )
    (only,) = told(lambda: dm.read("model m\nx ~ \0Normal(0, 1)\n"))
    assert only.startswith(message)
    (tmp_path / "wide.dag").write_bytes(MODEL.encode("utf-16-le"))
    (only,) = told(lambda: dm.read(tmp_path / "wide.dag"))
    assert "wide.dag:1:2: The text holds a NUL byte" in only
    (only,) = told(lambda: dm.read("model\0"))
    assert "is neither a path nor the text of a model" in only


def test_a_series_as_data_is_refused_in_words():
    (only,) = told(lambda: dm.read(MODEL).check(pd.Series([1, 2], name="y")))
    expected = "a Series is one column, not a table (give a data frame, or a dict such as {'y': the series})"
    assert only == f"the data: {expected}"
    (only,) = told(lambda: dm.read(MODEL).check(polars.Series("y", [1, 2])))
    assert only == f"the data: {expected}"


@pytest.mark.parametrize(("delimiter", "comma"), [(",", "."), (";", "."), (";", ","), ("\t", ".")])
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_delimiters_are_recognised(tmp_path, delimiter, comma, ending):
    file = tmp_path / f"data.{ending}"
    file.write_text(rows(delimiter, comma))
    fit = dm.read(MODEL).fit_quietly(file)
    assert fit.log_likelihood == pytest.approx(dm.read(MODEL).fit_quietly(DATA).log_likelihood, rel=1e-12)


def test_a_quoted_delimiter_does_not_part_a_header(tmp_path):
    (tmp_path / "one.csv").write_text('"a;b"\n1\n2\n')
    report = dm.read("model m\nplate i\nobserved `a;b`[i] ~ Normal(0, 1)").check(tmp_path / "one.csv")
    assert "'a;b' has 2 values, none missing." in report.sentences


def test_numbers_written_as_text_are_taken_and_noted():
    report = dm.read(MODEL).check({**DATA, "x": list(map(str, DATA["x"]))})
    assert "The numbers of 'x' are written as text in the data." in report.sentences
    assert not any("as text" in s for s in dm.read(MODEL).check(DATA))
    (only,) = told(lambda: dm.read(MODEL).check({**DATA, "x": ["1", "2", "three"] * 4}))
    assert (
        "the data: 'three' in row 3 of 'x' is not a number (correct it; for labels write `x[r] in PLATE`"
        in only
    )


@pytest.mark.parametrize("kind", ["S", object])
def test_bytes_are_labels_as_text(kind):
    raw = np.array(["ä".encode() if g == "a" else g.encode() for g in DATA["g"]], dtype=kind)
    fit = dm.read(MODEL).fit_quietly({**DATA, "g": raw})
    assert fit.latents["name"].tolist() == ["u[b]", "u[c]", "u[ä]"]
    (only,) = told(lambda: dm.read(MODEL).check({**DATA, "g": [b"\xe4"] * 12}))
    assert "column 'g' holds bytes that are no UTF-8 text" in only
