"""What is missing, drawn from the fitted graph, and fits of it pooled; a right program fails one of the
random tests once in 10,000 runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.dispatch.imputation import Estimates, _drawn, given
from dagmodels.results.pooling import _df

CHAIN = """
model chain
plate row
parameter mx, a, b, c0, c1, c2
parameter s, t, u > 0
observed x[row] ~ Normal(mx, s)
observed z[row] ~ Normal(a + b*x, t)
observed y[row] ~ Normal(c0 + c1*x + c2*z, u)
"""
Z = 3.9  # two-sided, 1e-4


def gaps(n: int = 300, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(0.8, 2, n)
    z = 0.5 * x + rng.normal(size=n)
    d = pd.DataFrame({"x": x, "z": z, "y": 1 + x + 0.7 * z + rng.normal(size=n)})
    for column, share in (("x", 0.2), ("z", 0.3), ("y", 0.1)):
        d.loc[rng.uniform(size=n) < share, column] = np.nan
    return d


def test_pooled_fits_are_the_likelihood_of_what_is_there() -> None:
    d, m = gaps(), 30
    graph = dm.read(CHAIN)
    fit = graph.fit(d)
    sets = fit.impute(m, seed=4)
    pooled = dm.pool([graph.fit(one) for one in sets])
    want = fit.estimates.set_index("name").loc[list(pooled.names)]
    noise = np.sqrt(pooled.between / m)
    assert (np.abs(pooled.estimate - want.estimate) < Z * noise + 0.1 * want.se).all()
    # variances between imputations come from m numbers: their ratio is that of chi-squares
    assert (np.abs(pooled.se / want.se - 1) < 0.25).all()
    assert ((pooled.table.fmi > 0) & (pooled.table.fmi < 0.8)).all()


def test_what_was_there_stays_and_everything_is_filled() -> None:
    d = gaps(40)
    d.index = [f"r{i}" for i in range(40)]
    sets = dm.read(CHAIN).fit(d, check=False).impute(3)
    assert len(sets) == 3
    for one in sets:
        frame = one["row"]
        assert not frame[["x", "y", "z"]].isna().any().any()
        there = d.notna().to_numpy()
        np.testing.assert_array_equal(frame[["x", "z", "y"]].to_numpy()[there], d.to_numpy()[there])
    assert not np.allclose(sets[0]["row"].x, sets[1]["row"].x)
    again = dm.read(CHAIN).fit(d, check=False).impute(3)
    np.testing.assert_array_equal(sets[2]["row"].y, again[2]["row"].y)


def test_cells_have_their_conditional_law() -> None:
    """With the estimates held, cells missing alone are Normal given their rows."""
    fit = dm.read(CHAIN).fit(gaps(60))
    problem = fit.beside.problem
    e = fit.estimates.set_index("name").estimate
    held = given(problem, {n: np.array(e[n]) for n in e.index})
    draws = [_drawn(held, ("x", "z", "y"), s) for s in np.random.SeedSequence(3).spawn(200)]
    x, z, y = (problem.values[n] for n in ("x", "z", "y"))
    only_y = np.flatnonzero(np.isnan(y) & ~np.isnan(x) & ~np.isnan(z))
    only_z = np.flatnonzero(np.isnan(z) & ~np.isnan(x) & ~np.isnan(y))
    assert only_y.size
    assert only_z.size
    found = np.array([d["y"][only_y] for d in draws])
    score = (found - (e.c0 + e.c1 * x[only_y] + e.c2 * z[only_y])) / e.u
    precision = 1 / e.t**2 + e.c2**2 / e.u**2
    middle = (
        (e.a + e.b * x[only_z]) / e.t**2 + e.c2 * (y[only_z] - e.c0 - e.c1 * x[only_z]) / e.u**2
    ) / precision
    other = (np.array([d["z"][only_z] for d in draws]) - middle) * np.sqrt(precision)
    for scores in (score, other):
        n = scores.size
        assert abs(scores.mean()) < Z / np.sqrt(n)
        assert abs(scores.var() - 1) < Z * np.sqrt(2 / n)


def test_draws_of_estimates_have_their_covariance_and_domain() -> None:
    fit = dm.read(CHAIN).fit(gaps())
    law = Estimates(fit, fit.beside.problem)
    rng = np.random.default_rng(1)
    draws = np.array([law.draw(rng) for _ in range(4000)])
    at = [list(fit.covariance_names).index(n) for n in law.names]
    want = fit.covariance_matrix[np.ix_(at, at)]
    sd = np.sqrt(np.diag(want))
    correlation = want / np.outer(sd, sd)
    np.testing.assert_allclose(draws.std(axis=0) / sd, 1.0, atol=Z / np.sqrt(2 * 4000) + 0.02)
    np.testing.assert_allclose(np.corrcoef(draws.T), correlation, atol=Z / np.sqrt(4000) + 0.02)
    assert (draws[:, law.log] > 0).all()


def test_counts_states_and_groups() -> None:
    text = """
    model mixed
    plate grp
    plate row in grp
    plate kind = "a", "b"
    parameter b0, b1, g0, g1
    parameter p in (0, 1)
    parameter s > 0
    u[grp] ~ Normal(0, s)
    observed k[row] in kind ~ Categorical([1 - p, p])
    observed n[row] ~ Poisson(exp(g0 + g1*(k == "b") + u[grp]))
    observed v[row] ~ Bernoulli(expit(b0 + b1*n))
    """
    rng, size = np.random.default_rng(7), 240
    grp = np.repeat(np.arange(24), 10)
    k = rng.uniform(size=size) < 0.4
    n = rng.poisson(np.exp(0.3 + 0.6 * k + 0.3 * rng.normal(size=24)[grp])).astype(float)
    v = (rng.uniform(size=size) < 1 / (1 + np.exp(1 - 0.5 * n))).astype(float)
    v[rng.uniform(size=size) < 0.2] = np.nan
    d = pd.DataFrame({"grp": grp, "k": np.where(k, "b", "a"), "n": n, "v": v})
    fit = dm.read(text).fit(d)
    one, other = fit.impute(2)
    assert set(one["row"].v.unique()) == {0, 1}
    assert one["row"].k.tolist() == d.k.tolist()
    assert (one["row"].v.to_numpy() != other["row"].v.to_numpy())[np.isnan(v)].any()
    assert dm.read(text).fit(one).converged


def test_draws_of_a_posterior_are_imputations() -> None:
    text = CHAIN.replace("parameter mx, a, b, c0, c1, c2\nparameter s, t, u > 0\n", "") + (
        "mx, a, b, c0, c1, c2 ~ Normal(0, 5)\ns, t, u ~ HalfNormal(5)\n"
    )
    d = gaps(80)
    fit = dm.read(text).fit(d, method="gibbs", draws=100, chains=2)
    sets = fit.impute(5)
    frame = sets[4]["row"]
    lost = d.x.isna().to_numpy()
    np.testing.assert_array_equal(frame.x.to_numpy()[lost], fit.samples["x"][1, -1][lost])
    with pytest.raises(dm.FitError, match="there are 200 draws"):
        fit.impute(201)


def test_rubins_rules_by_hand() -> None:
    """m = 3 estimates 1, 2, 3 with variances 1, 2, 3: W = 2, B = 1, T = 2 + 4/3."""

    class One:
        converged = True

        def __init__(self, estimate: float) -> None:
            self.estimate_columns = {"name": ["b"], "estimate": [estimate], "se": [np.sqrt(estimate)]}

    found = dm.pool([One(1.0), One(2.0), One(3.0)])  # type: ignore[list-item]
    assert found["b"] == 2.0
    assert found.se[0] == pytest.approx(np.sqrt(2 + 4 / 3))
    assert found.df[0] == pytest.approx(2 * (1 + 2 / (4 / 3)) ** 2)
    riv = (4 / 3) / 2
    assert found.table.riv[0] == pytest.approx(riv)
    assert found.table.fmi[0] == pytest.approx((riv + 2 / (found.df[0] + 3)) / (riv + 1))
    share = (4 / 3) / (2 + 4 / 3)
    seen = 21 / 23 * 20 * (1 - share)
    few = _df(np.array([2.0]), np.array([1.0]), 3, 20.0)[0]
    assert few == pytest.approx(1 / (1 / found.df[0] + 1 / seen))
    assert "pooled by Rubin's rules" in str(found)
    with pytest.raises(dm.FitError, match="pool two or more"):
        dm.pool([One(1.0)])  # type: ignore[list-item]


def test_what_cannot_be_imputed_is_told() -> None:
    d = gaps(60).fillna(0.0)
    fit = dm.read(CHAIN).fit(d)
    with pytest.raises(dm.FitError, match="nothing is missing"):
        fit.impute()
    with pytest.raises(dm.FitError, match="m=0 is no number"):
        fit.impute(0)


def test_missing_not_at_random_by_its_own_node() -> None:
    """Large values are missing more often. The missingness node recovers the truth, its absence does not."""
    rng, n = np.random.default_rng(11), 3000
    x = rng.normal(size=n)
    y = 1 + 0.5 * x + rng.normal(size=n)
    seen = (rng.uniform(size=n) < 1 / (1 + np.exp(-(2 - 1.5 * y)))).astype(int)
    d = {"x": x, "y": np.where(seen == 1, y, np.nan), "seen": seen}
    outcome = "model outcome\nplate row\ncovariate x[row]\nparameter a, b\nparameter s > 0\n"
    outcome += "observed y[row] ~ Normal(a + b*x, s)\n"
    naive = dm.read(outcome).fit({"x": x, "y": d["y"]})
    fit = dm.read(outcome + "parameter c0, c1\nobserved seen[row] ~ Bernoulli(expit(c0 + c1*y))\n").fit(
        d, quadrature=15
    )
    table = fit.estimates.set_index("name")
    for name, truth in (("a", 1.0), ("b", 0.5), ("s", 1.0), ("c0", 2.0), ("c1", -1.5)):
        assert abs(table.estimate[name] - truth) < Z * table.se[name]
    assert abs(naive["a"] - 1.0) > 10 * naive.estimates.set_index("name").se["a"]
    problem, lost = fit.beside.problem, seen == 0
    held = given(problem, {n: np.array(e) for n, e in table.estimate.items()})
    drawn = _drawn(held, ("y",), np.random.SeedSequence(2))["y"][lost]
    means, sds = fit.latents.estimate, fit.latents.sd
    assert abs(drawn.mean() - means.mean()) < Z * np.sqrt((sds**2).mean() / lost.sum())
    assert drawn.mean() > np.nanmean(d["y"]) + 0.5
