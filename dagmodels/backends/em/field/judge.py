"""Facts -> Verdict: are all latents Gaussian and linear, so that their expected products are exact?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dagmodels.analysis.roles import roles
from dagmodels.fits.field.judge import field_verdict, names
from dagmodels.plugin import Rewrite, Verdict

if TYPE_CHECKING:
    from dagmodels.analysis.facts import Facts
    from dagmodels.plugin import Plan

EXPECT = "expect"


def judge(facts: Facts) -> Verdict:
    """The verdict with reasons that name nodes."""
    dag = facts.graph
    found = roles(dag, facts.problem)
    verdict = field_verdict("em", dag, found)
    against: list[str] = []
    if not verdict.accepts:
        return verdict
    if found.curved:
        against += [f"'{leaf}' is not Normal and linear in {why}" for leaf, why in found.curved.items()]
    if found.collapsed:
        against.append(f"{names(found.collapsed)}: integrated in closed form, and are no Gaussian latents")
    if not found.integrated:
        against.append("nothing is latent: there are no expected values to take")
    if not found.outer:
        against.append("no number is unknown but coefficients: there is nothing to maximise step by step")
    if against:
        return Verdict("em", accepts=False, because=tuple(against))
    how = "latents' expected products given the data, by elimination; then regressions and mean squares"
    return replace(
        verdict, method=f"{verdict.method}, by EM", rewrites=(*verdict.rewrites, Rewrite(EXPECT, how))
    )


def on_field(plan: Plan) -> bool:
    """Whether a plan was made here."""
    return plan.verdict is not None and any(r.name == EXPECT for r in plan.verdict.rewrites)
