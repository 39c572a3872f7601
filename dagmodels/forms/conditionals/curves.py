"""Log-linear rates, scales and means: normal given curves of a mixture, and corrected afterwards.

Where a family's log density in a parameter is a log r - b r, r a power of the parameter ("gamma" pairs, which
the families' files state) and the parameter is exp(eta), the likelihood as a function of eta is that of the
logarithm of a Gamma(a, 1) number at log r + log b: a count's with a Poisson mean, that of a half with
a Normal law's scale (stochastic volatility), that of one with an exponential rate. It is nearly a sum of
normal curves (`log_gamma`), and given the curve that it came from it is one normal law. What is drawn
jointly given curves is accepted by the ratio of likelihoods to mixtures, after over before (`corrected`), so
that the posterior is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.conjugacy import parameters_of
from dagmodels.distributions import WRAPPERS, Family, family
from dagmodels.distributions._family import Conjugacy
from dagmodels.errors import ModelError
from dagmodels.forms.build_flat import Factor
from dagmodels.forms.conditionals.log_gamma import errors, mixtures
from dagmodels.forms.conditionals.power import exponent
from dagmodels.forms.lower import NotLowered
from dagmodels.numerics.tape import NAMES

if TYPE_CHECKING:
    from dagmodels.forms.conditionals.gaussian import Gaussian

SPREAD = 1.5  # sd of the log ratio over all rows, above which few draws would be accepted
BETWEEN = 0.1  # sd of the log ratio of one row whose shape is unknown and no count, at most
LEAST = 1e-300  # for b = 0, of which there is no logarithm


def curves(board: Any, factor: Factor) -> Gaussian | None:
    """The factor as normal given curves, None where no parameter has a predictor or rows are too many."""
    law = factor.site.law
    if law.family in (*WRAPPERS, "Table") or factor.ties is not None or len(factor.site.names) != 1:
        return None
    known = family(law.family)
    for rule in known.conjugacies:
        if rule.kernel == "gamma":
            found = _terms(board, factor, known, rule)
            shapes = None if found is None else board.recorder.constant_value(found[1])
            if found is not None and _near(shapes, factor.site.rows.n, counts=known.discrete):
                return _given_curves(board, factor, *found)
    return None


def _terms(board: Any, factor: Factor, known: Family, rule: Conjugacy) -> tuple[int, int] | None:
    """Registers of log r + log b, by row, and of a; None where the parameter has no predictor."""
    r, site, n = board.recorder, factor.site, factor.site.rows.n
    jets, number = board.builder.jets, board.builder.trees.number
    split = parameters_of(known, site.law, rule)
    if split is None or r.length(factor.register) != n:
        return None
    tree, others = split
    positive = next(p for p in known.parameters if p.name == rule.argument).domain == "positive"
    try:
        eta = predictor(board, number(tree, site.rows).value.register, given=positive)
        if eta is None or board.influence.pattern(eta) is None:
            return None
        rest = [number(t, site.rows) for t in others]
        a, b, _ = (jets.jet(v).value.register for v in rule.terms(jets, board.builder.value(site), *rest))
    except (NotLowered, ModelError):
        return None
    power = exponent(board, rule, known, rest)
    if power is None:
        return None
    if power != 1.0:
        eta = r.apply("*", eta, r.constant(power))
    least = r.constant_value(b)
    if least is None or (least != 1.0).any():
        eta = r.apply("+", eta, r.apply("log", r.apply("max", b, r.constant(LEAST))))
    if r.length(eta) == 1 and n > 1:
        eta = r.gather(eta, np.zeros(n, np.int64))
    return eta, a


def _near(shapes: NDArray[np.float64] | None, n: int, *, counts: bool) -> bool:
    """Whether mixtures are near enough to n shapes; unknown ones are taken to be where they are counts."""
    if shapes is None:
        return counts or n * BETWEEN**2 <= SPREAD**2
    return bool((errors(shapes) ** 2).sum() * (n // shapes.size) <= SPREAD**2)


def _given_curves(board: Any, factor: Factor, eta: int, shape: int) -> Gaussian:
    from dagmodels.forms.conditionals.gaussian import Auxiliary, Gaussian

    r, node, n = board.recorder, factor.site.names[0], factor.site.rows.n
    mean, at_mean = board.auxiliary(f"means of curves of {node}", n)
    weight, at_weight = board.auxiliary(f"precisions of curves of {node}", n)
    before, at_before = board.auxiliary(f"log ratio of {node}", 1)
    table, shapes = mixtures().numbers.reshape(-1), r.constant_value(shape)
    guess = np.maximum(np.ones(n) if shapes is None else shapes, 0.5) + np.zeros(n)
    auxiliary = Auxiliary(
        node,
        np.concatenate([at_mean, at_weight, at_before]),
        "log gamma curves",
        (eta, shape),
        f"curves of the mixtures for '{node}'",
        factor.register,
        count=n,
        extra=table.size,
        numbers=np.concatenate([table, [1.0, 0.0, 0.0, 0.0, 0.0], np.log(guess), guess]),
        ratio=before,
    )
    return Gaussian(r.apply("-", eta, mean), weight, auxiliary=auxiliary)


def predictor(board: Any, register: int, *, given: bool = False) -> int | None:
    """The register of the logarithm of what is exp(eta), a product, quotient or root of such, perhaps times
    known numbers.

    given : whether other factors may be unknown, because they are positive.
    """
    r = board.recorder
    operations = board.influence.operations(register)
    if len(operations) != 1:
        return None
    code, _, a, b, _, aux = operations[0]
    match NAMES[code]:
        case "exp":
            return a
        case "gather":
            inner = predictor(board, a, given=given)
            return inner if inner is None or r.length(inner) == 1 else r.gather(inner, r.index(aux))
        case "sqrt":
            inner = predictor(board, a, given=given)
            return None if inner is None else r.apply("*", inner, r.constant(0.5))
        case "*" | "/":
            parts = [predictor(board, x, given=given) for x in (a, b)]
            if parts == [None, None]:
                return None
            one, other = (
                _logarithm(board, x, given) if p is None else p for x, p in zip((a, b), parts, strict=True)
            )
            sign = "+" if NAMES[code] == "*" else "-"
            return None if one is None or other is None else r.apply(sign, one, other)
    return None


def _logarithm(board: Any, register: int, given: bool) -> int | None:
    """Of a factor without a predictor: of positive known numbers, or of others where these are positive."""
    r = board.recorder
    known = r.constant_value(register)
    if known is not None:
        return r.constant(np.log(known)) if (known > 0.0).all() else None
    return r.apply("log", register) if given else None


__all__ = ["curves", "predictor"]
