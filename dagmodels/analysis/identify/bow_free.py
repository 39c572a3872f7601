"""The bow-free rule (Brito and Pearl 2002, Struct. Equ. Model. 9:459): without feedback, and without a pair
that both an arrow and an arc join, all coefficients are identified almost everywhere."""

from __future__ import annotations

from dagmodels.analysis.identify.path_model import PathModel
from dagmodels.analysis.identify.verdict import IDENTIFIED, SILENT, RuleVerdict, listed

RULE = "bow-free rule"


def bow_free(m: PathModel) -> RuleVerdict:
    """Of a path model whose coefficients are free."""
    if m.silent:
        return RuleVerdict(RULE, SILENT, (), m.silent)
    if not m.own:
        return RuleVerdict(RULE, SILENT, (), m.not_own)
    if not m.mixed.acyclic:
        return RuleVerdict(RULE, SILENT, (), "there is feedback")
    bows = sorted(a for a in m.mixed.arrows if frozenset(a) in m.mixed.arcs)
    if bows:
        told = ", ".join(f"'{b} ~ {a}'" for a, b in bows[:4])
        return RuleVerdict(RULE, SILENT, tuple(b for _, b in bows), f"an arc beside the arrow: {told}")
    ends = m.mixed.endogenous
    return RuleVerdict(RULE, IDENTIFIED, ends, f"no arrow has an arc beside it: {listed(ends)}{m.apart}")
