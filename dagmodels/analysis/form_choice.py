"""By which numeric form a linear Gaussian graph of units is fitted: the moments of one unit, or the field.

Both give the same likelihood. Moments cost nothing a unit, and their information is exact; the field serves
every other graph, and priors of coefficients, which it integrates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagmodels.analysis.known_errors import unit_of_rows
from dagmodels.analysis.linearity import depends
from dagmodels.analysis.paths import paths
from dagmodels.analysis.roles import roles
from dagmodels.analysis.unit import NoUnit, Unit
from dagmodels.bind.problem import Problem
from dagmodels.graph.dag import Dag, remembered

FIELD_OPTIONS = ("posterior", "posterior_draws", "quadrature")
MOMENTS_OPTIONS = ("information", "statistics", "constraints", "clusters")
ASKED = "form= asks for it"
FEW = 10  # moments serve where there are at least so many units for each group and missing pattern


@dataclass(frozen=True, slots=True)
class FormChoice:
    """The form, "field" or "moments".

    why : a clause that names nodes, "" where there was nothing to choose. either : nobody asked for it, and
        the other form would do as well.
    """

    form: str
    why: str = ""
    either: bool = False


def form_choice(dag: Dag, problem: Problem | None, options: Mapping[str, Any]) -> FormChoice:
    """The form of a graph, and of its data where they are known.

    options : the user's, among them `form`, which is obeyed; others belong to one of the forms.
    """
    asked = str(options.get("form", ""))
    if asked:
        return FormChoice(asked, ASKED)
    found = unit_of_rows(dag)
    if isinstance(found, NoUnit):
        return FormChoice("field")
    if found.needed:
        return FormChoice("moments", found.needed[0])
    if told := next((o for o in FIELD_OPTIONS if options.get(o)), ""):
        return FormChoice("field", f"{told}= is an option of this form alone")
    robust = "se" if str(options.get("se", "")).startswith("robust") else ""
    if told := next((o for o in MOMENTS_OPTIONS if options.get(o) is not None), robust):
        return FormChoice("moments", f"{told}= is an option of this form alone")
    if found.inner:
        return FormChoice("field")  # mixed models, unless moments are asked for
    assigned = roles(dag, problem)
    integrated = [n for n in assigned.integrated if n not in found.nodes]
    if integrated:
        named = ", ".join(f"'{n}'" for n in integrated[:3])
        verb = "has a prior and is" if len(integrated) == 1 else "have priors and are"
        return FormChoice("field", f"{named} {verb} integrated")
    if found.errors:
        named = ", ".join(f"'{n}'" for n in dict.fromkeys(e.left.name for e in found.errors))
        told = f"{named} {'adds' if len(found.errors) == 1 else 'add'} an error of known size to each"
        return FormChoice("moments", f"{told} '{found.plate}'", either=True)
    loading = _loaded(dag)
    if not loading and all(dag.nodes[n].observed for n in found.nodes):
        return FormChoice("field", f"no '{found.plate}' has a latent node")
    if told := _lost_covariates(problem, found):
        return FormChoice("field", told)
    if loading:
        latent, term = loading
        return FormChoice("moments", f"'{latent}' is latent and has a free loading, {term}", either=True)
    return _by_patterns(dag, problem, found)


def _by_patterns(dag: Dag, problem: Problem | None, found: Unit) -> FormChoice:
    """Without loadings: by the number of groups and missing patterns of the data."""
    latent = [n for n in found.nodes if not dag.nodes[n].observed]
    named = ", ".join(f"'{n}'" for n in latent[:3])
    if problem is None:
        return FormChoice("field", f"{named} {_have(latent)} no free loading")
    groups, units = _patterns(dag, problem, found), problem.plates[found.plate].size
    several = "s" if groups > 1 else ""
    told = f"{groups} distinct group and missing pattern{several} for {units} elements of '{found.plate}'"
    if groups * FEW <= units:
        why = f"{named} {_have(latent)} no free loading, but there {_are(groups)} {told}"
        return FormChoice("moments", why, either=True)
    return FormChoice("field", f"{named} {_have(latent)} no free loading, and there {_are(groups)} {told}")


def _have(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


@remembered
def _loaded(dag: Dag) -> tuple[str, str] | None:
    """A latent node of the unit that an unknown number multiplies on its way to another, and that number."""
    found = paths(dag)
    unknown = {n.name for n in dag.nodes.values() if n.role in ("latent", "parameter")}
    inside = set(found.variables)
    for arrow in found.arrows:
        if arrow.parent in inside - found.observed and depends(arrow.coefficient, unknown - inside):
            return arrow.parent, f"'{arrow.coefficient}' of '{arrow.child}'"
    return None


def _lost_covariates(problem: Problem | None, found: Unit) -> str:
    """Why the covariates have no regular covariance in every group; "" where they have."""
    if problem is None or not all(c in problem.values for c in found.covariates) or not found.covariates:
        return ""
    plate, nodes = found.plate, problem.graph.nodes
    size = problem.plates[plate].size
    x = np.concatenate([
        np.moveaxis(problem.values[c], nodes[c].plates.index(plate), 0).reshape(size, -1)
        for c in found.covariates
    ], axis=1)  # fmt: skip
    codes = problem.rows((plate,)).codes
    group = np.zeros(len(x), dtype=np.int64)
    for p in found.groups:
        group = group * problem.plates[p].size + codes[p]
    for g in np.unique(group).tolist():
        away = x[group == g] - x[group == g].mean(axis=0)
        spread = np.sqrt((away**2).sum(axis=0))
        if not (spread > 0).all() or np.linalg.matrix_rank(away / spread, tol=1e-7) < x.shape[1]:
            named = ", ".join(f"'{c}'" for c in found.covariates[:4])
            within = " within a group" if found.groups else ""
            return f"{named} are constant or combinations of one another{within}, and have no moments"
    return ""


def _patterns(dag: Dag, problem: Problem, found: Unit) -> int:
    """Distinct groups and missing patterns among the units."""
    size = problem.plates[found.plate].size
    codes = problem.rows((found.plate,)).codes
    keys = [codes[p][:, None] for p in found.groups]
    for name in found.nodes:
        if name in problem.observed and dag.nodes[name].observed:
            axis = dag.nodes[name].plates.index(found.plate)
            there = np.moveaxis(problem.observed[name], axis, 0).reshape(size, -1)
            keys.append(np.packbits(there, axis=1).astype(np.int64))
    return len(np.unique(np.concatenate(keys, axis=1), axis=0)) if size else 0
