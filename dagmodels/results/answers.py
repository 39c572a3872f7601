"""A fit's numbers as one answer among several: what each of them is, in statistical words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Joint, Stochastic
from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]
POSTERIOR_MEAN, PROBABILITY = "posterior mean", "posterior probability"
MARGINAL_MODE, GIVEN_MEAN, GIVEN_MODE = (
    "marginal mode",
    "mean given the estimates",
    "mode given the estimates",
)
ML, REML, LEAST_SQUARES = "ML", "REML", "least squares"
IMPROPER = ("Flat", "HalfFlat")


@dataclass(frozen=True, slots=True)
class Number:
    """One estimate: its value, its standard error (a posterior standard deviation, where it is a posterior
    mean), 95 % limits, and what kind of number it is. NaN where a fit gives none."""

    estimate: float
    se: float
    lower: float
    upper: float
    kind: str


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """What one backend says.

    label : its column. fit : in full. numbers : by name, elements of latent nodes included.
    """

    label: str
    fit: Fit
    numbers: Mapping[str, Number]

    @classmethod
    def of(cls, label: str, fit: Fit, about: Set[str] | None = None) -> Answer:
        """All numbers of a fit.

        about : nodes; where a fit has arrays of its latents, and none of these nodes is one, their elements
            are left out.
        """
        arrays = latents_of(fit)
        if about is not None and arrays and not about & arrays.keys():
            return cls(label, fit, _estimates(fit))
        return cls(label, fit, {**_latents(fit), **_estimates(fit)})

    @property
    def estimates(self) -> dict[str, float]:
        """The values alone."""
        return {name: number.estimate for name, number in self.numbers.items()}


def latents_of(fit: Fit) -> Mapping[str, Floats]:
    """The latents' means by node, where a fit has them as arrays."""
    return {} if fit.latent_arrays is None or fit.sampled is not None else fit.latent_arrays()


def _estimates(fit: Fit) -> dict[str, Number]:
    columns = fit.estimate_columns
    names = [str(n) for n in columns["name"]]
    missing = [np.nan] * len(names)
    parts = [_floats(columns.get(k, missing)) for k in ("estimate", "se", "lower", "upper")]
    kinds = _kinds(fit, names, columns.get("what", [""] * len(names)))
    return {n: Number(*map(float, row), kind) for n, *row, kind in zip(names, *parts, kinds, strict=True)}


def _latents(fit: Fit) -> dict[str, Number]:
    """Elements of latents; those of fits by draws are among the estimates."""
    if fit.sampled is not None:
        return {}
    table = fit.latent_table
    kind = POSTERIOR_MEAN if fit.marginals is not None else GIVEN_MEAN if fit.exact else GIVEN_MODE
    estimate, sd = _floats(table["estimate"]), _floats(table["sd"])
    limits = [_floats(table[k]) for k in ("lower", "upper")] if "lower" in table else None
    lower, upper = limits or (estimate - 1.96 * sd, estimate + 1.96 * sd)
    rows = zip(table["name"], estimate, sd, lower, upper, strict=True)
    return {str(n): Number(*map(float, row), kind) for n, *row in rows}


def _kinds(fit: Fit, names: Sequence[str], what: Sequence[Any]) -> list[str]:
    """What each estimate is."""
    if fit.sampled is not None:
        return [PROBABILITY if " == " in n else POSTERIOR_MEAN for n in names]
    return [_kind(fit, name, str(how)) for name, how in zip(names, what, strict=True)]


def _kind(fit: Fit, name: str, what: str) -> str:
    match what:
        case "integrated":
            return GIVEN_MEAN if fit.exact else GIVEN_MODE
        case "defined":
            return "function of the estimates"
        case "maximised" | "profiled" | "":
            if has_prior(fit.graph, name.partition("[")[0]):
                return MARGINAL_MODE
            return _criterion(fit)
        case _:
            return what


def _criterion(fit: Fit) -> str:
    """What was maximised or minimised where nothing has a prior."""
    if "least squares" in fit.method:
        return LEAST_SQUARES
    return REML if "REML" in fit.measures else ML


def has_prior(graph: Dag, node: str) -> bool:
    """Whether a node is drawn from a proper law."""
    found = graph.nodes.get(node)
    statements = () if found is None else found.statements
    laws = [s.distribution.family for s in statements if isinstance(s, Stochastic | Joint)]
    return any(law not in IMPROPER for law in laws)


def flat_priors(fit: Fit) -> list[str]:
    """Unknowns without a prior that were drawn as if theirs were flat."""
    if fit.sampled is None and fit.marginals is None:
        return []
    return [n for n, node in fit.graph.nodes.items() if node.role == "parameter"]


def _floats(values: Any) -> Floats:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


__all__ = ["MARGINAL_MODE", "POSTERIOR_MEAN", "Answer", "Number", "flat_priors", "has_prior", "latents_of"]
