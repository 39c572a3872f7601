"""Text of a formula -> tree -> text as R prints it, and what is said when it cannot be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagmodels.errors import ModelErrors
from dagmodels.readers.formula.deparse import deparse
from dagmodels.readers.formula.formula import read_formula
from dagmodels.readers.formula.syntax import Call, Name, Node, Number, Op, Text, parse


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("Reaction~Days+(Days|Subject)", "Reaction ~ Days + (Days | Subject)"),
        ("y ~ a*b:c + (1||g/h)", "y ~ a * b:c + (1 || g/h)"),
        ("y ~ I(x**2)+poly(x,degree=2,raw=TRUE)", "y ~ I(x^2) + poly(x, degree = 2, raw = TRUE)"),
        ("`my y` ~ `a b` - 1 + (0 + x | g:h)", "`my y` ~ `a b` - 1 + (0 + x | g:h)"),
        ("cbind(a, b - a) ~ -1 + C(f, 'sum')", 'cbind(a, b - a) ~ -1 + C(f, "sum")'),
        ("y ~ .5*x + 1e-3 + (1|g)", None),
    ],
)
def test_printed_as_r_prints_it(text: str, printed: str | None):
    left, right = parse(text)
    told = f"{deparse(left)} ~ {deparse(right)}"
    assert told == (printed or "y ~ 0.5 * x + 0.001 + (1 | g)")
    assert parse(told) == (left, right)


def test_precedence_is_that_of_r():
    a, b, c = Name("a"), Name("b"), Name("c")
    assert parse("~ a + b * c")[1] == Op("+", (a, Op("*", (b, c))))
    assert parse("~ a * b : c")[1] == Op("*", (a, Op(":", (b, c))))
    assert parse("~ -a : b")[1] == Op(":", (Op("-", (a,)), b))
    assert parse("~ -a ^ b")[1] == Op("-", (Op("^", (a, b)),))
    assert parse("~ a ^ b ^ c")[1] == Op("^", (a, Op("^", (b, c))))
    assert parse("~ a - b - c")[1] == Op("-", (Op("-", (a, b)), c))
    assert parse("~ a + b | c / a")[1] == Op("|", (Op("+", (a, b)), Op("/", (c, a))))
    assert parse("~ a %in% b * c")[1] == Op("*", (Op("%in%", (a, b)), c))
    assert parse("~ a + b > c")[1] == Op(">", (Op("+", (a, b)), c))


NAMES = st.sampled_from(["x", "y", "a.b", "._1", "my col", "x1"]).map(Name)
LEAVES = NAMES | st.integers(0, 9).map(Number) | st.sampled_from(["u", "v w"]).map(Text)


def _grown(parts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    brackets = parts.map(lambda n: Op("(", (n,)))
    pairs = st.tuples(st.sampled_from(["+", "-", "*", "/", ":", "^", "|", "=="]), brackets, brackets)
    calls = st.lists(st.tuples(st.sampled_from(["", "df"]), parts), max_size=3)
    return (
        pairs.map(lambda p: Op(p[0], (p[1], p[2])))
        | calls.map(lambda arguments: Call("f", tuple(arguments)))
        | brackets.map(lambda n: Op("-", (n,)))
    )


@given(st.recursive(LEAVES, _grown, max_leaves=12))
def test_what_is_printed_reads_back(node: Node):
    assert parse(f"~ {deparse(node)}") == (None, node)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("y", "line 1, column 2: there is no '~'.", "write response ~ terms"),
        ("y ~ x +", "line 1, column 8: the formula ends too early.", "a term or a bracket is missing"),
        ("y ~ (x", "line 1, column 7: a bracket is not closed.", "add ')'"),
        ("y ~ x)", "line 1, column 6: ')' does not belong here.", "an operator or a bracket is missing"),
        ("y ~ x ~ z", "line 1, column 7: '~' does not belong here.", "a formula has one '~'"),
        ("y ~ x @ z", "line 1, column 7: '@' is no part of a formula.", "check the spelling"),
        ("y ~ x %o% z", "line 1, column 7: '%o%' is not known.", "only %in% is"),
        ("", "line 1, column 1: the formula ends too early.", "a term or a bracket is missing"),
        ("y ~ " + "(" * 80 + "x" + ")" * 80, "brackets are nested too deeply.", "write it flatter"),
    ],
)
def test_faults_have_their_column_and_a_hint(text: str, message: str, hint: str):
    with pytest.raises(ModelErrors) as caught:
        read_formula(text)
    (error,) = caught.value.exceptions
    assert message in str(error)
    assert error.hint == hint


def test_long_sums_are_read():
    columns = [f"x{i}" for i in range(3000)]
    formula = read_formula("y ~ " + " + ".join(columns) + " + (1 | g)")
    assert formula.fixed.terms == tuple((c,) for c in columns)
    assert formula.text.endswith("x2998 + x2999 + (1 | g)")


def test_a_formula_is_read_once():
    assert read_formula("y ~ x + (1 | g)") is read_formula("y ~ x + (1 | g)")
