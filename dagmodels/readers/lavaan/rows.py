"""The parameter table as a value: rows in lavaan's order, and what they say together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dagmodels.graph.expression import Expression
from dagmodels.readers.lavaan.options import Options
from dagmodels.readers.lavaan.variables import Variables

CONSTRAINTS = ("==", "<", ">", ":=")


@dataclass(frozen=True, slots=True)
class Row:
    """One row, as in lavaan's parameter table.

    id : counted from 1.
    lhs, op, rhs : an intercept has the operator "~1" and no rhs.
    level : 1 within, 2 between; 0 in models of one level and for constraints.
    group : counted from 1; 0 for constraints and definitions.
    free : number of the free parameter, the same for rows that are equal; 0 for fixed ones.
    value : the fixed value, or the user's start; None where data or other rules give it.
    label : the user's, or the plabel of the row it equals by `group_equal`.
    plabel : lavaan's own name of the row, such as ".p5.".
    exogenous : (co)variances and means of exogenous variables, which are those of the data.
    added : the default that added the row, "" for the user's own.
    fixed_by : the default that fixed or freed it, "" where the user did or nothing did.
    line : of the text; 0 for rows that a default added.
    lower, upper : bounds.
    left, right : the sides of a constraint or definition, trees over labels.
    """

    id: int
    lhs: str
    op: str
    rhs: str
    level: int
    group: int
    free: int
    value: float | None
    label: str
    plabel: str
    exogenous: bool = False
    added: str = ""
    fixed_by: str = ""
    line: int = 0
    lower: float | None = None
    upper: float | None = None
    left: Expression | None = None
    right: Expression | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What the row is about, whatever its group."""
        return self.lhs, self.op, self.rhs

    @property
    def name(self) -> str:
        """Without spaces, as lavaan names coefficients: `f=~x1`."""
        return f"{self.lhs}{self.op}{self.rhs}"


@dataclass(frozen=True)
class Table:
    """lavaan's parameter table; one line of it is a `Row`.

    rows : elements by group (and level), then constraints and definitions.
    options : as given, with what follows from the text filled in (means, groups).
    blocks : the variables of each group (of one level) in order.
    groups : labels; one, "", where there are no groups.
    levels : labels of the levels, () where there is one.
    variables : of all blocks together.
    notes : sentences on what the text says twice, or in vain.
    """

    rows: tuple[Row, ...]
    options: Options
    blocks: tuple[Variables, ...]
    groups: tuple[str, ...]
    levels: tuple[str, ...]
    variables: Variables
    meanstructure: bool = False
    notes: tuple[str, ...] = ()
    by_key: dict[tuple[str, str, str, int, int], Row] = field(
        default_factory=dict[tuple[str, str, str, int, int], Row], compare=False, repr=False
    )

    def __post_init__(self) -> None:
        for row in self.rows:
            if row.op not in CONSTRAINTS:
                self.by_key[(*row.key, row.group, row.level)] = row

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, lhs: str, op: str, rhs: str = "", group: int = 1, level: int = 0) -> Row | None:
        """That row, or None."""
        return self.by_key.get((lhs, op, rhs, group, level))

    @property
    def elements(self) -> tuple[Row, ...]:
        """The rows without constraints and definitions."""
        return tuple(r for r in self.rows if r.op not in CONSTRAINTS)

    @property
    def constraints(self) -> tuple[Row, ...]:
        """The rows `==`, `<` and `>`."""
        return tuple(r for r in self.rows if r.op in ("==", "<", ">"))

    @property
    def definitions(self) -> tuple[Row, ...]:
        """The rows `:=`."""
        return tuple(r for r in self.rows if r.op == ":=")

    @property
    def free(self) -> int:
        """How many free parameters there are, equal ones counted once, `==` rows not counted."""
        return max((r.free for r in self.rows), default=0)

    @property
    def latent(self) -> tuple[str, ...]:
        return self.variables.latent

    @property
    def observed(self) -> tuple[str, ...]:
        return self.variables.observed

    @property
    def exogenous(self) -> tuple[str, ...]:
        """Observed variables that nothing is said about, lavaan's "ov.x"."""
        return self.variables.exogenous

    @property
    def indicators(self) -> tuple[str, ...]:
        return self.variables.indicators
