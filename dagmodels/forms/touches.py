"""Which latent elements each row of a site touches, and which rows are the same but for these."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Codes, Rows
from dagmodels.forms.lower import NotLowered, expand
from dagmodels.forms.sites import Site
from dagmodels.forms.states import StateLowering, read_at
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import distribution_expressions
from dagmodels.graph.scope import free

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST = 64  # columns of what rows read: longer ones are not compared


@dataclass(eq=False, slots=True)
class Touches:
    """What the rows of a site read.

    elements : a column a reference to a latent, (rows,): the element's number, -1 where its value is known.
    names : the node of each of these columns.
    reads : columns of all else: values of data, places of unknowns.
    alike : whether rows whose `reads` agree have the same law at the same states.
    """

    elements: list[Ints] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    reads: list[Floats] = field(default_factory=list)
    alike: bool = True


def touches(lowering: StateLowering, site: Site) -> Touches:
    """Of a site's rows, its own values included."""
    found, rows = Touches(), site.rows
    name = site.names[0]
    if name in lowering.latents.first:
        _elements(lowering, found, name, site.places[:, 0], rows)
    for tree in distribution_expressions(site.law):
        _walk(lowering, found, tree, rows, site)
    return found


def _elements(lowering: StateLowering, found: Touches, name: str, places: Codes, rows: Rows) -> None:
    known = lowering.latents.known(name)[places]
    found.elements.append(np.where(np.isnan(known), places + lowering.latents.first[name], -1))
    found.names.append(name)
    if not np.isnan(known).all():
        found.reads.append(np.where(np.isnan(known), -1.0, known))


def _walk(lowering: StateLowering, found: Touches, tree: ex.Expression, rows: Rows, site: Site) -> None:
    """Add what a tree reads on each row."""
    match tree:
        case ex.Reference(name, _) if name not in lowering.problem.graph.nodes:
            if name in rows.codes:  # a plate that stays whole is the same for every row
                found.reads.append(rows.codes[name].astype(np.float64))
        case ex.Reference():
            _reference(lowering, found, tree, rows, site)
        case ex.Reduction(_, body, plates):
            if lowering._needs(tree, rows) or lowering.depends(tree):
                _inner(lowering, found, body, rows, site, plates)
        case _:
            along = _along(lowering, tree, rows, site) if lowering.depends(tree) else ()
            if along:
                _inner(lowering, found, tree, rows, site, along)
                return
            for part in ex.children(tree):
                _walk(lowering, found, part, rows, site)


def _along(lowering: StateLowering, tree: ex.Expression, rows: Rows, site: Site) -> tuple[str, ...]:
    return free(lowering.problem.graph.plate, tree, frozenset(rows.codes), site.head)


def _inner(
    lowering: StateLowering,
    found: Touches,
    tree: ex.Expression,
    rows: Rows,
    site: Site,
    plates: tuple[str, ...],
) -> None:
    """A tree on the rows times elements of more plates: a column for each turn of a row."""
    longer, owner = expand(lowering.problem, rows, plates)
    inside = Touches()
    _walk(lowering, inside, tree, longer, site)
    order = np.argsort(owner, kind="stable")
    turn = np.empty(owner.size, dtype=np.int64)
    turn[order] = np.arange(owner.size) - np.searchsorted(owner[order], owner[order], side="left")
    turns = int(turn.max(initial=-1)) + 1
    for name, column in zip(inside.names, inside.elements, strict=True):
        for k in range(turns):
            mine = turn == k
            new = np.full(rows.n, -1)
            new[owner[mine]] = column[mine]
            found.elements.append(new)
            found.names.append(name)
    found.alike = found.alike and inside.alike and turns * len(inside.reads) <= MOST
    if found.alike:
        for column in inside.reads:
            for k in range(turns):
                mine = turn == k
                values = np.full(rows.n, np.inf)
                values[owner[mine]] = column[mine]
                found.reads.append(values)


def _reference(lowering: StateLowering, found: Touches, tree: ex.Reference, rows: Rows, site: Site) -> None:
    problem, name = lowering.problem, tree.name
    own = name in lowering.latents.first or name in lowering.dependent
    along = tuple(
        i.plate for i in tree.indices or () if isinstance(i, ex.PlateIndex) and i.plate not in rows.codes
    )
    if own and along:
        _inner(lowering, found, tree, rows, site, along)
        return
    moving = False
    for index in tree.indices or ():
        if isinstance(index, ex.NodeIndex) and lowering.depends(index.reference):
            moving = True
            _reference(lowering, found, index.reference, rows, site)
    if name in lowering.latents.first:
        if moving:
            raise NotLowered(f"'{name}' is latent, and which of its elements is meant hangs on latents")
        _elements(lowering, found, name, lowering.places(tree, rows), rows)
    elif name in lowering.dependent:
        if moving:
            raise NotLowered(f"'{name}' depends on latents, and is read at a place that hangs on latents")
        parts = list(read_at(problem, name, lowering.places(tree, rows), rows))
        if len(parts) > 1:
            raise NotLowered(f"'{name}' depends on latents and has several statements: write it as one")
        _walk(lowering, found, parts[0][0], parts[0][2], site)
    elif not moving and not along:
        places = lowering.places(tree, rows)
        data = name in problem.values and bool(problem.observed[name].all())
        column = problem.values[name].reshape(-1)[places] if data else places.astype(np.float64)
        if column.size and not (column == column[0]).all():
            found.reads.append(column)
    else:
        plates = problem.graph.nodes[name].plates
        for plate, index in zip(plates, tree.indices or (), strict=True):
            if isinstance(index, ex.PlateIndex) and index.plate in along:
                continue
            if not (isinstance(index, ex.NodeIndex) and lowering.depends(index.reference)):
                column = lowering._codes(plate, index, rows).astype(np.float64)
                if column.size and not (column == column[0]).all():
                    found.reads.append(column)
