"""One column of data, as numbers or as labels, whatever kind of frame it came from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dagmodels.data.levels import Factor, canonical, codes_of_objects, factor_of_numbers, is_missing, relabel
from dagmodels.errors import ModelError

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Either `numbers`, or `codes` into `labels`.

    numbers : int64, bool or float64 (NaN missing), or None.
    codes : int64, -1 missing, or None.
    labels : distinct values as found, by code.
    ranked, ordered : a categorical; an ordered one.
    """

    name: str
    numbers: NDArray[np.generic] | None = None
    codes: Codes | None = None
    labels: tuple[object, ...] = ()
    ranked: bool = False
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.numbers if self.numbers is not None else self._codes)

    @property
    def _codes(self) -> Codes:
        assert self.codes is not None, "a column holds numbers or codes"
        return self.codes

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows have no value."""
        if self.numbers is None:
            return self._codes < 0
        if self.numbers.dtype.kind == "f":
            return np.isnan(self.numbers)
        return np.zeros(self.numbers.shape, dtype=bool)

    def factor(self) -> Factor:
        """The column as labels of a plate."""
        if self.numbers is not None:
            return factor_of_numbers(self.numbers)
        return relabel(self._codes, self.labels, ranked=self.ranked, ordered=self.ordered)

    def floats(self) -> NDArray[np.float64]:
        """The column as numbers, NaN where missing; text that spells a number counts as one.

        Raises
        ------
        NotNumbers : with the first row that holds no number.
        """
        if self.numbers is not None:
            return self.numbers.astype(np.float64)
        values = np.full(len(self.labels) + 1, np.nan)
        bad = np.zeros(len(self.labels) + 1, dtype=bool)
        for i, label in enumerate(self.labels):
            try:
                values[i] = _number(label)
            except ValueError:
                bad[i] = True
        wrong = np.flatnonzero(bad[self._codes])
        if wrong.size:
            raise NotNumbers(int(wrong[0]), self.labels[self._codes[wrong[0]]])
        return values[self._codes]

    def value(self, row: int) -> object:
        """One entry as the user wrote it, for messages."""
        if self.numbers is not None:
            return self.numbers[row].item()
        code = self._codes[row]
        return None if code < 0 else self.labels[code]


class NotNumbers(ValueError):
    """A column holds something else than numbers: `row` (from 0) and `value`, the first such."""

    def __init__(self, row: int, value: object) -> None:
        super().__init__(row, value)
        self.row, self.value = row, value


def column(name: str, values: ArrayLike | Sequence[object]) -> Column:
    """An array or list of numbers, booleans, text, dates or None -> a Column.

    Raises
    ------
    ModelError : the values are nested, or of a kind that is neither number nor label.
    """
    masked = sys.modules.get("numpy.ma")  # until it is loaded no array is masked
    if masked is not None and isinstance(values, masked.MaskedArray):
        mask = masked.getmaskarray(values)
        values = masked.getdata(values).astype(object)
        values[mask] = None
    try:
        array = values if isinstance(values, np.ndarray) else _array(values)
    except ValueError:
        raise _unsuitable(name, "lists of unequal length") from None
    if array.ndim != 1:
        raise _unsuitable(name, f"an array with {array.ndim} axes")
    match array.dtype.kind:
        case "i" | "b":
            return Column(
                name, numbers=array if array.dtype.kind == "b" else array.astype(np.int64, copy=False)
            )
        case "u":
            fits = not array.size or int(array.max()) < 2**63
            return Column(name, numbers=array.astype(np.int64 if fits else np.float64))
        case "f":
            return Column(name, numbers=array.astype(np.float64, copy=False))
        case "M":
            return _dates(name, array)
        case "S":
            return _objects(name, array.tolist())
        case "U" | "O" | "T":
            return _objects(name, array.tolist())
        case _:
            raise _unsuitable(name, f"values of type {array.dtype}")


def categorical(name: str, codes: Codes, categories: Sequence[object], *, ordered: bool) -> Column:
    """A categorical: codes (-1 missing) into categories that stand in a meaningful order."""
    return Column(name, codes=codes.astype(np.int64), labels=tuple(categories), ranked=True, ordered=ordered)


def _array(values: object) -> NDArray[np.generic]:
    """Like np.asarray, but mixed numbers and text stay apart instead of all becoming text."""
    if isinstance(values, range):
        return np.arange(values.start, values.stop, values.step)
    if isinstance(values, list | tuple):
        kinds = set(map(type, values))
        if not kinds <= {int, float} or kinds == set():
            array = np.empty(len(values), dtype=object)
            array[:] = values
            return array
    return np.asarray(values)


def _objects(name: str, values: list[object]) -> Column:
    if bytes in set(map(type, values)):
        values = [_decoded(name, x) if isinstance(x, bytes) else x for x in values]
    kinds = {k for k in set(map(type, values)) if k.__name__ not in ("NAType", "NaTType", "NoneType")}
    if kinds & {list, tuple, dict, set, np.ndarray, complex}:
        raise _unsuitable(name, "lists or other compound values")
    if kinds == {bool} and not any(map(is_missing, values)):
        return Column(name, numbers=np.array(values, dtype=bool))
    if kinds == {int} and not any(map(is_missing, values)) and max(map(abs, values)) < 2**63:  # type: ignore[arg-type]
        return Column(name, numbers=np.array(values, dtype=np.int64))
    if all(_is_numeric(k) for k in kinds):
        filled = [np.nan if is_missing(x) else x for x in values]
        return Column(name, numbers=np.array(filled, dtype=np.float64))
    try:
        codes, labels = codes_of_objects(values)
    except TypeError:
        raise _unsuitable(name, f"values of type {next(iter(kinds)).__name__}") from None
    return Column(name, codes=codes, labels=tuple(labels))


def _decoded(name: str, label: bytes) -> str:
    """Labels as bytes, as some file formats give them, are text in UTF-8."""
    try:
        return label.decode("utf-8")
    except UnicodeDecodeError:
        message = f"column {name!r} holds bytes that are no UTF-8 text: {label!r}"
        raise ModelError(message, node=name, hint="decode them, as with .decode('latin-1')") from None


def _is_numeric(kind: type) -> bool:
    return issubclass(kind, bool | int | float | np.number | np.bool_) or kind.__name__ in (
        "Decimal",
        "Fraction",
    )


def _dates(name: str, array: NDArray[np.generic]) -> Column:
    found, codes = np.unique(array, return_inverse=True)
    lost = np.isnat(found)
    codes = np.where(lost[codes], -1, codes)
    return Column(
        name, codes=codes, labels=tuple(canonical(x) for x in found[~lost].astype("M8[us]").tolist())
    )


def _number(label: object) -> float:
    if isinstance(label, str):
        if "_" in label:  # Python's float() reads 1_000, no data format does
            raise ValueError(label)
        return float(label)
    if isinstance(label, int | float):
        return float(label)
    raise ValueError(label)


def _unsuitable(name: str, what: str) -> ModelError:
    return ModelError(
        f"column {name!r} holds {what}; a column is one number, label or date a row",
        node=name,
        hint="give a matrix as an array under the node's name in a dict",
    )
