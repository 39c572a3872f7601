"""A fitted mixed model under lme4's names. Over 500 lines: all that a fit can be asked stands in one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.fit import Columns, Fit
from dagmodels.results.mixed.components import Component, Floats, components, covariance, table
from dagmodels.results.mixed.expected import Law, inverse_link
from dagmodels.results.mixed.inference import Inference
from dagmodels.results.mixed.naming import FixedTerm, Grid, Naming, Rows
from dagmodels.results.mixed.structure import ResidualRows, normalized, scales
from dagmodels.results.mixed.variances import alike_effects
from dagmodels.results.shown import Shown

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from dagmodels.results.mixed.conditional import Conditional
    from dagmodels.results.mixed.refitter import MixedRefitter
    from dagmodels.results.refitting import Target


class Design(Protocol):
    """What makes design rows of new data, and picks terms by a formula; a reader provides it."""

    def replay(self, new: Any, used: Sequence[int] | None = None) -> Rows:
        """The design of new rows; `used`: the random terms to make columns of, None for all."""
        ...

    def residual(self, new: Any) -> ResidualRows:
        """What a structure of the residuals needs of new rows."""
        ...

    def chosen(self, re_form: str) -> tuple[tuple[int, ...], ...]:
        """For each random term the effects that a formula names."""
        ...

    def fixed_terms(self) -> tuple[FixedTerm, ...]:
        """The terms of the fixed part."""
        ...

    def grid(self, at: Mapping[str, Any], rows: Any) -> Grid:
        """Combinations of the variables of the fixed part."""
        ...


OVERDISPERSED = ("negative.binomial", "nbinom1", "truncated_nbinom1", "truncated_nbinom2")


@dataclass(frozen=True, eq=False, repr=False)
class MixedFit(Inference, Fit):
    """A fit of `lmer` or `glmer`.

    `estimates` has lme4's names and the columns kind (fixed, sd, cor, sigma; for other families than lme4's
    also threshold, zi, disp, dispersion, shape), group, term, term2.

    naming : what is called what.
    rows : the design of the data fitted.
    design : makes design rows of new data.
    inner : the same fit under the graph's names, as `Graph.fit` gives it; `latents` are its own.
    components : the estimates as rows.
    ddf : method of degrees of freedom that `estimates` and `summary` show; see `with_ddf`.
    """

    naming: Naming = field(default=None, repr=False)  # type: ignore[assignment]  # always given
    rows: Rows = field(default=None, repr=False)  # type: ignore[assignment]
    design: Design = field(default=None, repr=False)  # type: ignore[assignment]
    inner: Fit = field(default=None, repr=False)  # type: ignore[assignment]
    components: tuple[Component, ...] = field(default=(), repr=False)
    ddf: str | None = None

    INSIDE: ClassVar[frozenset[str]] = Fit.INSIDE | {
        *("components", "design", "rows", "sampling_covariance", "judge", "beta", "conditional")
    }

    @cached_property
    def latent_table(self) -> Columns:
        """The columns of `latents`."""
        return self.inner.latent_table

    @property
    def sampling_covariance(self) -> Floats:
        """Of the estimates, in their order."""
        assert self.covariance_matrix is not None
        return self.covariance_matrix

    @property
    def n_missing(self) -> int:
        """How many responses are missing."""
        return 0 if self.rows.response is None else int(np.isnan(self.rows.response).sum())

    @property
    def sigma(self) -> float:
        """The residual standard deviation (of the first stratum, where there are several), or the family's
        own parameter of spread; 1 where there is none.

        Raises
        ------
        ModelErrors : it varies by row, by a dispformula.
        """
        if self.naming.of_kind("disp"):
            hint = "predict(type='disp') gives one a row"
            raise_all([ModelError("the parameter of spread varies by row", hint=hint)], "sigma")
        return next((r.estimate for r in self.components if r.kind in ("sigma", "dispersion")), 1.0)

    @property
    def singular(self) -> bool:
        """Whether a covariance matrix of random effects is singular."""
        own = {e.name for e in self.naming.extras}
        return any(name not in own for name in self.boundary)

    # -- lme4's extractors

    def fixef(self) -> Series[float]:
        """Fixed effects by name."""
        from pandas import Series

        rows = [r for r in self.components if r.kind == "fixed"]
        return Series([r.estimate for r in rows], index=[r.name for r in rows], dtype=float)

    def VarCorr(self) -> DataFrame:
        """Variances and covariances: grp, var1, var2, vcov, sdcor, as `as.data.frame(VarCorr(fit))`."""
        from pandas import DataFrame

        sd = {(r.group, r.term): r.estimate for r in self.components if r.kind == "sd"}
        rows = []
        for r in self.components:
            if r.kind in ("sd", "sigma"):
                rows.append((r.group, r.term, None, r.estimate**2, r.estimate))
            elif r.kind == "cor":
                both = sd[r.group, r.term] * sd[r.group, r.term2]
                cov = r.estimate * both if both > 0 else 0.0
                rows.append((r.group, r.term, r.term2, cov, r.estimate))
        return DataFrame(rows, columns=["grp", "var1", "var2", "vcov", "sdcor"])

    def ranef(self, *, sd: bool = False) -> dict[str, DataFrame]:
        """Conditional modes by grouping factor: a row a level, a column an effect.

        sd : their conditional standard deviations (given the parameters) instead.
        """
        from pandas import DataFrame, concat

        found: dict[str, list[DataFrame]] = {}
        for term, values in zip(self.naming.terms, self._spreads if sd else self._modes, strict=True):
            frame = DataFrame(values, index=list(term.levels), columns=list(term.effects))
            found.setdefault(term.factor, []).append(frame)
        return {g: parts[0] if len(parts) == 1 else concat(parts, axis=1) for g, parts in found.items()}

    @cached_property
    def _modes(self) -> list[Floats]:
        """Modes of each term, levels by effects."""
        if self.inner.latent_modes is None:
            return self._of_table("deviation", "estimate")
        modes = self.inner.latent_modes()
        found = []
        for term in self.naming.terms:
            labels, values = modes[term.node]
            wanted = (term.levels,) if term.structure == "scalar" else (term.levels, term.effects)
            at = [_places(have, want) for have, want in zip(labels, wanted, strict=True)]
            found.append(values[np.ix_(*at)].reshape(len(term.levels), len(term.effects)))
        return found

    @cached_property
    def _spreads(self) -> list[Floats]:
        """Conditional standard deviations of each term's modes, levels by effects."""
        return self._of_table("deviation_sd", "sd")

    def _of_table(self, column: str, otherwise: str) -> list[Floats]:
        columns = self.inner.latent_table
        place = {name: i for i, name in enumerate(columns["name"])}
        values = np.asarray(columns.get(column, columns[otherwise]), dtype=float)
        found = []
        for term in self.naming.terms:
            effects = range(len(term.effects))
            at = np.array([[place[term.element(level, k)] for k in effects] for level in term.levels])
            found.append(values[at])
        return found

    # -- expected values

    def fitted(self) -> Floats:
        """Expected responses of the rows fitted, missing ones included."""
        return self.predict()

    def residuals(self, type: str = "response", level: int | None = None) -> Floats:
        """Responses less expected ones, NaN where missing.

        type : "response"; "pearson" (divided by the root of the family's variance function over the weight,
            as in lme4; by the standard deviation, as in nlme, where the fit has variance= or correlation=);
            "deviance" (signed roots of the deviance's parts); "scaled" (divided by the standard deviation
            that the model gives each response); "normalized" (these, freed of their autocorrelation).
        level : how many grouping factors the expected values count in, those with fewest levels first: 0
            for fixed effects alone, None for all.
        """
        from dagmodels.results.mixed.residuals import TYPES, residual

        assert self.rows.response is not None
        faults = []
        if type not in TYPES:
            faults.append(
                ModelError(f"type={type!r} is unknown", hint=f"one of {', '.join(map(repr, TYPES))}")
            )
        factors = list(dict.fromkeys(t.factor for t in reversed(self.naming.terms)))
        if level is not None and (not isinstance(level, int) or not 0 <= level <= len(factors)):
            hint = f"0 to {len(factors)}: {', '.join(factors)}"
            faults.append(ModelError(f"level={level!r} is no number of grouping factors", hint=hint))
        raise_all(faults, "residuals")
        used = factors if level is None else factors[:level]
        chosen = tuple(tuple(range(len(t.effects))) if t.factor in used else () for t in self.naming.terms)
        if self.naming.levels:
            told = "grades have no residuals"
            hint = "predict() gives the probability of each grade"
            raise_all([ModelError(told, hint=hint)], "residuals")
        structured = self.naming.structure is not None
        kind = "scaled" if type == "normalized" or (type == "pearson" and structured) else type
        found = residual(kind, self._law(self.rows, chosen), self.rows.response)
        return normalized(self, found) if type == "normalized" else found

    def leverage(self) -> Floats:
        """Leverage of each row (see `Fit.leverage`), as lme4 `hatvalues`; NaN for missing ones."""
        return np.ravel(self.inner.leverage())

    def cooks_distance(self, by: str | None = None) -> Any:
        """Cook's distance of the fixed effects, the variances held (see `Fit.cooks_distance`): one a row.

        by : a grouping factor, for a Series over its levels, each left out with all its rows.
        """
        if by is None:
            return np.ravel(self.inner.cooks_distance())
        from pandas import Series

        factors = [t.factor for t in self.naming.terms]
        if by not in factors:
            hint = f"there are {', '.join(dict.fromkeys(factors))}"
            raise_all([ModelError(f"there is no grouping factor {by!r}", hint=hint)], "Cook's distance")
        term, (codes, _) = self.naming.terms[factors.index(by)], self.rows.random[factors.index(by)]
        (node,) = (n.name for n in self.graph.nodes.values() if n.role == "observed")
        found = self.inner.influence().cooks({node: codes}, len(term.levels))
        return Series(found, index=list(term.levels), name="cooks_distance")

    def predict(
        self,
        new: Any = None,
        re_form: Any = None,
        allow_new_levels: bool = False,
        type: str = "response",
        se_fit: bool = False,
        interval: str | None = None,
        level: float = 0.95,
        **unknown: Any,
    ) -> Any:
        """Expected responses of new rows: an array, or a frame where standard errors or limits are asked for.

        Parameters
        ----------
        new : a frame with the columns of the formula, or None for the rows fitted. Factor levels, knots
            and polynomials are those of the fit. Random terms that are left out need no columns.
        re_form : None for all random terms, "NA" (or False, "~0") for none, or a formula of those to
            count in, such as "~ (1 | Subject)".
        allow_new_levels : levels of grouping factors that the fit has not seen get no deviation, instead
            of an error; their standard errors count the variance of their own effects in.
        type : "response", or "link" for the linear predictor. With a ziformula also "conditional" (expected
            values of those that are no structural zeros), "zprob" (probability of a structural zero) and
            "zlink"; with a parameter of spread "disp" (one a row). For grades "response" gives their
            probabilities, rows by grades, and "class" the most probable one.
        se_fit : a frame with fit and se_fit, the standard error of the expected response given the variance
            parameters: that of fixed effects and conditional modes together, as lme4's `se.fit`.
        interval : "confidence" adds lower and upper, limits of the expected response; "prediction" those of
            a new response of Normal models, the residual variance added.
        level : of the interval.

        Raises
        ------
        ModelErrors : new levels, missing columns or values; families without closed standard errors.
        """
        from dagmodels.results.mixed.prediction import check, checked_rows, expected, with_errors

        given = {"type": type, "se_fit": se_fit, "interval": interval, "level": level}
        check(self, self._kinds_of_prediction(), given, unknown)
        chosen = self._chosen(re_form)
        rows = checked_rows(self, new, chosen, allow_new_levels)
        if se_fit or interval is not None:
            return with_errors(self, rows, chosen, new, type, se_fit, interval, level)
        return expected(self, rows, chosen, type)

    @cached_property
    def conditional(self) -> Conditional:
        """Covariance of fixed effects and conditional modes together, the variance parameters held."""
        from dagmodels.results.mixed.conditional import conditional

        return conditional(self)

    def _kinds_of_prediction(self) -> tuple[str, ...]:
        zeros = ("conditional", "zprob", "zlink") if self._has_zeros else ()
        spread = ("disp",) if self.naming.sigma or self.naming.of_kind("disp") else ()
        grades = ("class",) if self.naming.levels else ()
        return ("response", "link", *zeros, *spread, *grades)

    @property
    def _has_zeros(self) -> bool:
        return bool(self.rows.zero) or any(t.part == "zi" for t in self.naming.terms)

    def _law(self, rows: Rows, chosen: tuple[tuple[int, ...], ...]) -> Law:
        """The law of each row's response."""
        eta = self._linear_predictor(rows, chosen)
        shape = next((r.estimate for r in self.components if r.kind == "shape"), np.nan)
        positive: Any = 1.0
        if self._has_zeros:
            positive = inverse_link("logit", -self._linear_predictor(rows, chosen, "zi"))
        spread: Any
        if self.naming.of_kind("disp"):
            spread = np.exp(self._fixed_part(rows, "disp"))
        else:
            spread = self.sigma if self.naming.structure is None or rows is not self.rows else scales(self)
        weights = 1.0 if rows.weights is None else rows.weights
        mean = inverse_link(self.naming.link, eta)
        return Law(self.naming.family, mean, spread, float(shape), positive, weights)

    def _fixed_part(self, rows: Rows, part: str) -> Floats:
        """Coefficients of one predictor by their columns, the offset included in the mean's."""
        kind, columns = {
            "cond": ("fixed", rows.fixed),
            "zi": ("zi", rows.zero),
            "disp": ("disp", rows.spread),
        }[part]
        eta = np.zeros(rows.n) if rows.offset is None or part != "cond" else rows.offset.copy()
        own = (r for r in self.components if r.kind == kind)
        for row, column in zip(own, columns, strict=True):
            eta += row.estimate if column is None else row.estimate * column
        return eta

    def _linear_predictor(
        self, rows: Rows, chosen: tuple[tuple[int, ...], ...], part: str = "cond"
    ) -> Floats:
        """With the chosen effects of each random term."""
        eta = self._fixed_part(rows, part)
        if any(chosen):
            parts = zip(self.naming.terms, self._modes, rows.random, chosen, strict=True)
            for term, modes, (codes, columns), picked in parts:
                if term.part != part:
                    continue
                padded = np.vstack([modes, np.zeros(modes.shape[1])])  # -1, a new level, is the last row
                for k in picked:
                    effect = padded[codes, k]
                    eta += effect if columns[k] is None else effect * columns[k]
        return eta

    # -- the fit once more

    def simulate(self, draws: int = 1, seed: int = 1, re_form: Any = "NA", new: Any = None) -> DataFrame:
        """Responses drawn from the fit: a column sim_1, sim_2, ... each, one row a row of the data.

        Parameters
        ----------
        draws : how many, as lme4's `nsim`.
        seed : of all random numbers; the first draws of a longer run are those of a shorter one, and those
            that `bootstrap` fits with the same seed.
        re_form : "NA" draws new random effects, None keeps the conditional modes, a formula keeps the modes
            of the terms named and draws the others.
        new : a frame with rows to draw for; None for those fitted. Levels not seen are always drawn.

        Responses are as `refit` takes them: of binomial models counts of successes, of grades their places
        among the levels, from 0. Rows whose response was missing have none.

        Raises
        ------
        ModelErrors : arguments out of range; rows that cannot be drawn for.
        """
        from dagmodels.results.mixed.draws import simulate

        return simulate(self, draws, seed, re_form, new)

    def refit(self, y: Any) -> MixedFit:
        """The fit for other responses in the same rows: one a row, missing ones ignored (see `Fit.refit`).

        For binomial models they are counts of successes.
        """
        return self.refitter().fit(y)

    def refitter(self) -> MixedRefitter:
        """What refits in a loop, under lme4's names; see `Fit.refitter`."""
        from dagmodels.results.mixed.refitter import MixedRefitter

        return MixedRefitter(self)

    def domains(self) -> tuple[Floats, Floats]:
        """Lowest and highest value that each estimate may have."""
        kinds = [r.kind for r in self.components]
        free = ("fixed", "threshold", "zi", "disp", "delta")
        lowest = {**dict.fromkeys(free, -np.inf), "cor": -1.0, "phi": -1.0}
        highest = {"cor": 1.0, "phi": 1.0}
        return np.array([lowest.get(k, 0.0) for k in kinds]), np.array(
            [highest.get(k, np.inf) for k in kinds]
        )

    def targets(self, names: Sequence[str]) -> list[Target]:
        """Estimates as functions of the graph's own."""
        from dagmodels.results.mixed.refitter import component_targets

        return component_targets(self, names)

    def _chosen(self, re_form: Any) -> tuple[tuple[int, ...], ...]:
        every = tuple(tuple(range(len(t.effects))) for t in self.naming.terms)
        if re_form is None:
            return every
        text = "NA" if re_form is False or re_form != re_form else str(re_form)
        if text.replace(" ", "") in ("NA", "~0", "0", "~NA"):
            return tuple(() for _ in every)
        return self.design.chosen(text if text.lstrip().startswith("~") else f"~ {text}")

    def summary(self, ddf: str | None = None) -> str:
        """What lme4 prints, and the certificate of the optimum.

        ddf : "Satterthwaite" or "Kenward-Roger" adds degrees of freedom and p values, as lmerTest does.
        """
        from dagmodels.results.mixed.text import summary

        return Shown(summary(self, ddf or self.ddf))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return f"<pre>{escape(str(self))}</pre>"


