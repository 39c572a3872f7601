"""Slips of the pen, the rules of the text form, and texts that nobody should trust."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from dagmodels.errors import ModelErrors
from dagmodels.graph import expression as ex
from dagmodels.graph import parsing, scanning
from dagmodels.graph import statement as st
from dagmodels.graph.resolve import MAX_DEPTH
from dagmodels.readers import read

SEE = "see the rules of the language in docs/language.md"
BACKQUOTES = "write it in backquotes: `plate`"

SLIPS = [
    (
        "y Normal(0, 1)",
        1,
        3,
        "Expected `~`, found `Normal`.",
        "write `~` between the node and its distribution",
    ),
    ("y <- 2", 1, 3, "`<-` is not used here.", "write `=` for a definition, or `~` before a distribution"),
    ("y := 2", 1, 3, "`:=` is not used here.", "write `=` for a definition"),
    ("y = a^2", 1, 6, "`^` is no operator.", "write `**` for a power"),
    ("y ~ Normal(0, 1);", 1, 17, "`;` does not end a statement.", "end it with its line and drop the `;`"),
    ("y = (a", 1, 5, "`(` is never closed.", "add the missing `)`"),
    (
        "y = exp(a\nx ~ Normal(0, 1)",
        1,
        8,
        "`(` is never closed.",
        "add the missing `)`, perhaps at the end of line 2",
    ),
    ("y = a)", 1, 6, "`)` closes no bracket.", "remove it or open a `(` before it"),
    ("y = (a]", 1, 7, "`]` does not close `(`.", "every bracket closes its own kind"),
    ("plate plate", 1, 7, "`plate` is a word of the language and cannot be a name.", BACKQUOTES),
    ("plate ~ Normal(0, 1)", 1, 1, "`plate` is a word of the language and cannot be a name.", BACKQUOTES),
    ("y = plate + 2", 1, 5, "`plate` is a word of the language and cannot be a name.", BACKQUOTES),
    (
        "y ~ mu + e",
        1,
        8,
        "A distribution such as Normal(0, 1) must follow `~`.",
        "write `=` if this is the definition of a deterministic node",
    ),
    (
        "y ~ Normal(0, 1) + e",
        1,
        18,
        "After a distribution the statement must end, found `+`.",
        "put the expression inside the distribution's arguments, or end the line here",
    ),
    (
        "observed parameter x",
        1,
        10,
        "A parameter is unknown and cannot be observed.",
        "give the node a distribution, or declare it as `covariate`",
    ),
    ("observed covariate x", 1, 10, "A covariate is never marked `observed`.", "drop `observed`"),
    ("y = 2x", 1, 5, "`2x` is neither a number nor a name.", "write 2*x"),
    ("y = 'yes'", 1, 5, "Text stands in double quotes.", "write \"...\" instead of '...'"),
    ("y = a < b < c", 1, 11, "Comparisons cannot be chained.", "multiply two of them: (a < b)*(b < c)"),
    (
        "parameter s >= 0",
        1,
        13,
        "Bounds of a parameter are closed: `>` includes the bound.",
        "write `>` instead of `>=`",
    ),
    (
        "y[t+1] ~ Normal(0, 1)",
        1,
        4,
        "A head names plates, levels and first elements, not lags.",
        "write the head with the plate alone, and lags after `~` or `=`",
    ),
    ("y[1.5] = 3", 1, 3, "A level is a whole number, not 1.5.", "write a whole number"),
    ("y in k = 3", 1, 1, "`in k` stands only before `~`.", "drop `in k`"),
    (
        "y = exp(a for i)",
        1,
        5,
        "`for` stands only in sum, prod and mean, not in exp.",
        "write sum(... for plate)",
    ),
    (
        "y = sum(a, b for i)",
        1,
        5,
        "sum(... for ...) has one expression before `for`.",
        "write sum(x for plate)",
    ),
    ("y ~ sum(a for i)", 1, 1, "sum(... for ...) is no distribution.", "write `=` before an expression"),
    (
        "y ~ Normal(mu=0, 1)",
        1,
        5,
        "An argument of Normal without a name follows one with a name.",
        "write the arguments without names first",
    ),
    ('y = "abc', 1, 5, "The text in double quotes does not end on its line.", 'close it with "'),
    ("y = `abc", 1, 5, "The name in backquotes does not end on its line.", "close it with `"),
    (
        'y = "\\q"',
        1,
        5,
        '"\\q" has an escape that does not exist.',
        'write \\" for a quote and \\\\ for a backslash',
    ),
    ("y = 1e999", 1, 5, "1e999 is too large for a number.", "the largest is about 1.8e308"),
    ("plate a = 3..1", 1, 1, "The range 3..1 has no element.", "write the smaller number first"),
    ("constant c = a", 1, 14, "Expected `[`, `+` or `-` or a number, found `a`.", SEE),
    ("~ Normal(0, 1)", 1, 1, "Expected a statement, found `~`.", SEE),
    ("model two", 1, 1, "A text holds one model; this is a second `model` line.", "split the text"),
    ('data "a"\ndata "b"', 2, 1, "A model has one `data` line; this is a second.", "remove one of them"),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), SLIPS, ids=[s[0] for s in SLIPS])
def test_slip(text: str, line: int, column: int, message: str, hint: str):
    with pytest.raises(ModelErrors) as caught:
        parsing.statements("model m\n" + text, "some.dag")
    found = [(e.message, e.line, e.column, e.hint, e.source) for e in caught.value.exceptions]
    assert found == [(message, line + 1, column, hint, "some.dag")]


def test_all_slips_of_a_text_come_at_once():
    with pytest.raises(ModelErrors) as caught:
        read("model m\ny <- 2\nx ~ Normal(0, 1)\nz = a^2\nw = )\nu Normal(0, 1)\n")
    assert [(e.line, e.column) for e in caught.value.exceptions] == [(2, 3), (4, 6), (5, 5), (6, 3)]
    assert str(caught.value).startswith(
        "4 problems in model 'm':\n  line 2, column 3: `<-` is not used here."
    )


def test_a_text_begins_with_model():
    with pytest.raises(ModelErrors) as caught:
        read("y ~ Normal(0, 1)\nx = y\n")
    assert [(e.message, e.line) for e in caught.value.exceptions] == [
        ("The text does not begin with `model NAME`.", 1)
    ]


def test_lines_go_on_inside_brackets_only():
    dag = read("model m\ny ~ Normal(  # mean\n   0,\n\n 1  # sd\n)  # of y\r\nx = (y\n  + 1)")
    assert dag == read("model m\ny ~ Normal(0, 1)\nx = y + 1")
    assert [s.note for s in dag.statements] == ["of y", ""]


def test_words_are_words_only_where_expected():
    text = """model start
