"""lme4's front door: `lmer` and `glmer`, and the graph that a formula makes.

The formula becomes a graph with its data (`readers.formula`), the graph is fitted as any other, and
the fit comes back under lme4's names (`results.mixed`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dagmodels.api import Graph
from dagmodels.data.frames import Table
from dagmodels.errors import FitWarning, ModelError, raise_all

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagmodels.analysis.facts import Facts
    from dagmodels.readers.formula import Reading
    from dagmodels.results.fit import Fit
    from dagmodels.results.mixed.fit import MixedFit


def lmer(
    formula: str,
    data: Any,
    REML: bool = True,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    variance: str | None = None,
    correlation: str | None = None,
    **options: Any,
) -> MixedFit:
    """Fit a linear mixed model.

    Parameters
    ----------
    formula : lme4's: `"Reaction ~ Days + (Days | Subject)"`. docs/mixed_models.md has all of it.
    data : any frame, a dict of columns, or the path of a data file. Text and categorical columns are
        factors with treatment contrasts. Rows with a missing response are kept and predicted.
    REML : maximise the restricted likelihood; False for maximum likelihood.
    weights : a column's name or one number a row: the residual variance is sigma**2/weight.
    offset : a column's name or one number a row, added to the mean.
    contrasts : by factor: "contr.sum", "contr.helmert", "contr.poly", or a matrix.
    variance : what the residual scale depends on: `"~ sex"` (a scale for each level), `"exp(age)"`,
        `"power(age)"`, or a sum of these; nlme's `"varIdent(form = ~ 1 | sex)"` is the same as the first.
    correlation : of the residuals within groups: `"ar1(time | subject)"`, phi to the power of the integer
        time between two rows (`1` for the order of the rows); or nlme's `"corAR1(form = ~ time | subject)"`.
    options : passed on to `Graph.fit` (`method`, `seed`) and the backend (`se="joint"`).

    Raises
    ------
    ModelErrors : all faults of the formula, or of the data.

    Warns
    -----
    FitWarning : the fit did not converge, is singular, or columns were dropped.
    """
    _refuse_options(lmer, options)
    if not isinstance(REML, bool | np.bool_):
        raise_all([ModelError(f"REML is {REML!r}", hint="True or False")], "the options of lmer")
    found = _model(
        formula,
        data,
        reml=bool(REML),
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        variance=variance,
        correlation=correlation,
        call="lmer",
    )
    if correlation is not None and options.get("method", "auto") in ("auto", "laplace"):
        options.setdefault("se", "conditional")  # as nlme: an autocorrelation counts with the variances
    return _fitted(found, options, lmer)


def glmer(
    formula: str,
    data: Any,
    family: str = "binomial",
    nAGQ: int = 1,
    *,
    link: str | None = None,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    ziformula: str | None = None,
    dispformula: str | None = None,
    REML: bool = False,
    **options: Any,
) -> MixedFit:
    """Fit a generalised linear mixed model.

    Parameters
    ----------
    family : "binomial", "poisson", "Gamma", "negative.binomial", "gaussian", or one of the others that
        docs/mixed_models.md lists ("nbinom1", "beta", "cumulative", "truncated_poisson", ...), with a link
        where it is not the usual one: `"binomial(probit)"`.
    nAGQ : points of adaptive Gauss-Hermite quadrature; 1 is the Laplace approximation.
    link : another way to name the link.
    weights : for proportions the numbers of trials behind them; `cbind(successes, failures)` needs none.
    ziformula : right-hand side of a model for the probability of a structural zero (logit link), as in
        glmmTMB: zero inflation of counts, or the hurdle of a truncated family. Random terms may be in it.
    dispformula : right-hand side of a log-linear model for the family's parameter of spread.
    REML : the coefficients of the mean are flat and integrated with the random effects, by the same Laplace
        approximation, as in glmmTMB; those of `ziformula` and `dispformula` are maximised.

    The other arguments, errors and warnings are those of `lmer`.
    """
    _refuse_options(glmer, options)
    order = _points(nAGQ)
    if not isinstance(REML, bool | np.bool_):
        raise_all([ModelError(f"REML is {REML!r}", hint="True or False")], "the options of glmer")
    if REML and order != 1:
        told = "REML= integrates coefficients by Laplace's approximation, and nAGQ= asks for quadrature"
        raise_all([ModelError(told, hint="leave one of them out")], "the options of glmer")
    found = _model(
        formula,
        data,
        family=family,
        link=link,
        reml=bool(REML),
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        ziformula=ziformula,
        dispformula=dispformula,
        call="glmer",
    )
    if order != 1:
        options["quadrature"] = order
    return _fitted(found, options, glmer)


# options of R's functions that have no counterpart, and why
_NEEDLESS = {
    "control": "there is nothing to tune: searches end with a certificate, or say why not",
    "start": "starts are found, several where the surface asks for it",
    "subset": "select rows of the data before",
    "na_action": "missing responses are predicted; leave out rows with missing covariates before",
    "verbose": "fit.diagnostics has the iterations",
}
_OPTIONS = ("method", "seed", "check", "se", "quadrature", "posterior", "posterior_draws")


def _refuse_options(call: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Options that neither the formula's door nor the backend knows; those of other backends pass."""
    if options.get("method", "auto") not in ("auto", "laplace"):
        return
    own = [*(n for n in signature(call).parameters if n != "options"), *_OPTIONS]
    errors = []
    for name in options:
        if name in _OPTIONS:
            continue
        near = [n for n in own if n.lower() == name.lower()] or get_close_matches(name, own, 1)
        hint = _NEEDLESS.get(name, f"did you mean {near[0]}=?" if near else f"it has {', '.join(own[2:])}")
        if name in ("family", "link", "ziformula", "dispformula", "nAGQ"):
            hint = "glmer has it; responses of lmer are Normal"
        errors.append(ModelError(f"{call.__name__} has no option '{name}'", hint=hint))
    raise_all(errors, f"the options of {call.__name__}")


