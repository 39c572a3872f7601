"""Gamma, inverse gamma and beta full conditionals: the conjugate pairs that the families' files state.

With r = c u**p of each row, "gamma" children have log densities a log r - b r: given them u**q has the law
Gamma(alpha + sum a, beta + sum b c) where its prior is Gamma(alpha, beta) and p times the power of the
family's rule is q. "Beta" children have a log r + b log(1 - r), with r = u or 1 - u.
"""

from __future__ import annotations

import math
from typing import Any

from dagmodels.analysis.conjugacy import parameters_of
from dagmodels.distributions import WRAPPERS, family
from dagmodels.distributions._family import Conjugacy, ConjugatePrior
from dagmodels.errors import ModelError
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.power import Powers, exponent
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.target import Target, Touched
from dagmodels.forms.lower import NotLowered
from dagmodels.graph import expression as ex
from dagmodels.graph.printing import expression_text
from dagmodels.graph.statement import Distribution, Stochastic

name = "conjugate"


def recognise(board: Board, target: Target) -> Update | str:
    """See the module."""
    statement = target.statement
    if target.units.shape[1] != 1 or not isinstance(statement, Stochastic):
        return f"'{target.node}' has no conjugate prior"
    law = statement.distribution
    prior = None if law.family in (*WRAPPERS, "Table") else family(law.family).conjugate_prior
    if _is_whole(law):
        prior = family("Beta").conjugate_prior
    if prior is None:
        return f"{law.family} is no conjugate prior of numbers"
    powers = Powers(board.influence, target.slots)
    firsts: list[int] = []
    seconds: list[int] = []
    told: list[str] = []
    for touched in target.touched:
        site = touched.factor.site
        if site.names == (target.node,) and site.statement == statement:
            found = _prior(board, touched, target, prior)
        else:
            found = _child(board, touched, target, prior, powers)
        if isinstance(found, str):
            return found
        firsts.append(found[0])
        seconds.append(found[1])
        if found[2]:
            told.append(found[2])
    children = " and ".join(told) if told else "nothing depends on it"
    why = f"{prior.conditional}: conjugate prior {law.family}, {children}"
    registers = (board.added(firsts), board.added(seconds))
    count = len(target.slots)
    if prior.kernel == "beta":
        return Update(target.node, target.slots, "beta", count, registers, why)
    draw = {1.0: "gamma", -1.0: "inverse gamma"}[prior.power]
    return Update(target.node, target.slots, draw, count, registers, why)


def _is_whole(law: Distribution) -> bool:
    """Uniform between 0 and 1, which is Beta(1, 1)."""
    given = {"lower": ex.Number(0), "upper": ex.Number(1)} | dict(law.arguments)
    return law.family == "Uniform" and given == {"lower": ex.Number(0), "upper": ex.Number(1)}


def _prior(
    board: Board, touched: Touched, target: Target, prior: ConjugatePrior
) -> tuple[int, int, str] | str:
    """The kernel's two parameters of the elements' own law."""
    if _is_whole(touched.factor.site.law):
        one = board.recorder.constant(1.0)
        return one, one, ""
    _, arguments = board.builder.law_of(touched.factor.site)
    jets = board.builder.jets
    pair = []
    for value in prior.parameters(jets, *arguments):
        register = jets.jet(value).value.register
        if board.influence.depends(register, target.slots):
            return f"the prior of '{target.node}' depends on itself"
        pair.append(board.by_owner(register, touched, len(target.units)))
    return pair[0], pair[1], ""


def _child(
    board: Board, touched: Touched, target: Target, prior: ConjugatePrior, powers: Powers
) -> tuple[int, int, str] | str:
    site = touched.factor.site
    law, node = site.law, site.names[0]
    rules = (
        () if law.family in (*WRAPPERS, "Table") or touched.factor.ties else family(law.family).conjugacies
    )
    why = f"'{node}' is {law.family}, which has no conjugate pair with {prior.conditional}"
    for rule in rules:
        if rule.kernel != prior.kernel:
            continue
        found = _terms(board, touched, target, prior, rule, powers)
        if not isinstance(found, str):
            return found
        why = found
    return why


def _terms(
    board: Board, touched: Touched, target: Target, prior: ConjugatePrior, rule: Conjugacy, powers: Powers
) -> tuple[int, int, str] | str:
    """Sums of the kernel's terms by unit, and what the pair is in words."""
    site, builder, r = touched.factor.site, board.builder, board.recorder
    jets, node = builder.jets, site.names[0]
    split = parameters_of(family(site.law.family), site.law, rule)
    if split is None:
        return f"'{node}' is given by other parameters than {rule.argument}"
    tree, others = split
    try:
        argument = builder.trees.number(tree, site.rows)
        rest = [builder.trees.number(t, site.rows) for t in others]
        x = builder.value(site)
        a, b, _ = (jets.jet(v).value.register for v in rule.terms(jets, x, *rest))
    except (NotLowered, ModelError) as error:
        return str(error)
    power, raised = powers.of(argument.value.register), exponent(board, rule, family(site.law.family), rest)
    if raised is None:
        return f"{rule.times} of '{node}' is no known number"
    if power is None or power.log:
        return f"{rule.argument} of '{node}' is no multiple of a power of '{target.node}'"
    if any(board.influence.depends(t, target.slots) for t in (a, b, power.coefficient)):
        return f"'{target.node}' stands elsewhere in the law of '{node}' too"
    one = _is_one(board, power.coefficient)
    count = len(target.units)
    plates = {n: x.plates for n, x in builder.graph.nodes.items()}
    words = (
        f"'{node}' is {site.law.family} with {rule.argument} {expression_text(tree, plates[node], plates)}"
    )
    if prior.kernel == "beta":
        if power.power != 1.0 or not one:
            return f"{rule.argument} of '{node}' is not '{target.node}' itself"
        if power.complement:
            a, b = b, a
        return board.by_owner(a, touched, count), board.by_owner(b, touched, count), words
    if power.complement or not math.isclose(power.power * raised, prior.power, rel_tol=1e-12):
        return f"{rule.argument} of '{node}' is not the power of '{target.node}' that conjugacy needs"
    if one:
        return board.by_owner(a, touched, count), _second(board, touched, b, count), words
    scale = r.apply("**", power.coefficient, r.constant(raised)) if raised != 1.0 else power.coefficient
    first = board.by_owner(a, touched, count)
    if r.length(scale) == 1:
        return first, r.apply("*", _second(board, touched, b, count), scale), words
    return first, board.by_owner(r.apply("*", b, scale), touched, count), words


def _second(board: Board, touched: Touched, b: int, count: int) -> int:
    """Sums of b by unit; half of the squares of Normal residuals, by sufficient statistics where these are
    few.
    """
    r = board.recorder
    g = board.gaussian(touched.factor) if touched.factor.site.law.family == "Normal" else None
    if g is None or g.auxiliary is not None or g.left is not None:
        return board.by_owner(b, touched, count)
    squares = board.statistics.squares(g.residual, touched, count)
    if squares is None:
        squares = board.by_owner(r.apply("*", g.residual, g.residual), touched, count)
    return r.apply("*", r.constant(0.5), squares)


def _is_one(board: Board, register: int) -> bool:
    known: Any = board.recorder.constant_value(register)
    return known is not None and bool((known == 1.0).all())


__all__ = ["name", "recognise"]
