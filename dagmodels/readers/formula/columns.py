"""Terms -> named columns of a design matrix, coded as R's `model.matrix` codes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product

import numpy as np

from dagmodels.readers.formula.algebra import Term, Terms
from dagmodels.readers.formula.contrasts import coding
from dagmodels.readers.formula.values import Basis, Floats, Levels, Numbers, Value

Column = tuple[str, Floats | None]
INTERCEPT = "(Intercept)"


def columns(terms: Terms, values: Mapping[str, Value], memo: dict[object, list[Column]]) -> list[Column]:
    """Columns by name, in order; None stands for the intercept's column of ones.

    Parameters
    ----------
    values : of the variables.
    memo : coded variables, shared by the parts of one model.
    """
    return [column for part in by_term(terms, values, memo) for column in part]


def by_term(
    terms: Terms, values: Mapping[str, Value], memo: dict[object, list[Column]], whole: bool = False
) -> list[list[Column]]:
    """Columns of the intercept (none, if there is no intercept), then of each term.

    whole : a column for every level of every factor, instead of contrasts where these say the same.
    """
    factors = frozenset(name for name, value in values.items() if isinstance(value, Levels))
    found: list[list[Column]] = [[(INTERCEPT, None)] if terms.intercept else []]
    ways = [factors] * len(terms.terms) if whole else whole_factors(terms.terms, terms.intercept, factors)
    for term, full in zip(terms.terms, ways, strict=True):
        parts = [_coded(name, values[name], name in full, memo) for name in term]
        if len(parts) == 1:
            found.append(parts[0])
            continue
        found.append([])
        for chosen in product(*reversed(parts)):  # the first variable varies fastest
            names = ":".join(name for name, _ in reversed(chosen))
            total = chosen[-1][1]
            for _, column in reversed(chosen[:-1]):
                total = total * column  # type: ignore[operator]
            found[-1].append((names, total))
    return found


@lru_cache(maxsize=256)
def whole_factors(
    terms: tuple[Term, ...], intercept: bool, factors: frozenset[str]
) -> tuple[frozenset[str], ...]:
    """For each term its factors that take a column for every level, not contrasts.

    A factor takes contrasts where the rest of its term is contained in an earlier term, or is empty;
    without an intercept the first factor of all takes whole columns (Chambers and Hastie, section 2.4.1).
    """
    found: list[frozenset[str]] = []
    first = not intercept
    for place, term in enumerate(terms):
        whole: set[str] = set()
        for name in term:
            if name not in factors:
                continue
            rest = set(term) - {name}
            if rest and not any(rest <= set(earlier) for earlier in terms[:place]):
                whole.add(name)
            if first:
                whole.add(name)
                first = False
        found.append(frozenset(whole))
    return tuple(found)


def _coded(name: str, value: Value, whole: bool, memo: dict[object, list[Column]]) -> list[Column]:
    """The columns of one variable."""
    match value:
        case Numbers(values):
            return [(name, values)]
        case Basis(parts, suffixes):
            return [(name + s, c) for s, c in zip(suffixes, parts, strict=True)]
        case Levels(codes, labels, kind):
            key = (name, whole)
            if key not in memo:
                if whole:
                    matrix, suffixes = np.eye(len(labels)), labels
                else:
                    matrix, suffixes = coding(kind, labels, name)
                memo[key] = [(name + s, matrix[codes, j]) for j, s in enumerate(suffixes)]
            return memo[key]
    raise TypeError(type(value).__name__)
