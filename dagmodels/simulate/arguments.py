"""A distribution at its rows: the family, wrappers included, and its arguments as checked arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.distributions import Argument, Family, _numeric, family
from dagmodels.errors import ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution
from dagmodels.simulate.domains import outside
from dagmodels.simulate.evaluate import Evaluator, Scope, Value

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Target:
    """What a law gives: the plates of one vector or matrix, or the length of a tuple.

    event : the head's plates that the law takes whole.
    length : of a tuple of nodes, or 0.
    states : number of levels of the plate in which a discrete node has its values, or 0.
    sizes : lengths of the axes of one value.
    """

    event: tuple[str, ...] = ()
    length: int = 0
    states: int = 0
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Law:
    """A family and its canonical arguments; each has the rows (or one row) as its first axis."""

    family: Family
    arguments: tuple[Floats, ...]

    def faults(self) -> tuple[str, int, str] | None:
        """The first argument outside its domain: its name, the row and what it is; else None."""
        for argument, value in zip(self.family.parameters, self.arguments, strict=True):
            wrong, rule = outside(value, _domain(argument), argument.shape)
            if argument.name.rpartition(".")[2] in _LIMITS:
                wrong, rule = np.isnan(value).reshape(value.shape[0], -1).any(axis=1), "must be a number"
            if wrong.any():
                row = int(np.argmax(wrong))
                shown = "" if argument.shape else f"is {value[row].reshape(-1)[0]:g}, but "
                return argument.name, row, f"{shown}{rule}"
        return self._crossed()

    def _crossed(self) -> tuple[str, int, str] | None:
        """Limits in the wrong order."""
        by_name = dict(zip((a.name for a in self.family.parameters), self.arguments, strict=True))
        if "lower" in by_name and "upper" in by_name:
            wrong = np.asarray(by_name["lower"] > by_name["upper"])
            if wrong.any():
                row = int(np.argmax(wrong.reshape(wrong.shape[0], -1).any(axis=1)))
                return "lower", row, "is above upper"
        return None

    def at(self, rows: NDArray[Any]) -> tuple[Floats, ...]:
        """The arguments at some rows."""
        return tuple(a if a.shape[0] == 1 else a[rows] for a in self.arguments)


_LIMITS = ("lower", "upper")


def _domain(argument: Argument) -> str:
    """A standard deviation of zero is a point mass, which can be drawn."""
    return "scale" if argument.name.rpartition(".")[2] == "sigma" else argument.domain


def law(distribution: Distribution, evaluator: Evaluator, scope: Scope, target: Target) -> Law:
    """The family of a distribution and its arguments on the rows of a scope."""
    return _Reader(evaluator, scope, target).law(distribution)


@dataclass(frozen=True, slots=True)
class _Reader:
    evaluator: Evaluator
    scope: Scope
    target: Target
    elementwise: bool = False

    def law(self, distribution: Distribution) -> Law:
        match distribution.family:
            case "Truncated" | "Censored":
                return self._limited(distribution)
            case "Ordered":
                from dagmodels.distributions.ordered import ordered

                inner = replace(self, elementwise=True).law(_part(distribution))
                return Law(ordered(inner.family), inner.arguments)
            case "Mixture":
                return self._mixture(distribution)
            case _:
                return self._plain(distribution)

    def _limited(self, distribution: Distribution) -> Law:
        from dagmodels.distributions.censored import censored
        from dagmodels.distributions.truncated import truncated

        wrap = truncated if distribution.family == "Truncated" else censored
        inner = self.law(_part(distribution))
        limits = [
            self._number(tree) if (tree := distribution.argument(side)) is not None else np.array([none])
            for side, none in (("lower", -np.inf), ("upper", np.inf))
        ]
        return Law(wrap(inner.family), (*inner.arguments, *limits))

    def _mixture(self, distribution: Distribution) -> Law:
        from dagmodels.distributions.mixture import mixture

        parts = distribution.argument("components")
        assert isinstance(parts, tuple)
        laws = [self.law(p) for p in parts]
        weights = self._vector(distribution.argument("weights"), len(parts))
        every = (weights, *(a for found in laws for a in found.arguments))
        return Law(mixture([found.family for found in laws]), every)

    def _plain(self, distribution: Distribution) -> Law:
        found = family(distribution.family)
        given = dict(distribution.arguments)
        whole = next((s for s in found.signatures if set(s) == set(given)), None)
        if whole is not None:
            values = _numeric.quietly(found.signatures[whole], *(self._number(given[n]) for n in whole))
            return Law(found, tuple(np.asarray(v, dtype=float) for v in values))
        return Law(found, tuple(self._argument(found, a, given) for a in found.parameters))

    def _argument(self, found: Family, argument: Argument, given: Mapping[str, Any]) -> Floats:
        if argument.name in given:
            return self._shaped(given[argument.name], argument)
        for name, (canonical, formula) in found.alternatives.items():
            if canonical == argument.name and name in given:
                return np.asarray(_numeric.quietly(formula, self._shaped(given[name], argument)))
        if argument.default is None:
            raise ModelError(f"{found.name} needs {argument.name}")
        return np.full((1,) * (1 + argument.shape), argument.default)

    def _shaped(self, tree: Any, argument: Argument) -> Floats:
        if argument.shape == 0:
            return self._number(tree)
        if argument.shape == 2:
            return self._matrix(tree)
        if argument.domain == "simplex" and self.target.states:
            return self._vector(tree, self.target.states)
        return self._vector(tree, self.target.sizes[-1] if self.target.sizes else self.target.length)

    def _value(self, tree: Any) -> Value:
        return self.evaluator.value(tree, self.scope)

    def _number(self, tree: Any) -> Floats:
        """(rows,); within Ordered (rows, length), where a scalar is repeated."""
        found = self._value(tree).array
        return found[:, None] if self.elementwise and found.ndim == 1 else found

    def _vector(self, tree: Any, length: int) -> Floats:
        """(rows, length); a scalar is repeated."""
        if isinstance(tree, ex.Vector):
            return np.stack(np.broadcast_arrays(*(self._value(i).array for i in tree.items)), axis=-1)
        found = self._value(tree)
        if found.axes:
            return found.array
        return np.broadcast_to(found.array[:, None], (found.array.shape[0], max(length, 1)))

    def _matrix(self, tree: Any) -> Floats:
        """(rows, k, k); the plates of the value's own axes are matched by name."""
        if isinstance(tree, ex.Vector):
            return np.stack(np.broadcast_arrays(*(self._vector(row, 0) for row in tree.items)), axis=-2)
        found = self._value(tree)
        swapped = len(self.target.event) == 2 and found.axes == self.target.event[::-1]
        swapped = swapped or (len(self.target.event) == 1 and found.axes[1:] == self.target.event)
        return np.swapaxes(found.array, -1, -2) if swapped else found.array


def _part(distribution: Distribution) -> Distribution:
    inner = distribution.argument("distribution")
    assert isinstance(inner, Distribution)
    return inner


def leaves(distribution: Distribution) -> list[Distribution]:
    """The distributions inside any wrappers; itself where there is none."""
    inner = [v for _, v in distribution.arguments if isinstance(v, Distribution)]
    inner += [d for _, v in distribution.arguments if isinstance(v, tuple) for d in v]
    return [leaf for part in inner for leaf in leaves(part)] or [distribution]
