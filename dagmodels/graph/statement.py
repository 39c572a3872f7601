"""Statements: what a model's text says, one value a statement, names of plates resolved."""

from __future__ import annotations

from dataclasses import dataclass, field

from dagmodels.graph.expression import Expression, Label, Scalar
from dagmodels.graph.plate import Place

Literal = Scalar | tuple["Literal", ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in a head's brackets: `[plate]`, `["label"]` or `[plate first n]`.

    plate : the plate (or alias) of this place; None only before resolution of a bare label.
    label : the level named, if one is.
    first : the number of first elements named, if `first` was written; else 0.
    """

    plate: str | None
    label: Label | None = None
    first: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The left-hand side: a name and its slots."""

    name: str
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a network table: the parents' levels in the order written, then the entries."""

    labels: tuple[Label, ...]
    entries: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The literal part of a `Table(...)` call with parents."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Distribution:
    """A call of a family or wrapper: arguments by the family's parameter names.

    Positional arguments are named when the graph is built, in the order of the family's
    signature (`distributions.family(name).parameters`), so both spellings are one value.
    `Table` keeps its parents under the names "0", "1", ... and its numbers under "rows"
    (a `Rows`, or a `Vector` without parents).  `Mixture` has "weights" and "components"
    (a tuple of Distributions).  `Truncated`, `Censored` and `Ordered` have "distribution".
    """

    family: str
    arguments: tuple[tuple[str, Argument], ...] = ()

    def argument(self, name: str) -> Argument | None:
        """The argument of that name, or None."""
        return next((value for key, value in self.arguments if key == name), None)

    def __repr__(self) -> str:
        """The call as a model's text has it, such as `Normal(mu, tau=1e-6)`."""
        from dagmodels.graph import printing

        try:
            return printing.distribution_text(self)
        except ValueError:  # a number without text, such as infinity, which `graph.build` refuses
            return f"{self.family}(...)"


Argument = Expression | Distribution | Rows | tuple[Distribution, ...]


@dataclass(frozen=True, slots=True)
class Stochastic:
    """`[observed] head [in plate] ~ Distribution(...)`."""

    head: Head
    distribution: Distribution
    observed: bool = False
    values_in: str | None = None
    note: str = field(default="", compare=False)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Joint:
    """`(a, b)[subject] ~ MvNormal(...)`: the tuple takes the place of the last plate."""

    names: tuple[str, ...]
    plates: tuple[str, ...]
    distribution: Distribution
    observed: bool = False
    note: str = field(default="", compare=False)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Deterministic:
    """`head = expression`."""

    head: Head
    expression: Expression
    note: str = field(default="", compare=False)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Covariate:
    """`covariate name[plates] [in plate]`: data that are never missing."""

    name: str
    plates: tuple[str, ...] = ()
    values_in: str | None = None
    note: str = field(default="", compare=False)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """`constant name[plates] = literal`."""

    name: str
    plates: tuple[str, ...]
    value: Literal
    note: str = field(default="", compare=False)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Domain:
    """What values a parameter may take; bounds are closed.

    kind : "interval" (with bounds), "ordered", "simplex", "covariance" or "correlation".
    """

    kind: str
    lower: float = float("-inf")
    upper: float = float("inf")


@dataclass(frozen=True, slots=True)
class Parameter:
    """`parameter name[plates] [domain] [start value]`: unknown, without prior, maximised."""

    name: str
    plates: tuple[str, ...] = ()
    domain: Domain | None = None
    start: Scalar | None = None
    note: str = field(default="", compare=False)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Covariance:
    """`left ~~ right = expression`: residual covariance of two Normal nodes of one plate."""

    left: Head
    right: Head
    expression: Expression
    note: str = field(default="", compare=False)
    place: Place | None = field(default=None, compare=False)


Statement = Stochastic | Joint | Deterministic | Covariate | Constant | Parameter | Covariance
