"""Responses drawn from a mixed model: random effects, means, and a law of each row's response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.bootstrap import check_draws
from dagmodels.results.mixed.expected import Law, inverse_link, probabilities
from dagmodels.results.mixed.structure import before
from dagmodels.results.mixed.variances import term_covariances

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.naming import Rows

Floats = NDArray[np.float64]
Keep = tuple[bool, ...]


def simulate(fit: MixedFit, draws: int, seed: int, re_form: Any, new: Any) -> DataFrame:
    """See `MixedFit.simulate`. New effects for the rows fitted are drawn as `bootstrap` draws them."""
    from pandas import DataFrame

    check_draws(draws, seed, 1, "the simulation")
    keep = _kept(fit, re_form)
    streams = [np.random.SeedSequence(int(seed), spawn_key=(k,)) for k in range(draws)]
    if new is None and not any(keep):
        drawn = [np.ravel(next(iter(y.values()))) for y in fit.refitter().simulate(streams)]
    else:
        work = _Drawing(fit, keep, new)
        drawn = [work.draw(np.random.default_rng(s)) for s in streams]
    return DataFrame({f"sim_{k + 1}": y for k, y in enumerate(drawn)})


def _kept(fit: MixedFit, re_form: Any) -> Keep:
    """Which terms keep their modes."""
    chosen = fit._chosen(re_form)
    parts = list(zip(fit.naming.terms, chosen, strict=True))
    faults = [
        ModelError(
            f"re_form names {', '.join(t.effects[k] for k in c)} by '{t.factor}', and not the whole term "
            f"({', '.join(t.effects)} | {t.factor})",
            hint="effects of one term are drawn, or kept, together",
        )
        for t, c in parts
        if 0 < len(c) < len(t.effects)
    ]
    raise_all(faults, "simulate")
    return tuple(bool(c) for c in chosen)


class _Drawing:
    """What draws need, once."""

    def __init__(self, fit: MixedFit, keep: Keep, new: Any) -> None:
        from dagmodels.results.mixed.prediction import residual_scales, row_weights

        self.fit, self.keep = fit, keep
        structure = fit.naming.structure
        if new is not None and structure is not None and structure.phi:
            told = "responses with correlation= hang together, and are drawn for the rows fitted alone"
            raise_all([ModelError(told, hint="leave out new=")], "simulate")
        self.rows: Rows = fit.rows if new is None else fit.design.replay(new)
        self.weights = row_weights(fit, self.rows)
        self.spread = self._spread(residual_scales, new)
        self.roots = []
        for matrix in term_covariances(fit):
            values, vectors = np.linalg.eigh(matrix)
            self.roots.append(vectors * np.sqrt(np.maximum(values, 0.0)))
        self.missing = None
        if new is None and fit.rows.response is not None:
            self.missing = np.isnan(fit.rows.response)

    def _spread(self, of_residuals: Any, new: Any) -> Any:
        if self.fit.naming.family == "gaussian":
            return of_residuals(self.fit, self.rows, new)
        if self.fit.naming.of_kind("disp"):
            return np.exp(self.fit._fixed_part(self.rows, "disp"))
        return self.fit.sigma

    def draw(self, rng: np.random.Generator) -> Floats:
        """One response a row; NaN where the fit had none."""
        naming, rows = self.fit.naming, self.rows
        eta = {part: self.fit._fixed_part(rows, part) for part in ("cond", "zi")[: 2 if self._zeros else 1]}
        for k, term in enumerate(naming.terms):
            eta[term.part] = eta[term.part] + self._effects(k, rng)
        if naming.levels:
            cut = np.array([r.estimate for r in self.fit.components if r.kind == "threshold"])
            share = probabilities(naming.link, eta["cond"], cut).cumsum(axis=1)
            y = (rng.random(rows.n)[:, None] > share[:, :-1]).sum(axis=1).astype(float)
        else:
            shape = next((r.estimate for r in self.fit.components if r.kind == "shape"), np.nan)
            positive = inverse_link("logit", -eta["zi"]) if self._zeros else 1.0
            mean = inverse_link(naming.link, eta["cond"])
            self._check(mean)
            law = Law(naming.family, mean, self.spread, float(shape), positive, self.weights)
            y = law.draw(rng) if not self._chained else mean + self._residuals(rng)
        return y if self.missing is None else np.where(self.missing, np.nan, y)

    @property
    def _zeros(self) -> bool:
        return self.fit._has_zeros

    @property
    def _chained(self) -> bool:
        return self.fit.naming.structure is not None and bool(self.fit.naming.structure.phi)

    def _effects(self, k: int, rng: np.random.Generator) -> Floats:
        """What a term adds to each row: modes that are kept, and new effects."""
        (codes, columns), own = self.rows.random[k], self.rows.own[k]
        drawn = rng.standard_normal((int(own.max(initial=-1)) + 1, len(columns))) @ self.roots[k].T
        effects = drawn[own]
        if self.keep[k]:
            effects = np.where((codes >= 0)[:, None], self.fit._modes[k][codes], effects)
        parts = [effects[:, j] if c is None else effects[:, j] * c for j, c in enumerate(columns)]
        return np.sum(parts, axis=0)

    def _check(self, mean: Floats) -> None:
        """Means drawn beyond the family's range, by a link that does not see to it."""
        wrong = np.flatnonzero(~(mean >= 0)) if self.fit.naming.family not in ("gaussian", "t") else ()
        if len(wrong):
            told = f"the mean drawn for row {wrong[0] + 1} is {mean[wrong[0]]:.4g}, and must be positive"
            hint = f"the link '{self.fit.naming.link}' does not see to it: take 'log'"
            raise_all([ModelError(told, hint=hint)], "simulate")

    def _residuals(self, rng: np.random.Generator) -> Floats:
        """Autocorrelated within groups: r_t = phi**d r_s + sqrt(1 - phi**(2d)) e, times the scales."""
        residual = self.fit.rows.residual
        assert residual is not None
        assert residual.time is not None
        phi = next(r.estimate for r in self.fit.components if r.kind == "phi")
        previous, gap = before(residual, np.ones(self.rows.n, dtype=bool))
        share = np.where(previous >= 0, phi**gap, 0.0)
        r = rng.standard_normal(self.rows.n)
        innovation = r * np.sqrt(1 - share**2)
        for i in np.argsort(residual.time, kind="stable"):
            r[i] = innovation[i] + (share[i] * r[previous[i]] if previous[i] >= 0 else 0.0)
        return r * self.spread / np.sqrt(self.weights)
