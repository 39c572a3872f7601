"""Scales towards whose zero a joint density rises without end, so that it has no mode to begin at."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from dagmodels.analysis.unknown_scales import unknown_scales, with_unknown_scale
from dagmodels.bind.problem import Problem
from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.flat import Flat

NEAR, FAR = 10.0, 20.0  # unconstrained numbers of a scale, of either sign: the density must rise between them
RISE = 1.0  # of the log density


def neck(flat: Flat, names: Collection[str]) -> str:
    """Which of these nodes narrows with its scale, in words; empty where none does.

    Several elements x ~ Normal(m, s) at m have the density s^-n, which no prior of s takes back that is
    positive at zero; one that vanishes there fast enough does (an inverse gamma's). So it is tried.
    """
    dag, problem = flat.problem.graph, flat.problem
    for name in with_unknown_scale(dag):
        scales = {s for t in dag.nodes[name].statements for s in unknown_scales(dag, t)}
        if name in names and scales <= set(names) and _size(problem, name) > 1:
            for scale in sorted(scales & set(flat.unknown)):
                if _rises(flat, name, scale):
                    return f"the density of '{name}' rises without end where '{scale}' makes its scale small"
    return ""


def _size(problem: Problem, name: str) -> int:
    return int(np.prod(problem.shape(name), dtype=np.int64))


def _rises(flat: Flat, name: str, scale: str) -> bool:
    """Whether the density does, with the node's elements at their location, all else at zero."""
    size = _size(flat.problem, name)
    other = build_flat(flat.problem, flat.chosen, flat.forward, {name: np.ones(size, dtype=bool)})
    found = []
    for number in (-NEAR, -FAR, NEAR, FAR):
        y = np.zeros(other.size)
        for s in other.stretches:
            if s.node == scale:
                y[s.start : s.start + s.length] = number
        at = flat.unconstrain(other.constrain(y), inside=False)
        found.append(flat.log_density(at) if np.isfinite(at).all() else -np.inf)
    return found[1] > found[0] + RISE or found[3] > found[2] + RISE
