"""What lark's errors mean in plain words: what was found, what may stand there, what to try."""

from __future__ import annotations

import re
from typing import Any

from dagmodels.graph.names import RESERVED

_WORDS = {
    "TILDE": "`~`",
    "EQUAL": "`=`",
    "COMMA": "`,`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "COLON": "`:`",
    "MORETHAN": "`>`",
    "LESSTHAN": "`<`",
    "SIGN": "`+` or `-`",
    "TIMES": "`*` or `/`",
    "POWER": "`**`",
    "COMPARE": "a comparison",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "text in double quotes",
    "__ANON_0": "`..`",
    "__ANON_1": "`~~`",
    "$END": "the end of the statement",
}
_OPERATORS = {"SIGN", "TIMES", "POWER", "COMPARE"}


def explain(error: Any, text: str, start: str) -> tuple[str, int, str]:
    """Message, position in the statement, and hint for an `UnexpectedInput` of lark."""
    token = getattr(error, "token", None)
    at_end = token is not None and token.type == "$END"
    position = len(text) if at_end else error.pos_in_stream
    expected: set[str] = set()
    for group in ("accepts", "expected", "allowed"):
        expected |= set(getattr(error, group, None) or ())
        if expected:
            break
    rest = text[position:]
    found = "the end of the statement" if at_end else f"`{_found(rest)}`"
    message = f"Expected {_plain(expected)}, found {found}."
    for rule in _SLIPS:
        answer = rule(text, position, rest, expected)
        if answer is not None:
            return answer[0] or message, answer[2] if len(answer) == 3 else position, answer[1]
    return message, position, "see the rules of the language in docs/language.md"


def _found(rest: str) -> str:
    match = re.match(r"[^\W\d][\w.]*|[\d.][\w.]*|~~|\*\*|[<>=!]=|<-|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|.", rest)
    return match[0] if match else rest[:1]


def _plain(expected: set[str]) -> str:
    """The terminals in words; operators together."""
    names = set(expected)
    words: list[str] = []
    if len(_OPERATORS & names) >= 2:
        words.append("an operator")
        names -= _OPERATORS
    if {"NAME", "NUMBER", "STRING"} <= names and "LPAR" in names:
        words.append("an expression")
        names -= {"NAME", "NUMBER", "STRING", "LPAR", "LSQB", "SIGN"}
    if {"MODEL", "PLATE"} <= names:
        return "a statement"
    order = list(_WORDS)
    for name in sorted(names, key=lambda n: (order.index(n) if n in order else -1, n)):
        words.append(_WORDS.get(name, f"`{name.lower()}`"))
    if not words:
        return "something else"
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


Answer = tuple[str | None, str] | tuple[str | None, str, int] | None  # message, hint, position


def _semicolon(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if rest.startswith(";"):
        return "`;` does not end a statement.", "end it with its line and drop the `;`"
    return None


def _caret(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if rest.startswith("^"):
        return "`^` is no operator.", "write `**` for a power"
    return None


def _arrow(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if rest.startswith("<-") or text[: position + 1].endswith("<-"):
        return "`<-` is not used here.", "write `=` for a definition, or `~` before a distribution"
    return None


def _assign(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if rest.startswith(":="):
        return "`:=` is not used here.", "write `=` for a definition"
    return None


def _single_quote(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if rest.startswith("'"):
        return "Text stands in double quotes.", "write \"...\" instead of '...'"
    return None


def _reserved(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    word = _found(rest)
    if word in RESERVED and "NAME" in expected:
        return (
            f"`{word}` is a word of the language and cannot be a name.",
            f"write it in backquotes: `{word}`",
        )
    before = re.match(r"(\w+)\s*(?=~|=|\[|$)", text)
    if before and before[1] in RESERVED and position >= before.end(1):
        message = f"`{before[1]}` is a word of the language and cannot be a name."
        return message, f"write it in backquotes: `{before[1]}`", 0
    return None


def _missing_times(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    product = re.match(r"(\d+(?:\.\d*)?)([^\W\d][\w.]*)", rest)
    if product:
        return f"`{product[0]}` is neither a number nor a name.", f"write {product[1]}*{product[2]}"
    return None


def _missing_tilde(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if "TILDE" in expected and re.match(r"[A-Z]\w*\s*\(", rest):
        return f"Expected `~`, found `{_found(rest)}`.", "write `~` between the node and its distribution"
    return None


def _closed_bound(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    sign = text[max(position - 1, 0) : position + 1]
    if text.startswith("parameter") and sign in (">=", "<="):
        message = f"Bounds of a parameter are closed: `{sign[0]}` includes the bound."
        return message, f"write `{sign[0]}` instead of `{sign}`", position - 1
    return None


def _lag_in_head(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    before = text[:position]
    if rest[:1] in ("+", "-") and before.count("[") > before.count("]") and not re.search("[~=]", before):
        return (
            "A head names plates, levels and first elements, not lags.",
            "write the head with the plate alone, and lags after `~` or `=`",
        )
    return None


def _after_tilde(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if re.search(r"~\s*[\w.]*\s*\Z", text[:position]) and expected <= {"LPAR", "NAME"}:
        return (
            "A distribution such as Normal(0, 1) must follow `~`.",
            "write `=` if this is the definition of a deterministic node",
        )
    return None


def _after_call(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if "~" in text[:position] and text[:position].rstrip().endswith(")") and expected <= {"$END"}:
        return (
            f"After a distribution the statement must end, found `{_found(rest)}`.",
            "put the expression inside the distribution's arguments, or end the line here",
        )
    return None


def _observed_declaration(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    match = re.match(r"observed\s+(parameter|covariate|constant|plate)\b", text)
    if match and position <= match.end():
        if match[1] == "parameter":
            return (
                "A parameter is unknown and cannot be observed.",
                "give the node a distribution, or declare it as `covariate`",
            )
        return f"A {match[1]} is never marked `observed`.", "drop `observed`"
    return None


def _chained(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if re.match(r"==|!=|<=|>=|<|>", rest) and "SIGN" in expected and "COMPARE" not in expected:
        return "Comparisons cannot be chained.", "multiply two of them: (a < b)*(b < c)"
    return None


def _two_names(text: str, position: int, rest: str, expected: set[str]) -> Answer:
    if expected & {"TIMES"} and re.match(r"[\w(\"]", rest) and "NAME" not in expected:
        return None, "an operator such as `*` or a comma is missing before it"
    return None


_SLIPS = (
    _observed_declaration,
    _semicolon,
    _caret,
    _arrow,
    _assign,
    _single_quote,
    _missing_tilde,
    _after_tilde,
    _after_call,
    _closed_bound,
    _lag_in_head,
    _reserved,
    _missing_times,
    _chained,
    _two_names,
)
