"""What a structural equation model calls its numbers: lavaan's rows, and what its defaults were."""

from __future__ import annotations

from dataclasses import dataclass

from dagmodels.results.sem.estimators import DEFAULT, Choice


@dataclass(frozen=True, slots=True)
class SemRow:
    """One row of lavaan's parameter table.

    lhs, op, rhs : as lavaan writes them. group : index from 0. free : whether it is estimated. label : the
        user's, or "". node : for a defined quantity (`:=`) the graph's node. value : of a fixed row.
    exogenous : a moment of a fixed covariate. level : 1 within clusters, 2 between; 0 in models of one level.
    """

    lhs: str
    op: str
    rhs: str
    group: int = 0
    free: bool = True
    label: str = ""
    node: str = ""
    value: float = float("nan")
    exogenous: bool = False
    level: int = 0


@dataclass(frozen=True, slots=True)
class Equality:
    """An equality that holds between free rows: sum of coefficient * row = a constant.

    lhs, rhs : as lavaan writes the constraint; rows are called `.p3.` there, counted from 1.
    terms : (number of the row, coefficient).
    """

    lhs: str
    rhs: str
    terms: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class SemNaming:
    """The table and the settings that results depend on.

    rows : in lavaan's order. groups : labels of the groups ("" where there is one alone). latent : names of
    latent variables. meanstructure : whether means are part of the model; else they are saturated, and not
    counted.
    information : "expected" or "observed", of the standard errors. estimator, missing : lavaan's words.
    swapped : latent variables that are functions of the indicator given here, which carries their law.
    observed, exogenous : names of observed variables, in lavaan's order, and of those nothing is said about.
    equalities : what equal labels and `==` say.
    choice : how standard errors and tests are made.
    delta : latent responses of ordered variables have scales, and residual variances that follow.
    levels : labels of the levels, () where there is one. between : the node of clusters behind a variable of
    both levels. predictors : by level the observed variables that nothing is said about there.
    """

    rows: tuple[SemRow, ...]
    groups: tuple[str, ...]
    latent: tuple[str, ...]
    meanstructure: bool
    information: str = "expected"
    estimator: str = "ML"
    missing: str = "listwise"
    swapped: tuple[tuple[str, str], ...] = ()
    text: str = ""
    observed: tuple[str, ...] = ()
    exogenous: tuple[str, ...] = ()
    equalities: tuple[Equality, ...] = ()
    choice: Choice = DEFAULT
    delta: bool = True
    levels: tuple[str, ...] = ()
    between: tuple[tuple[str, str], ...] = ()
    predictors: tuple[tuple[str, ...], ...] = ()

    @property
    def level_titles(self) -> tuple[str, ...]:
        """The levels as lavaan calls them: "within" and the column of clusters where they are numbers."""
        own = ("within", self.choice.cluster or "between")
        return tuple(t if n.isdigit() else n for n, t in zip(self.levels, own, strict=False))

    @property
    def blocks(self) -> tuple[str, ...]:
        """Titles of the parts of the table: groups, and in each its levels."""
        if not self.levels:
            return self.groups
        return tuple(", ".join(filter(None, (g, t))) for g in self.groups for t in self.level_titles)

    def block(self, row: SemRow) -> int:
        """The part that a row stands in."""
        return row.group * len(self.levels) + row.level - 1 if self.levels else row.group

    def node(self, name: str, level: int) -> str:
        """The node behind a variable at a level."""
        return dict(self.between).get(name, name) if level > 1 else name
