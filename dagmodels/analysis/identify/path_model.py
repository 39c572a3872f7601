"""What is left of a diagram when measurement is settled: a path model of variables with known covariances.

The two-step rule (Bollen 1989, Structural Equations with Latent Variables, 328): latent variables that their
indicators identify count as observed. Exogenous latent variables of which nothing is measured, with two
effects, are arcs between these (latent projection); with more effects the arcs would not be free.
"""

from __future__ import annotations

from dataclasses import dataclass

from dagmodels.analysis.identify.diagram import FIXED, FREE, OTHER, Diagram
from dagmodels.analysis.identify.measurement import Settlement
from dagmodels.analysis.identify.mixed_graph import Mixed
from dagmodels.analysis.identify.verdict import listed


@dataclass(frozen=True, slots=True)
class PathModel:
    """mixed : its graph. settled : latent variables in it that their indicators identify.

    hidden : latent variables that arcs stand for; no rule speaks of their own effects.

    own : all coefficients, arcs and variances are unknowns of their own; not_own says which are not.
    plain : all coefficients are unknowns or numbers. alone : as `plain` of the diagram; only then does a rule
    deny.
    silent : why there is no such model, or nothing to ask of it; "" where there is.
    """

    mixed: Mixed
    settled: tuple[str, ...]
    hidden: tuple[str, ...]
    own: bool
    not_own: str
    plain: bool
    alone: bool
    silent: str

    @property
    def apart(self) -> str:
        """What a sentence about the model's equations leaves out."""
        return f"; the effects of {listed(self.hidden)}, hidden, are left out" if self.hidden else ""


def path_model(s: Settlement) -> PathModel:
    """Of a diagram whose measurement is settled."""
    d = s.reduced
    settled = tuple(m.latent for m in s.found if m.latent in d.observed)
    hidden = d.latents
    seen = tuple(v for v in d.variables if v in d.observed)
    arrows = {k: v for k, v in d.arrows.items() if set(k) <= set(seen)}
    arcs = {k: v for k, v in d.arcs.items() if k <= set(seen)}
    projected = [frozenset(d.children(f)) for f in hidden]
    mixed = Mixed(seen, frozenset(arrows), frozenset({*arcs, *projected}))
    exotic = [f"'{b} ~ {a}'" for (a, b), k in arrows.items() if k != FREE]
    exotic += [f"'{' ~~ '.join(sorted(pair))}'" for pair, k in arcs.items() if k != FREE]
    scales = {f for f in settled if not d.parents(f)}  # a number there is its scale
    exotic += [
        f"'{v} ~~ {v}'" for v in seen
        if v not in d.given and d.variances.get(v) not in ((FREE, FIXED) if v in scales else (FREE,))
    ]  # fmt: skip
    exotic += [f"the effects of '{f}'" for f in hidden if not _one_unknown(d, f)]
    told = f"it speaks of free coefficients of their own, not of {', '.join(exotic[:3])}" if exotic else ""
    plain = all(k != OTHER for k in [*arrows.values(), *arcs.values()])
    return PathModel(mixed, settled, hidden, not exotic, told, plain, d.plain, _silent(d, mixed, hidden))


def _one_unknown(d: Diagram, f: str) -> bool:
    """Whether the product of a hidden variable's loadings and its variance is free."""
    kinds = [*(d.arrows[f, x] for x in d.children(f)), d.variances.get(f, OTHER)]
    return FREE in kinds and all(k in (FREE, FIXED) for k in kinds)


def _silent(d: Diagram, mixed: Mixed, hidden: tuple[str, ...]) -> str:
    odd = [v for v in mixed.nodes if v in d.odd | d.exact]
    if odd:
        return f"{listed(odd)}: several variables, several laws or no residual of their own"
    for f in hidden:
        effects = d.children(f)
        if d.parents(f) or d.partners(f) or len(effects) != 2 or not set(effects) <= set(mixed.nodes):
            return f"the indicators of '{f}' do not settle its covariances by a rule"
    return "" if mixed.arrows else "no equations between variables"
