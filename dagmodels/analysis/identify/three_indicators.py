"""The three-indicator rule, of one factor or several (Bollen 1989, 247)."""

from __future__ import annotations

from dagmodels.analysis.identify.measurement import Settlement
from dagmodels.analysis.identify.verdict import IDENTIFIED, SILENT, RuleVerdict, listed

RULE = "three indicators"


def three_indicators(s: Settlement) -> RuleVerdict:
    """Loadings l satisfy l_i^2 V = s_ij s_ik / s_jk: those of three observed variables of one cause whose
    errors covary neither with each other nor with anything above it, however the factors depend on one
    another; of several factors each needs its three. Speaks of loadings, error variances and the variance."""
    found = [m for m in s.found if not m.outside]
    if not found:
        told = "no latent variable has three indicators of its own with uncorrelated errors"
        return RuleVerdict(RULE, SILENT, (), told if s.whole.latents else "no latent variables")
    nodes = tuple(dict.fromkeys(n for m in found for n in (m.latent, *m.indicators)))
    told = "; ".join(f"'{m.latent}' by {listed(m.by)}" for m in found[:4])
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return RuleVerdict(RULE, IDENTIFIED, nodes, told + more)
