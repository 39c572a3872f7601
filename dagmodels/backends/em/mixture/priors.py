"""Priors that leave a maximisation in closed form, as what they add to the sums of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.distributions import family
from dagmodels.forms.batch_jets import BatchJets
from dagmodels.forms.batches import Batches
from dagmodels.forms.cells import cells
from dagmodels.forms.lower import Lowering, NotLowered
from dagmodels.forms.sites import sites
from dagmodels.forms.tree_jets import TreeJets
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic, Distribution, Parameter
from dagmodels.numerics.tape import Recorder

Floats = NDArray[np.float64]
FLAT = ("Flat", "HalfFlat", "Uniform")


@dataclass(frozen=True, eq=False, slots=True)
class Prior:
    """Of one node, by flat place.

    kind : "none", "gamma", "beta", "dirichlet" or "normal"; "other" where nothing is in closed form.
    first, second : what it adds: alpha - 1 and beta of the kernels, alpha - 1 of a Dirichlet, precision and
        precision times mean of a Normal.
    free : which elements are unknown. lower, upper : the stated ends of its domain.
    """

    kind: str
    first: Floats
    second: Floats
    free: NDArray[np.bool_]
    lower: float = -np.inf
    upper: float = np.inf


def prior(problem: Problem, name: str) -> Prior:
    """What the statements about a node say; all that give laws must be of one kind."""
    size = int(np.prod(problem.shape(name), dtype=np.int64))
    first, second, free = np.zeros(size), np.zeros(size), np.ones(size, dtype=bool)
    kinds: set[str] = set()
    lower, upper = -np.inf, np.inf
    for share in cells(problem, name):
        if isinstance(share.statement, Deterministic):
            free[share.places] = False
        elif isinstance(share.statement, Parameter):
            domain = share.statement.domain
            kinds.add("none" if domain is None or domain.kind != "ordered" else "other")
            if domain is not None and domain.kind == "interval":
                lower, upper = float(domain.lower), float(domain.upper)
    for site in sites(problem, name):
        try:
            kind, a, b = _known(problem, site.law, site)
        except NotLowered:
            kind, a, b = "other", np.zeros(1), np.zeros(1)
        kinds.add(kind)
        first[site.places] = np.asarray(a).reshape(-1, 1) if np.ndim(a) < 2 else a
        second[site.places] = np.asarray(b).reshape(-1, 1) if np.ndim(b) < 2 else b
    kind = next(iter(kinds)) if len(kinds) == 1 else "other"
    return Prior(kind, first, second, free, lower, upper)


def _known(problem: Problem, law: Distribution, site: object) -> tuple[str, Floats, Floats]:
    if law.family in FLAT:
        return ("none" if law.family != "Uniform" else "other"), np.zeros(1), np.zeros(1)
    if law.family not in ("Normal", "Gamma", "Beta", "Dirichlet", "Exponential"):
        raise NotLowered("no closed form")
    found = family(law.family)
    recorder = Recorder()
    lowering = Lowering(problem, recorder, _unknown)
    trees = TreeJets(lowering, BatchJets(Batches(recorder)))
    values = []
    for parameter in found.parameters:
        tree = law.argument(parameter.name)
        if not isinstance(tree, ex.Expression):
            raise NotLowered("another parametrisation")
        jet = trees.vector(tree, site) if parameter.shape else trees.number(tree, site.rows)  # type: ignore[arg-type,attr-defined]
        value = recorder.constant_value(jet.value.register)
        if value is None:
            raise NotLowered("unknown numbers")
        values.append(value.reshape(-1, site.length) if parameter.shape else value)  # type: ignore[attr-defined]
    match law.family:
        case "Normal":
            return "normal", 1 / values[1] ** 2, values[0] / values[1] ** 2
        case "Gamma":
            return "gamma", values[0] - 1, values[1]
        case "Exponential":
            return "gamma", np.zeros(1), values[0]
        case "Beta":
            return "beta", values[0] - 1, values[1] - 1
        case _:
            return "dirichlet", values[0] - 1, np.zeros(1)


def _unknown(name: str) -> int:
    raise NotLowered(f"'{name}' is unknown")
