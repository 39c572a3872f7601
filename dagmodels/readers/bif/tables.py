"""Rows of probabilities -> a Table: each combination of the parents' states once, sums of one."""

from __future__ import annotations

import difflib
import warnings
from itertools import product

from dagmodels.errors import FitWarning, ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.readers.bif.parse import Block, Row, Variable
from dagmodels.readers.bif.tokens import Tokens

EXACT = 1e-12  # of a sum, below which it is one but for rounding
NOTED = 1e-6  # below which rows are divided by their sum with a note
REFUSED = 1e-3  # beyond which a row is an error
MOST = 5_000_000  # rows of one table


class TableReader:
    """Makes the tables of a text; `faults` collects what is wrong with them."""

    def __init__(self, tokens: Tokens, variables: dict[str, Variable], faults: list[ModelError]) -> None:
        self.tokens, self.variables, self.faults = tokens, variables, faults

    def law(self, block: Block) -> tuple[st.Distribution, str]:
        """The Table of a block whose names are known, and a note about its sums."""
        own, parents = self.variables[block.name], [self.variables[p] for p in block.parents]
        number = 1
        for parent in parents:
            number *= len(parent.states)
        if number > MOST:
            self._fault(
                block.at[0], block, f"The table of `{block.name}` has {number} rows.", "too many to read"
            )
            return st.Distribution("Table"), ""
        rows = self._rows(block, own, parents)
        off = 0.0
        entries: list[st.Row] = []
        for states, (row, numbers) in rows.items():
            summed = self._normal(block, row, states, numbers)
            if summed is not None:
                off = max(off, abs(sum(numbers) - 1))
                numbers = summed
            entries.append(st.Row(states, tuple(map(ex.Number, numbers))))
        note = f"rows divided by their sums, which were off by up to {off:.1g}" if off else ""
        references = tuple((str(k), ex.Reference(p.name, ())) for k, p in enumerate(parents))
        if not parents:
            return st.Distribution(
                "Table", (("rows", ex.Vector(entries[0].entries if entries else ())),)
            ), note
        return st.Distribution("Table", (*references, ("rows", st.Rows(tuple(entries))))), note

    def _rows(
        self, block: Block, own: Variable, parents: list[Variable]
    ) -> dict[tuple[str, ...], tuple[Row, list[float]]]:
        """The numbers by the parents' states, in the order of the parents' own states."""
        every = list(product(*(p.states for p in parents)))
        width = len(own.states)
        found: dict[tuple[str, ...], tuple[Row, list[float]]] = {}
        default: Row | None = None
        for row in block.rows:
            if row.kind == "table":
                self._whole(block, row, every, width, found)
            elif len(row.numbers) != width:
                told = f"A row of `{block.name}` has {len(row.numbers)} numbers for {width} states."
                self._fault(row.at, block, told, "one number for each state")
            elif row.states is None:
                default = row
            elif self._known(block, row, parents):
                if row.states in found:
                    told = f"The row ({', '.join(row.states)}) of `{block.name}` is given twice."
                    self._fault(row.at, block, told, "give each row once")
                found[row.states] = row, row.numbers
        missing = [states for states in every if states not in found]
        if missing and default is not None:
            found.update((states, (default, default.numbers)) for states in missing)
        elif missing and not self._has_faults(block):
            shown = ", ".join(f"({', '.join(m)})" for m in missing[:3]) + (
                ", ..." if len(missing) > 3 else ""
            )
            told = f"`{block.name}` has no row for {shown}." if parents else f"`{block.name}` has no numbers."
            self._fault(block.at[0], block, told, "give every combination of the parents' states a row")
        return {states: found[states] for states in every if states in found}

    def _whole(
        self,
        block: Block,
        row: Row,
        every: list[tuple[str, ...]],
        width: int,
        found: dict[tuple[str, ...], tuple[Row, list[float]]],
    ) -> None:
        """`table`: all numbers, the variable's own states running slowest, its last parent's fastest."""
        if len(row.numbers) != width * len(every):
            told = f"The table of `{block.name}` has {len(row.numbers)} numbers, not {width * len(every)}."
            self._fault(row.at, block, told, "one for each state and each combination of the parents' states")
            return
        for k, states in enumerate(every):
            if states in found:
                self._fault(
                    row.at, block, f"The row {states} of `{block.name}` is given twice.", "give it once"
                )
            found[states] = row, row.numbers[k :: len(every)]

    def _known(self, block: Block, row: Row, parents: list[Variable]) -> bool:
        assert row.states is not None
        if len(row.states) != len(parents):
            told = f"A row of `{block.name}` names {len(row.states)} states; it has {len(parents)} parents."
            self._fault(row.at, block, told, "one state for each parent, in the order of the block's head")
            return False
        for k, (state, parent) in enumerate(zip(row.states, parents, strict=True)):
            if state not in parent.states:
                near = difflib.get_close_matches(state, parent.states, n=1)
                hint = (
                    f"did you mean `{near[0]}`?" if near else f"its states are {', '.join(parent.states[:8])}"
                )
                told = f"`{state}` in a row of `{block.name}` is no state of `{parent.name}`."
                self._fault(row.at + 1 + 2 * k, block, told, hint)
                return False
        return True

    def _normal(
        self, block: Block, row: Row, states: tuple[str, ...], numbers: list[float]
    ) -> list[float] | None:
        """The numbers divided by their sum, None where that is one."""
        total = sum(numbers)
        if abs(total - 1) <= EXACT and min(numbers) >= 0:
            return None
        where = f"The row ({', '.join(states)}) of `{block.name}`" if states else f"The row of `{block.name}`"
        if not all(0 <= p <= 1 for p in numbers):
            wrong = next(p for p in numbers if not 0 <= p <= 1)
            self._fault(row.at, block, f"{where} has {wrong:g}, which is no probability.", "write 0 to 1")
            return None
        off = abs(total - 1)
        if off > REFUSED:
            told = f"{where} sums to {total:.9g}, not to 1."
            self._fault(row.at, block, told, "probabilities of one variable's states sum to 1")
            return None
        if off > NOTED:
            line, _ = self.tokens.place(row.at)
            name = f"{self.tokens.source}:{line}" if self.tokens.source else f"line {line}"
            told = f"{name}: {where} sums to {total:.9g}; it is divided by that"
            warnings.warn(told, FitWarning, stacklevel=2)
        return [p / total for p in numbers]

    def _has_faults(self, block: Block) -> bool:
        return any(f.node == block.name for f in self.faults)

    def _fault(self, at: int, block: Block, message: str, hint: str) -> None:
        self.faults.append(self.tokens.fault(at, message, hint, block.name))
