"""What nodes, plates and loops are called in a BUGS text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dagmodels.errors import ModelError
from dagmodels.graph.dag import Dag
from dagmodels.graph.plate import Plate

LEGAL = re.compile(r"[A-Za-z][A-Za-z0-9._]*")
WORDS = frozenset({"model", "data", "var", "for", "in"})
LETTERS = "ijklmnopqrstuvwxyz"


class Unwritable(Exception):
    """What BUGS has no words for, and what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def fault(self, node: str) -> ModelError:
        """As a fault of a node."""
        return ModelError(f"'{node}': {self}", node=node, hint=self.hint or None)


@dataclass
class Names:
    """Names of one text.

    nodes : by name in the graph. bounds : the last index of a plate: a number, or its name in the data.
    loops : the variable of each plate. members : the name of the data that say where a plate's elements lie.
    sizes : numbers of elements, where they are known.
    """

    dag: Dag
    sizes: dict[str, int]
    levels: dict[str, tuple[object, ...]]
    nodes: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, str] = field(default_factory=dict)
    loops: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, dag: Dag, levels: dict[str, tuple[object, ...]]) -> Names:
        """levels : of plates that data know; those stated in the graph are added."""
        stated = {p.name: p.levels for p in dag.plates if p.levels is not None}
        every: dict[str, tuple[object, ...]] = {**levels, **stated}
        for plate in dag.plates:
            if plate.alias_of in every:
                every[plate.name] = every[plate.alias_of]
        found = cls(dag, {n: len(v) for n, v in every.items()}, every)
        for name in dag.nodes:
            if not LEGAL.fullmatch(name) or name in WORDS:
                continue
            found.nodes[name] = name
            found.taken.add(name)
        for plate in dag.plates:
            base = plate.alias_of or plate.name
            number = plate.name in stated or base in stated
            found.bounds[plate.name] = str(len(every[base])) if number else found.bounds.get(base, "")
            if not found.bounds[plate.name]:
                found.bounds[plate.name] = found.fresh(plate.name)
        for name in dag.nodes:
            if name not in found.nodes:
                found.nodes[name] = found.fresh(name)
        for plate in sorted(dag.plates, key=lambda p: (p.alias_of is not None, p.name not in stated)):
            letters = (c for c in LETTERS if c not in found.taken)
            own = plate.name if plate.name in stated else next(letters, plate.name)
            if plate.alias_of is not None:  # sorts behind its plate's, after which readers name both
                own = f"{found.loops[plate.alias_of]}.2"
            found.loops[plate.name] = found.fresh(own)
        return found

    def fresh(self, name: str) -> str:
        """A legal name that nothing else has."""
        word = re.sub(r"[^A-Za-z0-9._]+", ".", name).strip(".") or "x"
        word = word if word[0].isalpha() else f"x.{word}"
        while word in self.taken or word in WORDS:
            word += "."
        self.taken.add(word)
        return word

    def member(self, parent: str, plate: str) -> str:
        """The name of the data that say in which element of `parent` each element of `plate` lies."""
        return f"{self.bounds_word(parent)}.of.{self.bounds_word(plate)}"

    def bounds_word(self, plate: str) -> str:
        """A plate's name as a part of others."""
        return re.sub(r"[^A-Za-z0-9._]+", ".", plate).strip(".")

    def place(self, plate: str, label: object) -> int:
        """The index of a level, from 1."""
        base = self.dag.base(plate)
        if base in self.levels:
            return list(map(str, self.levels[base])).index(str(label)) + 1
        if isinstance(label, int) and label > 0:
            return label
        raise Unwritable(
            f"where '{label}' stands among the levels of '{plate}' is not known",
            f"state the levels of '{plate}', or write with data",
        )

    @property
    def plates(self) -> Mapping[str, Plate]:
        """The graph's, by name."""
        return self.dag.plate

    @property
    def renamed(self) -> Iterable[tuple[str, str]]:
        """Nodes that have another name here."""
        return ((a, b) for a, b in self.nodes.items() if a != b)
