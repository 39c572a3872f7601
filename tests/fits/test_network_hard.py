"""Bad input and hard cases of discrete networks, one clause after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm

ODD = """model odd
plate s = "yes", "<5", "1-3_Days"
x in s ~ Table([0.2, 0.3, 0.5])
y in s ~ Table(x, {"yes": [0.2, 0.3, 0.5], "<5": [1, 0, 0], "1-3_Days": [0, 1, 0]})
"""


def told(action) -> list[str]:
    with pytest.raises(dm.ModelErrors) as caught:
        action()
    return [str(e) for e in caught.value.exceptions]


def test_rows_that_do_not_sum_to_one_in_a_text():
    nearly = dm.read(ODD.replace("[0.2, 0.3, 0.5])", "[0.2, 0.3, 0.5000005])"))
    assert sum(nearly.query(targets="x")["x"].values()) == pytest.approx(1, abs=1e-15)
    (message,) = told(lambda: dm.read(ODD.replace("[0.2, 0.3, 0.5])", "[0.2, 0.3, 0.51])")))
    assert "line 3, column 10: The row of Table sums to 1.01, not to 1" in message


def test_states_with_signs_and_states_that_are_none():
    g = dm.read(ODD)
    assert g.query({"y": "1-3_Days"})["x"]["yes"] == pytest.approx(1)
    assert "'5' is no state of 'y' (did you mean '<5'?)" in told(lambda: g.query({"y": 5}))[0]
    assert "row 2: 'no' is no state of 'y'" in told(lambda: g.query({"y": ["yes", "no"]}))[0]
    (message,) = told(lambda: g.fit({"y": ["yes", "no"], "x": ["yes", "yes"]}))
    assert "'no' in row 2 of 'y' is no level of plate 's' (the levels are yes, <5, 1-3_Days)" in message


def test_a_state_never_seen_and_parents_without_support():
    fit = dm.read(ODD).fit({"x": ["yes"] * 4, "y": ["yes", "yes", "<5", "yes"]})
    table = fit.estimates.set_index("name")
    assert table.estimate["x[<5]"] == 0
    assert "x[<5]" in fit.boundary
    assert table.what["y[<5, yes]"] == "no data"
    assert table.estimate["y[<5, yes]"] == 1  # as stated
    assert np.isnan(table.se["y[<5, yes]"])
    assert not table.estimate.isna().any()


def test_tables_without_cases_say_what_they_lack():
    g = dm.read(ODD)
    assert told(lambda: g.fit(pd.DataFrame({"x": [], "y": []}))) == [
        "the table has no rows (each row is a case of the network)"
    ]
    assert told(lambda: g.fit({"q": ["yes"]})) == [
        "no column bears the name of a node (the columns are q) "
        "(each row is a case of the network, whose nodes are x, y)"
    ]
    assert "are all empty" in told(lambda: g.fit({"y": [None, None]}))[0]
    one = g.fit({"x": ["yes", "<5"], "y": [None, None]})  # a node without entries is hidden
    assert one.estimates.set_index("name").estimate["x[yes]"] == pytest.approx(0.5)


def test_impossible_evidence_in_every_question():
    g = dm.read(ODD)
    bad = {"x": "<5", "y": "1-3_Days"}
    for action in (lambda: g.query(bad), lambda: g.mpe(bad), lambda: g.query(bad, [("x", "y")])):
        assert "'x' = '<5' and 'y' = '1-3_Days' cannot be together" in told(action)[0]
    assert g.probability(bad) == 0
    with pytest.warns(dm.FitWarning, match="1 of 2 rows cannot be"):
        states, logs = g.mpe({"x": ["<5", "yes"], "y": ["1-3_Days", "yes"]})
    assert states["x"].tolist() == [None, "yes"]
    assert logs[0] == -np.inf


def test_a_symmetric_start_is_left():
    """Two classes with the same numbers: a saddle, at which EM alone would stay."""
    items = "".join(
        f"observed i{j}[row] in a ~ Table(z, {{1: [0.5, 0.5], 2: [0.5, 0.5]}})\n" for j in range(4)
    )
    g = dm.read(
        "model lc\nplate row\nplate k = 1..2\nplate a = 'y', 'n'\nz[row] in k ~ Table([0.5, 0.5])\n".replace(
            "'", '"'
        )
        + items
    )
    rng = np.random.default_rng(0)
    z = rng.random(300) < 0.5
    data = {f"i{j}": np.where(rng.random(300) < np.where(z, 0.9, 0.2), "y", "n").tolist() for j in range(4)}
    one, many = g.fit(data, starts=1), g.fit(data, starts=5)
    shares = sum(300 * p * np.log(p) for d in data.values() for p in (d.count("y") / 300, d.count("n") / 300))
    assert one.log_likelihood == pytest.approx(many.log_likelihood, abs=1e-6)
    assert one.log_likelihood > shares + 50


def test_chains_of_length_one_keep_what_is_told():
    g = dm.read("""model h
