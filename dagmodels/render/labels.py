"""Names as they are set in print: Greek letters, subscripts, numbers; escaped for each target."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass

_GREEK_NAMES = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda",
    "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)  # fmt: skip
_GREEK_LETTERS = "αβγδεζηθικλμνξπρστυφχψω"
# Capitals that look like Latin letters keep their names: `Alpha` set as "Α" would be read as A.
_CAPITALS = {
    "Gamma": "Γ",
    "Delta": "Δ",
    "Theta": "Θ",
    "Lambda": "Λ",
    "Xi": "Ξ",
    "Pi": "Π",
    "Sigma": "Σ",
    "Upsilon": "Υ",
    "Phi": "Φ",
    "Psi": "Ψ",
    "Omega": "Ω",
}
GREEK = dict(zip(_GREEK_NAMES, _GREEK_LETTERS, strict=True)) | _CAPITALS

_SUBSCRIPT_DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_WORDS = ("sd", "se", "cov", "cor")
_HEAD = "|".join(sorted(GREEK, key=len, reverse=True)) + f"|{'|'.join(_WORDS)}|[A-Za-z]"
_SYMBOL = re.compile(rf"({_HEAD})([0-9]*)((?:_[A-Za-z0-9]+)*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SMALL = 10
"""Points of subscripts, estimates and other second lines."""
SMALLER = 8
"""Points of subscripts within those."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name in print.

    base : the letter, or the whole name where it is a word.
    subscript : what stands below the line, "" when nothing does.
    letter : whether the base is a single letter (set in italics) and not a word (upright).
    """

    base: str
    subscript: str = ""
    letter: bool = False


def symbol(name: str) -> Symbol:
    """A name as a symbol: `tau_c` is τ with subscript c, `g0` is g₀, `log_radon` stays a word.

    Only a single letter, the name of a Greek letter, and `sd`, `se`, `cov`, `cor` (upright) take a
    subscript, so that `log_x` is not mistaken for a logarithm to the base x.
    """
    match = _SYMBOL.fullmatch(name)
    if not match:
        return Symbol(_CONTROL.sub(" ", name))
    head, digits, rest = match.groups()
    parts = [digits] if digits else []
    parts += [GREEK.get(part, part) for part in rest.split("_") if part]
    return Symbol(GREEK.get(head, head), ",".join(parts), letter=head not in _WORDS)


def symbols(names: list[str]) -> dict[str, Symbol]:
    """Symbols of all names; names that would look alike (`beta1`, `beta_1`) are shown as written."""
    found = {name: symbol(name) for name in names}
    seen: dict[Symbol, int] = {}
    for shown in found.values():
        seen[shown] = seen.get(shown, 0) + 1
    return {n: s if seen[s] == 1 else Symbol(_CONTROL.sub(" ", n)) for n, s in found.items()}


def as_html(shown: Symbol, size: int = SMALL) -> str:
    """The symbol as Graphviz's HTML-like text, its subscript of the given size in points."""
    base = escape(shown.base)
    text = f"<I>{base}</I>" if shown.letter else base
    if not shown.subscript:
        return text
    return f'{text}<SUB><FONT POINT-SIZE="{size}">{escape(shown.subscript)}</FONT></SUB>'


def as_text(shown: Symbol) -> str:
    """The symbol as plain Unicode text: digits below the line, other subscripts after `_`."""
    if shown.subscript.isdecimal():
        return shown.base + shown.subscript.translate(_SUBSCRIPT_DIGITS)
    return f"{shown.base}_{shown.subscript}" if shown.subscript else shown.base


def escape(text: str) -> str:
    """Text for HTML-like labels; control characters become spaces."""
    return html.escape(_CONTROL.sub(" ", text), quote=False)


def quote(text: str) -> str:
    """Text as a quoted string of the DOT language.

    Backslashes are doubled because Graphviz reads `\\N`, `\\l` and the like inside strings.
    """
    return '"' + _CONTROL.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def identifier(name: str) -> str:
    """A name as a quoted identifier of the DOT language.

    Graphviz takes identifiers that begin with `%` for its own; those get a quote before them.
    """
    return quote(f"'{name}" if name.startswith(("%", "'")) else name)


def plain(text: str) -> str:
    """Text for a label that is not HTML-like; Graphviz reads `&lt;` and the like there as well."""
    return text.replace("&", "&amp;")


def number(value: float) -> str:
    """A number to three significant digits, without an exponent between 0.001 and 10 000."""
    if math.isnan(value):
        return "?"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if value == 0:
        text = "0"
    elif 1000 <= size < 99999.5:
        text = f"{size:.0f}"
    elif 0.001 <= size < 1000:
        text = _three_digits(size)
    else:
        mantissa, exponent = f"{size:.2e}".split("e")
        text = f"{mantissa}e{int(exponent)}".replace("-", "−")
    return "−" + text if value < 0 else text


def _three_digits(size: float) -> str:
    """At most three significant digits; trailing zeros behind the point are kept (0.690)."""
    digits = max(0, 2 - math.floor(math.log10(size)))
    return f"{size:.{digits}f}"