def _places(have: tuple[str, ...], want: tuple[str, ...]) -> NDArray[np.int64]:
    """Where wanted labels stand."""
    if have == tuple(want):
        return np.arange(len(have))
    place = {label: i for i, label in enumerate(have)}
    return np.array([place[label] for label in want])


def mixed_fit(inner: Fit, naming: Naming, rows: Rows, design: Design) -> MixedFit:
    """A backend's fit of a formula's graph -> the same under lme4's names."""
    raw = inner.estimate_columns
    values = dict(zip(raw["name"], raw["estimate"], strict=True))
    found = components(naming, values)
    matrix = np.empty((0, 0)) if inner.covariance_matrix is None else inner.covariance_matrix
    total = covariance(found, inner.covariance_names, matrix)
    what = dict(zip(raw["name"], raw.get("what", ()), strict=False))
    boundary, sentences = _edges(inner, naming)
    spoken = [w for w in inner.warnings if "on the boundary of its domain" not in w]
    if naming.dropped:
        count = len(naming.dropped)
        spoken.append(
            "fixed-effect model matrix is rank deficient so dropping "
            f"{count} column{'s' if count > 1 else ''} / coefficient{'s' if count > 1 else ''}: "
            f"{', '.join(naming.dropped)}"
        )
    if not inner.converged:
        spoken.extend(alike_effects(naming, rows))
    same = {f.name: getattr(inner, f.name) for f in fields(Fit)}
    more = ""
    zeros = {e.node.partition("[")[0] for e in naming.of_kind("zi")}
    if not inner.converged and any(f"'{node}" in inner.message for node in zeros):
        more = "; the law of the counts explains all zeros: leave ziformula out"
    changed: dict[str, Any] = {
        "message": _renamed(inner.message, naming) + more,
        "estimate_columns": table(found, total, what),
        "measures": {
            **inner.measures,
            "df": inner.n_parameters,
            "df_resid": inner.n_observations - inner.n_parameters,
        },
        "boundary": boundary,
        "warnings": (*(_renamed(w, naming) for w in spoken), *sentences),
        "covariance_names": tuple(c.name for c in found),
        "covariance_matrix": total,
    }
    return MixedFit(
        **{**same, **changed},
        naming=naming,
        rows=rows,
        design=design,
        inner=inner,
        components=tuple(found),
    )


