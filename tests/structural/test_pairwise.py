"""Ordered variables with gaps: each statistic from the rows that show it, and what that leaves uncertain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import dagmodels as dm
from dagmodels.numerics.ordinal.statistics import layout, statistics

TEXT = "f =~ y0 + y1 + y2 + y3\ng =~ y4 + y5 + y6 + y7"
LOADING, CUTS = 0.7, (-1.0, 0.2, 1.0)


def latent(n, seed):
    rng = np.random.default_rng(seed)
    f = rng.multivariate_normal([0, 0], [[1, 0.4], [0.4, 1]], n)
    return LOADING * np.repeat(f, 4, axis=1) + np.sqrt(1 - LOADING**2) * rng.normal(size=(n, 8)), rng


def simulated(n=800, seed=1, gaps=0.15):
    y, rng = latent(n, seed)
    frame = pd.DataFrame(np.digitize(y, CUTS).astype(float), columns=[f"y{i}" for i in range(8)])
    return frame.mask(rng.random(frame.shape) < gaps) if gaps else frame


@pytest.fixture(scope="module")
def frame():
    return simulated()


@pytest.fixture(scope="module")
def fit(frame):
    return dm.cfa(TEXT, frame, ordered=True, missing="pairwise")


def test_complete_rows_are_the_same_either_way():
    whole = simulated(gaps=0)
    one = dm.cfa(TEXT, whole, ordered=True)
    two = dm.cfa(TEXT, whole, ordered=True, missing="pairwise")
    pd.testing.assert_frame_equal(one.estimates, two.estimates)
    assert one.measures == two.measures


def test_thresholds_and_correlations_are_those_of_the_rows_that_show_them(frame, fit):
    rows = fit.estimates.set_index(["lhs", "rhs"])["estimate"]
    for v in ("y0", "y5"):
        shown = frame[v].dropna()
        for k in (1, 2, 3):
            assert rows[(v, f"t{k}")] == pytest.approx(norm.ppf((shown < k).mean()), abs=1e-5)
    values = frame.to_numpy()
    whole = statistics(values, np.zeros((len(frame), 0)), layout(np.full(8, 3), 0))
    at = int(np.flatnonzero((whole_kind := layout(np.full(8, 3), 0)).kind == 3)[0])
    a, b = int(whole_kind.first[at]), int(whole_kind.second[at])
    both = ~np.isnan(values[:, [a, b]]).any(axis=1)
    own = [norm.ppf([(values[~np.isnan(values[:, v]), v] < k).mean() for k in (1, 2, 3)]) for v in (a, b)]
    assert whole.value[at] == pytest.approx(_correlation(values[both][:, [a, b]], own), abs=1e-6)


def _correlation(pair, cuts):
    """The polychoric correlation of complete pairs given thresholds, by a plain search."""
    from scipy.optimize import minimize_scalar
    from scipy.stats import multivariate_normal

    ends = [np.concatenate([[-8.0], c, [8.0]]) for c in cuts]

    def minus(rho):
        law = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
        grid = np.array([[law.cdf([h, k]) for k in ends[1]] for h in ends[0]])
        p = np.diff(np.diff(grid, axis=0), axis=1)
        i, j = pair.astype(int).T
        return -np.log(p[i, j]).sum()

    return minimize_scalar(minus, bounds=(-0.9, 0.95), method="bounded", options={"xatol": 1e-9}).x


def test_sampling_covariance_is_that_of_samples():
    """Of correlations and thresholds with a quarter of the values gone: 300 samples of 300 rows.

    Ratios of standard deviations: Monte Carlo error of each 4 %, 22 statistics; 20 % is five of them.
    """
    parts, n = layout(np.full(4, 3), 0), 300
    found, told = [], []
    for seed in range(300):
        y, rng = latent(n, seed)
        values = np.digitize(y[:, :4], CUTS).astype(float)
        values[rng.random(values.shape) < 0.25] = np.nan
        values = values[~np.isnan(values).all(axis=1)]
        s = statistics(values, np.zeros((len(values), 0)), parts)
        found.append(s.value)
        told.append(np.diag(s.gamma) / s.n)
    ratio = np.std(found, axis=0) / np.sqrt(np.mean(told, axis=0))
    assert (np.abs(ratio - 1) < 0.2).all(), ratio


def test_the_scaled_test_holds_its_level():
    """Mean of 30 statistics with 19 degrees of freedom: its standard error is 1.1, and 4.5 is four."""
    found = [
        dm.cfa(TEXT, simulated(400, seed), ordered=True, missing="pairwise").measures["chisq_scaled"]
        for seed in range(100, 130)
    ]
    assert abs(np.mean(found) - 19) < 4.5


def test_nothing_hangs_on_the_order_of_rows_and_variables(frame, fit):
    mixed = frame.sample(frac=1.0, random_state=2)[list(frame.columns[::-1])]
    again = dm.cfa(TEXT, mixed, ordered=True, missing="pairwise")
    np.testing.assert_allclose(again.estimates["estimate"], fit.estimates["estimate"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(again.estimates["se"], fit.estimates["se"], rtol=1e-6, atol=1e-8)


def test_more_rows_and_smaller_errors_than_listwise(frame, fit):
    listwise = dm.cfa(TEXT, frame, ordered=True)
    assert fit.n_observations == int((~frame.isna().all(axis=1)).sum()) > 3 * listwise.n_observations
    free = fit.estimates["se"] > 0
    assert (fit.estimates["se"] < listwise.estimates["se"])[free].all()
    drawn = fit.bootstrap(60, seed=1)
    ratio = np.nanstd(drawn.draws, axis=0)[free] / fit.estimates["se"][free]
    assert 0.85 < np.median(ratio) < 1.15  # 60 draws: 9 % for one, less for the median of 33
    assert fit.predict_factors().shape == (fit.n_observations, 2)


def test_numbers_and_covariates_beside(frame):
    y, rng = latent(800, 1)
    mixed = frame.assign(y0=y[:, 0], y5=np.where(rng.random(800) < 0.1, np.nan, y[:, 5]), x=y[:, 1])
    mixed.loc[3, "x"] = np.nan
    ordered = [c for c in frame if c not in ("y0", "y5")]
    fit = dm.sem(TEXT + "\nf ~ x", mixed, ordered=ordered, missing="pairwise")
    assert fit.converged
    assert fit.n_observations == 799  # covariates are complete
    halves = frame.assign(half=np.arange(800) % 2)
    groups = dm.cfa(TEXT, halves, ordered=True, missing="pairwise", group="half")
    assert groups.converged


def test_what_pairwise_deletion_does_not_take_is_told(frame):
    with pytest.raises(dm.ModelErrors) as told:
        dm.cfa(TEXT, frame, missing="pairwise")
    assert "missing='pairwise' is for ordered variables" in str(told.value)
    first = np.arange(800) < 400
    apart = frame.assign(y0=frame["y0"].where(first), y1=frame["y1"].where(~first))
    with pytest.raises(dm.ModelErrors) as told:
        dm.cfa(TEXT, apart, ordered=True, missing="pairwise")
    assert "0 rows show both 'y0' and 'y1'" in str(told.value)
    halves = apart.assign(half=np.where(np.arange(800) % 2, "odd", "even"))
    with pytest.raises(dm.ModelErrors) as told:
        dm.cfa(TEXT, halves, ordered=True, missing="pairwise", group="half")
    assert "0 rows show both 'y0' and 'y1' in group 'even'" in str(told.value)
    empty = frame.assign(
        y0=frame["y0"].where(~(first & (frame["y0"] == 3)), 2.0), part=np.where(first, "a", "b")
    )
    with pytest.raises(dm.ModelErrors) as told:
        dm.cfa(TEXT, empty, ordered=True, missing="pairwise", group="part")
    assert "of 'y0' in group 'a'" in str(told.value)
