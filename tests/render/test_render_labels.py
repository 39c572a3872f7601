"""Names in print, numbers, and their escaping."""

import pytest

from dagmodels.render.labels import Symbol, as_html, as_text, escape, number, quote, symbol, symbols


@pytest.mark.parametrize(
    ("name", "base", "subscript", "letter"),
    [
        ("alpha", "α", "", True),
        ("tau_c", "τ", "c", True),
        ("beta1", "β", "1", True),
        ("g0", "g", "0", True),
        ("x10", "x", "10", True),
        ("alpha_star", "α", "star", True),
        ("sigma_alpha", "σ", "α", True),
        ("psi_is", "ψ", "is", True),
        ("x1_a", "x", "1,a", True),
        ("Omega", "Ω", "", True),
        ("Alpha", "Alpha", "", False),
        ("log_x", "log_x", "", False),
        ("log_radon", "log_radon", "", False),
        ("sd1", "sd", "1", False),
        ("sd_i", "sd", "i", False),
        ("sd_log_x", "sd", "log,x", False),
        ("sdi", "sdi", "", False),
        ("alphabet", "alphabet", "", False),
        ("x.1", "x.1", "", False),
        ("xi", "ξ", "", True),
        ("x_", "x_", "", False),
        ("_x", "_x", "", False),
    ],
)
def test_a_name_becomes_a_symbol(name: str, base: str, subscript: str, letter: bool) -> None:
    assert symbol(name) == Symbol(base, subscript, letter)


def test_names_that_would_look_alike_are_shown_as_written() -> None:
    shown = symbols(["beta1", "beta_1", "alpha"])
    assert shown["beta1"] == Symbol("beta1")
    assert shown["beta_1"] == Symbol("beta_1")
    assert shown["alpha"].base == "α"


def test_text_uses_small_digits_and_html_uses_a_lower_line() -> None:
    assert as_text(symbol("beta12")) == "β₁₂"
    assert as_text(symbol("tau_c")) == "τ_c"
    assert as_html(symbol("tau_c")) == '<I>τ</I><SUB><FONT POINT-SIZE="10">c</FONT></SUB>'
    assert as_html(symbol("a<b")) == "a&lt;b"


def test_quotes_backslashes_and_control_characters_are_made_harmless() -> None:
    assert quote('a"b\\') == '"a\\"b\\\\"'
    assert quote("a\nb\x00") == '"a b "'
    assert escape("<&>\t") == "&lt;&amp;&gt; "


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.4657, "1.47"),
        (0.6900, "0.690"),
        (-0.66824, "−0.668"),
        (0.99999, "1.000"),
        (12.345, "12.3"),
        (123.45, "123"),
        (2059.6446, "2060"),
        (98765.4, "98765"),
        (123456.0, "1.23e5"),
        (0.00012345, "1.23e−4"),
        (float("nan"), "?"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
