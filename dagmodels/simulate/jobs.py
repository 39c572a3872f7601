"""What one statement draws: its rows, and where each row's numbers go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem, Rows
from dagmodels.errors import ModelError
from dagmodels.forms.cells import Cells
from dagmodels.graph.dag import Dag, expressions
from dagmodels.graph.expression import references
from dagmodels.graph.scope import bound, event_plates, head_plates
from dagmodels.graph.statement import Deterministic, Joint, Statement, Stochastic
from dagmodels.simulate.arguments import Target

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """A statement's share of the elements of its nodes.

    names : the nodes; several for a joint statement.
    rows : one a draw, with the elements of the plates that are bound.
    places : flat places in the nodes' arrays, (rows, entries of one draw); of a joint statement the
        same for every node.
    target : what one draw is.
    reads : nodes in the statement's expressions.
    """

    statement: Statement
    names: tuple[str, ...]
    head: tuple[str, ...]
    rows: Rows
    places: Ints
    target: Target
    reads: frozenset[str]

    def at(self, chosen: Ints | None) -> Job:
        """The job at some of its rows only."""
        if chosen is None:
            return self
        rows = Rows(chosen.size, {p: c[chosen] for p, c in self.rows.codes.items()})
        return Job(self.statement, self.names, self.head, rows, self.places[chosen], self.target, self.reads)


def jobs(problem: Problem, shares: Mapping[str, tuple[Cells, ...]]) -> dict[int, Job]:
    """By the statement's number in the graph; statements that give no element have none.

    Raises `ModelError` where a vector is given only in part by its statement.
    """
    found: dict[int, Job] = {}
    number = {id(s): i for i, s in enumerate(problem.graph.statements)}
    for name, parts in shares.items():
        for share in parts:
            statement = share.statement
            if isinstance(statement, Joint):
                if len(parts) > 1:
                    raise _partial(name, statement)
                if share.component:
                    continue
            elif not isinstance(statement, Stochastic | Deterministic):
                continue
            found[number[id(statement)]] = _job(problem, name, share)
    return found


def _job(problem: Problem, name: str, share: Cells) -> Job:
    dag, statement = problem.graph, share.statement
    whole = event_plates(statement)
    sizes = tuple(problem.plates[p].size for p in whole)
    entries = int(np.prod(sizes, dtype=np.int64))
    places = share.places
    if entries > 1:
        if places.size % entries or not _blocks(places, entries):
            raise _partial(name, statement)
        places = places.reshape(-1, entries)
    else:
        places = places.reshape(-1, 1)
    kept = bound(dag.plate, statement)
    codes = {p: c[::entries] for p, c in share.rows.codes.items() if p in kept}
    names = statement.names if isinstance(statement, Joint) else (name,)
    return Job(
        statement=statement,
        names=names,
        head=head_plates(statement),
        rows=Rows(places.shape[0], codes),
        places=places,
        target=_target(problem, statement, whole, sizes),
        reads=_reads(dag, statement),
    )


def _target(problem: Problem, statement: Statement, whole: tuple[str, ...], sizes: tuple[int, ...]) -> Target:
    values_in = getattr(statement, "values_in", None)
    return Target(
        event=whole,
        length=len(statement.names) if isinstance(statement, Joint) else 0,
        states=problem.plates[values_in].size if values_in is not None else 0,
        sizes=sizes,
    )


def _reads(dag: Dag, statement: Statement) -> frozenset[str]:
    trees = expressions(statement)
    return frozenset(r.name for tree in trees for r in references(tree) if r.name in dag.nodes)


def _blocks(places: Ints, entries: int) -> bool:
    """Whether the places are whole vectors, one after the other."""
    rows = places.reshape(-1, entries)
    return bool((rows[:, 0] % entries == 0).all() and (rows == rows[:, :1] + np.arange(entries)).all())


def _partial(name: str, statement: Statement) -> ModelError:
    place = getattr(statement, "place", None)
    line, column = (place.line, place.column) if place else (None, None)
    return ModelError(
        f"another statement gives some entries of the vectors of '{name}'; the rest has no law of its own",
        node=name,
        line=line,
        column=column,
        hint="let one statement give whole vectors",
    )
