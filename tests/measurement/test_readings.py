"""The three readings of one graph: reference slopes and errors, and what each reading refuses."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from tests.measurement.references import answers, data

YORK = """
model york
plate point
covariate sd_x[point], sd_y[point]
parameter a, b, mu
parameter s > 0

xi[point] ~ Normal(mu, s)
observed x[point] ~ Normal(xi, sd_x)
observed y[point] ~ Normal(a + b*xi, sd_y)
"""
SCATTER = YORK.replace("s > 0", "s, t > 0").replace("b*xi, sd_y", "b*xi, sqrt(sd_y**2 + t**2)")


def row(fit, name: str):
    return fit.estimates.set_index("name").loc[name]


@pytest.mark.parametrize(
    ("text", "reading", "known"),
    [
        (YORK, "functional", "functional_ml_york"),
        (YORK, "flat", "integrated_flat_x"),
        (YORK, "structural", "structural_gaussian_ml"),
        (SCATTER, "structural", "structural_gaussian_ml_intrinsic_scatter"),
    ],
)
def test_yorks_points_under_each_reading(text: str, reading: str, known: str) -> None:
    r = answers("york1966")[known]
    fit = dm.read(text).fit(data("york1966"), reading=reading)
    assert fit.converged
    errors = {"a": "se_intercept", "b": "se_slope"}
    if reading == "functional":  # the reference's own errors are York's; ours are the curvature's
        errors = {k: f"{v}_observed_info" for k, v in errors.items()}
    for name, key in (("a", "intercept"), ("b", "slope")):
        assert row(fit, name).estimate == pytest.approx(r[key], rel=1e-7)
        assert row(fit, name).se == pytest.approx(r[errors[name]], rel=1e-4)
    if "loglik" in r:
        assert fit.log_likelihood == pytest.approx(r["loglik"], rel=1e-10)
        assert row(fit, "mu").se == pytest.approx(r["se_mu_x"], rel=1e-4)
        assert row(fit, "s").estimate ** 2 == pytest.approx(r["var_x"], rel=1e-5)
    if "negloglik" in r:
        assert -fit.log_likelihood == pytest.approx(r["negloglik"], rel=1e-10)
    if "x_adjusted" in r:
        assert fit.latents["estimate"].to_numpy() == pytest.approx(r["x_adjusted"], abs=1e-6)
    assert f"reading: {reading}" in str(fit.plan)
    assert f"reading: {reading}" in fit.summary()
    assert "xi[0]" in set(fit.latents["name"])


def test_the_graph_may_state_its_reading_itself() -> None:
    d = data("york1966")
    plain = dm.read(YORK)
    for reading, statement in (("functional", "parameter xi[point]"), ("flat", "xi[point] ~ Flat()")):
        own = YORK.replace("xi[point] ~ Normal(mu, s)", statement)
        own = own.replace(", mu", "").replace("parameter s > 0\n", "")
        assert dm.read(own).fit(d).log_likelihood == pytest.approx(
            plain.fit(d, reading=reading).log_likelihood, rel=1e-12
        )
    assert plain.fit(d, reading="structural").log_likelihood == plain.fit(d).log_likelihood


def refusal(text: str, reading: object) -> str:
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(text).fit(data("york1966"), reading=reading)
    (fault,) = caught.value.exceptions
    return f"{fault} {fault.hint}"


def test_what_a_reading_cannot_mean_is_refused() -> None:
    prior = YORK.replace("parameter a, b, mu", "parameter a, b\nmu ~ Normal(0, 10)")
    assert "the prior of 'mu'" in refusal(prior, "flat")
    assert "reading is 'fixed'" in refusal(YORK, "fixed")
    flat = YORK.replace("Normal(mu, s)", "Flat()").replace(", mu", "").replace("parameter s > 0\n", "")
    assert "'xi' has no distribution" in refusal(flat, "structural")
    nothing = "model m\nplate point\nparameter a\nparameter s > 0\nobserved y[point] ~ Normal(a, s)\n"
    assert "no covariate is measured with error" in refusal(nothing, "flat")


def test_what_is_used_elsewhere_stays() -> None:
    text = YORK + "observed z[point] ~ Normal(mu, 1)\n"
    d = data("york1966")
    fit = dm.read(text).fit(d.assign(z=d.x + 1), reading="functional")
    assert row(fit, "mu").estimate == pytest.approx(d.x.mean() + 1, rel=1e-10)
    assert "s" not in set(fit.estimates["name"])


@pytest.mark.parametrize("ratio", [1, 2])
def test_demings_graph_is_the_line_in_closed_form(ratio: int) -> None:
    d, known = data("deming"), answers("deming")[f"lambda_{ratio}"]
    text = f"""
    model deming
    plate point
    parameter a, b, mu
    parameter s, e > 0
    xi[point] ~ Normal(mu, s)
    observed x[point] ~ Normal(xi, e)
    observed y[point] ~ Normal(a + b*xi, e*sqrt({ratio}))
    """
    fit, ml = dm.read(text).fit(d), known["structural_ml"]
    line = dm.deming(d.x, d.y, ratio)
    assert row(fit, "b").estimate == pytest.approx(line.slope, rel=1e-7)
    assert fit.log_likelihood == pytest.approx(ml["loglik"], rel=1e-10)
    assert row(fit, "b").se == pytest.approx(ml["se_slope"], rel=1e-4)
    assert row(fit, "a").se == pytest.approx(ml["se_intercept"], rel=1e-4)
    assert row(fit, "e").estimate ** 2 == pytest.approx(ml["var_ex"], rel=1e-6)


def test_errors_of_coefficients_beside_slopes_are_those_of_the_dense_information() -> None:
    """The inverse Hessian of the dense bivariate normal likelihood, by central differences."""
    d = data("york1966")
    fit = dm.read(YORK).fit(d)
    x, y, v, w = (d[c].to_numpy() for c in ("x", "y", "sd_x", "sd_y"))

    def minus(p: np.ndarray) -> float:
        a, b, mu, s = p
        var = np.array([[s**2 + v**2, b * s**2 + 0 * v], [b * s**2 + 0 * v, b**2 * s**2 + w**2]])
        det = var[0, 0] * var[1, 1] - var[0, 1] ** 2
        e, f = x - mu, y - a - b * mu
        q = (var[1, 1] * e**2 - 2 * var[0, 1] * e * f + var[0, 0] * f**2) / det
        return 0.5 * np.sum(np.log(det) + q)

    names = ["a", "b", "mu", "s"]
    at = np.array([row(fit, n).estimate for n in names])
    h = 1e-4
    steps = np.eye(4) * h
    hessian = np.array(
        [
            [
                (minus(at + i + j) - minus(at + i - j) - minus(at - i + j) + minus(at - i - j)) / (4 * h * h)
                for j in steps
            ]
            for i in steps
        ]
    )
    errors = np.sqrt(np.linalg.inv(hessian).diagonal())
    assert [row(fit, n).se for n in names] == pytest.approx(errors, rel=1e-4)
