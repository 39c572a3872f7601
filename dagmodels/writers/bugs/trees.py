"""Expressions as BUGS writes them; the inverse of `readers.bugs.trees`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dagmodels.graph import expression as ex
from dagmodels.graph.scope import lies_in
from dagmodels.writers.bugs.names import Names, Unwritable

FUNCTIONS = {
    **{n: n for n in ("exp", "log", "sqrt", "abs", "logit", "probit", "cloglog", "icloglog", "min", "max")},
    **{n: n for n in ("sin", "cos", "arctan", "tanh")},
    "lgamma": "loggam",
    "expit": "ilogit",
    "Phi": "phi",
    "if_else": "ifelse",
}
RANK = {"==": 1, "!=": 1, "<": 1, "<=": 1, ">": 1, ">=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "**": 5}
UNARY, ATOM = 0.5, 9


@dataclass(frozen=True, eq=False, slots=True)
class Inside:
    """Where an expression stands.

    names : of the text. bound : plates with their loop's index, as written ("i", "3"). whole : plates that
    are taken whole, in order: empty indices stand for them. inline : definitions in place of their nodes.
    """

    names: Names
    bound: Mapping[str, str]
    whole: tuple[str, ...] = ()
    inline: Mapping[str, ex.Expression] | None = None


def written(tree: ex.Expression, at: Inside, rank: float = 0) -> str:
    """The text of a tree, in brackets where it binds less than `rank`."""
    text, own = _text(tree, at)
    return f"({text})" if own < rank else text


def _text(tree: ex.Expression, at: Inside) -> tuple[str, float]:
    match tree:
        case ex.Number(value):
            return number(value), (ATOM if value >= 0 else UNARY)
        case ex.Reference(name, indices):
            return _reference(name, indices or (), at)
        case ex.Unary(operator, operand):
            inner = written(operand, at, 5)
            return (f"-{inner}" if operator == "-" else inner), UNARY
        case ex.Binary(operator, left, right):
            return _binary(operator, left, right, at)
        case ex.Call(function, arguments):
            return _call(tree, function, arguments, at), ATOM
        case ex.Reduction(kind, body, over):
            return _reduction(kind, body, over, at), ATOM
        case ex.Text(value):
            raise Unwritable(f"the level {value!r} stands where BUGS has numbers", "compare a node with it")
        case _:
            raise Unwritable("a vector stands inside an expression", "give it a node of its own")


def number(value: float) -> str:
    """As short as it reads back."""
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return str(int(value))
    return repr(float(value)).replace("e", "E")


def _binary(operator: str, left: ex.Expression, right: ex.Expression, at: Inside) -> tuple[str, float]:
    own = RANK[operator]
    if own == 1:
        left, right = _labels(left, right, at), _labels(right, left, at)
    if operator == "**":
        return f"pow({written(left, at)}, {written(right, at)})", ATOM
    a, b = written(left, at, own if own > 1 else own + 1), written(right, at, own + 1)
    space = " " if own < 3 else ""
    return f"{a}{space}{operator}{space}{b}", own


def _labels(side: ex.Expression, other: ex.Expression, at: Inside) -> ex.Expression:
    """A level compared with a node is the number of its place."""
    plate = _values_in(other, at)
    label = side.value if isinstance(side, ex.Text | ex.Number) else None
    if plate is None or label is None:
        return side
    return ex.Number(at.names.place(plate, label))


def _values_in(tree: ex.Expression, at: Inside) -> str | None:
    """The plate whose elements a tree's values are."""
    if not isinstance(tree, ex.Reference):
        return None
    if tree.name in at.names.bounds:
        return tree.name
    node = at.names.dag.nodes.get(tree.name)
    return node.values_in if node is not None else None


def _deviation(tree: ex.Expression, at: Inside) -> str | None:
    """`sd(x[])` of the root that readers make of it, if a tree is one."""
    match tree:
        case ex.Call(
            "sqrt",
            (
                ex.Binary(
                    "/",
                    ex.Reduction("sum", ex.Binary("**", ex.Binary("-", x, mean), ex.Number(2)), over),
                    ex.Binary("-", ex.Reduction("sum", ex.Number(1), counted), ex.Number(1)),
                ),
            ),
        ):
            if isinstance(mean, ex.Reference) and at.inline is not None:
                mean = at.inline.get(mean.name, mean)
            same = isinstance(mean, ex.Reduction) and mean.kind == "mean" and counted == over
            if same and _renamed(mean.body, mean.plates, over) == x:
                return f"sd({_reduction('sum', x, over, at)[4:-1]})"
    return None


def _renamed(tree: ex.Expression, old: tuple[str, ...], new: tuple[str, ...]) -> ex.Expression:
    """With other plates in the indices."""
    names = dict(zip(old, new, strict=True)) if len(old) == len(new) else {}

    def change(part: ex.Expression) -> ex.Expression:
        if not isinstance(part, ex.Reference):
            return part
        found = tuple(
            ex.PlateIndex(names.get(i.plate, i.plate)) if isinstance(i, ex.PlateIndex) else i
            for i in part.indices or ()
        )
        return replace(part, indices=found)

    return ex.rebuild(tree, change)


