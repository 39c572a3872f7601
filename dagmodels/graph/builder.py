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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dagmodels.errors import DagmodelsError
from dagmodels.graph import expression as ex
from dagmodels.graph import parsing
from dagmodels.graph import statement as st
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
        return ex.LagIndex(self.name, lag)

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


PlateLike = PlateName | str
Plates = PlateLike | Iterable[PlateLike] | None
Named = ex.Reference | str


def _operand(value: object) -> ex.Expression:
    """An operand of a comparison between elements: a text is a level."""
    return ex.Text(value) if isinstance(value, str) else ex.as_expression(value)


def plate_names(plates: Plates) -> tuple[str, ...]:
    """Names of plates given as one plate, one name, or several."""
    if plates is None:
        return ()
    if isinstance(plates, PlateName | str):
        plates = (plates,)
    return tuple(p.name if isinstance(p, PlateName) else p for p in plates)


class Builder:
    """A graph under construction. `==`, `hash` and text are those of its `dag`.

    Once hashed it cannot change: a set or dict that holds it would lose it.
    """

    def __init__(self, name: str, data_file: str | None = None) -> None:
        self._name = name
        self._data_file = data_file
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
        labels = None if levels is None else tuple(_label(v) for v in levels)
        target = plate_names(alias_of)[0] if alias_of is not None else None
        self._change(plate=Plate(name, plate_names(within), labels, ordered, target, note))
        return PlateName(name)

    def covariate(
        self, name: str, plate: Plates = None, values_in: PlateLike | None = None, note: str = ""
    ) -> ex.Reference:
        """Declare data that are never missing; `values_in` says that they are elements of a plate."""
        self._change(st.Covariate(name, plate_names(plate), _one(values_in), note))
        return ex.Reference(name)

    def constant(self, name: str, value: object, plate: Plates = None, note: str = "") -> ex.Reference:
        """Declare known numbers: one, or nested lists with one level of nesting for each plate."""
        self._change(st.Constant(name, plate_names(plate), _literal(value), note))
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
        if isinstance(domain, str):
            domain = st.Domain(domain)
        elif domain is None and (lower is not None or upper is not None):
            infinity = float("inf")
            bounds = (
                -infinity if lower is None else float(lower),
                infinity if upper is None else float(upper),
            )
            domain = st.Domain("interval", *bounds)
        on = plate_names(plate)
        self._change(*(st.Parameter(n, on, domain, start, note) for n in names))
        found = tuple(ex.Reference(n) for n in names)
        return found[0] if len(found) == 1 else found

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
        observed : data will be given for it.
        values_in : the plate in which a discrete node has its values.
        levels : a level, or `First(n)`, by plate, for a statement about these levels only.
        """
        head = _head(name, plate, levels)
        law = _law(value)
        if law is not None:
            self._change(st.Stochastic(head, law, observed, _one(values_in), note))
        elif observed or values_in is not None:
            raise DagmodelsError(f"'{name}' has an expression: only nodes with a distribution are observed")
        else:
            tree = ex.as_expression(value)
            self._change(st.Deterministic(head, tree, note))
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
        law = _law(distribution)
        if law is None:
            raise DagmodelsError("joint nodes need a distribution such as MvNormal(0, cov)")
        given = tuple(names)
        self._change(st.Joint(given, plate_names(plate), law, observed, note))
        return tuple(ex.Reference(n) for n in given)

    def covariance(self, a: Named, b: Named, expression: ex.Operand, note: str = "") -> None:
        """Residual covariance of two Normal nodes: `a ~~ b = expression`."""
        tree = ex.as_expression(expression)
        self._change(st.Covariance(_end(a), _end(b), tree, note))

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


def _one(plate: PlateLike | None) -> str | None:
    return None if plate is None else plate_names(plate)[0]


def _label(value: Any) -> Any:
    """A level as text or a whole number; anything else is refused when the graph is checked."""
    plain: Any = value.item() if hasattr(value, "item") else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def _literal(value: Any) -> st.Literal:
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, list | tuple):
        return tuple(_literal(v) for v in plain)
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise DagmodelsError(f"a constant holds numbers, not {plain!r}")
    return plain


def _law(value: object) -> st.Distribution | None:
    """The value as a distribution, if it is one; a text is parsed first."""
    if isinstance(value, str):
        value = parsing.right_side(value)
    if isinstance(value, ex.Call) and is_distribution(value.function):
        return st.Distribution(value.function, tuple(("", a) for a in value.arguments))
    return value if isinstance(value, st.Distribution) else None


def _head(name: str, plate: Plates, levels: Mapping[Any, Any] | None) -> st.Head:
    chosen = {plate_names(p)[0]: value for p, value in (levels or {}).items()}
    names = plate_names(plate)
    order = names + tuple(p for p in chosen if p not in names)
    return st.Head(name, tuple(_slot(p, chosen.get(p)) for p in order))


def _slot(plate: str, value: object) -> st.Slot:
    if value is None:
        return st.Slot(plate)
    return st.Slot(plate, first=value.count) if isinstance(value, First) else st.Slot(plate, _label(value))


def _end(node: Named) -> st.Head:
    """One side of `~~`: a name, or a node indexed by plates and levels."""
    if isinstance(node, str):
        parsed = parsing.expression(node)
        if not isinstance(parsed, ex.Reference):
            raise DagmodelsError(f"{node!r} is no node; a covariance joins two nodes")
        node = parsed
    slots: list[st.Slot] = []
    for index in node.indices or ():
        match index:
            case ex.PlateIndex(plate) | ex.NodeIndex(ex.Reference(plate, None)):
                slots.append(st.Slot(plate))
            case ex.LevelIndex(label):
                slots.append(st.Slot(None, label))
            case _:
                raise DagmodelsError(f"'{node.name}' in a covariance is indexed by plates and levels only")
    return st.Head(node.name, tuple(slots))
