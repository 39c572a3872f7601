"""The joint normal distribution of a linear-Gaussian graph, dense, and everything that follows from it.

The graph is expanded element by element (`interpret`): each stochastic element is
`c + x'b + g'e` with free coefficients b and shocks e ~ N(0, Omega).  From the rows of all given cells
come mean, covariance V and design X; the likelihood, generalised least squares and the conditional
distributions are the textbook formulas, in extended precision while the problem is small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dagmodels.bind.problem import Problem

from .affine import Affine, NotLinearGaussian, as_affine
from .interpret import Interpreter
from .priors import log_prior
from .unknowns import Element, Free, Shock

Matrix = np.ndarray[Any, Any]
EXTENDED = 250  # cells up to which extended precision costs next to nothing

LOG_2PI = math.log(2 * math.pi)


def dense(problem: Problem, theta: Mapping[str, Any], parents: str = "auto") -> DenseModel:
    """The dense model of a problem at given outer values.

    Parameters
    ----------
    problem : graph and data.
    theta : scales, correlations, loadings, ... by node name, over the node's plates. `parameter` nodes
        left out are free coefficients; `Flat()` nodes left out are free and integrated; nodes with a
        Normal prior left out are random. All others must be in it.
    parents : "random": observed parents enter their children as random quantities, so that `mean` and
        `covariance` are those of all given cells jointly; "given": they enter as data, so that `mean`
        and `covariance` are of each cell given its observed parents (same likelihood and conditional
        distributions, and a free coefficient may multiply an observed node); "auto": the first where
        it is affine, else the second.

    Raises
    ------
    NotLinearGaussian where a mean is not affine or a law is not Gaussian, naming the place.
    """
    if parents == "auto":
        try:
            return dense(problem, theta, "random")
        except NotLinearGaussian:
            return dense(problem, theta, "given")
    of = Interpreter(problem, theta, given={"random": False, "given": True}[parents])
    cells: list[tuple[Element, Affine]] = []
    hidden: list[tuple[Element, Affine]] = []
    for name, node in problem.graph.nodes.items():
        for codes in np.ndindex(*problem.shape(name)):
            if (
                node.kind in ("covariate", "constant")
                or not of.is_stochastic(name, codes)
                or name in of.theta
            ):
                continue
            law = of.law(name, codes)
            if isinstance(law, Affine):
                (cells if of.is_given(name, codes) else hidden).append(((name, codes), law))
    parameters = [
        of.law(name, codes)
        for name in problem.graph.nodes
        for codes in np.ndindex(*problem.shape(name))
        if of.is_parameter(name, codes) and name not in of.theta
    ]
    found = (f for _, a in [*cells, *hidden] for f in a.coefficients if isinstance(f, Free))
    unused = (f for a in parameters if isinstance(a, Affine) for f in a.coefficients)
    free = tuple(dict.fromkeys([*found, *unused]))  # type: ignore[list-item]
    return DenseModel(
        problem=problem,
        theta=dict(theta),
        parents=parents,
        of=of,
        cells=tuple(e for e, _ in cells),
        laws=tuple(a for _, a in cells),
        y=np.array([of.datum(*e) for e, _ in cells]),
        latents=tuple(e for e, a in hidden if not _is_free(a)),
        free=free,
    )


def _is_free(law: Affine) -> bool:
    return len(law.coefficients) == 1 and isinstance(next(iter(law.coefficients)), Free)


@dataclass(frozen=True, eq=False)
class Conditional:
    """The conditional distribution of some elements given the data.

    elements : what the rows are.
    mean, covariance : of the elements.
    """

    elements: tuple[Element, ...]
    mean: Matrix
    covariance: Matrix
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def sd(self) -> Matrix:
        """Standard deviations (rounding below zero is cut)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def _by_node(self, values: Matrix) -> dict[str, Matrix]:
        out = {name: np.full(self.shapes[name], np.nan) for name, _ in self.elements}
        for (name, codes), value in zip(self.elements, values, strict=True):
            out[name][codes] = value
        return out

    @property
    def means(self) -> dict[str, Matrix]:
        """Means by node over its plates; NaN where an element is not part of the answer."""
        return self._by_node(self.mean)

    @property
    def sds(self) -> dict[str, Matrix]:
        """Standard deviations by node over its plates; NaN where an element is not part of the answer."""
        return self._by_node(self.sd)


