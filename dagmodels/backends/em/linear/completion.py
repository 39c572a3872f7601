"""Hidden states and hidden values of cases, drawn jointly given what each case shows.

The joint state by its probability given what is seen, the hidden values by their normal law within it: exact
and independent draws, however far apart the states' laws lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.linear.expectation import Expectation, Numbers
from dagmodels.forms.linear_cases import LinearCases

Floats = NDArray[np.float64]
Estimates = Callable[[np.random.SeedSequence], Mapping[str, Floats]]


@dataclass(frozen=True, eq=False, slots=True)
class Completion:
    """See `results.fit.Fit.completer`. numbers : the estimates, for what is not drawn."""

    form: LinearCases
    expectation: Expectation
    numbers: Numbers

    def __call__(
        self, streams: Sequence[np.random.SeedSequence], estimates: Estimates
    ) -> list[dict[str, Floats]]:
        """By stream the values of all cases, by node."""
        return [self.drawn(self.at(estimates(s)), np.random.default_rng(s.spawn(1)[0])) for s in streams]

    def at(self, drawn: Mapping[str, Floats]) -> Numbers:
        """Unknowns by node as the form counts them."""
        form, known = self.form, self.numbers

        def numbers(elements: Sequence[tuple[str, int]], values: Floats) -> Floats:
            found = values.copy()
            for k, (node, place) in enumerate(elements):
                if node in drawn:
                    flat = drawn[node].reshape(-1)
                    found[k] = flat[place] if place >= 0 else 1.0 - flat[-1 - place]
            return found

        return Numbers(
            numbers(form.locations, known.locations),
            numbers(form.scales, known.scales),
            numbers(form.cells, known.cells),
        )

    def drawn(self, at: Numbers, rng: np.random.Generator) -> dict[str, Floats]:
        """One draw of all that is hidden, given the unknowns; what is seen as it is."""
        form, expectation = self.form, self.expectation
        posterior = expectation(at).posterior
        below = np.cumsum(posterior, axis=1) < rng.random(len(posterior))[:, None] * posterior.sum(
            axis=1, keepdims=True
        )
        state = np.minimum(below.sum(axis=1), posterior.shape[1] - 1)
        values = form.values[:, form.first :].copy()
        means, covariance = expectation.joint(at)
        for pattern in expectation.patterns:
            if not pattern.hidden.size:
                continue
            u, spread, _ = expectation.filled(pattern, means, covariance)
            own = state[pattern.rows]
            centre = u[np.arange(len(own)), own][:, form.first + pattern.hidden]
            sizes, vectors = np.linalg.eigh(spread)
            root = vectors * np.sqrt(np.maximum(sizes, 0.0))[:, None, :]
            z = rng.standard_normal(centre.shape)
            values[np.ix_(pattern.rows, pattern.hidden)] = centre + np.einsum("nij,nj->ni", root[own], z)
        found = {n: form.digits[state, i].astype(float) for i, n in enumerate(form.discrete)}
        return found | {n: values[:, i] for i, n in enumerate(form.normal)}


__all__ = ["Completion"]
