"""Structures of the residuals: `variance="~ sex + exp(age)"`, `correlation="ar1(time | subject)"`.

nlme's constructors are read too: `varIdent(form = ~ 1 | sex)`, `varExp(form = ~ age)`,
`varPower(form = ~ age)`, `corAR1(form = ~ time | subject)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

import numpy as np

from dagmodels.errors import ModelError
from dagmodels.readers.formula.algebra import addends
from dagmodels.readers.formula.bars import grouping
from dagmodels.readers.formula.deparse import deparse, variable_name
from dagmodels.readers.formula.evaluate import Evaluator, interaction
from dagmodels.readers.formula.syntax import Call, Name, Node, Number, Op, parse, refuse
from dagmodels.readers.formula.values import Codes, Floats, Levels

VARIANCE = 'write "~ sex" (a scale for each level), "exp(age)" or "power(age)"'
CORRELATION = 'write "ar1(time | subject)", with time = 1 for the order of the rows'
_NLME = re.compile(r"\s*((?:var|cor)\w+)\s*\(\s*(?:form\s*=)?\s*~(.*)\)\s*\Z", re.DOTALL)
_CHAINS = ("ar1", "corAR1")
Factors = tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """`ar1(time | group)`.

    time : None for the order of the rows. factors : as of a `Bar`.
    """

    time: Node | None
    factors: Factors

    @property
    def group(self) -> str:
        """The grouping factor's name."""
        return ":".join(name for name, _ in self.factors)

    @property
    def text(self) -> str:
        """Of the time."""
        return "1" if self.time is None else deparse(self.time)


@dataclass(frozen=True, slots=True)
class Spec:
    """Both arguments, read.

    strata : the factors whose combinations have scales of their own. slopes : form and covariate.
    """

    strata: Factors = ()
    slopes: tuple[tuple[str, Node], ...] = ()
    chain: Chain | None = None

    @property
    def by(self) -> str:
        """Name of the strata."""
        return ":".join(name for name, _ in self.strata)


@dataclass(frozen=True, slots=True, eq=False)
class ResidualColumns:
    """A structure's columns for the rows of one table.

    strata : None where there is one scale. covariates : of the slopes.
    group, time : of the chain, None without one. gap : time since the row before in the group (1 for a
        first one), None where it is one everywhere.
    """

    spec: Spec
    strata: Levels | None = None
    covariates: tuple[Floats, ...] = ()
    group: Levels | None = None
    time: Floats | None = None
    gap: Floats | None = None


@lru_cache(maxsize=128)
def read_spec(variance: str | None, correlation: str | None) -> Spec | None:
    """The arguments `variance` and `correlation` of `lmer`; None where both are.

    Raises
    ------
    ModelErrors : what is not understood, and what to write.
    """
    for what, given, hint in (("variance", variance, VARIANCE), ("correlation", correlation, CORRELATION)):
        if given is not None and not isinstance(given, str):
            refuse(f"{what} is {given!r}, which is no text.", hint, f"{what}=")
    if variance is None and correlation is None:
        return None
    strata, slopes = ((), ()) if variance is None else _variance(variance)
    return Spec(strata, slopes, None if correlation is None else _chain(correlation))


