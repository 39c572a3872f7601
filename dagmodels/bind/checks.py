"""Values that a node cannot have: infinite, missing where none may be, outside the support."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.claims import Work, others
from dagmodels.bind.problem import Values
from dagmodels.distributions import family
from dagmodels.graph.dag import Node
from dagmodels.graph.statement import Distribution, Joint, Stochastic


@dataclass(frozen=True, slots=True)
class Where:
    """What messages call the place of an entry.

    source : of the table or array.
    shape : of an array given by position; empty for the rows of a table.
    """

    source: str
    shape: tuple[int, ...] = ()

    def __call__(self, entry: int) -> str:
        """The flat entry, counted from 1."""
        if len(self.shape) < 2:
            return f"in row {entry + 1}"
        return f"at [{', '.join(str(int(i) + 1) for i in np.unravel_index(entry, self.shape))}]"


def check_values(work: Work, node: Node, values: Values, where: Where) -> bool:
    """Complain of the first value that the node cannot have.

    Parameters
    ----------
    values : flat, NaN where missing, one per entry of `where`.
    """
    for wrong, what, hint in _rules(node, values):
        rows = np.flatnonzero(wrong)
        if rows.size:
            row = int(rows[0])
            told = f"{where.source}: {values[row]:g} {where(row)} of {node.name!r}{others(len(rows))}"
            work.complain(f"{told} is {what}", node.name, hint)
            return False
    return True


def _rules(node: Node, values: Values) -> Iterator[tuple[NDArray[np.bool_], str, str]]:
    """What is wrong where, and what to do; bounds that hang on parameters are for the likelihood to judge."""
    rest = ", or leave it missing" if node.observed else ""
    yield np.isinf(values), "infinite", f"give a finite number{rest}"
    if node.values_in is not None or not node.observed:
        return
    laws = [s.distribution for s in node.statements if isinstance(s, Stochastic | Joint)]
    names = [name for law in laws for name in _families(law)]
    supports = [family(name).support for name in names]
    told = " or ".join(dict.fromkeys(names))
    if all(s.kind == "integer" for s in supports):
        broken = ~np.isnan(values) & (values != np.floor(values))
        hint = "correct the value, or choose a law of continuous values, such as Normal"
        yield broken, f"no whole number, but {told} counts", hint
    if all(s.kind in ("integer", "interval") for s in supports):
        lower = min(s.lower if isinstance(s.lower, int | float) else -np.inf for s in supports)
        upper = max(s.upper if isinstance(s.upper, int | float) else np.inf for s in supports)
        hint = f"correct the value{rest}, or choose another law"
        yield values < lower, f"below {lower:g}, the least value of {told}", hint
        yield values > upper, f"above {upper:g}, the greatest value of {told}", hint


def _families(law: Distribution) -> Iterator[str]:
    """Families under any wrappers."""
    inner = [v for _, v in law.arguments if isinstance(v, Distribution)]
    inner += [d for _, v in law.arguments if isinstance(v, tuple) for d in v]
    if not inner:
        yield law.family
    for part in inner:
        yield from _families(part)


def check_complete(work: Work, values: dict[str, Values], *, observed: bool, covariates: bool) -> None:
    """Covariates are never missing; an observed node has at least one value.

    Parameters
    ----------
    observed : every observed node needs data (to fit).
    covariates : every covariate needs data (to fit, simulate or predict).
    """
    silent = {e.node for e in work.errors}
    for name, node in work.dag.nodes.items():
        if name in silent:
            continue
        if any(work.dag.base(p) in work.failed for p in node.plates):
            if _has_no_column(work, node) and (covariates if node.kind == "covariate" else observed):
                _absent(work, node, "covariate" if node.kind == "covariate" else "observed node")
            continue
        if node.kind == "covariate" and name not in values and covariates:
            _absent(work, node, "covariate")
        elif node.kind == "covariate" and name in values:
            _covariate(work, node, values[name])
        elif node.observed and name not in values and observed:
            _absent(work, node, "observed node")
        elif node.observed and name in values and work.old is None and np.isnan(values[name]).all():
            work.complain(f"all values of the observed node {name!r} are missing", name, "drop `observed`")


def _has_no_column(work: Work, node: Node) -> bool:
    """Whether data are clearly lacking, though the node's plates are not known.

    Values by several plates may stand in columns named by levels, which only known plates tell.
    """
    if not (node.observed or node.kind == "covariate") or len(node.plates) > 1:
        return False
    given = (node.name in s.table for s in work.sources.sheets)
    return node.name not in work.sources.arrays and not any(given)


def _absent(work: Work, node: Node, what: str) -> None:
    from dagmodels.bind.sources import suggest

    taken = {*work.dag.nodes, *work.dag.plate}
    free = [n for s in work.sources.sheets for n in s.table.names if n not in taken] + work.sources.unused
    there = list(dict.fromkeys(n for s in work.sources.sheets for n in s.table.names))
    told = f"the columns are {', '.join(there[:8])}; add {node.name!r}" if there else f"add {node.name!r}"
    told = f"the unused columns are {', '.join(free[:8])}" if free else told
    if work.sources.empty:
        message, told = f"no data are given for the {what} {node.name!r}", "give data"
    else:
        message = f"the data have no column {node.name!r} for the {what}"
    work.complain(message, node.name, suggest(node.name, free, told))


def _covariate(work: Work, node: Node, values: Values) -> None:
    lost = np.flatnonzero(np.isnan(values.reshape(-1)))
    if not lost.size:
        return
    labels = ()
    if node.plates:
        places = np.unravel_index(int(lost[0]), values.shape)
        labels = tuple(
            f"{p} {work.plates[p].levels[int(i)]!r}" for p, i in zip(node.plates, places, strict=True)
        )
    axes = f"[{', '.join(node.plates)}]" if node.plates else ""
    at = f" at {', '.join(labels)}" if labels else ""
    work.complain(
        f"covariate {node.name!r} is missing{at}{others(len(lost))}",
        node.name,
        f"a covariate is never missing: write `observed {node.name}{axes} ~ ...` with a distribution",
    )
