"""Wald tests of constraints on the estimates: `a == b; c == 0`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph.calculus import number
from dagmodels.graph.functions import FUNCTIONS
from dagmodels.graph.parsing import expression
from dagmodels.results.sem.definitions import Definitions, differences
from dagmodels.results.sem.measures import upper_tail
from dagmodels.results.sem.naming import SemRow

if TYPE_CHECKING:
    from pandas import Series

    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
LAVAAN = {"plogis": "expit", "qlogis": "logit", "pnorm": "Phi"}
WHERE = "the constraints of the Wald test"


def wald_test(fit: SemFit, constraints: str) -> Series[float]:
    """The statistic h'(H V H')^-1 h of constraints h = 0 with derivatives H: stat, df, pvalue.

    constraints : one or more `left == right`, separated by `;` or lines, over labels, names of defined
        quantities, and names of coefficients in backticks. They may be nonlinear.

    Raises
    ------
    ModelErrors : what is no constraint, or a name that no estimate has.
    """
    from pandas import Series

    gaps = _read(fit, constraints)
    free = [i for i, r in enumerate(fit.naming.rows) if r.free and r.op != ":="]
    numbers = fit.at.value
    h = gaps(numbers)
    slopes = differences(gaps, numbers, free)
    covariance = slopes @ np.asarray(fit.covariance_matrix) @ slopes.T
    size = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    faults = []
    if np.isnan(h).any():
        told = "a constraint has no value at the estimates"
        faults.append(ModelError(told, hint="is there a logarithm or a root of a negative number?"))
    elif (size == 0).any() or np.isnan(covariance).any():
        told = "a constraint has no free estimate in it, or one without standard error"
        faults.append(ModelError(told, hint="test estimates that are free"))
    elif np.linalg.matrix_rank(covariance / np.outer(size, size), tol=1e-8) < h.size:
        told = "the constraints follow from one another, or from those of the model"
        faults.append(ModelError(told, hint="leave out what the others say"))
    raise_all(faults, WHERE)
    statistic = float(h @ np.linalg.solve(covariance, h))
    return Series({"stat": statistic, "df": h.size, "pvalue": upper_tail(statistic, h.size)})


def _read(fit: SemFit, text: str) -> Callable[[Floats], Floats]:
    """The gaps between the sides, as a function of the rows' numbers."""
    faults: list[ModelError] = []
    sides: list[tuple[ex.Expression, ex.Expression]] = []
    known = _names(fit)
    for part in filter(None, (p.strip() for p in re.split(r"[;\n]", text))):
        tree = ex.rebuild(expression(part.replace("^", "**")), _renamed)
        if not (isinstance(tree, ex.Binary) and tree.operator == "=="):
            faults.append(ModelError(f"'{part}' is no constraint", hint="write 'a == b' or 'a == 0'"))
            continue
        sides.append((tree.left, tree.right))
        faults.extend(_no_arithmetic(part, tree))
        for name in dict.fromkeys(r.name for r in ex.references(tree)):
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(list(known)[:12])}"
                faults.append(ModelError(f"no estimate is called '{name}'", node=name, hint=hint))
    if not sides and not faults:
        faults.append(ModelError("there is no constraint", hint="write 'a == b; c == 0'"))
    raise_all(faults, WHERE)
    definitions = Definitions(fit.naming, fit.graph)

    def gaps(numbers: Floats) -> Floats:
        every = numbers.copy()
        every[definitions.rows] = definitions.at(numbers)

        bound = {name: every[i] for name, i in known.items()}
        return np.array([number(a, bound) - number(b, bound) for a, b in sides])

    return gaps


def _renamed(tree: ex.Expression) -> ex.Expression:
    """lavaan's functions by the language's names."""
    match tree:
        case ex.Call(function, arguments):
            return ex.Call(LAVAAN.get(function, function), arguments)
        case _:
            return tree


def _no_arithmetic(part: str, tree: ex.Expression) -> list[ModelError]:
    """Faults of what has no value over plain numbers."""
    hint = "there are + - * / **, numbers, names, and functions such as exp, log, sqrt and abs"
    found = []
    for t in ex.walk(tree):
        if isinstance(t, ex.Call) and not (t.function in FUNCTIONS and FUNCTIONS[t.function].public):
            found.append(ModelError(f"no function is called '{t.function}'", hint=hint))
        elif isinstance(t, ex.Reduction | ex.Vector | ex.Text):
            found.append(ModelError(f"'{t}' in '{part}' is no number", hint=hint))
    return found


def _names(fit: SemFit) -> dict[str, int]:
    """Rows by label, by name of the coefficient, and by name of the definition."""
    from dagmodels.results.sem.table import name_of

    found: dict[str, int] = {}
    for i, r in enumerate(fit.naming.rows):
        plain = name_of(SemRow(r.lhs, r.op, r.rhs, r.group, level=r.level), fit.naming)
        for name in (r.label, plain):
            if name:
                found.setdefault(name, i)
    return found
