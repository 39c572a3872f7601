"""Mixtures once more: refits, bootstraps of responses and of units, against fits of the data themselves."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.errors import FitError, ModelErrors
from tests.backends.em.test_mixture import GAUSSIAN, MISCLASSIFIED, two_normals

HMM = """model hmm
plate town
plate t in town ordered
plate state = "dry", "wet"
plate to as state
parameter p[state, to] simplex
parameter mu[state]
z[t first] in state ~ Categorical([0.5, 0.5])
z[t] in state ~ Categorical(p[z[t-1], to])
observed y[t] ~ Normal(mu[z], 1)
"""

CLASSES = """model classes
plate person
plate item = "a", "b", "c", "d"
plate class = 1..2
parameter w[class] simplex
parameter p[class, item] in (0, 1)
z[person] in class ~ Categorical(w)
observed y[person, item] ~ Bernoulli(p[z, item])
"""


def chains(seed: int, towns: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lengths = [1, *rng.integers(5, 30, towns - 1)]
    t = np.concatenate([np.arange(n) for n in lengths])
    town = np.repeat(np.arange(towns), lengths)
    y = np.where((t // 6 + town) % 2, 3.0, 0.0) + rng.normal(size=t.size)
    return pd.DataFrame({"town": town, "t": t, "y": y})


def agree(one: dm.Fit, other: dm.Fit, tolerance: float = 1e-4) -> None:
    """Estimates within a share of their standard errors."""
    a, b = one.estimates.set_index("name"), other.estimates.set_index("name").reindex(one.estimates["name"])
    assert (np.abs(a["estimate"] - b["estimate"]) < tolerance * (a["se"].fillna(0) + 1e-3)).all()
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-6)


def test_refit_is_the_fit_of_the_other_responses() -> None:
    fit = dm.read(GAUSSIAN).fit({"y": two_normals(1)})
    other = two_normals(2)
    agree(fit.refit(other), dm.read(GAUSSIAN).fit({"y": other}))
    refitter = fit.refitter()
    row = refitter.refit(other)
    assert row.converged
    named = dict(zip(refitter.names, row.estimates, strict=True))
    assert list(named) == list(fit.estimates["name"])
    assert named["gap"] == pytest.approx(named["mu[2]"] - named["mu[1]"])
    assert row.criterion == pytest.approx(-2 * fit.refit(other).log_likelihood)


def test_labels_stay_those_of_the_fit() -> None:
    """Components keep their labels, told by weights and scales, where the order of means turns around."""
    rng = np.random.default_rng(3)
    parts = rng.normal(0, 0.5, 600), rng.normal(0, 4, 200)
    fit = dm.read(GAUSSIAN).fit({"y": np.concatenate([parts[0], parts[1] + 1.5])})
    other = np.concatenate([parts[0] + 1.5, parts[1]])
    turned, named = fit.refit(other), dm.read(GAUSSIAN).fit({"y": other})
    assert fit["mu[1]"] < fit["mu[2]"]
    assert fit["sigma[1]"] < 1 < fit["sigma[2]"]
    assert turned["mu[1]"] > turned["mu[2]"]
    assert turned["sigma[1]"] < 1 < turned["sigma[2]"]
    assert named["sigma[1]"] == pytest.approx(turned["sigma[2]"], abs=1e-4)


def test_standard_errors_of_a_bootstrap_are_those_of_the_information() -> None:
    """Well separated components: a standard error of the bootstrap has a relative error of 1 / sqrt(2 * 300),
    and 20 % are 4.9 of them: false alarms below 1e-5."""
    rng = np.random.default_rng(4)
    y = np.concatenate([rng.normal(0, 1, 500), rng.normal(9, 2, 300)])
    fit = dm.read(GAUSSIAN).fit({"y": y})
    se = fit.estimates["se"].to_numpy()
    found = fit.bootstrap(300, seed=2)
    assert found.kind == "parametric"
    assert not found.failures
    assert found.se[:6] / se[:6] == pytest.approx(np.ones(6), abs=0.2)
    assert found.estimates == pytest.approx(fit.estimates["estimate"].to_numpy())


@pytest.mark.parametrize("which", ["rows", "persons", "chains", "known"])
def test_units_drawn_again_are_the_fit_of_the_repeated_data(which: str) -> None:
    rng = np.random.default_rng(5)
    if which == "rows":
        text, data, unit = GAUSSIAN, pd.DataFrame({"y": two_normals(5, 200)}), None
    elif which == "persons":
        true = rng.random(150) < 0.4
        chance = np.where(true[:, None], [0.9, 0.8, 0.7, 0.9], [0.2, 0.1, 0.3, 0.2])
        wide = (rng.random((150, 4)) < chance).astype(float)
        data = pd.DataFrame(
            {"person": np.repeat(np.arange(150), 4), "item": list("abcd") * 150, "y": wide.reshape(-1)}
        )
        text, unit = CLASSES, "person"
    elif which == "chains":
        text, data, unit = HMM, chains(6), "town"
    else:
        n = 400
        z = rng.normal(size=n)
        x = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)
        w = np.where(rng.random(n) < 0.15, 1 - x, x)
        y = (rng.random(n) < 1 / (1 + np.exp(0.5 - 1.5 * x - 0.5 * z))).astype(float)
        x[rng.random(n) < 0.6] = np.nan
        text, data, unit = MISCLASSIFIED, pd.DataFrame({"z": z, "x": x, "w": w, "y": y}), None
    graph = dm.read(text)
    fit = graph.fit(data)
    refitter = fit.again.__class__(fit.again.solution, fit.again.plan, "").refitter()
    (drawn,) = refitter.simulate([np.random.SeedSequence(7)])
    ((plate, counts),) = drawn.items()
    again = refitter.fit(drawn)
    assert counts.sum() == refitter.units.size
    if unit is None:
        repeated = data.iloc[np.repeat(np.arange(len(data)), counts.astype(int))].reset_index(drop=True)
    else:
        assert plate == unit
        levels = list(dict.fromkeys(data[unit]))
        parts = []
        for level, times in zip(levels, counts.astype(int), strict=True):
            parts += [data[data[unit] == level].assign(**{unit: f"{level}-{k}"}) for k in range(times)]
        repeated = pd.concat(parts, ignore_index=True)
    agree(again, graph.fit_quietly(repeated))


def test_executors_and_copies_change_nothing() -> None:
    from concurrent.futures import ThreadPoolExecutor

    fit = dm.read(HMM).fit(chains(8))
    one = fit.bootstrap(12, seed=3, kind="nonparametric")
    with ThreadPoolExecutor(2) as pool:
        other = pickle.loads(pickle.dumps(fit)).bootstrap(12, seed=3, kind="nonparametric", executor=pool)
    assert np.array_equal(one.draws, other.draws)
    by_fit = fit.bootstrap(3, seed=3, statistic=lambda f: f["mu[wet]"])
    at = one.names.index("mu[wet]")
    assert by_fit.draws[:, 0] == pytest.approx(fit.bootstrap(3, seed=3).draws[:, at])


def test_levels_are_taken_as_responses() -> None:
    law = 'plate answer = "no", "yes"\nobserved y[person, item] in answer ~ '
    law += "Categorical([1 - p[z, item], p[z, item]])"
    text = CLASSES.replace("observed y[person, item] ~ Bernoulli(p[z, item])", law)
    rng = np.random.default_rng(9)
    wide = np.where(rng.random((300, 4)) < np.where(np.arange(300)[:, None] < 150, 0.75, 0.3), "yes", "no")
    data = pd.DataFrame(
        {"person": np.repeat(np.arange(300), 4), "item": list("abcd") * 300, "y": wide.reshape(-1)}
    )
    fit = dm.read(text).fit(data)
    agree(fit.refit(wide), fit)
    with pytest.raises(ModelErrors) as found:
        fit.refit(np.where(wide == "yes", "maybe", wide))
    assert "'maybe' is no level of 'y'" in str(found.value.exceptions[0])


def test_what_has_no_units_is_refused() -> None:
    one = chains(10).query("town == 3").drop(columns="town")
    text = HMM.replace("plate town\nplate t in town ordered", "plate t ordered")
    fit = dm.read(text).fit_quietly(one)
    with pytest.raises(FitError, match="no plate has independent units"):
        fit.bootstrap(5, kind="nonparametric")
    fit = dm.read(HMM).fit(chains(10))
    with pytest.raises(FitError, match=r"elements of 't' are no independent units .*'town'"):
        fit.bootstrap(5, kind="nonparametric", units="t")
    with pytest.raises(ModelErrors) as found:
        fit.bootstrap(5, kind="blocks")
    assert "kind is 'blocks'" in str(found.value.exceptions[0])
    with pytest.raises(FitError, match="no closed form of influence"):
        fit.influence()
