"""Models from Python: each call adds to a list of statements and returns a name to go on with.

    g = Builder("radon")
    county = g.plate("county")
    house = g.plate("house", within=county)
    uranium = g.covariate("uranium", plate=county)
    g0, g1, tau = (g.node(n, HalfNormal(5)) for n in ("g0", "g1", "tau"))
    alpha = g.node("alpha", Normal(g0 + g1*uranium, tau), plate=county)

Texts and operators give equal trees: `Normal("g0 + g1*uranium", "tau")` is the same distribution.
The checked, frozen `Dag` is made when it is first asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dagmodels.errors import DagmodelsError, ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph import parsing
from dagmodels.graph import statement as st
from dagmodels.graph.arguments import Arguments, label, plate_name, scalar, shown
from dagmodels.graph.build import build
from dagmodels.graph.dag import Dag, Remarks
from dagmodels.graph.plate import Plate
from dagmodels.graph.signatures import is_distribution


@dataclass(frozen=True, slots=True)
class PlateName:
    """A plate of a graph under construction: an index, a lag (`year - 1`), or one side of a comparison.

    `==` compares names, as everywhere in Python; `equal(a, b)` is the comparison of elements.
    """

    name: str

    def as_index(self) -> ex.Index:
        """The element of the plate, as in `alpha[county]`."""
        return ex.PlateIndex(self.name)

    def as_tree(self) -> ex.Expression:
        """The element as an operand of a comparison."""
        return ex.Reference(self.name)

    def __sub__(self, lag: int) -> ex.LagIndex:
        whole = scalar(lag)
        if not isinstance(whole, int | float):
            hint = f"write a whole number of elements, as in x[{self.name} - 1]"
            raise ex.ExpressionError(f"'{self.name}' has no earlier element by {shown(lag)}", hint=hint)
        return ex.LagIndex(self.name, whole)  # type: ignore[arg-type]  # `graph.build` refuses 1.5

    def __lt__(self, other: Any) -> ex.Expression:
        return self.as_tree() < _operand(other)

    def __le__(self, other: Any) -> ex.Expression:
        return self.as_tree() <= _operand(other)

    def __gt__(self, other: Any) -> ex.Expression:
        return self.as_tree() > _operand(other)

    def __ge__(self, other: Any) -> ex.Expression:
        return self.as_tree() >= _operand(other)


@dataclass(frozen=True, slots=True)
class First:
    """The first `count` elements of an ordered plate, in `levels={year: First()}`."""

    count: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            raise ModelError(
                f"First({shown(self.count)}) names no elements", hint="give a whole number from 1"
            )


PlateLike = PlateName | str
Plates = PlateLike | Iterable[PlateLike] | None
Named = ex.Reference | str


def _operand(value: object) -> ex.Expression:
    """An operand of a comparison between elements: a text is a level."""
    return ex.Text(value) if isinstance(value, str) else ex.as_expression(value)


class Builder:
    """A graph under construction. `==`, `hash` and text are those of its `dag`.

    Once hashed it cannot change: a set or dict that holds it would lose it.
    """

    def __init__(self, name: str, data_file: str | os.PathLike[str] | None = None) -> None:
        given = Arguments(f"{type(self).__name__}({shown(name)})")
        self._name = given.name(name)
        self._data_file = given.path(data_file, "data_file")
        given.done()
        self._remarks = Remarks()
        self._plates: tuple[Plate, ...] = ()
        self._statements: tuple[st.Statement, ...] = ()
        self._dag: Dag | None = None
        self._hashed = False

    @classmethod
    def of(cls, dag: Dag) -> Self:
        """A builder that starts from a finished model."""
        new = cls(dag.name, dag.data_file)
        new._plates, new._statements, new._dag = dag.plates, dag.statements, dag
        new._remarks = dag.remarks
        return new

    def copy(self) -> Self:
        """The same model, free to change."""
        new = type(self)(self._name, self._data_file)
        new._plates, new._statements, new._dag = self._plates, self._statements, self._dag
        new._remarks = self._remarks
        return new

    @property
    def name(self) -> str:
        return self._name

    @property
    def dag(self) -> Dag:
        """The frozen model.

        Raises
        ------
        ModelErrors : every static fault of what has been said so far.
        """
        if self._dag is None:
            self._dag = build(
                self._name, self._plates, self._statements, self._data_file, remarks=self._remarks
            )
        return self._dag

    # -- what a model says

    def plate(
        self,
        name: str,
        within: Plates = None,
        levels: Iterable[Any] | None = None,
        ordered: bool = False,
        alias_of: PlateLike | None = None,
        note: str = "",
    ) -> PlateName:
        """Declare a plate; `within` nests it (one plate) or crosses them (several)."""
        given = Arguments(f"plate({shown(name)})")
        new = Plate(
            given.name(name),
            given.plates(within, "within"),
            given.levels(levels, name),
            given.flag(ordered, "ordered"),
            given.plate(alias_of, "alias_of"),
            given.note(note),
        )
        given.done()
        self._change(plate=new)
        return PlateName(name)

    def covariate(
        self, name: str, plate: Plates = None, values_in: PlateLike | None = None, note: str = ""
    ) -> ex.Reference:
        """Declare data that are never missing; `values_in` says that they are elements of a plate."""
        given = Arguments(f"covariate({shown(name)})")
        on, inside = given.plates(plate), given.plate(values_in, "values_in")
        new = st.Covariate(given.name(name), on, inside, given.note(note))
        given.done()
        self._change(new)
        return ex.Reference(name)

    def constant(self, name: str, value: object, plate: Plates = None, note: str = "") -> ex.Reference:
        """Declare known numbers: one, or nested lists with one level of nesting for each plate."""
        given = Arguments(f"constant({shown(name)})")
        numbers = _literal(value, given)
        new = st.Constant(given.name(name), given.plates(plate), numbers, given.note(note))
        given.done()
        self._change(new)
        return ex.Reference(name)

    def parameter(
        self,
        *names: str,
        plate: Plates = None,
        lower: float | None = None,
        upper: float | None = None,
        domain: st.Domain | str | None = None,
        start: float | None = None,
        note: str = "",
    ) -> Any:
        """Declare unknowns without prior; returns one reference, or a tuple for several names.

        domain : "ordered", "simplex", "covariance" or "correlation"; `lower` and `upper` bound numbers.
        """
        given = Arguments(f"parameter({', '.join(map(shown, names))})")
        if not names:
            given.fault("no name is given", 'write parameter("a", "b")')
        called = [given.name(n, 'give one text a name: parameter("a", "b")') for n in names]
        found = _domain(domain, given.number(lower, "lower"), given.number(upper, "upper"), given)
        on, at, remark = given.plates(plate), given.number(start, "start", finite=True), given.note(note)
        given.done()
        self._change(*(st.Parameter(n, on, found, at, remark) for n in called))
        nodes = tuple(ex.Reference(n) for n in called)
        return nodes[0] if len(nodes) == 1 else nodes

    def node(
        self,
        name: str,
        value: object,
        plate: Plates = None,
        observed: bool = False,
        values_in: PlateLike | None = None,
        levels: Mapping[Any, Any] | None = None,
        note: str = "",
    ) -> ex.Reference:
        """A node with a distribution (`~`), or with an expression (`=`).

        Parameters
        ----------
        value : a distribution, an expression, a number, or the text of one of these.
        plate : the plates of the node in order.
        observed : True where data will be given for it; the data themselves go to `fit`.
        values_in : the plate in which a discrete node has its values.
        levels : a level, or `First(n)`, by plate, for a statement about these levels only.
        """
        given = Arguments(f"node({shown(name)})")
        head = _head(given.name(name), plate, levels, given)
        seen, inside = given.observed(observed), given.plate(values_in, "values_in")
        remark = given.note(note)
        law = _law(value)
        new: st.Statement
        if law is not None:
            new = st.Stochastic(head, law, seen, inside, remark)
        else:
            if observed is True or values_in is not None:
                given.fault(
                    f"'{name}' has an expression: only nodes with a distribution are observed",
                    "give it a distribution, such as Normal(mu, sigma)",
                )
            new = st.Deterministic(head, given.tree(value, f"the value of {shown(name)}"), remark)
        given.done()
        self._change(new)
        return ex.Reference(name)

    def joint(
        self,
        names: Iterable[str],
        distribution: st.Distribution | str,
        plate: Plates = None,
        observed: bool = False,
        note: str = "",
    ) -> tuple[ex.Reference, ...]:
        """Several nodes with one multivariate distribution: `(a, b)[subject] ~ MvNormal(...)`."""
        given = Arguments(f"joint({shown(names)})")
        called: list[str] = []
        if isinstance(names, str) or not isinstance(names, Iterable):
            given.fault(f"{shown(names)} is no list of names", 'write joint(["a", "b"], ...)')
        else:
            called = [given.name(n, "give a text a node") for n in names]
        law = _law(distribution)
        if law is None:
            given.fault(
                f"joint nodes need a distribution, not {shown(distribution)}", "such as MvNormal(0, cov)"
            )
        on, seen, remark = given.plates(plate), given.observed(observed), given.note(note)
        given.done()
        assert law is not None
        self._change(st.Joint(tuple(called), on, law, seen, remark))
        return tuple(ex.Reference(n) for n in called)

    def covariance(self, a: Named, b: Named, expression: ex.Operand, note: str = "") -> None:
        """Residual covariance of two Normal nodes: `a ~~ b = expression`."""
        given = Arguments(f"covariance({shown(a)}, {shown(b)})")
        left, right = _end(a, given), _end(b, given)
        new = st.Covariance(left, right, given.tree(expression, "the covariance"), given.note(note))
        given.done()
        self._change(new)

    # -- what it is

    def _change(self, *statements: st.Statement, plate: Plate | None = None) -> None:
        if self._hashed:
            raise DagmodelsError(
                f"graph '{self._name}' has been hashed (put in a set or a dict) and cannot change; "
                "go on with its copy()"
            )
        if plate is not None:
            self._plates = (*self._plates, plate)
        self._statements = (*self._statements, *statements)
        self._dag = None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Builder):
            return self.dag == other.dag
        return self.dag == other if isinstance(other, Dag) else NotImplemented

    def __hash__(self) -> int:
        found = hash(self.dag)
        self._hashed = True
        return found

    def __str__(self) -> str:
        return str(self.dag)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}: {len(self._statements)} statements)"


def _literal(value: Any, given: Arguments) -> st.Literal:
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, list | tuple):
        return tuple(_literal(v, given) for v in plain)
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        given.fault(
            f"a constant holds numbers, not {shown(plain)}", "give a number, or nested lists of numbers"
        )
        return 0
    return plain


def _domain(domain: object, lower: float | None, upper: float | None, given: Arguments) -> st.Domain | None:
    if domain is not None and not isinstance(domain, str | st.Domain):
        given.fault(f"domain is {shown(domain)}", "ordered, simplex, covariance or correlation, as a text")
        return None
    if lower is None and upper is None:
        return st.Domain(domain) if isinstance(domain, str) else domain
    if domain is not None:
        given.fault("a domain and bounds are given", "give the domain, or lower and upper")
        return None
    infinity = float("inf")
    bounds = (-infinity if lower is None else float(lower), infinity if upper is None else float(upper))
    return st.Domain("interval", *bounds)


def _law(value: object) -> st.Distribution | None:
    """The value as a distribution, if it is one; a text is parsed first."""
    if isinstance(value, str):
        value = parsing.right_side(value)
    if isinstance(value, ex.Call) and is_distribution(value.function):
        return st.Distribution(value.function, tuple(("", a) for a in value.arguments))
    return value if isinstance(value, st.Distribution) else None


def _head(name: str, plate: Plates, levels: object, given: Arguments) -> st.Head:
    names = given.plates(plate)
    chosen: dict[str, object] = {}
    if isinstance(levels, Mapping):
        for key, value in levels.items():
            known = plate_name(key)
            if known is None:
                given.fault(
                    f"levels has the key {shown(key)}, which is no plate", "write levels={plate: level}"
                )
            else:
                chosen[known] = value
    elif levels is not None:
        given.fault(f"levels is {shown(levels)}, not a dict", "write levels={plate: level}")
    order = names + tuple(p for p in chosen if p not in names)
    return st.Head(name, tuple(_slot(p, chosen.get(p)) for p in order))


def _slot(plate: str, value: object) -> st.Slot:
    if value is None:
        return st.Slot(plate)
    return st.Slot(plate, first=value.count) if isinstance(value, First) else st.Slot(plate, label(value))


def _end(node: object, given: Arguments) -> st.Head:
    """One side of `~~`: a name, or a node indexed by plates and levels."""
    parsed = parsing.expression(node) if isinstance(node, str) else node
    if not isinstance(parsed, ex.Reference):
        given.fault(f"{shown(node)} is no node", "a covariance joins two nodes")
        return st.Head("")
    slots: list[st.Slot] = []
    for index in parsed.indices or ():
        match index:
            case ex.PlateIndex(plate) | ex.NodeIndex(ex.Reference(plate, None)):
                slots.append(st.Slot(plate))
            case ex.LevelIndex(level):
                slots.append(st.Slot(None, level))
            case _:
                given.fault(
                    f"'{parsed.name}' in a covariance is indexed by plates and levels only",
                    "write a plate or a level in the brackets",
                )
    return st.Head(parsed.name, tuple(slots))
