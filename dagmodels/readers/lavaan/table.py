"""Statements + options -> the parameter table, row by row as lavaan's `lavaanify` makes it.

The stages are lavaan's: defaults of each block (`defaults`), the user's modifiers, labels and equal
parameters (`equality`), constraints, effect coding, numbers of the free parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.expression import Binary, Expression, Number, Reference
from dagmodels.readers.lavaan.blocks import Part, parts
from dagmodels.readers.lavaan.defaults import Draft, block_rows, other_groups
from dagmodels.readers.lavaan.equality import equate, virtual_labels
from dagmodels.readers.lavaan.modifiers import Modifiers
from dagmodels.readers.lavaan.options import Options
from dagmodels.readers.lavaan.parse import Constraint, Element, Statement
from dagmodels.readers.lavaan.rows import Row, Table
from dagmodels.readers.lavaan.tokens import WHERE
from dagmodels.readers.lavaan.variables import Variables, variables


def table(statements: Sequence[Statement], options: Options, name: str | None = None) -> Table:
    """The parameter table of a parsed text.

    Parameters
    ----------
    statements : of `parse.parse`.
    options : of one of the presets of `options`.
    name : of the text's file, for messages.

    Raises
    ------
    ModelErrors : everything that does not fit together, with its line.
    """
    faults: list[ModelError] = []
    elements = [s for s in statements if isinstance(s, Element)]
    everything = variables((e.lhs, e.op, e.rhs) for e in elements)
    blocks, groups, levels = parts(statements, options, everything, faults)
    raise_all(faults, name or WHERE)
    options = _settled(options, elements, groups, levels)
    drafts: list[Draft] = []
    names: list[Variables] = []
    for block in blocks:
        rows, roles = _block(block, options, everything, len(groups), drafts)
        drafts += rows
        names += roles
    if levels and len(names) > len(blocks):  # blocks of all groups: those of one group stand together
        drafts.sort(key=lambda d: (d.group, d.level))
        names = [names[k * len(groups) + g] for g in range(len(groups)) for k in range(len(levels))]
    _between(drafts, levels)
    for number, draft in enumerate(drafts, 1):
        draft.id = number
    _modify(drafts, len(groups), faults)
    labels = virtual_labels(drafts, options, names, faults)
    equate(drafts, labels)
    coded = _effect_coding(drafts, options)
    _numbered(drafts)
    rows = [d.row() for d in drafts]
    rows += _constraints(statements, coded, len(rows), faults)
    _check_labels(rows, faults)
    raise_all(faults, name or WHERE)
    made = replace(options, groups=groups if len(groups) > 1 else ())
    means = bool(options.meanstructure)
    notes = (*_repeats(blocks), *_in_vain(drafts, options, names[0]))
    return Table(tuple(rows), made, tuple(names), groups, levels, everything, means, notes)


def _repeats(blocks: Sequence[Part]) -> list[str]:
    """What the text says twice, by sentences; a covariance may be written either way round."""
    found: list[str] = []
    for block in blocks:
        first: dict[tuple[str, str, str], Element] = {}
        for e in block.elements:
            found += e.notes
            known = first.setdefault((e.lhs, e.op, e.rhs), e)
            if known is not e:
                lines = f"line {e.line}" if e.line == known.line else f"lines {known.line} and {e.line}"
                found.append(
                    f"'{e.lhs} {e.op} {e.rhs}' stands in the text either way round ({lines}): the first holds"
                )
    return found


def _in_vain(drafts: Sequence[Draft], options: Options, own: Variables) -> list[str]:
    """What the options ask for without effect."""
    if "residuals" not in options.group_equal or options.parameterization != "delta":
        return []
    cut = {d.lhs for d in drafts if d.op == "|"}
    named = [f"'{v}'" for v in own.observed if v in cut]
    if not named or all(d.group < 2 for d in drafts):
        return []
    those = f"{', '.join(named[:4])}{f' and {len(named) - 4} more' if len(named) > 4 else ''}"
    return [
        f"group_equal has 'residuals', which says nothing of {those}: in the delta parameterization the "
        "residual variance of an ordered variable is no parameter; parameterization='theta' has it"
    ]


def _settled(
    options: Options, elements: Sequence[Element], groups: Sequence[str], levels: Sequence[str]
) -> Options:
    """`meanstructure` as lavaan settles it."""
    wanted = (
        options.meanstructure
        or any(e.op in ("~1", "|") for e in elements)
        or bool(levels or options.ordered)
        or any(w in options.group_equal for w in ("intercepts", "means", "thresholds"))
    )
    default = len(groups) > 1 or "intercepts" in options.effect_coding
    return replace(options, meanstructure=wanted or (options.meanstructure is None and default))


def _block(
    part: Part, options: Options, everything: Variables, groups: int, before: Sequence[Draft]
) -> tuple[list[Draft], list[Variables]]:
    """The rows of a block; of all groups where the block is that of every group."""
    own = variables((e.lhs, e.op, e.rhs) for e in part.elements)
    if part.level:  # what is exogenous at one level only is modelled
        exogenous = tuple(v for v in own.exogenous if v in everything.exogenous)
        fixed = exogenous
    else:
        fixed = own.exogenous
    rows = block_rows(part, own, everything, fixed, options)
    if part.group or groups == 1:
        return rows, [own]
    found = list(rows)
    for group in range(2, groups + 1):
        found += other_groups(rows, group, own, options)
    return found, [own] * groups


def _between(drafts: Sequence[Draft], levels: Sequence[str]) -> None:
    """Within intercepts of variables that also have one between are zero."""
    if not levels:
        return
    above = {(d.group, d.lhs) for d in drafts if d.op == "~1" and d.level > 1}
    for draft in drafts:
        if draft.op == "~1" and draft.level == 1 and (draft.group, draft.lhs) in above:
            draft.fix(0.0, "level")


def _modify(drafts: Sequence[Draft], groups: int, faults: list[ModelError]) -> None:
    """The user's modifiers, one value for every group or one each."""
    by_element: dict[int, list[Draft]] = {}
    for draft in drafts:
        if draft.element is not None and draft.element.modifiers != _NONE:
            by_element.setdefault(id(draft.element), []).append(draft)
    for rows in by_element.values():
        element = rows[0].element
        assert element is not None
        made = element.modifiers
        for what in ("fixed", "start", "lower", "upper", "label"):
            values = getattr(made, what)
            if values is None:
                continue
            if len(values) == 1:
                values = values * len(rows)
            if len(values) != len(rows):
                faults.append(_wrong_number(element, len(values), len(rows), groups))
                continue
            for draft, value in zip(rows, values, strict=True):
                _MODIFY[what](draft, value)


