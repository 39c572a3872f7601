"""The t-rule: no more unknowns than means and covariances (Bollen 1989, 93 and 242)."""

from __future__ import annotations

from dataclasses import dataclass

from dagmodels.analysis.identify.verdict import NOT, SILENT, RuleVerdict

RULE = "t-rule"


@dataclass(frozen=True, slots=True)
class Counts:
    """unknowns : of the model. moments : means and covariances of all groups, less those among covariates.
    levels : unknowns that stand in means alone. means : how many of the moments are means."""

    unknowns: int
    moments: int
    levels: int
    means: int
    groups: int


def counting(c: Counts) -> RuleVerdict:
    """Necessary, not sufficient: all unknowns against all moments, and those of means alone against means."""
    within = f" in {c.groups} groups" if c.groups > 1 else ""
    told = f"{c.unknowns} unknowns, {c.moments} means and covariances{within}"
    short, low = c.unknowns - c.moments, c.levels - c.means
    if short > 0:
        return RuleVerdict(RULE, NOT, (), told, f"fix {short} at least, or make some equal")
    if low > 0:
        told = f"{c.levels} unknowns stand in means alone, and there are {c.means} means{within}"
        return RuleVerdict(RULE, NOT, (), told, f"fix {low} of the intercepts, or make some equal")
    return RuleVerdict(RULE, SILENT, (), f"{told}: no more unknowns than these, which is necessary")
