"""Numbers as R prints them: one number of decimals for a column, chosen by significant digits.

R's `format` gives a column the decimals that the number needing most of them asks for, so that each
has at least `digits` significant ones, trailing zeros not counted; powers of ten where that is shorter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def r_format(values: Sequence[float], digits: int, nsmall: int = 0) -> list[str]:
    """A column of numbers, padded to one width."""
    finite = [float(v) for v in values if math.isfinite(v)]
    left = right = most = 0
    high, low = -400, 400
    for v in finite:
        exponent, significant = _significant(v, digits)
        sign = v < 0
        left = max(left, sign + max(exponent + 1, 1))
        right = max(right, significant - exponent - 1)
        most = max(most, significant)
        high, low = max(high, exponent), min(low, exponent)
    fixed_width = left + right + (right > 0)
    exponent_digits = 3 if high >= 100 or low <= -100 else 2
    sign = any(v < 0 for v in finite)
    scientific = sign + most + (most > 1) + 2 + exponent_digits
    if finite and fixed_width > scientific:
        texts = [_scientific(v, most - 1) if math.isfinite(v) else _odd(v) for v in values]
    else:
        decimals = max(right, nsmall)
        texts = [f"{v:.{decimals}f}" if math.isfinite(v) else _odd(v) for v in values]
    width = max(map(len, texts), default=0)
    return [t.rjust(width) for t in texts]


def _significant(value: float, digits: int) -> tuple[int, int]:
    """Exponent of ten, and how many of `digits` significant digits remain without trailing zeros."""
    if value == 0:
        return 0, 1
    mantissa, _, exponent = f"{abs(value):.{digits - 1}e}".partition("e")
    return int(exponent), max(len(mantissa.replace(".", "").rstrip("0")), 1)


def _scientific(value: float, decimals: int) -> str:
    mantissa, _, exponent = f"{value:.{decimals}e}".partition("e")
    return f"{mantissa}e{exponent}"


def _odd(value: float) -> str:
    return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"


def r_pvalues(values: Sequence[float], digits: int) -> list[str]:
    """P values as R prints them beside coefficients: below 1e-4 as powers of ten, below 2.2e-16 as such."""
    least = 2.220446049250313e-16
    told = ["NaN"] * len(values)
    for group in (
        [i for i, v in enumerate(values) if v >= 1e-4],
        [i for i, v in enumerate(values) if least <= v < 1e-4],
    ):
        texts = r_format([values[i] for i in group], digits)
        for i, text in zip(group, texts, strict=True):
            told[i] = text
    for i, v in enumerate(values):
        if v < least:
            told[i] = "< 2e-16" if any(w >= least for w in values) else "<2e-16"
    width = max(map(len, told), default=0)
    return [t.rjust(width) for t in told]


def zapsmall(values: Sequence[float], digits: int) -> list[float]:
    """Numbers rounded to where the largest has so many digits."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    decimals = max(0, digits - math.ceil(math.log10(largest))) if largest > 0 else digits
    return [round(v, decimals) if math.isfinite(v) else v for v in values]


def abbreviate(names: Sequence[str], length: int) -> list[str]:
    """Names cut to about `length` characters, longer where two would be alike."""
    found = [_cut(name, length) for name in names]
    alike = _alike(found)
    while alike and length < 1000:
        length += 1
        for i in alike:
            found[i] = _cut(names[i], length)
        alike = _alike(found)
    return found


def _alike(names: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(names) if names.count(name) > 1]


def _cut(name: str, length: int) -> str:
    """R's way: from the end, vowels go first, then other lower-case letters, then anything; the first letter
    of a word stays as long as it can, blanks go last and are not counted."""
    letters = list(name)
    if len(letters) <= length:
        return name
    blanks = name.count(" ")
    for droppable in ("aeiou", "abcdefghijklmnopqrstuvwxyz", None):
        i = len(letters) - 1
        while i > 0 and len(letters) - blanks > length:
            inside = letters[i] != " " and letters[i - 1] != " "
            if inside and (droppable is None or letters[i] in droppable):
                del letters[i]
            i -= 1
    return "".join(c for c in letters if c != " ")
