"""The two-indicator rule: two indicators do, beside something that covaries with their factor (Bollen 1989,
244)."""

from __future__ import annotations

from dagmodels.analysis.identify.diagram import FIXED, FREE, Diagram
from dagmodels.analysis.identify.measurement import Settlement, own
from dagmodels.analysis.identify.verdict import IDENTIFIED, NOT, SILENT, RuleVerdict, listed

RULE = "two indicators"


def two_indicators(s: Settlement) -> RuleVerdict:
    """With z outside, s_1z / s_2z is the ratio of the loadings; a factor that covaries with nothing else has
    three moments for four unknowns. Factors with three indicators are left to their rule."""
    d = s.reduced
    lonely = tuple(f for f in d.latents if d.plain and _isolated(d, f))
    if lonely:
        told = f"{listed(lonely)}: two indicators, and nothing else that the factor covaries with"
        hint = "add an indicator or a variable that it covaries with, or make the loadings equal"
        return RuleVerdict(RULE, NOT, tuple(n for f in lonely for n in (f, *d.children(f))), told, hint)
    found = [m for m in s.found if m.outside]
    if not found:
        return RuleVerdict(RULE, SILENT, (), "no latent variable is left to it")
    nodes = tuple(dict.fromkeys(n for m in found for n in (m.latent, *m.indicators)))
    told = "; ".join(f"'{m.latent}' by {listed(m.by)}, which covary with '{m.outside}'" for m in found[:4])
    return RuleVerdict(RULE, IDENTIFIED, nodes, told)


def _isolated(d: Diagram, f: str) -> bool:
    """A factor of two observed variables that no trek joins to any other, one number setting its scale."""
    effects = d.children(f)
    if len(effects) != 2 or f in d.odd | d.exact or d.parents(f) or d.partners(f):
        return False
    if any(x not in d.observed or x in d.odd | d.exact or d.parents(x) != (f,) for x in effects):
        return False
    alone = all(not d.children(x) and d.partners(x) <= set(effects) for x in effects)
    kinds = sorted([d.variances.get(f, ""), *(d.arrows[f, x] for x in effects)])
    return alone and all(own(d, f, x) for x in effects) and kinds == [FIXED, FREE, FREE]
