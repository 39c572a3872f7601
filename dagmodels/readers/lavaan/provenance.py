"""Where each row of a parameter table is in the graph made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagmodels.readers.lavaan.rows import Row


@dataclass(frozen=True, slots=True)
class Held:
    """What holds a row's value: a node, one level of a node on the groups' plate, or a number.

    All three are None for moments of exogenous variables, which the data hold, and for constraints.
    """

    node: str | None = None
    level: str | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a table and its graph belong together.

    unit : plate of the rows of the data.
    group : plate of the groups, or None.
    cluster : plate of the clusters of a two-level model, or None.
    rows : for each row of the table what holds it.
    saturated : nodes of the intercepts that the table has not, by variable: without a mean structure
        every observed variable's intercept is free all the same, and the means fit exactly.
    substituted : ids of the constraints that the graph itself says: linear `==` rows, of which one
        parameter each has become deterministic, and bounds of single parameters.
    constraints : the other `==`, `<` and `>` rows; a fit has to keep them.
    redundant : ids of linear `==` rows that follow from others.
    nodes : the node behind each label that constraints and definitions may use.
    swapped : latent variables that are functions of the indicator given here, because it has no
        residual variance; it carries the latent variable's law.
    products : columns that are products of two others, `x:z`.
    responses : the latent response behind each ordered variable, `u*`.
    between : the node on the clusters' plate of what stands at both levels: the between part of an
        observed variable, or a latent variable of the same name.
    """

    unit: str
    group: str | None
    cluster: str | None
    rows: tuple[Held, ...]
    saturated: Mapping[str, str] = field(default_factory=dict[str, str])
    substituted: frozenset[int] = frozenset()
    constraints: tuple[Row, ...] = ()
    redundant: frozenset[int] = frozenset()
    nodes: Mapping[str, Held] = field(default_factory=dict[str, Held])
    swapped: Mapping[str, str] = field(default_factory=dict[str, str])
    products: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    responses: Mapping[str, str] = field(default_factory=dict[str, str])
    between: Mapping[str, str] = field(default_factory=dict[str, str])
