"""Expression trees: the right-hand sides of a model, shared by every reader and backend.

A tree is immutable, compares by structure and is built alike from text and from Python operators
(`g0 + g1*uranium`), except that `==` compares trees: write `equal(a, b)` for the comparison node.
In a finished graph every reference carries its full tuple of indices (`graph.build` adds them).
A tree is neither true nor false, has no elements to go through and is no number; using it as one of
these is an `ExpressionError`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from dagmodels.errors import ModelError

Scalar = int | float
Label = str | int


class ExpressionError(ModelError, TypeError):
    """A tree used as something that it is not, or something that is no part of a tree."""


# What numpy's functions are called here, and those that are operators of trees.
_NUMPY_NAMES = {"maximum": "max", "minimum": "min", "absolute": "abs", "fabs": "abs", "where": "if_else"}
_NUMPY_OPERATORS: dict[str, Callable[..., object]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "true_divide": operator.truediv,
    "power": operator.pow,
    "negative": operator.neg,
    "positive": operator.pos,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}


class Expression:
    """Base of all trees; the operators build larger ones."""

    __slots__ = ()

    # A node can be indexed by plates and levels; without this Python would go through it for ever.
    __iter__: ClassVar[None] = None

    def __add__(self, other: Operand) -> Expression:
        return Binary("+", self, as_expression(other))

    def __radd__(self, other: Operand) -> Expression:
        return Binary("+", as_expression(other), self)

    def __sub__(self, other: Operand) -> Expression:
        return Binary("-", self, as_expression(other))

    def __rsub__(self, other: Operand) -> Expression:
        return Binary("-", as_expression(other), self)

    def __mul__(self, other: Operand) -> Expression:
        return Binary("*", self, as_expression(other))

    def __rmul__(self, other: Operand) -> Expression:
        return Binary("*", as_expression(other), self)

    def __truediv__(self, other: Operand) -> Expression:
        return Binary("/", self, as_expression(other))

    def __rtruediv__(self, other: Operand) -> Expression:
        return Binary("/", as_expression(other), self)

    def __pow__(self, other: Operand) -> Expression:
        return Binary("**", self, as_expression(other))

    def __rpow__(self, other: Operand) -> Expression:
        return Binary("**", as_expression(other), self)

    def __neg__(self) -> Expression:
        return Unary("-", self)

    def __pos__(self) -> Expression:
        return Unary("+", self)

    def __lt__(self, other: Operand) -> Expression:
        return Binary("<", self, as_expression(other))

    def __le__(self, other: Operand) -> Expression:
        return Binary("<=", self, as_expression(other))

    def __gt__(self, other: Operand) -> Expression:
        return Binary(">", self, as_expression(other))

    def __ge__(self, other: Operand) -> Expression:
        return Binary(">=", self, as_expression(other))

    def __abs__(self) -> Expression:
        return Call("abs", (self,))

    def __bool__(self) -> NoReturn:
        raise ExpressionError(
            f"`{self}` is neither true nor false while the model is being written, so if, and, or, not, "
            "min(), max() and chains such as 0 < x < 1 cannot go by it",
            hint="write dm.functions.if_else(condition, yes, no), dm.functions.min or max, "
            "(0 < x)*(x < 1), or the whole expression as a text",
        )

    def __float__(self) -> NoReturn:
        raise ExpressionError(
            f"`{self}` is no number while the model is being written", hint=_use_functions("exp", str(self))
        )

    def __array_ufunc__(self, function: object, method: str, *inputs: object, **options: object) -> object:
        """numpy's arithmetic with arrays and numpy numbers builds trees; its functions are refused."""
        name = str(getattr(function, "__name__", function))
        if method == "__call__" and not options:
            if name in _NUMPY_OPERATORS:
                return _NUMPY_OPERATORS[name](*(as_expression(x) for x in inputs))
            if name in ("equal", "not_equal"):  # as Python's == : an array is not a tree
                return name == "not_equal"
        own = "sum" if method == "reduce" else _NUMPY_NAMES.get(name, name)
        raise self._not_numpy(name, _use_functions(own, ", ".join(map(str, inputs))))

    def __array_function__(self, function: object, *call: object) -> NoReturn:
        name = str(getattr(function, "__name__", function))
        raise self._not_numpy(name, _use_functions(_NUMPY_NAMES.get(name, name), str(self)))

    def _not_numpy(self, name: str, hint: str) -> ExpressionError:
        message = f"numpy's {name} needs numbers, and `{self}` has none while the model is being written"
        return ExpressionError(message, hint=hint)

    def __str__(self) -> str:
        """The expression as a model's text has it."""
        from dagmodels.graph import printing

        try:
            return printing.expression_text(self) if isinstance(self, TREES) else object.__repr__(self)
        except ValueError:  # a number without text, such as infinity, which `graph.build` refuses
            return "..."

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


