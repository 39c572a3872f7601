"""Gamma and beta full conditionals between limits: conjugate children of a truncated or a uniform prior.

Truncated(Gamma), of Exponential, InverseGamma and Beta alike, keeps its kernel between its limits. A uniform
prior of u, where children have a gamma kernel in t = u**q, is t**(1/q - 1) in t: u**q has the law
Gamma(1/q + sum a, sum b c) between limits (q = -2 for the standard deviation of Normal children, Gelman 2006,
Bayesian Analysis 1:515), and of "beta" children u has Beta(1 + sum a, 1 + sum b). See `kernels` for a, b, c.
"""

from __future__ import annotations

import numpy as np

from dagmodels.distributions import WRAPPERS, family
from dagmodels.distributions._family import ConjugatePrior
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.kernels import child, own_parameters
from dagmodels.forms.conditionals.normal import limits
from dagmodels.forms.conditionals.power import Powers
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.target import Target
from dagmodels.graph.statement import Distribution, Stochastic

name = "conjugate between limits"
FLAT = {  # kernels that children may have in an element with a flat law: of any power, and as it is
    "gamma": ConjugatePrior("gamma", lambda f: (1.0, 0.0), "gamma", power=0.0),
    "beta": ConjugatePrior("beta", lambda f: (1.0, 1.0), "Beta"),
}


def recognise(board: Board, target: Target) -> Update | str:
    """See the module."""
    statement = target.statement
    if target.units.shape[1] != 1 or not isinstance(statement, Stochastic):
        return f"'{target.node}' has no conjugate prior"
    law = statement.distribution
    if law.family == "Uniform":
        answers = [_between(board, target, statement, prior) for prior in FLAT.values()]
        return next((a for a in answers if isinstance(a, Update)), answers[0])
    inner = law.argument("distribution") if law.family == "Truncated" else None
    if not isinstance(inner, Distribution) or inner.family in (*WRAPPERS, "Table"):
        return f"{law.family} is no conjugate prior between limits"
    prior = family(inner.family).conjugate_prior
    if prior is None:
        return f"{inner.family} is no conjugate prior of numbers"
    return _between(board, target, statement, prior)


def _between(board: Board, target: Target, statement: Stochastic, prior: ConjugatePrior) -> Update | str:
    r, flat = board.recorder, prior in FLAT.values()
    ends = limits(board, target)
    if ends is None:
        return f"'{target.node}' has no limits"
    low, high = ends
    if flat and prior.kernel == "gamma":
        known = r.constant_value(low)
        if known is None or (known < 0.0).any():
            return f"'{target.node}' may be negative"
    elif prior.kernel == "gamma":
        low = r.apply("max", low, r.constant(0.0))
    powers = Powers(board.influence, target.slots)
    firsts: list[int] = []
    seconds: list[int] = []
    told: list[str] = []
    exponents: list[float] = [] if flat else [prior.power]
    for touched in target.touched:
        site = touched.factor.site
        if site.names == (target.node,) and site.statement == statement:
            if flat:
                continue
            own = own_parameters(board, touched, target, prior, board.builder.law_of(site)[1][:-2])
            if isinstance(own, str):
                return own
            firsts.append(own[0])
            seconds.append(own[1])
            continue
        found = child(board, touched, target, prior, powers)
        if isinstance(found, str):
            return found
        firsts.append(found[0])
        seconds.append(found[1])
        told.append(found[2])
        exponents.append(found[3])
    if not exponents or not np.allclose(exponents, exponents[0], rtol=1e-12, atol=0.0):
        return f"children have no kernel of one power of '{target.node}' in common"
    q = exponents[0]
    if flat:
        firsts.append(r.constant(1.0 / q))
        if prior.kernel == "beta":
            seconds.append(r.constant(1.0))
    law = statement.distribution
    inner = law.argument("distribution")
    stated = f"Truncated {inner.family}" if isinstance(inner, Distribution) else law.family
    power = "" if not flat or q == 1.0 else f" of '{target.node}'**{q:g}"
    why = f"{prior.conditional}{power} between limits: prior {stated}, {' and '.join(told) or 'no child'}"
    return Update(
        target.node,
        target.slots,
        f"cut {prior.kernel}",
        len(target.slots),
        (board.added(firsts), board.added(seconds), low, high),
        why,
        numbers=np.array([q]),
    )


__all__ = ["name", "recognise"]
