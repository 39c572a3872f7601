"""A discrete network to BIF text.

What BIF has no word for is left out: notes, constants and formulas (their numbers are written). The names
of plates are kept as properties; levels that are numbers come back as text.
"""

from __future__ import annotations

from itertools import product

from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.table_values import Floats
from dagmodels.forms.tables import Tables, tables
from dagmodels.graph.bif import MARKS, plate_names
from dagmodels.graph.dag import Dag
from dagmodels.graph.names import number_text


def to_bif(dag: Dag) -> str:
    """The network as BIF; `readers.bif.from_bif` gives an equal graph back where all labels are texts.

    Raises
    ------
    ModelErrors : the graph is no network of known tables, or a name holds a quotation mark or a line's end.
    """
    net = tables(dag)
    numbers = net.known
    faults: list[ModelError] = []
    names = [_word(name, faults) for name in net.names]
    states = [[_word(str(label), faults) for label in own] for own in net.states]
    model = _word(dag.name, faults)
    raise_all(faults, f"model '{dag.name}' as BIF")
    lines = [f"network {model} {{", "}"]
    plates = _plates(dag, net)
    for i, name in enumerate(names):
        lines += [
            f"variable {name} {{",
            f"  type discrete [ {len(states[i])} ] {{ {', '.join(states[i])} }};",
        ]
        if plates:
            lines.append(f"  property plate = {_word(plates[i], faults)} ;")
        lines.append("}")
    for i, table in enumerate(numbers):
        lines += _block(i, table, net, names, states)
    return "\n".join(lines) + "\n"


def _block(i: int, table: Floats, net: Tables, names: list[str], states: list[list[str]]) -> list[str]:
    parents = net.parents[i]
    if not parents:
        return [f"probability ( {names[i]} ) {{", f"  table {_row(table)};", "}"]
    lines = [f"probability ( {names[i]} | {', '.join(names[p] for p in parents)} ) {{"]
    rows = table.reshape(-1, table.shape[-1])
    for labels, row in zip(product(*(states[p] for p in parents)), rows, strict=True):
        lines.append(f"  ({', '.join(labels)}) {_row(row)};")
    return [*lines, "}"]


def _row(row: Floats) -> str:
    return ", ".join(map(number_text, row.tolist()))


def _plates(dag: Dag, net: Tables) -> list[str]:
    """The plates of the states, where reading the text would not name them so by itself."""
    shown = {name: tuple(map(str, own)) for name, own in zip(net.names, net.states, strict=True)}
    given = plate_names(shown)
    own = [dag.nodes[name].values_in or given[shown[name]] for name in net.names]
    return own if own != [given[shown[name]] for name in net.names] else []


def _word(name: str, faults: list[ModelError]) -> str:
    """A name as BIF has it, in quotation marks where it must be."""
    if '"' in name or "\n" in name or "\r" in name:
        faults.append(ModelError(f"{name!r} cannot be written in BIF", node=name, hint="rename it"))
    plain = name and not name.isspace() and not any(c in MARKS or c.isspace() for c in name)
    return name if plain and not name.startswith(("//", "/*")) and "/*" not in name else f'"{name}"'


__all__ = ["to_bif"]
