"""What a mixed model's numbers are called in lme4, beside what they are called in its graph."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.mixed.structure import ResidualRows, Structure

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

INTERCEPT = "(Intercept)"


@dataclass(frozen=True, slots=True)
class RandomTerm:
    """One random term, in lme4's order: most levels first.

    group : as `VarCorr` names it; a second term of one factor is `Subject.1`.
    factor : the grouping factor, such as `cask:batch`.
    effects : what varies: `(Intercept)`, `Days`.
    levels : of the factor, in order.
    node : of the deviations, with one element a level (and effect).
    spread : the parameter: a standard deviation ("scalar"), a covariance matrix ("us"), or standard
        deviations by effect (`equal`: one for all) beside the correlation `rho` ("cs", "ar1").
    structure : "scalar", "us", "cs" or "ar1".
    part : of which predictor it is: "cond" (the mean's) or "zi" (of structural zeros).
    """

    group: str
    factor: str
    effects: tuple[str, ...]
    levels: tuple[str, ...]
    node: str
    spread: str
    structure: str = "scalar"
    rho: str = ""
    equal: bool = False
    part: str = "cond"

    def element(self, level: str, effect: int) -> str:
        """How the graph's results write one deviation."""
        if self.structure == "scalar":
            return f"{self.node}[{level}]"
        return f"{self.node}[{level}, {self.effects[effect]}]"


@dataclass(frozen=True, slots=True)
class Extra:
    """An estimate beside coefficients and random effects.

    name : as shown. node : as the graph's results call it.
    kind : "threshold" (a cut point), "zi" or "disp" (coefficients of structural zeros and of the parameter of
        spread), "sigma", "dispersion" (a parameter of spread) or "shape" (a second one).
    reciprocal : the graph has its reciprocal.
    """

    name: str
    node: str
    kind: str
    reciprocal: bool = False


@dataclass(frozen=True, slots=True)
class Naming:
    """How to read the estimates of a formula's graph.

    formula : as R prints it.
    call : "lmer" or "glmer".
    coefficients : fixed effects by lme4's names, in order; elements of the node `beta`.
    dropped : columns left out because they are combinations of others.
    terms : in lme4's order.
    sigma : what the residual standard deviation or the family's own parameter of spread is called, or None.
    family, link : of the response.
    structure : of the residuals; None where they are independent, with one scale (over their weights).
    extras : all estimates beside coefficients and random effects.
    levels : of an ordinal response.
    """

    formula: str
    call: str
    coefficients: tuple[str, ...]
    beta: str
    terms: tuple[RandomTerm, ...]
    sigma: str | None = "sigma"
    dropped: tuple[str, ...] = ()
    reml: bool = False
    family: str = "gaussian"
    link: str = "identity"
    structure: Structure | None = None
    extras: tuple[Extra, ...] = (Extra("sigma", "sigma", "sigma"),)
    levels: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> tuple[Extra, ...]:
        """The extra estimates of one kind."""
        return tuple(e for e in self.extras if e.kind == kind)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Design of some rows: those fitted, or new ones.

    n : number of rows.
    fixed : columns of the coefficients; None for ones.
    offset : a sum of offsets, or None.
    random : for each term of the naming the level of each row (-1 for one the fit has not seen) and
        the columns of its effects (None for ones).
    response : NaN where missing; None for new rows without it. Proportions where trials are given.
    weights : of the rows (trials, for proportions), or None.
    new : by grouping factor, levels that the fit has not seen.
    residual : what a structure of the residuals needs of the rows fitted.
    zero, spread : columns of the coefficients of structural zeros and of the parameter of spread.
    own : for each term the level of each row among those that these rows have.
    """

    n: int
    fixed: tuple[Floats | None, ...]
    random: tuple[tuple[Codes, tuple[Floats | None, ...]], ...]
    offset: Floats | None = None
    response: Floats | None = None
    weights: Floats | None = None
    new: dict[str, tuple[str, ...]] = field(default_factory=dict)
    residual: ResidualRows | None = None
    zero: tuple[Floats | None, ...] = ()
    spread: tuple[Floats | None, ...] = ()
    own: tuple[Codes, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class FixedTerm:
    """One term of the fixed part.

    name : as R prints it, `a:b`.
    places : its coefficients among those of the fit.
    within : places of the terms that contain it: the same numeric variables, and its factors with more.
    whole : its columns with one for every level of its factors, for the rows fitted.
    treatment : places of those of them that treatment contrasts have.
    """

    name: str
    places: tuple[int, ...]
    within: tuple[int, ...]
    whole: Floats
    treatment: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Combinations of values of the variables in the fixed part.

    levels : values of each column of the data, in order; combinations have the last one fastest.
    factors : which columns are factors.
    fixed : design rows of the combinations, (combinations, coefficients); NaN where the data cannot tell
        the expected value, because columns were dropped.
    """

    levels: dict[str, tuple[object, ...]]
    factors: frozenset[str]
    fixed: Floats