def _points(nAGQ: Any) -> int:
    """The number of points of quadrature."""
    if isinstance(nAGQ, bool) or not isinstance(nAGQ, int | np.integer) or not 1 <= nAGQ <= 100:
        hint = "1 for Laplace's approximation, or up to 100 points of adaptive quadrature"
        raise_all([ModelError(f"nAGQ is {nAGQ!r}", hint=hint)], "the options of glmer")
    return int(nAGQ)


def _fitted(model: MixedModel, options: Mapping[str, Any], call: Callable[..., Any]) -> MixedFit:
    """The model's fit, with warnings that point to the line that called `lmer` or `glmer`."""
    found = model.fit_quietly(**options)
    if not found.converged:
        told = f"the fit of '{call.__name__}' did not converge: {found.message}"
        warnings.warn(told, FitWarning, stacklevel=3)
    for sentence in found.warnings:
        warnings.warn(sentence, FitWarning, stacklevel=3)
    return found  # type: ignore[return-value]


def anova(*fits: Any, refit: bool = True) -> DataFrame:
    """Likelihood-ratio tests between mixed models, as lme4's `anova(fit0, fit1)`, or between structural
    equation models, as lavaan's `lavTestLRT`.

    Parameters
    ----------
    fits : of the same data, each nested in the next larger one; the order does not matter.
    refit : fits by REML are fitted again by ML, with a warning that says so. False compares their restricted
        likelihoods, which is right only where all have the same fixed part.

    Returns
    -------
    A table, smaller models first: npar, AIC, BIC, logLik, deviance, Chisq, Df, Pr(>Chisq);
    `attrs["models"]` has the formulas. One fit gives its own `anova()`. Of structural models, fewest degrees
    of freedom first: Df, AIC, BIC, Chisq, Chisq diff, RMSEA, Df diff, Pr(>Chisq).

    Raises
    ------
    ModelErrors : fits that are none of `lmer` or `glmer`, or not of the same data.

    Warns
    -----
    FitWarning : fits were repeated by ML.
    """
    from dagmodels.results.mixed.fit import MixedFit
    from dagmodels.results.mixed.likelihood_ratio import comparison, refuse_unlike
    from dagmodels.results.sem.fit import SemFit

    if fits and all(isinstance(f, SemFit) for f in fits):
        return fits[0].lr_test(*fits[1:])
    wrong = [type(f).__name__ for f in fits if not isinstance(f, MixedFit)]
    if wrong or not fits:
        told = f"{wrong[0]} is no fit of lmer or glmer" if wrong else "there is no fit"
        raise_all([ModelError(told, hint="dm.anova(fit0, fit1)")], "the comparison of fits")
    if len(fits) == 1:
        return fits[0].anova()
    refuse_unlike(fits)
    used = list(fits)
    by_reml = [i for i, f in enumerate(fits) if f.naming.reml]
    if by_reml and refit:
        warnings.warn("refitting model(s) with ML (instead of REML)", FitWarning, stacklevel=2)
        for i in by_reml:
            used[i] = MixedModel.of_reading(fits[i].design.by_ml()).fit()  # type: ignore[attr-defined]
    elif by_reml and not _same_fixed_part(fits):
        told = "restricted likelihoods of models with different fixed parts cannot be compared"
        raise_all([ModelError(told, hint="refit=True")], "the comparison of fits")
    return comparison(used, [f"fit{i + 1}" for i in range(len(fits))])


