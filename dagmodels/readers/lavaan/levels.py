"""The parts of a graph: one plate of units, or units in clusters.

At two levels an observed variable is the sum of a part that its cluster has, a latent node there, and a
part of its own, as in Muthen (1994). Variables that stand at one level only are whole there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagmodels.errors import ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.plate import Plate
from dagmodels.readers.lavaan.equations import Equations, deterministic, equations, rename, swap
from dagmodels.readers.lavaan.laws import Laws
from dagmodels.readers.lavaan.ordered import responses
from dagmodels.readers.lavaan.parameters import Parameters
from dagmodels.readers.lavaan.rows import Table


@dataclass(frozen=True, slots=True)
class Parts:
    """Statements about variables, and what provenance has to know of them.

    residuals : residual variances of latent responses, by ordered variable.
    """

    covariates: tuple[st.Statement, ...]
    laws: tuple[st.Statement, ...]
    saturated: Mapping[str, str] = field(default_factory=dict[str, str])
    swapped: Mapping[str, str] = field(default_factory=dict[str, str])
    parameters: tuple[st.Statement, ...] = ()
    plates: tuple[Plate, ...] = ()
    responses: Mapping[str, str] = field(default_factory=dict[str, str])
    residuals: Mapping[str, ex.Expression | None] = field(default_factory=dict[str, ex.Expression | None])
    between: Mapping[str, str] = field(default_factory=dict[str, str])


def one_level(
    table: Table, parameters: Parameters, plates: tuple[str, str], faults: list[ModelError]
) -> Parts:
    """The parts of a model of one level on its plate."""
    unit = plates[0]
    found = equations(table, parameters, 0, faults)
    if faults:
        return Parts((), ())
    latent = responses(table, parameters, found, unit, faults)
    if faults:
        return Parts((), ())
    swapped = swap(found, faults)
    body = Laws(found, deterministic(found, faults), unit).statements(faults)
    return Parts(
        _covariates(found, unit),
        (*body, *latent.laws),
        found.saturated,
        swapped,
        latent.parameters,
        latent.plates,
        latent.names,
        {name: found.by_name[response].variance for name, response in latent.names.items()},
    )


def _covariates(found: Equations, plate: str) -> tuple[st.Statement, ...]:
    return tuple(st.Covariate(n, (plate,)) for n in found.covariates)


def two_levels(
    table: Table, parameters: Parameters, plates: tuple[str, str], faults: list[ModelError]
) -> Parts:
    """The parts of a model of units in clusters."""
    unit, cluster = plates
    within, above = (equations(table, parameters, level, faults) for level in (1, 2))
    _refused(table, within, above, faults)
    if faults:
        return Parts((), ())
    both = [n for n in above.by_name if n in within.by_name]
    between = {n: parameters.free_name(f"{n}.between") for n in both}
    for name in both:
        above.by_name[name].observed = False
    rename(above, between)
    swapped = swap(above, faults) | _without_residual(within, faults)
    split = [n for n in both if within.by_name[n].observed]
    at, over = (ex.PlateIndex(unit),), (ex.PlateIndex(cluster),)
    offset: dict[str, ex.Expression] = {n: ex.Reference(between[n], over) for n in split}
    seen: dict[str, ex.Expression] = {
        n: ex.Binary("-", ex.Reference(n, at), ex.Reference(between[n], over)) for n in split
    }
    upper = Laws(above, deterministic(above, faults), cluster).statements(faults)
    lower = Laws(within, deterministic(within, faults), unit, seen, offset).statements(faults)
    covariates = (*_covariates(within, unit), *_covariates(above, cluster))
    return Parts(covariates, (*upper, *lower), swapped=swapped, between=between)


def _refused(table: Table, within: Equations, above: Equations, faults: list[ModelError]) -> None:
    for name in within.covariates:
        if name in above.covariates or name in above.by_name:
            message = f"'{name}' is exogenous at both levels."
            faults.append(ModelError(message, hint="write fixed_x=False", node=name))
    for name in above.covariates:
        if name in within.by_name:
            message = f"'{name}' is exogenous between clusters, and modelled within them."
            faults.append(ModelError(message, hint="write fixed_x=False", node=name))
    ordered = next((r for r in table.rows if r.op in ("|", "~*~")), None)
    if ordered is not None:
        message = f"'{ordered.lhs}' is ordered, in a model of two levels."
        faults.append(ModelError(message, hint="leave out one of the two", node=ordered.lhs))


def _without_residual(within: Equations, faults: list[ModelError]) -> dict[str, str]:
    """Units' variables keep a residual variance: no latent variable can carry theirs beside a cluster's."""
    for name, equation in within.by_name.items():
        if equation.observed and equation.variance is None:
            message = f"'{name}' has no residual variance within clusters."
            faults.append(ModelError(message, hint=f"write {name} ~~ {name} there", node=name))
    return {}
