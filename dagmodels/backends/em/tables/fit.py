"""Cases -> tables, with standard errors and the network that they make."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.analysis.table_unit import TableUnit
from dagmodels.backends.em.executor import executor_of
from dagmodels.backends.em.tables.expectation import Expectation
from dagmodels.backends.em.tables.layout import layout
from dagmodels.backends.em.tables.loop import solve
from dagmodels.backends.em.tables.priors import added_counts
from dagmodels.backends.em.tables.report import impossible_cases, report
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.forms.table_counts import table_counts

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit

OPTIONS = ("fix", "starts", "prior", "pseudocount", "executor", "equivalent_sample_size", "seed")
STARTS = 5


def fit(problem: Problem, plan: Plan, unit: TableUnit, options: Mapping[str, Any]) -> Fit:
    """Estimate the tables.

    Options
    -------
    fix : names of nodes whose tables keep the numbers stated.
    starts : how many searches where something is hidden; the first begins with the numbers stated, mixed
        with two hundredths of the uniform distribution, so that no zero is for ever.
    prior, pseudocount, equivalent_sample_size : see `priors.added_counts`.
    seed : of the random starts. executor : runs them elsewhere, with the same answer.
    """
    began = time.process_time()
    fixed, starts = _options(unit, options)
    form = table_counts(problem, unit)
    added = added_counts(unit, form.tables, options)
    _refuse_unstated(form.tables, fixed, unit)
    rows = layout(form, [n for n in unit.free if n not in fixed], added)
    expectation = Expectation(form)
    if not np.isfinite(expectation(rows.start)[0]):
        raise FitError(f"em: {impossible_cases(problem, form, rows.start)}")
    rng = np.random.default_rng(int(options.get("seed", 1)))
    best, values, evaluations = solve(expectation, rows, starts, rng, executor_of(options))
    return report(problem, plan, form, rows, best, values, evaluations, began)


def _options(unit: TableUnit, options: Mapping[str, Any]) -> tuple[set[str], int]:
    faults: list[ModelError] = []
    unknown = [k for k in options if k not in OPTIONS]
    faults += [ModelError(f"em has no option {k!r} for tables", hint=", ".join(OPTIONS[:5])) for k in unknown]
    given = options.get("fix", ())
    fixed = {given} if isinstance(given, str) else set(given)
    faults += [
        ModelError(
            f"fix names '{n}', which has no Table", node=str(n), hint=f"there are {', '.join(unit.free)}"
        )
        for n in sorted(map(str, fixed - set(unit.free)))
    ]
    starts = options.get("starts", STARTS)
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 1:
        faults.append(ModelError(f"starts is {starts!r}", hint="give a whole number from 1"))
    raise_all(faults, "the options of the fit")
    return fixed, int(starts)


def _refuse_unstated(tables: Any, fixed: set[str], unit: TableUnit) -> None:
    raise_all(
        [
            ModelError(f"the Table of '{n}' has no numbers to be fixed at", node=n, hint="state them")
            for n in sorted(fixed & set(unit.free))
            if tables.numbers[tables.index[n]] is None
        ],
        "the options of the fit",
    )
