"""Labels -> integer codes. What counts as one label, and in which order labels stand.

One label has one spelling: `308`, `308.0` and `"308"` are the level 308, and a date is its ISO 8601
text, so the same column means the same levels in a CSV file and in a typed frame. Levels stand in
the order of a categorical's categories, else sorted: numbers by value, then text by code point (as
R's `factor` sorts in the C locale). Nothing here loops over rows in Python.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([+-]\d\d:\d\d|Z)?)?\Z")
_MISSING_TYPES = ("NAType", "NaTType", "NoneType", "MaskedConstant")


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A column as codes.

    codes : one per row, -1 where the label is missing.
    labels : the distinct labels that occur, in the order of this module.
    ranked : that order came with the column (a categorical), not from sorting.
    ordered : the column says that its categories are ordered.
    """

    codes: Codes
    labels: tuple[object, ...]
    ranked: bool = False
    ordered: bool = False

    @property
    def first_missing(self) -> int | None:
        """The first row without a label, or None."""
        found = np.flatnonzero(self.codes < 0)
        return int(found[0]) if found.size else None


def is_missing(value: object) -> bool:
    """None, NaN, NaT and the missing marks of data frame libraries."""
    if isinstance(value, float | np.floating):
        return bool(value != value)
    return value is None or type(value).__name__ in _MISSING_TYPES


def spellings(label: object) -> tuple[object, ...]:
    """A label, and the texts that a reader of tables may have turned into this truth value."""
    if isinstance(label, bool | np.bool_):
        return (label, "True", "TRUE", "true") if label else (label, "False", "FALSE", "false")
    return (label,)


def canonical(label: object) -> object:
    """The one spelling of a label: int, float, bool or text.

    `"308"` and `308.0` become 308, `"0.5"` becomes 0.5; text that another spelling of a number could
    share (`"007"`, `"1.0"`) stays text, so distinct labels of a column stay distinct.
    """
    if type(label) is str:
        return _canonical_text(label)
    if hasattr(label, "item") and not isinstance(label, datetime.date):
        label = label.item()  # type: ignore[union-attr]  # numpy scalars
    match label:
        case bool() | int():
            return label
        case float():
            return int(label) if label.is_integer() else label
        case str():
            return _canonical_text(label)
        case datetime.datetime():
            midnight = label.tzinfo is None and label.time() == datetime.time()
            return label.date().isoformat() if midnight else label.isoformat()
        case datetime.date():
            return label.isoformat()
        case bytes():
            return _canonical_text(label.decode("utf-8", "backslashreplace"))
        case _:
            return str(label)


def _canonical_text(text: str) -> object:
    if not text or text[0] not in "0123456789-":
        return text
    if _INTEGER.match(text) and text != "-0":
        return int(text)
    if _DATE.match(text):
        try:
            return canonical(datetime.datetime.fromisoformat(text))
        except ValueError:
            return text
    try:
        number = float(text)
    except ValueError:
        return text
    return number if repr(number) == text and not number.is_integer() else text


def sort_key(label: object) -> tuple[int, object]:
    """Numbers by value, then text."""
    return (0, label) if isinstance(label, bool | int | float) else (1, str(label))


def in_order(labels: Iterable[object]) -> list[object]:
    """Labels sorted: numbers by value, then text by code point."""
    labels = list(labels)
    if set(map(type, labels)) == {str}:
        return sorted(labels)  # type: ignore[type-var]
    return sorted(labels, key=sort_key)


def have_values(labels: Iterable[object]) -> bool:
    """Whether labels order themselves: all numbers, or all dates."""
    kinds = {
        "number" if isinstance(x, bool | int | float) else "date" if _DATE.match(str(x)) else "text"
        for x in labels
    }
    return kinds <= {"number"} or kinds == {"date"}


def relabel(codes: Codes, labels: Sequence[object], *, ranked: bool = False, ordered: bool = False) -> Factor:
    """Codes into any labels -> a Factor: labels canonical, only those that occur, in order.

    Parameters
    ----------
    codes : into `labels`, -1 for missing.
    labels : as found; two spellings of one label are merged.
    ranked : keep the order of `labels` (a categorical's categories).
    """
    merged: dict[object, int] = {}
    spelled = np.array([merged.setdefault(canonical(x), len(merged)) for x in labels], dtype=np.int64)
    distinct = list(merged)
    present = np.zeros(len(distinct) + 1, dtype=bool)
    spelled = np.append(spelled, -1)
    codes = spelled[codes]
    present[codes] = True
    kept = [i for i in range(len(distinct)) if present[i]]
    if not ranked:
        text: Callable[[int], Any] = distinct.__getitem__  # text alone needs no keys
        plain = set(map(type, distinct)) == {str}
        kept.sort(key=text if plain else lambda i: sort_key(distinct[i]))
    place = np.full(len(distinct) + 1, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    return Factor(place[codes], tuple(distinct[i] for i in kept), ranked, ordered)


def distinct_integers(values: NDArray[Any]) -> tuple[NDArray[Any], Codes]:
    """Sorted distinct integers and each entry's place among them; linear when the range is short."""
    if not values.size:
        return values, np.zeros(0, dtype=np.int64)
    low, high = int(values.min()), int(values.max())
    if high - low >= 4 * values.size + 1000:
        distinct, codes = np.unique(values, return_inverse=True)
        return distinct, codes.astype(np.int64).reshape(-1)
    shifted = (values - low).astype(np.int64)
    present = np.zeros(high - low + 1, dtype=bool)
    present[shifted] = True
    place = np.cumsum(present) - 1
    return (np.flatnonzero(present) + low).astype(values.dtype), place[shifted]


def factor_of_numbers(values: NDArray[np.generic]) -> Factor:
    """Integers, booleans or floats (NaN missing) -> codes."""
    if values.dtype.kind == "b":
        distinct, codes = distinct_integers(values.astype(np.int8))
        return relabel(codes, [bool(x) for x in distinct])
    if values.dtype.kind == "f":
        given = ~np.isnan(values)
        codes = np.full(values.shape, -1, dtype=np.int64)
        found, codes[given] = np.unique(values[given], return_inverse=True)
        return relabel(codes, found.tolist())
    distinct, codes = distinct_integers(values)
    return Factor(codes, tuple(distinct.tolist()))


def codes_of_objects(values: Sequence[object]) -> tuple[Codes, list[object]]:
    """Any hashable values -> codes in order of first appearance (-1 missing) and distinct values.

    One dictionary pass in C, about 0.1 s for 10^6 strings; no library is needed.
    """
    place: dict[object, int] = dict.fromkeys(values, -1)
    labels = [x for x in place if not is_missing(x)]
    place.update(zip(labels, range(len(labels)), strict=True))
    return np.fromiter(map(place.__getitem__, values), dtype=np.int64, count=len(values)), labels
