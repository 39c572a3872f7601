"""Sums of terms by R's rules, and random terms by lme4's."""

from __future__ import annotations

import pytest

from dagmodels.errors import ModelErrors
from dagmodels.readers.formula.formula import read_formula


def fixed(text: str) -> tuple[bool, list[str]]:
    found = read_formula(f"y ~ {text} + (1 | g)").fixed
    return found.intercept, [":".join(t) for t in found.terms]


@pytest.mark.parametrize(
    ("text", "intercept", "terms"),
    [  # attr(terms(y ~ ...), "term.labels") of R 4.2
        ("x", True, ["x"]),
        ("1", True, []),
        ("0 + x", False, ["x"]),
        ("x - 1", False, ["x"]),
        ("-1 + x", False, ["x"]),
        ("0 + x + 1", True, ["x"]),
        ("a*b", True, ["a", "b", "a:b"]),
        ("a:b + a", True, ["a", "a:b"]),
        ("b:a + a + b", True, ["a", "b", "b:a"]),
        ("a/b", True, ["a", "a:b"]),
        ("(a + b)/c", True, ["a", "b", "a:b:c"]),
        ("(a + b + c)^2", True, ["a", "b", "c", "a:b", "a:c", "b:c"]),
        ("a*b*c - a:b:c", True, ["a", "b", "c", "a:b", "a:c", "b:c"]),
        ("a*b - a", True, ["b", "a:b"]),
        ("b %in% a", True, ["b:a"]),
        ("a:a", True, ["a"]),
        ("I(a + b)*c", True, ["I(a + b)", "c", "I(a + b):c"]),
        ("`my x` + log(z)", True, ["`my x`", "log(z)"]),
    ],
)
def test_terms(text: str, intercept: bool, terms: list[str]):
    got, names = fixed(text)
    assert got is intercept
    assert names == terms


def bars(text: str) -> list[tuple[bool, list[str], str]]:
    found = read_formula(f"y ~ x + {text}").bars
    return [(b.effects.intercept, [":".join(t) for t in b.effects.terms], b.group) for b in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(1 | g)", [(True, [], "g")]),
        ("(x | g)", [(True, ["x"], "g")]),
        ("(0 + x | g)", [(False, ["x"], "g")]),
        ("(x - 1 | g)", [(False, ["x"], "g")]),
        ("(x + z || g)", [(True, [], "g"), (False, ["x"], "g"), (False, ["z"], "g")]),
        ("(0 + x || g)", [(False, ["x"], "g")]),
        ("(1 | a/b)", [(True, [], "b:a"), (True, [], "a")]),
        ("(1 | a/b/c)", [(True, [], "c:b:a"), (True, [], "b:a"), (True, [], "a")]),
        ("(1 | a:b)", [(True, [], "a:b")]),
        ("((1 | g))", [(True, [], "g")]),
        ("(1 | g) + (z + (1 | h))", [(True, [], "g"), (True, [], "h")]),
        ("(a*z | g)", [(True, ["a", "z", "a:z"], "g")]),
        ("us(x | g)", [(True, ["x"], "g")]),
        ("(1 | `my g`)", [(True, [], "my g")]),
    ],
)
def test_random_terms(text: str, found: list[tuple[bool, list[str], str]]):
    assert bars(text) == found


def test_structures_and_their_defaults():
    found = read_formula("y ~ diag(x | g) + cs(x | g, hom = TRUE) + ar1(0 + f | h) + ar1(x | h, hom = FALSE)")
    assert [(b.structure, b.equal) for b in found.bars] == [
        ("diag", False),
        ("cs", True),
        ("ar1", True),
        ("ar1", False),
    ]


def test_random_terms_leave_the_fixed_part():
    formula = read_formula("y ~ (1 | g) + x + (z | h) - 1")
    assert (formula.fixed.intercept, formula.fixed.terms) == (False, (("x",),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x | g", "'x | g' stands without brackets"),
        ("x * (1 | g)", "a random term cannot follow '*'"),
        ("x - (1 | g)", "a random term cannot follow '-'"),
        ("(1 | g | h)", "'1 | g | h' has more than one bar"),
        ("(0 | g)", "nothing varies in '0 | g'"),
        ("(1 | 2)", "'2' in '1 | 2' is no grouping factor"),
        ("(1 | a + b)", "'a + b' in '1 | a + b' is no grouping factor"),
        ("toep(x | g)", "the covariance structure toep() has no model here"),
        ("foo(x | g)", "the covariance structure foo() is not known"),
        ("cs(x | g, sd = 2)", "cs() has no argument 'sd'"),
        ("(offset(x) | g)", "offset() in 'offset(x) | g'"),
        ("2*x + (1 | g)", "'2' is no term"),
        (". + (1 | g)", "'.' for all other columns is not supported"),
    ],
)
def test_what_is_no_random_term_is_refused(text: str, message: str):
    with pytest.raises(ModelErrors, match="1 problem in the formula") as caught:
        read_formula(f"y ~ {text}")
    assert message in caught.value.exceptions[0].message
    assert caught.value.exceptions[0].hint
