"""What a backend hands over so that a fit can be done again: to new responses, or along a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all

if TYPE_CHECKING:
    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]
Responses = Mapping[str, Floats]


@dataclass(frozen=True, eq=False, slots=True)
class Refitted:
    """Estimates of one refit, without tables.

    estimates : in the order of the refitter's `names`.
    criterion : minus twice the log likelihood (restricted, or of the posterior, as in the fit).
    converged, message : the certificate, as of a fit.
    evaluations : of the criterion with its gradient.
    """

    estimates: Floats
    criterion: float
    converged: bool
    message: str
    evaluations: int


class Refitter(Protocol):
    """A fit that is done again with other responses in the same cells.

    names : of the estimates. state : mutable; one refitter serves one thread.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Of the estimates, in order."""
        ...

    def refit(self, y: Responses) -> Refitted:
        """Estimates for other responses."""
        ...

    def fit(self, y: Responses) -> Fit:
        """The whole fit for other responses."""
        ...

    def simulate(self, streams: Sequence[np.random.SeedSequence]) -> list[dict[str, Floats]]:
        """Responses drawn from the fit, one set a stream."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Profile limits of one estimate.

    distance : signed root of the change of the criterion at each of `points`, for plots.
    """

    lower: float
    upper: float
    points: tuple[float, ...] = ()
    distance: tuple[float, ...] = ()


class Again(Protocol):
    """What stands behind `Fit.refit`, `bootstrap`, `confint` and `influence`. Travels to other processes."""

    def refitter(self, simulator: Callable[..., Any] | None = None) -> Refitter:
        """A new one, with a workspace of its own; `simulator` draws where the backend cannot."""
        ...

    def refuses(self, target: Target) -> str | None:
        """Why an estimate has no profile; None where it has one."""
        ...

    def influence(self) -> Influence:
        """Of the responses on the fit. Raises FitError where there is no closed form."""
        ...

    def profile(self, targets: Sequence[Target], level: float) -> list[Limits]:
        """Profile limits of functions of the estimates."""
        ...


class Influence(Protocol):
    """How much each observed cell, or set of cells, moves a fit that is linear in its responses."""

    def leverage(self) -> dict[str, Floats]:
        """Derivative of each expected value in its own response, by node in its shape."""
        ...

    def sets(self, plate: str) -> tuple[dict[str, NDArray[np.int64]], int]:
        """By observed node the element of a plate that each cell lies in (-1: none); how many there are."""
        ...

    def cooks(self, sets: Mapping[str, NDArray[np.int64]] | None, count: int) -> Floats | dict[str, Floats]:
        """Cook's distance of each cell (by node), or of sets of cells, numbered from 0 to count - 1."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """An estimate whose profile is asked for, as a function of the backend's estimates.

    name : as users call it. sources : the estimates that it depends on.
    function : value, and derivatives by source, from the sources' values. lower, upper : its domain.
    """

    name: str
    sources: tuple[str, ...]
    function: Callable[[Mapping[str, float]], tuple[float, Mapping[str, float]]]
    lower: float = -np.inf
    upper: float = np.inf


def itself(values: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """The function of an estimate that is the backend's own."""
    ((name, value),) = values.items()
    return value, {name: 1.0}


def responses(given: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
    """Responses as the user gives them: by node, or numbers alone where one node is observed.

    shapes : of the observed nodes. Raises ModelErrors for unknown names and wrong sizes.
    """
    where = "the new responses"
    if not isinstance(given, Mapping):
        if len(shapes) != 1:
            told = ", ".join(map(repr, shapes))
            raise_all([ModelError(f"there are several: {told}", hint="give a dict by node")], where)
        given = {next(iter(shapes)): given}
    errors, found = [], {}
    for name in shapes:
        if name not in given:
            errors.append(ModelError(f"'{name}' has none", node=name, hint="give all observed nodes"))
    for name, value in given.items():
        if name not in shapes:
            told = ", ".join(map(repr, shapes))
            errors.append(
                ModelError(f"'{name}' is no observed node", node=str(name), hint=f"there are {told}")
            )
            continue
        numbers = np.asarray(value, dtype=np.float64)
        if numbers.size != int(np.prod(shapes[name], dtype=np.int64)):
            message = (
                f"'{name}' has {numbers.size} numbers, and the fit has {int(np.prod(shapes[name]))} cells"
            )
            errors.append(
                ModelError(message, node=name, hint="one for each cell of the data fitted, in order")
            )
            continue
        found[name] = numbers.reshape(shapes[name])
    raise_all(errors, where)
    return found
