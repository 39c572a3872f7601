"""What the plan says where posterior means are asked for instead of modes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dagmodels.numerics.quadrature_lattice import MOST_DIMENSIONS
from dagmodels.plugin import Plan, Role, Verdict

NOTE = (
    "every estimate is a posterior mean, se a posterior standard deviation, the limits are quantiles; the "
    "column 'mode' holds the mode of the marginal posterior"
)
MODE = "marginal mode, not a posterior"


def described(plan: Plan) -> Plan:
    """The plan with this backend's verdict and notes in terms of a posterior, if one is asked for."""
    if not asked(plan.options):
        return plan
    verdicts = tuple(_verdict(v, plan.options) if v.backend == plan.backend else v for v in plan.verdicts)
    kept = tuple(n for n in plan.notes if not n.startswith(MODE))
    return replace(plan, verdicts=verdicts, notes=(*kept, NOTE))


def asked(options: Mapping[str, Any]) -> bool:
    """Whether the options ask for a posterior."""
    return options.get("posterior", False) is not False


def _verdict(verdict: Verdict, options: Mapping[str, Any]) -> Verdict:
    outer = [r.node for r in verdict.roles if r.role == "outer"]
    lattice = _lattice(options, outer)
    how = "a lattice" if lattice else "a central composite design"
    roles = tuple(
        Role(r.node, f"integrated over {how}", r.reason) if r.role == "outer" else r for r in verdict.roles
    )
    method = sentence(outer, lattice, approximate=not verdict.exact)
    return replace(verdict, method=method, exact=verdict.exact and lattice, roles=roles)


def _lattice(options: Mapping[str, Any], outer: list[str]) -> bool:
    """A guess by nodes: the choice itself is by coordinates, of which a node may have several."""
    return options.get("posterior") == "grid" or (
        options.get("posterior") is True and len(outer) <= MOST_DIMENSIONS
    )


def sentence(outer: list[str], lattice: bool, *, approximate: bool, points: int | None = None) -> str:
    """What every number is and how it is obtained."""
    over = ", ".join(outer)
    count = "" if points is None else f"{points} points of "
    if not outer:
        how = "in closed form"
    elif lattice:
        how = f"by quadrature over {count}a lattice of {over}"
    else:
        how = f"by {count}a central composite design over {over}"
    latents = ", latents by the simplified Laplace approximation" if approximate else ""
    return f"posterior means and quantiles {how}{latents}"
