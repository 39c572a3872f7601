"""The rows of one block: the user's own, then those that defaults add, in lavaan's order.

Source of every rule: lavaan 0.6's `lav_partable_flat`, which the comments number as it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement

from dagmodels.readers.lavaan.blocks import Part
from dagmodels.readers.lavaan.options import Options
from dagmodels.readers.lavaan.parse import Element
from dagmodels.readers.lavaan.rows import Row
from dagmodels.readers.lavaan.variables import Variables


class Draft:
    """A row while it is made."""

    __slots__ = (
        "added", "element", "exogenous", "fixed_by", "free", "group", "id", "label", "level", "lhs",
        "lower", "number", "op", "rhs", "same", "upper", "value",
    )  # fmt: skip

    def __init__(
        self, lhs: str, op: str, rhs: str, added: str = "", element: Element | None = None, level: int = 0
    ) -> None:
        self.lhs, self.op, self.rhs = lhs, op, rhs
        self.added, self.element, self.level = added, element, level
        self.group, self.id, self.number = 1, 0, 0
        self.free = True
        self.value: float | None = None
        self.label, self.fixed_by = "", ""
        self.exogenous = False
        self.lower: float | None = None
        self.upper: float | None = None
        self.same: Draft | None = None

    def fix(self, value: float | None, by: str) -> None:
        self.free, self.value, self.fixed_by = False, value, by

    def let(self, by: str) -> None:
        self.free, self.value, self.fixed_by = True, None, by

    def copy(self, group: int) -> Draft:
        made = Draft(self.lhs, self.op, self.rhs, self.added, self.element, self.level)
        made.group, made.free, made.value = group, self.free, self.value
        made.fixed_by, made.exogenous = self.fixed_by, self.exogenous
        return made

    def row(self) -> Row:
        line = self.element.line if self.element is not None else 0
        return Row(
            self.id, self.lhs, self.op, self.rhs, self.level, self.group, self.number, self.value,
            self.label, f".p{self.id}.", self.exogenous, self.added, self.fixed_by, line,
            self.lower, self.upper,
        )  # fmt: skip


def block_rows(
    part: Part, own: Variables, everything: Variables, fixed: Sequence[str], options: Options
) -> list[Draft]:
    """The rows of a block in its first group.

    own, everything : variables of the block and of the whole text.
    fixed : the block's exogenous variables.
    """
    found: dict[tuple[str, str, str], Draft] = {}
    for e in part.elements:
        key = (e.lhs, e.op, e.rhs)
        if key not in found:
            found[key] = Draft(*key, "", e, part.level)
    for lhs, op, rhs, why in _added(own, options):
        key = (lhs, op, rhs)
        if key not in found:
            found[key] = Draft(*key, why, None, part.level)
    rows = list(found.values())
    if part.group:
        for row in rows:
            row.group = part.group
    _variances(rows, own, options)
    _scales(rows, own, options)
    _orthogonal(rows, own, options)
    if options.meanstructure:
        _means(rows, own, options)
    if options.fixed_x:
        _exogenous(rows, set(fixed))
    _ordered(rows, own, options)
    return rows


def _added(own: Variables, options: Options) -> list[tuple[str, str, str, str]]:
    """lhs, op, rhs and the default of every row that could be added."""
    found: list[tuple[str, str, str, str]] = []
    levels = dict(options.ordered)
    ordinal = [v for v in own.observed if v in own.ordered or (v in levels and v in own.endogenous)]
    for name in ordinal:  # 1
        found += [(name, "|", f"t{k}", "auto_th") for k in range(1, levels.get(name, 0))]
    found += [(v, "~~", v, "auto_var") for v in (*own.endogenous, *own.latent)]  # 2a
    if options.auto_cov_lv_x:
        found += [(a, "~~", b, "auto_cov_lv_x") for a, b in combinations(own.latent_x, 2)]  # 2b
    if options.auto_cov_y:
        outcomes = (*own.latent_y, *own.observed_y)
        found += [(a, "~~", b, "auto_cov_y") for a, b in combinations(outcomes, 2)]  # 2c
    pairs = combinations_with_replacement(own.exogenous, 2)
    found += [(a, "~~", b, "fixed_x") for a, b in pairs]  # 2d
    found += [(v, "~*~", v, "auto_delta") for v in ordinal]
    if options.meanstructure:
        found += [(v, "~1", "", "meanstructure") for v in (*own.observed, *own.latent)]  # 3
    return found


def _variances(rows: Sequence[Draft], own: Variables, options: Options) -> None:
    """0a, 0b: without `auto_var` the variances that are not written are zero; those of composites always."""
    for row in rows:
        if row.element is not None:
            continue
        if row.op == "|" and not options.auto_th:
            row.fix(0.0, "auto_th")
        elif row.op == "~~" and row.lhs == row.rhs:
            if not options.auto_var:
                row.fix(0.0, "auto_var")
            elif row.lhs in own.formative:
                row.fix(0.0, "composite")


def _scales(rows: Sequence[Draft], own: Variables, options: Options) -> None:
    """1 and 2: scales of latent variables, and residuals of single indicators."""
    if options.std_lv:
        for row in rows:
            if row.op == "~~" and row.lhs == row.rhs and row.lhs in own.latent:
                row.fix(1.0, "std_lv")
    loadings = [r for r in rows if r.op == "=~"]
    by_latent: dict[str, list[Draft]] = {}
    for row in loadings:
        by_latent.setdefault(row.lhs, []).append(row)
    if options.auto_fix_first:
        for group in by_latent.values():
            group[0].fix(1.0, "auto_fix_first")
    if options.auto_var and options.auto_fix_single:
        count: dict[str, int] = {}
        for row in loadings:
            count[row.rhs] = count.get(row.rhs, 0) + 1
        lone = {g[0].rhs for g in by_latent.values() if len(g) == 1 and g[0].rhs != g[0].lhs}
        for row in rows:
            variance = row.op == "~~" and row.lhs == row.rhs and row.element is None
            if variance and row.lhs in lone and count[row.lhs] == 1:
                row.fix(0.0, "auto_fix_single")


def _orthogonal(rows: Sequence[Draft], own: Variables, options: Options) -> None:
    """3: covariances of latent variables that nobody wrote."""
    sets = {"orthogonal": own.latent, "orthogonal_y": own.latent_y, "orthogonal_x": own.latent_x}
    for name, members in sets.items():
        if getattr(options, name):
            for row in rows:
                covariance = row.op == "~~" and row.lhs != row.rhs and row.element is None
                if covariance and row.lhs in members and row.rhs in members:
                    row.fix(0.0, name)


def _means(rows: Sequence[Draft], own: Variables, options: Options) -> None:
    """4: intercepts that nobody wrote."""
    ordinal = {name for name, _ in options.ordered} | set(own.ordered)
    for row in rows:
        if row.op != "~1" or row.element is not None:
            continue
        if row.lhs in own.latent:
            if not options.int_lv_free and row.lhs not in own.products:
                row.fix(0.0, "int_lv_free")
        elif row.lhs in ordinal:
            row.fix(0.0, "ordered")
        elif not options.int_ov_free:
            row.fix(0.0, "int_ov_free")


def _exogenous(rows: Sequence[Draft], fixed: set[str]) -> None:
    """5a: moments of exogenous variables are those of the data."""
    for row in rows:
        moment = row.op == "~1" or (row.op == "~~" and row.rhs in fixed)
        if moment and row.element is None and row.lhs in fixed:
            row.fix(None, "fixed_x")
            row.exogenous = True


def _ordered(rows: Sequence[Draft], own: Variables, options: Options) -> None:
    """5b, 5c: latent responses have residual variance and scale one."""
    ordinal = {name for name, _ in options.ordered} | set(own.ordered)
    for row in rows:
        if row.element is None and row.lhs in ordinal and row.lhs == row.rhs:
            row.fix(1.0, "parameterization")


def other_groups(rows: Sequence[Draft], group: int, own: Variables, options: Options) -> list[Draft]:
    """6: the rows of a later group. What equal loadings and intercepts identify becomes free there."""
    made = [row.copy(group) for row in rows]
    equal = options.group_equal
    ordinal = {name for name, _ in options.ordered} | set(own.ordered)
    many = {r.lhs for r in rows if r.op == "|" and r.rhs == "t2"}
    markers = set(_markers(rows)) if "loadings" in equal and not options.std_lv else set()
    means = "intercepts" in equal or "thresholds" in equal
    for row in made:
        own_row = row.element is not None
        if row.op == "~1" and row.lhs in own.latent and not own_row:
            if not options.int_lv_free and means and "means" not in equal:
                row.let("group_equal")
        elif row.op == "~~" and row.lhs == row.rhs and row.lhs in own.latent and not own_row:
            if options.std_lv and "loadings" in equal and "lv.variances" not in equal:
                row.let("group_equal")
        elif row.op == "=~" and (row.lhs, row.rhs) in markers and row.value == 1.0:
            row.let("group_equal")
        if "thresholds" in equal and row.lhs in ordinal and row.lhs in many and row.lhs == row.rhs:
            theta = options.parameterization == "theta"
            if (row.op == "~~" and theta) or (row.op == "~*~" and options.auto_delta and not theta):
                row.let("group_equal")
    return made


def _markers(rows: Sequence[Draft]) -> list[tuple[str, str]]:
    """Loadings fixed at one, the first of each latent variable."""
    found: dict[str, str] = {}
    for row in rows:
        if row.op == "=~" and not row.free and row.value == 1.0:
            found.setdefault(row.lhs, row.rhs)
    return list(found.items())
