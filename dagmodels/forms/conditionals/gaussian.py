"""Factors that are Gaussian in a residual, as they are or given auxiliary variables.

A factor's log density is -sum w_k e_p(k) e_q(k)/2 + what is free of the residuals e: w is the precision of a
Normal law, or the entries of a precision matrix by pairs of components. Binomial, Bernoulli and negative
binomial logits are so given Polya-Gamma variables omega (Polson, Scott and Windle 2013, J. Am. Stat. Assoc.
108:1339, theorem 1): e = eta - kappa/omega, w = omega. Probits and ordered probits are so given the normal
number whose level was seen (Albert and Chib 1993, J. Am. Stat. Assoc. 88:669): e = z - eta, w = 1/sigma**2.
Student t, Laplace and logistic laws are so given precisions of rows: see `mixed_normals`. Log-linear rates
and scales are so nearly, given curves of mixtures: see `curves`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.distributions import WRAPPERS
from dagmodels.forms import vectors
from dagmodels.forms.build_flat import Factor
from dagmodels.forms.conditionals.curves import curves
from dagmodels.forms.conditionals.mixed_normals import mixed_normal
from dagmodels.forms.leaf_laws import on_link_scale
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution
from dagmodels.numerics.tape import NAMES

Ints = NDArray[np.int64]
TRIALS = 500  # a Polya-Gamma draw costs as many of one trial


@dataclass(frozen=True, eq=False, slots=True)
class Auxiliary:
    """A variable drawn before what is Gaussian given it.

    slots : where. draw : the drawing code; registers : its parameters. why : in words. factor : the register
    of the factor that is Gaussian given it.
    count : draws, where they are not as many as slots. numbers, extra : what the code needs besides.
    ratio : of variables given which it is so only nearly, the register of the log of the likelihood over the
    one that it stands for; what is drawn given these must be accepted by that.
    """

    node: str
    slots: Ints
    draw: str
    registers: tuple[int, ...]
    why: str
    factor: int
    count: int = 0
    extra: int = 0
    numbers: NDArray[np.float64] | None = None
    ratio: int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Gaussian:
    """Registers of the residuals and of the weights, of one entry or one a pair.

    left, right : the pairs' residuals; None where each is paired with itself. auxiliary : given which it
    holds.
    scalar : its rows are the factor's.
    """

    residual: int
    weight: int
    left: Ints | None = None
    right: Ints | None = None
    auxiliary: Auxiliary | None = None

    @property
    def nearly(self) -> bool:
        """Whether what is drawn by it must be accepted afterwards."""
        return self.auxiliary is not None and self.auxiliary.ratio is not None


def gaussian(board: Any, factor: Factor) -> Gaussian | None:
    """A factor as Gaussian, None where it is not."""
    if factor.ties is not None:
        return _tied(board, factor)
    match factor.site.law.family:
        case "Normal":
            mean, precision = normal_arguments(board, factor, factor.site.law)
            x = board.builder.value(factor.site).value.register
            return _in_one_unit(board, board.recorder.apply("-", x, mean), precision)
        case "LogNormal":
            mean, precision = normal_arguments(board, factor, factor.site.law)
            x = board.recorder.apply("log", board.builder.value(factor.site).value.register)
            return _in_one_unit(board, board.recorder.apply("-", x, mean), precision)
        case "MvNormal":
            return _vector(board, factor)
        case "Bernoulli" | "Binomial":
            return _logit(board, factor) or _probit(board, factor)
        case "StudentT" | "Cauchy" | "Laplace" | "Logistic":
            return mixed_normal(board, factor)
        case "Poisson":
            return curves(board, factor)
        case "NegativeBinomial":
            return _negative_binomial(board, factor)
        case "OrderedProbit":
            return _ordered(board, factor)
    return None


def _in_one_unit(board: Any, residual: int, precision: int) -> Gaussian:
    """Known precisions of rows multiply the residuals, so that one weight serves all."""
    r = board.recorder
    known = r.constant_value(precision)
    if known is None or known.size == 1 or not (known > 0.0).all():
        return Gaussian(residual, precision)
    return Gaussian(r.apply("*", residual, r.constant(np.sqrt(known))), r.constant(1.0))


def normal_arguments(board: Any, factor: Factor, law: Distribution) -> tuple[int, int]:
    """Registers of the mean and the precision of a Normal law on a factor's rows."""
    given = dict(law.arguments)
    mean = _number(board, factor, given["mu"])
    if "tau" in given:
        return mean, _number(board, factor, given["tau"])
    return mean, precision_of(board, _number(board, factor, given["sigma"]))


