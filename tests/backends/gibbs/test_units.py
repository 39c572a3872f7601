"""Draws by the moments of units: the density, its gradient, latents given the rest, signs, calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.analysis.unit import Unit, unit_given
from dagmodels.backends.gibbs.units import of_units
from dagmodels.bind.bind import bind
from dagmodels.fits.moments.start import starting_point
from dagmodels.forms.build_moments import build_moments
from dagmodels.forms.collapsed import collapsed
from dagmodels.forms.moments_posterior import MomentsPosterior
from dagmodels.simulate.calibration import calibration

ALARM = 1e-4

FACTOR = """model factor
plate i
l2, l3 ~ Normal(0, 1)
s1, s2, s3 ~ Gamma(3, 3)
sf ~ Gamma(3, 3)
f[i] ~ Normal(0, sf)
observed y1[i] ~ Normal(f, s1)
observed y2[i] ~ Normal(l2*f, s2)
observed y3[i] ~ Normal(l3*f, s3)
"""
FREE = """model free
plate g
plate i in g
l1[g], l2[g], l3[g] ~ Normal(0, 1)
s1, s2, s3 ~ Gamma(3, 3)
r ~ Uniform(-1, 1)
f[i] ~ Normal(0, 1)
h[i] ~ Normal(0, 1)
observed y1[i] ~ Normal(l1*f, s1)
observed y2[i] ~ Normal(l2*f, s2)
observed y3[i] ~ Normal(l3*f, s3)
observed y4[i] ~ Normal(0.8*h, s1)
observed y5[i] ~ Normal(h, s2)
f ~~ h = r
"""


def rows(n=40, seed=1, gaps=0.0):
    rng = np.random.default_rng(seed)
    f = rng.normal(size=(n, 1))
    y = np.array([1.0, 0.8, -0.7]) * f + 0.6 * rng.normal(size=(n, 3))
    frame = pd.DataFrame(y, columns=["y1", "y2", "y3"])
    return frame.mask(rng.random(frame.shape) < gaps) if gaps else frame


def posterior(text, data):
    problem = bind(dm.read(text).dag, data)
    found = unit_given(problem.graph)
    assert isinstance(found, Unit)
    assert of_units(problem.graph) == found
    return MomentsPosterior.of(build_moments(problem, found))


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_the_density_is_that_of_the_collapsed_field(gaps):
    """Two ways of integrating latents, of unlike code: equal up to a constant, which is none here."""
    data = rows(gaps=gaps)
    ours, field = posterior(FACTOR, data), collapsed(bind(dm.read(FACTOR).dag, data))
    assert ours.names == field.names
    y = 0.4 * np.random.default_rng(2).normal(size=(20, ours.dimension))
    np.testing.assert_allclose(ours.log_densities(y), field.log_densities(y), rtol=1e-10)
    assert ours.log_density(y[0])[0] == pytest.approx(ours.log_densities(y)[0], rel=1e-12)


def groups(n=60, seed=3):
    rng = np.random.default_rng(seed)
    f, h = rng.multivariate_normal([0, 0], [[1, 0.4], [0.4, 1]], n).T
    noise = 0.6 * rng.normal(size=(5, n))
    y = np.outer([0.9, 0.7, -0.8, 0.8, 1.0], np.ones(n)) * [f, f, f, h, h] + noise
    return pd.DataFrame({**{f"y{k + 1}": y[k] for k in range(5)}, "g": np.where(np.arange(n) % 2, "a", "b")})


@pytest.mark.parametrize(("text", "data"), [(FACTOR, rows(gaps=0.2)), (FREE, groups())])
def test_the_gradient_is_the_slope(text, data):
    p = posterior(text, data)
    y = 0.3 * np.random.default_rng(4).normal(size=p.dimension)
    _, gradient = p.log_density(y)
    for k in range(p.dimension):
        h = 1e-5 * (np.arange(p.dimension) == k)
        slope = (p.log_density(y + h)[0] - p.log_density(y - h)[0]) / 2e-5
        assert gradient[k] == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_no_density_where_residuals_have_no_covariance_matrix():
    """Three correlations may each be fine, and together none: the data would allow it, the model does not."""
    text = FACTOR.replace("l2, l3 ~ Normal(0, 1)", "l2, l3 ~ Normal(0, 1)\nr12, r13, r23 ~ Uniform(-1, 1)")
    text += "y1 ~~ y2 = r12*s1*s2\ny1 ~~ y3 = r13*s1*s3\ny2 ~~ y3 = r23*s2*s3\n"
    p = posterior(text, rows())
    y = np.zeros(p.dimension)
    at = {name: p.names.index(name) for name in ("r12", "r13", "r23")}
    y[at["r12"]], y[at["r13"]], y[at["r23"]] = 3.0, 3.0, 0.0  # correlations of 0.91, 0.91 and 0
    assert p.log_density(y)[0] == -np.inf
    y[at["r23"]] = 3.0
    assert np.isfinite(p.log_density(y)[0])


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_latents_and_missing_values_have_their_law_given_the_rest(gaps):
    """At one point, against conditional means and deviations; |z| above 4.9 in 120 to 160 cells: 2e-4."""
    data = rows(gaps=gaps)
    p = posterior(FACTOR, data)
    y, m = np.full(p.dimension, 0.1), 1500
    found = p.draws(np.tile(y, (m, 1)), np.random.default_rng(6))
    at = p.form.at(p.scale.place(y).x)
    mean, sd = p.form.conditional(at)["i"]
    names = [n for n, _ in p.form.variables]
    for name in ("f", "y1", "y2", "y3"):
        if name not in found:
            continue
        v = names.index(name)
        free = sd[:, v] > 1e-9
        z = (found[name].mean(axis=0) - mean[:, v])[free] / (sd[free, v] / np.sqrt(m))
        assert np.abs(z).max() < 4.9
        np.testing.assert_allclose(found[name].std(axis=0)[free], sd[free, v], rtol=5.0 / np.sqrt(2 * m))
        if name != "f":
            assert (found[name][:, ~free] == data[name].to_numpy()[~free]).all()
    if gaps:  # jointly: a draw of f and one of a missing value covary as the law says
        i = int(np.flatnonzero(np.isnan(data["y2"]) & ~np.isnan(data["y1"]))[0])
        w = p.form.workspace(p.scale.place(y).x)
        load, here = w[p.form.tape.place(p.form.outer_registers["l2"])][0], sd[i, names.index("f")] ** 2
        got = np.cov(found["f"][:, i], found["y2"][:, i])[0, 1]
        assert got == pytest.approx(load * here, abs=5 * sd[i, names.index("f")] / np.sqrt(m))


def test_signs_are_found_by_group_and_draws_turned():
    marked = posterior(FACTOR, rows())
    assert not marked.oriented(marked.mode(starting_point(marked.form))).turned  # its first loading is 1
    text = FREE.replace("r ~ Uniform(-1, 1)", "r[g] ~ Uniform(-1, 1)")
    own = posterior(text, groups())
    own = own.oriented(own.mode(starting_point(own.form)))
    assert [t.latent for t in own.turned] == ["f", "f"]
    rng = np.random.default_rng(8)
    y = rng.normal(size=(50, own.dimension))
    values, density = own.draws_and_densities(y, rng)
    assert all((own.names[t.reference].split("[")[0] in values) for t in own.turned)
    for t in own.turned:
        node, label = own.names[t.reference].rstrip("]").split("[")
        column = own.problem.labels["g"].index(label)
        assert (values[node][:, column] > 0).all()
    np.testing.assert_allclose(density, own.log_densities(y), rtol=1e-9)  # the turn changes no density


def test_a_correlation_shared_by_groups_ties_their_signs():
    """Turned in one group alone the latent would change a correlation that the other group keeps."""
    p = posterior(FREE, groups())
    p = p.oriented(p.mode(starting_point(p.form)))
    (turn,) = p.turned
    assert {p.names[k] for k in turn.coordinates} == {f"l{k}[{g}]" for k in (1, 2, 3) for g in "ab"} | {"r"}


def test_priors_that_are_not_symmetric_tell_a_latent_from_its_negative():
    p = posterior(FREE.replace("l1[g], l2[g], l3[g] ~ Normal(0, 1)", "l1[g], l2[g], l3[g] ~ Normal(0.5, 1)"),
                  groups())  # fmt: skip
    assert not p.oriented(p.mode(starting_point(p.form))).turned


def test_graphs_without_loadings_are_collapsed():
    text = FACTOR.replace("l2, l3 ~ Normal(0, 1)\n", "").replace("l2*f", "f").replace("l3*f", "f")
    assert of_units(dm.read(text).dag) is None


def test_ranks_of_a_factor_model_are_uniform():
    found = calibration(
        dm.read(FACTOR), {f"y{k}": np.zeros(25) for k in (1, 2, 3)}, replicates=40, draws=50, warmup=60
    )
    assert found.p_value > ALARM, str(found)


@pytest.mark.long
def test_ranks_of_a_factor_model_are_uniform_at_length():
    found = calibration(
        dm.read(FACTOR),
        {f"y{k}": np.zeros(25) for k in (1, 2, 3)},
        replicates=1000,
        seed=5,
        thin=3,
        warmup=200,
    )
    assert found.p_value > ALARM, str(found)


def test_gibbs_draws_are_those_of_the_density():
    """Against importance sampling from the density itself: |z| < 4.5 for 6 unknowns, 4e-5."""
    data = rows(150)
    fit = dm.read(FACTOR).fit_quietly(data, method="gibbs", draws=400, warmup=200, monitor=("l2", "s1", "sf"))
    assert "latents of every 'i' are integrated" in str(fit.plan)
    p = posterior(FACTOR, data)
    mode = p.mode(starting_point(p.form))
    root = np.linalg.cholesky(np.linalg.inv(0.5 * mode.hessian))
    rng = np.random.default_rng(9)
    proposal = stats.multivariate_t(mode.x, 1.3 * root @ root.T, df=6, seed=rng)
    y = proposal.rvs(4000)
    log_weight = p.log_densities(y) - proposal.logpdf(y)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    values = p.draws(y, rng, ("l2", "s1", "sf"))
    table = fit.estimates.set_index("name")
    for name in ("l2", "s1", "sf"):
        mean = weight @ values[name]
        error = np.sqrt(np.sum(weight**2 * (values[name] - mean) ** 2) + table.loc[name, "mcse"] ** 2)
        assert abs(table.loc[name, "estimate"] - mean) < 4.5 * error
