"""Elements of discrete nodes that a definition gives, `z[i,f[i]] <- 1` beside `z[i,t] ~ dbern(...)`.

They have laws that leave no doubt, so that the node has one of finitely many values throughout and can be
summed out. Their densities are 1.
"""

from __future__ import annotations

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.plate import Place
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.covariates import made
from dagmodels.readers.bugs.indices import level
from dagmodels.readers.bugs.numbers import NotFixed, along
from dagmodels.readers.bugs.relations import Relation
from dagmodels.readers.bugs.scope import Made, Parts, Scope
from dagmodels.readers.bugs.spaces import Space


def has_states(parts: Parts, name: str) -> bool:
    """Whether a node is drawn by `dbern` or `dcat`."""
    return parts.names.drawn(name, "dbern") or parts.names.drawn(name, "dcat")


def defined(parts: Parts, relation: Relation, scope: Scope) -> ex.Expression | None:
    """The value of a definition beside such laws, as a number or element; None where it is not known."""
    statement, name = relation.statement, relation.target.name
    if not isinstance(statement, sx.Assign) or statement.link is not None or not has_states(parts, name):
        return None
    if not _known(parts, relation, statement.value):
        return None
    space = parts.spaces.values(name) if parts.names.drawn(name, "dcat") else None
    used = {v.name for v in sx.variables(statement.value)} & set(relation.variables)
    if space is None:
        return (
            None if used or not isinstance(statement.value, sx.Num) else ex.Number(int(statement.value.value))
        )
    if used or not scope.names.fixed(statement.value):
        return made(scope, statement.value, space)
    return ex.Number(level(scope, statement.value, space, sx.Var(space.name)))


def _known(parts: Parts, relation: Relation, value: sx.Expr) -> bool:
    """Whether an expression follows from data, those of nodes with a law included."""
    names = parts.names
    if names.trial:
        return names.fixed(value, relation.variables)
    try:
        return not np.isnan(along(value, names.known, relation.rows, relation.n)).any()
    except NotFixed:
        return False


def certain(
    parts: Parts, head: st.Head, value: ex.Expression, observed: bool, place: Place | None = None
) -> st.Stochastic:
    """The law of elements that have this value."""
    space = parts.spaces.values(head.name) if parts.names.drawn(head.name, "dcat") else None
    if space is None:
        law = st.Distribution("Bernoulli", (("p", value),))
        return st.Stochastic(head, law, observed, None, place=place)
    taken, k = {s.plate for s in head.slots}, 0
    while space.alias(k) in taken:
        k += 1
    chance = ex.Binary("==", value, ex.Reference(space.alias(k), ()))
    law = st.Distribution("Categorical", (("p", chance),))
    return st.Stochastic(head, law, observed, space.name, place=place)


def of_data(parts: Parts, name: str, shown: str, found: Made) -> ex.Reference:
    """A covariate with data of a node: elements of its values' set where it has one."""
    space: Space | None = parts.spaces.values(name) if parts.names.drawn(name, "dcat") else None
    parts.made[shown] = Made(found.spaces, found.plates, found.array, space)
    return ex.Reference(shown, tuple(ex.PlateIndex(p) for p in found.plates))


__all__ = ["certain", "defined", "has_states", "of_data"]
