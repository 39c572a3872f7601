"""Which rows are one parameter: those with one label, the user's or that of `group_equal`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from dagmodels.errors import ModelError
from dagmodels.readers.lavaan.defaults import Draft
from dagmodels.readers.lavaan.options import WHERE, Options
from dagmodels.readers.lavaan.variables import Variables

Rule = Callable[[Draft, Variables], bool]

_RULES: dict[str, Rule] = {
    "loadings": lambda r, v: r.op == "=~",
    "composite.loadings": lambda r, v: r.op == "<~",
    "intercepts": lambda r, v: r.op == "~1" and r.lhs in v.endogenous,
    "means": lambda r, v: r.op == "~1" and r.lhs in v.latent,
    "thresholds": lambda r, v: r.op == "|",
    "regressions": lambda r, v: r.op == "~",
    "residuals": lambda r, v: r.op == "~~" and r.lhs == r.rhs and r.lhs in v.endogenous,
    "residual.covariances": lambda r, v: r.op == "~~" and r.lhs != r.rhs and r.lhs in v.endogenous,
    "lv.variances": lambda r, v: r.op == "~~" and r.lhs == r.rhs and r.lhs in v.latent,
    "lv.covariances": lambda r, v: r.op == "~~" and r.lhs != r.rhs and r.lhs in v.latent,
}


def virtual_labels(
    drafts: Sequence[Draft], options: Options, blocks: Sequence[Variables], faults: list[ModelError]
) -> list[str]:
    """A label for every row: `f=~x2` (`f=~x2.g2` in the second group), that of its equals, or the user's."""
    found = [_own(d) for d in drafts]
    if options.group_equal and any(d.group > 1 for d in drafts):
        partial = _partial(options, [f for f, d in zip(found, drafts, strict=True) if d.group == 1], faults)
        rules = [_RULES[word] for word in options.group_equal]
        equal = {
            (d.lhs, d.op, d.rhs, d.level): label
            for d, label in zip(drafts, found, strict=True)
            if d.group == 1 and label not in partial and any(rule(d, blocks[0]) for rule in rules)
        }
        for i, draft in enumerate(drafts):
            found[i] = equal.get((draft.lhs, draft.op, draft.rhs, draft.level), found[i])
    return [d.label or label for d, label in zip(drafts, found, strict=True)]


def _own(draft: Draft) -> str:
    group = f".g{draft.group}" if draft.group > 1 else ""
    level = f".l{draft.level}" if draft.level > 1 else ""
    return f"{draft.lhs}{draft.op}{draft.rhs}{level}{group}"


def _partial(options: Options, known: Sequence[str], faults: list[ModelError]) -> set[str]:
    """The elements that `group_partial` releases; a covariance may be written either way."""
    found: set[str] = set()
    for word in options.group_partial:
        left, mark, right = word.partition("~~")
        other = f"{right}{mark}{left}" if mark else word
        if word in known or other in known:
            found.add(word if word in known else other)
            continue
        near = difflib.get_close_matches(word, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "write it as in the text, such as 'f=~x2' or 'x3~1'"
        faults.append(ModelError(f"group_partial names '{word}', which is not in the model.", hint=hint))
    return found


def equate(drafts: Sequence[Draft], labels: Sequence[str]) -> None:
    """Rows with one label are one parameter; where one of them is fixed all are, at its value."""
    by_label: dict[str, list[Draft]] = {}
    for draft, label in zip(drafts, labels, strict=True):
        by_label.setdefault(label, []).append(draft)
    for rows in by_label.values():
        if len(rows) == 1:
            continue
        fixed = next((r for r in rows if not r.free), None)
        if fixed is not None:
            for row in rows:
                row.free, row.value, row.fixed_by = False, fixed.value, row.fixed_by or fixed.fixed_by
            continue
        lower = [r.lower for r in rows if r.lower is not None]
        upper = [r.upper for r in rows if r.upper is not None]
        for row in rows:
            row.same = rows[0]
            row.label = row.label or f".p{rows[0].id}."
            row.lower = min(lower) if lower else None
            row.upper = max(upper) if upper else None


__all__ = ["WHERE", "equate", "virtual_labels"]
