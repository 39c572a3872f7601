"""Proposals with the density's own shape along the axes: the law they follow and the one they state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats as _stats

from dagmodels.errors import FitError
from dagmodels.numerics.sampling import independence
from dagmodels.numerics.sampling.independence import Proposal
from dagmodels.numerics.sampling.lines import Lines
from dagmodels.numerics.sampling.streams import stream
from tests.numerics.sampling.monte_carlo import FAR, independent_z, z

stats: Any = _stats
SHAPES = np.array([1.0, 4.0, 0.5])
MODE = np.log(SHAPES)
TURN = np.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-1.0, 0.3, 0.7]])


def separate(y: Any) -> Any:
    """Logs of three gamma variables."""
    return stats.loggamma.logpdf(y, SHAPES).sum(axis=1)


def turned(y: Any) -> Any:
    """A linear map of them, along whose own axes they are."""
    return separate(np.linalg.solve(TURN, y.T).T) - np.log(np.linalg.det(TURN))


def bent(y: Any) -> Any:
    """A ridge that no product follows."""
    inner = stats.norm.logpdf(y[:, 1], 0.3 * y[:, 0] ** 2, 1.0)
    return stats.norm.logpdf(y[:, 0]) + inner + stats.norm.logpdf(y[:, 2])


CASES = {
    "separate": (separate, MODE, np.diag(SHAPES)),
    "turned": (turned, TURN @ MODE, np.linalg.inv(TURN.T) @ np.diag(SHAPES) @ np.linalg.inv(TURN)),
    "bent": (bent, np.zeros(3), np.eye(3)),
}


def proposals(name: str) -> tuple[Any, Proposal, Lines]:
    density, mode, hessian = CASES[name]
    plain = Proposal.at_mode(mode, hessian)
    return density, plain, Lines.through(density, plain)


@pytest.mark.parametrize("name", CASES)
def test_the_stated_law_is_the_one_drawn(name: str) -> None:
    """Weights of a normal law, by the stated density: its total is one, its moments are right."""
    _, plain, lines = proposals(name)
    y = lines.drawn(stream(1, 0), 40_000)
    inside = np.linalg.solve(plain.root, (y - plain.centre).T).T
    weight = np.exp(stats.norm.logpdf(inside, 0.0, 0.7).sum(axis=1) - lines.log_density(y))
    weight /= abs(np.linalg.det(plain.root))
    values = np.column_stack([np.ones(len(y)), inside, inside**2]) * weight[:, None]
    assert np.abs(independent_z(values, [1.0, *[0.0] * 3, *[0.49] * 3])).max() < FAR


@pytest.mark.parametrize("name", CASES)
def test_how_good_they_are_is_known_from_the_other_proposals(name: str) -> None:
    """`exchanged` against the weights of draws of their own; both are rough where weights are far apart."""
    density, plain, lines = proposals(name)
    trials = independence.weighted(density, plain, stream(2, 0), 20_000)
    told, largest = independence.exchanged(trials, plain.log_density(trials.y), lines.log_density(trials.y))
    own = independence.weighted(density, lines, stream(2, 1), 20_000)
    weight = np.exp(own.log_weight)
    assert told == pytest.approx(
        weight.mean() ** 2 / (weight**2).mean(), abs=0.15 if name == "bent" else 0.02
    )
    assert abs(independent_z(weight, 1.0)) < FAR
    highest = (density(trials.y) - lines.log_density(trials.y)).max()
    assert largest == pytest.approx(np.exp(highest) / np.exp(trials.log_weight).mean())
    if name == "bent":
        assert told < 0.9
    else:  # products: all that is lost is the share of the t law
        assert told > 0.95


def test_weights_have_no_heavier_tails_than_those_of_the_t_law() -> None:
    density, plain, lines = proposals("bent")
    y = 5.0 * plain.drawn(stream(3, 0), 2000)
    assert (
        density(y) - lines.log_density(y) <= density(y) - plain.log_density(y) + np.log(10.0) + 1e-9
    ).all()


def test_chains() -> None:
    density, _, lines = proposals("separate")
    law = stats.loggamma(SHAPES)
    chains = []
    for index in range(4):
        rng = stream(4, index)
        found = independence.weighted(density, lines, rng, 8000)
        y, _, share = independence.draws(found, rng, independence.first(found, rng))
        assert share > 0.9
        chains.append(y - law.mean())
    e = np.stack(chains)
    assert np.abs(z(np.concatenate([e, e**2], axis=-1), [0, 0, 0, *law.var()])).max() < FAR


def test_a_line_without_a_density() -> None:
    plain = Proposal.at_mode(np.zeros(2), np.eye(2))
    with pytest.raises(FitError, match="no finite value on a line"):
        Lines.through(lambda y: np.full(len(y), np.nan), plain)
    with pytest.raises(FitError, match="no finite value on a line"):
        Lines.through(lambda y: np.where(y[:, 0] > 3, np.inf, -1.0), plain)
