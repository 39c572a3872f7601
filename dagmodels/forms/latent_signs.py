"""Latent variables that likelihood and priors do not tell from their negatives, and a rule that does.

Where no loading is fixed, a latent variable may change its sign together with all that is odd in it:
loadings, regressions, covariances, its mean. Half of the posterior mirrors the other half then, and draws are
turned so that one loading is positive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.moments import MomentsForm
from dagmodels.forms.outer_scale import BETWEEN, PLAIN, Scale
from dagmodels.numerics.moments import MEAN, PATH

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
POINTS = 3  # at which the symmetry is looked at, near the mode


@dataclass(frozen=True, eq=False, slots=True)
class Turn:
    """A symmetry: these coordinates change their sign together.

    latent : the variable. coordinates : of y. reference : the one that is to be positive.
    """

    latent: str
    coordinates: Ints
    reference: int

    def apply(self, y: Floats) -> None:
        """Turn points, one a row, in place."""
        away = np.flatnonzero(y[:, self.reference] < 0)
        y[np.ix_(away, self.coordinates)] *= -1.0


def turns(form: MomentsForm, scale: Scale, mode: Floats, hessian: Floats) -> tuple[Turn, ...]:
    """The symmetries of a density, those of latent variables with observed indicators first.

    mode, hessian : of the density in y. The reference is the loading that is largest at the mode in units of
    its standard deviation.
    """
    found: list[tuple[bool, Turn]] = []
    s = form.structure
    latent = np.setdiff1d(np.arange(s.order), s.observed)
    for v in latent.tolist():
        scopes: list[list[int]] = [[g] for g in range(s.groups)]
        own = [t for scope in scopes if (t := _turn(form, scale, mode, hessian, v, scope)) is not None]
        if not own and s.groups > 1:
            whole = _turn(form, scale, mode, hessian, v, list(range(s.groups)))
            own = [] if whole is None else [whole]
        found += own
    return tuple(t for _, t in sorted(found, key=lambda pair: not pair[0]))


def _turn(
    form: MomentsForm, scale: Scale, mode: Floats, hessian: Floats, v: int, groups: list[int]
) -> tuple[bool, Turn] | None:
    """The turn of a variable in some groups, and whether observed variables carry its reference."""
    s = form.structure
    if any(_fixed(form, v, g) for g in groups):
        return None
    here = np.isin(s.group, groups)
    one, other = s.row == v, s.column == v
    odd = here & np.where(s.kind == MEAN, one, (one != other))
    loading = odd & (s.kind == PATH) & other
    place = scale.place(mode)
    slopes = form.template.jacobian(form.workspace(place.x)) != 0
    moved = slopes[odd].any(axis=0) & ~slopes[~odd].any(axis=0)
    carried = [slopes[loading & seen].any(axis=0) & moved for seen in (np.isin(s.row, s.observed), True)]
    chosen = next(((k == 0, c) for k, c in enumerate(carried) if c.any()), None)
    if chosen is None or not _holds(form, scale, mode, hessian, odd, moved):
        return None
    size = np.abs(mode) * np.sqrt(np.maximum(np.diag(hessian), 0.0))
    reference = int(np.argmax(np.where(chosen[1], size, -1.0)))
    return chosen[0], Turn(form.variables[v][0], np.flatnonzero(moved), reference)


def _fixed(form: MomentsForm, v: int, g: int) -> bool:
    """Whether a number holds what is odd in the variable."""
    s = form.structure
    others = np.arange(s.order) != v
    parts = (s.paths[g][v, others], s.paths[g][others, v], s.covariances[g][v, others], s.means[g][[v]])
    return any(np.any(p != 0) for p in parts)


def _holds(
    form: MomentsForm, scale: Scale, mode: Floats, hessian: Floats, odd: NDArray[np.bool_],
    moved: NDArray[np.bool_],
) -> bool:  # fmt: skip
    """Whether the turn leaves all else as it is, priors too, at points near the mode."""
    if not np.isin(scale.kind[moved], (PLAIN, BETWEEN)).all():
        return False
    if np.any(scale.lower[moved] != -scale.upper[moved]):
        return False
    return all(_mirrored(form, scale, y, odd, moved) for y in _near(mode, hessian))


def _near(mode: Floats, hessian: Floats) -> Iterator[Floats]:
    rng = np.random.default_rng(1)
    sd = 1.0 / np.sqrt(np.maximum(np.diag(hessian), 1e-12))
    for _ in range(POINTS):
        yield mode + np.minimum(sd, 1.0) * rng.standard_normal(mode.size)


def _mirrored(
    form: MomentsForm, scale: Scale, y: Floats, odd: NDArray[np.bool_], moved: NDArray[np.bool_]
) -> bool:
    t, values = form.template, []
    for point in (y, np.where(moved, -y, y)):
        w = form.workspace(scale.place(point).x)
        values.append((t.data * w[t.source], float(t.prior_counts @ w[t.prior_places])))
    (here, prior), (there, mirrored) = values
    alike = np.allclose(np.where(odd, -here, here), there, rtol=1e-9, atol=1e-12)
    return bool(alike and abs(prior - mirrored) <= 1e-9 * max(1.0, abs(prior)))
