"""Diagnostics of chains against arviz-stats 0.8 (1e-10), closed forms of autoregressions, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy.stats import norm, rankdata

from dagmodels.numerics.chains import diagnose as d
from dagmodels.numerics.chains.effective import by_transform, effective
from tests.numerics.chains.made import autoregressive

SHAPES = [(4, 1000, 3), (4, 1001, 3), (1, 100, 2), (1, 7, 2), (2, 5, 3), (3, 4, 2), (8, 57, 2, 3), (2, 5000)]
MEASURES = {
    "rhat": (d.rhat, lambda x: array_stats.rhat(x)),
    "ess_bulk": (d.ess_bulk, lambda x: array_stats.ess(x, method="bulk")),
    "ess_tail": (d.ess_tail, lambda x: array_stats.ess(x, method="tail", prob=(0.05, 0.95))),
    "ess_mean": (d.ess_mean, lambda x: array_stats.ess(x, method="mean")),
    "ess_sd": (d.ess_sd, lambda x: array_stats.ess(x, method="sd")),
    "ess_quantile": (
        lambda x: d.ess_quantile(x, 0.3),
        lambda x: array_stats.ess(x, method="quantile", prob=0.3),
    ),
    "mcse_mean": (d.mcse_mean, lambda x: array_stats.mcse(x, method="mean")),
    "mcse_quantile": (
        lambda x: d.mcse_quantile(x, 0.25),
        lambda x: array_stats.mcse(x, method="quantile", prob=0.25),
    ),
    # arviz-stats 0.8 divides by the effective size of the mean, the paper by that of the squares
    "mcse_sd": (
        lambda x: d.mcse_sd(x) * np.sqrt(d.ess_sd(x) / d.ess_mean(x)),
        lambda x: array_stats.mcse(x, method="sd"),
    ),
}  # fmt: skip


def theirs(function, x):
    """arviz-stats takes one quantity as (chain, draw) here."""
    flat = x.reshape(*x.shape[:2], -1)
    found = [float(function(flat[:, :, i])) for i in range(flat.shape[2])]
    return np.array(found).reshape(x.shape[2:])


def kinds(shape, seed):
    """Plain, slow, antithetic, tied, truth values, skewed, far from zero, chains apart."""
    rng = np.random.default_rng(seed)
    plain = rng.standard_normal(shape)
    level = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
    return {
        "plain": plain,
        "slow": autoregressive(shape, 0.97, seed),
        "antithetic": autoregressive(shape, -0.8, seed),
        "tied": np.round(2 * plain),
        "repeated": np.repeat(plain, 3, axis=1)[:, : shape[1]],
        "truth": (plain > 1).astype(float),
        "skewed": np.exp(3 * plain),
        "far": 1e3 + plain,
        "apart": plain + 2 * level,
    }


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_measure_is_that_of_arviz(name, shape):
    mine, reference = MEASURES[name]
    for kind, x in kinds(shape, 11).items():
        if name == "rhat" and shape[0] == 1:
            continue  # arviz-stats has none for one chain; see below
        constant = np.ptp(x, axis=(0, 1)) == 0  # short "truth" chains; see below
        with np.errstate(all="ignore"):
            want = theirs(reference, x)
        found = mine(x)
        if not constant.any():
            np.testing.assert_allclose(found, want, rtol=1e-10, err_msg=kind)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_joint_pass_gives_what_the_single_measures_give(shape):
    for kind, x in kinds(shape, 5).items():
        found = d.diagnose(x, probabilities=(0.025, 0.5, 0.975))
        flat = x.reshape(-1, *shape[2:])
        np.testing.assert_allclose(found.mean, flat.mean(axis=0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.sd, flat.std(axis=0, ddof=1), rtol=1e-10)
        np.testing.assert_allclose(
            found.quantiles, np.quantile(flat, (0.025, 0.5, 0.975), axis=0), rtol=1e-13
        )
        for name, mine in (("ess_bulk", d.ess_bulk), ("ess_tail", d.ess_tail), ("rhat", d.rhat)):
            np.testing.assert_array_equal(getattr(found, name), mine(x), err_msg=kind)
        np.testing.assert_allclose(found.mcse, d.mcse_mean(x), rtol=1e-12, err_msg=kind)


def test_one_chain_has_the_rhat_of_its_halves():
    """Which arviz-stats gives when told that they are chains: by ranks and by folded ranks, unsplit."""
    x = autoregressive((1, 400), 0.5, 3) + np.linspace(0, 2, 400)
    halves = x.reshape(2, 200)
    scores = (
        norm.ppf((rankdata(h) - 0.375) / 400.25).reshape(2, 200) for h in (halves, abs(halves - np.median(x)))
    )
    want = max(float(array_stats.rhat(z, method="identity")) for z in scores)
    np.testing.assert_allclose(d.rhat(x), want, rtol=1e-12)
    assert d.rhat(x) > 1.1


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.3, 0.6, 0.9])
def test_the_effective_size_of_an_autoregression_is_its_closed_form(phi):
    """S (1 - phi)/(1 + phi). Over 64 quantities of 4 x 4000 draws the mean relative error has a standard
    error of about 0.1/8 for phi = 0.9 (less otherwise); four of them: a false alarm in 1 of 15,000."""
    x = autoregressive((4, 4000, 64), phi, 7)
    ratio = d.ess_mean(x) / (16000 * (1 - phi) / (1 + phi))
    spread = ratio.std(ddof=1) / 8
    assert abs(ratio.mean() - 1) < 4 * spread + 0.02  # Geyer's rule has a bias of the order 1/draws
    assert spread < 0.02


def test_monte_carlo_errors_are_the_spread_of_estimates():
    """1,000 replicates: the variance of the estimates over the mean squared error told is 1 with a standard
    error of 0.045 (and as much again from the estimated effective sizes): five of them."""
    x = autoregressive((4, 250, 1000), 0.5, 9)
    flat = x.reshape(1000, -1)
    for estimate, error in (
        (flat.mean(axis=0), d.mcse_mean(x)),
        (flat.std(axis=0, ddof=1), d.mcse_sd(x)),
        (np.quantile(flat, 0.25, axis=0), d.mcse_quantile(x, 0.25)),
    ):
        assert abs(estimate.var() / np.mean(error**2) - 1) < 0.25


def test_sums_of_products_and_the_transform_give_the_same_sizes():
    for phi in (-0.9, 0.0, 0.9):
        x = np.moveaxis(autoregressive((3, 900, 5), phi, 2), 2, 0)
        np.testing.assert_allclose(effective(x), by_transform(np.ascontiguousarray(x)), rtol=1e-11)


def test_what_never_changes_is_known_without_error():
    x = np.full((4, 100, 2), 3.7)
    x[..., 1] = np.random.default_rng(1).standard_normal((4, 100))
    found = d.diagnose(x)
    assert np.isnan(found.rhat[0])
    assert found.ess_bulk[0] == found.ess_tail[0] == 400
    assert found.mcse[0] == d.mcse_mean(x)[0] == d.mcse_sd(x)[0] == d.mcse_quantile(x, 0.5)[0] == 0
    assert np.isfinite(found.rhat[1])


def test_chains_that_stand_still_apart_have_an_infinite_rhat():
    x = np.repeat(np.arange(4.0)[:, None], 50, axis=1)
    assert d.rhat(x) == np.inf
    assert d.ess_bulk(x) < 5


@pytest.mark.parametrize("measure", [m for m, _ in MEASURES.values()])
def test_a_nan_makes_its_own_quantity_nan_and_no_other(measure):
    x = np.random.default_rng(1).standard_normal((4, 100, 3))
    clean = measure(x)
    x[2, 50, 1] = np.nan
    found = measure(x)
    assert np.isnan(found[1])
    np.testing.assert_array_equal(found[[0, 2]], clean[[0, 2]])


def test_infinite_draws_have_ranks_but_no_mean():
    x = np.random.default_rng(1).standard_normal((4, 100))
    x[0, 3] = np.inf
    assert np.isfinite(d.rhat(x))
    assert np.isfinite(d.ess_bulk(x))
    assert np.isfinite(d.ess_tail(x))
    assert np.isnan(d.ess_mean(x))


def test_too_few_draws_tell_nothing():
    x = np.random.default_rng(1).standard_normal((4, 3, 2))
    found = d.diagnose(x)
    assert np.isnan([found.rhat, found.ess_bulk, found.ess_tail, found.mcse]).all()
    np.testing.assert_allclose(found.mean, x.mean(axis=(0, 1)))
    assert np.isnan(d.rhat(x)).all()
    assert d.diagnose(np.zeros((4, 10, 0))).mean.shape == (0,)


def test_one_axis_is_no_table_of_draws():
    with pytest.raises(ValueError, match="chains, draws"):
        d.rhat(np.zeros(10))


def test_ranks_do_not_see_monotone_changes_of_scale():
    """Bulk sizes and tail sizes are functions of the ranks alone."""
    x = autoregressive((4, 200, 4), 0.4, 6)
    np.testing.assert_allclose(d.ess_bulk(np.exp(x)), d.ess_bulk(x), rtol=1e-12)
    np.testing.assert_allclose(d.ess_bulk(-x), d.ess_bulk(x), rtol=1e-9)


def test_permuted_chains_and_quantities_change_nothing():
    x = autoregressive((4, 200, 4), 0.4, 6)
    for _, (measure, _) in MEASURES.items():
        np.testing.assert_allclose(measure(x[[2, 0, 3, 1]]), measure(x), rtol=1e-12)
        np.testing.assert_array_equal(measure(x[:, :, ::-1]), measure(x)[::-1])


def test_the_energy_fraction_is_that_of_arviz_and_of_the_closed_form():
    """Of an autoregression of the energy: E(diff^2)/var = 2 (1 - phi)."""
    x = autoregressive((4, 20000), 0.9, 3)
    np.testing.assert_allclose(d.bfmi(x), array_stats.bfmi(x), rtol=1e-12)
    np.testing.assert_allclose(d.bfmi(x), 0.2, atol=0.03)
    assert np.isnan(d.bfmi(x[:, :1])).all()


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_few_draws_have_means_and_no_more(draws: int) -> None:
    x = np.random.default_rng(1).standard_normal((1, draws, 2))
    found = d.diagnose(x)
    np.testing.assert_allclose(found.mean, x.mean(axis=(0, 1)))
    assert np.isnan(found.ess_bulk).all()
    assert np.isnan(found.rhat).all()
