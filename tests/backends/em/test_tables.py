"""Tables of networks from incomplete cases: stored optima, sums over all states, curvature by differences."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.table_unit import table_unit
from dagmodels.backends.em.tables import expectation as expectations
from dagmodels.backends.em.tables.expectation import Expectation
from dagmodels.backends.em.tables.layout import layout
from dagmodels.backends.em.tables.loop import Ascent, random_start, solve
from dagmodels.bind.bind import bind
from dagmodels.bind.cases import as_cases
from dagmodels.forms.table_counts import table_counts
from dagmodels.forms.tables import tables

from ...networks import joint, random_network

BN = Path(__file__).parents[2] / "references" / "bn"
CASES = (
    ("asia", "asia_mcar20"),
    ("asia", "asia_latent"),
    ("lca3", "lca3_latent"),
    ("alarm", "alarm_mcar20"),
)
MIXTURE = """model classes
plate subject
plate class = 1..2
plate answer = "yes", "no"
z[subject] in class ~ Table([0.6, 0.4])
observed a[subject] in answer ~ Table(z, {1: [0.8, 0.2], 2: [0.3, 0.7]})
observed b[subject] in answer ~ Table(z, {1: [0.7, 0.3], 2: [0.2, 0.8]})
observed c[subject] in answer ~ Table(z, {1: [0.9, 0.1], 2: [0.4, 0.6]})
observed d[subject] in answer ~ Table(z, a, {(1, "yes"): [0.8, 0.2], (1, "no"): [0.6, 0.4],
                                             (2, "yes"): [0.3, 0.7], (2, "no"): [0.1, 0.9]})
