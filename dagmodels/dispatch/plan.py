"""From facts to a plan: every backend is asked, the policy chooses, the user's `method=` wins."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dagmodels.analysis.facts import Facts
from dagmodels.dispatch.explain import explain
from dagmodels.dispatch.policy import POLICY, Rule, rule_for
from dagmodels.dispatch.registry import backends
from dagmodels.errors import PluginWarning, shortened
from dagmodels.plugin import Backend, Plan, Verdict


def make_plan(facts: Facts, method: str = "auto", options: Mapping[str, Any] | None = None) -> Plan:
    """Choose a backend for these facts, with the reasons.

    Parameters
    ----------
    facts : of the graph, or of the graph with its data.
    method : "auto", or a backend's name, which is then used or refused with its reason.
    options : kept in the plan for the backend.

    Returns
    -------
    A plan whose `backend` is None when no backend accepts; `print(plan)` says what would be needed.
    """
    verdicts = tuple(_judge(backend, facts) for backend in backends().values())
    rule = rule_for(facts)
    if method == "auto":
        plan = _automatic(rule, verdicts)
    else:
        plan = _requested(method, rule, verdicts)
    plan = replace(
        plan,
        verdicts=verdicts,
        notes=(*plan.notes, *facts.remarks, *facts.cautions),
        options=dict(options or {}),
        model=facts.graph.name,
        method=method,
        rule=rule.name,
        text=explain,
    )
    describe = getattr(backends().get(plan.backend or ""), "describe", None)
    return plan if describe is None else describe(plan)


def _judge(backend: Backend, facts: Facts) -> Verdict:
    """One backend's answer; a judge that fails counts as a refusal and warns."""
    try:
        verdict = backend.judge(facts)
    except Exception as error:  # a plugin must not stop the others
        reason = f"its judge failed with {type(error).__name__}: {error}"
        warnings.warn(f"backend '{backend.name}': {reason}", PluginWarning, stacklevel=3)
        return Verdict(backend.name, accepts=False, because=(reason,))
    return verdict if verdict.backend == backend.name else replace(verdict, backend=backend.name)


def _automatic(rule: Rule, verdicts: tuple[Verdict, ...]) -> Plan:
    willing = {v.backend: v for v in verdicts if v.accepts and not v.by_name}
    for name in rule.prefers:
        if name in willing:
            missing = list(rule.prefers[: rule.prefers.index(name)])
            return Plan(name, _because(rule, name, missing, verdicts), notes=_notes(rule, name))
    if willing:
        best = min(willing.values(), key=_rank)
        reason = f"it accepts, and {_others(rule.prefers, verdicts)}"
        return Plan(best.backend, reason, notes=_notes(rule, best.backend))
    return Plan(None, _nobody(rule, verdicts))


def _requested(method: str, rule: Rule, verdicts: tuple[Verdict, ...]) -> Plan:
    verdict = next((v for v in verdicts if v.backend == method), None)
    if verdict is None:
        names = [v.backend for v in verdicts]
        installed = ", ".join(names) or "none"
        told = shortened(f"no backend named '{method}' is installed (installed: {installed})")
        near = nearest(method, names)
        return Plan(None, f"{told}; {near}" if near else told)
    if not verdict.accepts:
        reasons = "; ".join(verdict.because) or "it gives no reason"
        return Plan(None, f"'{method}' was asked for and refuses: {reasons}")
    return Plan(method, "method= asks for it", notes=_notes(rule, method))


def nearest(method: str, installed: Iterable[str]) -> str:
    """Which backend a misspelt name may mean, also one that the policy knows and that is not installed."""
    there = list(installed)
    known = [*there, *(n for rule in POLICY for n in rule.prefers if n not in there), "auto"]
    close = difflib.get_close_matches(method, dict.fromkeys(known), 1)
    if not close or close[0] == method:
        return ""
    lacking = "" if close[0] in (*there, "auto") else ", which is not installed either"
    return f"did you mean '{close[0]}'{lacking}?"


def _rank(verdict: Verdict) -> tuple[bool, float, str]:
    """Exact before approximate, then cheap before dear, then by name."""
    return (not verdict.exact, verdict.cost if verdict.cost is not None else float("inf"), verdict.backend)


def _notes(rule: Rule, backend: str) -> tuple[str, ...]:
    note = rule.note(backend)
    return (note,) if note else ()


def _because(rule: Rule, name: str, passed: list[str], verdicts: tuple[Verdict, ...]) -> str:
    reason = rule.because
    if passed:
        reason += f"; {_others(tuple(passed), verdicts)}, '{name}' is next"
    return reason


def _others(names: tuple[str, ...], verdicts: tuple[Verdict, ...]) -> str:
    """What kept the preferred backends from being chosen."""
    refusing = {v.backend for v in verdicts}
    said = [f"'{n}' {'refuses' if n in refusing else 'is not installed'}" for n in names]
    return ", ".join(said) if said else "no other is preferred"


def _nobody(rule: Rule, verdicts: tuple[Verdict, ...]) -> str:
    if not verdicts:
        return "no backend is installed"
    absent = [n for n in rule.prefers if n not in {v.backend for v in verdicts}]
    reason = "no installed backend can fit this model"
    if absent:
        needed = " or ".join(f"'{n}'" for n in absent)
        reason += f"; a backend {needed} would be the one for it, as {rule.because}"
    return reason
