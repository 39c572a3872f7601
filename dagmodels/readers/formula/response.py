"""The left-hand side of a formula: numbers, 0 and 1, counts of successes, proportions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dagmodels.data.column import column as as_column
from dagmodels.errors import ModelError
from dagmodels.readers.formula.deparse import deparse, variable_name
from dagmodels.readers.formula.evaluate import Evaluator
from dagmodels.readers.formula.family import Family
from dagmodels.readers.formula.syntax import Call, Name, Node
from dagmodels.readers.formula.values import Basis, Floats, Levels, Numbers

MOST_GRADES = 50


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """The observed column.

    name : of its node.
    values : NaN where missing.
    trials : of a binomial with more than one trial a row; values then count successes.
    weights : of the rows, for families with a parameter of spread.
    levels : of grades, in order; values are then codes from 0.
    """

    name: str
    values: Floats
    trials: Floats | None = None
    weights: Floats | None = None
    levels: tuple[str, ...] = ()


def response(
    node: Node, family: Family, weights: Any, evaluator: Evaluator, *, zeros: bool | None = None
) -> Response:
    """The response of a formula, checked.

    Parameters
    ----------
    weights : a column's name or one number a row: of the rows, or the trials behind proportions.
    zeros : whether some zeros have a model of their own; None where it does not matter.

    Raises
    ------
    ModelError : values that the family cannot have, all missing or all the same; weights that are
        negative or missing. A row whose weight is zero does not count: its response is made missing.
    """
    given = row_values(weights, "weights", evaluator)
    binomial = family.trials
    if family.ordered:
        return grades(node, given, evaluator)
    if isinstance(node, Call) and node.function == "cbind":
        if not binomial:
            raise ModelError("cbind() is the response of a binomial model", hint='use family="binomial"')
        return _counts(node, given, evaluator)
    name = variable_name(node)
    found = evaluator.value(node)
    match found:
        case Levels(codes, labels) if binomial or labels == ("FALSE", "TRUE"):
            values = np.where(codes < 0, np.nan, codes > 0)
        case Levels() | Basis():
            hint = 'for two outcomes use glmer(..., family="binomial")' if not binomial else "recode it"
            raise ModelError(f"the response '{name}' is no column of numbers", node=name, hint=hint)
        case Numbers(raw):
            values = np.array(raw, dtype=float)
    _check_range(name, values, family)
    if zeros is not None:
        _check_zeros(name, values, family, zeros)
    if binomial and family.dispersion and given is None:
        raise ModelError(
            f"the {family.name} family needs more than one trial a row",
            node=name,
            hint="write cbind(successes, failures), or give the trials behind proportions as weights",
        )
    if given is not None and not family.weighted and not binomial:
        raise ModelError(
            f"the {family.name} family has no weights", hint="repeat rows, or use an offset for exposure"
        )
    values, given = _counted(name, values, given, "the weight (number of trials)" if binomial else "weights")
    seen = values[~np.isnan(values)]
    if binomial:
        return _varied(_proportions(name, values, given))
    if seen.min() == seen.max():
        raise ModelError(
            f"the response '{name}' is constant: every value is {seen[0]:g}",
            node=name,
            hint="there is nothing to explain; check the column",
        )
    return Response(name, values, weights=given)


def row_values(given: Any, what: str, evaluator: Evaluator) -> Floats | None:
    """A column's name, or one number a row -> numbers; None stays None."""
    if given is None:
        return None
    if isinstance(given, str):
        given = evaluator.numbers(Name(given)).astype(float)
    if np.ndim(given) == 0:
        raise ModelError(f"{what} is {given!r}", hint="give a column's name, or one number a row")
    found = as_column(what, given).floats()
    if found.shape != (evaluator.table.n,):
        raise ModelError(
            f"{what} has {found.shape[0]} values, the data have {evaluator.table.n} rows", hint="one a row"
        )
    wrong = np.flatnonzero(~np.isfinite(found))
    if wrong.size:
        raise ModelError(f"{what} is missing or infinite in row {wrong[0] + 1}", hint="every row needs one")
    return found


def _counted(name: str, values: Floats, weights: Floats | None, what: str) -> tuple[Floats, Floats | None]:
    """Responses and weights where a row of weight zero does not count: its response is missing."""
    if weights is not None:
        wrong = np.flatnonzero(weights < 0)
        if wrong.size:
            row = int(wrong[0])
            raise ModelError(
                f"{what} of row {row + 1} is {weights[row]:g}, but weights are not negative",
                hint="they count trials or multiply inverse variances; check the column",
            )
        if (weights == 0).any():
            values = np.where(weights == 0, np.nan, values)
            weights = np.where(weights == 0, 1.0, weights)
    if not values.size:
        raise ModelError("the data have no rows", node=name, hint="check how they were selected")
    if np.isnan(values).all():
        why = "are missing" if weights is None else "are missing or have a weight of zero"
        raise ModelError(f"all values of the response '{name}' {why}", node=name, hint="give data")
    return values, weights


def _varied(y: Response) -> Response:
    """Refuses outcomes that are all failures, or all successes: no coefficient is finite."""
    seen = ~np.isnan(y.values)
    most = 1.0 if y.trials is None else y.trials[seen]
    for kind, alike in (("failure", y.values[seen] == 0), ("success", y.values[seen] == most)):
        if alike.all():
            raise ModelError(
                f"the response '{y.name}' is constant: every trial is a {kind}",
                node=y.name,
                hint="the likelihood rises for ever as the intercept does; check the column",
            )
    return y