"""


def prepared(g: dm.Graph, data, **options):
    """The E-step and the layout of a fit."""
    dag, rows = as_cases(g.dag, data)
    form = table_counts(bind(dag, rows), table_unit(dag))
    free = [n for n in form.tables.names if n not in options.get("fix", ())]
    return Expectation(form), layout(form, free, {})


def drawn(g: dm.Graph, n: int, rng: np.random.Generator, missing: float, hidden=()) -> pd.DataFrame:
    """Cases from a network, some cells empty."""
    names, table = joint(g)
    at = np.array(np.unravel_index(rng.choice(table.size, size=n, p=table.ravel()), table.shape))
    frame = {}
    for k, name in enumerate(names):
        if name in hidden:
            continue
        labels = np.array(g.dag.plate[g.dag.nodes[name].values_in].levels, dtype=object)
        frame[name] = np.where(rng.random(n) < missing, None, labels[at[k]])
    return pd.DataFrame(frame)


@pytest.mark.parametrize(("network", "case"), CASES, ids=[c for _, c in CASES])
def test_stored_optima_are_reached(network: str, case: str):
    stored = json.loads((BN / f"em_{case}.json").read_text())
    g, data = dm.read(BN / f"{network}.bif"), pd.read_csv(BN / f"{case}.csv")
    fit = g.fit(data)
    assert fit.converged
    assert fit.backend == "em"
    assert fit.log_likelihood >= stored["ml"]["loglik"] - 1e-6
    assert fit.log_likelihood == pytest.approx(np.log(fit.probability(data)).sum(), abs=1e-6)
    assert not any(np.isnan(x) for x in fit.estimate_columns["estimate"])
    mode = g.fit(data, pseudocount=stored["map_dirichlet"]["pseudo_count_per_cell"])
    assert mode.converged
    assert mode.log_likelihood == pytest.approx(stored["map_dirichlet"]["loglik_at_map"], abs=1e-4)


def test_stored_tables_of_asia():
    stored = json.loads((BN / "em_asia_mcar20.json").read_text())["ml"]["cpt"]
    fit = dm.read(BN / "asia.bif").fit(BN / "asia_mcar20.csv")
    net = tables(fit.network)
    for node, expected in stored.items():
        i = net.index[node]
        own = [net.names[p] for p in net.parents[i]]
        order = [own.index(p) for p in expected["parents"]]
        found = np.transpose(net.known[i], [*order, len(own)])
        assert found == pytest.approx(np.array(expected["table"]), abs=1e-6)


@pytest.mark.parametrize(("network", "case"), CASES, ids=[c for _, c in CASES])
def test_no_step_lowers_the_likelihood(network: str, case: str):
    g, data = dm.read(BN / f"{network}.bif"), pd.read_csv(BN / f"{case}.csv")
    expectation, rows = prepared(g, data)
    ascent = Ascent(expectation, rows)
    for seed in range(3):
        path = np.array(ascent.ended(random_start(rows, np.random.default_rng(seed))).path)
        assert (np.diff(path) >= -1e-9 * abs(path[-1])).all()


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_against_plain_em(seed: int):
    """The likelihood of incomplete cases by summing over all states, and a plain EM from the same start."""
    rng = np.random.default_rng([2024, seed])
    g = random_network(rng, int(rng.integers(2, 6)), zeros=0.0)
    names, table = joint(g)
    data = drawn(g, 60, rng, 0.3, hidden=[names[0]] if seed % 2 else [])
    expectation, rows = prepared(g, data)
    levels = [g.dag.plate[g.dag.nodes[n].values_in].levels for n in names]
    masks = []
    for row in data.to_dict("records"):
        mask = np.ones(table.shape)
        for k, name in enumerate(names):
            if not pd.isna(row.get(name)):
                keep = np.array([float(x == row[name]) for x in levels[k]])
                mask = mask * keep.reshape([-1 if j == k else 1 for j in range(table.ndim)])
        masks.append(mask)
    net = expectation.form.tables
    axes = [names.index(n) for n in net.names]

    def whole(cells):
        found = np.ones([len(x) for x in levels])
        for i, family in enumerate(net.families):
            own = cells[expectation.form.starts[i] : expectation.form.starts[i + 1]]
            own = own.reshape([net.sizes[j] for j in family])
            order = np.argsort([axes[j] for j in family])
            shape = [1] * table.ndim
            for j in family:
                shape[axes[j]] = net.sizes[j]
            found = found * np.transpose(own, order).reshape(shape)
        return found

    def likelihood(cells):
        p = whole(cells)
        return sum(np.log((p * m).sum()) for m in masks)

    start = random_start(rows, rng)
    assert expectation(start)[0] == pytest.approx(likelihood(start), abs=1e-9)
    cells, ascent = start, Ascent(expectation, rows)
    before = ascent.at(cells)[0]
    for _ in range(200):
        cells = ascent.step(cells)
        now = ascent.at(cells)[0]
        assert now >= before - 1e-9
        before = now
    best = ascent.ended(start)
    assert best.value >= before - 1e-5
    assert likelihood(best.cells) == pytest.approx(best.value, abs=1e-8)


def test_junction_trees_and_enumeration_expect_the_same(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(5)
    for _ in range(6):
        g = random_network(rng, 7, zeros=0.0)
        data = drawn(g, 40, rng, 0.5)
        expectation, rows = prepared(g, data)
        start = random_start(rows, rng)
        log, counts = expectation(start)
        monkeypatch.setattr(expectations, "MOST", 0)
        log_by_tree, counts_by_tree = Expectation(expectation.form)(start)
        monkeypatch.undo()
        assert log_by_tree == pytest.approx(log, abs=1e-9)
        assert counts_by_tree == pytest.approx(counts, abs=1e-9)


def test_complete_cases_are_shares_with_their_standard_errors():
    g = dm.read(BN / "asia.bif")
    data = drawn(g, 500, np.random.default_rng(1), 0.0)
    fit = g.fit(data)
    smokers = data[data.smoke == "yes"]
    share = (smokers.bronc == "yes").mean()
    row = fit.estimates.set_index("name").loc["bronc[yes, yes]"]
    assert row.estimate == pytest.approx(share)
    assert row.se == pytest.approx(np.sqrt(share * (1 - share) / len(smokers)))
    assert (row.given, row.state, row.cases) == ("smoke=yes", "yes", len(smokers))
    assert fit.latents.empty


def test_standard_errors_are_those_of_the_curvature():
    """Against second differences of the log likelihood, in coordinates without the last state of each row."""
    g = dm.read(MIXTURE)
    single = dm.Graph.of(g.fit(sample(g, 800), starts=1).network)
    data = drawn(single, 3000, np.random.default_rng(3), 0.1, hidden=["z"])
    expectation, rows = prepared(single, data)
    best, _, _ = solve(expectation, rows, 1, np.random.default_rng(0))
    free = np.flatnonzero(np.r_[rows.rows[1:] == rows.rows[:-1], False])  # all but the last of each row

    def at(x):
        cells = best.cells.copy()
        cells[free], cells[free + 1] = x, 1 - x  # all nodes have two states
        return expectation(cells)[0]

    x, h = best.cells[free], 1e-4
    hessian = np.empty((len(x), len(x)))
    for i in range(len(x)):
        for j in range(len(x)):
            e, f = h * np.eye(len(x))[i], h * np.eye(len(x))[j]
            hessian[i, j] = (at(x + e + f) - at(x + e - f) - at(x - e + f) + at(x - e - f)) / (4 * h * h)
    expected = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    covariance, lost = best.information.covariance()
    assert not lost.any()
    found = dict(zip(best.information.cells.tolist(), np.sqrt(np.diag(covariance)), strict=True))
    assert [found[c] for c in free.tolist()] == pytest.approx(expected, rel=2e-3)


def test_without_information_the_rate_of_the_steps_certifies(monkeypatch: pytest.MonkeyPatch):
    """The rate is one minus the least share of information that is left; larger groups have it alone."""
    g, data = dm.read(BN / "asia.bif"), pd.read_csv(BN / "asia_latent.csv")
    expectation, rows = prepared(g, data)
    best, _, _ = solve(expectation, rows, 1, np.random.default_rng(0))
    rate = Ascent(expectation, rows).slowness(best.cells)
    assert rate == pytest.approx(1 - best.information.smallest, abs=0.02)
    monkeypatch.setattr(expectations, "MOST", 0)
    with pytest.warns(dm.FitWarning, match="have no standard errors"):
        fit = g.fit(data)
    assert fit.converged
    assert 0 < fit.diagnostics["gradient_norm"] < 1e-4
    assert fit.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-6)


def sample(g: dm.Graph, n: int):
    return g.simulate(sizes={"subject": n}, seed=2)


def test_a_graph_with_its_own_plate_is_a_network_of_cases():
    g = dm.read(MIXTURE)
    data = sample(g, 400)
    plan = g.plan(data)
    assert plan.backend == "em"
    assert "integrated out: z: states that are not seen are summed out" in str(plan)
    fit = g.fit(data)
    assert fit.converged
    assert fit.n_parameters == 1 + 2 * 3 + 4
    assert list(fit.latents.name[:2]) == ["z[0] == 1", "z[0] == 2"]
    assert fit.latents.estimate[:2].sum() == pytest.approx(1)
    assert fit.predict({"a": ["yes", None]}, targets="z")["z"][1].shape == (2,)
    assert fit.mpe({"a": "yes", "b": "yes"})[0]["a"] == "yes"
    again = dm.Graph.of(fit.network)
    assert dm.read(str(again)) == again


def test_fixed_tables_and_rows_without_data():
    g = dm.read(BN / "asia.bif")
    data = pd.read_csv(BN / "asia_latent.csv")
    fit = g.fit(data, fix=["either", "asia"])
    table = fit.estimates.set_index("name")
    assert table.loc["either[no, no, yes]", "estimate"] == 0
    assert set(table[table.node == "either"].what) == {"fixed"}
    assert table.loc["asia[yes]", "estimate"] == 0.01
    assert fit.log_likelihood < g.fit(data).log_likelihood
    never = data[(data.lung == "no") | (data.tub == "no")]
    free = g.fit(never).estimates.set_index("name").loc["either[yes, yes, yes]"]
    assert free.what == "no data"
    assert free.estimate == 1  # as stated
    assert np.isnan(free.se)


def test_the_order_of_rows_and_columns_changes_nothing():
    g = dm.read(BN / "asia.bif")
    data = pd.read_csv(BN / "asia_mcar20.csv")
    first = g.fit(data)
    other = g.fit(data.sample(frac=1, random_state=1)[list(data.columns[::-1])])
    assert other.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-9)
    assert other.estimates.estimate.to_numpy() == pytest.approx(first.estimates.estimate.to_numpy(), abs=1e-7)


def test_unknown_tables_start_anywhere_and_unidentified_ones_are_named():
    g = dm.read('model m\nplate s = "a", "b"\nz in s ~ Table()\nx in s ~ Table(z)')
    data = {"x": ["a"] * 30 + ["b"] * 70}
    with pytest.warns(dm.FitWarning, match="do not identify all numbers of x, z"):
        fit = g.fit(data)
    assert fit.log_likelihood == pytest.approx(30 * np.log(0.3) + 70 * np.log(0.7))


def test_bad_options_and_impossible_cases():
    g = dm.read(BN / "asia.bif")
    data = {"lung": ["yes", "no"], "either": ["no", "no"]}
    with pytest.raises(
        dm.FitError, match=r"1 of 2 cases cannot be .*; the first is row 1: .* cannot be together"
    ):
        g.fit(data, fix=["either"])
    with pytest.raises(dm.ModelErrors) as caught:
        g.fit(data, fix=["eithr"], starts=0, nonsense=1)
    assert [str(e)[:40] for e in caught.value.exceptions] == [
        "em has no option 'nonsense' for tables (",
        "fix names 'eithr', which has no Table (t",
        "starts is 0 (give a whole number from 1)",
    ]
    with pytest.raises(dm.ModelErrors) as caught:
        g.fit(data, pseudocount=-1)
    assert [str(e) for e in caught.value.exceptions] == ["pseudocount is -1 (give a number from 0)"]
    with pytest.raises(dm.ModelErrors) as caught:
        g.fit(data, pseudocount={"lungs": 1})
    assert "pseudocount names 'lungs', which has no Table" in str(caught.value.exceptions[0])
    with pytest.raises(dm.ModelErrors) as caught:
        g.fit({"lung": ["yes", "maybe"]})
    assert "'maybe' in row 2 of 'lung' is no level of plate 'yes_no'" in str(caught.value.exceptions[0])


def test_truth_values_of_a_file_are_the_states_true_and_false():
    g = dm.read(BN / "alarm.bif")
    data = pd.read_csv(BN / "alarm_mcar20.csv")
    assert data.HISTORY.dtype == bool
    assert g.probability({"HISTORY": True}) == g.probability({"HISTORY": "TRUE"})
    assert g.probability(data[["HISTORY"]])[0] == g.probability({"HISTORY": str(data.HISTORY[0]).upper()})


def test_pseudocounts_by_node_and_one_case():
    g = dm.read(BN / "asia.bif")
    data = {"smoke": ["yes"] * 3 + ["no"], "bronc": ["yes", "no", "no", "no"]}
    table = g.fit(data, pseudocount={"smoke": 2, "bronc": 0.5}).estimates.set_index("name").estimate
    assert table["smoke[yes]"] == pytest.approx((3 + 2) / (4 + 4))
    assert table["bronc[yes, yes]"] == pytest.approx((1 + 0.5) / (3 + 1))
    single = dm.read('model m\nplate s = "a", "b"\nobserved x in s ~ Table([0.5, 0.5])')
    with pytest.raises(dm.FitError, match="one case estimates no tables"):
        single.fit({"x": "a"})


def test_priors_by_name_by_rows_and_by_kind():
    """Modes in closed form: (n + a - 1) / sum of these; BDeu spreads its cases over the cells of a table."""
    g = dm.read('model m\nplate s = "a", "b"\nx in s ~ Table()\ny in s ~ Table(x)')
    data = {"x": ["a"] * 3 + ["b"], "y": ["a", "b", "b", "b"]}

    def table(**options):
        return g.fit(data, **options).estimates.set_index("name").estimate

    found = table(prior={"x": [2, 4], "y": {"a": [3, 1], "b": 2}})
    assert found["x[a]"] == pytest.approx((3 + 1) / (4 + 4))
    assert found["y[a, a]"] == pytest.approx((1 + 2) / (3 + 2))
    assert found["y[b, b]"] == pytest.approx((1 + 1) / (1 + 2))
    found = table(prior="bdeu", equivalent_sample_size=6)
    assert found["x[a]"] == pytest.approx((3 + 3) / (4 + 6))
    assert found["y[a, a]"] == pytest.approx((1 + 1.5) / (3 + 3))
    assert table(prior="k2").equals(table(pseudocount=1))
    assert table(prior=2).equals(table(pseudocount=1))
    assert table(prior={"y": "bdeu"})["x[a]"] == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": 0.5}, "prior of 'x' is 0.5 (give a number from 1; below it a Dirichlet law has no mode)"),
        ({"prior": "flat"}, "prior of 'x' is 'flat' (give \"bdeu\", \"k2\" or Dirichlet parameters)"),
        ({"prior": {"y": {"a": 2}}}, "prior of 'y' has no row for b (give all of them)"),
        ({"prior": {"y": {"a": 2, "c": 2}}}, "prior of 'y' has a row 'c' (its rows are by x)"),
        (
            {"prior": {"y": [2, 2]}},
            "prior of 'y' is a list, and its table has a row for each combination of x",
        ),
        ({"prior": {"x": [2, 2, 2]}}, "prior of 'x' has 3 numbers in a row of 2"),
        ({"prior": {"w": 2}}, "prior names 'w', which has no Table (there are x, y)"),
        ({"prior": 2, "pseudocount": 1}, "prior and pseudocount are both given"),
    ],
)
def test_bad_priors_say_what_is_wrong(options, message):
    g = dm.read('model m\nplate s = "a", "b"\nx in s ~ Table()\ny in s ~ Table(x)')
    with pytest.raises(dm.ModelErrors) as caught:
        g.fit({"x": ["a", "b"], "y": ["a", "b"]}, **options)
    assert message in str(caught.value.exceptions[0])


DIRICHLET = """model net
plate row
plate answer = "yes", "no"
plate a2 as answer
w[answer] ~ Dirichlet(2)
p[answer, a2] ~ Dirichlet(3)
observed smoke[row] in answer ~ Categorical(w)
observed bronc[row] in answer ~ Categorical(p[smoke, a2])
"""


@pytest.mark.parametrize("gaps", [False, True])
def test_a_dirichlet_node_is_the_same_prior(gaps: bool):
    """The language's prior of a table against the option's, with and without empty cells."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({n: rng.choice(["yes", "no"], 60) for n in ("smoke", "bronc")}, dtype=object)
    if gaps:
        data.loc[::7, "smoke"] = None
    named = dm.read(DIRICHLET).fit_quietly(data, method="em").estimates.estimate
    g = dm.read(
        'model n\nplate answer = "yes", "no"\nsmoke in answer ~ Table()\nbronc in answer ~ Table(smoke)'
    )
    tables = g.fit(data, prior={"smoke": 2, "bronc": 3}).estimates.estimate
    assert named.to_numpy() == pytest.approx(tables.to_numpy(), abs=1e-6)


