"""Independence proposals: exact where the gate is open, and closed where they would be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats as _stats

from dagmodels.errors import FitError
from dagmodels.numerics.sampling import independence
from dagmodels.numerics.sampling.independence import Proposal, Weighted
from dagmodels.numerics.sampling.streams import stream
from tests.numerics.sampling.monte_carlo import FAR, independent_z, z

stats: Any = _stats
COVARIANCE = np.array([[1.0, -0.6, 0.0], [-0.6, 2.0, 0.5], [0.0, 0.5, 0.7]])
MODE = np.array([1.0, -5.0, 100.0])


def test_the_proposal_is_a_multivariate_t() -> None:
    proposal = Proposal.at_mode(MODE, np.linalg.inv(COVARIANCE), 7.0)
    np.testing.assert_allclose(proposal.root @ proposal.root.T, COVARIANCE, rtol=1e-12, atol=1e-14)
    assert (np.triu(proposal.root, 1) == 0).all()
    rng = stream(1, 0)
    y = proposal.drawn(rng, 50_000)
    law = stats.multivariate_t(MODE, COVARIANCE, 7.0)
    np.testing.assert_allclose(proposal.log_density(y[:100]), law.logpdf(y[:100]), rtol=1e-10)
    e = y - MODE
    products = np.column_stack([e[:, i] * e[:, j] for i in range(3) for j in range(i + 1)])
    expected = [7 / 5 * COVARIANCE[i, j] for i in range(3) for j in range(i + 1)]
    assert np.abs(independent_z(np.column_stack([e, products]), [0, 0, 0, *expected])).max() < FAR


def t_density(degrees: float) -> Any:
    return stats.multivariate_t(MODE, COVARIANCE, degrees).logpdf


DENSITIES = {
    "normal": stats.multivariate_normal(MODE, COVARIANCE).logpdf,
    "t with 9 degrees of freedom": t_density(9.0),
    "skewed": lambda y: stats.loggamma(2.0).logpdf(y - MODE).sum(axis=1),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_chains_through_an_open_gate(name: str) -> None:
    density = DENSITIES[name]
    if name == "skewed":
        law = stats.loggamma(2.0)
        proposal = Proposal.at_mode(MODE + np.log(2.0), 2.0 * np.eye(3))
        mean, variance = law.mean(), np.full(3, law.var())
    else:
        proposal = Proposal.at_mode(MODE, np.linalg.inv(COVARIANCE))
        mean, variance = 0.0, np.diag(COVARIANCE) * (9 / 7 if "9" in name else 1.0)
    chains = []
    for index in range(4):
        rng = stream(2, index)
        trials = independence.weighted(density, proposal, rng, independence.TRIALS)
        found = independence.gate(trials)
        assert found.open, found.because
        assert found.k < 0.7
        assert abs(found.log_evidence) < FAR / np.sqrt(found.effective * independence.TRIALS)
        proposals = independence.weighted(density, proposal, rng, 8000)
        y, (last, log_weight), share = independence.draws(proposals, rng, independence.first(trials, rng))
        np.testing.assert_array_equal(y[-1], last)
        assert log_weight == pytest.approx(
            density(last[None]).item() - proposal.log_density(last[None]).item(), abs=1e-9
        )
        assert share > 0.4
        chains.append(y - MODE - mean)
    e = np.stack(chains)
    assert np.abs(z(np.concatenate([e, e**2], axis=-1), [0, 0, 0, *variance])).max() < FAR


def test_heavier_tails_close_the_gate() -> None:
    """Cauchy tails, three times as wide as proposals with 30 degrees of freedom: k tends to 1 - 1/30."""
    proposal = Proposal.at_mode(np.zeros(2), np.eye(2), 30.0)
    density = stats.multivariate_t(np.zeros(2), 9.0 * np.eye(2), 1.0).logpdf
    closed = 0
    for index in range(20):
        found = independence.gate(independence.weighted(density, proposal, stream(3, index), 4000))
        closed += not found.open
        assert found.open == (found.k < 0.7)
        assert f"{found.k:.2f}" in found.because
        assert found.open or "NUTS" in found.because
    assert closed >= 15


def test_a_funnel_closes_the_gate() -> None:
    """v ~ N(0, 3), five x ~ N(0, exp(v/2)): curvature at the mode says nothing of the mouth."""

    def density(y: Any) -> Any:
        v = y[:, 0]
        return -0.5 * (v / 3) ** 2 - 0.5 * (y[:, 1:] ** 2).sum(axis=1) * np.exp(-v) - 2.5 * v

    mode = np.array([-22.5, 0, 0, 0, 0, 0])
    proposal = Proposal.at_mode(mode, np.diag([1 / 9, *[np.exp(22.5)] * 5]))
    gates = [
        independence.gate(independence.weighted(density, proposal, stream(8, i), 1000)) for i in range(20)
    ]
    assert sum(not g.open for g in gates) >= 15


def test_no_gate_without_weights() -> None:
    proposal = Proposal.at_mode(np.zeros(1), np.eye(1))
    nowhere = independence.weighted(lambda y: np.full(len(y), np.nan), proposal, stream(4, 0), 500)
    found = independence.gate(nowhere)
    assert not found.open
    assert "no proposal has a finite log density" in found.because
    few = independence.gate(Weighted(np.zeros((10, 1)), np.arange(10.0)))
    assert not few.open
    assert "10 proposals are too few" in few.because


def test_equal_weights_open_it() -> None:
    proposal = Proposal.at_mode(np.zeros(2), np.eye(2))
    found = independence.gate(independence.weighted(proposal.log_density, proposal, stream(5, 0), 500))
    assert found.open
    assert found.effective == pytest.approx(1.0)
    assert found.log_evidence == pytest.approx(0.0, abs=1e-12)


def test_a_mode_that_is_none() -> None:
    with pytest.raises(FitError, match="does not curve downward"):
        Proposal.at_mode(np.zeros(2), np.diag([1.0, -1.0]))


def test_a_chain_by_hand() -> None:
    """Weights 1, 2, 0, nan-free: a heavier one is always taken, a weight of zero never."""
    proposals = Weighted(np.array([[1.0], [2.0], [3.0]]), np.log([1.0, 2.0, 1e-300]))
    y, last, share = independence.draws(proposals, stream(6, 0), (np.zeros(1), float(np.log(0.5))))
    assert y.tolist() == [[1.0], [2.0], [2.0]]
    assert last[1] == np.log(2.0)
    assert share == pytest.approx(2 / 3)
    y, _, share = independence.draws(
        Weighted(np.ones((4, 1)), np.full(4, -np.inf)), stream(6, 0), (np.full(1, 7.0), 0.0)
    )
    assert y.tolist() == [[7.0]] * 4
    assert share == 0.0


def test_balance_of_the_acceptance() -> None:
    """Two states of weights 1 and 3, proposed evenly: the share of the second is 3/4."""
    rng = stream(7, 0)
    state = rng.integers(0, 2, 40_000)
    proposals = Weighted(state[:, None].astype(float), np.log(np.array([1.0, 3.0]))[state])
    y, _, _ = independence.draws(proposals, rng, (np.zeros(1), 0.0))
    assert abs(z(y[None, :, 0], 0.75, batches=80)) < FAR
