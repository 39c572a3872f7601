"""Structural and rank rules of identification: what they find, and what they must not find."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.analysis.facts import facts

ONE_FACTOR = """
plate p
parameter n1, n2, n3, l1, l2, l3
parameter s, e1, e2, e3 > 0
f[p] ~ Normal(0, s)
observed x1[p] ~ Normal(n1 + l1*f, e1)
observed x2[p] ~ Normal(n2 + l2*f, e2)
observed x3[p] ~ Normal(n3 + l3*f, e3)
"""


def kinds(found):
    return [f.kind for f in found]


def test_free_loadings_and_free_scale(read):
    (finding,) = facts(read(ONE_FACTOR)).identification
    assert finding.kind == "scale"
    assert finding.nodes == ("s", "l1", "l2", "l3", "f")
    assert "'f'" in str(finding)
    assert "fix one loading at 1" in str(finding)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n1 + l1*f", "n1 + f"),
        ("n1 + l1*f", "n1 + 2*f"),
        ("f[p] ~ Normal(0, s)", "f[p] ~ Normal(0, 1)\nobserved q[p] ~ Normal(0, s)"),
        ("f[p] ~ Normal(0, s)", "f[p] ~ Normal(1, s)"),
        ("n3 + l3*f", "n3 + l3*f + l1"),
        ("parameter s, e1", "s ~ HalfNormal(1)\nparameter e1"),
        ("Normal(n3 + l3*f, e3)", "Normal(n3 + l3*f, exp(l3))"),
        ("Normal(n3 + l3*f, e3)", "StudentT(4, n3 + f**2, e3)"),
    ],
)
def test_what_fixes_the_scale(read, old, new):
    assert ONE_FACTOR.count(old) == 1
    assert "scale" not in kinds(facts(read(ONE_FACTOR.replace(old, new))).identification)


def test_covariances_of_the_latent_stretch_with_it_unless_they_are_shared(read):
    second = "parameter c\nparameter t > 0\nh[p] ~ Normal(0, t)\nobserved w[p] ~ Normal(h, 1)\nf ~~ h = c\n"
    assert kinds(facts(read(ONE_FACTOR + second)).identification) == ["scale"]
    shared = second + "k[p] ~ Normal(0, 1)\nobserved v[p] ~ Normal(k, 1)\nf ~~ k = c\n"
    assert facts(read(ONE_FACTOR + shared)).identification == ()
    fixed = second.replace("f ~~ h = c", "f ~~ h = 0.2").replace("parameter c\n", "")
    assert facts(read(ONE_FACTOR + fixed)).identification == ()


def test_a_variance_under_a_root_is_a_scale(read):
    text = ONE_FACTOR.replace("Normal(0, s)", "Normal(0, sqrt(s))")
    assert kinds(facts(read(text)).identification) == ["scale"]


def test_a_latent_regressed_on_covariates_may_still_stretch(read):
    text = "covariate z[p]\nparameter b\n" + ONE_FACTOR.replace("Normal(0, s)", "Normal(b*z, s)")
    assert kinds(facts(read(text)).identification) == ["scale"]


def test_loadings_by_plate(read):
    text = """
    plate p; plate item
    parameter l[item], n[item]
    parameter s, e[item] > 0
    f[p] ~ Normal(0, s)
    observed x[p, item] ~ Normal(n[item] + l[item]*f[p], e[item])
    """
    assert kinds(facts(read(text)).identification) == ["scale"]
    fixed = text.replace("f[p] ~", 'l["x1"] = 1; f[p] ~')
    assert facts(read(fixed)).identification == ()


def test_free_mean_and_free_intercept(read):
    text = """
    plate c; plate h in c
    parameter a, b; parameter t, s > 0
    u[c] ~ Normal(a, t)
    observed y[h] ~ Normal(b + u[c], s)
    """
    (finding,) = facts(read(text)).identification
    assert finding.kind == "location"
    assert finding.nodes == ("a", "b", "u")
    assert facts(read(text.replace("Normal(a, t)", "Normal(0, t)"))).identification == ()
    assert facts(read(text.replace("b + u[c]", "u[c]").replace(", b;", ";"))).identification == ()
    assert facts(read(text.replace("parameter a, b", "b ~ Normal(0, 1); parameter a"))).identification == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Normal(a, t)", "Normal(a, t*exp(a))"),
        ("Normal(b + u[c], s)", "Normal(b + u[c], s*exp(b))"),
        ("Normal(b + u[c], s)", "Normal(b + b*u[c], s)"),
        ("Normal(b + u[c], s)", "Normal(b + b*z + u[c], s)"),
        ("observed y", "observed w[c] ~ Normal(a, 1); observed y"),
        ("observed y", "observed w[c] ~ Normal(b, 1); observed y"),
        ("observed y", "observed w[c] ~ Normal(u, 1); observed y"),
    ],
)
def test_what_fixes_the_location(read, old, new):
    text = """
    plate c; plate h in c; covariate z[h]
    parameter a, b; parameter t, s > 0
    u[c] ~ Normal(a, t)
    observed y[h] ~ Normal(b + u[c], s)
    """
    assert text.count(old) == 1
    assert facts(read(text.replace(old, new))).identification == ()


def test_flat_coefficients_are_free_too_and_the_posterior_improper(read):
    text = """
    plate c; plate h in c
    a, b ~ Flat(); parameter t, s > 0
    u[c] ~ Normal(a, t)
    observed y[h] ~ Normal(b + u[c], s)
    """
    found = facts(read(text))
    assert kinds(found.identification) == ["location"]
    assert found.improper == found.identification
    assert found.cautions[0].startswith("the posterior is improper, as the mean of 'u'")


def test_data_do_not_repeat_what_the_graph_says(read, bound, rng):
    dag = read("""
    plate c; plate h in c
    parameter a, b; parameter t, s > 0
    u[c] ~ Normal(a, t)
    observed y[h] ~ Normal(b + u[c], s)
    """)
    problem = bound(dag, {"c": np.repeat([1, 2, 3], 3), "y": rng.normal(size=9)})
    assert kinds(facts(problem).identification) == ["location"]


def test_random_slopes_shift_with_their_covariate(read):
    text = """
    plate c; plate h in c
    covariate x[h]
    parameter a, b; parameter t, s > 0
    u[c] ~ Normal(a, t)
    observed y[h] ~ Normal({mean}, s)
    """
    assert kinds(facts(read(text.format(mean="b*x + u[c]*x"))).identification) == ["location"]
    assert facts(read(text.format(mean="b + u[c]*x"))).identification == ()


def test_one_observation_an_element(read):
    text = """
    plate p
    parameter m; parameter t, s > 0
    u[p] ~ Normal(m, t)
    observed y[p] ~ Normal(u, s)
    """
    (finding,) = facts(read(text)).identification
    assert finding.kind == "residual"
    assert finding.nodes == ("t", "s", "u", "y")
    known = text.replace("parameter t, s > 0", "covariate s[p]; parameter t > 0")
    assert facts(read(known)).identification == ()
    slope = text.replace("Normal(u, s)", "Normal(x*u, s)").replace(
        "parameter m", "covariate x[p]; parameter m"
    )
    assert facts(read(slope)).identification == ()
    second = text + "observed w[p] ~ Normal(u, s)"
    assert facts(read(second)).identification == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Normal(m, t)", "Normal(m + t, t)"),
        ("Normal(u, s)", "Normal(u + s, s)"),
        ("observed y", "observed w[p] ~ Normal(0, t); observed y"),
        ("observed y", "observed w[p] ~ Normal(0, s); observed y"),
        ("Normal(u, s)", "StudentT(4, u, s)"),
        ("Normal(u, s)", "Normal(u, t)"),
    ],
)
def test_what_tells_two_scales_apart(read, old, new):
    text = """
    plate p
    parameter m; parameter t, s > 0
    u[p] ~ Normal(m, t)
    observed y[p] ~ Normal(u, s)
    """
    assert text.count(old) == 1
    assert facts(read(text.replace(old, new))).identification == ()


def test_replicates_are_counted_in_the_data(read, bound):
    dag = read("""
    plate p; plate r in p
    parameter m; parameter t, s > 0
    u[p] ~ Normal(m, t)
    observed y[r] ~ Normal(u[p], s)
    """)
    single = bound(dag, {"p": ["a", "b", "c"], "y": [1.0, 2.0, 4.0]})
    assert kinds(facts(single).identification) == ["residual"]
    double = bound(dag, {"p": ["a", "a", "b", "c"], "y": [1.0, 2.0, 4.0, 3.0]})
    assert facts(double).identification == ()
    missing = bound(dag, {"p": ["a", "a", "b", "c"], "y": [1.0, np.nan, 4.0, 3.0]})
    assert kinds(facts(missing).identification) == ["residual"]


REGRESSION = """
plate r
covariate x[r], z[r]
b0, b1, b2 ~ Flat()
parameter s > 0
observed y[r] ~ Normal(b0 + b1*x + b2*z, s)
"""


def frame(rng, n=40, **columns):
    made = {"x": rng.normal(size=n), "z": rng.normal(size=n), "y": rng.normal(size=n)}
    return made | columns


def test_collinear_covariates_are_named(read, bound, rng):
    x = rng.normal(size=40)
    found = facts(bound(read(REGRESSION), frame(rng, x=x, z=3 - 2 * x)))
    (finding,) = found.identification
    assert finding.kind == "collinear"
    assert set(finding.nodes) == {"b0", "b1", "b2"}
    assert found.improper == (finding,)
    (finding,) = facts(bound(read(REGRESSION), frame(rng, x=x, z=2 * x))).identification
    assert set(finding.nodes) == {"b1", "b2"}


def test_a_covariate_of_zeros_moves_nothing(read, bound, rng):
    (finding,) = facts(bound(read(REGRESSION), frame(rng, z=np.zeros(40)))).identification
    assert finding.nodes == ("b2",)
    assert "moves no mean" in str(finding)


def test_large_offsets_are_not_collinear(read, bound, rng):
    data = frame(rng, x=1e6 + 0.1 * rng.normal(size=40))
    assert facts(bound(read(REGRESSION), data)).identification == ()


def test_only_rows_with_data_count(read, bound, rng):
    x, z, y = (rng.normal(size=40) for _ in range(3))
    z[:20] = 2 * x[:20]
    assert facts(bound(read(REGRESSION), {"x": x, "z": z, "y": y})).identification == ()
    y[20:] = np.nan
    assert kinds(facts(bound(read(REGRESSION), {"x": x, "z": z, "y": y})).identification) == ["collinear"]


def test_a_proper_prior_resolves_collinearity(read, bound, rng):
    x = rng.normal(size=40)
    text = REGRESSION.replace("b0, b1, b2 ~ Flat()", "b0, b1 ~ Flat(); b2 ~ Normal(0, 1)")
    assert facts(bound(read(text), frame(rng, x=x, z=2 * x))).identification == ()


def test_contrasts_with_and_without_a_corner(read, bound, rng):
    text = """
    plate arm; plate r in arm
    parameter m, b[arm]; parameter s > 0
    {corner}
    observed y[r] ~ Normal(m + b[arm], s)
    """
    data = {"arm": np.repeat(["control", "drug", "both"], 5), "y": rng.normal(size=15)}
    (finding,) = facts(bound(read(text.format(corner="")), data)).identification
    assert "'b[drug]'" in finding.message
    assert finding.nodes == ("m", "b")
    assert facts(bound(read(text.format(corner='b["control"] = 0')), data)).identification == ()


def test_collinearity_through_a_latents_mean_and_a_link(read, bound, rng):
    text = """
    plate c; plate r in c
    covariate w[c]
    parameter a, b, g; parameter t > 0
    u[c] ~ Normal(g*w, t)
    observed y[r] ~ Bernoulli(expit(a + b*w[c] + u[c]))
    """
    data = {"c": np.repeat(np.arange(8), 4), "y": rng.integers(0, 2, size=32).astype(float)}
    data["w"] = np.repeat(rng.normal(size=8), 4)
    found = facts(bound(read(text), data)).identification
    assert [set(f.nodes) for f in found if f.kind == "collinear"] == [{"b", "g"}]
    once = text.replace(" + b*w[c]", "").replace(", b,", ",")
    assert facts(bound(read(once), data)).identification == ()


def test_the_mean_of_a_hidden_state_moves_its_spread_too(read, bound, rng):
    """A unit's probability is no shift of what depends on it: hidden states are mixtures."""
    text = """
    plate r
    plate j = 1..4
    plate k = 1..2
    parameter a, b[j], W[j, k]
    h[r, k] ~ Bernoulli(expit(a))
    observed x[r, j] ~ Bernoulli(expit(b + sum(W*h for k)))
    """
    assert (
        facts(bound(read(text), {"x": rng.integers(0, 2, size=(30, 4)).astype(float)})).identification == ()
    )
    counts = text.replace("Bernoulli(expit(a))", "Poisson(exp(a))")
    assert (
        facts(bound(read(counts), {"x": rng.integers(0, 2, size=(30, 4)).astype(float)})).identification == ()
    )