def _variance(text: str) -> tuple[Factors, tuple[tuple[str, Node], ...]]:
    def fault(message: str, hint: str = VARIANCE) -> NoReturn:
        refuse(f"{message}.", hint, text)

    found = _NLME.match(text)
    function = found.group(1) if found else ""
    if function.startswith("cor"):
        fault(f"{function}() is a correlation, not a variance", f'correlation="{text}"')
    inner = found.group(2) if found else text.strip().removeprefix("~")
    node = parse(f"~ {inner}")[1]
    if function in ("varExp", "varPower"):
        if isinstance(node, Op) and node.operator == "|":
            fault(f"{function}() by a factor has no model here", "give one slope for all: leave out the bar")
        return (), ((function[3:].lower(), node),)
    if function and function != "varIdent":
        fault(f"the variance function {function}() has no model here")
    if isinstance(node, Op) and node.operator == "|":
        if node.operands[0] != Number(1):
            fault(f"'{deparse(node)}' is no variance function", "scales by a factor are ~ 1 | factor")
        return _factors(node.operands[1], fault), ()
    strata: list[Factors] = []
    slopes: list[tuple[str, Node]] = []
    for part in addends(node):
        match part:
            case Call("exp" | "power" as form, (("", covariate),)):
                slopes.append((form, covariate))
            case Number(1) if len(addends(node)) > 1:
                pass
            case Number():
                fault("one scale for all is the usual model", "leave variance= out, or name a factor")
            case Call(name) if name not in ("factor", "as.factor", "interaction"):
                fault(f"the variance function {name}() is not known")
            case _:
                strata.append(_factors(part, fault))
    if len(strata) > 1:
        names = [":".join(n for n, _ in s) for s in strata]
        fault(
            f"{' + '.join(names)}: each combination of levels has one scale",
            f'join the factors: "~ {":".join(names)}"',
        )
    return strata[0] if strata else (), tuple(slopes)


def _factors(node: Node, fault: Callable[[str, str], NoReturn]) -> Factors:
    """`a`, `a:b`, `a*b` (the same here)."""
    match node:
        case Op("(", (inner,)):
            return _factors(inner, fault)
        case Op(":" | "*" | "%in%", (left, right)):
            a = _factors(left, fault)
            return (*a, *(f for f in _factors(right, fault) if f not in a))
        case Name(name):
            return ((name, node),)
        case Call("factor" | "as.factor" | "interaction"):
            return ((variable_name(node), node),)
    fault(f"'{deparse(node)}' is no factor", VARIANCE)
    raise AssertionError("unreachable")


def _chain(text: str) -> Chain:
    def fault(message: str, hint: str = CORRELATION) -> NoReturn:
        refuse(f"{message}.", hint, text)

    found = _NLME.match(text)
    if found:
        function, node = found.group(1), parse(f"~ {found.group(2)}")[1]
    else:
        node = parse(f"~ {text.strip().removeprefix('~')}")[1]
        if not (isinstance(node, Call) and len(node.arguments) == 1 and not node.arguments[0][0]):
            fault(f"'{text}' is no correlation")
        function, node = node.function, node.arguments[0][1]
    if function not in _CHAINS:
        hint = f'variance="{text}"' if function.startswith("var") else CORRELATION
        fault(f"the correlation {function}() is not known", hint)
    if not (isinstance(node, Op) and node.operator == "|"):
        fault(f"{function}() names no group", "residuals are correlated within groups: " + CORRELATION)
    time, group = node.operands
    groups = grouping(group, text, fault)
    if len(groups) > 1:
        fault(f"'{deparse(group)}' is several groups", "name the innermost one, such as casks:batch")
    if isinstance(time, Number) and time.value == 1:
        time = None
    elif not isinstance(time, Name | Call):
        hint = "time is one column; a random effect with this covariance is a term of the formula"
        fault(f"'{deparse(time)}' is no time", hint)
    return Chain(time, groups[0])


def residual_columns(
    spec: Spec, evaluator: Evaluator, seen: Floats, predicted: bool = False
) -> ResidualColumns:
    """What a structure needs of each row.

    seen : the response, NaN where missing.

    Raises
    ------
    ModelError : missing values; strata or covariates that say nothing; times that are not unique, or
        not integers.
    """
    there = ~np.isnan(seen)
    strata = _strata(spec, evaluator, there, predicted) if spec.strata else None
    covariates = tuple(_covariate(form, node, evaluator) for form, node in spec.slopes)
    if spec.chain is None:
        return ResidualColumns(spec, strata, covariates)
    group = _levels(spec.chain.factors, evaluator)
    time, gap = _times(spec.chain, group.codes, evaluator)
    if there.sum() and np.bincount(group.codes[there]).max() < 2:
        raise ModelError(
            f"no level of '{spec.chain.group}' has two observations",
            node=spec.chain.group,
            hint="residuals are correlated within groups: leave out correlation=, or name a coarser group",
        )
    return ResidualColumns(spec, strata, covariates, group, time, gap)