plate q
plate t in q ordered
plate k = "a", "b"
plate to as k
parameter f[k], p[k, to] simplex
parameter r[k] > 0
z[t first] in k ~ Categorical(f)
z[t] in k ~ Categorical(p[z[t-1], to])
observed y[t] ~ Poisson(r[z])
""")
    frame = pd.DataFrame({"q": list("abcdef"), "t": 0, "y": [1, 9, 0, 8, 1, 10]})
    with pytest.warns(dm.FitWarning, match="the data say nothing of some elements of 'p'"):
        fit = g.fit(frame)
    table = fit.estimates.set_index("name")
    assert np.isnan(table.se["p[a, a]"])
    assert table.se[["f[a]", "r[a]", "r[b]"]].notna().all()


def test_a_clique_beyond_any_memory_offers_draws():
    """All pairs of 43 nodes have a child seen: 64 TiB; other questions are answered, and draws are there."""
    n = 43
    g = dm.Graph("wide")
    g.plate("s", levels=["a", "b"])
    for i in range(n):
        g.node(f"x{i}", dm.Table([0.5, 0.5]), values_in="s")
    rows = {(a, b): [0.5, 0.5] for a in "ab" for b in "ab"}
    for i in range(n):
        for j in range(i):
            g.node(f"y{i}_{j}", dm.Table(f"x{i}", f"x{j}", rows), values_in="s")
    with pytest.raises(
        dm.FitError, match=r"a table of 43 nodes .* with 64 TiB.*query\(..., method='draws'\)"
    ):
        g.mpe()
    assert g.probability({"y1_0": "a"}) == pytest.approx(0.5)
    assert g.query({"y1_0": "a"}, "x0", method="draws", draws=400)["x0"]["a"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("xmlbif", "<BIF><NETWORK>"), ("xmlbif", ""), ("net", "net {"), ("net", "node a {}"),
        ("uai", "BAYES\n2\n"), ("uai", "x"), ("xdsl", "<smile"), ("bif", "network {"), ("bif", "\x00\xff"),
    ],
)  # fmt: skip
def test_malformed_files_are_refused_by_name(ending: str, text: str, tmp_path: Path):
    path = tmp_path / f"broken.{ending}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(path)
    assert f"broken.{ending}" in str(caught.value)


def test_a_long_chain_is_eliminated_quickly():
    """1,000 days; the answer far from all evidence is the chain's stationary law."""
    g = dm.read("""model weather
plate day = 1..1000 ordered
plate state = "dry", "wet"
plate to as state
constant p[state, to] = [[0.9, 0.1], [0.3, 0.7]]
z[day first] in state ~ Categorical([0.5, 0.5])
z[day] in state ~ Categorical(p[z[day-1], to])
""")
    assert g.query({"z[1]": "wet"}, "z[900]")["z[900]"]["dry"] == pytest.approx(0.75, abs=1e-12)