def _call(tree: ex.Call, function: str, arguments: tuple[ex.Expression, ...], at: Inside) -> str:
    if (deviation := _deviation(tree, at)) is not None:
        return deviation
    if function == "softmax" and len(at.whole) == 0 and len(arguments) == 1:
        return _softmax(arguments[0], at)
    if function == "inverse" and len(at.whole) == 2:
        return f"inverse({written(arguments[0], at)})"
    if function not in FUNCTIONS:
        raise Unwritable(f"BUGS has no function '{function}'", "write it out, by functions that BUGS has")
    return f"{FUNCTIONS[function]}({', '.join(written(a, at) for a in arguments)})"


def _softmax(tree: ex.Expression, at: Inside) -> str:
    """One share: the plate is the last one bound, over which the sum goes."""
    plates = [p for p in at.bound if _uses(tree, p)]
    if not plates:
        raise Unwritable("softmax of what no loop runs over", "give it a node of its own")
    total = _reduction("sum", ex.Call("exp", (tree,)), (plates[-1],), at)
    return f"(exp({written(tree, at)})/{total})"


def _uses(tree: ex.Expression, plate: str) -> bool:
    found = (i for r in ex.references(tree) for i in r.indices or ())
    return any(isinstance(i, ex.PlateIndex) and i.plate == plate for i in found)


def _reduction(kind: str, body: ex.Expression, over: tuple[str, ...], at: Inside) -> str:
    """Over whole vectors: every array in the body is taken whole along the plates."""
    names = at.names
    if (chosen := _chosen(kind, body, over)) is not None:
        return f"({written(chosen, at)})"
    for part in ex.walk(body):
        if isinstance(part, ex.Reference) and part.name in over:
            raise Unwritable(
                f"the sum over '{part.name}' reads its index as a number",
                "give the terms a node of their own, and sum that",
            )
    if isinstance(body, ex.Number) and kind == "sum" and len(over) == 1:
        size = names.bounds[over[0]]
        return size if body.value == 1 else f"({number(body.value)}*{size})"
    if at.whole:
        raise Unwritable(f"a sum over {', '.join(over)} inside another sum", "give it a node of its own")
    bound = {p: k for p, k in at.bound.items() if p not in over}
    nested = [p for p in over if any(q != p and q in at.bound for q in lies_in(names.plates, p))]
    if nested:
        raise Unwritable(
            f"a sum over the elements of '{nested[0]}' that lie in another plate's",
            "BUGS sums whole vectors; write rows of a matrix",
        )
    if not any(_uses(body, p) for p in over):
        raise Unwritable(f"a sum over {', '.join(over)} of what does not vary", "multiply by their number")
    mixed = {
        r.name for r in ex.references(body) if r.indices and not any(_index_over(i, over) for i in r.indices)
    }
    inner = written(body, replace(at, bound=bound, whole=over))
    if mixed and len(over) > 1:
        raise Unwritable(f"a sum over {', '.join(over)} of arrays of different dimensions")
    return f"{kind}({inner})"


def _chosen(kind: str, body: ex.Expression, over: tuple[str, ...]) -> ex.Expression | None:
    """The sum of (z == k)*e(k) over k is e(z)."""
    match body:
        case ex.Binary("*", ex.Binary("==", ex.Reference() as node, ex.Reference(plate, ())), term):
            if kind != "sum" or over != (plate,):
                return None
        case _:
            return None

    def change(part: ex.Expression) -> ex.Expression:
        if not isinstance(part, ex.Reference):
            return part
        if part == ex.Reference(plate, ()):
            return node
        own = (ex.NodeIndex(node) if i == ex.PlateIndex(plate) else i for i in part.indices or ())
        return replace(part, indices=tuple(own))

    return ex.rebuild(term, change)


def _index_over(index: ex.Index, over: tuple[str, ...]) -> bool:
    return isinstance(index, ex.PlateIndex) and index.plate in over


def _reference(name: str, indices: tuple[ex.Index, ...], at: Inside) -> tuple[str, float]:
    names = at.names
    if at.inline is not None and name in at.inline:
        return written(at.inline[name], replace(at, bound={}), ATOM), ATOM
    if name in names.bounds and name not in names.dag.nodes:
        return _plate(name, at), ATOM
    if not indices:
        return names.nodes[name], ATOM
    return f"{names.nodes[name]}[{','.join(_index(i, name, k, at) for k, i in enumerate(indices))}]", ATOM


def _index(index: ex.Index, name: str, axis: int, at: Inside) -> str:
    match index:
        case ex.PlateIndex(plate):
            return "" if plate in at.whole else _plate(plate, at)
        case ex.LagIndex(plate, lag):
            if at.names.plates[plate].parents:
                raise Unwritable(f"'{plate}' is ordered within {', '.join(at.names.plates[plate].parents)}")
            return f"{_plate(plate, at)}-{lag}"
        case ex.LevelIndex(label):
            return str(at.names.place(at.names.dag.nodes[name].plates[axis], label))
        case ex.NodeIndex(reference):
            return written(reference, replace(at, whole=()))


def _plate(plate: str, at: Inside) -> str:
    """The index that a plate has here: its loop's, or the membership of a plate that lies in it."""
    if plate in at.bound:
        return at.bound[plate]
    for inner, index in at.bound.items():
        if plate in at.names.plates[inner].parents:
            return f"{at.names.member(plate, inner)}[{index}]"
        for between in at.names.plates[inner].parents:
            if plate in lies_in(at.names.plates, between):
                outer = replace(at, bound={between: _plate(between, at)})
                return _plate(plate, outer)
    raise Unwritable(f"no loop runs over '{plate}' here")


__all__ = ["Inside", "number", "written"]
