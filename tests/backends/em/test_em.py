"""EM against the scoring steps of `laplace`: two roads to one optimum, with the same certificate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.unit import Unit, unit
from dagmodels.backends.em.loop import Maximiser, solve
from dagmodels.bind.bind import bind
from dagmodels.forms.build_moments import build_moments
from dagmodels.numerics.expected_moments import augmentation, expected
from tests.structural.references import data, fits, fitted, reference

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
TOLERANCE = 1e-6


def pupils() -> pd.DataFrame:
    return data("sem_holzinger_cfa")


def assert_same(ours, other):
    """Log likelihood, estimates and standard errors of two fits."""
    assert ours.converged
    assert ours.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-8)
    for column in ("estimate", "se"):
        a, b = ours.estimates[column], other.estimates[column]
        np.testing.assert_array_less(np.abs(a - b), TOLERANCE * np.maximum(1.0, np.abs(b)), err_msg=column)


@pytest.mark.parametrize(("case", "name"), list(fits()))
def test_the_optimum_of_every_stored_fit(case, name):
    """Complete data, 12 % missing, political democracy, a growth curve; and lavaan's stored numbers."""
    em = fitted(case, name, method="em")
    assert em.backend == "em"
    assert em.method.endswith("by EM")
    assert_same(em, fitted(case, name))
    want = reference(case)[name]
    assert em.log_likelihood == pytest.approx(want["logLik"], rel=1e-6)
    assert em.diagnostics["iterations"] >= 2
    assert em.diagnostics["gradient_norm"] < 1e-6


@pytest.mark.parametrize("options", [
    {"group": "school"},
    {"group": "school", "group_equal": ["loadings", "intercepts"]},
    {"std_lv": True, "estimator": "MLR"},
], ids=["groups", "equal", "robust"])  # fmt: skip
def test_groups_and_sandwiches(options):
    em = dm.cfa(FACTORS, pupils(), method="em", **options)
    assert_same(em, dm.cfa(FACTORS, pupils(), **options))


@pytest.mark.parametrize("text", [
    "f =~ x1\nx1 ~~ 0*x1\ng =~ x4 + x5 + x6\ng ~ f",              # an indicator without error
    f"{FACTORS}\nG =~ visual + textual + speed",                  # a factor of factors
    f"{FACTORS}\nx7 ~~ x8",
    f"{FACTORS}\ntextual ~ visual\nspeed ~ textual + x1",         # a covariate
], ids=["singular", "second order", "residual", "regressions"])  # fmt: skip
def test_other_structures(text):
    assert_same(dm.sem(text, pupils(), method="em"), dm.sem(text, pupils()))


def test_a_plain_graph():
    g = dm.read("specs/replicates.dag")
    em, newton = g.fit(method="em"), g.fit()
    assert em.backend == "em"
    assert_same(em, newton)
    pd.testing.assert_frame_equal(em.latents, newton.latents, rtol=1e-6, atol=1e-7)
    y = em.refitter().simulate([np.random.SeedSequence(4)])[0]
    assert em.refit(y).log_likelihood == pytest.approx(newton.refit(y).log_likelihood, abs=1e-8)


def form_of(g, frame):
    found = unit(g.dag)
    assert isinstance(found, Unit)
    return build_moments(bind(g.dag, frame), found)


def random_model(seed):
    """A factor model of two latents, one depending on the other, with gaps, from random numbers."""
    rng = np.random.default_rng(seed)
    k, n = int(rng.integers(3, 5)), int(rng.integers(40, 120))
    lines = ["model random", "plate row"]
    free, positive, laws = ["d"], ["s", "t"], []
    for factor in "fg":
        for i in range(k):
            loading = factor if i == 0 else f"l{factor}{i}*{factor}"
            laws.append(f"observed {factor}{i}_[row] ~ Normal(m{factor}{i} + {loading}, e{factor}{i})")
            free += [f"m{factor}{i}", *([f"l{factor}{i}"] if i else [])]
            positive.append(f"e{factor}{i}")
    lines += [f"parameter {', '.join(free)}", f"parameter {', '.join(positive)} > 0"]
    lines += ["f[row] ~ Normal(0, s)", "g[row] ~ Normal(d*f, t)", *laws]
    f = rng.normal(size=n)
    g = 0.6 * f + rng.normal(size=n)
    y = {}
    for name, latent in (("f", f), ("g", g)):
        for i in range(k):
            y[f"{name}{i}_"] = rng.uniform(0.5, 1.5) * latent + rng.uniform(0.4, 1.0) * rng.normal(size=n)
    frame = pd.DataFrame(y)
    frame = frame.mask(pd.DataFrame(rng.random(frame.shape) < 0.15, columns=frame.columns))
    return dm.read("\n".join(lines) + "\n"), frame


