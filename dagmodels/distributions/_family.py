"""What a family must state: parameters, support, log density, draw, moments.

Formulas are written once, over a namespace `f` of functions (`f.log`, `f.lgamma`, `f.where`, ...)
and Python operators.  The same lines run on numbers and arrays (`f = numeric`, complex step
included), on expression trees (symbolic derivatives) and on the tape of a fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Formula = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter of a family.

    name : as users write it.
    domain : "real", "positive", "nonnegative", "probability" (closed unit interval),
        "count", "simplex", "ordered", "covariance", "correlation", "plate" (number of categories follows
        from the plate), or "any".
    shape : 0 scalar, 1 vector, 2 matrix.
    default : value when left out, None when it must be given.
    """

    name: str
    domain: str = "real"
    shape: int = 0
    default: float | None = None


@dataclass(frozen=True, slots=True)
class Support:
    """Where the density is positive, and the bijection that the flat form uses.

    kind : "real", "interval", "integer", "simplex", "ordered", "covariance", "correlation",
        "category".
    lower, upper : formulas of (f, *parameters) or numbers; None means unbounded.
    """

    kind: str = "real"
    lower: float | Formula | None = None
    upper: float | Formula | None = None


@dataclass(frozen=True, slots=True)
class Conjugacy:
    """One parameter in which the family's density has the form of a kernel (`_conjugate.KERNELS`).

    With r = argument**power the log density is a log r - b r + c ("gamma") or, power being one,
    a log r + b log(1 - r) + c ("beta").

    argument : name of the parameter. kernel : of the two.
    terms : formula `(f, x, *others)` returning (a, b, c), `others` being the parameters left, in order.
    signature : the parametrisation that argument and others belong to; empty for the canonical one.
    times : name of another parameter that multiplies the power, where it is a known number; empty for none.
    """

    argument: str
    kernel: str
    terms: Formula
    power: float = 1.0
    signature: tuple[str, ...] = ()
    times: str = ""


@dataclass(frozen=True, slots=True)
class ConjugatePrior:
    """A family as the law of a latent that conjugate children share.

    kernel : that latent**power has the law of; see `_conjugate.KERNELS`.
    parameters : formula `(f, *parameters)` returning the kernel's two. conditional : the family, with these
        two as its parameters, that the latent has given its children.
    """

    kernel: str
    parameters: Formula
    conditional: str
    power: float = 1.0


@dataclass(frozen=True, slots=True)
class Family:
    """A family of distributions.

    name : PyMC's name.
    parameters : the canonical signature, in order.
    support : see `Support`.
    log_density : `(f, x, *parameters)`, minus infinity outside the support (through `f.where`).
    draw : `(rng, *parameters, size=None)` -> array; `size` is the shape of the result, axes of one
        event included, against which the parameters broadcast; None takes it from the parameters.
    event : 0 scalar, 1 vector, 2 matrix: the shape of one value.
    discrete : whether values are counted.
    alternatives : other parameter names by which one may be given: name -> (the canonical
        parameter it stands for, formula `(f, value)`), such as tau -> ("sigma", 1/sqrt(tau)).
    signatures : whole other parametrisations: tuple of names -> formula `(f, *values)` returning
        the canonical parameters in order.
    direct : log densities stated in another parametrisation, `(f, x, *values)` by names, where going
        through the canonical parameters would lose digits (logit_p) or work (tau, chol).
    log_cdf, log_survival : `(f, x, *parameters)`; None where no closed form is carried.
    mean, variance : `(f, *parameters)`; None where they do not exist in closed form.
    conjugacies : parameters whose latent can be integrated in closed form.
    conjugate_prior : the kernel that a latent of this family has; None for families without.
    estimated : the law itself is what a fit finds (`_estimated`): it has no density and no draws before.
    """

    name: str
    parameters: tuple[Argument, ...]
    support: Support
    log_density: Formula
    draw: Formula
    event: int = 0
    discrete: bool = False
    alternatives: Mapping[str, tuple[str, Formula]] = field(default_factory=dict)
    signatures: Mapping[tuple[str, ...], Formula] = field(default_factory=dict)
    direct: Mapping[tuple[str, ...], Formula] = field(default_factory=dict)
    log_cdf: Formula | None = None
    log_survival: Formula | None = None
    mean: Formula | None = None
    variance: Formula | None = None
    conjugacies: tuple[Conjugacy, ...] = ()
    conjugate_prior: ConjugatePrior | None = None
    estimated: bool = False
    doc: str = ""
