"""Data in pieces: the same numbers as of one frame, whatever the pieces are and whoever reads them."""

from __future__ import annotations

import resource
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars
import pyarrow
import pyarrow.dataset
import pytest

import dagmodels as dm
from dagmodels.backends.em.mixture import pieces
from dagmodels.data.partitions import distinct

CLASSES = """model classes
plate unit
plate klass = 1..3
plate item = 1..6
parameter w[klass] simplex
parameter p[klass, item] in (0, 1)
k[unit] in klass ~ Categorical(w)
observed y[unit, item] ~ Bernoulli(p[k, item])
"""
NORMALS = """model two
plate obs
plate comp = 1..2
parameter w[comp] simplex
parameter mu[comp]
parameter sigma[comp] > 0
z[obs] in comp ~ Categorical(w)
observed y[obs] ~ Normal(mu[z], sigma[z])
"""
ITEMS = [f"y[{i}]" for i in range(1, 7)]
P = np.array([[0.9, 0.8, 0.7, 0.9, 0.8, 0.6], [0.2, 0.3, 0.8, 0.1, 0.6, 0.5], [0.1, 0.1, 0.2, 0.3, 0.2, 0.9]])


def classes(seed: int, n: int) -> pd.DataFrame:
    """Answers of n persons in three classes."""
    rng = np.random.default_rng((5, seed))
    k = np.searchsorted([0.5, 0.8, 1.0], rng.random(n), side="right")
    return pd.DataFrame((rng.random((n, 6), dtype=np.float32) < P[k]).astype(np.int8), columns=ITEMS)


def same(one: dm.Graph, other: dm.Graph, tolerance: float = 1e-10) -> None:
    assert one.converged
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=tolerance)
    assert list(one.estimates.name) == list(other.estimates.name)
    np.testing.assert_allclose(one.estimates.estimate, other.estimates.estimate, atol=tolerance)
    np.testing.assert_allclose(one.estimates.se, other.estimates.se, rtol=1e-6)
    assert one.bic == pytest.approx(other.bic, rel=tolerance)
    assert one.n_observations == other.n_observations


def test_latent_classes_of_a_million_rows():
    g = dm.read(CLASSES)
    fit = g.fit(dm.partitions(lambda: (classes(s, 100_000) for s in range(10))), starts=2)
    assert fit.diagnostics["rows"] == 1_000_000
    assert fit.diagnostics["different_rows"] == 64
    same(fit, g.fit(pd.concat([classes(s, 100_000) for s in range(10)]), starts=2))


@pytest.mark.long
def test_a_hundred_million_rows_in_flat_memory():
    """One piece has 8 million numbers of a byte; 100 of them take no more memory than the first few."""
    g = dm.read(CLASSES)
    g.fit(dm.partitions(lambda: (classes(s, 1_000_000) for s in range(3))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fit = g.fit(dm.partitions(lambda: (classes(s, 1_000_000) for s in range(100))))
    assert fit.diagnostics["rows"] == 100_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes
    got = fit.estimates.set_index("name")
    order = np.argsort(P[:, 0])  # labels in ascending order of the first item
    for k, truth in enumerate(order, start=1):
        for item in range(6):
            row = got.loc[f"p[{k}, {item + 1}]"]
            assert abs(row.estimate - P[truth, item]) < 5 * row.se


@pytest.mark.parametrize(
    "kind", ["frames", "polars", "arrow", "dataset", "files", "columns", "threads", "processes"]
)
def test_every_kind_of_source_gives_the_same(kind, tmp_path):
    g = dm.read(CLASSES)
    parts = [classes(s, 500) for s in range(4)]
    executor = None
    source: object = parts
    match kind:
        case "polars":
            source = [polars.from_pandas(part) for part in parts]
        case "arrow":
            source = [pyarrow.Table.from_pandas(part) for part in parts]
        case "dataset":
            for i, part in enumerate(parts):
                part.to_parquet(tmp_path / f"{i}.parquet")
            source = pyarrow.dataset.dataset(tmp_path)
        case "files":
            for i, part in enumerate(parts):
                part.to_csv(tmp_path / f"{i}.csv", index=False)
            source = sorted(tmp_path.glob("*.csv"))
        case "columns":
            source = [{name: part[name].to_numpy() for name in ITEMS} for part in parts]
        case "threads":
            executor = ThreadPoolExecutor(2)
        case "processes":
            executor = ProcessPoolExecutor(1)
    fit = g.fit(dm.partitions(source, executor), starts=2)
    if executor is not None:
        executor.shutdown()
    same(fit, g.fit(pd.concat(parts), starts=2))


def test_tables_with_gaps_and_labels():
    rng = np.random.default_rng(2)
    a, n = rng.random(6000) < 0.3, 6000
    b = rng.random(n) < np.where(a, 0.8, 0.2)
    shown = {
        k: np.where(rng.random(n) < 0.1, None, np.where(v, "yes", "no")) for k, v in {"a": a, "b": b}.items()
    }
    data = pd.DataFrame(shown)
    g = dm.read('model n\nplate answer = "yes", "no"\na in answer ~ Table()\nb in answer ~ Table(a)\n')
    same(g.fit(dm.partitions([data[i : i + 700] for i in range(0, n, 700)])), g.fit(data))


def test_unknown_distributions():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.poisson(rng.choice([1.0, 5.0], 20_000))})
    g = dm.read("model p\nplate i\ntheta[i] ~ NPMLE()\nobserved y[i] ~ Poisson(theta)\n")
    fit, whole = g.fit(dm.partitions([data[:9000], data[9000:]])), g.fit(data)
    assert fit.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    assert fit.n_observations == 20_000
    np.testing.assert_allclose(fit.mixing.weights, whole.mixing.weights, atol=1e-8)