_NONE = Modifiers()


def _fixed(draft: Draft, value: float | None) -> None:
    draft.free, draft.value, draft.fixed_by = value is None, value, ""


def _start(draft: Draft, value: float | None) -> None:
    draft.value = value


def _lower(draft: Draft, value: float | None) -> None:
    draft.lower = value


def _upper(draft: Draft, value: float | None) -> None:
    draft.upper = value


def _label(draft: Draft, value: str) -> None:
    draft.label = value


_MODIFY = {"fixed": _fixed, "start": _start, "lower": _lower, "upper": _upper, "label": _label}


def _wrong_number(element: Element, given: int, wanted: int, groups: int) -> ModelError:
    message = f"{element.lhs} {element.op} {element.rhs or '1'} has {given} values for {wanted} "
    hint = f"give one value, or c() with {wanted}" if groups > 1 else "give one value; c() is for groups"
    return ModelError(
        message + ("groups." if wanted > 1 else "group."),
        hint=hint,
        line=element.line,
        column=element.column,
        node=element.lhs,
    )


def _effect_coding(
    drafts: Sequence[Draft], options: Options
) -> list[tuple[str, str, Expression, Expression]]:
    """Mean loading one and mean intercept zero for each latent variable, as constraints over plabels."""
    found: list[tuple[str, str, Expression, Expression]] = []
    if not options.effect_coding:
        return found
    places = dict.fromkeys((d.group, d.level, d.lhs) for d in drafts if d.op == "=~")
    for group, level, latent in places:
        block = [d for d in drafts if d.group == group and d.level == level]
        loadings = [d for d in block if d.op == "=~" and d.lhs == latent]
        measured = {d.rhs for d in loadings}
        if "loadings" in options.effect_coding and all(d.free for d in loadings):
            found.append(_sums(loadings, len(loadings)))
        intercepts = [d for d in block if d.op == "~1" and d.lhs in measured]
        if "intercepts" in options.effect_coding and intercepts and all(d.free for d in intercepts):
            found.append(_sums(intercepts, 0))
            for mean in block:
                if mean.op == "~1" and mean.lhs == latent and mean.element is None:
                    mean.let("effect_coding")
    return found


