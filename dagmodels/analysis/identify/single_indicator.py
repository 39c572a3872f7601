"""One indicator tells no error variance (Bollen 1989, 168): the latent's residual and the indicator's error
add up in one variance."""

from __future__ import annotations

from dagmodels.analysis.identify.diagram import FREE, Diagram
from dagmodels.analysis.identify.measurement import Settlement
from dagmodels.analysis.identify.verdict import NOT, SILENT, RuleVerdict, listed

RULE = "one indicator"


def single_indicator(s: Settlement) -> RuleVerdict:
    """Latent variables whose only effect is one observed variable, both residual variances free."""
    d = s.reduced
    found = tuple(f for f in d.latents if not d.tied and _alone(d, f))
    if not found:
        return RuleVerdict(
            RULE, SILENT, (), "no latent variable has one indicator with a free error variance"
        )
    told = f"the residual of {listed(found)} and its indicator's error are in one variance"
    hint = "fix the error variance (at 0, or known from elsewhere), or add indicators"
    return RuleVerdict(RULE, NOT, tuple(n for f in found for n in (f, *d.children(f))), told, hint)


def _alone(d: Diagram, f: str) -> bool:
    effects = d.children(f)
    if len(effects) != 1 or f in d.odd | d.exact:
        return False
    x = effects[0]
    if x not in d.observed or x in d.odd | d.exact or d.children(x):
        return False
    return d.variances.get(f) == FREE == d.variances.get(x)
