"""Covariance matrices given in place of rows: frames, lists by group, lower triangles, all checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
WHERE = "the covariance matrices"
UNEQUAL = 1e-6  # difference of two triangles, in units of standard deviations, that is not rounding


@dataclass(frozen=True, eq=False, slots=True)
class Covariances:
    """Statistics by group. names : of the variables. n : (G,). cov : (G, p, p). mean : (G, p), or None."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    n: Floats
    cov: Floats
    mean: Floats | None

    def chosen(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """Covariances and means (zero where there are none) of some variables."""
        at = [self.names.index(n) for n in names]
        mean = np.zeros((len(self.n), len(self.names))) if self.mean is None else self.mean
        return np.ascontiguousarray(self.cov[:, at][:, :, at]), np.ascontiguousarray(mean[:, at])


def get_cov(
    values: Any,
    names: Sequence[str] | str | None = None,
    *,
    lower: bool = True,
    diagonal: bool = True,
    sds: Sequence[float] | None = None,
) -> DataFrame:
    """A covariance matrix as a frame from one triangle, as lavaan's `getCov`.

    Parameters
    ----------
    values : numbers row by row, or a text of them. names : of the variables; a text of them is split.
    lower : whether it is the lower triangle; else the upper one.
    diagonal : whether the diagonal is there; else it is ones. sds : standard deviations, which turn
        correlations into covariances.

    Raises
    ------
    ModelErrors : numbers that make no triangle; names or standard deviations that are too few or too many.
    """
    from pandas import DataFrame

    flat = _flat(values)
    p = round((math.sqrt(8 * flat.size + 1) - 1) / 2) + (not diagonal)
    if flat.size != p * (p + 1) // 2 - (0 if diagonal else p):
        raise_all([ModelError(f"{flat.size} numbers make no triangle", hint="count the rows")], WHERE)
    whole = np.eye(p)
    i, j = np.tril_indices(p, 0 if diagonal else -1) if lower else np.triu_indices(p, 0 if diagonal else 1)
    whole[i, j] = whole[j, i] = flat
    called = names.replace(",", " ").split() if isinstance(names, str) else list(names or ())
    faults = []
    if called and len(called) != p:
        faults.append(ModelError(f"there are {len(called)} names and {p} variables", hint="one for each row"))
    if sds is not None and len(sds) != p:
        told = f"there are {len(sds)} standard deviations and {p} variables"
        faults.append(ModelError(told, hint="one for each row"))
    raise_all(faults, WHERE)
    if sds is not None:
        whole = whole * np.outer(sds, sds)
    called = called or [f"V{i + 1}" for i in range(p)]
    return DataFrame(whole, index=called, columns=called)


def _flat(values: Any) -> Floats:
    if isinstance(values, str):
        words = values.replace(",", " ").split()
        wrong = [w for w in words if not _is_number(w)]
        raise_all([ModelError(f"'{w}' is no number", hint="write numbers alone") for w in wrong[:5]], WHERE)
        return np.array([float(w) for w in words])
    rows = [np.atleast_1d(np.asarray(row, dtype=np.float64)) for row in values]
    return np.concatenate(rows) if rows else np.zeros(0)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def covariances(
    cov: Any, n: Any, mean: Any = None, *, groups: Sequence[str] | None = None, rescale: bool = True
) -> Covariances:
    """Checked statistics of one group, or of several (lists, or dicts by label, of the same length).

    Parameters
    ----------
    cov : a frame whose columns name the variables; its upper triangle may be empty (zero or missing).
    n : number of rows. mean : numbers in the order of the columns, or by name.
    groups : labels. rescale : multiply by (n - 1) / n, because sums were divided by n - 1.

    Raises
    ------
    ModelErrors : everything that is wrong, all at once.
    """
    labels, tables = _listed(cov, groups)
    faults: list[ModelError] = []
    counts, means = _matched(n, labels, "sample_nobs", faults), _matched(mean, labels, "sample_mean", faults)
    raise_all(faults, WHERE)
    names = _names(tables[0], faults)
    matrices, levels = [], []
    for label, table, level in zip(labels, tables, means, strict=True):
        told = f" of group '{label}'" if label else ""
        if table is not tables[0] and set(_names(table, faults)) != set(names):
            faults.append(ModelError(f"the variables{told} differ", hint="name the same ones in all groups"))
        raise_all(faults, WHERE)
        matrices.append(_matrix(table, names, told, faults))
        levels.append(None if level is None else _mean(level, names, told, faults))
    for label, count in zip(labels, counts, strict=True):
        if isinstance(count, bool) or not isinstance(count, int | float | np.number) or not count > 1:
            told = f" of group '{label}'" if label else ""
            faults.append(ModelError(f"sample_nobs{told} is {count!r}", hint="the number of rows, from 2"))
    if any(v is None for v in levels) and any(v is not None for v in levels):
        faults.append(ModelError("some groups have means and others none", hint="give all, or none"))
    raise_all(faults, WHERE)
    size = np.array(counts, dtype=np.float64)
    whole = np.stack(matrices) * ((size - 1) / size if rescale else np.ones_like(size))[:, None, None]
    known = None if levels[0] is None else np.stack([v for v in levels if v is not None])
    return Covariances(tuple(names), tuple(labels), size, whole, known)


def _listed(cov: Any, groups: Sequence[str] | None) -> tuple[list[str], list[Any]]:
    if isinstance(cov, Mapping) and not hasattr(cov, "index"):
        return [str(k) for k in cov], list(cov.values())
    if isinstance(cov, list | tuple) and cov and hasattr(cov[0], "columns"):
        if groups is not None and len(groups) != len(cov):
            told = f"there are {len(groups)} group labels and {len(cov)} matrices"
            raise_all([ModelError(told, hint="give one label for each")], WHERE)
        labels = [str(g) for g in groups] if groups else [f"Group {g + 1}" for g in range(len(cov))]
        return (labels if len(cov) > 1 else [""]), list(cov)
    return [""], [cov]


def _matched(given: Any, labels: list[str], what: str, faults: list[ModelError]) -> list[Any]:
    """One entry a group."""
    if given is None and what == "sample_mean":
        return [None] * len(labels)
    if given is None:
        faults.append(ModelError(f"{what} is missing", hint="the number of rows behind the covariances"))
        return [None] * len(labels)
    if labels == [""]:
        return list(given) if isinstance(given, list | tuple) and len(given) == 1 else [given]
    if isinstance(given, Mapping) and set(map(str, given)) == set(labels):
        by = {str(k): v for k, v in given.items()}
        return [by[label] for label in labels]
    if isinstance(given, Mapping) or not hasattr(given, "__len__") or len(given) != len(labels):
        faults.append(
            ModelError(f"{what} does not fit {len(labels)} groups", hint="give a list, one for each")
        )
        return [None] * len(labels)
    return list(given)


def _names(table: Any, faults: list[ModelError]) -> list[str]:
    if not hasattr(table, "columns"):
        hint = "pass a frame whose columns are the variables: get_cov(values, names) makes one"
        faults.append(ModelError("the matrix does not name its variables", hint=hint))
        return []
    names = [str(c) for c in table.columns]
    twice = sorted({n for n in names if names.count(n) > 1})
    faults.extend(ModelError(f"'{n}' stands twice", node=n, hint="name each variable once") for n in twice)
    if hasattr(table, "index") and set(map(str, table.index)) not in (
        set(names),
        set(map(str, range(len(names)))),
    ):
        faults.append(ModelError("rows and columns have different names", hint="name both by the variables"))
    return names


def _matrix(table: Any, names: list[str], told: str, faults: list[ModelError]) -> Floats:
    frame = table.copy()
    frame.columns = [str(c) for c in frame.columns]
    if {str(i) for i in frame.index} == set(names):
        frame.index = [str(i) for i in frame.index]
        rows = list(frame.columns)
        frame = frame.loc[rows]
    m = np.array(frame, dtype=np.float64)
    p = len(names)
    if m.shape != (p, p):
        faults.append(ModelError(f"the matrix{told} has shape {m.shape}", hint="one row for each column"))
        return np.eye(p)
    above = m[np.triu_indices(p, 1)]
    if p > 1 and (np.isnan(above).all() or (above == 0).all()):
        m = np.where(np.tri(p, dtype=bool), m, m.T)
    order = [frame.columns.get_loc(n) for n in names]
    m = m[np.ix_(order, order)]
    if not np.isfinite(m).all():
        faults.append(ModelError(f"the matrix{told} has gaps", hint="give every number of one triangle"))
        return np.eye(p)
    d = np.diag(m)
    for name in (n for n, v in zip(names, d, strict=True) if not v > 0):
        faults.append(
            ModelError(f"the variance of '{name}'{told} is not positive", node=name, hint="check it")
        )
    if not (d > 0).all():
        return np.eye(p)
    scaled = m / np.sqrt(np.outer(d, d))
    i, j = np.unravel_index(int(np.argmax(np.abs(scaled - scaled.T))), (p, p))
    if abs(scaled[i, j] - scaled[j, i]) > UNEQUAL:
        pair = f"'{names[i]}' and '{names[j]}'"
        faults.append(ModelError(f"the matrix{told} is not symmetric at {pair}", hint="check both triangles"))
        return np.eye(p)
    m, scaled = (m + m.T) / 2, (scaled + scaled.T) / 2
    values, vectors = np.linalg.eigh(scaled)
    if not values[0] > 1e-12 * p:
        part = [names[k] for k in np.argsort(-np.abs(vectors[:, 0])) if abs(vectors[k, 0]) > 0.1]
        tied = ", ".join(f"'{n}'" for n in part[:6])
        message = f"the matrix{told} is not positive definite, along {tied}"
        faults.append(ModelError(message, hint="check its numbers; leave one of these variables out"))
    return m


def _mean(level: Any, names: list[str], told: str, faults: list[ModelError]) -> Floats:
    if hasattr(level, "to_dict"):
        level = level.to_dict()
    if isinstance(level, Mapping):
        lost = [n for n in names if n not in level]
        faults.extend(ModelError(f"'{n}' has no mean{told}", node=n, hint="give all") for n in lost)
        return np.array([float(level.get(n, 0.0)) for n in names])
    numbers = np.asarray(level, dtype=np.float64).reshape(-1)
    if numbers.size != len(names) or not np.isfinite(numbers).all():
        message = f"sample_mean{told} has {numbers.size} numbers, and there are {len(names)} variables"
        faults.append(ModelError(message, hint="one finite number for each column, in order"))
        return np.zeros(len(names))
    return numbers
