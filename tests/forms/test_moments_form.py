"""The moments form against the field form of the same graph and data: two roads to one likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.unit import NoUnit, Unit, unit

FACTOR = """
model factor
plate row
parameter a, b, c, l2, l3
parameter e1, e2, e3, s > 0
f[row] ~ Normal(0, s)
observed y1[row] ~ Normal(a + f, e1)
observed y2[row] ~ Normal(b + l2*f, e2)
observed y3[row] ~ Normal(c + l3*f, e3)
"""
REGRESSION = """
model regression
plate row
covariate x[row], z[row]
parameter a, b, c, d
parameter s, t > 0
observed m[row] ~ Normal(a + b*x, s)
observed y[row] ~ Normal(c + d*m + 0.5*z, t)
indirect = b*d
"""
GROUPS = """
model groups
plate school
plate row in school
plate item = "y1", "y2", "y3"
parameter nu[school, item], l[item]
parameter e[item], s[school] > 0
l["y1"] = 1
f[row] ~ Normal(0, s[school])
observed y[row, item] ~ Normal(nu[school, item] + l[item]*f, e[item])
"""
JOINT = """
model joint
plate row
plate k = "a", "b"
plate k2 as k
parameter mu[k], w
parameter Sigma[k, k2] covariance
parameter e > 0
u[row, k] ~ MvNormal(mu, Sigma)
observed y1[row] ~ Normal(u[row, "a"], e)
observed y2[row] ~ Normal(u[row, "b"], e)
observed y3[row] ~ Normal(w + u[row, "a"] + 2*u[row, "b"], e)
"""
RESIDUAL = """
model residual
plate row
parameter a, b, c
parameter s1, s2 > 0
observed y1[row] ~ Normal(a, s1)
observed y2[row] ~ Normal(b, s2)
y1 ~~ y2 = c
"""


def frame(seed, missing, columns=("y1", "y2", "y3")):
    rng = np.random.default_rng(seed)
    f = rng.normal(size=150)
    y = {c: (0.6 + 0.2 * i) * f + 0.7 * rng.normal(size=150) + i for i, c in enumerate(columns)}
    y |= {"x": rng.normal(size=150), "z": rng.normal(size=150), "school": np.array(["p", "q", "q"] * 50)}
    y["m"] = 0.5 * y["x"] + rng.normal(size=150)
    y["y"] = 1 + 0.4 * y["m"] + 0.5 * y["z"] + rng.normal(size=150)
    found = pd.DataFrame(y)
    if missing:
        for c in columns[1:]:
            found.loc[rng.random(150) < 0.2, c] = np.nan
    return found


def data(text, seed, missing):
    found = frame(seed, missing)
    wanted = {n.name for n in dm.read(text).dag.nodes.values() if n.observed or n.kind == "covariate"}
    if "school" in text:
        return {"row": found[["school", "y1", "y2", "y3"]]}
    return found[[c for c in found if c in wanted]]


@pytest.mark.parametrize(
    ("text", "missing"),
    [(FACTOR, False), (FACTOR, True), (REGRESSION, False), (GROUPS, False), (GROUPS, True), (JOINT, False),
     (JOINT, True), (RESIDUAL, False)],
    ids=lambda v: v.split()[1] if isinstance(v, str) else "missing" if v else "complete",
)  # fmt: skip
def test_both_forms_agree(text, missing):
    for seed in (1, 2):
        frames = data(text, seed, missing)
        g = dm.read(text)
        a, b = g.fit(frames, form="moments"), g.fit(frames, form="field")
        assert a.moments is not None
        assert b.moments is None
        assert a.converged
        assert b.converged
        assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-9)
        left, right = a.estimates.set_index("name"), b.estimates.set_index("name")
        assert set(left.index) == set(right.index)
        right = right.loc[left.index]
        np.testing.assert_allclose(left["estimate"], right["estimate"], rtol=2e-5, atol=2e-5)
        latent, other = a.latents, b.latents
        both = latent.merge(other, on="name", suffixes=("", "_field"))
        assert len(both) == len(latent)
        np.testing.assert_allclose(both["estimate"], both["estimate_field"], rtol=1e-4, atol=1e-4)
        # given all parameters here; the field form counts the uncertainty of profiled means in
        assert (both["sd"] <= both["sd_field"] * (1 + 1e-6)).all()
        np.testing.assert_allclose(both["sd"], both["sd_field"], rtol=0.1)


def test_standard_errors_are_the_joint_observed_ones():
    frames = data(FACTOR, 3, False)
    g = dm.read(FACTOR)
    a, b = g.fit(frames, form="moments", se="joint"), g.fit(frames, form="field", se="joint")
    left, right = a.estimates.set_index("name")["se"], b.estimates.set_index("name")["se"]
    np.testing.assert_allclose(left, right.loc[left.index], rtol=1e-4)


def test_gradient_and_hessian_of_the_form():
    """By differences, with coordinates that are logs, factors and plain entries."""
    from dagmodels.bind.bind import bind
    from dagmodels.forms.build_moments import build_moments

    for text in (FACTOR, GROUPS, JOINT):
        g = dm.read(text)
        found = unit(g.dag)
        assert isinstance(found, Unit)
        form = build_moments(bind(g.dag, data(text, 5, True)), found)
        rng = np.random.default_rng(1)
        x = 0.2 * rng.normal(size=form.x_places.size) + 0.7
        at = form.at(x)
        h, eye = 1e-5, np.eye(x.size)
        slope = [(form.at(x + h * e).value - form.at(x - h * e).value) / (2 * h) for e in eye]
        np.testing.assert_allclose(at.gradient, slope, rtol=1e-5, atol=1e-4)
        bend = [(form.at(x + h * e).gradient - form.at(x - h * e).gradient) / (2 * h) for e in eye]
        np.testing.assert_allclose(at.hessian(), bend, rtol=1e-5, atol=1e-3)


def test_priors_make_modes():
    """A normal mean with a normal prior, by hand: precision-weighted, and its density in the criterion."""
    text = """
