"""Arguments of laws as numbers, vectors and matrices by row that remember bounds and stable logarithms.

Trees are lowered by `Lowering`, each part at the smallest plate it depends on; only where a tree ends in a
function whose logarithm has a stable form (`exp`, `expit`, `Phi`, `softmax`, ...), or refers to a node that
knows its own, is it recorded here, so that log(expit(x)) never becomes log(0).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem, Rows
from dagmodels.forms import vectors
from dagmodels.forms.batch_jets import BatchJets
from dagmodels.forms.cells import cells
from dagmodels.forms.jets import Jet
from dagmodels.forms.lower import Lowering, NotLowered, expand
from dagmodels.forms.sites import Site
from dagmodels.graph import expression as ex
from dagmodels.graph.scope import free
from dagmodels.graph.statement import Deterministic

Ints = NDArray[np.int64]
STABLE = ("exp", "expit", "Phi", "icloglog", "sqrt", "abs")


class TreeJets:
    """Reads trees of one problem onto one tape.

    Parameters
    ----------
    lowering : records what needs no care.
    jets : the namespace.

    Attributes
    ----------
    nodes : what unknown nodes know of all their elements, by name; filled by the builder, and here for
        deterministic nodes.
    simplex : nodes whose last plate sums to one by construction.
    """

    def __init__(self, lowering: Lowering, jets: BatchJets) -> None:
        self.lowering, self.jets = lowering, jets
        self.problem: Problem = lowering.problem
        self.nodes: dict[str, Jet] = {}
        self.simplex: set[str] = set()
        self._open: set[str] = set()

    # -- numbers -----------------------------------------------------------------------------------

    def number(self, tree: ex.Expression, rows: Rows) -> Jet:
        """A scalar tree: one entry a row, or one where it depends on no plate."""
        match tree:
            case ex.Reference(name, indices) if self._knows(name):
                whole = self._node(name)
                if self.lowering.moves(tree):
                    return self.jets.taken(whole, self.lowering.moving_places(tree, rows))
                return self.picked(whole, self.lowering.places(tree, rows)) if indices else whole
            case ex.Call(function, (argument,)) if function in STABLE:
                return self.jets.apply(function, self.number(argument, rows))
            case ex.Binary("*" | "/" | "-" | "**" as operator, left, right) if self._stable(tree):
                a, b = self.number(left, rows), self.number(right, rows)
                match operator:
                    case "*":
                        return a * b
                    case "/":
                        return a / b
                    case "-":
                        return a - b
                    case _:
                        return a**b
            case _:
                value = self.lowering.value(tree, rows)
                register = value.register if value.key is None else self.lowering.full(value, rows)
                return self.jets.of(register)

    def picked(self, whole: Jet, places: Ints) -> Jet:
        """The entries at places; the whole, where these are all in order."""
        size = self.lowering.recorder.length(whole.value.register)
        if places.size == size and (places == np.arange(size)).all():
            return whole
        return self.jets.picked(whole, places)

    def _knows(self, name: str) -> bool:
        return name in self.nodes or self._is_stable_node(name)

    def _stable(self, tree: ex.Expression) -> bool:
        """Whether a tree's logarithm, or its complement's, may have a stable form."""
        match tree:
            case ex.Call(function, _):
                return function in STABLE
            case ex.Reference(name, _):
                return self._knows(name)
            case ex.Binary("*" | "/", left, right):
                return self._stable(left) or self._stable(right)
            case ex.Binary("-" | "**", left, right):
                return self._stable(right if left == ex.Number(1) else left)
            case _:
                return False

    def _is_stable_node(self, name: str) -> bool:
        node = self.problem.graph.nodes.get(name)
        if node is None or node.kind != "deterministic" or len(node.statements) > 1:
            return False
        (share,) = cells(self.problem, name)
        assert isinstance(share.statement, Deterministic)
        return share.whole and self._stable(share.statement.expression)

    def _node(self, name: str) -> Jet:
        """All elements of a node."""
        if name not in self.nodes:
            if name in self._open:
                raise NotLowered(f"'{name}' depends on its own earlier elements, which has no tape form yet")
            self._open.add(name)
            (share,) = cells(self.problem, name)
            assert isinstance(share.statement, Deterministic)
            found = self.full(self.number(share.statement.expression, share.rows), share.rows.n)
            self._open.discard(name)
            self.nodes[name] = found
            self.lowering._registers.setdefault(name, found.value.register)
        return self.nodes[name]

    def full(self, x: Jet, n: int) -> Jet:
        """One entry a row, also where one serves all."""
        if self.lowering.recorder.length(x.value.register) == n:
            return x
        register = self.lowering.recorder.gather(x.value.register, np.zeros(n, dtype=np.int64))
        return self.jets.of(register, lower=x.lower, upper=x.upper)

    # -- vectors -----------------------------------------------------------------------------------

    def vector(self, tree: ex.Expression, site: Site, length: int | None = None) -> Jet:
        """A vector argument: stated entries, what lies along the plate left whole, or a number repeated.

        length : of a number repeated; by default that of the site's values.
        """
        length = site.length if length is None else length
        if isinstance(tree, ex.Vector):
            return self.stacked([self.number(item, site.rows) for item in tree.items], site.rows.n)
        if isinstance(tree, ex.Call) and tree.function == "softmax" and self.along(tree.arguments[0], site):
            return self.jets.softmax(self.vector(tree.arguments[0], site, length))
        along = self.along(tree, site)
        if not along:
            number = self.number(tree, site.rows)
            return self.jets.of(
                self.jets.functions.spread(
                    self.jets.viewed(number, (1,)).value,
                    (length,),
                    self.lowering.recorder.length(number.value.register),
                ),
                (length,),
                lower=number.lower,
                upper=number.upper,
            )
        if len(along) > 1:
            raise NotLowered(f"'{site.names[0]}' has a vector argument that lies along several plates")
        size = self.problem.plates[along[0]].size
        base = site.rows if self._uses(tree, site.rows) else Rows(1, {})
        rows, _ = expand(self.problem, base, along)
        if rows.n != base.n * size:
            raise NotLowered(f"'{site.names[0]}' has a vector argument of several lengths")
        found = self.jets.viewed(self.full(self.number(tree, rows), rows.n), (size,))
        if isinstance(tree, ex.Reference) and tree.name in self.simplex and self._ends_with(tree, along[0]):
            self.jets.simplex.add(found.value.register)
        return found

    def stacked(self, entries: list[Jet], n: int) -> Jet:
        """A vector from its entries."""
        recorder, k = self.lowering.recorder, len(entries)
        rows = 1 if all(recorder.length(e.value.register) == 1 for e in entries) else n
        parts = [(self.full(e, rows).value.register, np.arange(rows) * k + j) for j, e in enumerate(entries)]
        register = recorder.assemble(rows * k, parts)
        lower, upper = min(e.lower for e in entries), max(e.upper for e in entries)
        return self.jets.of(register, (k,), lower=lower, upper=upper)

    def along(self, tree: ex.Expression, site: Site) -> tuple[str, ...]:
        """The plates that a tree leaves whole."""
        return free(self.problem.graph.plate, tree, frozenset(site.rows.codes), site.head)

    def _ends_with(self, tree: ex.Reference, plate: str) -> bool:
        indices = tree.indices or ()
        return bool(indices) and indices[-1] == ex.PlateIndex(plate)

    def _uses(self, tree: ex.Expression, rows: Rows) -> bool:
        """Whether a tree can differ between rows."""
        return any(p in rows.codes for p in _plates(self.problem, tree))

    # -- matrices ----------------------------------------------------------------------------------

    def matrix(self, tree: ex.Expression, site: Site) -> Jet:
        """A matrix argument; rows that share one say which."""
        order = site.length
        register, block = vectors.register(self.lowering, tree, site.rows, order)
        along = () if isinstance(tree, ex.Vector) else tuple(vectors.free_plates(tree, site.rows))
        found = self.square(register, block, order)
        if along and (along[1:] == site.whole or along == site.whole[::-1]):
            return self.jets.transpose(found)  # the head's plate leads, whatever is written first
        return found

    def square(self, register: int, block: Ints, order: int) -> Jet:
        """Matrices of a register; `block` says which is each row's."""
        count = self.lowering.recorder.length(register) // order**2
        own = count == 1 or (count == block.size and bool((block == np.arange(count)).all()))
        return self.jets.jet(self.jets.functions.batch(register, (order, order), None if own else block))


def _plates(problem: Problem, tree: ex.Expression) -> Iterable[str]:
    """Plates by whose elements a tree's value can differ."""
    for part in ex.walk(tree):
        if isinstance(part, ex.Reduction):
            for plate in part.plates:
                yield from problem.graph.lies_in(plate)[1:]
        elif isinstance(part, ex.Reference):
            yield part.name
            for index in part.indices or ():
                if isinstance(index, ex.PlateIndex | ex.LagIndex):
                    yield index.plate
