"""Expression trees: the right-hand sides of a model, shared by every reader and backend.

A tree is immutable, compares by structure and is built alike from text and from Python operators
(`g0 + g1*uranium`), except that `==` compares trees: write `equal(a, b)` for the comparison node.
In a finished graph every reference carries its full tuple of indices (`graph.build` adds them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Scalar = int | float
Label = str | int


class Expression:
    """Base of all trees; the operators build larger ones."""

    __slots__ = ()

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


Operand = Expression | int | float | str


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A non-negative literal; a negative one is `Unary("-", Number(...))`, as the text reads."""

    value: Scalar


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Reference(Expression):
    """A node or, as an operand of a comparison, a plate. `indices` is None only before resolution."""

    name: str
    indices: tuple[Index, ...] | None = None

    def __getitem__(self, key: object) -> Reference:
        keys = key if isinstance(key, tuple) else (key,)
        return Reference(self.name, tuple(_as_index(k) for k in keys))


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """`-a` or `+a`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """Arithmetic `+ - * / **` and comparisons `== != < <= > >=` (1 where true, else 0)."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A function of `graph.functions`."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Reduction(Expression):
    """`sum`, `prod` or `mean` of `body` over elements of `plates` that belong to what is bound."""

    kind: str
    body: Expression
    plates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vector(Expression):
    """`[a, b]`, or a matrix as a vector of rows."""

    items: tuple[Expression, ...]


def as_expression(value: object) -> Expression:
    """Expression, number, boolean, name or nested list to a tree; text goes through `graph.build.parse`."""
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
    raise TypeError(f"{type(value).__name__} is not an expression; write a number, text or node")


def equal(left: Operand, right: Operand) -> Expression:
    """The comparison node `left == right` (Python's `==` compares trees)."""
    return Binary("==", as_expression(left), as_expression(right))


def unequal(left: Operand, right: Operand) -> Expression:
    """The comparison node `left != right`."""
    return Binary("!=", as_expression(left), as_expression(right))


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
    if isinstance(key, int):
        return LevelIndex(key)
    if isinstance(key, str):
        return LevelIndex(key)
    shown = getattr(key, "as_index", None)
    if shown is not None:
        return shown()
    raise TypeError(f"{key!r} cannot index a node; use a plate, a level, a lag or a node")


def depth(tree: Expression) -> int:
    """Height of the tree, bounded by readers of untrusted text."""
    deepest, stack = 0, [(tree, 1)]
    while stack:
        top, level = stack.pop()
        deepest = max(deepest, level)
        stack.extend((c, level + 1) for c in children(top))
    return deepest