@dataclass(frozen=True, eq=False)
class DenseModel:
    """Rows of all given cells and of all latent elements on shocks and free coefficients.

    cells : the given cells in the order of `y`; laws : their affine numbers.
    latents : every stochastic element without datum that is not itself a free coefficient.
    free : the free coefficients; `kind` "parameter" is profiled and "flat" integrated by default.
    """

    problem: Problem
    theta: Mapping[str, Any]
    parents: str
    of: Interpreter
    cells: tuple[Element, ...]
    laws: tuple[Affine, ...]
    y: Matrix
    latents: tuple[Element, ...]
    free: tuple[Free, ...]

    # ---- the joint distribution of the given cells ----------------------------------------------

    @cached_property
    def _type(self) -> Any:
        wide = len(self.cells) <= EXTENDED
        if any(np.iscomplexobj(v) for v in self.theta.values()):
            return np.clongdouble if wide else np.complex128
        return np.longdouble if wide else np.float64

    @cached_property
    def omega(self) -> Matrix:
        """Covariance of all shocks."""
        sizes = [len(b) for b in self.of.blocks]
        omega = np.zeros((sum(sizes), sum(sizes)), dtype=self._type)
        for start, block in zip(self._starts, self.of.blocks, strict=True):
            omega[start : start + len(block), start : start + len(block)] = block
        return omega

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *np.cumsum([len(b) for b in self.of.blocks], dtype=int).tolist()][: len(self.of.blocks)]

    def rows(self, laws: Sequence[Affine]) -> tuple[Matrix, Matrix, Matrix]:
        """Constants, rows on the free coefficients and rows on the shocks."""
        place = {f: i for i, f in enumerate(self.free)}
        c = np.zeros(len(laws), dtype=self._type)
        x = np.zeros((len(laws), len(self.free)), dtype=self._type)
        g = np.zeros((len(laws), sum(len(b) for b in self.of.blocks)), dtype=self._type)
        for i, law in enumerate(laws):
            c[i] = law.constant
            for unknown, coefficient in law.coefficients.items():
                if isinstance(unknown, Shock):
                    g[i, self._starts[unknown.group] + unknown.member] = coefficient
                else:
                    x[i, place[unknown]] = coefficient  # type: ignore[index]
        return c, x, g

    @cached_property
    def _rows(self) -> tuple[Matrix, Matrix, Matrix]:
        return self.rows(self.laws)

    @property
    def mean(self) -> Matrix:
        """Mean of the given cells at free coefficients of zero."""
        return self._rows[0]

    @property
    def design(self) -> Matrix:
        """How the mean changes with each free coefficient."""
        return self._rows[1]

    @cached_property
    def covariance(self) -> Matrix:
        """Covariance of the given cells at fixed free coefficients."""
        g = self._rows[2]
        return g @ self.omega @ g.T

    @cached_property
    def _white(self) -> tuple[Matrix, Matrix, Matrix]:
        """L with LL' = V; L^-1 X; L^-1 (y - c)."""
        lower = cholesky(self.covariance)
        both = solve_lower(lower, np.column_stack([self.design, self.y - self.mean]))
        return lower, both[:, :-1], both[:, -1]

    # ---- likelihood -----------------------------------------------------------------------------

    def integrated(self, free: str = "declared") -> list[int]:
        """Which free coefficients are integrated: as declared, "profiled" (none) or "integrated" (all)."""
        chosen = {"declared": ("flat",), "profiled": (), "integrated": ("flat", "parameter")}[free]
        return [i for i, f in enumerate(self.free) if f.kind in chosen]

    def loglik(self, free: str = "declared", prior: bool = False) -> Any:
        """Log likelihood, maximised over profiled and integrated over integrated free coefficients.

        With k integrated coefficients of design Z and r the residual of generalised least squares on all:
        -1/2 [log|V| + log|Z'V^-1 Z| + r'V^-1 r + (n - k) log 2 pi].

        prior : add the log prior densities of the stochastic nodes in theta, on their own scale.
        """
        lower, x, r = self._white
        chosen = self.integrated(free)
        if self.free:
            r = r - x @ self._coefficients
        total = 2 * np.sum(np.log(np.diag(lower))) + r @ r + (len(self.y) - len(chosen)) * LOG_2PI
        if chosen:
            z = x[:, chosen]
            total = total + 2 * np.sum(np.log(np.diag(cholesky(z.T @ z))))
        value = -total / 2
        return value + log_prior(self.of) if prior else value

    @cached_property
    def _information(self) -> Matrix:
        x = self._white[1]
        return cholesky(x.T @ x)

    @cached_property
    def _coefficients(self) -> Matrix:
        _, x, r = self._white
        return solve_upper(self._information.T, solve_lower(self._information, x.T @ r))

    # ---- estimates and conditional distributions --------------------------------------------------

    def coefficients(self) -> Conditional:
        """Generalised least squares estimates of the free coefficients and (X'V^-1 X)^-1."""
        inverse = solve_lower(self._information, np.eye(len(self.free), dtype=self._type))
        names = tuple((f.name, f.codes) for f in self.free)
        return self._conditional(names, self._coefficients, inverse.T @ inverse)

    def conditional(
        self, uncertainty: str = "declared", elements: Sequence[Element] | None = None
    ) -> Conditional:
        """Latent elements given the data.

        uncertainty : "declared": that of the integrated coefficients is included, profiled ones stand at
            their estimates; "none": all stand at their estimates; "all": of all is included.
        elements : which; the latents, unless given. Deterministic elements may be asked for too.
        """
        wanted = self.latents if elements is None else tuple(elements)
        c, x, g = self.rows([as_affine(self.of.law(*e)) for e in wanted])
        lower, white, r = self._white
        cross = solve_lower(lower, (g @ self.omega @ self._rows[2].T).T)  # L^-1 Cov(y, u)
        mean = c + cross.T @ r
        covariance = g @ self.omega @ g.T - cross.T @ cross
        if self.free:
            d = x - cross.T @ white
            mean = mean + d @ self._coefficients
            chosen = self.integrated(
                {"declared": "declared", "none": "profiled", "all": "integrated"}[uncertainty]
            )
            if chosen:
                z = white[:, chosen]
                half = solve_lower(cholesky(z.T @ z), d[:, chosen].T)
                covariance = covariance + half.T @ half
        return self._conditional(wanted, mean, covariance)

    def _conditional(self, elements: tuple[Element, ...], mean: Matrix, covariance: Matrix) -> Conditional:
        shapes = {name: self.problem.shape(name) for name, _ in elements}
        return Conditional(elements, _plain(mean), _plain(covariance), shapes)


