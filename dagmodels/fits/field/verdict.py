"""The certificate in words: whether an optimum holds, and if not, where it fails and what to try next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.field.inside import ridge
from dagmodels.fits.field.objective import Objective
from dagmodels.fits.field.separation import Separation, alone
from dagmodels.forms.cells import element_label
from dagmodels.forms.coordinates import uses
from dagmodels.forms.field import Field
from dagmodels.forms.shift import deviation
from dagmodels.forms.start import EXACT
from dagmodels.graph.statement import Parameter
from dagmodels.numerics.optimise import SADDLE, Optimum

Floats = NDArray[np.float64]

GRADIENT_LIMIT = 1e-5
ROUNDING = 64 * np.finfo(float).eps  # nor are those below this share of its largest value
NEARLY = 1e-2  # where a search failed, a residual scale below this share of the spread is why
LOST = 1e-2  # a share, or a gap between cut points, below this over the number of rows is none
FAR, NO_CHANGE = 10.0, 1e-4  # a coefficient beyond, and a change of the deviance that is none
FLAT = 1e-8  # curvature of a log scale, on the deviance scale, that counts as none
TOGETHER = 1e-6  # smallest eigenvalue of the scales' Hessian, its diagonal made one: only a sum is known
SHAPELESS = 2e-2  # the same for shapes of latents' laws, which may run off: a standard error of a factor e^10
EDGE = np.log(
    1e6
)  # shapes beyond it or its inverse: differences of slopes have errors of some hundredths there
ROUNDED = 0.5  # hence this in place of SHAPELESS


@dataclass(frozen=True, slots=True)
class Collapse:
    """A residual scale that ran to zero.

    scale, node : its name, and the response's. whole : free coefficients alone reproduce the response, so
    that the likelihood has no maximum; else latents do, where it may have one at zero.
    """

    scale: str
    node: str
    whole: bool


def verdict(field: Field, f: Objective, optimum: Optimum) -> tuple[bool, str]:
    """Whether the optimum is certified; the reason, with the node at fault and the next thing to try."""
    if (c := collapsed(field, f, optimum)) is not None:
        return False, (
            f"'{c.scale}' runs to zero, because the means reproduce '{c.node}' exactly: the likelihood has "
            f"no maximum; leave out coefficients or give more data, fix '{c.scale}', or give it a prior that "
            "keeps it away from zero (InverseGamma)"
            if c.whole
            else _heywood(c)
        )
    if (s := f.separated(optimum.x)) is not None:
        return False, _separated(s)
    if (name := run_off(field, optimum)) is not None:
        node = name.split("[")[0]
        value = dict(zip((c.node for c in field.coordinates), _values(field, f, optimum), strict=True))[node]
        return False, (
            f"'{name}' runs to an end of its domain (it got to {value}), where the criterion tends to a "
            "limit: these data cannot tell its value; fix it, give it a prior, or take a simpler law"
        )
    if (told := _run_together(field, optimum)) is not None:
        return False, told
    norm = optimum.decrement / np.sqrt(2)
    if not norm <= GRADIENT_LIMIT:
        if (c := collapsed(field, f, optimum, NEARLY)) is not None:
            return False, _heywood(c)
        name = _steepest(field, f, optimum)
        return False, (
            f"the gradient is {norm:.2g} in the metric of the information (limit {GRADIENT_LIMIT:g}), "
            f"most of it in '{name}'; {_next(field, f, optimum, name)}"
        )
    if optimum.smallest < SADDLE:
        name = _bent(field, f, optimum)
        return False, (
            "the Hessian is not positive definite, so this is a saddle and not an optimum; the criterion "
            f"bends down most in '{name}'; {_next(field, f, optimum, name)}"
        )
    if (lost := gone(field, optimum)) is not None:
        if (s := alone(field, f.evaluator, optimum.x)) is not None:
            return False, _separated(s)
        return False, (
            f"'{lost}' runs to infinity, where the criterion no longer depends on it; leave it out, or give "
            "it a prior"
        )
    if (level := ridge(f, optimum)) is not None:
        named = labels(field)
        return False, (
            f"{', '.join(repr(named[i]) for i in level.members)} are not told apart here: the criterion "
            "stays the same along a line of their values; fix one of them, give it a prior, or give more data"
        )
    if (flat := _flat(field, f, optimum)) is not None:
        return False, (
            f"the criterion does not depend on '{flat}' here: these data cannot tell its value; "
            "fix it, give it a prior, or give more data"
        )
    if f.singular(optimum.x) and f.kinked(optimum.x):
        name = _steepest(field, f, optimum)
        return False, (
            f"a covariance matrix with '{name}' is singular here, where the criterion has an edge that hides "
            "its slope; state the matrix as one 'covariance' parameter"
        )
    return True, "gradient, Hessian and bounds certified"


def _separated(s: Separation) -> str:
    return (
        f"'{s.node}' is separated by '{s.coefficient}': some rows are predicted without error, and "
        f"the likelihood rises for ever as '{s.coefficient}' grows; give '{s.coefficient}' a prior "
        "(Normal(0, 2.5)), merge levels, or leave it out"
    )


def _heywood(c: Collapse) -> str:
    return (
        f"'{c.scale}' runs to zero, because latents reproduce '{c.node}' (a Heywood case): there the "
        f"likelihood has no maximum, or one at zero, which is not reached; fix '{c.scale}' at the least "
        f"error that '{c.node}' can have, give it a prior (InverseGamma), or take a smaller model"
    )


def collapsed(field: Field, f: Objective, optimum: Optimum, share: float = EXACT) -> Collapse | None:
    """The first residual scale below a share of its response's spread, or with nothing to measure."""
    use = uses(field.problem.graph)
    position = 0
    f(optimum.x)
    for c in field.coordinates:
        x = optimum.x[position : position + c.length]
        position += c.length
        kind, nodes = use.get(c.node, ("other", ()))
        observed = [leaf for leaf in field.leaves if leaf.node in nodes]
        if kind not in ("residual", "precision", "variance") or not observed or not x.size:
            continue
        smallest = _deviation(kind, np.exp(x) if c.kind == "log" else x)
        free = isinstance(field.problem.graph.nodes[c.node].statements[0], Parameter)
        for leaf in observed:
            spread, largest = _sizes(field, leaf.node)  # a deviation is nothing against these
            whole = leaf.n > 0 and leaf.scale <= max(EXACT * spread, ROUNDING * largest)
            if smallest <= max(share * spread, ROUNDING * largest) or (free and c.length == 1 and whole):
                return Collapse(c.node, leaf.node, whole)
    return None