def _levels(factors: Factors, evaluator: Evaluator) -> Levels:
    parts = [evaluator.levels(node) for _, node in factors]
    for (name, node), part in zip(factors, parts, strict=True):
        evaluator.refuse_missing(name, part.codes < 0, node)
    return parts[0] if len(parts) == 1 else interaction(parts)


def _strata(spec: Spec, evaluator: Evaluator, there: Floats, predicted: bool) -> Levels:
    found = _levels(spec.strata, evaluator)
    counts = np.bincount(found.codes[there], minlength=len(found.labels))
    if len(found.labels) < 2 and not predicted:
        raise ModelError(
            f"'{spec.by}' has one level, so there is one scale",
            node=spec.by,
            hint="leave it out of variance=",
        )
    few = np.flatnonzero(counts < 2)
    if few.size and evaluator.fitting:
        label, n = found.labels[few[0]], counts[few[0]]
        raise ModelError(
            f"the stratum '{label}' of '{spec.by}' has {n or 'no'} observation{'' if n == 1 else 's'}, "
            "which tells no scale",
            node=spec.by,
            hint="join it with another one",
        )
    return found


def _covariate(form: str, node: Node, evaluator: Evaluator) -> Floats:
    name = deparse(node)
    if name == "fitted(.)":
        raise ModelError(
            "a variance that depends on fitted values has no model here", hint="name a column of the data"
        )
    values = np.broadcast_to(evaluator.numbers(node).astype(float), (evaluator.table.n,))
    evaluator.refuse_missing(name, ~np.isfinite(values), node)
    if form == "power" and (values == 0).any():
        raise ModelError(
            f"'{name}' is zero in row {np.flatnonzero(values == 0)[0] + 1}, and so would be the residual "
            f"variance of power({name})",
            node=name,
            hint=f"use exp({name}), or a covariate without zeros",
        )
    size = values if form == "exp" else np.abs(values)
    if size.min() == size.max() and evaluator.fitting:
        raise ModelError(
            f"'{name}' is constant, so {form}({name}) says nothing of the variance",
            node=name,
            hint="leave it out of variance=",
        )
    return values


def _times(chain: Chain, group: Codes, evaluator: Evaluator) -> tuple[Floats, Floats | None]:
    """Times of the rows, and the gaps before them (None where all are one)."""
    n = group.size
    if chain.time is None:
        order = np.argsort(group, kind="stable")
        starts = np.flatnonzero(np.diff(group[order], prepend=-1))
        sizes = np.diff(np.append(starts, n))
        time = np.empty(n)
        time[order] = np.arange(n) - np.repeat(starts, sizes)
        return time, None
    time = np.broadcast_to(evaluator.numbers(chain.time).astype(float), (n,))
    evaluator.refuse_missing(chain.text, ~np.isfinite(time), chain.time)
    broken = np.flatnonzero(time != np.floor(time))
    if broken.size:
        told = f"the time '{chain.text}' is {time[broken[0]]:g} in row {broken[0] + 1}, which is no integer"
        hint = "count the time in whole steps (days, visits), or write 1 for the order of the rows"
        raise ModelError(told, node=chain.text, hint=hint)
    order = np.lexsort((time, group))
    follows = group[order[1:]] == group[order[:-1]]
    steps = np.diff(time[order])
    twice = np.flatnonzero(follows & (steps <= 0))
    if twice.size:
        a, b = sorted(int(i) + 1 for i in order[twice[0] : twice[0] + 2])
        raise ModelError(
            f"rows {a} and {b} of one level of '{chain.group}' have the same time {time[a - 1]:g}",
            node=chain.text,
            hint="times are unique within a group: name a finer group, or write 1 for the order of the rows",
        )
    gap = np.ones(n)
    gap[order[1:][follows]] = steps[follows]
    return time, None if (gap == 1).all() else gap
