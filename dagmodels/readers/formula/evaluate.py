"""Variables of a formula -> values, from the columns of a table; replayable on new data.

Names, arithmetic inside `I()`, elementwise functions, `factor`, `C`, `scale` and `center` are done
here; `poly`, `bs`, `cr`, `cs` and `cc` by formulaic, which is imported only then. What an evaluation
learns from the data (levels, knots, means) is kept in `states`, and used again on new data.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dagmodels.data.frames import Table
from dagmodels.data.levels import Factor
from dagmodels.errors import ModelError
from dagmodels.readers.formula.deparse import deparse, variable_name
from dagmodels.readers.formula.syntax import Call, Name, Node, Number, Op, Text
from dagmodels.readers.formula.values import Basis, Levels, Numbers, Value

ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log10": np.log10,
    "log2": np.log2,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "tanh": np.tanh,
    "floor": np.floor,
    "round": np.round,
}
BASES = ("poly", "bs", "cr", "cs", "cc")
_WORDS: Mapping[str, Any] = {"TRUE": True, "FALSE": False, "True": True, "False": False, "NULL": None}
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "&": np.logical_and,
    "|": np.logical_or,
}
_KNOWN = ("I", "log", "factor", "C", "scale", "center", "as.numeric", *ELEMENTWISE, *BASES)


class Evaluator:
    """Values of variables over the rows of one table.

    states : what was learned from the data of the fit, by the text of a call; filled while `fitting`.
    contrasts : by factor, where they are not treatment contrasts.
    """

    def __init__(
        self,
        table: Table,
        states: dict[str, Any] | None = None,
        contrasts: Mapping[str, Any] | None = None,
    ) -> None:
        self.table = table
        self.fitting = states is None
        self.states: dict[str, Any] = {} if states is None else states
        self.contrasts = contrasts or {}
        self.seen: dict[str, Value] = {}
        self.factors: dict[str, Factor] = {}

    # -- what a variable is

    def variable(self, name: str, node: Node) -> Value:
        """A variable of the model's terms, without missing or infinite values.

        Raises
        ------
        ModelError : no such column; a level the fit has not seen; a value that no covariate may have.
        """
        if name not in self.seen:
            self.seen[name] = self._variable(name, node)
        return self.seen[name]

    def _variable(self, name: str, node: Node) -> Value:
        found = self.value(node)
        if isinstance(found, Numbers) and found.values.dtype == bool:
            found = Levels(found.values.astype(np.int64), ("FALSE", "TRUE"))
        match found:
            case Numbers(values):
                self.refuse_missing(name, np.isnan(values), node)
                self._refuse_infinite(name, np.isinf(values))
            case Basis(columns):
                for column in columns:
                    self._refuse_infinite(name, ~np.isfinite(column))
            case Levels(codes, labels):
                self.refuse_missing(name, codes < 0, node)
                if self.fitting and len(labels) < 2:
                    raise ModelError(
                        f"the factor '{name}' has one level, '{labels[0] if labels else ''}'",
                        node=name,
                        hint="a factor needs two levels or more: drop it from the formula",
                    )
                kind = self.contrasts.get(name, self.contrasts.get(variable_name(node)))
                if kind is not None:
                    found = Levels(codes, labels, kind)
        return found

    def refuse_missing(self, name: str, missing: Any, node: Node) -> None:
        """Covariates are never missing."""
        rows = np.flatnonzero(missing)
        if rows.size:
            others = "" if rows.size == 1 else f" and {rows.size - 1} other{'s' if rows.size > 2 else ''}"
            column = node.name if isinstance(node, Name) else "it"
            raise ModelError(
                f"{self.table.source}: the covariate '{name}' is missing in row {rows[0] + 1}{others}",
                node=name,
                hint="covariates are never missing: leave these rows out, or give "
                f"{column} a model of its own (`observed` with a distribution, in the graph's text)",
            )

    def _refuse_infinite(self, name: str, wrong: Any) -> None:
        rows = np.flatnonzero(wrong)
        if rows.size:
            raise ModelError(
                f"{self.table.source}: '{name}' is not finite in row {rows[0] + 1}",
                node=name,
                hint="check the values that go into it",
            )

    # -- columns

    def factor(self, name: str) -> Factor:
        """A column as levels, each column once."""
        if name not in self.factors:
            self.factors[name] = self._column(name).factor()
        return self.factors[name]

    def _column(self, name: str) -> Any:
        if name not in self.table:
            near = difflib.get_close_matches(name, self.table.names, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"the columns are {_some(self.table.names)}"
            raise ModelError(f"{self.table.source} have no column '{name}'", node=name, hint=hint)
        return self.table.column(name)

    def levels(self, node: Node) -> Levels:
        """A column as a factor, whatever it holds; numbers are levels too."""
        match node:
            case Name(name):
                return self._levels(name, self.factor(name))
            case Call("factor" | "as.factor", (("", Name(name)), *_)):
                return self._levels(name, self.factor(name))
            case Call("interaction", arguments):
                return interaction([self.levels(a) for _, a in arguments], ".")
        raise ModelError(f"'{deparse(node)}' is no column", hint="name a column of the data")

    def _levels(self, name: str, factor: Factor) -> Levels:
        labels = tuple(map(level_text, factor.labels))
        if self.fitting:
            self.states.setdefault(f"levels of {name}", labels)
        return Levels(factor.codes, labels)

    def _known_levels(self, name: str, factor: Factor) -> Levels:
        """Levels of a covariate, in the places they had in the fit; new ones are errors."""
        found = self._levels(name, factor)
        known = self.states.get(f"levels of {name}", found.labels)
        if known == found.labels:
            return found
        place = {label: i for i, label in enumerate(known)}
        fresh = [x for x in found.labels if x not in place]
        if fresh:
            raise ModelError(
                f"the factor '{name}' has new level{'s' if len(fresh) > 1 else ''} {_some(fresh)}",
                node=name,
                hint=f"the fit knows {_some(known)}",
            )
        return Levels(np.array([*(place[x] for x in found.labels), -1])[found.codes], known)

    # -- trees

    def value(self, node: Node) -> Value:
        """Any variable or part of one."""
        match node:
            case Name(name) if name in _WORDS and name not in self.table:
                return Numbers(np.asarray(_WORDS[name]))
            case Name(name):
                return self._named(name)
            case Number(number):
                return Numbers(np.asarray(float(number)))
            case Op("(", (inner,)) | Op("+", (inner,)):
                return self.value(inner)
            case Op("-", (inner,)):
                return Numbers(-self.numbers(inner))
            case Op("!", (inner,)):
                return Numbers(~self.numbers(inner).astype(bool))
            case Op("==" | "!=" as operator, (left, Text(label))):
                equal = self._is(left, label)
                return Numbers(equal if operator == "==" else ~equal)
            case Op(operator, (left, right)) if operator in _ARITHMETIC:
                with np.errstate(all="ignore"):
                    return Numbers(_ARITHMETIC[operator](self.numbers(left), self.numbers(right)))
            case Call():
                return self._call(node)
        raise ModelError(f"'{deparse(node)}' is no variable", hint="arithmetic goes into I(...)")

    def _named(self, name: str) -> Value:
        column = self._column(name)
        if column.numbers is None:
            if not column.labels:
                raise ModelError(f"the column '{name}' has no values", node=name, hint="drop it")
            return self._known_levels(name, self.factor(name))
        if column.numbers.dtype == bool:
            return Levels(column.numbers.astype(np.int64), ("FALSE", "TRUE"))
        return Numbers(column.floats())

    def numbers(self, node: Node) -> Any:
        """A part of a variable that must be numbers."""
        found = self.value(node)
        if isinstance(found, Levels) and found.labels == ("FALSE", "TRUE"):
            return found.codes.astype(float)
        if not isinstance(found, Numbers):
            raise ModelError(
                f"'{deparse(node)}' is not a column of numbers",
                node=variable_name(node),
                hint="recode it first",
            )
        return found.values

    def _is(self, node: Node, label: str) -> Any:
        found = self.value(node)
        if not isinstance(found, Levels):
            raise ModelError(f"'{deparse(node)}' is numbers and is compared with \"{label}\"")
        at = found.labels.index(label) if label in found.labels else -2
        return found.codes == at

    def _call(self, node: Call) -> Value:
        match node:
            case Call("I" | "as.numeric" | "identity", (("", inner),)):
                return self.value(inner)
            case Call("log", (("", inner),)):
                with np.errstate(all="ignore"):
                    return Numbers(np.log(self.numbers(inner)))
            case Call("log", (("", inner), ("" | "base", Number(base)))):
                with np.errstate(all="ignore"):
                    return Numbers(np.log(self.numbers(inner)) / np.log(base))
            case Call(name, (("", inner),)) if name in ELEMENTWISE:
                with np.errstate(all="ignore"):
                    return Numbers(ELEMENTWISE[name](self.numbers(inner).astype(float)))
            case Call("factor" | "as.factor", (("", Name(column)),)):
                return self._known_levels(column, self.factor(column))
            case Call("C", (("", inner), *others)):
                return self._contrasts(inner, others, node)
            case Call("scale" | "center", (("", inner), *others)):
                return self._scaled(node, inner, others)
            case Call(name) if name in BASES:
                return self._basis(node)
        if node.function in (*_KNOWN, "as.factor"):
            raise ModelError(f"the arguments of {deparse(node)} are not understood")
        near = difflib.get_close_matches(node.function, _KNOWN, 1)
        hint = f"did you mean {near[0]}()?" if near else f"known are {', '.join(_KNOWN)}; or compute a column"
        raise ModelError(f"the function {node.function}() is not known", node=deparse(node), hint=hint)

    def _contrasts(self, inner: Node, others: Any, node: Node) -> Levels:
        found = self.value(inner) if not isinstance(inner, Name) else None
        if not isinstance(found, Levels):
            if not isinstance(inner, Name):
                raise ModelError(f"'{deparse(inner)}' is no factor", hint="write C(column, contr.sum)")
            found = self._known_levels(inner.name, self.factor(inner.name))
        kind: Any = "contr.treatment"
        for key, value in others:
            match value:
                case Call(_, ((_, base),)) | base if key == "base" or isinstance(value, Call):
                    kind = ("treatment", _literal(base))
                case Name(name) | Text(name):
                    kind = name
                case _:
                    raise ModelError(f"the arguments of {deparse(node)} are not understood")
        return Levels(found.codes, found.labels, kind)

    def _scaled(self, node: Call, inner: Node, others: Any) -> Numbers:
        """R's `scale(x, center = TRUE, scale = TRUE)`."""
        values = self.numbers(inner).astype(float)
        told = {key or ("center", "scale")[i]: _literal(v) for i, (key, v) in enumerate(others)}
        key = deparse(node)
        if key not in self.states:
            with np.errstate(all="ignore"):
                middle = float(np.nanmean(values)) if told.get("center", True) else 0.0
                spread = values - middle
                count = np.count_nonzero(~np.isnan(values)) - 1
                whole = node.function == "scale" and told.get("scale", True)
                self.states[key] = middle, float(np.sqrt(np.nansum(spread**2) / count)) if whole else 1.0
        middle, scale = self.states[key]
        if scale == 0:
            raise ModelError(f"'{key}' divides by zero: the column is constant", hint="leave it out")
        return Numbers((values - middle) / scale)

    def _basis(self, node: Call) -> Basis:
        """`poly`, `bs`, `cr`, `cs`, `cc`: formulaic's, under R's argument names."""
        from dagmodels.readers.formula.bases import basis

        key = deparse(node)
        if not node.arguments or node.arguments[0][0] not in ("", "x"):
            raise ModelError(f"{key} needs a column", hint=f"write {node.function}(x, ...)")
        values = self.numbers(node.arguments[0][1]).astype(float)
        self.refuse_missing(key, np.isnan(values), node.arguments[0][1])
        self._refuse_infinite(key, np.isinf(values))
        given = [(name, _literal(v)) for name, v in node.arguments[1:]]
        state = self.states.setdefault(key, {})
        return basis(node.function, key, values, given, state)


