"""The parameters of a graph as lavaan has them: what a reference stands for in each group."""

from __future__ import annotations

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.writers.lavaan.text import FUNCTIONS, Cell

INF = float("inf")
Place = tuple[str, str | None]  # a node and, on the groups' plate, its level


class Faults:
    """What cannot be said, all told at once."""

    def __init__(self) -> None:
        self.found: list[ModelError] = []

    def add(self, message: str, hint: str, node: str | None = None) -> None:
        if not any(f.message == message for f in self.found):
            self.found.append(ModelError(message, hint=hint, node=node))

    def done(self, name: str) -> None:
        raise_all(self.found, f"writing model '{name}' as lavaan")


class Parameters:
    """Parameters, and what is deterministic among them.

    labels : of the groups; one, "", where there are none.
    """

    def __init__(self, dag: Dag, unit: str, group: str, labels: tuple[str, ...], faults: Faults) -> None:
        self.group, self.labels, self.faults = group, labels, faults
        self.general: dict[str, st.Parameter | st.Deterministic | st.Constant] = {}
        self.levels: dict[Place, st.Deterministic] = {}
        self.used: set[str] = set()
        self.solved: dict[Place, ex.Expression] = {}
        self.scales: dict[str, str] = {}  # standard deviations and the labels of their variances
        plates: list[tuple[str, ...]] = [(), (group,)] if group else [()]
        for node in dag.nodes.values():
            if node.kind == "covariate" or unit in node.plates:
                continue
            if node.kind == "stochastic":
                hint = "lavaan has no priors; write `parameter`"
                faults.add(
                    f"`{node.name}` has a distribution and is no variable of the units.", hint, node.name
                )
            elif node.plates not in plates:
                hint = "lavaan's parameters differ between groups at most"
                faults.add(f"`{node.name}` lies on {', '.join(node.plates)}.", hint, node.name)
            else:
                self._enter(node.statements)

    def _enter(self, statements: tuple[st.Statement, ...]) -> None:
        for s in statements:
            if isinstance(s, st.Deterministic) and s.head.slots and s.head.slots[0].label is not None:
                self.levels[s.head.name, str(s.head.slots[0].label)] = s
            elif isinstance(s, st.Deterministic):
                self.general[s.head.name] = s
            elif isinstance(s, st.Parameter):
                if s.domain is not None and s.domain.kind != "interval":
                    hint = "lavaan's parameters are single numbers"
                    self.faults.add(f"`{s.name}` is declared {s.domain.kind}.", hint, s.name)
                self.general[s.name] = s
            elif isinstance(s, st.Constant) and isinstance(s.value, int | float):
                self.general[s.name] = s

    def cell(
        self, tree: ex.Expression, label: str | None, key: str | None = None, scale: bool = False
    ) -> Cell | None:
        """What a tree is in a group; None where it is neither a number nor a parameter.

        key : the name the parameter has by default, so that it needs no label; None only looks up.
        scale : the tree is a standard deviation, and the cell that of its variance.
        """
        value = ex.literal(tree)
        if value is not None:
            return Cell(value=float(value) ** (2 if scale else 1))
        if not isinstance(tree, ex.Reference):
            return None
        level: str | None = None
        if tree.indices:
            index = tree.indices[0]
            level = str(index.label) if isinstance(index, ex.LevelIndex) else label
        return self._cell(tree.name, level, label, key, scale)

    def _cell(
        self, name: str, level: str | None, label: str | None, key: str | None, scale: bool
    ) -> Cell | None:
        said = self.levels.get((name, level or "")) or self.general.get(name)
        if key is not None:
            self.used.add(name)
        if isinstance(said, st.Constant) and isinstance(said.value, int | float):
            return Cell(value=float(said.value) ** (2 if scale else 1))
        if isinstance(said, st.Deterministic):
            simple = isinstance(said.expression, ex.Reference) or ex.literal(said.expression) is not None
            if simple and level is not None:
                return self.cell(said.expression, level, key, scale)
            if scale:
                return None
            if key is not None:
                self.solved[name, level] = said.expression
            return Cell((name, level), label=self._label(name, level, key))
        if not isinstance(said, st.Parameter):
            return None
        if scale:
            return self._variance(said, level, key)
        lower, upper = _bounds(said)
        start = None if said.start is None else float(said.start)
        return Cell((name, level), start, self._label(name, level, key), lower, upper)

    def _label(self, name: str, level: str | None, key: str | None) -> str:
        if key is None or name == key:
            return ""
        return name if level is None else f"{name}.{level}"

    def _variance(self, said: st.Parameter, level: str | None, key: str | None) -> Cell:
        """A standard deviation that is a parameter: its square, with a label to define it by."""
        label = f"{said.name}.variance" + ("" if level is None else f".{level}")
        if key is not None and level is None:
            self.scales[said.name] = label
        start = None if said.start is None else float(said.start) ** 2
        return Cell(("variance", said.name, level), start, label)

    def constraints(self) -> tuple[tuple[str, ex.Expression, ex.Expression], ...]:
        """Solved parameters as `==`, other deterministic ones as `:=`."""
        found: list[tuple[str, ex.Expression, ex.Expression]] = []
        for name, label in self.scales.items():
            found.append((":=", ex.Reference(name), ex.Call("sqrt", (ex.Reference(label),))))
        for (name, level), tree in self.solved.items():
            index = (ex.LevelIndex(level),) if level is not None else ()
            found.append(("==", ex.Reference(name, index), self._checked(name, tree)))
        for name, said in self.general.items():
            if isinstance(said, st.Deterministic) and (name, None) not in self.solved:
                if said.head.slots:
                    if name not in self.used:
                        hint = "define a quantity for each group"
                        self.faults.add(f"`{name}` is defined over {self.group}.", hint, name)
                    continue
                if not name.replace(".", "_").isidentifier():
                    self.faults.add(f"`{name}` is no name in lavaan.", "use letters, digits and dots", name)
                found.append((":=", ex.Reference(name, ()), self._checked(name, said.expression)))
        return tuple(found)

    def _checked(self, name: str, tree: ex.Expression) -> ex.Expression:
        for part in ex.walk(tree):
            bad = isinstance(part, ex.Reduction | ex.Vector | ex.Text) or (
                isinstance(part, ex.Call) and part.function not in FUNCTIONS
            )
            if bad or (isinstance(part, ex.Binary) and part.operator not in ("+", "-", "*", "/", "**")):
                self.faults.add(f"`{name}` is `{tree}`, which lavaan cannot say.", "write it out", name)
                return ex.Number(0)
            if isinstance(part, ex.Reference):
                self.used.add(part.name)
        return tree

    def unused(self) -> list[str]:
        """Parameters that stand nowhere."""
        return [n for n, s in self.general.items() if isinstance(s, st.Parameter) and n not in self.used]


def _bounds(said: st.Parameter) -> tuple[float | None, float | None]:
    if said.domain is None:
        return None, None
    lower, upper = said.domain.lower, said.domain.upper
    return (None if lower == -INF else lower), (None if upper == INF else upper)


__all__ = ["Faults", "Parameters"]
