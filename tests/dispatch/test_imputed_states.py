"""Imputation where states are hidden: draws against exact probabilities, pooled fits against the likelihood
of what is there; a right program fails one of the random tests once in 10,000 runs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm

import dagmodels as dm
from dagmodels.backends.em.tables import expectation as tables_expectation
from dagmodels.backends.em.tables.expectation import Expectation, Joined
from dagmodels.dispatch.imputation import _drawn, given
from dagmodels.fits.network.draw import drawn
from dagmodels.fits.network.query import network

NETWORK = """
model clinic
plate yes = "no", "yes"
plate degree = "none", "some", "much"
smoke in yes ~ Table([0.6, 0.4])
ill in degree ~ Table(smoke, {"no": [0.8, 0.15, 0.05], "yes": [0.5, 0.3, 0.2]})
cough in yes ~ Table(ill, {"none": [0.9, 0.1], "some": [0.5, 0.5], "much": [0.2, 0.8]})
tired in yes ~ Table(ill, smoke, {
  ("none", "no"): [0.9, 0.1], ("none", "yes"): [0.7, 0.3], ("some", "no"): [0.6, 0.4],
  ("some", "yes"): [0.5, 0.5], ("much", "no"): [0.3, 0.7], ("much", "yes"): [0.1, 0.9]})
"""
COLUMNS = ("smoke", "ill", "cough", "tired")
ONCE = 1e-4


def cases(n: int = 1500, seed: int = 3, lost: float = 0.25) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    net = network(dm.read(NETWORK).dag)
    codes = drawn(net, np.full((n, 4), -1), rng)
    frame = pd.DataFrame(
        {c: np.array(net.tables.states[i], dtype=object)[codes[:, i]] for i, c in enumerate(COLUMNS)}
    )
    return frame.mask(rng.uniform(size=(n, 4)) < lost)


def fits_law(counts: np.ndarray, p: np.ndarray, share: float) -> bool:
    """Pearson's test."""
    expected = counts.sum() * p
    assert (counts[p == 0] == 0).all()
    kept = p > 0
    value = float(np.sum((counts - expected)[kept] ** 2 / expected[kept]))
    return chi2.sf(value, kept.sum() - 1) > share


@pytest.mark.parametrize(
    "seen",
    [{"cough": "yes"}, {"tired": "yes", "smoke": "no"}, {"ill": "some"}, {"cough": "no", "tired": "no"}],
)
def test_states_are_drawn_jointly_by_their_probabilities(seen: dict[str, str]) -> None:
    graph = dm.read(NETWORK)
    net = network(graph.dag)
    codes = np.full((6000, 4), -1)
    for name, state in seen.items():
        codes[:, net.tables.index[name]] = net.tables.codes[net.tables.index[name]][state]
    found = drawn(net, codes, np.random.default_rng(5))
    assert (found[codes >= 0] == codes[codes >= 0]).all()
    rest = [n for n in COLUMNS if n not in seen]
    want = graph.query(seen, tuple(rest), joint=True)[tuple(rest)]
    labels = [net.tables.states[net.tables.index[n]] for n in rest]
    at = np.ravel_multi_index(
        [found[:, net.tables.index[n]] for n in rest], [len(states) for states in labels]
    )
    p = np.array([want[states] for states in product(*labels)])
    assert fits_law(np.bincount(at, minlength=p.size), p, ONCE / 4)


