"""Conjugate latents integrated in closed form: sums over each element's children, on the tape.

With (alpha, beta) the kernel's parameters of an element's prior, A and B the sums of its children's terms
(`distributions/_conjugate`), the log of the integral is log_marginal(alpha, beta, A, B) plus what does not
depend on the element; the element's conditional law has the parameters (alpha + A, beta + B).  Terms of data
alone are summed while the tape is recorded: then no row of theirs occurs in an iteration.
Lee and Nelder (1996, J. R. Statist. Soc. B 58, 619-678) call such models conjugate hierarchical GLMs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.conjugacy import Child, Conjugate
from dagmodels.analysis.reach import Reach
from dagmodels.analysis.roles import Roles
from dagmodels.bind.problem import Rows
from dagmodels.distributions._shared import xlogy
from dagmodels.forms.cells import cells
from dagmodels.forms.coordinates import canonical
from dagmodels.forms.formulas import Functions
from dagmodels.forms.jets import Jet, Jets
from dagmodels.forms.lower import Lowering
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Distribution, Stochastic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class ClosedIntegral:
    """A latent that was integrated out.

    pair : the latent, its law and its children.
    prior, sums : registers of the kernel's parameters (one entry an element, or one for all) and of A and B.
    log_marginal : register of the log integral by element. constants : registers of what is left, by row.
    rows : each child with the number of its given cells and the size of its values.
    """

    pair: Conjugate
    prior: tuple[int, int]
    sums: tuple[int, int]
    log_marginal: int
    constants: tuple[int, ...]
    rows: tuple[tuple[str, int, float], ...]


def shapes(dag: Dag, roles: Roles) -> set[str]:
    """Unknowns in the laws of latents that are not Gaussian."""
    smooth = [n for n in roles.general if "LogNormal" not in {d.family for d in _laws(dag, n)}]
    if not roles.collapsed and not smooth:
        return set()
    reach = Reach(dag)
    return {n for name in (*roles.collapsed, *smooth) for n in reach.unknowns_of(name)}


def _laws(dag: Dag, name: str) -> list[Distribution]:
    return [s.distribution for s in dag.nodes[name].statements if isinstance(s, Stochastic)]


def collapse(lowering: Lowering, functions: Functions, pair: Conjugate) -> ClosedIntegral:
    """Record the integral over a latent."""
    return _Collapse(lowering, functions, pair).collapsed()


class _Collapse:
    """Registers of one latent; formulas run over jets without predictors, which keep known numbers known."""

    def __init__(self, lowering: Lowering, functions: Functions, pair: Conjugate) -> None:
        self.lowering = lowering
        self.problem = lowering.problem
        self.recorder = lowering.recorder
        self.jets = Jets(functions)
        self.functions = functions
        self.pair = pair
        self.size = int(np.prod(self.problem.shape(pair.name), dtype=np.int64))

    def collapsed(self) -> ClosedIntegral:
        """See `collapse`."""
        prior = self._prior()
        a, b = self.recorder.constant(np.zeros(self.size)), self.recorder.constant(np.zeros(self.size))
        constants, rows = [], []
        for child in self.pair.children:
            for share in cells(self.problem, child.node):
                if share.statement is not child.statement:
                    continue
                observed = self.problem.observed[child.node].reshape(-1)[share.places]
                at = np.flatnonzero(observed)
                if not at.size:
                    continue
                inner = Rows(at.size, {p: c[at] for p, c in share.rows.codes.items()}, share.rows.axes)
                y = self.problem.values[child.node].reshape(-1)[share.places[at]]
                more_a, more_b, constant = self._terms(child, inner, y)
                a, b = self.recorder.apply("+", a, more_a), self.recorder.apply("+", b, more_b)
                constants.append(constant)
                spread = float(np.std(y)) if child.statement.distribution.family == "Normal" else 1.0
                rows.append((child.node, at.size, spread or 1.0))
        jets = (self._jet(r) for r in (*prior, a, b))
        marginal = self.jets.jet(self.pair.kernel.log_marginal(self.jets, *jets))
        register = self._long(marginal, self.size)
        return ClosedIntegral(self.pair, prior, (a, b), register, tuple(constants), tuple(rows))

    def _prior(self) -> tuple[int, int]:
        """The kernel's parameters, one an element or one for all: functions of them alone are done once."""
        parts: Sequence[list[tuple[int, Ints]]] = ([], [])
        shares = cells(self.problem, self.pair.name)
        for share in shares:
            assert isinstance(share.statement, Stochastic)
            law = share.statement.distribution

            def argument(tree: object, rows: Rows = share.rows) -> Jet:
                assert isinstance(tree, ex.Expression)
                return self._value(tree, rows)

            values = canonical(law, argument, self.jets)  # type: ignore[arg-type]
            found = self.pair.law.parameters(self.jets, *values)
            for part, x in zip(parts, found, strict=True):
                value = self.jets.jet(x)
                register = value.value.register if len(shares) == 1 else self._long(value, share.places.size)
                part.append((register, share.places))
        alpha, beta = (p[0][0] if len(p) == 1 else self.recorder.assemble(self.size, p) for p in parts)
        return alpha, beta

    def _terms(self, child: Child, rows: Rows, y: Floats) -> tuple[int, int, int]:
        """Sums of a and b by element, and what is left by row."""
        jets = self.jets
        rule = child.conjugacy
        given = jets.jet(self.functions.traced(self.recorder.constant(y)))
        others = (self._value(tree, rows) for tree in child.others)
        a, b, c = (jets.jet(x) for x in rule.terms(jets, given, *others))
        if child.swapped:
            a, b = b, a
        if child.coefficient != ex.Number(1):
            m = self._value(child.coefficient, rows)
            m = m if rule.power == 1.0 else m**rule.power
            b = b * m
            c = c + xlogy(jets, a, m)
        owner = self.lowering.places(child.reference, rows)
        sums = (self.recorder.segment_sum(self._long(x, rows.n), owner, self.size) for x in (a, b))
        return *sums, self._long(c, rows.n)

    def _value(self, tree: ex.Expression, rows: Rows) -> Jet:
        value = self.lowering.value(tree, rows)
        register = value.register if value.key is None else self.lowering.full(value, rows)
        return self._jet(register)

    def _jet(self, register: int) -> Jet:
        return self.jets.jet(self.functions.traced(register))

    def _long(self, x: Jet, n: int) -> int:
        register = x.value.register
        if self.recorder.length(register) == n:
            return register
        return self.recorder.gather(register, np.zeros(n, dtype=np.int64))
