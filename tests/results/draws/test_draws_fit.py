"""A fit by draws: its table, verdict, predictions, LOO and comparison; eight schools drawn exactly."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import arviz_stats
import numpy as np
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.cli import app
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.elpd import loo_compare, stacking
from dagmodels.results.draws.fit import DrawsFit, draws_fit
from dagmodels.simulate import Redraw
from tests import fake_backend
from tests.numerics.chains.made import autoregressive
from tests.results.draws import made

# exact means and deviations by two-dimensional quadrature (docs/posterior.md: eight schools, tau 3.598)
TAU = 3.598


def fitted(draws: Draws | None = None, **others) -> DrawsFit:
    problem = made.eight_schools()
    draws = made.draws() if draws is None else draws
    made_fit = draws_fit(problem.graph, draws, backend="gibbs", method="exact draws", **others)
    return replace(made_fit, simulator=Redraw(problem))


def changed(**values) -> Draws:
    draws = made.draws()
    return replace(draws, values={**draws.values, **values})


def test_the_table_has_the_agreed_columns():
    fit = fitted()
    names = ["name", "estimate", "se", "lower", "upper", "mean", "sd", "mcse", "ess_bulk", "ess_tail", "rhat"]
    assert list(fit.estimates.columns) == names
    assert list(fit.estimates["name"]) == [f"theta[{s}]" for s in "ABCDEFGH"] + ["mu", "tau"]
    assert fit.log_likelihood is None
    assert fit["tau"] == fit.samples["tau"].mean()
    row = fit.estimates.set_index("name").loc["mu"]
    assert (row["estimate"], row["se"]) == (row["mean"], row["sd"])
    np.testing.assert_allclose(
        row[["lower", "upper"]].astype(float), np.quantile(fit.samples["mu"], (0.025, 0.975))
    )
    assert abs(fit["tau"] - TAU) < 5 * fit.estimates["mcse"].iloc[-1]
    assert list(fit.latents["name"]) == [f"theta[{s}]" for s in "ABCDEFGH"]
    assert fit.n_observations == 8


def test_the_table_is_arvizs_summary():
    fit = fitted()
    table = arviz_stats.summary(fit.draws, kind="diagnostics", round_to="none")
    mine = fit.estimates.set_index("name")  # its tail sizes are those of an interval of 89 %
    for theirs, own in (("r_hat", "rhat"), ("ess_bulk", "ess_bulk"), ("mcse_mean", "mcse")):
        np.testing.assert_allclose(mine[own], table[theirs].astype(float), rtol=1e-10)


def test_draws_under_their_names():
    fit = fitted()
    assert fit.draws["theta"].dims == ("chain", "draw", "school")
    assert fit.draws["posterior"]["tau"].sizes == {"chain": 4, "draw": 500}
    numbered = fitted(made.draws(numbered=True))
    assert numbered["theta[3]"] == fit["theta[C]"]


def test_summary_and_records(tmp_path):
    fit = fitted()
    text = str(fit.summary())
    assert "4 chains of 500 draws, after 100 of warm-up, seed 1" in text
    assert "Converged: R-hat below 1.01" in text
    assert "theta[A]" in text
    assert "<td" in fit._repr_html_()
    fit.save(json=tmp_path / "x.json", csv=tmp_path / "x.csv", draws=tmp_path / "x.nc")
    record = json.loads((tmp_path / "x.json").read_text())
    assert record["log_likelihood"] is None
    assert record["converged"] is True
    assert record["estimates"][0]["name"] == "theta[A]"
    assert record["diagnostics"]["divergences"] == 0
    np.testing.assert_array_equal(Draws.load(tmp_path / "x.nc")["mu"], fit.samples["mu"])


def test_it_travels():
    fit = fitted()
    fit.draws  # noqa: B018  what was made goes along, or is made again
    copy = pickle.loads(pickle.dumps(fit))
    assert copy.estimates.equals(fit.estimates)
    assert str(copy.summary()) == str(fit.summary())
    np.testing.assert_array_equal(copy.draws["mu"], fit.draws["mu"])


def test_discrete_nodes_have_one_row_a_level():
    graph = dm.read("model m\nplate k = 'a', 'b'\nz in k ~ Categorical(0.5)".replace("'", '"')).dag
    codes = (np.random.default_rng(1).random((4, 500)) < 0.3).astype(float)
    draws = Draws("m", {"z": codes}, {"z": ()}, {"k": ("a", "b")}, {"z": "k"})
    fit = draws_fit(graph, draws, backend="gibbs", method="x")
    assert list(fit.estimates["name"]) == ["z == a", "z == b"]
    assert fit["z == b"] == codes.mean()
    assert fit.converged


# -- the verdict


@pytest.mark.parametrize("independent", [True, False])
def test_one_draw_is_told_to_be_one(independent):
    few = made.draws()
    one = replace(few, values={n: v[:1, :1] for n, v in few.values.items()}, statistics={}, groups={})
    fit = fitted(one, independent=independent)
    assert not fit.converged
    assert fit.message == "one draw tells no spread and no error; draw at least 1000 a chain"
    assert np.isnan(fit.estimates["sd"]).all()


def test_few_draws_of_several_chains_are_too_few_to_judge():
    few = made.draws()
    still = {n: np.repeat(v[:, :1], 2, axis=1) for n, v in few.values.items()}
    fit = fitted(replace(few, values=still, statistics={}, groups={}))
    assert fit.message == "2 draws a chain are too few to judge; draw at least 1000 a chain"


def test_chains_apart():
    draws = changed(mu=made.draws()["mu"] + 20 * np.arange(4)[:, None])
    fit = fitted(draws)
    assert not fit.converged
    assert "R-hat is 1.01 or more for mu (" in fit.message
    assert "theta" not in fit.message.split(";")[0]
    assert "different places" in fit.message
    assert fit.diagnostics["rhat"] > 1.5


def test_slow_chains_are_told_how_many_draws_would_do():
    draws = changed(mu=autoregressive((4, 500), 0.97, 3))
    fit = fitted(draws)
    assert "bulk ESS is below 400 for mu (" in fit.message
    assert "draw more (draws=" in fit.message


def test_divergences_and_energy_name_nodes_and_a_remedy():
    draws = made.draws()
    statistics = {
        "diverging": draws["tau"] < 0.3,
        "energy": autoregressive((4, 500), 0.95, 3),
    }
    fit = fitted(replace(draws, statistics=statistics), blamed={"theta": 7, "mu": 0})
    assert "diverged in updates of theta, where tau is small" in fit.message
    assert "try theta[school] as a mean plus tau times theta_z[school] ~ Normal(0, 1)" in fit.message
    assert "E-BFMI" in fit.message
    assert fit.diagnostics["divergences"] == int((draws["tau"] < 0.3).sum())
    assert not fit.converged


def test_what_is_integrated_out_is_not_to_be_written_otherwise():
    draws = made.draws()
    draws = replace(draws, statistics={"diverging": draws["tau"] < 0.3})
    told = fitted(draws, moved=("mu", "tau")).message
    assert "theta_z" not in told
    assert "'theta' is integrated out already: try tighter priors of 'tau'" in told
    assert told.endswith("or route='conditionals' (element by element)")
    told = fitted(draws, moved=("mu",)).message  # no scale is moved, nor any effect
    assert "try tighter priors of 'mu', or route=" in told
    assert "theta_z[school] ~ Normal(0, 1)" in fitted(draws, moved=("tau", "theta")).message


def test_draws_that_stand_still_or_are_no_numbers():
    theta = made.draws()["theta"].copy()
    theta[..., 2] = 1.5
    theta[0, 3, 4] = np.nan
    fit = fitted(changed(theta=theta))
    assert "theta[C] never moved" in fit.message
    assert "draws of theta[E] are not numbers" in fit.message


def test_independent_draws_need_no_mixing():
    fit = fitted(made.draws(chains=1, draws=50), independent=True)
    assert fit.converged
    assert "independent" in fit.message
    assert not fitted(made.draws(chains=1, draws=50)).converged


# -- predictions


def test_log_densities_predictions_and_loo_are_arvizs():
    fit = fitted()
    problem = made.eight_schools()
    want = stats.norm.logpdf(problem.values["y"], fit.samples["theta"], problem.values["sigma"])
    np.testing.assert_allclose(fit.log_likelihoods()["y"], want, rtol=1e-12)
    tree = fit.to_arviz("log_likelihood", "posterior_predictive", "prior")
    assert {"log_likelihood", "posterior_predictive", "prior", "prior_predictive"} <= set(tree.children)
    theirs = arviz_stats.loo(tree, pointwise=True)
    mine = fit.loo()
    np.testing.assert_allclose([mine.elpd, mine.se, mine.p], [theirs.elpd, theirs.se, theirs.p], rtol=1e-8)
    np.testing.assert_allclose(mine.values.k, theirs.pareto_k.values, rtol=1e-8)
    assert mine.good_k == theirs.good_k
    assert list(mine.pointwise["name"]) == [f"y[{s}]" for s in "ABCDEFGH"]
    assert "elpd_loo" in str(mine)
    assert abs(fit.waic().elpd - mine.elpd) < 0.5


def test_posterior_predictive_is_the_law_given_each_draw():
    """2,000 x 8 residuals: Kolmogorov-Smirnov at 1e-4; thinned draws are those of fewer."""
    fit = fitted()
    y = fit.posterior_predictive(seed=3)["y"]
    z = (y - fit.samples["theta"]) / made.eight_schools().values["sigma"]
    assert y.shape == (4, 500, 8)
    assert stats.kstest(z.reshape(-1), "norm").pvalue > 1e-4
    assert fit.posterior_predictive(thin=5)["y"].shape == (4, 100, 8)


def test_a_backend_may_give_the_log_likelihood_itself():
    fit = fitted(pointwise=lambda draws: {"y": -(draws["theta"] ** 2)})
    np.testing.assert_array_equal(fit.log_likelihoods()["y"], -(fit.samples["theta"] ** 2))


def test_without_a_simulator_it_says_so():
    fit = replace(fitted(), simulator=None)
    with pytest.raises(dm.FitError, match="was not made by"):
        fit.loo()
    with pytest.raises(dm.FitError, match="no group 'likelihood'"):
        fit.to_arviz("likelihood")


# -- comparison


def pair():
    """A fit, and one that pools all schools completely."""
    pooled = made.draws(seed=2)
    theta = np.repeat(pooled["mu"][..., None], 8, axis=2)
    return {"apart": fitted(), "pooled": fitted(replace(pooled, values={**pooled.values, "theta": theta}))}


def test_the_comparison_is_arvizs():
    fits = pair()
    mine = dm.loo_compare(fits)
    theirs = arviz_stats.compare(
        {n: arviz_stats.loo(f.to_arviz("log_likelihood"), pointwise=True) for n, f in fits.items()}
    )
    assert list(mine.index) == list(theirs.index)
    for column in ("elpd", "p", "elpd_diff", "se", "dse"):
        np.testing.assert_allclose(mine[column], theirs[column].astype(float), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(mine["weight"], theirs["weight"].astype(float), atol=1e-3)
    by_waic = loo_compare(fits, method="waic")
    assert by_waic["elpd_diff"].iloc[0] == 0


def test_stacked_weights_maximise_the_mixture():
    """Against all weights on a lattice of steps 0.02."""
    each = np.random.default_rng(1).normal(size=(40, 3))
    w = stacking(each)

    def score(w):
        return np.log(np.exp(each) @ w).sum()

    lattice = [(a, b, 1 - a - b) for a in np.arange(0, 1.01, 0.02) for b in np.arange(0, 1.01 - a, 0.02)]
    assert score(w) >= max(score(np.maximum(v, 0)) for v in lattice) - 1e-9


def test_comparisons_that_mean_nothing_are_refused():
    fit = fitted()
    with pytest.raises(dm.ModelErrors) as caught:
        dm.loo_compare({"a": fit})
    assert "fewer than two" in str(caught.value)
    with pytest.raises(dm.ModelErrors) as caught:
        dm.loo_compare({"a": fit, "b": 3})
    assert "'b' is no fit with draws" in str(caught.value)
    fewer = fitted(pointwise=lambda draws: {"y": np.where(np.arange(8) < 5, -(draws["theta"] ** 2), np.nan)})
    with pytest.raises(dm.ModelErrors) as caught:
        dm.loo_compare({"a": fit, "b": fewer})
    assert "have not the same observations" in str(caught.value)
    with pytest.raises(dm.ModelErrors) as caught:
        dm.loo_compare({"a": fit.loo(), "b": fewer.waic()})
    assert "has waic" in str(caught.value)


# -- through the public face


class Drawing(fake_backend.Mean):
    """Draws the exact posterior of eight schools."""

    name = "gibbs"

    def fit(self, problem, plan, options):
        draws = Draws.of(problem, made.exact(problem, 4, 300, options["seed"]), seed=options["seed"])
        return draws_fit(problem.graph, draws, backend="gibbs", method="exact draws", plan=plan)


def test_a_backend_that_draws_through_graph_and_command_line(monkeypatch, tmp_path, capsys):
    fake_backend.install(monkeypatch, Drawing())
    graph = dm.read(made.ROOT / "specs" / "eight_schools.dag")
    fit = graph.fit(seed=3)
    assert fit.loo().draws == 1200
    assert fit.samples.seed == 3
    out = tmp_path / "x.json"
    with pytest.raises(SystemExit) as end:
        app(["fit", str(made.ROOT / "specs" / "eight_schools.dag"), "--json", str(out)])
    assert not end.value.code
    assert "4 chains of 300 draws" in capsys.readouterr().out
    assert json.loads(out.read_text())["backend"] == "gibbs"