def _renamed(sentence: str, naming: Naming) -> str:
    """A sentence about the graph's unknowns with lme4's names."""
    for label in naming.coefficients:
        sentence = sentence.replace(f"'{naming.beta}[{label}]'", f"'{label}'")
    for term in naming.terms:
        if term.structure == "scalar":
            sentence = sentence.replace(f"'{term.spread}'", f"'sd_{term.effects[0]}|{term.factor}'")
    return sentence


def _edges(inner: Fit, naming: Naming) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What lies on the boundary under lme4's names, and sentences that say what that means."""
    names: list[str] = []
    told: list[str] = []
    for edge in inner.boundary:
        for term in naming.terms:
            if edge.partition("[")[0] not in (term.spread, term.rho):
                continue
            zero = [e for e in term.effects if edge in (f"{term.spread}[{e}]", f"{term.spread}[{e}, {e}]")]
            if edge == term.spread and (term.structure == "scalar" or term.equal):
                zero = list(term.effects)
            if zero:
                names.extend(f"sd_{e}|{term.factor}" for e in zero)
                told.append(f"the variance of {' and '.join(zero)} by {term.factor} is zero")
            elif len(term.effects) == 2:
                names.append(f"cor_{term.effects[1]}.{term.effects[0]}|{term.factor}")
                told.append(
                    f"the correlation of {term.effects[0]} and {term.effects[1]} by {term.factor} is 1 or -1"
                )
            else:
                names.append(f"cor|{term.factor}")
                told.append(f"a combination of {', '.join(term.effects)} by {term.factor} has variance zero")
            break
        else:
            extra = next((e for e in naming.extras if e.node == edge), None)
            names.append(edge if extra is None else extra.name)
            if extra is not None and extra.kind == "dispersion" and naming.family in OVERDISPERSED:
                value = "infinite" if extra.reciprocal else "zero"
                told.append(
                    f"{extra.name} is {value}: the counts spread no more than a Poisson's, whose fit this is"
                )
            else:
                told.append(f"{names[-1]} is on the edge of its domain")
    if not told:
        return (), ()
    return tuple(dict.fromkeys(names)), (f"boundary (singular) fit: {'; '.join(dict.fromkeys(told))}",)