def test_noisy_or_and_logistic_tables_from_cases():
    """Tables by formulas from cases with gaps: the likelihood summed by hand over what is hidden."""
    g = dm.read("""model flu
plate row
parameter leak, l1, l2, pc, pf in (0, 1)
parameter b0, b1
observed cold[row] ~ Bernoulli(pc)
observed flu[row] ~ Bernoulli(pf)
observed fever[row] ~ Bernoulli(1 - (1 - leak)*(1 - l1*cold)*(1 - l2*flu))
observed home[row] ~ Bernoulli(expit(b0 + b1*fever))
""")
    rng = np.random.default_rng(8)
    n = 1500
    cold, flu = rng.random(n) < 0.3, rng.random(n) < 0.2
    fever = rng.random(n) < 1 - 0.95 * (1 - 0.4 * cold) * (1 - 0.8 * flu)
    home = rng.random(n) < 1 / (1 + np.exp(2 - 1.5 * fever))
    data = np.array([cold, flu, fever, home], dtype=float).T
    data[rng.random(data.shape) < 0.2] = np.nan
    fit = g.fit(pd.DataFrame(data, columns=["cold", "flu", "fever", "home"]), starts=2)

    def log_likelihood(v) -> float:
        total = np.zeros(n)
        for states in np.ndindex(2, 2, 2, 2):
            c, f, e = states[:3]
            pe = 1 - (1 - v["leak"]) * (1 - v["l1"] * c) * (1 - v["l2"] * f)
            ph = 1 / (1 + np.exp(-v["b0"] - v["b1"] * e))
            p = np.prod([q if s else 1 - q for q, s in zip((v["pc"], v["pf"], pe, ph), states, strict=True)])
            total += p * np.all(np.isnan(data) | (data == np.array(states)), axis=1)
        return float(np.log(total).sum())

    at = dict(zip(fit.estimates["name"], fit.estimates["estimate"], strict=True))
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(log_likelihood(at), abs=1e-8)
    for name in at:  # a maximum: lower on both sides, by half the curvature that the standard error says
        se = fit.estimates.set_index("name").se[name]
        for step in (-1e-2 * se, 1e-2 * se):
            assert log_likelihood({**at, name: at[name] + step}) < fit.log_likelihood
    answer = fit.query({"home[0]": 1, "cold[0]": 0}, "flu[0]", sizes={"row": 1})["flu[0]"]
    weights = [
        (at["pf"] if f else 1 - at["pf"])
        * sum(
            (pe if e else 1 - pe) / (1 + np.exp(-at["b0"] - at["b1"] * e))
            for e in (0, 1)
            for pe in [1 - (1 - at["leak"]) * (1 - at["l2"] * f)]
        )
        for f in (0, 1)
    ]
    assert answer[1] == pytest.approx(weights[1] / sum(weights), abs=1e-10)