def _deviation(kind: str, values: Floats) -> float:
    """The smallest residual standard deviation among the values of an unknown."""
    if kind == "variance":
        return float(np.sqrt(max(values.min(), 0.0)))
    return float(values.max() ** -0.5 if kind == "precision" else np.abs(values).min())


def _sizes(field: Field, node: str) -> tuple[float, float]:
    """Standard deviation and largest size of a response."""
    y = field.problem.values[node][field.problem.observed[node]]
    return (deviation(y), float(np.abs(y).max())) if y.size else (0.0, 0.0)


def labels(field: Field) -> list[str]:
    """For each coordinate the estimate that it belongs to, as users call it."""
    found = []
    for c in field.coordinates:
        if c.order:
            found.extend([c.node] * c.length)
        elif c.length == 1:
            found.append(c.node)
        else:
            from dagmodels.forms.coordinates import free_places

            places = free_places(field.problem, c.node) if c.group is None else np.arange(c.length)
            found.extend(element_label(field.problem, c.node, int(p)) for p in places)
    return found


def _steepest(field: Field, f: Objective, optimum: Optimum) -> str:
    """The coordinate that gains most from following its own slope."""
    curvature = np.abs(np.diag(optimum.hessian))
    least = 1e-10 * max(float((curvature * f.space.scale**2).max(initial=0.0)), 1e-300)
    with np.errstate(over="ignore"):  # told apart below
        gain = optimum.gradient**2 / np.maximum(curvature, least / f.space.scale**2)
    gain = np.where(optimum.active | ~np.isfinite(gain), -1.0, gain)
    return labels(field)[int(np.argmax(gain))]


def _bent(field: Field, f: Objective, optimum: Optimum) -> str:
    """The coordinate that has the largest part in the direction of most negative curvature."""
    free = np.flatnonzero(~optimum.active)
    d = f.space.scale[free]
    _, vectors = np.linalg.eigh(optimum.hessian[np.ix_(free, free)] * np.outer(d, d))
    return labels(field)[int(free[np.argmax(np.abs(vectors[:, 0]))])]


def _flat(field: Field, f: Objective, optimum: Optimum) -> str | None:
    """An unknown scale that the criterion does not depend on, alone or beside another one."""
    position = 0
    for c in field.coordinates:
        if c.kind == "log" and c.length:
            steepest = np.abs(optimum.hessian[position : position + c.length]).max(axis=1)
            if steepest.min() < FLAT:
                return labels(field)[position + int(np.argmax(steepest < FLAT))]
        position += c.length
    return _flat_scales(field, f, optimum)