@pytest.mark.parametrize("seed", range(8))
def test_the_likelihood_never_falls(seed):
    """Plain steps from anywhere, and the accelerated path, on random models with gaps."""
    g, frame = random_model(seed)
    form = form_of(g, frame)
    found = solve(form)
    assert (np.diff(found.values) <= 1e-11 * abs(found.values[0])).all()
    assert found.solution.converged
    rng = np.random.default_rng(100 + seed)
    x = found.solution.optimum.x
    x = x + 0.3 * rng.normal(size=x.size)
    step, values = Maximiser.of(form, form.at(x)), [form.at(x).value]
    for _ in range(30):
        x = step(x)
        values.append(form.at(x).value)
    assert (np.diff(values) <= 1e-11 * abs(values[0])).all()
    assert values[-1] < values[0]
    newton = g.fit(frame, form="moments")
    assert found.solution.at.deviance == pytest.approx(-2 * newton.log_likelihood, abs=1e-7)


def test_expected_moments_are_those_of_the_rows():
    """One row after the other: conditional mean and covariance of all variables, summed by hand."""
    g, frame = random_model(3)
    form = form_of(g, frame)
    x = solve(form).solution.optimum.x + 0.05
    m = form.at(x).moments
    kept = augmentation(m)
    found = expected(m, kept)
    o, mu, sigma = form.structure.observed, m.mean[0], m.covariance[0]
    means, total = [], np.zeros((kept.size, kept.size))
    for row in form.values:
        seen = o[~np.isnan(row)]
        if not seen.size:
            continue
        weight = sigma[np.ix_(kept, seen)] @ np.linalg.inv(sigma[np.ix_(seen, seen)])
        means.append(mu[kept] + weight @ (row[~np.isnan(row)] - mu[seen]))
        total += sigma[np.ix_(kept, kept)] - weight @ sigma[np.ix_(seen, kept)]
    means = np.array(means)
    assert found.n == [len(means)]
    np.testing.assert_allclose(found.mean[0], means.mean(axis=0), rtol=1e-10, atol=1e-10)
    away = means - means.mean(axis=0)
    np.testing.assert_allclose(found.cov[0], (total + away.T @ away) / len(means), rtol=1e-9, atol=1e-10)


def test_one_step_is_fisher_of_the_complete_data():
    """Fisher's identity: at any point the complete data's gradient is that of the observed data."""
    g, frame = random_model(5)
    form = form_of(g, frame)
    x = solve(form).solution.optimum.x + 0.1
    at = form.at(x)
    complete = Maximiser.of(form, at).expectation(at)
    np.testing.assert_allclose(complete.at(x).gradient, at.gradient, rtol=1e-8, atol=1e-7)


def test_a_variance_below_zero_is_told():
    """Where the optimum has a negative variance EM has no way to it, and says so; laplace goes there."""
    names = ["y1", "y2", "y3"]  # the first squared loading is 0.6 * 0.5 / 0.2
    cov = pd.DataFrame([[1.0, 0.6, 0.5], [0.6, 1.0, 0.2], [0.5, 0.2, 1.0]], index=names, columns=names)
    given = {"sample_cov": cov, "sample_nobs": 80, "sample_cov_rescale": False}
    with pytest.warns(dm.FitWarning, match="negative"):
        newton = dm.cfa("f =~ y1 + y2 + y3", **given)
    assert newton["y1~~y1"] == pytest.approx(-0.5)
    with pytest.warns(dm.FitWarning, match="hardly go on"):
        em = dm.cfa("f =~ y1 + y2 + y3", method="em", **given)
    assert not em.converged
    assert em.log_likelihood < newton.log_likelihood


def test_what_em_refuses():
    with pytest.raises(dm.FitError, match="do not keep constraints"):
        dm.cfa("f =~ x1 + a*x2 + b*x3 + x4\na == b^2", pupils(), method="em")
    with pytest.raises(dm.FitError, match="no option 'steps' for moments"):
        dm.read("specs/replicates.dag").fit(method="em", steps=3)
    text = "model m\nplate i\nmu ~ Normal(0, 9)\nf[i] ~ Normal(mu, 1)\nobserved y[i] ~ Normal(f, 2)\n"
    with pytest.raises(dm.FitError, match="no number is unknown but coefficients"):
        dm.read(text).fit({"y": [1.0, 2.0, 4.0]}, method="em")


def test_influence_is_laplaces():
    fit = dm.read("specs/replicates.dag").fit(method="em")
    assert fit.backend == fit.again.backend == "em"
    with pytest.raises(dm.FitError, match="method='laplace' has them"):
        fit.leverage()


def test_laplace_stays_the_first_choice():
    plan = dm.read("specs/abilities.dag").plan()
    assert plan.backend == "laplace"
    assert "'em' could fit it exactly by exact maximum likelihood (ML) from moments" in str(plan)
