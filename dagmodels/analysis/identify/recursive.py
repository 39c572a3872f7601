"""The recursive rule: no feedback and no correlated disturbances (Bollen 1989, 95)."""

from __future__ import annotations

from dagmodels.analysis.identify.path_model import PathModel
from dagmodels.analysis.identify.verdict import IDENTIFIED, SILENT, RuleVerdict, listed

RULE = "recursive rule"


def recursive(m: PathModel) -> RuleVerdict:
    """Each equation is a regression: its disturbance is independent of its causes."""
    if m.silent:
        return RuleVerdict(RULE, SILENT, (), m.silent)
    if not m.plain:
        return RuleVerdict(RULE, SILENT, (), "some coefficients are functions of unknowns")
    ends = m.mixed.endogenous
    if not m.mixed.acyclic:
        return RuleVerdict(RULE, SILENT, (), "there is feedback")
    tied = sorted({n for pair in m.mixed.arcs if pair & set(ends) for n in pair})
    if tied:
        return RuleVerdict(RULE, SILENT, (), f"disturbances covary: {listed(tied)}")
    latents = f" ({listed(m.settled)} as if observed)" if m.settled else ""
    return RuleVerdict(
        RULE, IDENTIFIED, ends, f"each equation is a regression: {listed(ends)}{latents}{m.apart}"
    )
