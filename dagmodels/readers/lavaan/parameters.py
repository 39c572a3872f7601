"""The parameter nodes of a table: their names, plates, starts and bounds, and the tree for each element."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from dagmodels.errors import ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.names import is_name
from dagmodels.readers.lavaan.linear import Form, Solved, solve
from dagmodels.readers.lavaan.provenance import Held
from dagmodels.readers.lavaan.rows import Row, Table
from dagmodels.readers.lavaan.trees import Term, number, total

Key = tuple[str, str, str, int]  # lhs, op, rhs, level
INF = float("inf")
_PLABEL = re.compile(r"\.p\d+\.\Z")


class Parameters:
    """What stands for each element in the graph.

    group : plate of the groups, "" where there is one group.
    taken : names that nodes must not have.
    """

    def __init__(self, table: Table, group: str, taken: set[str], faults: list[ModelError]) -> None:
        self.table, self.group, self.faults = table, group, faults
        self.labels = table.groups
        self.cells: dict[Key, list[Row | None]] = {}
        self.classes: dict[int, list[Row]] = {}
        for row in table.rows:
            if row.group:
                cells = self.cells.setdefault((*row.key, row.level), [None] * len(self.labels))
                cells[row.group - 1] = row
                if row.free:
                    self.classes.setdefault(row.free, []).append(row)
        self.taken = taken
        self.held: dict[int, Held] = {}
        self.varying: set[Key] = set()  # elements that vary by group and are no class of their own
        self._name_classes()
        self.named = self._meanings()
        self.bounds = self._bounds()
        self.solved = solve([r for r in table.rows if r.op == "=="], self.meaning, faults)
        self.bounded = self._simple_bounds()
        self._refuse_empty_bounds()

    # -- names ---------------------------------------------------------------------------------

    def _name_classes(self) -> None:
        one_group = len(self.labels) == 1
        keys = {self.key_name(k) for k in self.cells} if not one_group else set[str]()
        defined = {r.lhs for r in self.table.definitions}
        for count, rows in self.classes.items():
            label = next((r.label for r in rows if r.label and not _PLABEL.match(r.label)), "")
            if label and self._usable(label, keys, defined):
                self.held[count] = Held(label)
                self.taken.add(label)
        for count, rows in self.classes.items():
            if count not in self.held:
                self.held[count] = self._default_name(rows)

    def _usable(self, label: str, keys: set[str], defined: set[str]) -> bool:
        return is_name(label) and not (label in self.taken or label in keys or label in defined)

    def _default_name(self, rows: Sequence[Row]) -> Held:
        key: Key = (*rows[0].key, rows[0].level)
        name = self.key_name(key)
        same = [r for r in rows if (*r.key, r.level) == key]
        if len(same) == len(self.labels):
            return Held(self.free_name(name))
        if len(rows) == 1 and self._alike(key):
            self.varying.add(key)
            return Held(name, self.labels[rows[0].group - 1])
        return Held(self.free_name(f"{name}.g{rows[0].group}"))

    def _alike(self, key: Key) -> bool:
        """Whether the free cells of an element have one start and one set of bounds."""
        rows = [r for r in self.cells[key] if r is not None and r.free]
        return len({(r.value, r.lower, r.upper) for r in rows}) == 1

    def free_name(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def key_name(self, key: Key) -> str:
        lhs, op, rhs, level = key
        return f"{lhs}{op}{rhs}.l{level}" if level > 1 else f"{lhs}{op}{rhs}"

    def _meanings(self) -> dict[str, Row]:
        """The row behind each label and plabel."""
        found: dict[str, Row] = {}
        for row in self.table.rows:
            if row.group:
                found.setdefault(row.plabel, row)
                if row.label:
                    found.setdefault(row.label, row)
        return found

    def meaning(self, name: str) -> Form | ex.Expression | None:
        """What a name in a constraint stands for."""
        row = self.named.get(name)
        if row is not None:
            return Form({row.free: 1.0}) if row.free else Form(constant=row.value or 0.0)
        for definition in self.table.definitions:
            if definition.lhs == name:
                return definition.right
        return None

    # -- bounds --------------------------------------------------------------------------------

    def _bounds(self) -> dict[int, tuple[float, float]]:
        found: dict[int, tuple[float, float]] = {}
        for count, rows in self.classes.items():
            row = rows[0]
            if row.lower is not None or row.upper is not None:
                found[count] = (
                    -INF if row.lower is None else row.lower,
                    INF if row.upper is None else row.upper,
                )
        return found

    def _simple_bounds(self) -> set[int]:
        """`a > 0` and the like for one scalar parameter become its bounds; ids of such rows."""
        done: set[int] = set()
        for row in self.table.rows:
            if row.op not in "<>" or not (
                isinstance(row.left, ex.Reference) and isinstance(row.right, ex.Expression)
            ):
                continue
            own = self.meaning(row.left.name)
            limit = _constant(row.right)
            if not isinstance(own, Form) or len(own.terms) != 1 or limit is None:
                continue
            count = next(iter(own.terms))
            if count in self.solved.pivots or self.held[count].level is not None:
                continue
            lower, upper = self.bounds.get(count, (-INF, INF))
            self.bounds[count] = (max(lower, limit), upper) if row.op == ">" else (lower, min(upper, limit))
            done.add(row.id)
        return done

    def _refuse_empty_bounds(self) -> None:
        for count, (lower, upper) in self.bounds.items():
            if lower > upper:
                name = self.held[count].node or self.key_name((*self.classes[count][0].key, 0))
                told = f"The bounds of '{name}' contradict one another: above {lower:g} and below {upper:g}."
                line = self.classes[count][0].line or None
                self.faults.append(ModelError(told, hint="remove one of them", line=line, node=name))

    # -- trees ---------------------------------------------------------------------------------

    def class_tree(self, count: int) -> ex.Expression:
        """The reference to a free parameter."""
        held = self.held[count]
        assert held.node is not None
        indices = (ex.LevelIndex(held.level),) if held.level is not None else ()
        return ex.Reference(held.node, indices)

    def row_tree(self, row: Row | None) -> ex.Expression | None:
        """The tree of one row, None for zero and for what is not there."""
        if row is None:
            return None
        if row.free:
            return self.class_tree(row.free)
        return None if not row.value else number(row.value)

    def tree(self, key: Key) -> ex.Expression | None:
        """The tree of an element where a unit's law is written; None where it is zero in every group."""
        cells = self.cells.get(key)
        if cells is None:
            return None
        trees = [self.row_tree(c) for c in cells]
        if all(t is None for t in trees):
            return None
        first = trees[0]
        if all(t == first for t in trees) and not isinstance(_level(first), str):
            return first
        self.varying.add(key)
        return ex.Reference(self.key_name(key), (ex.PlateIndex(self.group),))

    # -- statements ----------------------------------------------------------------------------

    def statements(self) -> list[st.Statement]:
        """Parameters, and what is deterministic among them: fixed and shared levels, solved constraints."""
        declared: list[st.Statement] = []
        defined: list[st.Statement] = []
        done: set[str] = set()  # nodes of the groups' plate that are parameters where nothing else is said
        for count, rows in self.classes.items():
            held, pivot = self.held[count], self.solved.pivots.get(count)
            assert held.node is not None
            if held.level is None and pivot is not None:
                defined.append(st.Deterministic(st.Head(held.node), self._form_tree(pivot)))
            elif held.level is None:
                declared.append(self._parameter(held.node, (), count, rows[0]))
            elif pivot is None and held.node not in done:
                declared.append(self._parameter(held.node, (self.group,), count, rows[0]))
                done.add(held.node)
        for key in self.cells:
            if key in self.varying:
                defined += self._levels(key, self.key_name(key) in done)
        return declared + defined

    def _parameter(self, name: str, plates: tuple[str, ...], count: int, row: Row) -> st.Parameter:
        bounds = self.bounds.get(count)
        domain = st.Domain("interval", *bounds) if bounds is not None else None
        start = row.value
        if start is None:
            start = next((r.value for r in self.classes[count] if r.value is not None), None)
        if start is None and row.op == "~*~":
            start = 1.0  # a scale divides
        if start is not None and start.is_integer():
            start = int(start)
        return st.Parameter(name, plates, domain, start)

    def _form_tree(self, form: Form) -> ex.Expression:
        terms: list[Term] = [(number(c), self.class_tree(n)) for n, c in form.terms.items()]
        if form.constant or not terms:
            terms.insert(0, (None, number(form.constant)))
        return total(terms)

    def _levels(self, key: Key, declared: bool) -> list[st.Statement]:
        """The levels of an element that are fixed, shared or solved for. Where none is a free parameter of
        its own the last one stands for the whole, so that the text says which plate the element has."""
        name = self.key_name(key)
        found: list[st.Statement] = []
        for label, row in zip(self.labels, self.cells[key], strict=True):
            tree = self.row_tree(row)
            if row is not None and row.free and self.held[row.free] == Held(name, label):
                if row.free not in self.solved.pivots:
                    continue
                tree = self._form_tree(self.solved.pivots[row.free])
            head = st.Head(name, (st.Slot(self.group, label),))
            found.append(st.Deterministic(head, ex.Number(0) if tree is None else tree))
        if not declared and isinstance(found[-1], st.Deterministic):
            found[-1] = st.Deterministic(st.Head(name, (st.Slot(self.group),)), found[-1].expression)
        return found

    def renamed(self, tree: ex.Expression, definitions: Mapping[str, str]) -> ex.Expression:
        """A tree over labels as one over nodes."""
        return ex.rebuild(tree, self._change(definitions))

    def _change(self, definitions: Mapping[str, str]) -> Callable[[ex.Expression], ex.Expression]:
        from dagmodels.readers.lavaan.expressions import CONSTANTS

        def change(tree: ex.Expression) -> ex.Expression:
            if not isinstance(tree, ex.Reference):
                return tree
            row = self.named.get(tree.name)
            if row is not None:
                found = self.row_tree(row)
                return ex.Number(0) if found is None else found
            if tree.name in definitions:
                return ex.Reference(definitions[tree.name], ())
            return number(CONSTANTS[tree.name])

        return change


def _level(tree: ex.Expression | None) -> str | None:
    """The level that a reference names."""
    if isinstance(tree, ex.Reference) and tree.indices and isinstance(tree.indices[0], ex.LevelIndex):
        return str(tree.indices[0].label)
    return None


def _constant(tree: ex.Expression) -> float | None:
    from dagmodels.readers.lavaan.expressions import evaluate

    return evaluate(tree)


__all__ = ["Key", "Parameters", "Solved"]
