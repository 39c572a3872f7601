"""Equations -> statements: Normal, deterministic and joint nodes, and the covariances of their residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from dagmodels.errors import ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.readers.lavaan.cycles import knots
from dagmodels.readers.lavaan.equations import Equation, Equations
from dagmodels.readers.lavaan.trees import Term, root, times, total


class Laws:
    """The laws of the variables of one plate.

    functions : those without residual variance.
    seen : what stands for a parent where it is not the node itself.
    offset : what is added to a node's mean.
    """

    def __init__(
        self,
        found: Equations,
        functions: set[str],
        unit: str,
        seen: Mapping[str, ex.Expression] = MappingProxyType({}),
        offset: Mapping[str, ex.Expression] = MappingProxyType({}),
    ) -> None:
        self.found, self.functions, self.unit = found, functions, unit
        self.seen, self.offset = seen, offset
        self.at = (ex.PlateIndex(unit),)
        self.slots = (st.Slot(unit),)

    def statements(self, faults: list[ModelError]) -> list[st.Statement]:
        joint: set[str] = set()
        body: list[st.Statement] = []
        pairs = dict(self.found.covariances)
        for knot in knots(self.found):
            joint.update(knot)
            if self._fits(knot, faults):
                body.append(self._simultaneous(knot))
            for pair in [p for p in pairs if p[0] in knot or p[1] in knot]:
                del pairs[pair]
        for name, equation in self.found.by_name.items():
            if name not in joint:
                body.append(self._single(equation))
        for (a, b), tree in pairs.items():
            body.append(st.Covariance(st.Head(a, self.slots), st.Head(b, self.slots), tree))
        return body

    def _single(self, equation: Equation) -> st.Statement:
        head = st.Head(equation.name, self.slots)
        mean = self._mean(equation)
        if equation.variance is None:
            whole = mean if equation.divisor is None else ex.Binary("/", mean, equation.divisor)
            return st.Deterministic(head, whole)
        law = st.Distribution("Normal", (("mu", mean), ("sigma", root(equation.variance))))
        return st.Stochastic(head, law, equation.observed)

    def _mean(self, equation: Equation, without: Sequence[str] = ()) -> ex.Expression:
        own: list[Term] = [] if equation.intercept is None else [(None, equation.intercept)]
        if equation.name in self.offset:
            own.append((None, self.offset[equation.name]))
        terms: list[Term] = [
            (c, self.seen.get(p, ex.Reference(p, self.at))) for c, p in equation.terms if p not in without
        ]
        last = isinstance(equation.intercept, ex.Unary)  # x - nu, not -nu + x
        return total(terms + own if last else own + terms)

    def _fits(self, knot: Sequence[str], faults: list[ModelError]) -> bool:
        observed = {self.found.by_name[n].observed for n in knot}
        split = next((n for n in knot if n in self.offset), None)
        names = ", ".join(knot)
        function = next((n for n in knot if n in self.functions), None)
        if function is not None:
            message = f"{names} depend on one another in a circle, and '{function}' has no residual variance."
            hint = f"give it one: {function} ~~ {function}"
        elif split is not None:
            message = f"{names} depend on one another in a circle, and '{split}' has two levels."
            hint = "break the circle at the lower level"
        elif len(observed) > 1:
            message = f"{names} depend on one another in a circle, and some are latent, others observed."
            hint = "break the circle, or let it hold variables of one kind"
        else:
            return True
        faults.append(ModelError(message, hint=hint, node=knot[0]))
        return False

    def _simultaneous(self, knot: Sequence[str]) -> st.Joint:
        equations = [self.found.by_name[n] for n in knot]
        mu = ex.Vector(tuple(self._mean(e, knot) for e in equations))
        weights = ex.Vector(tuple(self._weights(e, knot) for e in equations))
        cov = ex.Vector(tuple(self._row(e, knot) for e in equations))
        law = st.Distribution("Simultaneous", (("mu", mu), ("B", weights), ("cov", cov)))
        return st.Joint(tuple(knot), (self.unit,), law, equations[0].observed)

    def _weights(self, equation: Equation, knot: Sequence[str]) -> ex.Vector:
        found: list[ex.Expression] = []
        for name in knot:
            terms = [(c, ex.Number(1)) for c, p in equation.terms if p == name]
            found.append(total([(None, times(c, one)) for c, one in terms]) if terms else ex.Number(0))
        return ex.Vector(tuple(found))

    def _row(self, equation: Equation, knot: Sequence[str]) -> ex.Vector:
        pairs, own = self.found.covariances, equation.name
        found: list[ex.Expression] = []
        for name in knot:
            tree = equation.variance if name == own else pairs.get((own, name), pairs.get((name, own)))
            found.append(ex.Number(0) if tree is None else tree)
        return ex.Vector(tuple(found))