def test_a_deterministic_node_is_looked_through(read, bound, rng):
    text = REGRESSION.replace("b0 + b1*x + b2*z, s)", "eta, s)") + "eta[r] = b0 + b1*x + b2*z"
    x = rng.normal(size=40)
    assert kinds(facts(bound(read(text), frame(rng, x=x, z=x))).identification) == ["collinear"]
    assert facts(bound(read(text), frame(rng))).identification == ()


def test_a_product_of_two_parameters(read, bound, rng):
    text = """
    plate r
    covariate x[r]
    parameter a, b; parameter s > 0
    observed y[r] ~ Normal(a*b*x, s)
    """
    data = {"x": rng.normal(size=20), "y": rng.normal(size=20)}
    (finding,) = facts(bound(read(text), data)).identification
    assert finding.nodes == ("a", "b")


def test_a_loading_is_not_taken_for_an_intercept(read, bound, rng):
    """Loadings act on covariances, so a latent with a free mean makes no false alarm."""
    text = """
    plate p
    parameter m, l2, l3, n2, n3; parameter s, e1, e2, e3 > 0
    f[p] ~ Normal(m, s)
    observed x1[p] ~ Normal(f, e1)
    observed x2[p] ~ Normal(n2 + l2*f, e2)
    observed x3[p] ~ Normal(n3 + l3*f, e3)
    """
    data = {n: rng.normal(size=30) for n in ("x1", "x2", "x3")}
    assert facts(bound(read(text), data)).identification == ()