def log_scale(board: Any, factor: Factor) -> int:
    """Register of the logarithm of a Normal law's standard deviation; no number where that is negative."""
    r, given = board.recorder, dict(factor.site.law.arguments)
    if "tau" in given:
        return r.apply("*", r.constant(-0.5), r.apply("log", _number(board, factor, given["tau"])))
    return r.apply("log", _number(board, factor, given["sigma"]))


def precision_of(board: Any, sigma: int) -> int:
    """1/sigma**2."""
    r = board.recorder
    return r.apply("/", r.constant(1.0), r.apply("*", sigma, sigma))


def _number(board: Any, factor: Factor, tree: object) -> int:
    assert isinstance(tree, ex.Expression)
    return board.builder.trees.number(tree, factor.site.rows).value.register


# -- vectors ---------------------------------------------------------------------------------------------


def _vector(board: Any, factor: Factor) -> Gaussian:
    builder, site = board.builder, factor.site
    trees, given = builder.trees, dict(site.law.arguments)
    mean = trees.vector(given["mu"], site)
    x = builder.value(site)
    n, d = site.rows.n, site.length
    residual = board.recorder.apply("-", x.value.register, _repeated(board, mean.value.register, n, d))
    if "tau" in given:
        batch = trees.matrix(given["tau"], site).value
    elif "cov" in given:
        batch = builder.jets.inverse(trees.matrix(given["cov"], site)).value
    else:
        chol = trees.matrix(given["chol"], site)
        batch = builder.jets.inverse(builder.jets.matmul(chol, builder.jets.transpose(chol))).value
    block = batch.block
    if block is None:
        one = board.recorder.length(batch.register) == d * d
        block = np.zeros(n, np.int64) if one else np.arange(n)
    return _paired(board, residual, batch.register, block, n, d)


def _repeated(board: Any, mean: int, n: int, d: int) -> int:
    r = board.recorder
    if r.length(mean) in (1, n * d):
        return mean
    return r.gather(mean, np.tile(np.arange(d), n))


def _tied(board: Any, factor: Factor) -> Gaussian:
    builder, vector, r = board.builder, factor.ties, board.recorder
    n, d = factor.site.rows.n, len(vector.components)
    mean = builder.trees.stacked([builder.trees.number(c.mean, c.rows) for c in vector.components], n)
    residual = r.apply(
        "-", builder.value(factor.site).value.register, _repeated(board, mean.value.register, n, d)
    )
    law = vectors.matrix(builder.lowering, vector, {})
    assert law.covariance is not None
    return _paired(board, residual, r.matrix("inverse", d, law.covariance), law.block, n, d)


def _paired(board: Any, residual: int, matrices: int, block: Ints, n: int, d: int) -> Gaussian:
    """All pairs of components of every row."""
    k, m = np.divmod(np.arange(d * d), d)
    head = np.arange(n)[:, None] * d
    index = (np.asarray(block)[:, None] * d * d + np.arange(d * d)).reshape(-1)
    weight = board.recorder.gather(matrices, index)
    return Gaussian(residual, weight, (head + k).reshape(-1), (head + m).reshape(-1))


# -- logits ------------------------------------------------------------------------------------------------


def inside(board: Any, register: int, function: str) -> int | None:
    """What stands inside a function that gives a register, the function perhaps read at places; else None."""
    operations = board.influence.operations(register)
    if len(operations) != 1:
        return None
    code, _, a, _, _, aux = operations[0]
    if NAMES[code] == function:
        return a
    if NAMES[code] != "gather":
        return None
    inner, r = inside(board, a, function), board.recorder
    if inner is None:
        return None
    return inner if r.length(inner) == 1 else r.gather(inner, r.index(aux))


def _predictor(board: Any, factor: Factor, function: str) -> int | None:
    """The register of eta where the probability is function(eta)."""
    law = factor.site.law if factor.site.law.family in WRAPPERS else on_link_scale(factor.site.law)
    given = dict(law.arguments)
    if "logit_p" in given:
        return _number(board, factor, given["logit_p"]) if function == "expit" else None
    if "p" not in given:
        return None
    return inside(board, _number(board, factor, given["p"]), function)