def _same_fixed_part(fits: Sequence[MixedFit]) -> bool:
    return len({(f.naming.coefficients, f.naming.reml) for f in fits}) == 1


def read_model(formula: str, data: Any = None, **options: Any) -> MixedModel:
    """The graph of a formula with its data: `dm.read(formula, format="formula", data=df)`.

    options : those of `lmer` (with `REML`) or, where `family` is given, of `glmer`.
    """
    if "family" in options or "link" in options:
        reml = bool(options.pop("REML", False))
        return _model(formula, data, reml=reml, call="glmer", **options)
    reml = bool(options.pop("REML", True))
    return _model(formula, data, reml=reml, call="lmer", **options)


class MixedModel(Graph):
    """A graph made from a formula; it knows its data, so every verb may be called without.

    Data given to a verb are frames with the columns of the formula: levels, knots and polynomials stay
    those of the data that the model was made with.
    """

    reading: Reading

    @classmethod
    def of_reading(cls, reading: Reading) -> Self:
        """The model of a formula that has been read."""
        new = cls.of(reading.dag)
        new.reading = reading
        return new

    def copy(self) -> Self:
        """The same model, free to change."""
        new = super().copy()
        new.reading = self.reading
        return new

    def fit_quietly(
        self, data: Any = None, method: str = "auto", seed: int = 1, check: bool = True, **options: Any
    ) -> Fit:
        """As `fit`, for callers that print `converged` and `warnings` themselves.

        The fit has lme4's names, unless the graph was changed after the formula made it.
        """
        from dagmodels.results.mixed.fit import mixed_fit

        reading = self.reading if data is None else self.reading.of_data(data)
        inner = super().fit_quietly(reading.bound, method, seed, check, **options)
        if self.dag is not self.reading.dag or inner.sampled is not None:
            return inner
        return mixed_fit(inner, reading.naming, reading.rows, reading)

    def simulate(
        self,
        data: Any = None,
        values: Mapping[str, Any] | None = None,
        sizes: Mapping[str, Any] | None = None,
        draws: int = 1,
        seed: int = 1,
    ) -> Any:
        """Responses drawn for the rows of the model's data, or of other data; see `Graph.simulate`."""
        return super().simulate(self._bindable(data), values, sizes, draws, seed)

    def data_or_file(self, data: Any = None) -> Any:
        """The columns that the graph binds to."""
        return self.reading.bound if data is None else data

    def _facts(self, data: Any, observed: bool = False) -> Facts:
        return super()._facts(self._bindable(data), observed)

    def _told_apart(self, data: Any) -> bool:
        """The reader drops columns that are combinations of others; `lmer` has no other coefficients."""
        own = data is self.reading.table and self.dag is self.reading.dag
        return own and self.reading.naming.call == "lmer"

    def _sizes(self, data: Any, *others: Any) -> Any:
        return super()._sizes(self._bindable(data), *others)

    def _bindable(self, data: Any) -> Any:
        """Data of a verb as the columns that the graph has; a Table has them already."""
        if data is None:
            return self.reading.bound
        return data if _is_bound(data) else self.reading.bindable(data)


def _is_bound(data: Any) -> bool:
    """Whether these are columns of the graph, not of the formula."""
    parts = data.values() if type(data) is dict else (data,)
    return all(isinstance(part, Table) for part in parts)


def _model(formula: str, data: Any, **options: Any) -> MixedModel:
    from dagmodels.readers.formula import read

    if not isinstance(formula, str):
        hint = "write 'response ~ terms + (effects | group)'"
        raise_all(
            [ModelError(f"a formula is a text, not {type(formula).__name__}", hint=hint)], "the formula"
        )
    if data is None:
        hint = "a formula needs data to know what is a factor: pass data="
        raise_all([ModelError("there are no data", hint=hint)], f"the formula '{formula}'")
    return MixedModel.of_reading(read(formula, data, **options))
