"""lavaan's syntax: every operator and modifier, and every slip with its place."""

from __future__ import annotations

from typing import Any

import pytest

from dagmodels.errors import ModelErrors
from dagmodels.graph.expression import Binary, Number, Reference
from dagmodels.readers.lavaan.modifiers import Modifiers
from dagmodels.readers.lavaan.parse import Block, Constraint, Element, parse


def elements(text: str) -> list[tuple[str, Modifiers]]:
    return [(f"{e.lhs} {e.op} {e.rhs}".strip(), e.modifiers) for e in parse(text) if isinstance(e, Element)]


def names(text: str) -> list[str]:
    return [name for name, _ in elements(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f =~ x1 + x2", ["f =~ x1", "f =~ x2"]),
        ("f =~ x1 +\n x2", ["f =~ x1", "f =~ x2"]),
        ("f =~ x1\n + x2", ["f =~ x1", "f =~ x2"]),
        ("f =~\n x1 + # the first\n ! the second\n x2", ["f =~ x1", "f =~ x2"]),
        ("f\n =~ x1", ["f =~ x1"]),
        ("f =~ x1; g =~ x2", ["f =~ x1", "g =~ x2"]),
        ("a + b ~ x + z", ["a ~ x", "a ~ z", "b ~ x", "b ~ z"]),
        ("a ~ 1", ["a ~1"]),
        ("a~1+x", ["a ~1", "a ~ x"]),
        ("a + b ~ 0*1", ["a ~1", "b ~1"]),
        ("a ~ 0", ["a ~1"]),
        ("a ~~ b + c", ["a ~~ b", "a ~~ c"]),
        ("u | t1 + t2", ["u | t1", "u | t2"]),
        ("u ~*~ u", ["u ~*~ u"]),
        ("c <~ x1 + x2", ["c <~ x1", "c <~ x2"]),
        ("y ~ x:z + w", ["y ~ x:z", "y ~ w"]),
        ("h =~ 0", ["h =~ h"]),
        ("x:z ~~ x:z + w", ["x:z ~~ x:z", "x:z ~~ w"]),
        ("größe.neu ~ _x + .y", ["größe.neu ~ _x", "größe.neu ~ .y"]),
        ("y ~ c(1,\n 2)*x", ["y ~ x"]),
        ("f =~ x + a*x", ["f =~ x"]),
        ("\ufefff =~ x1\r\n f \u02dc z", ["f =~ x1", "f ~ z"]),
    ],
)
def test_formulas(text: str, expected: list[str]):
    assert names(text) == expected


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("a*x", {"label": ("a",)}),
        ('"a"*x', {"label": ("a",)}),
        ("label('a')*x", {"label": ("a",)}),
        ('equal("f=~x1")*x', {"label": ("f=~x1",)}),
        ('equal("f =~ x1")*x', {"label": ("f=~x1",)}),
        ("1*x", {"fixed": (1.0,)}),
        ("-1*x", {"fixed": (-1.0,)}),
        ("+.5e1*x", {"fixed": (5.0,)}),
        ("2/3*x", {"fixed": (2 / 3,)}),
        ("sqrt(2)*x", {"fixed": (2**0.5,)}),
        ("(1 + 2)*x", {"fixed": (3.0,)}),
        ("2^3*x", {"fixed": (8.0,)}),
        ("-2^2*x", {"fixed": (-4.0,)}),
        ("2*3*x", {"fixed": (6.0,)}),
        ("fixed(0.5)*x", {"fixed": (0.5,)}),
        ("NA*x", {"fixed": (None,)}),
        ("start(0.5)*x", {"start": (0.5,)}),
        ("start(c(0.5, 0.6))*x", {"start": (0.5, 0.6)}),
        ("0.5?x", {"start": (0.5,)}),
        ("c(0.5, 1)?x", {"start": (0.5, 1.0)}),
        ("c(a, b)*x", {"label": ("a", "b")}),
        ('c("a", "b")*x', {"label": ("a", "b")}),
        ("c(a, NA)*x", {"label": ("a", "")}),
        ("c(1, NA)*x", {"fixed": (1.0, None)}),
        ("lower(0)*x", {"lower": (0.0,)}),
        ("upper(2)*x", {"upper": (2.0,)}),
        ("a*start(0.5)*x", {"label": ("a",), "start": (0.5,)}),
        ("NA*x + a*x + 0.1?x", {"fixed": (None,), "label": ("a",), "start": (0.1,)}),
        ("1*x + 2*x", {"fixed": (2.0,)}),
    ],
)
def test_modifiers(term: str, expected: dict[str, Any]):
    assert elements(f"f =~ {term}") == [("f =~ x", Modifiers(**expected))]


def test_an_intercept_takes_modifiers():
    assert elements("y ~ a*1 + 0.5*x") == [
        ("y ~1", Modifiers(label=("a",))),
        ("y ~ x", Modifiers(fixed=(0.5,))),
    ]
    assert elements("y ~ 0") == [("y ~1", Modifiers(fixed=(0.0,)))]


def test_constraints_and_definitions():
    found = [s for s in parse("ab := a*b\na == 2*b - 1\n a > 0; b < exp(1)") if isinstance(s, Constraint)]
    assert [(c.lhs, c.op, c.rhs) for c in found] == [
        ("ab", ":=", "a*b"),
        ("a", "==", "2*b-1"),
        ("a", ">", "0"),
        ("b", "<", "exp(1)"),
    ]
    assert found[0].right == Binary("*", Reference("a"), Reference("b"))
    assert found[2].right == Number(0)
    assert [c.line for c in found] == [1, 2, 3, 3]