def _use_functions(name: str, arguments: str) -> str:
    """Where the function `name` of trees is, if there is one."""
    from dagmodels.graph.functions import FUNCTIONS
    from dagmodels.graph.names import REDUCTIONS

    if name in REDUCTIONS:
        return f'the text "{name}({arguments} for plate)" is over the elements of a plate'
    if name == "if_else":
        return "write dm.functions.if_else(condition, yes, no)"
    if name in FUNCTIONS and FUNCTIONS[name].public:
        return f'write dm.functions.{name}({arguments}) or the text "{name}({arguments})"'
    public = sorted(n for n, function in FUNCTIONS.items() if function.public)
    return "the functions of the language are " + ", ".join(public)


Operand = Expression | int | float | str


@dataclass(frozen=True, slots=True, repr=False)
class Number(Expression):
    """A non-negative literal; a negative one is `Unary("-", Number(...))`, as the text reads."""

    value: Scalar


@dataclass(frozen=True, slots=True, repr=False)
class Text(Expression):
    """A level written as a string, compared with a discrete node: `x == "yes"`."""

    value: str


@dataclass(frozen=True, slots=True)
class PlateIndex:
    """The element of a bound plate, or the whole of a free one: `alpha[county]`.

    In a *resolved* reference `plate` is what was written (a plate or an alias).
    """

    plate: str


@dataclass(frozen=True, slots=True)
class LagIndex:
    """The element `lag` places before: `x[year-1]`."""

    plate: str
    lag: int


@dataclass(frozen=True, slots=True)
class LevelIndex:
    """One level by its label, never by position: `beta["control"]`, `w[2]`."""

    label: Label


@dataclass(frozen=True, slots=True)
class NodeIndex:
    """The element that a discrete node or covariate points to: `mu[z]`."""

    reference: Reference


Index = PlateIndex | LagIndex | LevelIndex | NodeIndex


@dataclass(frozen=True, slots=True, repr=False)
class Reference(Expression):
    """A node or, as an operand of a comparison, a plate. `indices` is None only before resolution."""

    name: str
    indices: tuple[Index, ...] | None = None

    def __getitem__(self, key: object) -> Reference:
        keys = key if isinstance(key, tuple) else (key,)
        return Reference(self.name, tuple(_as_index(k) for k in keys))


@dataclass(frozen=True, slots=True, repr=False)
class Unary(Expression):
    """`-a` or `+a`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True, repr=False)
class Binary(Expression):
    """Arithmetic `+ - * / **` and comparisons `== != < <= > >=` (1 where true, else 0)."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, repr=False)
