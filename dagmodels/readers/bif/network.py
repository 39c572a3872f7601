"""Blocks of BIF -> Dag, with names resolved.

The tables are checked here, so that thousands of numbers need not pass the language's own resolution; a
test holds the result to be what that would give.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import statement as st
from dagmodels.graph.bif import plate_names
from dagmodels.graph.dag import Dag
from dagmodels.graph.names import is_name
from dagmodels.graph.plate import Place, Plate
from dagmodels.readers.bif.parse import Block, Parsed, Variable, parse
from dagmodels.readers.bif.tables import TableReader
from dagmodels.readers.bif.tokens import Tokens

UNNAMED = "network"


def from_bif(text: str, source: str | None = None) -> Dag:
    """The network of a BIF text: one Table a variable, and a plate for each set of states.

    Rows that sum to one but for 1e-6 are divided by their sum, with a note at the node; up to 1e-3 with a
    warning; others are refused.

    Raises
    ------
    ModelErrors : the first token that cannot be, or else all that is wrong with names and tables.
    """
    tokens = Tokens(text, source)
    parsed = parse(tokens)
    faults: list[ModelError] = []
    variables = _variables(tokens, parsed, faults)
    blocks = _blocks(tokens, parsed, variables, faults)
    raise_all(faults, source or "the network")
    statements, plates = _statements(tokens, variables, blocks, faults)
    _refuse_cycle(tokens, blocks, faults)
    raise_all(faults, source or "the network")
    return Dag(parsed.name or UNNAMED, plates, statements, None, source)


def _variables(tokens: Tokens, parsed: Parsed, faults: list[ModelError]) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    if parsed.name and not is_name(parsed.name):
        faults.append(tokens.fault(1, f"{parsed.name!r} cannot name a network.", "use letters and digits"))
    for variable in parsed.variables:
        name = variable.name
        if not is_name(name):
            faults.append(tokens.fault(variable.at, f"{name!r} cannot name a variable.", "use letters", name))
        if name in found:
            told = f"`{name}` is declared twice."
            faults.append(tokens.fault(variable.at, told, "give it one block", name))
        if len(set(variable.states)) < len(variable.states):
            twice = next(s for k, s in enumerate(variable.states) if s in variable.states[:k])
            told = f"`{name}` has the state `{twice}` twice."
            faults.append(tokens.fault(variable.at, told, "states of a variable differ", name))
        if variable.plate is not None and not is_name(variable.plate):
            faults.append(tokens.fault(variable.at, f"{variable.plate!r} cannot name a plate.", node=name))
        found[name] = variable
    if not parsed.variables:
        faults.append(tokens.fault(len(tokens.words), "The network has no variables.", "declare one"))
    return found


def _blocks(
    tokens: Tokens, parsed: Parsed, variables: dict[str, Variable], faults: list[ModelError]
) -> dict[str, Block]:
    """The block of each variable, all of whose names are declared."""
    found: dict[str, Block] = {}
    for block in parsed.blocks:
        names = (block.name, *block.parents)
        for k, name in enumerate(names):
            if name not in variables:
                told = f"`{name}` is no variable of the network."
                faults.append(tokens.fault(block.at[k], told, _near(name, variables), name))
            elif name in names[:k]:
                told = f"`{name}` stands twice in the head of a probability block."
                faults.append(tokens.fault(block.at[k], told, "name each variable once", name))
        if block.name in found:
            told = f"`{block.name}` has two probability blocks."
            faults.append(tokens.fault(block.at[0], told, "give it one", block.name))
        found[block.name] = block
    for name, variable in variables.items():
        if name not in found:
            told = f"`{name}` has no probability block."
            faults.append(tokens.fault(variable.at, told, f"write `probability ( {name} ) {{ ... }}`", name))
    return found


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{near[0]}`?" if near else "declare it in a `variable` block"


def _statements(
    tokens: Tokens, variables: dict[str, Variable], blocks: dict[str, Block], faults: list[ModelError]
) -> tuple[tuple[st.Statement, ...], tuple[Plate, ...]]:
    named = plate_names({v.name: v.states for v in variables.values() if v.plate is None})
    reader = TableReader(tokens, variables, faults)
    plates: dict[str, Plate] = {}
    statements: list[st.Statement] = []
    lines = tokens.lines([blocks[name].at[0] for name in variables])
    for (name, variable), (line, column) in zip(variables.items(), lines, strict=True):
        plate = variable.plate or named[variable.states]
        known = plates.setdefault(plate, Plate(plate, levels=variable.states))
        if known.levels != variable.states or plate in variables:
            told = f"`{name}` has its values in plate `{plate}`, which is something else."
            faults.append(tokens.fault(variable.at, told, "drop the property", name))
        law, note = reader.law(blocks[name])
        statements.append(st.Stochastic(st.Head(name), law, False, plate, note, Place(line, column)))
    return tuple(statements), tuple(plates.values())


def _refuse_cycle(tokens: Tokens, blocks: dict[str, Block], faults: list[ModelError]) -> None:
    """A directed loop is named once."""
    done: set[str] = set()
    for first in blocks:
        path: list[str] = []
        waiting = [(first, False)]
        on_path: set[str] = set()
        while waiting:
            name, left = waiting.pop()
            if left:
                on_path.discard(name)
                path.pop()
                done.add(name)
            elif name in on_path:
                loop = [*path[path.index(name) :], name]
                told = f"The network has a loop: {' <- '.join(loop[:12])}{' ...' if len(loop) > 12 else ''}."
                faults.append(tokens.fault(blocks[name].at[0], told, "arrows may not lead back", name))
                return
            elif name not in done:
                path.append(name)
                on_path.add(name)
                waiting.append((name, True))
                waiting.extend((p, False) for p in blocks[name].parents)
