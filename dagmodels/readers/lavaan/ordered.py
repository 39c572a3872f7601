"""Ordered variables: a Normal latent response behind each, and the thresholds it passes.

`u*` has the law; u is the level between whose thresholds u* falls. In the theta parameterization the
residual variance of u* is given; in delta its whole variance is, 1/delta**2, so that the residual
variance is what the model leaves of it (Muthen 1984; given covariates, as lavaan has it).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from dagmodels.errors import ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.plate import Plate
from dagmodels.readers.lavaan.equations import Equations, rename
from dagmodels.readers.lavaan.parameters import Parameters
from dagmodels.readers.lavaan.rows import Table
from dagmodels.readers.lavaan.trees import times, total


@dataclass(frozen=True, slots=True)
class Responses:
    """What ordered variables add to a graph.

    names : the latent response of each.
    plates : of their levels.
    parameters : residual variances and what they are made of.
    laws : of the ordered variables.
    """

    names: Mapping[str, str] = field(default_factory=dict[str, str])
    plates: tuple[Plate, ...] = ()
    parameters: tuple[st.Statement, ...] = ()
    laws: tuple[st.Statement, ...] = ()


def responses(
    table: Table, parameters: Parameters, found: Equations, unit: str, faults: list[ModelError]
) -> Responses:
    """Puts latent responses in the place of ordered variables in the equations."""
    marked = {r.lhs for r in table.rows if r.op in ("|", "~*~")}
    ordinal = [v for v, e in found.by_name.items() if v in marked and e.observed]
    for name in sorted(marked - set(ordinal)):
        kind = "latent" if name in found.by_name else "exogenous"
        hint = "thresholds are of observed variables that the model explains"
        faults.append(ModelError(f"'{name}' has thresholds or a scale, but is {kind}.", hint=hint, node=name))
    if not ordinal:
        return Responses()
    delta = table.options.parameterization == "delta"
    thresholds = {v: _thresholds(v, table, parameters) for v in ordinal}
    for name in ordinal:
        if not thresholds[name]:
            message = f"How many levels '{name}' has is not known."
            hint = f"write {name} | t1 + t2 + ..., or ordered={{'{name}': 3}}"
            faults.append(ModelError(message, hint=hint, node=name))
        own = [r for r in table.rows if r.key == (name, "~~", name)]
        if delta and any(r.free or r.value != 1.0 for r in own):
            message = f"The residual variance of '{name}' is no parameter in the delta parameterization."
            hint = f'leave {name} ~~ {name} out, or write parameterization="theta"'
            faults.append(ModelError(message, hint=hint, line=own[0].line or None, node=name))
    names = {v: parameters.free_name(f"{v}*") for v in ordinal}
    levels = {v: parameters.free_name(f"{v}_level") for v in ordinal}
    rename(found, names)
    for response in names.values():
        found.by_name[response].observed = False
    made: tuple[st.Statement, ...] = ()
    if delta:
        made = _Scales(found, parameters, names).statements(faults)
    laws = tuple(_law(v, names[v], levels[v], thresholds[v], unit) for v in ordinal if thresholds[v])
    plates = tuple(Plate(levels[v], ordered=True) for v in ordinal)
    return Responses(names, plates, made, laws)


def _thresholds(name: str, table: Table, parameters: Parameters) -> list[ex.Expression]:
    rows = [r for r in table.rows if r.op == "|" and r.lhs == name and r.group == 1]
    trees = (parameters.tree((name, "|", r.rhs, r.level)) for r in sorted(rows, key=lambda r: int(r.rhs[1:])))
    return [ex.Number(0) if t is None else t for t in trees]


def _law(name: str, response: str, level: str, cuts: list[ex.Expression], unit: str) -> st.Stochastic:
    """One for the level that the response falls in, zero for the others."""
    at = ex.Reference(response, (ex.PlateIndex(unit),))
    chances: list[ex.Expression] = [ex.Binary("<=", at, cuts[0])]
    for low, high in itertools.pairwise(cuts):
        chances.append(ex.Binary("*", ex.Binary("<", low, at), ex.Binary("<=", at, high)))
    chances.append(ex.Binary(">", at, cuts[-1]))
    law = st.Distribution("Categorical", (("p", ex.Vector(tuple(chances))),))
    return st.Stochastic(st.Head(name, (st.Slot(unit),)), law, True, level)


class _Scales:
    """Residual variances of latent responses whose whole variance is given (delta)."""

    def __init__(self, found: Equations, parameters: Parameters, names: Mapping[str, str]) -> None:
        self.found, self.parameters = found, parameters
        self.own = {response: name for name, response in names.items()}
        self.order = _order(found)
        self.made: list[st.Statement] = []
        self.known: dict[tuple[str, str], ex.Expression | None] = {}

    def statements(self, faults: list[ModelError]) -> tuple[st.Statement, ...]:
        if self.order is None:
            message = "Variables that depend on one another in a circle have no delta parameterization here."
            faults.append(ModelError(message, hint='write parameterization="theta"'))
            return ()
        for response, name in sorted(self.own.items(), key=lambda item: self.place(item[0])):
            whole = self._whole(name)
            explained = self._explained(response)
            tree = whole if explained is None else ex.Binary("-", whole, explained)
            reference = self._node(f"{name}~~{name}", tree)
            self.found.by_name[response].variance = reference
            self.known[response, response] = whole
        return tuple(self.made)

    def place(self, name: str) -> int:
        assert self.order is not None
        return self.order[name]

    def _whole(self, name: str) -> ex.Expression:
        scale = self.parameters.tree((name, "~*~", name, 0))
        if scale is None or scale == ex.Number(1):
            return ex.Number(1)
        return ex.Binary("/", ex.Number(1), ex.Binary("**", scale, ex.Number(2)))

    def _node(self, wanted: str, tree: ex.Expression) -> ex.Expression:
        """A deterministic node for a tree that is more than a name; on the groups' plate where need be."""
        if isinstance(tree, ex.Reference | ex.Number):
            return tree
        group = self.parameters.group
        varies = any(ex.PlateIndex(group) in (r.indices or ()) for r in ex.references(tree))
        name = self.parameters.free_name(wanted)
        head = st.Head(name, (st.Slot(group),) if varies else ())
        self.made.append(st.Deterministic(head, tree))
        return ex.Reference(name, (ex.PlateIndex(group),) if varies else ())

    def _explained(self, name: str) -> ex.Expression | None:
        """The variance of a mean, and twice its covariance with the residual."""
        terms = [t for t in self.found.by_name[name].terms if t[1] in self.found.by_name]
        parts: list[ex.Expression] = []
        for i, (a, p) in enumerate(terms):
            for b, q in terms[i:]:
                inner = self.covariance(p, q)
                if inner is not None:
                    weight = _square(a) if p == q else _product(ex.Number(2), _product(a, b))
                    parts.append(times(weight, inner))
            crossed = self._residual(name, p)
            if crossed is not None:
                parts.append(times(_product(ex.Number(2), a), crossed))
        return total([(None, p) for p in parts]) if parts else None

    def covariance(self, a: str, b: str) -> ex.Expression | None:
        """The whole covariance of two variables given the covariates; None for zero."""
        if self.place(a) < self.place(b):
            a, b = b, a
        if (a, b) not in self.known:
            self.known[a, b] = self._variance(a) if a == b else self._covariance(a, b)
        return self.known[a, b]

    def _variance(self, name: str) -> ex.Expression | None:
        own, explained = self.found.by_name[name].variance, self._explained(name)
        if explained is None or own is None:
            tree = own if explained is None else explained
        else:
            tree = ex.Binary("+", own, explained)
        return None if tree is None else self._node(f"var({name})", tree)

    def _covariance(self, a: str, b: str) -> ex.Expression | None:
        """a comes after b: through a's parents, and a's residual."""
        parts: list[ex.Expression] = []
        for c, p in self.found.by_name[a].terms:
            if p in self.found.by_name:
                inner = self.covariance(p, b)
                if inner is not None:
                    parts.append(times(c, inner))
        crossed = self._residual(a, b)
        parts += [] if crossed is None else [crossed]
        return self._node(f"cov({a}, {b})", total([(None, p) for p in parts])) if parts else None

    def _residual(self, a: str, b: str) -> ex.Expression | None:
        """Covariance of a's residual with an earlier variable."""
        pairs = self.found.covariances
        own = pairs.get((a, b), pairs.get((b, a)))
        parts = [] if own is None else [own]
        for c, p in self.found.by_name[b].terms:
            if p in self.found.by_name:
                inner = self._residual(a, p)
                parts += [] if inner is None else [times(c, inner)]
        return total([(None, p) for p in parts]) if parts else None


def _product(a: ex.Expression | None, b: ex.Expression | None) -> ex.Expression | None:
    """A product of coefficients; None stands for one."""
    return b if a is None else a if b is None else times(a, b)


def _square(a: ex.Expression | None) -> ex.Expression | None:
    return None if a is None or a == ex.Number(1) else ex.Binary("**", a, ex.Number(2))


def _order(found: Equations) -> dict[str, int] | None:
    """Places of the variables, parents first; None where there is a circle."""
    waiting = {n: {p for _, p in e.terms if p in found.by_name} for n, e in found.by_name.items()}
    order: dict[str, int] = {}
    while waiting:
        ready = [n for n, parents in waiting.items() if not parents - order.keys()]
        if not ready:
            return None
        for name in ready:
            order[name] = len(order)
            del waiting[name]
    return order


__all__ = ["Responses", "responses"]
