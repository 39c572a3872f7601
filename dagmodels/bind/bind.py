"""Graph + data -> Problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dagmodels.bind.checks import check_complete
from dagmodels.bind.claims import Work
from dagmodels.bind.elements import bind_plates
from dagmodels.bind.fill import fill
from dagmodels.bind.lengths import check_lengths
from dagmodels.bind.named import check_named
from dagmodels.bind.problem import Problem
from dagmodels.bind.rowplate import RowPlate, row_plate, stated_levels, wide_nodes
from dagmodels.bind.sources import read_sources
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.dag import Dag


def bind(
    dag: Dag,
    data: Any = None,
    *,
    sizes: Mapping[str, Any] | None = None,
    levels: Problem | None = None,
    require_observed: bool = False,
    require_covariates: bool = True,
) -> Problem:
    """Bind a graph to data: find the elements of its plates and the values of its nodes.

    Parameters
    ----------
    data : one long frame (any library, a dict of columns, a list of records, a file name), or a dict
        whose entries are arrays by node name, one frame per plate by plate name, and sizes (int) or
        levels (list) of plates; these may be mixed. docs/data.md has the rules.
    sizes : elements of plates that the data do not tell, to simulate: a number, a list of levels, or
        for a nested plate a number in all (spread evenly over its parents) or one number per parent
        element.
    levels : an earlier problem of the same graph, as for prediction: its levels keep their places,
        levels that it does not have follow and are listed in `Problem.new`, and covariates of its
        elements are taken from it where the data do not give them.
    require_observed : an observed node without any data is an error (to fit).
    require_covariates : so is a covariate without data; False binds sizes alone (to check).

    Raises
    ------
    ModelErrors : all problems at once. Rows are counted from 1, a header not among them.
    """
    sources = read_sources(dag, data, sizes)
    if sources.unread:
        raise_all(sources.errors, f"the data for model {dag.name!r}")
    work = Work(dag, sources, levels, list(sources.errors))
    try:
        _find_rows(work)
        bind_plates(work)
        check_named(work)
        check_lengths(work)
        values = fill(work)
    except ModelError as error:  # a column that is neither numbers nor labels
        work.errors.append(error)
        values = {}
    if levels is not None:
        _keep_covariates(work, values, levels)
    if not sources.errors:
        check_complete(work, values, observed=require_observed, covariates=require_covariates)
    raise_all(work.errors, f"the data for model {dag.name!r}")
    return Problem(
        graph=dag,
        plates=work.plates,
        values=values,
        observed={name: ~np.isnan(v) for name, v in values.items()},
        unused=_unused(work),
        new=work.new,
        notes=tuple(work.notes),
        cells=work.cells,
    )


def _find_rows(work: Work) -> None:
    """Say for each sheet which nodes are spread over columns and what a row is."""
    known = _known_levels(work)
    for sheet in work.sources.sheets:
        wide, clashes = wide_nodes(work.dag, sheet.table.names, known)
        for first, second in clashes:
            work.complain(
                f"{sheet.table.source}: the same columns could hold {first!r} and {second!r}",
                second,
                f"name the columns by node and level, such as `{second}[...]`",
            )
        rows = row_plate(work.dag, sheet.table.names, wide=wide, tag=sheet.plate)
        if rows.because is not None:
            hint = f"add a column {rows.needs!r}, or declare a plate for the rows"
            work.complain(f"{sheet.table.source}: {rows.because}", str(rows.needs), hint)
            work.failed.add(work.dag.base(str(rows.needs)))
        work.wide.append(wide)
        work.rows.append(rows)
        work.codes.append({})
    _adopt_rows(work)


def _known_levels(work: Work) -> dict[str, set[object]]:
    """Canonical levels of plates that are known before any frame's rows are understood."""
    known = dict(stated_levels(work.dag))
    for plate in work.dag.plates:
        if plate.name in known:
            continue
        if plate.name in work.sources.listed:
            known[plate.name] = set(work.sources.listed[plate.name])
        elif plate.alias_of is None and work.old is not None and work.old.plates[plate.name].labelled:
            known[plate.name] = set(work.old.plates[plate.name].levels)
    for sheet in work.sources.sheets:
        if sheet.plate is not None and sheet.plate in sheet.table and sheet.plate not in known:
            known[sheet.plate] = set(sheet.table.column(sheet.plate).factor().labels)
    return known


def _adopt_rows(work: Work) -> None:
    """A nested plate of which nothing is told takes the rows of the one frame that has its parents."""
    sheets = work.sources.sheets
    if len(sheets) != 1 or sheets[0].plate is not None or work.rows[0].plate or work.rows[0].because:
        return
    names = sheets[0].table.names
    told = {*work.sources.sizes, *work.sources.listed}
    free = [
        p
        for p in work.dag.plates
        if p.parents and p.levels is None and p.name not in told and p.name not in names
        if all(parent in names for parent in p.parents)
        if not any(p.name in map(work.dag.base, work.dag.nodes[n].plates) for n in work.sources.arrays)
    ]
    if len(free) == 1 and all(p in work.dag.lies_in(free[0].name) for p in work.rows[0].innermost):
        work.rows[0] = RowPlate(free[0].name, work.rows[0].innermost)


def _keep_covariates(work: Work, values: dict[str, np.ndarray], old: Problem) -> None:
    """Elements met before keep the covariates they had, unless the new data say otherwise."""
    for name, node in work.dag.nodes.items():
        if node.kind != "covariate" or name not in old.values:
            continue
        if any(p not in work.plates for p in node.plates):
            continue
        shape = tuple(work.plates[p].size for p in node.plates)
        kept = all(
            work.plates[p].labelled and len(work.new.get(work.dag.base(p), ())) < work.plates[p].size
            for p in node.plates
        )
        if not kept:
            continue
        merged = np.full(shape, np.nan)
        merged[tuple(slice(0, n) for n in old.values[name].shape)] = old.values[name]
        if name in values:
            merged = np.where(np.isnan(values[name]), merged, values[name])
        values[name] = merged


def _unused(work: Work) -> tuple[str, ...]:
    taken = {*work.dag.nodes, *work.dag.plate}
    found = dict.fromkeys(work.sources.unused)
    for sheet, wide in zip(work.sources.sheets, work.wide, strict=True):
        spread = {c for w in wide.values() for c in w.columns.values()}
        found.update(dict.fromkeys(n for n in sheet.table.names if n not in taken and n not in spread))
    return tuple(found)
