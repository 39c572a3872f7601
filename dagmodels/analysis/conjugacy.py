"""Latents that their children's laws are conjugate to: recognised here, by the rules in the families' files.

A latent is conjugate where, given everything else, each element has a kernel's law and every row of every
child refers to one element, by one parameter that is a known multiple of a power of it.  Then the latent
can be integrated in closed form, or drawn exactly.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from dagmodels.analysis.monomial import complement, monomial
from dagmodels.analysis.reach import Reach
from dagmodels.distributions import WRAPPERS, Family, family
from dagmodels.distributions._conjugate import KERNELS, Kernel
from dagmodels.distributions._family import Conjugacy, ConjugatePrior
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import expressions
from dagmodels.graph.functions import tree as trees
from dagmodels.graph.printing import expression_text
from dagmodels.graph.statement import Covariance, Deterministic, Distribution, Joint, Stochastic


@dataclass(frozen=True, slots=True)
class Child:
    """One statement of a child: its parameter is coefficient * reference**power.

    rule : position among the family's conjugacies. others : its other parameters, in order.
    swapped : the parameter is one minus the reference. text : the parameter as the model's text has it.
    """

    node: str
    statement: Stochastic
    rule: int
    coefficient: ex.Expression
    reference: ex.Reference
    others: tuple[ex.Expression, ...]
    swapped: bool
    text: str

    @property
    def conjugacy(self) -> Conjugacy:
        """The family's rule."""
        return family(self.statement.distribution.family).conjugacies[self.rule]


@dataclass(frozen=True, slots=True)
class Conjugate:
    """A latent with its children, all of one kernel."""

    name: str
    prior: str
    children: tuple[Child, ...]

    @property
    def law(self) -> ConjugatePrior:
        """What the latent's family says."""
        found = family(self.prior).conjugate_prior
        assert found is not None
        return found

    @property
    def kernel(self) -> Kernel:
        """Of the latent and its children."""
        return KERNELS[self.law.kernel]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The children's names, one a statement."""
        return tuple(c.node for c in self.children)

    @property
    def why(self) -> str:
        """The pair in words."""
        told = []
        for c in self.children:
            law = c.statement.distribution.family
            told.append(f"'{c.node}' is {law} with {c.conjugacy.argument} {c.text}")
        return f"in closed form: its prior is {self.prior}, {' and '.join(told) or 'it has no children'}"


def conjugate(reach: Reach, name: str, latents: Set[str]) -> Conjugate | str:
    """The pair, or a sentence why there is none.

    latents : unknowns that must not stand in the latent's prior or beside it in its children.
    """
    laws = [s.distribution for s in reach.dag.nodes[name].statements if isinstance(s, Stochastic)]
    families = {d.family for d in laws}
    prior = _family(next(iter(families))) if len(families) == 1 else None
    if prior is None or prior.conjugate_prior is None or len(laws) != len(reach.dag.nodes[name].statements):
        return f"no conjugate prior has the law of '{name}'"
    beside = latents | {name}
    for law in laws:
        for _, value in law.arguments:
            found = set(reach.of(value)) & beside if isinstance(value, ex.Expression) else {name}
            if found:
                return f"the prior of '{name}' depends on '{min(found)}'"
    children: list[Child] = []
    for statement in reach.dag.statements:
        if isinstance(statement, Deterministic) or name not in _unknowns(reach, statement):
            continue
        child = _child(reach, statement, name, prior.conjugate_prior, beside)
        if isinstance(child, str):
            return child
        children.append(child)
    return Conjugate(name, prior.name, tuple(children))


def _unknowns(reach: Reach, statement: object) -> set[str]:
    return {n for tree in expressions(statement) for n in reach.of(tree)}  # type: ignore[arg-type]


def _child(
    reach: Reach, statement: object, name: str, prior: ConjugatePrior, beside: Set[str]
) -> Child | str:
    """The statement as a conjugate child, or why it is none."""
    if isinstance(statement, Covariance | Joint) or not isinstance(statement, Stochastic):
        return f"'{name}' stands in a law of several nodes"
    node, law = statement.head.name, statement.distribution
    if node == name:
        return f"'{name}' depends on itself"
    if not statement.observed:
        return f"its child '{node}' is not observed"
    if node in beside:
        return f"its child '{node}' has missing values that others depend on"
    known = _family(law.family)
    rules = () if known is None else known.conjugacies
    why = f"'{node}' is {law.family}, which has no conjugate pair with {prior.conditional}"
    for position, rule in enumerate(rules):
        assert known is not None
        split = parameters_of(known, law, rule)
        if rule.kernel != prior.kernel or split is None or rule.times:
            continue
        tree, others = split
        elsewhere = {n for o in others for n in reach.of(o)} & beside
        if name in elsewhere:
            why = f"'{name}' stands in other parameters of '{node}' than {rule.argument}"
            continue
        plates_of = {n: x.plates for n, x in reach.dag.nodes.items()}
        text = expression_text(tree, plates_of[node], plates_of)
        bare = complement(reach, tree, name) if KERNELS[rule.kernel].name == "beta" else None
        found = monomial(reach, tree if bare is None else bare, name)
        if found is None or found.reference is None:
            why = f"{rule.argument} of '{node}' is no multiple of '{name}'"
            continue
        elsewhere |= set(reach.of(found.coefficient)) & beside
        if elsewhere - {name}:
            return f"'{node}' depends on '{min(elsewhere - {name})}' too"
        multiplied = found.coefficient != ex.Number(1) and not KERNELS[rule.kernel].multiplies
        if found.power * rule.power != prior.power or multiplied:
            why = f"{rule.argument} of '{node}', {text}, is not of the form that '{name}' needs"
            continue
        return Child(
            node, statement, position, found.coefficient, found.reference, others, bare is not None, text
        )
    return why


def parameters_of(
    known: Family, law: Distribution, rule: Conjugacy
) -> tuple[ex.Expression, tuple[ex.Expression, ...]] | None:
    """The rule's parameter as a tree, and the others in order; None in another parametrisation."""
    given = dict(law.arguments)
    if not all(isinstance(v, ex.Expression) for v in given.values()):
        return None
    names = rule.signature or tuple(p.name for p in known.parameters)
    if set(rule.signature) != set(given) and rule.signature:
        return None
    if not rule.signature:
        for signature, formula in known.signatures.items():
            if set(signature) == set(given):
                given = dict(zip(names, formula(trees, *(given[n] for n in signature)), strict=True))
                break
        for name, (target, formula) in known.alternatives.items():
            if name in given:
                given[target] = formula(trees, given.pop(name))
    defaults = {p.name: p.default for p in known.parameters}
    values = {n: given[n] if n in given else ex.Number(defaults.get(n) or 0.0) for n in names}
    expressed = {n: ex.as_expression(v) for n, v in values.items()}
    others = tuple(expressed[n] for n in names if n != rule.argument)
    return expressed[rule.argument], others


def _family(name: str) -> Family | None:
    return None if name in (*WRAPPERS, "Table") else family(name)


__all__ = ["Child", "Conjugate", "conjugate", "parameters_of"]
