"""The `moments` form by weighted least squares: statistics s of each group against those implied, sigma(x).

    F(x) = sum over groups of (n - 1) (s - sigma)' V (s - sigma)

(Browne 1984, Br. J. Math. Stat. Psychol. 37:62; Muthen, du Toit and Spisic 1997). Standard errors and tests
take n times the sampling covariance of s, Gamma, where V is not its inverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.implied import Implied, Space
from dagmodels.forms.moments import Criterion, MomentsForm
from dagmodels.numerics.moments import Moments, Sample, Structure
from dagmodels.numerics.weights import NormalTheory, Weights

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """One group's n rows, statistics (q,), their weights, and Gamma (q, q) where it is known."""

    n: float
    value: Floats
    weights: Weights
    gamma: Floats | None


@dataclass(frozen=True, eq=False)
class LeastSquaresForm(MomentsForm):
    """A form whose criterion is a sum of squares.

    inner : the structure that statistics are implied by: given the covariates where slopes are on some.
    space : what the statistics are. parts : of each group. weighting : "ULS", "GLS", "DWLS" or "WLS".
    sampling : how Gamma is estimated, as of `build_least_squares.Weighting`.
    """

    inner: Structure = None  # type: ignore[assignment]  # always given
    space: Space = None  # type: ignore[assignment]
    parts: tuple[Part, ...] = ()
    weighting: str = "DWLS"
    sampling: str = ""

    def at(self, x: Floats) -> LeastSquares:
        return LeastSquares(self, x)

    def with_sample(self, sample: Sample) -> LeastSquaresForm:
        """The form of other means and covariances, these divided by n - 1.

        Raises
        ------
        FitError : weights or errors that take the rows.
        """
        from dagmodels.forms.build_least_squares import of_sample

        return of_sample(self, sample)

    def with_values(self, values: Floats) -> LeastSquaresForm:
        """The form of other rows in the same groups; raises as `build_least_squares`."""
        from dagmodels.forms.build_least_squares import of_values

        return of_values(self, values)

    @property
    def method(self) -> str:
        what = "means and covariances" if self.template.thresholds is None else "thresholds and correlations"
        return f"least squares ({self.weighting}) of {what} of one {self.units}"

    def conditional(self, at: Criterion) -> dict[str, tuple[Floats, Floats]]:
        """As of every form; where variables are ordered, modes of the latent ones."""
        if self.template.thresholds is None:
            return super().conditional(at)
        from dagmodels.forms.ordered_scores import ordered_scores

        assert isinstance(at, LeastSquares)
        t = self.structure.order
        mean, sd = np.zeros((len(self.values), t)), np.zeros((len(self.values), t))
        latent = np.setdiff1d(np.arange(t), self.structure.observed)
        mean[:, latent], sd[:, latent] = ordered_scores(at, self.values, self.group_of, latent)
        return {self.units: (mean, sd)}

    def start(self, x: Floats) -> Floats:
        """Thresholds are those of the data, in units of each response's standard deviation."""
        t = self.template.thresholds
        if t is None:
            return x
        at, slots = np.flatnonzero(self.space.slots >= 0), self.space.slots
        seen = np.zeros(t.base.shape)
        for g, p in enumerate(self.parts):
            seen[g, slots[at]] = p.value[at]
        where = np.full(self.tape.initial.size, -1, dtype=np.int64)
        where[self.x_places] = np.arange(self.x_places.size)
        own = np.flatnonzero(where[t.source] >= 0)
        found = x.copy()
        found[where[t.source[own]]] = seen[t.group[own], t.slot[own]]
        return found

    @property
    def freedom(self) -> float:
        """Rows less groups: what standard errors divide by."""
        return sum(p.n for p in self.parts) - len(self.parts)

    @property
    def shares(self) -> Floats:
        """(G,) share of each group in all rows."""
        n = np.array([p.n for p in self.parts])
        return n / n.sum()


