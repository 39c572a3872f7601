"""Modification indices: what would be gained by freeing a parameter, from the fit at hand.

Score tests of single parameters (Soerbom 1989, Psychometrika 54:371; expected change: Saris, Satorra and
Soerbom 1987, Sociol. Methodol. 17:105): with the gradient g of minus the log likelihood in a parameter that
is held, and V its expected information less what the free ones explain of it, the index is g^2 / V and the
expected change -g / V.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH
from dagmodels.results.sem.naming import SemNaming, SemRow
from dagmodels.results.sem.positions import variable_numbers
from dagmodels.results.sem.written import Derivatives, Written, derivatives, written

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 1e-8  # share of a parameter's information that is its own; less: the free ones already say all of it
ZERO = 1.5e-8  # a variance that no covariance can be divided by


def modindices(
    fit: SemFit, *, sort: bool = False, minimum_value: float = 0.0, maximum_number: int | None = None,
    op: str | Sequence[str] | None = None,
) -> DataFrame:  # fmt: skip
    """The table; arguments as lavaan's `modindices`."""
    from pandas import DataFrame

    naming = fit.naming
    added = tuple(candidates(naming))
    w = written(fit, added)
    every = [*(naming.rows[i] for i in w.rows.tolist() if i >= 0), *added]
    held = np.array([n for n, r in enumerate(every) if w.rows[n] < 0 or not r.free], dtype=np.int64)
    index, change = _tests(derivatives(fit, w), held)
    rows = [every[n] for n in held.tolist()]
    number = variable_numbers(fit.solution.form)
    scaled = _standardized(w, held, rows, [number[v] for v in naming.exogenous], change)
    table = DataFrame({
        "lhs": [r.lhs for r in rows], "op": [r.op for r in rows],
        "rhs": ["" if r.op == "~1" else r.rhs for r in rows],
        "group": [naming.groups[r.group] for r in rows], "mi": index, "epc": change, **scaled,
    })  # fmt: skip
    return listed(table, naming, sort, minimum_value, maximum_number, op)


def listed(
    table: DataFrame, naming: SemNaming, sort: bool, minimum_value: float, maximum_number: int | None,
    op: str | Sequence[str] | None,
) -> DataFrame:  # fmt: skip
    """The rows that are asked for, in the order that is asked for."""
    keep = (table["mi"] >= minimum_value).to_numpy()  # not of nan
    if op is not None:
        keep = keep & table["op"].isin([op] if isinstance(op, str) else list(op)).to_numpy()
    table = table[keep]
    if len(naming.groups) == 1:
        table = table.drop(columns="group")
    if sort:
        table = table.sort_values("mi", ascending=False, kind="stable")
    return table.head(len(table) if maximum_number is None else maximum_number).reset_index(drop=True)


def candidates(naming: SemNaming) -> Iterator[SemRow]:
    """Rows that lavaan would try beyond its table, in its order, group by group."""
    taken = {key for r in naming.rows for key in _keys(r)}
    for group in range(len(naming.groups)):
        rows = [r for r in naming.rows if r.group == group]
        for lhs, op, rhs in _all(naming, rows):
            new = SemRow(lhs, op, rhs, group, False)
            if not taken.intersection(_keys(new)):
                taken.update(_keys(new))
                yield new


def _keys(r: SemRow) -> tuple[tuple[Any, ...], ...]:
    rhs = "" if r.op == "~1" else r.rhs
    one = (r.lhs, r.op, rhs, r.group)
    return (one, (rhs, r.op, r.lhs, r.group)) if r.op == "~~" else (one,)


def _all(naming: SemNaming, rows: Sequence[SemRow]) -> Iterator[tuple[str, str, str]]:
    """lavaan's full list for one group: loadings, covariances, regressions, means."""
    latent, observed, x = naming.latent, naming.observed, set(naming.exogenous)
    own = [v for v in observed if v not in x]
    ends = dict.fromkeys(r.lhs for r in rows if r.op == "~")
    both = list(dict.fromkeys([*ends, *(r.rhs for r in rows if r.op == "~")]))
    related = set(both)
    indicators = {r.rhs for r in rows if r.op == "=~" and r.rhs not in latent}
    yield from ((f, "=~", v) for f in latent for v in own if v not in related)
    other = {v for v in observed if v not in indicators and v not in x and v not in related}
    for i, v in enumerate(own):
        yield from ((v, "~~", u) for u in own[i:] if not other & {u, v})
    for i, f in enumerate(latent):
        yield from ((f, "~~", h) for h in latent[i:])
    for v in both:
        yield from ((v, "~", u) for u in both if u != v and not (v in indicators and u in latent))
    if naming.meanstructure:
        yield from ((v, "~1", "") for v in (*observed, *latent))


def _tests(found: Derivatives, held: Ints) -> tuple[Floats, Floats]:
    """Index and expected change of each held entry; nan where the free parameters leave it no information."""
    return index_and_change(found.gradient[held], found.diagonal(held), *found.shared(held))


def index_and_change(gradient: Floats, own: Floats, shared: Floats, inner: Floats) -> tuple[Floats, Floats]:
    """Score tests of entries one at a time, and how far each would move.

    gradient : (h,) of half the criterion. own : (h,) information of each. shared : (h, k) with the free
    coordinates. inner : (k, k) of these.
    """
    d = 1.0 / np.sqrt(np.maximum(np.diag(inner), 1e-300))
    shared = shared * d
    explained = np.einsum("ij,ji->i", shared, np.linalg.lstsq(inner * d[:, None] * d, shared.T)[0])
    left = own - explained
    with np.errstate(all="ignore"):
        left = np.where((own > 0) & (left > LEAST * own), left, np.nan)
        return gradient**2 / left, -gradient / left


def _standardized(
    w: Written, held: Ints, rows: Sequence[SemRow], covariates: list[int], change: Floats
) -> dict[str, Floats]:
    """Expected changes in standardised units: latent variables alone, all, and all but covariates.

    As lavaan has it, a variance's own value stands in for its change, with the sign of the change.
    """
    s, moments = w.structure, w.moments
    kind, g, i, j = s.kind[held], s.group[held], s.row[held], s.column[held]
    _, p, _ = s.filled(w.value)
    own, total = np.diagonal(p, axis1=1, axis2=2), np.diagonal(moments.covariance, axis1=1, axis2=2)
    variance = (kind == COVARIANCE) & (i == j)
    exogenous = np.array([r.exogenous for r in rows])
    size = np.where(variance & ~exogenous, own[g, i], change)
    outside = np.zeros(s.order, dtype=bool)
    outside[covariates] = True
    is_latent = np.ones(s.order, dtype=bool)
    is_latent[s.observed] = False
    found = {}
    chosen = {"sepc_lv": is_latent, "sepc_all": np.ones(s.order, dtype=bool), "sepc_nox": ~outside}
    with np.errstate(all="ignore"):
        for name, scaled in chosen.items():
            sd_i = np.sqrt(np.where(scaled[i], total[g, i], 1.0))
            sd_j = np.sqrt(np.where(scaled[j], total[g, j], 1.0))
            r_i = np.sqrt(np.where(scaled[i], np.abs(own[g, i]), 1.0))
            r_j = np.sqrt(np.where(scaled[j], np.abs(own[g, j]), 1.0))
            factor = np.select(
                [kind == PATH, variance, kind == COVARIANCE, kind == MEAN],
                [sd_j / sd_i, 1 / sd_i**2, 1 / (r_i * r_j), 1 / sd_i],
            )
            value = np.sign(change) * np.abs(size) * factor
            found[name] = np.where(variance & (np.abs(size) < ZERO), 0.0, value)
    return found
