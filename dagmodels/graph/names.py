"""Names and labels as text: which names need backquotes, and how a level is written."""

from __future__ import annotations

import json
import math
import re

from dagmodels.graph.expression import Label, Scalar

RESERVED = frozenset({"model", "plate", "covariate", "constant", "parameter", "observed", "for", "in"})
REDUCTIONS = frozenset({"sum", "prod", "mean"})

_PLAIN = re.compile(r"[^\W\d]\w*(?:\.\w+)*\Z")
_BAD = re.compile(r"[`\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_EXPONENT = re.compile(r"e([+-]?)0*(?=\d)")


def is_name(name: object) -> bool:
    """Whether a node or plate may be called so: text without backquotes and control characters."""
    return isinstance(name, str) and bool(name.strip()) and not _BAD.search(name)


def is_label(label: object) -> bool:
    """Whether a level may be called so: a whole number, or text that can be stored as UTF-8."""
    if isinstance(label, bool):
        return False
    return isinstance(label, int) or (isinstance(label, str) and not re.search(r"[\ud800-\udfff]", label))


def quoted(name: str) -> str:
    """The name as a model's text has it, in backquotes where it must be."""
    return name if _PLAIN.match(name) and name not in RESERVED else f"`{name}`"


def label_text(label: Label) -> str:
    """A level as a model's text has it: `2` or `"yes"` (escapes are JSON's)."""
    return str(label) if isinstance(label, int) else json.dumps(label, ensure_ascii=False)


def number_text(value: Scalar) -> str:
    """The shortest text that reads back as the same number."""
    if isinstance(value, int):
        return str(int(value))
    if not math.isfinite(value):
        raise ValueError(f"{value} has no text form: the language has finite numbers only")
    return _EXPONENT.sub(
        lambda m: "e" + m[1].replace("+", ""), repr(float(value))
    )  # float(): numpy's float64 has a repr of its own
