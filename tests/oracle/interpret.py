"""A recursive interpreter of bound graphs: every element of every node as an affine number.

Slow on purpose: one element at a time, from the definition in the language, sharing no code with the
routes that it checks.  The unknowns of the affine numbers are `Shock` (jointly Gaussian, mean zero) and
`Free` (coefficients without a proper prior).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import (
    Constant,
    Covariate,
    Deterministic,
    Distribution,
    Joint,
    Parameter,
    Slot,
    Stochastic,
)

from .affine import Affine, Array, NotLinearGaussian, Number, Scalar, apply, constant, literal
from .functions import ARITHMETIC, COMPARE, FUNCTIONS, given, matrix_of, real, root, vector_of
from .residual import residual_groups
from .unknowns import Element, Env, Free, Shock


class Interpreter:
    """The elements of a problem at given values of its outer unknowns.

    Parameters
    ----------
    problem : graph and data.
    theta : values over the node's plates, by name; complex for a complex step. A `parameter` that is
        not in it is a free coefficient. A stochastic node in it is held at its value.
    given : whether an observed cell that is somebody's parent enters as its datum (True), or as the
        random quantity that it is (False). Both give one likelihood; the first also allows a free
        coefficient to multiply it.
    """

    def __init__(self, problem: Problem, theta: Mapping[str, Any], given: bool) -> None:
        self.problem, self.graph, self.given = problem, problem.graph, given
        unknown = [name for name in theta if name not in self.graph.nodes]
        if unknown:
            raise KeyError(f"theta names {unknown}, which are no nodes of model {self.graph.name!r}")
        with_data = [name for name in theta if name in problem.values]
        if with_data:
            raise KeyError(f"theta names {with_data}, which have data")
        self.theta = {name: np.asarray(value) + 0.0 for name, value in theta.items()}
        for name, value in self.theta.items():
            if value.shape != problem.shape(name):
                raise ValueError(f"theta[{name!r}] has shape {value.shape}, not {problem.shape(name)}")
        self.blocks: list[np.ndarray[Any, Any]] = []  # the covariance of each vector of shocks
        self._laws: dict[Element, Number] = {}
        self._open: set[Element] = set()
        self._drawn: dict[tuple[Any, ...], Any] = {}
        self._residual = residual_groups(self)

    # ---- elements -----------------------------------------------------------------------------

    def value(self, name: str, codes: tuple[int, ...]) -> Number:
        """What an element is for those that refer to it."""
        if self.is_given(name, codes) and (self.given or not self.is_stochastic(name, codes)):
            return self.datum(name, codes)
        return self.law(name, codes)

    def is_given(self, name: str, codes: tuple[int, ...]) -> bool:
        """Whether the element has a datum."""
        return name in self.problem.values and bool(self.problem.observed[name][codes])

    def datum(self, name: str, codes: tuple[int, ...]) -> float:
        """The element's datum."""
        return float(self.problem.values[name][codes])

    def law(self, name: str, codes: tuple[int, ...]) -> Number:
        """The element as its own statement gives it."""
        element = (name, codes)
        if element not in self._laws:
            if element in self._open:
                raise RecursionError(f"{name}{list(codes)} depends on itself")
            self._open.add(element)
            self._laws[element] = self._law(name, codes)
            self._open.discard(element)
        return self._laws[element]

    def is_stochastic(self, name: str, codes: tuple[int, ...]) -> bool:
        """Whether the element has a distribution."""
        return isinstance(self.statement(name, codes), Stochastic | Joint)

    def is_parameter(self, name: str, codes: tuple[int, ...]) -> bool:
        """Whether the element is an unknown without distribution."""
        return isinstance(self.statement(name, codes), Parameter)

    def statement(self, name: str, codes: tuple[int, ...]) -> Any:
        """The statement that holds for an element: of those that cover it the one naming most levels."""
        node = self.graph.nodes[name]
        for statement in reversed(node.statements):
            head = getattr(statement, "head", None)
            if head is None or all(self._covers(s, c) for s, c in zip(head.slots, codes, strict=True)):
                return statement
        raise NotLinearGaussian(f"no statement defines {name}{list(codes)}")

    def _covers(self, slot: Slot, code: int) -> bool:
        if slot.label is not None:
            return self.code_of(str(slot.plate), slot.label) == code
        if slot.first:
            for _ in range(slot.first):
                if code < 0:
                    break
                code = self.previous(str(slot.plate), code)
            return code < 0
        return True

    def previous(self, plate: str, code: int) -> int:
        """The element before, or -1."""
        order = self.problem.plates[plate].order
        if order is None:
            raise TypeError(f"plate {plate!r} is not ordered")
        return int(order[code])

    def code_of(self, plate: str, label: object) -> int:
        """The element of a plate with this label."""
        levels = self.problem.plates[plate].levels
        found = [i for i, level in enumerate(levels) if level == label or str(level) == str(label)]
        if len(found) != 1:
            raise KeyError(f"level {label!r} of plate {plate!r} names {len(found)} elements of {levels}")
        return found[0]

    def bind(self, plates: tuple[str, ...], codes: tuple[int, ...]) -> dict[str, int]:
        """Elements of the plates and of all plates that these lie in."""
        bound = dict(zip(plates, codes, strict=True))
        queue = list(bound)
        while queue:
            plate = queue.pop(0)
            for parent, owner in self.problem.plates[plate].parents.items():
                if parent not in bound:
                    bound[parent] = int(owner[bound[plate]])
                    queue.append(parent)
        return bound

    def env(self, name: str, codes: tuple[int, ...], statement: Any) -> Env:
        """The bindings of a statement's right-hand side at one element."""
        plates = self.graph.nodes[name].plates
        if isinstance(statement, Deterministic | Stochastic):
            plates = tuple(s.plate or p for s, p in zip(statement.head.slots, plates, strict=True))
        elif isinstance(statement, Joint):
            plates = statement.plates
        whole = plates[-2:] if isinstance(statement, Deterministic) else ()
        return Env(self.bind(plates, codes), whole)

    def _law(self, name: str, codes: tuple[int, ...]) -> Number:
        statement = self.statement(name, codes)
        env = self.env(name, codes, statement)
        where = f"{name}{list(codes)}"
        match statement:
            case Deterministic(expression=tree):
                result = self.evaluate(tree, env)
                if isinstance(result, Array):
                    raise TypeError(f"{where} = ... gives a vector over {result.axes}")
                return result
            case Covariate() | Constant():
                return self.datum(name, codes)
            case _ if name in self.theta:
                return self.theta[name][codes].item()
            case Parameter():
                return Affine(0.0, {Free(name, codes, "parameter"): 1.0})
            case Stochastic(distribution=Distribution(family="Flat")):
                if self.is_given(name, codes):
                    return self.datum(name, codes)  # density one: nothing but a start for what follows
                return Affine(0.0, {Free(name, codes, "flat"): 1.0})
            case Stochastic(distribution=Distribution(family="Normal") as d):
                return self._normal((name, codes), d, env)
            case Stochastic(distribution=Distribution(family="MvNormal" | "Simultaneous") as d, head=head):
                plate = str(head.slots[-1].plate)
                members = self.problem.plates[plate].size
                rest = self.bind(tuple(str(s.plate) for s in head.slots[:-1]), codes[:-1])
                return self._vector((name, codes[:-1]), codes[-1], members, d, Env(rest).without((plate,)))
            case Joint(names=names, distribution=Distribution(family="MvNormal" | "Simultaneous") as d):
                return self._vector((names, codes), names.index(name), len(names), d, env)
            case _:
                family = statement.distribution.family
                raise NotLinearGaussian(f"{where} ~ {family}: give its value in theta")

    # ---- Gaussian laws ------------------------------------------------------------------------

    def shocks(self, covariance: np.ndarray[Any, Any]) -> int:
        """A new zero-mean Gaussian vector; returns its number."""
        self.blocks.append(covariance)
        return len(self.blocks) - 1

    def scale(self, d: Distribution, env: Env, where: str) -> Scalar:
        """The standard deviation of a Normal."""
        sigma, tau = d.argument("sigma"), d.argument("tau")
        if sigma is not None:
            return constant(self._tree(sigma, env), f"the scale of {where}")
        if tau is None:
            return 1.0
        return 1.0 / root(constant(self._tree(tau, env), f"the precision of {where}"))

    def _normal(self, element: Element, d: Distribution, env: Env) -> Number:
        where = f"{element[0]}{list(element[1])}"
        mu = d.argument("mu")
        mean = 0.0 if mu is None else self._tree(mu, env)
        if isinstance(mean, Array):
            raise TypeError(f"the mean of {where} is a vector over {mean.axes}")
        if element in self._residual:
            group, member = self._residual[element].draw(self, element)
            return mean + Affine(0.0, {Shock(group, member): 1.0})
        key = ("normal", element)
        if key not in self._drawn:
            self._drawn[key] = self.shocks(np.array([[self.scale(d, env, where) ** 2]]))
        return mean + Affine(0.0, {Shock(self._drawn[key], 0): 1.0})

    def _vector(self, key: tuple[Any, ...], member: int, size: int, d: Distribution, env: Env) -> Number:
        if key not in self._drawn:
            group = self.shocks(self._covariance(d, size, env, str(key)))
            means = vector_of(self._tree(given(d, "mu", ex.Number(0)), env), size)
            values = [m + Affine(0.0, {Shock(group, i): 1.0}) for i, m in enumerate(means)]
            if d.family == "Simultaneous":
                b = matrix_of(self._tree(given(d, "B", None), env), size, f"B of {key}")
                inverse = np.linalg.inv(np.eye(size) - b)
                values = [
                    sum((inverse[i, j].item() * values[j] for j in range(size)), 0.0) for i in range(size)
                ]
            self._drawn[key] = values
        return self._drawn[key][member]

    def _covariance(self, d: Distribution, size: int, env: Env, where: str) -> np.ndarray[Any, Any]:
        for name in ("cov", "tau", "chol"):
            tree = d.argument(name)
            if tree is not None:
                m = matrix_of(self._tree(tree, env), size, f"{name} of {where}")
                return {"cov": lambda m: m, "tau": np.linalg.inv, "chol": lambda m: m @ m.T}[name](m)
        raise NotLinearGaussian(f"{where} has neither cov nor tau nor chol")

    # ---- expressions --------------------------------------------------------------------------

    def _tree(self, argument: object, env: Env) -> Number | Array:
        if not isinstance(argument, ex.Expression):
            raise NotLinearGaussian(f"{type(argument).__name__} is no expression")
        return self.evaluate(argument, env)

    def evaluate(self, tree: ex.Expression, env: Env) -> Number | Array:
        """The value of a tree: a number, or an array along the plates that stay whole in it."""
        match tree:
            case ex.Number(v):
                return float(v)
            case ex.Unary(op, a):
                return apply(lambda x: -x if op == "-" else x, self.evaluate(a, env))
            case ex.Binary(op, a, b) if op in COMPARE:
                left, right = self._side(a, b, env), self._side(b, a, env)
                return apply(lambda x, y: float(COMPARE[op](real(x), real(y))), left, right)
            case ex.Binary(op, a, b):
                return apply(ARITHMETIC[op], self.evaluate(a, env), self.evaluate(b, env))
            case ex.Call("if_else", (condition, a, b)):
                chosen = self.evaluate(condition, env)
                if not isinstance(chosen, Array):  # only the branch that holds is looked at
                    return self.evaluate(a if real(chosen) else b, env)
                return apply(
                    lambda c, x, y: x if real(c) else y, chosen, self.evaluate(a, env), self.evaluate(b, env)
                )
            case ex.Call("inverse", (a,)):
                return self._inverse(a, env)
            case ex.Call(f, arguments):
                if f not in FUNCTIONS:
                    raise NotLinearGaussian(f"{f}(...) is not part of a linear-Gaussian graph")
                values = [self.evaluate(a, env) for a in arguments]
                return apply(lambda *v: FUNCTIONS[f](*(constant(x, f"{f}(...)") for x in v)), *values)
            case ex.Reduction(kind, body, plates):
                return self._reduce(kind, body, plates, env)
            case ex.Vector(items):
                return literal([self.evaluate(i, env) for i in items])
            case ex.Reference(name, indices):
                return self._reference(name, indices, env)
            case _:
                raise NotLinearGaussian(f"{tree} is no number")

    def _reference(self, name: str, indices: tuple[ex.Index, ...] | None, env: Env) -> Number | Array:
        if name not in self.graph.nodes:
            return float(env.codes[name])  # the element of a plate, in a comparison
        plates = self.graph.nodes[name].plates
        places = [
            self._place(p, i, env) for p, i in zip(plates, indices or map(ex.PlateIndex, plates), strict=True)
        ]
        free = tuple(p for p in places if isinstance(p, str))
        if not free:
            return self.value(name, tuple(int(p) for p in places))
        data = np.empty([self.problem.plates[p].size for p in free], dtype=object)
        for at in np.ndindex(*data.shape):
            picked = iter(at)
            data[at] = self.value(name, tuple(next(picked) if isinstance(p, str) else p for p in places))
        return Array(free, data)

    def _place(self, plate: str, index: ex.Index, env: Env) -> int | str:
        """The element that an index names, or the plate's name when it stays whole."""
        match index:
            case ex.PlateIndex(p):
                return env.codes.get(p, p)
            case ex.LagIndex(p, lag):
                code = env.codes[p]
                for _ in range(lag):
                    code = self.previous(p, code)
                    if code < 0:
                        raise IndexError(f"{p}-{lag} reaches before the first element of {p}")
                return code
            case ex.LevelIndex(label):
                return self.code_of(plate, label)
            case ex.NodeIndex(reference):
                return int(real(constant(self.evaluate(reference, env), f"the index of {plate}")))
        raise TypeError(f"{index} is no index")

    def _side(self, side: ex.Expression, other: ex.Expression, env: Env) -> Number | Array:
        """One side of a comparison; a label stands for its element in the other side's plate."""
        sign = -1 if isinstance(side, ex.Unary) and side.operator == "-" else 1
        label = side.operand if isinstance(side, ex.Unary) else side
        if isinstance(label, ex.Text | ex.Number) and isinstance(other, ex.Reference):
            node = self.graph.nodes.get(other.name)
            plate = other.name if node is None else node.values_in
            if plate is not None:
                return float(self.code_of(plate, -label.value if sign < 0 else label.value))
        return self.evaluate(side, env)

    def _inverse(self, tree: ex.Expression, env: Env) -> Number | Array:
        whole = self.evaluate(tree, env)
        if not isinstance(whole, Array):  # bound outside: its matrix is the last two plates of the head
            whole = self.evaluate(tree, env.without(env.whole))
        if not isinstance(whole, Array) or whole.data.ndim != 2:
            raise TypeError("inverse(...) takes a matrix")
        n = whole.data.shape[0]
        inverse = np.linalg.inv(matrix_of(whole, n, "inverse(...)")).astype(object)
        at = tuple(env.codes.get(a, slice(None)) if a is not None else slice(None) for a in whole.axes)
        axes = tuple(a for a in whole.axes if a not in env.codes)
        return Array(axes, inverse[at]) if axes else inverse[at]

    def _reduce(self, kind: str, body: ex.Expression, plates: tuple[str, ...], env: Env) -> Number | Array:
        terms = [self.evaluate(body, inner) for inner in self._within(plates, env)]
        total: Number | Array = 1.0 if kind == "prod" else 0.0
        for term in terms:
            total = apply(ARITHMETIC["*" if kind == "prod" else "+"], total, term)
        return apply(lambda x: x / len(terms), total) if kind == "mean" else total

    def _within(self, plates: tuple[str, ...], env: Env) -> Iterator[Env]:
        """Bindings for every element of `plates` that belongs to what is bound already."""
        if not plates:
            yield env
            return
        for code in range(self.problem.plates[plates[0]].size):
            bound = self.bind((plates[0],), (code,))
            if all(env.codes.get(p, c) == c for p, c in bound.items()):
                yield from self._within(plates[1:], replace(env, codes={**bound, **env.codes}))