class Call(Expression):
    """A function of `graph.functions`."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Reduction(Expression):
    """`sum`, `prod` or `mean` of `body` over elements of `plates` that belong to what is bound."""

    kind: str
    body: Expression
    plates: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Vector(Expression):
    """`[a, b]`, or a matrix as a vector of rows."""

    items: tuple[Expression, ...]


TREES = (Number, Text, Reference, Unary, Binary, Call, Reduction, Vector)


def as_expression(value: object) -> Expression:
    """Expression, number, boolean, name or nested list to a tree; text goes through `graph.build.parse`.

    Raises ExpressionError for anything else.
    """
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool | int | float):
        number = value + 0
        return Unary("-", Number(-number)) if number < 0 else Number(number)
    if isinstance(value, str):
        from dagmodels.graph import parsing

        return parsing.expression(value)
    if isinstance(value, list | tuple):
        return Vector(tuple(as_expression(v) for v in value))
    as_tree = getattr(value, "as_tree", None)
    if as_tree is not None:  # a builder's plate, as an operand of a comparison
        return as_tree()
    if hasattr(value, "tolist"):
        return as_expression(value.tolist())  # type: ignore[attr-defined]
    shown = "None" if value is None else f"a {type(value).__name__}"
    raise ExpressionError(f"{shown} is no part of an expression", hint="write a number, a text or a node")


def equal(left: Operand, right: Operand) -> Expression:
    """The comparison node `left == right` (Python's `==` compares trees)."""
    return Binary("==", as_expression(left), as_expression(right))


def unequal(left: Operand, right: Operand) -> Expression:
    """The comparison node `left != right`."""
    return Binary("!=", as_expression(left), as_expression(right))


def literal(tree: Expression) -> Scalar | None:
    """The number that a tree is, with its sign; None where it is no literal."""
    match tree:
        case Number(value):
            return value
        case Unary("-", Number(value)):
            return -value
        case _:
            return None


def children(tree: Expression) -> tuple[Expression, ...]:
    """Direct subtrees, those inside indices included."""
    match tree:
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
        case Reduction(_, body, _):
            return (body,)
        case Vector(items):
            return items
        case Reference(_, indices):
            return tuple(i.reference for i in indices or () if isinstance(i, NodeIndex))
        case _:
            return ()


def walk(tree: Expression) -> Iterator[Expression]:
    """Every subtree, parents before children."""
    stack = [tree]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(children(top)))


def references(tree: Expression) -> Iterator[Reference]:
    """Every reference in the tree, those inside indices included."""
    return (t for t in walk(tree) if isinstance(t, Reference))


def rebuild(tree: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The tree with `change` applied to every node, children first."""
    match tree:
        case Unary(op, operand):
            new: Expression = Unary(op, rebuild(operand, change))
        case Binary(op, left, right):
            new = Binary(op, rebuild(left, change), rebuild(right, change))
        case Call(f, arguments):
            new = Call(f, tuple(rebuild(a, change) for a in arguments))
        case Reduction(kind, body, plates):
            new = Reduction(kind, rebuild(body, change), plates)
        case Vector(items):
            new = Vector(tuple(rebuild(i, change) for i in items))
        case Reference(name, indices) if indices:
            new = Reference(name, tuple(_rebuild_index(i, change) for i in indices))
        case _:
            new = tree
    return change(new)


def _rebuild_index(index: Index, change: Callable[[Expression], Expression]) -> Index:
    if not isinstance(index, NodeIndex):
        return index
    new = rebuild(index.reference, change)
    return NodeIndex(new) if isinstance(new, Reference) else index


def _as_index(key: object) -> Index:
    if isinstance(key, PlateIndex | LagIndex | LevelIndex | NodeIndex):
        return key
    if isinstance(key, Reference):
        return NodeIndex(key)
    if isinstance(key, int | str):
        return LevelIndex(key)
    shown = getattr(key, "as_index", None)
    if shown is not None:
        return shown()
    plain = getattr(key, "item", None)  # a number of numpy
    if plain is not None and getattr(key, "shape", None) == () and isinstance(plain(), int | str):
        return LevelIndex(plain())
    told = "a slice" if isinstance(key, slice) else f"{key!r:.60}"
    raise ExpressionError(f"{told} cannot index a node", hint="use a plate, a level, a lag or a node")


def depth(tree: Expression) -> int:
    """Height of the tree, bounded by readers of untrusted text."""
    deepest, stack = 0, [(tree, 1)]
    while stack:
        top, level = stack.pop()
        deepest = max(deepest, level)
        stack.extend((c, level + 1) for c in children(top))
    return deepest
