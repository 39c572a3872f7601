"""Statements in their loops: the model block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dagmodels.analysis.priors import example_prior
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.graph.scope import event_plates
from dagmodels.writers.bugs.boxes import END, Box, boxes
from dagmodels.writers.bugs.laws import Beside, law
from dagmodels.writers.bugs.names import LEGAL, Names, Unwritable
from dagmodels.writers.bugs.trees import Inside, number, written

INDENT = "  "


@dataclass
class Block:
    """Lines of one loop, and the loops within, by their heads in the order of their first lines."""

    lines: list[str] = field(default_factory=list)
    loops: dict[str, Block] = field(default_factory=dict)

    def add(self, heads: Sequence[str], line: str) -> None:
        """A line inside these loops."""
        if not heads:
            self.lines.append(line)
        else:
            self.loops.setdefault(heads[0], Block()).add(heads[1:], line)

    def text(self, depth: int = 1) -> list[str]:
        """All lines: loops first, as their numbers come from what follows them."""
        pad = INDENT * depth
        found: list[str] = []
        for head, block in self.loops.items():
            found += [f"{pad}{head} {{", *block.text(depth + 1), f"{pad}}}"]
        return [*found, *(pad + line for line in self.lines)]


def dag_to_bugs(dag: Dag, levels: Mapping[str, tuple[object, ...]] | None = None) -> str:
    """The model's text in the language of BUGS and JAGS.

    levels : of the plates whose levels the data tell, where a statement names one of them.

    Raises
    ------
    ModelErrors : every node that BUGS cannot say, with what to write instead.
    """
    writer = _Writer(Names.of(dag, dict(levels or {})), _inlined(dag))
    faults: list[ModelError] = []
    for covariance in dag.covariances:
        names = f"'{covariance.left.name}' ~~ '{covariance.right.name}'"
        hint = "draw both from one MvNormal"
        faults.append(
            ModelError(f"BUGS has no residual covariances: {names}", node=covariance.left.name, hint=hint)
        )
    for name, node in dag.nodes.items():
        if name in writer.inline:
            continue
        try:
            writer.node(name, node.statements)
        except Unwritable as error:
            faults.append(error.fault(name))
    raise_all(faults, f"the BUGS text of model '{dag.name}'")
    head = [f"# {dag.name}"]
    head += [
        f"# {new} is '{old}' in the graph" for old, new in writer.names.renamed if old not in writer.inline
    ]
    return "\n".join([*head, "model {", *writer.block.text(), "}", ""])


def _inlined(dag: Dag) -> dict[str, ex.Expression]:
    """Single definitions whose names are no words of BUGS: readers make them of sums inside a loop."""
    found: dict[str, ex.Expression] = {}
    for name, node in dag.nodes.items():
        if LEGAL.fullmatch(name) or node.plates or len(node.statements) != 1:
            continue
        statement = node.statements[0]
        if isinstance(statement, st.Deterministic):
            found[name] = statement.expression
    return found


class _Writer:
    """Adds the statements of one node after the other to the block."""

    def __init__(self, names: Names, inline: Mapping[str, ex.Expression]) -> None:
        self.names = names
        self.inline = inline
        self.block = Block()

    def node(self, name: str, statements: Sequence[st.Statement]) -> None:
        """All statements of a node."""
        if all(isinstance(s, st.Covariate) for s in statements):
            return
        for statement, found in boxes(self.names, statements):
            match statement:
                case st.Parameter():
                    told = "it has no prior, and everything unknown needs one in BUGS"
                    raise Unwritable(told, f"write for instance {example_prior(self.names.dag, name)}")
                case st.Joint():
                    raise Unwritable("BUGS has no tuples", "make the parts elements of one plate")
                case st.Constant():
                    self._constant(name, statement)
                case st.Deterministic() | st.Stochastic():
                    for box in found:
                        self._box(name, statement, box)
                case _:
                    pass

    def _constant(self, name: str, statement: st.Constant) -> None:
        def add(value: st.Literal, places: tuple[int, ...]) -> None:
            if isinstance(value, tuple):
                for k, part in enumerate(value):
                    add(part, (*places, k + 1))
            else:
                at = f"[{','.join(map(str, places))}]" if places else ""
                self.block.add((), f"{self.names.nodes[name]}{at} <- {number(value)}")

        add(statement.value, ())

    def _box(self, name: str, statement: st.Deterministic | st.Stochastic, box: Box) -> None:
        slots = [s.plate for s in statement.head.slots]
        event = event_plates(statement)
        matrix = _inverse_of(statement)
        if matrix is not None:
            event = tuple(p for p in slots[-2:] if p is not None)
        heads: list[str] = []
        indices: list[str] = []
        bound: dict[str, str] = {}
        for k, (plate, run) in enumerate(zip(slots, box, strict=True)):
            assert plate is not None
            last = self.names.bounds[plate] if run.last == END else str(run.last)
            if k >= len(slots) - len(event):
                indices.append(f"{run.first}:{last}")
                continue
            index = str(run.first)
            if not run.single:
                index = self.names.loops[plate]
                heads.append(f"for ({index} in {run.first}:{last})")
            indices.append(index)
            bound[plate] = index
        at = Inside(self.names, bound, inline=self.inline)
        target = f"{self.names.nodes[name]}[{','.join(indices)}]" if indices else self.names.nodes[name]
        if matrix is not None:
            inner = Inside(self.names, bound, event, self.inline)
            self.block.add(heads, f"{target} <- inverse({written(matrix, inner)})")
        elif isinstance(statement, st.Deterministic):
            self.block.add(heads, f"{target} <- {written(statement.expression, at)}")
        else:
            self._drawn(name, statement.distribution, target, heads, at, event)

    def _drawn(
        self,
        name: str,
        found: st.Distribution,
        target: str,
        heads: list[str],
        at: Inside,
        event: tuple[str, ...],
    ) -> None:
        beside = Beside(self.names.nodes[name], self.names.fresh)
        self.block.add(heads, f"{target} ~ {law(found, at, event, beside)}")
        for own, first, entries in beside.lists:
            for k, entry in enumerate(entries):
                places = ",".join(map(str, (*first, k + 1)))
                self.block.add((), f"{own}[{places}] <- {entry}")
        for own, plates, tree in beside.vectors:
            last = plates[-1]
            loop = self.names.loops[last]
            loops = [*heads, f"for ({loop} in 1:{self.names.bounds[last]})"]
            index = ",".join([*(at.bound[p] for p in plates[:-1]), loop])
            inner = Inside(self.names, {**at.bound, last: loop}, inline=self.inline)
            self.block.add(loops, f"{own}[{index}] <- {written(tree, inner)}")


def _inverse_of(statement: st.Statement) -> ex.Expression | None:
    """The matrix whose inverse a definition is."""
    tree = statement.expression if isinstance(statement, st.Deterministic) else None
    return tree.arguments[0] if isinstance(tree, ex.Call) and tree.function == "inverse" else None


__all__ = ["dag_to_bugs"]