plate first ordered
plate ordered
covariate as[first], simplex[ordered]
start[first first] ~ Normal(0, 1)
start[first] ~ Normal(start[first-1] + as, 1)
parameter correlation[ordered] ordered start 0.5
data = sum(simplex for ordered)
sum, mean = data
model.x, plate.y = sum + mean
"""
    dag = read(text)
    assert read(str(dag)) == dag
    assert set(dag.nodes) >= {"start", "as", "simplex", "correlation", "data", "sum", "model.x", "plate.y"}


def test_backquotes_make_any_name():
    dag = read("model `my model`\nplate `a b`\n`plate`[`a b`] ~ Normal(`x#1`, 1)\n`x#1` ~ Flat()\n")
    assert dag.name == "my model"
    assert list(dag.nodes) == ["plate", "x#1"]
    assert read(str(dag)) == dag
    assert "`plate`[`a b`] ~ Normal(`x#1`, 1)" in str(dag)


def test_places_are_those_of_the_heads():
    dag = read("model m\n\n  plate a\n\tx, y ~ Normal(0, 1)\n")
    assert [(s.place.line, s.place.column) for s in dag.statements if s.place] == [(4, 2), (4, 5)]
    assert dag.plate["a"].place is not None
    assert (dag.plate["a"].place.line, dag.plate["a"].place.column) == (3, 9)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("-x**2", ex.Unary("-", ex.Binary("**", ex.Reference("x"), ex.Number(2)))),
        ("2**-x", ex.Binary("**", ex.Number(2), ex.Unary("-", ex.Reference("x")))),
        (
            "a - b - c",
            ex.Binary("-", ex.Binary("-", ex.Reference("a"), ex.Reference("b")), ex.Reference("c")),
        ),
        ("a/b*c", ex.Binary("*", ex.Binary("/", ex.Reference("a"), ex.Reference("b")), ex.Reference("c"))),
        (
            "a**b**c",
            ex.Binary("**", ex.Reference("a"), ex.Binary("**", ex.Reference("b"), ex.Reference("c"))),
        ),
        ("-a*b", ex.Binary("*", ex.Unary("-", ex.Reference("a")), ex.Reference("b"))),
        (
            "a + b < c",
            ex.Binary("<", ex.Binary("+", ex.Reference("a"), ex.Reference("b")), ex.Reference("c")),
        ),
        ('x == "a\\"b"', ex.Binary("==", ex.Reference("x"), ex.Text('a"b'))),
        ("1e-3", ex.Number(0.001)),
        ("x[t-2]", ex.Reference("x", (ex.LagIndex("t", 2),))),
        ("x[-2]", ex.Reference("x", (ex.LevelIndex(-2),))),
        (
            "mu[z[i]]",
            ex.Reference("mu", (ex.NodeIndex(ex.Reference("z", (ex.NodeIndex(ex.Reference("i")),))),)),
        ),
        ("sum(x for i, j)", ex.Reduction("sum", ex.Reference("x"), ("i", "j"))),
        ("[1, [2]]", ex.Vector((ex.Number(1), ex.Vector((ex.Number(2),))))),
    ],
)
def test_expressions_parse_as_on_paper(text: str, tree: ex.Expression):
    assert parsing.expression(text) == tree


def test_operators_and_text_give_equal_trees():
    a, b = ex.Reference("a"), ex.Reference("b")
    assert parsing.expression("-a + 2*b/3 - b**-1") == -a + 2 * b / 3 - b ** ex.as_expression(-1)
    assert parsing.expression("a <= b + 1") == (a <= b + 1)
    assert parsing.expression("a == b") == ex.equal(a, b)


@pytest.mark.parametrize("text", ["", "  ", "a b", "Normal(0, sigma=1)", "a\n+ ;"])
def test_what_is_no_expression_is_refused(text: str):
    with pytest.raises(ModelErrors):
        parsing.expression(text)


def test_several_names_share_a_right_hand_side():
    dag = read("model m\nplate k = 1..2\nparameter w[k], s > 0\nw[1], v = 2\n")
    assert [type(s) for s in dag.statements] == [
        st.Parameter,
        st.Parameter,
        st.Deterministic,
        st.Deterministic,
    ]
    assert dag.nodes["v"].plates == ()
    assert dag.nodes["w"].kind == "parameter"


# -- untrusted texts


def test_deep_brackets_are_refused():
    deep = "(" * 5000 + "1" + ")" * 5000
    with pytest.raises(ModelErrors) as caught:
        read(f"model m\nx = {deep}\n")
    error = caught.value.exceptions[0]
    assert error.message == f"Brackets are nested more than {scanning.MAX_BRACKETS} deep."
    assert (error.line, error.column) == (2, 5 + scanning.MAX_BRACKETS)


@pytest.mark.parametrize("text", ["-" * 5000 + "1", "+".join(["1"] * 5000), "**".join(["1"] * 5000)])
def test_deep_trees_are_refused(text: str):
    with pytest.raises(ModelErrors) as caught:
        read(f"model m\nx = {text}\n")
    error = caught.value.exceptions[0]
    assert error.message == f"An expression is nested more than {MAX_DEPTH} deep."
    assert error.node == "x"


def test_a_sum_of_many_terms_is_not_too_deep():
    dag = read("model m\nx = " + " + ".join(["1"] * MAX_DEPTH) + "\n")
    assert hash(dag) == hash(read(str(dag)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "#" * scanning.MAX_TEXT,
            f"The text has {scanning.MAX_TEXT + 8} characters; a model may have 2000000.",
        ),
        ("x = 1\n" * (scanning.MAX_STATEMENTS + 1), "The text has more than 50000 statements."),
        ("plate a = 1..1000000000000\n", "The range 1..1000000000000 has more than 1000000 levels."),
        ("x = " + "9" * 400, "The number has too many digits."),
    ],
    ids=["characters", "statements", "levels", "digits"],
)
def test_what_is_too_large_is_refused(text: str, message: str):
    with pytest.raises(ModelErrors) as caught:
        read("model m\n" + text)
    assert [e.message for e in caught.value.exceptions] == [message]


def test_no_code_is_evaluated(tmp_path: Path):
    target = tmp_path / "made"
    for text in (
        f"open('{target}', 'w')",
        "__import__('os')",
        "x.__class__",
        "(lambda: 0)()",
        "[i for i in x]",
    ):
        with pytest.raises(ModelErrors):
            read(f"model m\ny = {text}\n")
    assert not target.exists()
    source = "".join(p.read_text() for p in (Path(parsing.__file__).parent).rglob("*.py"))
    assert not re.search(r"(?<![\w.])(?:eval|exec)\(", source)


def test_damaged_texts_give_models_or_model_errors():
    """Random damage to the classical models: never another exception, and every fault has a hint."""
    rng = random.Random(20)
    texts = [p.read_text() for p in sorted(Path(__file__).parents[1].glob("models/*.dag"))]
    parts = [re.findall(r"\s+|\w+|.", text) for text in texts]
    words = [w for p in parts for w in p if w.strip()]
    refused, lacking = 0, list[Exception]()
    for _ in range(150):
        tokens = list(rng.choice(parts))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(tokens))
            tokens[at : at + rng.randint(0, 1)] = [rng.choice(words)] * rng.randint(0, 1)
        try:
            dag = read("".join(tokens) + "\n")
        except ModelErrors as errors:
            refused += 1
            lacking += [e for e in errors.exceptions if not (e.message and e.hint)]
        else:
            assert read(str(dag)) == dag
    assert lacking == []
    assert 50 < refused < 150
