"""What hidden states and hidden values of cases probably are, given the estimates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.linear.expectation import Expectation, Numbers
from dagmodels.forms.cells import element_label
from dagmodels.forms.linear_cases import LinearCases
from dagmodels.results.mixture_fit import States

Floats = NDArray[np.float64]


def states(form: LinearCases, expectation: Expectation, at: Numbers) -> States:
    """Of the discrete nodes where they are not seen."""
    posterior = expectation(at).posterior
    best = posterior.argmax(axis=1)
    names, levels, found, path = {}, {}, {}, {}
    for i, node in enumerate(form.discrete):
        hidden = np.flatnonzero(form.codes[:, i] < 0)
        if not hidden.size:
            continue
        digit = form.digits[:, i]
        values_in = form.problem.graph.nodes[node].values_in
        names[node] = [element_label(form.problem, node, int(r)) for r in hidden]
        levels[node] = (
            tuple(range(form.sizes[i])) if values_in is None else form.problem.plates[values_in].levels
        )
        found[node] = posterior[hidden] @ (digit[:, None] == np.arange(form.sizes[i])).astype(float)
        path[node] = digit[best[hidden]]
    return States(names, levels, found, path)


def continuous(expectation: Expectation, at: Numbers) -> Iterator[tuple[str, float, float]]:
    """Hidden values: name, mean and standard deviation of a mixture over the states, by node and case."""
    form = expectation.form
    n, g = len(form.codes), len(form.normal)
    mean, second = np.full((n, g), np.nan), np.full((n, g), np.nan)
    means, covariance = expectation.joint(at)
    posterior = expectation(at).posterior
    for pattern in expectation.patterns:
        if not pattern.hidden.size:
            continue
        u, spread, _ = expectation.filled(pattern, means, covariance)
        own = u[:, :, form.first + pattern.hidden]
        weight = posterior[pattern.rows]
        box = np.ix_(pattern.rows, pattern.hidden)
        mean[box] = np.einsum("ns,nsh->nh", weight, own)
        inside = np.diagonal(spread, axis1=1, axis2=2)
        second[box] = np.einsum("ns,nsh->nh", weight, own**2 + inside[None])
    for i, node in enumerate(form.normal):
        for row in np.flatnonzero(~np.isnan(mean[:, i])).tolist():
            sd = float(np.sqrt(max(second[row, i] - mean[row, i] ** 2, 0.0)))
            yield element_label(form.problem, node, row), float(mean[row, i]), sd