@pytest.mark.parametrize("how", ["kept", "again", "threads"])
def test_rows_that_all_differ_are_gone_through_again(how, monkeypatch):
    monkeypatch.setattr("dagmodels.dispatch.partitions.MOST", 1000)
    rng = np.random.default_rng(1)
    y = np.where(rng.random(6000) < 0.6, rng.normal(0, 1, 6000), rng.normal(5, 2, 6000))
    if how == "again":
        monkeypatch.setattr(pieces, "KEPT", 0)
    executor = ThreadPoolExecutor(2) if how == "threads" else None
    g = dm.read(NORMALS)
    parts = dm.partitions([pd.DataFrame({"y": y[i : i + 1500]}) for i in range(0, 6000, 1500)], executor)
    assert distinct(parts, ["y"], 1000) is None
    fit = g.fit(parts)
    same(fit, g.fit({"y": y}))
    assert list(fit.states({"y": [0.0, 9.0]}).state) == [1, 2]
    with pytest.raises(dm.FitError, match=r"states\(piece\)"):
        fit.states()
    if executor is not None:
        executor.shutdown()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (iter([]), "an iterator can be gone through only once"),
        (pd.DataFrame({"y": [1.0]}), "DataFrame is no sequence of tables"),
        ([{"y": 1.0}, {"y": 2.0}], "list is no sequence of tables"),
        (3, "int is no sequence of tables"),
        ([], "there are no rows in any piece"),
        ([{"y": [1.0]}, {"x": [1.0]}], "a piece has no column 'y'"),
    ],
)
def test_sources_that_are_none(source, message):
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(NORMALS).fit(dm.partitions(source))
    assert message in str(caught.value.exceptions[0])


def test_models_that_need_one_frame_say_so():
    g = dm.read("model m\nplate i\nparameter a\nparameter s > 0\nobserved y[i] ~ Normal(a, s)\n")
    with pytest.raises(dm.FitError, match="fitted by 'em' alone"):
        g.fit(dm.partitions([{"y": [1.0, 2.0]}, {"y": [2.5]}]))


def test_counting_agrees_with_pandas():
    rng = np.random.default_rng(8)
    data = pd.DataFrame(
        {
            "a": rng.integers(-3, 3, 4000),
            "b": np.where(rng.random(4000) < 0.2, np.nan, rng.integers(0, 4, 4000) / 2),
            "c": rng.choice(["x", "y"], 4000),
            "d": rng.integers(0, 10**12, 3)[rng.integers(0, 3, 4000)],
        }
    )
    found = distinct(dm.partitions([data[:1500], data[1500:]]), list(data.columns))
    assert found is not None
    columns, counts = found
    ours = pd.DataFrame(columns).assign(n=counts)
    theirs = data.value_counts(dropna=False).rename("n").reset_index()
    merged = ours.astype({"b": float}).merge(theirs, on=["a", "b", "c", "d"], how="outer")
    assert (merged.n_x == merged.n_y).all()
    assert counts.sum() == 4000
