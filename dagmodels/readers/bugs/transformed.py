"""Data that the model itself transforms: `z[i] <- sqrt(y[i])` beside `z[i] ~ dnorm(mu, tau)`.

Where an element has a distribution, and a definition that follows from data, the definition gives its data,
as in a data block (WinBUGS user manual, "Data transformations"); JAGS asks for the data block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.blocks import computed
from dagmodels.readers.bugs.dump import Arrays
from dagmodels.readers.bugs.relations import Relation, flat
from dagmodels.readers.bugs.tokens import Source


def transformed(program: sx.Program, data: Arrays, source: Source) -> tuple[sx.Program, Arrays]:
    """The program without such definitions, and the data with what they give."""
    relations = list(flat(program.model))
    drawn = {_elements(r) for r in relations if isinstance(r.statement, sx.Draw)}
    both = [r for r in relations if isinstance(r.statement, sx.Assign) and _elements(r) in drawn]
    both = [r for r in both if r.target.name not in data and _of_data(r, data)]
    if not both:
        return program, data
    known = dict(data)
    for name in dict.fromkeys(r.target.name for r in both):
        computed(name, both, known, {}, source)
    moved = {id(r.statement) for r in both}
    return replace(program, model=_without(program.model, moved)), known


def _elements(relation: Relation) -> tuple[str, ...]:
    """Which elements a relation is about, as the text says it."""
    loops = (f"{x.variable} in {' : '.join(sx.text(e) for e in sx.parts(x))}" for x in relation.loops)
    return (sx.text(relation.target), *loops)


def _of_data(relation: Relation, data: Arrays) -> bool:
    """Whether a definition uses data, and nothing else."""
    right = [v for p in sx.parts(relation.statement) if p is not relation.target for v in sx.variables(p)]
    others = [v for e in relation.target.indices or () for v in sx.variables(e)]
    others += [v for loop in relation.loops for e in sx.parts(loop) for v in sx.variables(e)]
    names, variables = {v.name for v in (*right, *others)}, set(relation.variables)
    return names - variables <= data.keys() and bool({v.name for v in right} - variables)


def _without(statements: Sequence[sx.Statement], moved: Iterable[int]) -> tuple[sx.Statement, ...]:
    """The statements but some; loops that have none left are gone too."""
    found: list[sx.Statement] = []
    for said in statements:
        if isinstance(said, sx.Loop):
            body = _without(said.body, moved)
            found += [replace(said, body=body)] if body else []
        elif id(said) not in moved:
            found.append(said)
    return tuple(found)


__all__ = ["transformed"]