def _logit(board: Any, factor: Factor) -> Gaussian | None:
    eta = _predictor(board, factor, "expit")
    if eta is None:
        return None
    r, law = board.recorder, factor.site.law
    trials = r.constant(1.0) if law.family == "Bernoulli" else _number(board, factor, law.argument("n"))
    y = board.builder.value(factor.site).value.register
    kappa = r.apply("-", y, r.apply("*", r.constant(0.5), trials))
    return _polya_gamma(board, factor, eta, trials, kappa)


def _negative_binomial(board: Any, factor: Factor) -> Gaussian | None:
    """p**n (1 - p)**y with p = expit(eta): kappa = (n - y)/2 from n + y trials."""
    eta = _predictor(board, factor, "expit")
    size = factor.site.law.argument("n")
    if eta is None or size is None:
        return None
    r = board.recorder
    n, y = _number(board, factor, size), board.builder.value(factor.site).value.register
    kappa = r.apply("*", r.constant(0.5), r.apply("-", n, y))
    return _polya_gamma(board, factor, eta, r.apply("+", n, y), kappa)


def _polya_gamma(board: Any, factor: Factor, eta: int, trials: int, kappa: int) -> Gaussian | None:
    r, n = board.recorder, factor.site.rows.n
    known = r.constant_value(trials)
    if known is None or (known != np.floor(known)).any() or known.max(initial=0) > TRIALS or known.min() < 0:
        return None
    omega, slots = board.auxiliary(f"omega of {factor.site.names[0]}", n)
    # rows without trials have omega = 0 and kappa = 0: 0/0 is kept away by a tiny precision
    safe = r.apply("max", omega, r.constant(1e-300)) if (known == 0).any() else omega
    residual = r.apply("-", eta, r.apply("/", kappa, safe))
    told = f"Polya-Gamma variables of '{factor.site.names[0]}'"
    return Gaussian(
        residual,
        omega,
        auxiliary=Auxiliary(factor.site.names[0], slots, "polya-gamma", (eta, trials), told, factor.register),
    )


# -- probits -----------------------------------------------------------------------------------------------


def _probit(board: Any, factor: Factor) -> Gaussian | None:
    law = factor.site.law
    trials = law.argument("n")
    eta = _predictor(board, factor, "Phi")
    if eta is None or (trials is not None and trials != ex.Number(1)):
        return None
    r = board.recorder
    y = board.builder.value(factor.site).value.register
    low = r.apply("if_else", y, r.constant(0.0), r.constant(-np.inf))
    high = r.apply("if_else", y, r.constant(np.inf), r.constant(0.0))
    return _seen(board, factor, eta, low, high)


def _ordered(board: Any, factor: Factor) -> Gaussian | None:
    """Between which cutpoints the number fell."""
    law, r, builder = factor.site.law, board.recorder, board.builder
    if law.argument("sigma") not in (None, ex.Number(1)):
        return None
    eta = _number(board, factor, law.argument("eta"))
    tree = law.argument("cutpoints")
    assert isinstance(tree, ex.Expression)
    states, n = factor.site.states, factor.site.rows.n
    cuts = builder.trees.vector(tree, factor.site, states - 1).value.register
    if r.length(cuts) != states - 1:
        return None
    ends = [
        (r.constant(-np.inf), np.array([0])),
        (cuts, np.arange(1, states)),
        (r.constant(np.inf), np.array([states])),
    ]
    table = r.assemble(states + 1, ends)
    y = builder.value(factor.site).value.register
    if r.length(y) != n:
        return None
    return _seen(board, factor, eta, r.take(table, y), r.take(table, r.apply("+", y, r.constant(1.0))))


def _seen(board: Any, factor: Factor, eta: int, low: int, high: int) -> Gaussian:
    z, slots = board.auxiliary(f"z of {factor.site.names[0]}", factor.site.rows.n)
    r, told = board.recorder, f"the normal numbers behind '{factor.site.names[0]}'"
    auxiliary = Auxiliary(
        factor.site.names[0], slots, "unit cut normal", (eta, low, high), told, factor.register
    )
    return Gaussian(r.apply("-", z, eta), r.constant(1.0), auxiliary=auxiliary)