def _flat_scales(field: Field, f: Objective, optimum: Optimum) -> str | None:
    """Scales of latents that fixed coefficients, or scales of other latents, leave nothing to tell.

    Two groupings that are one, for example, have only a sum of their variances: the correlation of the
    two scales in the Hessian is one. Scales at zero are tested by their slope in the variance instead.
    """
    used = [np.full(c.length, c.use in ("scale", "matrix") and c.kind != "log") for c in field.coordinates]
    moving = ~optimum.active & (np.abs(optimum.x) > 1e-6 * f.space.scale)
    at = np.flatnonzero(np.concatenate([np.zeros(0, bool), *used]) & moving)
    part = optimum.hessian[np.ix_(at, at)]
    if not at.size or not np.isfinite(part).all():
        return None
    diagonal = np.diag(part)
    if (none := np.abs(diagonal) * f.space.scale[at] ** 2 < FLAT).any():
        return labels(field)[at[int(np.argmax(none))]]
    scale = [np.full(c.length, c.use == "scale") for c in field.coordinates]
    alone = np.flatnonzero(np.concatenate(scale)[at])
    if alone.size < 2 or (diagonal[alone] <= 0).any():
        return None
    size = np.sqrt(diagonal[alone])
    values, vectors = np.linalg.eigh(part[np.ix_(alone, alone)] / np.outer(size, size))
    if values[0] >= TOGETHER:
        return None
    return labels(field)[at[alone[int(np.argmax(np.abs(vectors[:, 0])))]]]


def run_off(field: Field, optimum: Optimum) -> str | None:
    """A shape of a latent's law that left for an end of its domain, where the criterion tends to a limit.

    Shapes may go there together (a Gamma law whose mean stays): the least eigenvalue among them tells.
    """
    shape = [np.full(c.length, c.use == "shape" and c.kind == "log") for c in field.coordinates]
    at = np.flatnonzero(np.concatenate([np.zeros(0, bool), *shape]))
    part = optimum.hessian[np.ix_(at, at)]
    if not at.size or not np.isfinite(part).all():
        return None
    values, vectors = np.linalg.eigh(part)
    least = int(np.argmin(np.abs(values)))
    far = bool((np.abs(optimum.x[at]) > EDGE).any())
    if abs(values[least]) >= (ROUNDED if far else SHAPELESS):
        return None
    return labels(field)[at[int(np.argmax(np.abs(vectors[:, least])))]]


def gone(field: Field, optimum: Optimum) -> str | None:
    """A coefficient far out where not even a step of its own size changes the criterion."""
    position = 0
    for c in field.coordinates:
        at = np.arange(position, position + c.length)
        position += c.length
        if (
            c.kind != "identity"
            or c.symmetric.any()
            or np.isfinite(c.lower).any()
            or np.isfinite(c.upper).any()
        ):
            continue
        x = optimum.x[at]
        bend = np.abs(np.diag(optimum.hessian)[at]) * x**2
        far = (np.abs(x) > FAR) & (bend < NO_CHANGE)
        if far.any():
            return labels(field)[int(at[np.argmax(far)])]
    return None


def _run_together(field: Field, optimum: Optimum) -> str | None:
    """Entries of an ordered unknown that nothing tells apart, or of a simplex that nothing needs."""
    position = 0
    least = LOST / max(field.n_observations, 1)
    for c in field.coordinates:
        x = optimum.x[position : position + c.length]
        position += c.length
        if c.kind not in ("ordered", "simplex"):
            continue
        for rows in x.reshape(c.batch, -1):
            if c.kind == "simplex":
                shares = np.exp(np.append(rows, 0.0) - max(rows.max(), 0.0))
                if shares.min() < least * shares.sum():
                    at = int(np.argmin(shares)) + 1
                    return (
                        f"entry {at} of '{c.node}' runs to zero: the data need no such component; "
                        "leave it out"
                    )
                continue
            values = np.cumsum([rows[0], *np.exp(rows[1:])])
            gaps = np.diff(values)
            if gaps.size and gaps.min() < least * max(1.0, float(np.abs(values).max())):
                at = int(np.argmin(gaps)) + 1
                return (
                    f"entries {at} and {at + 1} of '{c.node}' run together: no observation tells them apart; "
                    "merge the levels, or leave a component out"
                )
    return None


def _next(field: Field, f: Objective, optimum: Optimum, name: str) -> str:
    """What to try where the search ended at a bad place in the direction of a node."""
    node = name.split("[")[0]
    if f.singular(optimum.x):
        return (
            "a covariance matrix is singular here, at the edge of what it may be: state it as one "
            f"'covariance' parameter, or give '{node}' a start value nearer to zero or a prior"
        )
    value = dict(zip((c.node for c in field.coordinates), _values(field, f, optimum), strict=True))[node]
    return (
        f"it ended at {value}: try a start value elsewhere ('parameter {node} start ...'), a prior on "
        f"'{node}', fixing it, or more data"
    )


def _values(field: Field, f: Objective, optimum: Optimum) -> list[str]:
    """The values of outer nodes at the optimum, as text."""
    w = f.workspace(optimum.x)
    found = []
    for c in field.coordinates:
        v = w[field.tape.place(field.outer_registers[c.node])]
        found.append(f"{v[0]:.3g}" if v.size == 1 else f"{v.min():.3g} to {v.max():.3g}")
    return found
