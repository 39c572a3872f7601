"""Derivatives of the dense log likelihood with error estimates: complex step, or Richardson differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from dagmodels.bind.problem import Problem
from dagmodels.graph.statement import Parameter, Stochastic

from .dense import dense
from .interpret import Interpreter

Values = dict[str, np.ndarray[Any, Any]]
STEP = 1e-30  # no difference is taken, so nothing cancels


@dataclass(frozen=True, eq=False)
class Gradient:
    """Derivatives by node over its plates, and an estimate of their absolute error.

    Entries of a covariance or correlation matrix move in pairs: both mirrored entries hold the
    derivative in the common value. NaN where an element of theta is fixed by another statement.
    """

    value: Values
    error: Values


def gradient(
    problem: Problem,
    theta: Mapping[str, Any],
    free: str = "declared",
    prior: bool = False,
    method: str = "complex",
    parents: str = "auto",
) -> Gradient:
    """Gradient of `dense(problem, theta).loglik(free, prior)` in every entry of theta.

    method : "complex" (exact up to rounding; the error given is a rule of thumb for it) or
        "richardson" (central differences extrapolated, with the error of the extrapolation).
    """
    start = {name: np.asarray(v, dtype=float) for name, v in theta.items()}
    route = dense(problem, start, parents).parents
    value: Values = {n: np.full(v.shape, np.nan) for n, v in start.items()}
    error: Values = {n: np.full(v.shape, np.nan) for n, v in start.items()}

    def moved(name: str, at: list[tuple[int, ...]], step: complex) -> Any:
        new = {n: v.astype(complex) if isinstance(step, complex) else v.copy() for n, v in start.items()}
        for a in at:
            new[name][a] += step
        return dense(problem, new, route).loglik(free, prior)

    for name, at in directions(problem, start):
        if method == "complex":
            slope = float(moved(name, at, complex(0.0, STEP)).imag / STEP)
            slack = 1e-13 * (1.0 + abs(slope))
        else:
            scale = max(abs(start[name][at[0]]), 0.1)
            slope, slack = richardson(partial(_value, moved, name, at), 0.1 * scale)
        for a in at:
            value[name][a], error[name][a] = slope, slack
    return Gradient(value, error)


def _value(moved: Callable[..., Any], name: str, at: list[tuple[int, ...]], h: float) -> float:
    return float(moved(name, at, h))


def directions(problem: Problem, theta: Values) -> list[tuple[str, list[tuple[int, ...]]]]:
    """The entries of theta that may move, mirrored entries of a symmetric matrix together."""
    of = Interpreter(problem, theta, given=True)
    found = []
    for name, value in theta.items():
        for codes in np.ndindex(*value.shape):
            statement = of.statement(name, codes)
            if isinstance(statement, Stochastic | Parameter):
                mirrored = (*codes[:-2], codes[-1], codes[-2]) if symmetric(statement) else codes
                if mirrored >= codes:
                    found.append((name, list(dict.fromkeys([codes, mirrored]))))
    return found


def symmetric(statement: Stochastic | Parameter) -> bool:
    """Whether a node's last two plates hold a symmetric matrix."""
    if isinstance(statement, Parameter):
        return statement.domain is not None and statement.domain.kind in ("covariance", "correlation")
    return statement.distribution.family in ("Wishart", "InverseWishart", "LKJCorr")


def richardson(f: Callable[[float], float], step: float, rows: int = 8) -> tuple[float, float]:
    """f'(0) from central differences at steps halved `rows` times; (value, estimate of its error).

    Neville's scheme in the squared step; of all entries the one least different from its neighbours is
    returned (Ridders, Advances in Engineering Software 4, 75-76, 1982).
    """
    table: list[list[float]] = []
    best, error = float("nan"), float("inf")
    for i in range(rows):
        h = step / 2**i
        row = [(f(h) - f(-h)) / (2 * h)]
        for j in range(1, i + 1):
            row.append(row[-1] + (row[-1] - table[-1][j - 1]) / (4.0**j - 1))
            slack = max(abs(row[j] - row[j - 1]), abs(row[j] - table[-1][j - 1]))
            if slack < error:
                best, error = row[j], slack
        table.append(row)
    return best, error


def hessian(
    problem: Problem, theta: Mapping[str, Any], free: str = "declared", prior: bool = False
) -> tuple[list[tuple[str, tuple[int, ...]]], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Second derivatives in the entries of theta: (their names, matrix, error estimates).

    Richardson differences of the complex-step gradient.
    """
    start = {name: np.asarray(v, dtype=float) for name, v in theta.items()}
    moves = directions(problem, start)
    k = len(moves)
    value, error = np.zeros((k, k)), np.zeros((k, k))
    for i, (name, at) in enumerate(moves):
        slopes = cache(partial(_slopes, problem, start, name, tuple(at), free, prior))
        scale = 0.1 * max(abs(start[name][at[0]]), 0.1)
        for j, (other, places) in enumerate(moves):
            value[i, j], error[i, j] = richardson(partial(_entry, slopes, other, places[0]), scale, 5)
    return [(n, a[0]) for n, a in moves], (value + value.T) / 2, error


def _slopes(
    problem: Problem, start: Values, name: str, at: tuple[Any, ...], free: str, prior: bool, h: float
) -> Values:
    new = {n: v.copy() for n, v in start.items()}
    for a in at:
        new[name][a] += h
    return gradient(problem, new, free, prior).value


def _entry(slopes: Callable[[float], Values], name: str, at: tuple[int, ...], h: float) -> float:
    return float(slopes(h)[name][at])