def _sums(drafts: Sequence[Draft], total: int) -> tuple[str, str, Expression, Expression]:
    """`.p1. == total-.p2.-.p3.`"""
    first, *others = (f".p{d.id}." for d in drafts)
    right: Expression = Number(total)
    for other in others:
        right = Binary("-", right, Reference(other))
    return first, f"{total}" + "".join(f"-{o}" for o in others), Reference(first), right


def _numbered(drafts: Sequence[Draft]) -> None:
    """Numbers of the free parameters, by row; equal rows share that of the first."""
    count = 0
    for draft in drafts:
        if not draft.free:
            draft.number = 0
        elif draft.same is not None and draft.same is not draft:
            draft.number = draft.same.number
        else:
            count += 1
            draft.number = count


def _constraints(
    statements: Sequence[Statement],
    coded: Sequence[tuple[str, str, Expression, Expression]],
    count: int,
    faults: list[ModelError],
) -> list[Row]:
    found: list[Row] = []
    defined: set[str] = set()
    for said in statements:
        if not isinstance(said, Constraint):
            continue
        if said.op == ":=" and said.lhs in defined:
            faults.append(
                ModelError(
                    f"'{said.lhs}' is defined twice.",
                    hint="give one of them another name",
                    line=said.line,
                    column=said.column,
                )
            )
        defined.add(said.lhs if said.op == ":=" else "")
        count += 1
        label = said.lhs if said.op == ":=" else ""
        found.append(
            Row(count, said.lhs, said.op, said.rhs, 0, 0, 0, None, label, "", line=said.line,
                left=said.left, right=said.right)
        )  # fmt: skip
    for lhs, rhs, left, right in coded:
        count += 1
        found.append(
            Row(count, lhs, "==", rhs, 0, 0, 0, None, "", "", added="effect_coding", left=left, right=right)
        )
    return found


def _check_labels(rows: Sequence[Row], faults: list[ModelError]) -> None:
    """Constraints speak of labels that exist, definitions also of earlier definitions."""
    from dagmodels.graph.expression import references
    from dagmodels.readers.lavaan.expressions import CONSTANTS

    sides = [r for r in rows if r.right is not None]
    if not sides:
        return
    known = {r.label for r in rows if r.label and r.op != ":="} | {r.plabel for r in rows} - {""}
    known |= {r.lhs for r in sides if r.op == ":="} | set(CONSTANTS)
    for row in sides:
        trees = (row.right,) if row.op == ":=" else (row.left, row.right)
        for name in dict.fromkeys(r.name for t in trees if t is not None for r in references(t)):
            if name not in known:
                faults.append(_no_label(name, row, known))
    _no_circle([r for r in sides if r.op == ":="], faults)


def _no_label(name: str, row: Row, known: set[str]) -> ModelError:
    import difflib

    labels = sorted(k for k in known if not k.startswith(".p"))
    near = difflib.get_close_matches(name, labels, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"label a parameter: {name}*x"
    message = f"'{name}' in '{row.lhs} {row.op} {row.rhs}' is no label."
    return ModelError(message, hint=hint, line=row.line or None, node=name)


def _no_circle(definitions: Sequence[Row], faults: list[ModelError]) -> None:
    from dagmodels.graph.expression import references

    uses = {r.lhs: {x.name for x in references(r.right)} for r in definitions if r.right is not None}
    done: set[str] = set()
    waiting = dict(uses)
    while waiting:
        ready = [n for n, u in waiting.items() if not (u & uses.keys()) - done]
        if not ready:
            row = next(r for r in definitions if r.lhs in waiting)
            message = f"'{row.lhs}' is defined by itself."
            faults.append(ModelError(message, hint="break the circle", line=row.line, node=row.lhs))
            return
        done.update(ready)
        waiting = {n: u for n, u in waiting.items() if n not in done}
