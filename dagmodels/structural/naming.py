"""What a reading says of its rows: their names and equalities, and constraints over the graph's nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagmodels.structural.settings import Settings

if TYPE_CHECKING:
    from dagmodels.forms.moment_constraints import Constraint
    from dagmodels.readers.lavaan import Reading
    from dagmodels.results.sem.naming import Equality, SemNaming


def naming_of(reading: Reading, settings: Settings) -> SemNaming:
    """What a fit calls its numbers, in lavaan's order."""
    from dagmodels.results.sem.naming import SemNaming, SemRow

    groups = reading.table.groups or ("",)
    held = reading.provenance.rows
    rows = []
    for r, h in zip(reading.table.rows, held, strict=True):
        if r.op in ("==", "<", ">"):
            continue
        label = "" if r.label.startswith(".p") else r.label
        value = float("nan") if h.value is None else h.value
        node, group = h.node or r.lhs, max(r.group - 1, 0)
        rows.append(SemRow(r.lhs, r.op, r.rhs, group, r.free > 0, label, node, value, r.exogenous, r.level))
    return SemNaming(
        tuple(rows),
        tuple(groups),
        reading.table.latent,
        reading.table.meanstructure,
        settings.information,
        "ML",
        settings.missing,
        tuple(reading.provenance.swapped.items()),
        observed=reading.table.observed,
        exogenous=reading.table.exogenous,
        equalities=_equalities(reading),
        choice=settings.choice,
        delta=reading.table.options.parameterization == "delta",
        levels=reading.table.levels,
        between=tuple(reading.provenance.between.items()),
        predictors=tuple(b.exogenous for b in reading.table.blocks[: len(reading.table.levels)]),
    )


def _equalities(reading: Reading) -> tuple[Equality, ...]:
    """What equal labels and `==` rows say, over the rows that the fit names."""
    from dagmodels.readers.lavaan.linear import Form, form
    from dagmodels.results.sem.naming import Equality

    table = reading.table
    kept = [r for r in table.rows if r.op not in ("==", "<", ">")]
    same: dict[int, list[int]] = {}
    for i, r in enumerate(kept):
        if r.free:
            same.setdefault(r.free, []).append(i)
    found = [
        Equality(kept[first].plabel, kept[i].plabel, ((first, 1.0), (i, -1.0)))
        for first, *others in same.values()
        for i in others
    ]
    known: dict[str, Form] = {}
    for r in kept:
        if r.op != ":=":
            own = Form({r.free: 1.0}) if r.free else Form(constant=r.value or 0.0)
            known.update((n, own) for n in (r.label, r.plabel) if n and n not in known)
    for r in table.constraints:
        if r.op == "==" and r.left is not None and r.right is not None:
            left, right = form(r.left, known.get), form(r.right, known.get)
            if left is not None and right is not None and r.id not in reading.provenance.redundant:
                terms = left.plus(right, -1.0).terms
                found.append(Equality(r.lhs, r.rhs, tuple((same[n][0], c) for n, c in terms.items())))
    return tuple(found)


def constraints(reading: Reading) -> tuple[Constraint, ...]:
    """Constraints that the graph cannot say, which the fit has to keep, over its nodes."""
    from dagmodels.forms.moment_constraints import Constraint
    from dagmodels.graph import expression as ex
    from dagmodels.readers.lavaan.expressions import CONSTANTS

    held = reading.provenance.nodes

    def node(tree: ex.Expression) -> ex.Expression:
        if not isinstance(tree, ex.Reference):
            return tree
        if tree.name not in held:
            return ex.Number(CONSTANTS[tree.name])
        at = held[tree.name]
        if at.node is None:
            return ex.Number(at.value or 0.0)
        return ex.Reference(at.node, () if at.level is None else (ex.LevelIndex(at.level),))

    found = []
    for r in reading.provenance.constraints:
        assert r.left is not None
        assert r.right is not None
        high, low = (r.right, r.left) if r.op == "<" else (r.left, r.right)
        tree = ex.Binary("-", ex.rebuild(high, node), ex.rebuild(low, node))
        found.append(Constraint(tree, r.op == "==", f"{r.lhs} {r.op} {r.rhs}"))
    return tuple(found)
