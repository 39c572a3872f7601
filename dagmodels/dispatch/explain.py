"""A plan in words: which backend, why, what becomes of each unknown, what the others answered."""

from __future__ import annotations

from dagmodels.plugin import Plan, Role, Verdict

ROLE_WORDS = {
    "integrated": "integrated out",
    "profiled": "profiled (solved for, not counted)",
    "outer": "maximised",
    "sampled": "drawn",
}


def explain(plan: Plan) -> str:
    """The explanation that `print(plan)` shows; a few lines, then one line a backend."""
    lines = [_title(plan)]
    verdict = plan.verdict
    if verdict is not None:
        kind = "exact" if verdict.exact else "approximate"
        told = "" if kind in verdict.method else f" ({kind})"
        lines.append(f"  method: {verdict.method or 'not described'}{told}")
    lines.append(f"  why: {plan.reason}")
    if verdict is not None:
        lines.extend(f"       {sentence}" for sentence in verdict.because)
        lines.extend(_roles(verdict.roles))
        lines.extend(f"  rewrite: {r.name}, {r.reason}" for r in verdict.rewrites)
        if verdict.cost is not None:
            lines.append(f"  cost: about {_seconds(verdict.cost)}")
    lines.extend(f"  note: {note}" for note in plan.notes)
    if plan.options:
        lines.append("  options: " + ", ".join(f"{k}={v!r}" for k, v in plan.options.items()))
    others = [v for v in plan.verdicts if v.backend != plan.backend and (v.accepts or not v.by_name)]
    lines.extend(_answer(v) for v in others)
    return "\n".join(lines)


def _title(plan: Plan) -> str:
    model = plan.model or "this model"
    if plan.backend is None:
        return f"{model}: no backend"
    asked = "" if plan.method == "auto" else ", as asked"
    return f"{model}: fit by '{plan.backend}'{asked}"


def _roles(roles: tuple[Role, ...]) -> list[str]:
    """One line a role and reason, naming all nodes that share them."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for role in roles:
        grouped.setdefault((role.role, role.reason), []).append(role.node)
    lines: list[str] = []
    for (role, reason), nodes in grouped.items():
        why = f": {reason}" if reason else ""
        lines.append(f"  {ROLE_WORDS.get(role, role)}: {', '.join(nodes)}{why}")
    return lines


def _answer(verdict: Verdict) -> str:
    """What a backend that was not chosen answered."""
    reasons = "; ".join(verdict.because)
    if verdict.accepts:
        kind = "exactly" if verdict.exact else "approximately"
        doing = f" by {verdict.method}" if verdict.method else ""
        taking = f" in about {_seconds(verdict.cost)}" if verdict.cost is not None else ""
        asked = f" where method='{verdict.backend}' asks for it" if verdict.by_name else ""
        could = f"  '{verdict.backend}' could fit it {kind}{doing}{taking}{asked}"
        return could + (f": {reasons}" if reasons else "")
    return f"  '{verdict.backend}' cannot" + (f": {reasons}" if reasons else " (it gives no reason)")


def _seconds(cost: float) -> str:
    """A guess with one digit, in the unit that a person would use."""
    if cost < 120:
        return f"{float(f'{cost:.1g}'):g} s"
    return f"{cost / 60:.0f} min" if cost < 7200 else f"{cost / 3600:.0f} h"