# ---- plain linear algebra, for any number type -----------------------------------------------------


def cholesky(a: Matrix) -> Matrix:
    """L with LL' = A (transposed, never conjugated, so that a complex step passes through)."""
    if a.dtype == np.float64:
        return np.linalg.cholesky(a)
    lower = np.zeros_like(a)
    for j in range(len(a)):
        pivot = a[j, j] - lower[j, :j] @ lower[j, :j]
        if not pivot.real > 0:
            raise np.linalg.LinAlgError(f"pivot {j} of {len(a)} is {pivot}: not positive definite")
        lower[j, j] = np.sqrt(pivot)
        lower[j + 1 :, j] = (a[j + 1 :, j] - lower[j + 1 :, :j] @ lower[j, :j]) / lower[j, j]
    return lower


def solve_lower(lower: Matrix, b: Matrix) -> Matrix:
    """L^-1 b by forward substitution."""
    out = np.array(b, dtype=np.result_type(lower, b))
    for i in range(len(lower)):
        out[i] = (out[i] - lower[i, :i] @ out[:i]) / lower[i, i]
    return out


def solve_upper(upper: Matrix, b: Matrix) -> Matrix:
    """U^-1 b by back substitution."""
    return solve_lower(upper[::-1, ::-1], b[::-1])[::-1]


def _plain(a: Matrix) -> Matrix:
    return a.astype(np.complex128 if np.iscomplexobj(a) else np.float64)


__all__ = ["Conditional", "DenseModel", "NotLinearGaussian", "dense"]
