"""Random terms: `(x | g)`, `(x || g)`, `(x | a/b)`, `diag(x | g)`, ... taken out of a formula.

As in lme4, `(x || g)` is `(1 | g) + (0 + x | g)`, and `(x | a/b)` is `(x | b:a) + (x | a)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

from dagmodels.readers.formula.algebra import Fault, Terms, addends, expand
from dagmodels.readers.formula.deparse import deparse, variable_name
from dagmodels.readers.formula.syntax import Call, Name, Node, Number, Op

STRUCTURES = ("us", "diag", "cs", "ar1")
_UNSAID = ("homcs", "homdiag", "toep", "homtoep", "hetar1", "ou", "exp", "gau", "mat", "rr", "propto")


@dataclass(frozen=True, slots=True)
class Bar:
    """One random term.

    effects : what varies.
    factors : the grouping factor as the variables whose interaction it is, innermost first: `b:a` for
        casks b in batches a.
    structure : of the covariance matrix: "us", "diag", "cs" or "ar1".
    equal : all variances are the same (`hom = TRUE`).
    text : as written, for messages.
    """

    effects: Terms
    factors: tuple[tuple[str, Node], ...]
    structure: str = "us"
    equal: bool = False
    text: str = ""

    @property
    def group(self) -> str:
        """The grouping factor's name, as lme4 prints it."""
        return ":".join(name for name, _ in self.factors)


def split(node: Node, fault: Fault) -> tuple[Node | None, tuple[Bar, ...]]:
    """The fixed part of a right-hand side (None when nothing is left), and the random terms in order."""
    bars: list[Bar] = []
    rest = _without(node, bars, fault)
    return rest, tuple(bars)


def _without(node: Node, bars: list[Bar], fault: Fault) -> Node | None:
    match node:
        case Op("(", (Op("|" | "||") as bar,)):
            bars.extend(_bars(bar, "us", False, deparse(bar), fault))
            return None
        case Call(function, arguments) if _has_bar(node):
            bars.extend(_structured(function, arguments, node, fault))
            return None
        case Op("(", (inner,)):
            rest = _without(inner, bars, fault)
            return None if rest is None else Op("(", (rest,))
        case Op("+", (_, _)):
            kept = [r for a in addends(node) if (r := _without(a, bars, fault)) is not None]
            return reduce(lambda a, b: Op("+", (a, b)), kept) if kept else None
        case Op("-", (left, right)) if not _has_bar(right):
            a = _without(left, bars, fault)
            return Op("-", (right,)) if a is None else Op("-", (a, right))
        case Op("|" | "||"):
            told = deparse(node)
            fault(f"'{told}' stands without brackets", "write a random term as (effects | group)")
        case Op(operator) if _has_bar(node):
            fault(f"a random term cannot follow '{operator}'", "random terms are added with '+'")
    return node


def _has_bar(node: Node) -> bool:
    match node:
        case Op("+", (_, _)):
            return any(map(_has_bar, addends(node)))
        case Op(operator, operands):
            return operator in ("|", "||") or any(map(_has_bar, operands))
        case Call(_, arguments):
            return any(_has_bar(a) for _, a in arguments)
    return False


def _structured(
    function: str, arguments: tuple[tuple[str, Node], ...], node: Node, fault: Fault
) -> list[Bar]:
    """`cs(1 + x | g, hom = TRUE)`."""
    first = arguments[0][1]
    if function not in STRUCTURES:
        known = ", ".join(f"{s}()" for s in STRUCTURES)
        what = "has no model here" if function in _UNSAID else "is not known"
        fault(f"the covariance structure {function}() {what}", f"there are {known}")
    if not isinstance(first, Op) or first.operator != "|":
        fault(f"'{deparse(node)}' is no random term", f"write {function}(effects | group)")
    equal = function == "ar1"  # lme4's defaults
    for key, value in arguments[1:]:
        if key != "hom" or value not in (Name("TRUE"), Name("FALSE"), Name("True"), Name("False")):
            fault(f"{function}() has no argument '{key or deparse(value)}'", "it has hom = TRUE or FALSE")
        equal = value in (Name("TRUE"), Name("True"))
    return _bars(first, function, equal, deparse(node), fault)


def _bars(bar: Node, structure: str, equal: bool, text: str, fault: Fault) -> list[Bar]:
    assert isinstance(bar, Op)
    left, right = bar.operands
    if _has_bar(left) or _has_bar(right):
        fault(f"'{text}' has more than one bar", "each random term has brackets of its own")
    effects = expand(left, fault)
    if effects.offsets:
        fault(f"offset() in '{text}'", "an offset is fixed: write it outside the brackets")
    if not effects.intercept and not effects.terms:
        fault(f"nothing varies in '{text}'", "write (1 | group)")
    parts = [effects] if bar.operator == "|" else _uncorrelated(effects)
    return [Bar(p, g, structure, equal, text) for p in parts for g in grouping(right, text, fault)]


def _uncorrelated(effects: Terms) -> list[Terms]:
    """The intercept and each term apart."""
    parts = [replace(effects, intercept=False, terms=(t,)) for t in effects.terms]
    return [replace(effects, terms=()), *parts] if effects.intercept else parts


def grouping(node: Node, text: str, fault: Fault) -> list[tuple[tuple[str, Node], ...]]:
    """The grouping factors, inner ones first: `a/b` gives b:a and a."""
    match node:
        case Op("(", (inner,)):
            return grouping(inner, text, fault)
        case Op("/", (left, right)):
            outer = grouping(left, text, fault)
            inner = grouping(right, text, fault)
            nested = [(*i, *(f for f in outer[0] if f not in i)) for i in inner]
            return [*nested, *outer]
        case Op(":", (left, right)) | Op("%in%", (left, right)):
            a, b = grouping(left, text, fault), grouping(right, text, fault)
            return [(*x, *(f for f in y if f not in x)) for x in a for y in b]
        case Name(name):
            return [((name, node),)]
        case Call("factor" | "as.factor" | "interaction"):
            return [((variable_name(node), node),)]
        case Number():
            fault(f"'{deparse(node)}' in '{text}' is no grouping factor", "name a column of the data")
        case _:
            fault(
                f"'{deparse(node)}' in '{text}' is no grouping factor",
                "a grouping factor is a column, or columns joined by ':' or '/'",
            )
    raise AssertionError("unreachable")
