"""Ancestral simulation: bind sizes and covariates, read the values given, draw parents before children."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, ModelErrors, raise_all
from dagmodels.forms.cells import Cells, cells
from dagmodels.graph.dag import Dag
from dagmodels.simulate.draw import Prepared, draw_all
from dagmodels.simulate.given import names_faults, read_values, without_value
from dagmodels.simulate.jobs import jobs
from dagmodels.simulate.order import residual_groups, schedule
from dagmodels.simulate.residual import ties
from dagmodels.simulate.simulated import Simulated, assemble
from dagmodels.simulate.tables import read_table, table_keys


def simulate(
    dag: Dag,
    data: Any = None,
    values: Mapping[str, Any] | None = None,
    sizes: Mapping[str, Any] | None = None,
    draws: int = 1,
    seed: int | np.random.SeedSequence = 1,
) -> Simulated | list[Simulated]:
    """Data drawn from a model, as frames that `fit` takes.

    Parameters
    ----------
    data : covariates, and levels of plates, as `bind` takes them. Observed nodes among them are drawn
        anew; where their data are missing the simulated ones are withheld too.
    values : by node: a number for all its elements, an array in the order of its plates, or {label:
        number} for some; labels for a discrete node. A node that is given is set, whatever its law says.
        Unknowns left out are drawn from their priors, parameters take their `start`; an unknown table
        may be given as `Table(x)`.
    sizes : for plates that neither the model nor the data tell: a number of elements, or levels; of a
        nested plate all in all, spread evenly, or one number for each parent element.
    draws : how many data sets, independent of one another.
    seed : of all random numbers: the same seed, the same numbers, whatever the order of the statements.

    Returns
    -------
    One data set, or a list of them where `draws` is more than one; the first of several is the one
    that `draws=1` gives.

    Raises
    ------
    ModelErrors : unknown names, covariates without data, unknowns without value or prior, numbers outside
        their domains; all that can be told at once.
    """
    where = f"the simulation of model '{dag.name}'"
    values = dict(values or {})
    errors = [*_call_faults(draws, seed), *names_faults(dag, values)]
    try:
        problem = bind(dag, data, sizes=sizes, require_covariates=False)
    except ModelErrors as found:
        raise_all([*errors, *(e for e in found.exceptions if isinstance(e, ModelError))], where)
        raise
    prepared = prepare(problem, values, errors)
    raise_all(errors, where)
    assert prepared is not None
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    streams = [
        np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, number)) for number in range(draws)
    ]
    found = [assemble(problem, *draw_all(prepared, stream)) for stream in streams]
    return found[0] if draws == 1 else found


def _call_faults(draws: object, seed: object) -> list[ModelError]:
    found: list[ModelError] = []
    if not _whole(draws) or draws < 1:  # type: ignore[operator]
        found.append(ModelError(f"draws is {draws!r}", hint="give a whole number from 1"))
    if not isinstance(seed, np.random.SeedSequence) and (not _whole(seed) or seed < 0):  # type: ignore[operator]
        found.append(ModelError(f"seed is {seed!r}", hint="give a whole number from 0"))
    return found


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def prepare(problem: Problem, values: Mapping[str, Any], errors: list[ModelError]) -> Prepared | None:
    """All that the draws share; None after an error."""
    dag = problem.graph
    errors.extend(_absent_covariates(problem))
    shares: dict[str, tuple[Cells, ...]] = {}
    for name, node in dag.nodes.items():
        if node.kind in ("covariate", "constant"):
            continue
        try:
            shares[name] = cells(problem, name)
        except ModelErrors as found:
            errors.extend(e for e in found.exceptions if isinstance(e, ModelError))
    given, wrong = read_values(problem, shares, values)
    tables = {}
    for key, statement in table_keys(dag).items():
        if key in values:
            try:
                tables[key] = read_table(problem, key, statement, values[key])
            except ModelError as error:
                wrong.append(error)
    errors.extend(wrong)
    errors.extend(
        without_value(problem, {n: s for n, s in shares.items() if n not in values or n in given}, given)
    )
    if errors:
        return None
    try:
        groups = residual_groups(dag)
        return Prepared(
            problem=problem,
            jobs=jobs(problem, shares),
            groups=groups,
            ties=tuple(ties(problem, g) for g in groups),
            steps=schedule(dag, groups),
            given=given,
            tables=tables,
        )
    except ModelError as error:
        errors.append(error)
        return None


def _absent_covariates(problem: Problem) -> list[ModelError]:
    """One problem that names every covariate without data."""
    absent = [
        n for n, node in problem.graph.nodes.items() if node.kind == "covariate" and n not in problem.values
    ]
    if not absent:
        return []
    are = "the covariate is" if len(absent) == 1 else "the covariates are"
    shown = ", ".join(f'"{n}": ...' for n in absent)
    told = ", ".join(f"'{n}'" for n in absent)
    message = f"{told}: {are} without data, and covariates are not drawn"
    return [ModelError(message, node=absent[0], hint=f"give data={{{shown}}}, or a frame with these columns")]