def test_many_rows_are_sampled_and_a_rare_column_is_still_seen(read, bound, rng):
    n = 60_000
    z = np.zeros(n)
    z[123] = 1.0
    data = frame(rng, n=n, z=z)
    assert facts(bound(read(REGRESSION), data)).identification == ()


def test_a_recursion_is_left_out_not_misjudged(read, bound, rng):
    text = """
    plate t ordered
    parameter s_level, s_obs > 0; parameter b
    level[t first] ~ Normal(0, 1)
    level[t] ~ Normal(level[t-1] + b, s_level)
    observed y[t] ~ Normal(level, s_obs)
    """
    assert facts(bound(read(text), {"t": np.arange(20), "y": rng.normal(size=20)})).identification == ()


def test_a_coefficient_that_also_acts_through_a_recursion_is_not_judged_by_the_rest(read, bound, rng):
    text = """
    plate t ordered
    parameter a, b; parameter s > 0
    level[t first] ~ Normal(0, 1)
    level[t] ~ Normal(level[t-1] + b, 1)
    observed y[t] ~ Normal(level, s)
    observed q[t] ~ Normal(a + b, 1)
    """
    data = {"t": np.arange(20), "y": rng.normal(size=20), "q": rng.normal(size=20)}
    assert facts(bound(read(text), data)).identification == ()


def test_textbook_models_raise_no_alarm(models):
    for dag in models.values():
        assert facts(dag).findings == (), dag.name