@pytest.mark.parametrize("joined", [False, True])
def test_counts_are_drawn_about_those_expected(joined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = dm.read(NETWORK).fit(cases(300), method="em")
    if joined:
        monkeypatch.setattr(tables_expectation, "MOST", 0)
    made = fit.completer
    expectation = Expectation(made.form)
    assert all(isinstance(p, Joined) == joined for p in expectation.parts)
    rng = np.random.default_rng(8)
    draws = np.array([expectation.drawn(made.cells, rng) for _ in range(400)])
    want = expectation(made.cells)[1]
    assert (draws.sum(axis=1) == round(want.sum())).all()
    sd = draws.std(axis=0)
    away = np.abs(draws.mean(axis=0) - want)[sd > 0] / sd[sd > 0] * 20
    assert away.max() < norm.isf(ONCE / (2 * away.size)) + 0.3  # counts of few cases are not quite normal
    np.testing.assert_allclose(draws.mean(axis=0)[sd == 0], want[sd == 0], atol=0.03)


def test_tables_are_drawn_from_their_posterior() -> None:
    """One binary node, some missing: draws are those of a Beta law (the missing ones say nothing)."""
    frame = pd.DataFrame({"smoke": ["no"] * 30 + ["yes"] * 10 + [None] * 40, "ill": "none"})
    text = NETWORK.split("ill in")[0] + "ill in degree ~ Table([0.8, 0.1, 0.1])\n"
    made = dm.read(text).fit(frame, method="em").completer
    rng = np.random.default_rng(1)
    expectation = Expectation(made.form)
    draws = np.array([made.drawn_cells(expectation, 1, rng)[0] for _ in range(4000)])
    a, b = 30.75, 10.25  # the counts, and one case spread as the estimate
    mean, var = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    assert abs(draws.mean() - mean) < norm.isf(ONCE / 4) * np.sqrt(var / 4000)
    assert abs(draws.var() / var - 1) < norm.isf(ONCE / 4) * np.sqrt(2 / 4000)


def test_pooled_tables_are_the_likelihood_of_what_is_there() -> None:
    d, m = cases(), 20
    graph = dm.read(NETWORK)
    fit = graph.fit(d)
    sets = fit.impute(m, seed=2)
    frame = sets[0]["case"]
    there = d.notna().to_numpy()
    assert not frame[list(COLUMNS)].isna().any().any()
    np.testing.assert_array_equal(frame[list(COLUMNS)].to_numpy()[there], d.to_numpy()[there])
    np.testing.assert_array_equal(fit.impute(m, seed=2)[7]["case"], sets[7]["case"])
    pooled = dm.pool([graph.fit(one) for one in sets])
    want = fit.estimates
    assert list(want.name) == list(pooled.names)
    noise = np.sqrt(pooled.between / m)
    limit = norm.isf(ONCE / (2 * len(want)))
    assert (np.abs(pooled.estimate - want.estimate) < limit * noise + 0.15 * want.se).all()
    # a sum of squares of 19 differences in it: 0.25 is far out
    assert np.abs(np.log(pooled.se / want.se)).max() < 0.25
    assert (pooled.table.fmi > 0.05).mean() > 0.8


def test_hidden_classes_keep_their_labels_where_fits_begin_at_the_estimates() -> None:
    items = "".join(f"i{k} in yes ~ Table(kind, {{1: [0.8, 0.2], 2: [0.25, 0.75]}})\n" for k in range(5))
    text = 'model classes\nplate yes = "no", "yes"\nplate which = 1..2\nkind in which ~ Table([0.6, 0.4])\n'
    graph = dm.read(text + items)
    net = network(graph.dag)
    rng = np.random.default_rng(4)
    codes = drawn(net, np.full((800, 6), -1), rng)
    d = pd.DataFrame({f"i{k}": np.array(["no", "yes"], dtype=object)[codes[:, k + 1]] for k in range(5)})
    fit = graph.fit(d.mask(rng.uniform(size=d.shape) < 0.15))
    again = dm.Graph.of(fit.network)
    pooled = dm.pool([again.fit(one, starts=1) for one in fit.impute(20, seed=5)])
    want = fit.estimates
    limit = norm.isf(ONCE / (2 * len(want)))
    noise = np.sqrt(pooled.between / 20)
    assert (np.abs(pooled.estimate - want.estimate) < limit * noise + 0.2 * want.se).all()


def test_tables_that_stay() -> None:
    """Tables that are fixed, and states without cases, are as they were; columns never seen stay hidden."""
    d = cases(400).assign(tired=None)
    d = d.where(d != "much", "some")
    fit = dm.read(NETWORK).fit(d, method="em", fix="cough")
    made = fit.completer
    cells = made.drawn_cells(Expectation(made.form), 5, np.random.default_rng(1))
    net, starts = made.form.tables, made.form.starts
    k = net.index["cough"]
    np.testing.assert_array_equal(cells[starts[k] : starts[k + 1]], net.numbers[k].ravel())
    sums = np.add.reduceat(cells, made.layout.firsts)
    np.testing.assert_allclose(sums, 1.0, rtol=1e-12)
    frame = fit.impute(1)[0]["case"]
    assert "tired" not in frame
    assert not frame.isna().any().any()


def test_an_imputed_set_says_what_it_is() -> None:
    one = dm.read(NETWORK).fit(cases(60)).impute(1)[0]
    assert repr(one).startswith("imputed data")
    assert "truth" not in repr(one)


LINEAR = """
model far_apart
plate row
plate k = "a", "b"
parameter w[k] simplex
parameter mu[k], b
parameter s, t > 0
observed z[row] in k ~ Categorical(w)
observed x[row] ~ Normal(mu[z], s)
observed y[row] ~ Normal(b*x, t)
"""


def far_apart(n: int = 400, seed: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    z = rng.uniform(size=n) < 0.4
    x = rng.normal(np.where(z, 12.0, 0.0), 1.0)
    y = 0.1 * x + rng.normal(size=n)
    d = pd.DataFrame({"z": np.where(z, "b", "a"), "x": x, "y": y}).astype({"z": object})
    return d.mask(rng.uniform(size=(n, 3)) < 0.25)


def test_hidden_states_and_values_of_linear_cases() -> None:
    """Against their probabilities, means and deviations; states so far apart that no walk crosses between."""
    fit = dm.read(LINEAR).fit(far_apart())
    assert fit.backend == "em"
    made = fit.completer
    rng, draws = np.random.default_rng(6), 500
    found = [made.drawn(made.numbers, rng) for _ in range(draws)]
    known = fit.latents.set_index("name")
    z, x = (np.array([f[n] for f in found]) for n in "zx")
    limit = norm.isf(ONCE / (2 * len(known)))
    d = far_apart()
    for row in np.flatnonzero(d.z.isna()):
        p = known.estimate[f"z[{row}] == b"]
        assert abs(z[:, row].mean() - p) < limit * np.sqrt(p * (1 - p) / draws) + 2 / draws
    for row in np.flatnonzero(d.x.isna()):
        sd = known.sd[f"x[{row}]"]
        assert abs(x[:, row].mean() - known.estimate[f"x[{row}]"]) < limit * sd / np.sqrt(draws) + 0.02
    free = np.flatnonzero(d.x.isna() & d.z.isna())
    both = z[:, free] == (x[:, free] > 6)
    assert both.all()


def test_pooled_linear_cases() -> None:
    d, m = far_apart(), 20
    graph = dm.read(LINEAR)
    fit = graph.fit(d)
    pooled = dm.pool([graph.fit(one) for one in fit.impute(m, seed=3)])
    want = fit.estimates.set_index("name").loc[list(pooled.names)]
    noise = np.sqrt(pooled.between / m)
    limit = norm.isf(ONCE / (2 * len(want)))
    assert (np.abs(pooled.estimate - want.estimate) < limit * noise + 0.15 * want.se).all()
    assert np.abs(np.log(pooled.se / want.se)).max() < 0.25


def test_missing_values_of_mixtures_come_from_all_components() -> None:
    """A value on which nothing depends is drawn given its state, not walked to from one of its modes."""
    text = """
    model mixture
    plate row
    plate k = "a", "b"
    parameter w[k] simplex
    parameter mu[k], nu[k]
    parameter s > 0
    z[row] in k ~ Categorical(w)
    observed x[row] ~ Normal(mu[z], s)
    observed y[row] ~ Normal(nu[z], 1)
    """
    rng, n = np.random.default_rng(2), 300
    z = rng.uniform(size=n) < 0.4
    x = np.where(rng.uniform(size=n) < 0.3, np.nan, rng.normal(np.where(z, 20, 0), 1))
    d = {"x": x, "y": rng.normal(np.where(z, -0.5, 0.5), 1)}
    fit = dm.read(text).fit(d)
    problem, lost = fit.beside.problem, np.isnan(x)
    e = fit.estimates.set_index("name").estimate
    held = {n: np.array(e[n]) for n in ("s",)}
    held |= {n: np.array([e[f"{n}[a]"], e[f"{n}[b]"]]) for n in ("w", "mu", "nu")}
    draws = np.array(
        [_drawn(given(problem, held), ("x",), s)["x"][lost] for s in np.random.SeedSequence(9).spawn(40)]
    )
    upper = "b" if e["mu[b]"] > e["mu[a]"] else "a"
    p = fit.latents.set_index("name").estimate
    p = np.array([p[f"z[{row}] == {upper}"] for row in np.flatnonzero(lost)])
    found = (draws > 10).sum()
    assert abs(found - 40 * p.sum()) < norm.isf(ONCE / 2) * np.sqrt(40 * (p * (1 - p)).sum())