def test_executors_change_nothing_but_the_clock():
    g, data = dm.read(BN / "asia.bif"), pd.read_csv(BN / "asia_latent.csv")
    one = g.fit(data, starts=4, seed=3)
    with ThreadPoolExecutor(2) as pool:
        two = g.fit(data, starts=4, seed=3, executor=pool)
    assert one.estimate_columns["estimate"] == two.estimate_columns["estimate"]
    for key in ("starts", "starts_at_best", "evaluations"):
        assert one.diagnostics[key] == two.diagnostics[key]
    with pytest.raises(dm.FitError, match="is not an executor"):
        g.fit(data, executor=4)


def test_states_that_may_change_places_are_named_and_keep_the_order_stated():
    """Three classes stated in an order keep it, from whichever start."""
    g, data = dm.read(BN / "lca3.bif"), pd.read_csv(BN / "lca3_latent.csv")
    fit = g.fit(data, starts=5)
    (told,) = fit.diagnostics["labels"]
    assert told.startswith("'klass' is never seen: its states may change places")
    assert told.endswith("in the order of the numbers stated")
    table = fit.estimates.set_index("name")
    item = next(n for n in table.node.unique() if n != "klass")
    stated = dict(
        zip(*[g.fit(data, starts=1).estimate_columns[k] for k in ("name", "estimate")], strict=True)
    )
    own = table[table.node.isin(["klass", item])].estimate
    assert own.to_numpy() == pytest.approx([stated[n] for n in own.index], abs=1e-5)
    assert g.fit(data, fix=["klass"]).diagnostics["labels"] == []
    asia = dm.read(BN / "asia.bif")
    assert asia.fit(pd.read_csv(BN / "asia_mcar20.csv")).diagnostics["labels"] == []