class LeastSquares(Criterion):
    """The criterion at x; its `value` is the test statistic.

    deviance : the same, for callers that compare criteria; there is no likelihood.
    """

    form: LeastSquaresForm
    likelihood = False

    def __init__(self, form: LeastSquaresForm, x: Floats) -> None:
        self.form, self.x = form, x
        t = self.template = form.template
        needed = t.indirect[0].size or t.prior_places.size or t.thresholds is not None
        self.w = form.workspace(x) if needed else None
        self._moments = Moments(form.inner, form.sample, self.entries)
        self.value = float(sum((p.n - 1) * float(d @ p.weights.times(d)) for p, d in self._gaps()))
        self.deviance = self.value
        if t.prior_places.size:
            assert self.w is not None
            self.value += float(t.prior_counts @ self.w[t.prior_places])
        if not (np.isfinite(self.value) and self._has_scale()):
            self.value = np.inf

    def _has_scale(self) -> bool:
        """Whether every latent response has a positive variance."""
        cut = self.form.space.parts.ordered
        return all(bool((i.variance[cut] > 0).all()) for i in self.implied)

    @cached_property
    def moments(self) -> Moments:  # type: ignore[override]
        """Of all variables together with the covariates."""
        same = self.form.inner is self.form.structure
        return self._moments if same else Moments(self.form.structure, self.form.sample, self.entries)

    @cached_property
    def thresholds(self) -> Floats:
        """(G, T)."""
        t = self.template.thresholds
        if t is None:
            return np.zeros((len(self.form.parts), 0))
        assert self.w is not None
        return t.values(self.w)

    @cached_property
    def threshold_jacobian(self) -> Floats:
        """Derivatives of thresholds in the coordinates, (G, T, k)."""
        t, k = self.template.thresholds, self.x.size
        found = np.zeros((*self.thresholds.shape, k))
        if t is not None:
            assert self.w is not None
            np.add.at(
                found, (t.group, t.slot), t.data[:, None] * self.template.place_slopes(self.w, t.source)
            )
        return found

    @cached_property
    def implied(self) -> tuple[Implied, ...]:
        """By group."""
        m, f = self._moments, self.form
        return tuple(
            Implied(f.space, f.inner, g, m.b[g], m.covariance[g], m.mean[g], self.thresholds[g])
            for g in range(len(f.parts))
        )

    def _gaps(self) -> list[tuple[Part, Floats]]:
        return [(p, p.value - i.value) for p, i in zip(self.form.parts, self.implied, strict=True)]

    def _entries(self, g: int) -> Floats:
        """Derivatives of a group's entries in the coordinates, (e, k)."""
        return self.jacobian[self.form.inner.members[g]]

    @cached_property
    def slopes(self) -> tuple[Floats, ...]:
        """Derivatives of each group's implied statistics in the coordinates, (q, k)."""
        found = []
        for g, i in enumerate(self.implied):
            j = i.slopes() @ self._entries(g)
            at, slots, by = i.threshold_slopes()
            j[at] += by[:, None] * self.threshold_jacobian[g, slots]
            found.append(j)
        return tuple(found)

    @cached_property
    def gradient(self) -> Floats:  # type: ignore[override]
        found = np.zeros(self.x.size)
        for g, ((p, d), i) in enumerate(zip(self._gaps(), self.implied, strict=True)):
            pull = p.weights.times(d)
            along = self._entries(g).T @ i.pulled(pull) if i.plain else self.slopes[g].T @ pull
            found -= 2.0 * (p.n - 1) * along
        return found + self._prior_gradient() if self.template.prior_places.size else found

    @cached_property
    def _products(self) -> list[Floats]:
        """J'V J of each group."""
        found = []
        for g, (p, i) in enumerate(zip(self.form.parts, self.implied, strict=True)):
            if i.plain and isinstance(p.weights, NormalTheory):
                along = self._entries(g)
                found.append(along.T @ i.normal_information(p.weights.inverse) @ along)
            else:
                found.append(self.slopes[g].T @ p.weights.times(self.slopes[g]))
        return found

    def _squares(self, counts: Floats) -> Floats:
        """Sum over groups of count J'V J."""
        return np.sum([c * a for c, a in zip(counts.tolist(), self._products, strict=True)], axis=0)

    def information(self) -> Floats:
        """Gauss and Newton's part of the Hessian."""
        found = 2.0 * self._squares(np.array([p.n - 1 for p in self.form.parts]))
        if self.template.prior_places.size:
            found = found + np.diag(np.maximum(np.diag(self._bent(np.zeros(self.template.source.size))), 0.0))
        return found

    def hessian(self) -> Floats:
        """Exact up to differences of exact first derivatives of entries that are not plain coordinates."""
        found = 2.0 * self._squares(np.array([p.n - 1 for p in self.form.parts]))
        bent = np.zeros(self.template.source.size)
        for g, ((p, d), i) in enumerate(zip(self._gaps(), self.implied, strict=True)):
            weights = -2.0 * (p.n - 1) * p.weights.times(d)
            bent[self.form.inner.members[g]] = i.pulled(weights) if i.plain else weights @ i.slopes()
            found += i.curvature(weights, self._entries(g), self.threshold_jacobian[g])
        if self.template.indirect[0].size or self.template.prior_places.size:
            found = found + self._bent(bent)
        return 0.5 * (found + found.T)

    def error_information(self, hessian: Floats, *, expected: bool) -> Floats:
        """Twice J'V J weighted as standard errors are, whichever information is asked for."""
        del hessian, expected
        return 2.0 * self._squares(self.form.freedom * self.form.shares)

    def meat(self, kind: str, clusters: Ints | None = None) -> Floats:
        """The middle of a sandwich: J'V Gamma V J, weighted as `error_information`."""
        del kind, clusters
        found = np.zeros((self.x.size, self.x.size))
        for share, p, j in zip(self.form.shares.tolist(), self.form.parts, self.slopes, strict=True):
            assert p.gamma is not None
            turned = p.weights.times(j)
            found += self.form.freedom * share * (turned.T @ p.gamma @ turned)
        return found