model m
plate row
mu ~ Normal(1, 0.5)
observed y[row] ~ Normal(mu, 2)
observed z[row] ~ Normal(0, 1)
"""
    frames = pd.DataFrame({"y": [3.0, 5.0, 4.0, 8.0], "z": [1.0, 0.0, 2.0, 1.0]})
    fit = dm.read(text).fit(frames, method="laplace", form="moments", check=False)
    assert fit["mu"] == pytest.approx((1 / 0.25 + 20 / 4) / (1 / 0.25 + 4 / 4))
    assert fit.estimates["se"][0] == pytest.approx((1 / 0.25 + 4 / 4) ** -0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model m\nplate row\nparameter a\nobserved y[row] ~ Poisson(exp(a))", "'y' is Poisson"),
        ("model m\nplate g\nplate row in g\nparameter s, t > 0\ncovariate x[row]\n"
         "u[g] ~ Normal(0, s)\nobserved y[row] ~ Normal(u[g]*x, t)", "'u' is random and shared"),
        ("model m\nplate row\ncovariate x[row]\nparameter s, t > 0\nf[row] ~ Normal(0, s)\n"
         "observed y[row] ~ Normal(x*f, t)", "not linear"),
        ("model m\nplate t ordered\nparameter s > 0\nobserved y[t first] ~ Normal(0, 1)\n"
         "observed y[t] ~ Normal(y[t-1], s)", "follow one another"),
    ],
)  # fmt: skip
def test_what_is_no_unit(text, told):
    found = unit(dm.read(text).dag)
    assert isinstance(found, NoUnit)
    assert any(told in sentence for sentence in found.because)
    frames = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [1.0, 2.0, 0.0], "g": ["a", "b", "b"], "t": [1, 2, 3]})
    columns = ["y", *(c for c in "xgt" if f"plate {c}" in text or f"covariate {c}[" in text)]
    with pytest.raises(dm.FitError, match="laplace"):
        dm.read(text).fit(frames[columns], method="laplace", form="moments", check=False)


def test_covariances_of_latent_and_observed_nodes_and_feedback():
    """What the field form refuses: the likelihood is that of the implied covariance."""
    text = """
model feedback
plate row
covariate x[row], z[row]
parameter a, b, c, d
parameter v, w > 0
(p, q)[row] ~ Simultaneous([a*x, b*z], [[0, c], [d, 0]], [[v, 0], [0, w]])
"""
    rng = np.random.default_rng(2)
    n = 400
    x, z = rng.normal(size=(2, n))
    e = rng.normal(size=(2, n))
    inverse = np.linalg.inv(np.eye(2) - np.array([[0, 0.4], [-0.3, 0]]))
    p, q = inverse @ np.stack([0.8 * x + e[0], 0.7 * z + e[1]])
    frames = pd.DataFrame({"x": x, "z": z, "p": p, "q": q})
    model = dm.read(text.replace("(p, q)[row]", "observed (p, q)[row]"))
    fit = model.fit(frames)
    assert fit.converged
    assert "depend on one another" in str(model.plan(frames))
    value = {k: fit[k] for k in "abcdvw"}
    b = np.linalg.inv(np.eye(2) - np.array([[0, value["c"]], [value["d"], 0]]))
    mean = (b @ np.stack([value["a"] * x, value["b"] * z])).T
    sigma = b @ np.diag([value["v"], value["w"]]) @ b.T
    away = np.stack([p, q], axis=1) - mean
    want = -0.5 * (n * (2 * np.log(2 * np.pi) + np.linalg.slogdet(sigma)[1])
                   + np.sum(away @ np.linalg.inv(sigma) * away))  # fmt: skip
    assert fit.log_likelihood == pytest.approx(want, rel=1e-10)
    for name, truth in zip("abcdvw", (0.8, 0.7, 0.4, -0.3, 1, 1), strict=True):
        row = fit.estimates.set_index("name").loc[name]
        assert abs(row["estimate"] - truth) < 4.5 * row["se"]  # six estimates: false alarms below 1e-4