def test_powers_bind_tighter_than_signs_and_to_the_right():
    (found,) = parse("q := -a^2^b + (c - d)/2")
    assert isinstance(found, Constraint)
    assert str(found.right) == "-a**2**b + (c - d)/2"


def test_blocks():
    found = parse('group: 1\nlevel: within\ny ~ x\nGroup: "a b"\ny ~ z')
    assert [(b.kind, b.label, b.line) for b in found if isinstance(b, Block)] == [
        ("group", "1", 1),
        ("level", "within", 2),
        ("group", "a b", 4),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("f =~ x1 + + x2", 1, 11, "missing beside '+'"),
        ("f =~ x1 +", 1, 9, "missing beside '+'"),
        ("\n y = x", 2, 4, "write =="),
        ("y <= 2", 1, 3, "write <"),
        ("y ~ x - z", 1, 7, "never subtracted"),
        ("y ~ 2", 1, 5, "write 2*1"),
        ("f =~ 2", 1, 6, "no variable"),
        ("a ~~ 1", 1, 6, "intercept"),
        ('y ~ rv("s")*x', 1, 5, "rv"),
        ('efa("a")*f =~ x', 1, 1, "efa"),
        ('f =~ prior("normal(0,1)")*x', 1, 6, "prior"),
        ("f =~ strat(2)*x", 1, 6, "did you mean 'start'"),
        ("groop: 1\ny ~ x", 1, 1, "did you mean 'group:'"),
        ("group:\n", 1, 6, "number or label"),
        ("f ~ x y", 1, 7, "missing before it"),
        ("x1 + x2", 1, 1, "no operator"),
        ("`a b` ~ x", 1, 1, "backquotes"),
        ('y ~ "x', 1, 5, "not closed"),
        ("y ~ a*", 1, 6, "no variable"),
        ("y ~ *x", 1, 5, "Nothing stands before '*'"),
        ("y ~ c(1, a)*x", 1, 5, "mixes"),
        ("y ~ c(1, )*x", 1, 10, "empty place"),
        ("y ~ start(a)*x", 1, 11, "no number"),
        ('y ~ start("a")*x', 1, 11, "no number"),
        ("y ~ start()*x", 1, 5, "empty"),
        ("y ~ 1/0*x", 1, 5, "finite"),
        ("y ~ 1e999*x", 1, 5, "finite"),
        ("y ~ sqrt(-1)*x", 1, 5, "finite"),
        ("y ~ (a*x", 1, 5, "not closed"),
        ("y ~ a)*x", 1, 6, "not opened"),
        ("y ~ x ~ z", 1, 7, "second operator"),
        ("a == b == c", 1, 8, "second '=='"),
        ("a := b +", 1, 9, "too early"),
        ("a + b := c", 1, 1, "defines one name"),
        ("a := sin(b)", 1, 6, "No function"),
        ("a := 1e999", 1, 6, "no finite number"),
        ("a := b" + " + b" * 200, 1, 6, "too many terms"),
        ("NA ~ x", 1, 1, "word of R"),
        ("y ~ a:b:c", 1, 5, "more than two"),
        ("y ~ $x", 1, 5, "no part"),
        ("~ x", 1, 1, "Nothing stands before"),
        ("y ~", 1, 3, "Nothing stands after"),
        ("y ~ y", 1, 5, "itself"),
        ("c <~ x + c", 1, 10, "itself"),
        ("f =~ x + NA*f", 1, 13, "its own indicator"),
        ("u | x1", 1, 5, "thresholds are"),
        ("u ~*~ v", 1, 7, "scale of one"),
        ("2*f =~ x", 1, 1, "left side"),
        ("", 1, 1, "empty"),
        ("# only a comment", 1, 1, "empty"),
    ],
)
def test_slips_have_a_place_and_a_hint(text: str, line: int, column: int, words: str):
    with pytest.raises(ModelErrors) as caught:
        parse(text)
    error = caught.value.exceptions[0]
    assert (error.line, error.column) == (line, column)  # type: ignore[attr-defined]
    assert words in str(error)
    assert error.hint  # type: ignore[attr-defined]


def test_slips_come_all_at_once():
    with pytest.raises(ModelErrors) as caught:
        parse("f =~ x1 + + x2\ny = x\nz ~ strat(2)*x\nok ~ x\ngroop: 1")
    assert [e.line for e in caught.value.exceptions] == [1, 2, 3, 5]  # type: ignore[attr-defined]


def said(text: str, name: str | None = None) -> str:
    with pytest.raises(ModelErrors) as caught:
        parse(text, name)
    return str(caught.value)


def test_the_file_is_named():
    assert "m.lav:1:3" in said("y = x", "m.lav")


@pytest.mark.parametrize("text", ["(" * 100, "a := " + "(" * 100, "a := " + "-" * 100 + "b", "y ~ x" * 3])
def test_deep_or_odd_texts_end(text: str):
    with pytest.raises(ModelErrors):
        parse(text)


def test_nothing_is_evaluated():
    assert "No function" in said("a := __import__(b)")
    assert "No modifier" in said("y ~ eval(1)*x")
