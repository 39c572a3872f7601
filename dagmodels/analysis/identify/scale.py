"""Every latent variable needs a scale: a loading or a variance that is a number (Bollen 1989, 239)."""

from __future__ import annotations

from dagmodels.analysis.identify.diagram import FREE, SHARED, Diagram
from dagmodels.analysis.identify.measurement import Settlement, scaled
from dagmodels.analysis.identify.verdict import NOT, SILENT, RuleVerdict, listed

RULE = "scale of each latent"


def scale(s: Settlement) -> RuleVerdict:
    """Stretch a latent variable and shrink its loadings: nothing changes, unless a number forbids it."""
    d = s.whole
    latents = tuple(f for f in d.latents if f not in d.exact)
    if not latents:
        return RuleVerdict(RULE, SILENT, (), "no latent variables")
    loose = tuple(f for f in latents if _stretches(d, f))
    if loose:
        told = f"nothing sets the scale of {listed(loose)}"
        return RuleVerdict(RULE, NOT, loose, told, "fix one loading at 1, or the variance")
    unknown = [f for f in latents if not scaled(d, f)]
    if unknown:
        told = f"whether shared unknowns set the scale of {listed(unknown)} is left to the rank"
        return RuleVerdict(RULE, SILENT, latents, told)
    return RuleVerdict(RULE, SILENT, latents, f"{listed(latents)}: set, which is necessary")


def _stretches(d: Diagram, f: str) -> bool:
    """Whether all that a stretch would change is free to change with it."""
    if f in d.odd:
        return False
    around = [k for ends, k in d.arrows.items() if f in ends]
    around += [d.levels.get(f, FREE)]
    around += [k for pair, k in d.arcs.items() if f in pair]
    return all(k == FREE for k in (*around, d.variances.get(f, SHARED)))