def interaction(parts: list[Levels], between: str = ":") -> Levels:
    """The levels that occur of several factors together; the first varies slowest."""
    from dagmodels.data.levels import distinct_integers

    key = parts[0].codes
    for part in parts[1:]:
        key = key * len(part.labels) + part.codes
    missing = np.zeros(len(key), dtype=bool)
    for part in parts:
        missing |= part.codes < 0
    present, codes = distinct_integers(key[~missing])
    rest = present.astype(np.int64)
    columns: list[list[str]] = []
    for part in reversed(parts):
        rest, own = np.divmod(rest, len(part.labels))
        columns.append([part.labels[i] for i in own.tolist()])
    labels = tuple(map(between.join, zip(*reversed(columns), strict=True)))
    out = np.full(len(key), -1, dtype=np.int64)
    out[~missing] = codes
    return Levels(out, labels)


def level_text(label: object) -> str:
    """A level as R prints it."""
    if isinstance(label, bool):
        return "TRUE" if label else "FALSE"
    return str(label)


def _literal(node: Node) -> Any:
    match node:
        case Number(value):
            return value
        case Text(value):
            return value
        case Name(name):
            return _WORDS.get(name, name)
        case Op("-", (Number(value),)):
            return -value
        case Call("c", arguments):
            return [_literal(a) for _, a in arguments]
        case Op(":", (Number(a), Number(b))):
            return list(range(int(a), int(b) + 1))
    raise ModelError(f"'{deparse(node)}' is no plain number, text or c(...)")


def _some(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
