"""The terms of the fixed part: which coefficients are theirs, and which terms contain which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dagmodels.readers.formula.algebra import Term, Terms
from dagmodels.readers.formula.columns import by_term, whole_factors
from dagmodels.readers.formula.values import Basis, Levels, Value
from dagmodels.results.mixed.naming import FixedTerm


def fixed_terms(
    terms: Terms, values: Mapping[str, Value], kept: Sequence[int], n: int
) -> tuple[FixedTerm, ...]:
    """One for each term, in the formula's order.

    Parameters
    ----------
    values : of the variables. kept : places of the columns that are coefficients. n : rows.
    """
    used = {name: values[name] for term in terms.terms for name in term}
    parts, whole = by_term(terms, used, {}), by_term(terms, used, {}, whole=True)
    starts = np.cumsum([0, *map(len, parts)])
    place = {column: i for i, column in enumerate(kept)}
    factors = {name for name, value in used.items() if isinstance(value, Levels)}
    full = whole_factors(terms.terms, terms.intercept, frozenset(factors))
    found = []
    for i, term in enumerate(terms.terms):
        own = range(int(starts[i + 1]), int(starts[i + 2]))
        found.append(
            FixedTerm(
                ":".join(term),
                tuple(place[j] for j in own if j in place),
                tuple(j for j, other in enumerate(terms.terms) if _contains(other, term, factors)),
                np.stack([np.broadcast_to(c, (n,)) for _, c in whole[i + 1] if c is not None], axis=1),
                tuple(_treatment(term, used, full[i])),
            )
        )
    return tuple(found)


def _treatment(term: Term, values: Mapping[str, Value], full: frozenset[str]) -> list[int]:
    """Places, among columns for all levels, of those of treatment contrasts; first variable fastest."""
    found, step = [0], 1
    for name in term:
        value = values[name]
        match value:
            case Levels():
                count = len(value.labels)
                own = range(0 if name in full else 1, count)
            case Basis():
                count = len(value.columns)
                own = range(count)
            case _:
                count, own = 1, range(1)
        found = [place + step * k for k in own for place in found]
        step *= count
    return found


def _contains(larger: Term, smaller: Term, factors: set[str]) -> bool:
    """The same numeric variables, and the smaller one's factors with more (SAS's rule)."""
    same = set(larger) - factors == set(smaller) - factors
    return same and set(smaller) & factors < set(larger) & factors