def _check_range(name: str, values: Floats, family: Family) -> None:
    with np.errstate(invalid="ignore"):
        wrong = (values < family.least) | (values > family.most) | np.isinf(values)
        if family.strict:
            wrong |= (values == family.least) | (values == family.most)
        broken = family.whole & (values != np.floor(values)) & ~np.isnan(values)
    for bad, what in ((wrong, family.support), (broken, "whole numbers")):
        rows = np.flatnonzero(bad)
        if rows.size:
            raise ModelError(
                f"the response '{name}' is {values[rows[0]]:g} in row {rows[0] + 1}; "
                f"values of the {family.name} family are {what}",
                node=name,
                hint="check the column, or choose another family",
            )


def _check_zeros(name: str, values: Floats, family: Family, zeros: bool) -> None:
    """Zeros where the family has some, none where it has none."""
    zero = np.flatnonzero(values == 0)
    if family.zeros == "hurdle" and zero.size and not zeros:
        raise ModelError(
            f"the response '{name}' is 0 in row {zero[0] + 1}, but the {family.name} family has no zeros",
            node=name,
            hint='leave these rows out, or give zeros a model: ziformula="~ 1"',
        )
    if zeros and not zero.size:
        raise ModelError(
            f"no value of the response '{name}' is 0, so there is nothing for ziformula to explain",
            node=name,
            hint="leave ziformula out",
        )


def grades(node: Node, weights: Floats | None, evaluator: Evaluator) -> Response:
    """Ordered levels: those of a categorical, of sorted text, or whole numbers; those that no row has are
    left out."""
    name = variable_name(node)
    if weights is not None:
        raise ModelError("the cumulative family has no weights", node=name, hint="repeat rows")
    match evaluator.value(node):
        case Levels(codes, labels):
            pass
        case Numbers(raw):
            numbers = np.array(raw, dtype=float)
            seen = np.unique(numbers[~np.isnan(numbers)])
            broken = np.flatnonzero(~np.isnan(numbers) & (numbers != np.floor(numbers)))
            if broken.size:
                raise ModelError(
                    f"the response '{name}' is {numbers[broken[0]]:g} in row {broken[0] + 1}; grades are "
                    "whole numbers, or levels of a factor",
                    node=name,
                    hint="cut it into classes, or choose another family",
                )
            codes = np.where(np.isnan(numbers), -1, np.searchsorted(seen, numbers))
            labels = tuple(f"{v:.0f}" for v in seen)
        case _:
            raise ModelError(f"the response '{name}' is no column of grades", node=name, hint="recode it")
    found = np.bincount(codes[codes >= 0], minlength=len(labels)) > 0
    kept = tuple(label for label, used in zip(labels, found, strict=True) if used)
    if len(kept) < 2:
        told = f"one level, {kept[0]}" if kept else "no level"
        raise ModelError(
            f"the response '{name}' has {told}: grades need two or more",
            node=name,
            hint="there is nothing to explain; check the column",
        )
    if len(kept) > MOST_GRADES:
        raise ModelError(
            f"the response '{name}' has {len(kept)} levels, of which at most {MOST_GRADES} are grades",
            node=name,
            hint="merge levels, or choose a family of numbers",
        )
    place = np.append(np.cumsum(found) - 1.0, np.nan)  # -1, missing, is the last
    return Response(name, place[codes], levels=kept)


def _counts(node: Call, weights: Floats | None, evaluator: Evaluator) -> Response:
    """`cbind(successes, failures)`."""
    if len(node.arguments) != 2 or any(key for key, _ in node.arguments):
        raise ModelError(f"'{deparse(node)}' is not understood", hint="write cbind(successes, failures)")
    if weights is not None:
        raise ModelError("cbind() already gives the trials", hint="leave the weights out")
    first, second = node.arguments[0][1], node.arguments[1][1]
    a = evaluator.numbers(first).astype(float)
    b = evaluator.numbers(second).astype(float)
    name = variable_name(first)
    for told, values in ((name, a), (deparse(second), b)):
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero((values < 0) | (values != np.floor(values)) & ~np.isnan(values))
        if wrong.size:
            raise ModelError(
                f"'{told}' is {values[wrong[0]]:g} in row {wrong[0] + 1}, but cbind() holds counts",
                node=name,
                hint="counts of successes and failures are whole and not negative",
            )
    values, trials = np.where(np.isnan(b), np.nan, a), a + b
    values, counted = _counted(name, values, np.where(np.isnan(trials), 1.0, trials), "the number of trials")
    return _varied(Response(name, values, counted))


def _proportions(name: str, values: Floats, trials: Floats | None) -> Response:
    """0 and 1, or proportions of `trials`."""
    if trials is None:
        with np.errstate(invalid="ignore"):
            broken = np.flatnonzero((values != np.floor(values)) & ~np.isnan(values))
        if broken.size:
            raise ModelError(
                f"the response '{name}' is {values[broken[0]]:g} in row {broken[0] + 1}, neither 0 nor 1",
                node=name,
                hint="give the trials behind proportions as weights, or write cbind(successes, failures)",
            )
        return Response(name, values)
    counts = values * trials
    whole = np.round(counts)
    with np.errstate(invalid="ignore"):
        broken = np.flatnonzero(np.abs(counts - whole) > 1e-3)  # as R's binomial() asks
    if broken.size or (trials != np.floor(trials)).any():
        row = int(broken[0]) if broken.size else int(np.flatnonzero(trials != np.floor(trials))[0])
        raise ModelError(
            f"{values[row]:g} of {trials[row]:g} trials in row {row + 1} is no whole number of successes",
            node=name,
            hint="weights of a binomial model are numbers of trials",
        )
    return Response(name, whole, trials)
