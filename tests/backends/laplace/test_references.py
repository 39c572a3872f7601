"""ML and REML against lme4 1.1-31 at tight tolerances, and NIST's one-way sets against exact rationals.

Tolerances: criterion 1e-6; everything else 1e-4 relative (the reference's own optimum is good to
about 1e-6 in the coordinates). Origins stand in tests/references/*/reference.json.
"""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from tests.backends.laplace import models as m

RELATIVE = 1e-4

CASES = {
    # name: (text, data, fit of the reference, coefficients, {(group, var1, var2): estimate}, latents)
    "radon": (
        m.RADON_INTERCEPT,
        "radon_minnesota",
        "REML_intercept",
        ["g0", "beta", "g1"],
        {("county", "(Intercept)"): "tau", ("Residual", None): "sigma"},
        {"county": ("alpha", [None])},
    ),
    "radon_slopes": (
        m.RADON_SLOPES,
        "radon_minnesota",
        "REML",
        ["g0", "g2", "g1"],
        {
            ("county", "(Intercept)"): "sqrt Sigma[(Intercept), (Intercept)]",
            ("county", "floor"): "sqrt Sigma[floor, floor]",
            ("Residual", None): "sigma",
        },
        {"county": ("b", ["(Intercept)", "floor"])},
    ),
    "sleepstudy": (
        m.SLEEPSTUDY,
        "sleepstudy",
        "REML",
        ["mu[(Intercept)]", "mu[Days]"],
        {
            ("Subject", "(Intercept)"): "sqrt Sigma[(Intercept), (Intercept)]",
            ("Subject", "Days"): "sqrt Sigma[Days, Days]",
            ("Residual", None): "sigma",
        },
        {"Subject": ("b", ["(Intercept)", "Days"])},
    ),
    "sleepstudy_tied": (
        m.SLEEPSTUDY_TIED,
        "sleepstudy",
        "REML",
        ["mu_a", "mu_b"],
        {("Subject", "(Intercept)"): "s_a", ("Subject", "Days"): "s_b", ("Residual", None): "sigma"},
        {},
    ),
    "sleepstudy_zerocorr": (
        m.SLEEPSTUDY_ZEROCORR,
        "sleepstudy",
        "REML_zerocorr",
        ["mu_a", "mu_b"],
        {},
        {},
    ),
    "sleepstudy_intercept": (
        m.SLEEPSTUDY_INTERCEPT,
        "sleepstudy",
        "ML_intercept",
        ["mu_a", "mu_b"],
        {},
        {},
    ),
    "penicillin": (
        m.PENICILLIN,
        "penicillin",
        "REML",
        ["mu"],
        {
            ("plate", "(Intercept)"): "s_plate",
            ("sample", "(Intercept)"): "s_sample",
            ("Residual", None): "sigma",
        },
        {"plate": ("a", [None]), "sample": ("b", [None])},
    ),
    "pastes": (
        m.PASTES,
        "pastes",
        "REML",
        ["mu"],
        {
            ("cask:batch", "(Intercept)"): "s_cask",
            ("batch", "(Intercept)"): "s_batch",
            ("Residual", None): "sigma",
        },
        {"batch": ("b", [None]), "cask:batch": ("c", [None])},
    ),
}
for _name in ("radon_slopes", "sleepstudy", "penicillin", "pastes"):
    _text, _data, _, *_rest = CASES[_name]
    CASES[f"{_name}_ml"] = (m.maximum_likelihood(_text), _data, "ML", *_rest)


def quantity(fit: dm.Fit, name: str) -> float:
    """An estimate by name; "sqrt X" is its square root."""
    return float(np.sqrt(fit[name[5:]])) if name.startswith("sqrt ") else fit[name]


@pytest.fixture(scope="module", params=sorted(CASES))
def fitted(request: pytest.FixtureRequest):
    text, data, which, *rest = CASES[request.param]
    return dm.read(text).fit(m.data(data)), m.reference(data)["fits"][which]["reference"], rest


def test_criterion(fitted) -> None:
    fit, reference, _ = fitted
    assert -2 * fit.log_likelihood == pytest.approx(reference["minus2logLik"], abs=1e-6)
    assert fit.converged
    assert fit.diagnostics["gradient_norm"] < 1e-5
    assert fit.aic == pytest.approx(reference["AIC"], abs=1e-5)
    assert fit.bic == pytest.approx(reference["BIC"], abs=1e-5)


def test_coefficients_and_their_standard_errors(fitted) -> None:
    fit, reference, (names, _, _) = fitted
    table = fit.estimates.set_index("name")
    np.testing.assert_allclose(
        table.loc[names, "estimate"], np.atleast_1d(reference["fixed"]["est"]), rtol=RELATIVE
    )
    np.testing.assert_allclose(table.loc[names, "se"], np.atleast_1d(reference["fixed"]["se"]), rtol=RELATIVE)


def test_variance_components(fitted) -> None:
    fit, reference, (_, components, _) = fitted
    for row in reference["varcomp"]:
        name = components.get((row["group"], row["var1"]))
        if name is not None and row["var2"] is None:
            assert quantity(fit, name) == pytest.approx(row["sdcor"], rel=RELATIVE), name


def test_conditional_modes_and_their_standard_deviations(fitted) -> None:
    fit, reference, (_, components, latents) = fitted
    table = fit.latents.set_index("name")
    for group, (node, terms) in latents.items():
        stored = reference["ranef"][group]
        modes = np.asarray(stored["value"], dtype=float)
        sds = np.asarray(stored["cond_sd"], dtype=float).reshape(-1, len(terms))
        spread = [quantity(fit, components[group, t or "(Intercept)"]) for t in terms]
        for level, mode, sd in zip(stored["level"], modes, np.broadcast_to(sds, modes.shape), strict=True):
            for k, term in enumerate(terms):
                name = f"{node}[{level}]" if term is None else f"{node}[{level}, {term}]"
                ours = table.loc[name]
                # modes near zero carry the reference's absolute error: relative to the effect's sd
                assert ours["deviation"] == pytest.approx(mode[k], rel=RELATIVE, abs=RELATIVE * spread[k])
                assert ours["deviation_sd"] == pytest.approx(sd[k], rel=RELATIVE)


NIST = [f"nist_{name}" for name in ("sirstv", "atmwtag", *(f"smls0{k}" for k in range(1, 7)))]


@pytest.mark.parametrize("kind", ["REML", "ML"])
@pytest.mark.parametrize("name", NIST)
def test_nist_one_way(name: str, kind: str) -> None:
    """Variance components within 1e-8 and F within 1e-9 relative of the exact value on the binary64 data."""
    data = m.data(name)
    group, response = data.columns
    text = f"""model one_way
plate {group}
plate obs in {group}
parameter tau, sigma > 0
mu ~ Flat()
a[{group}] ~ Normal(mu, tau)
observed {response}[obs] ~ Normal(a[{group}], sigma)
"""
    fit = dm.read(text if kind == "REML" else m.maximum_likelihood(text)).fit(data)
    exact = m.reference(name)["exact_rational_on_binary64_data"]
    between = exact[f"{kind.lower()}_var_between"]
    tau2, sigma2 = fit["tau"] ** 2, fit["sigma"] ** 2
    if between == 0.0:
        assert tau2 == 0.0
        assert "tau" in fit.boundary
        assert fit.converged
        return
    assert tau2 == pytest.approx(between, rel=1e-8)
    assert sigma2 == pytest.approx(exact[f"{kind.lower()}_var_within"], rel=1e-8)
    if kind == "REML":  # balanced: F = 1 + n tau^2/sigma^2
        per_group = exact["N"] / exact["k"]
        assert 1 + per_group * tau2 / sigma2 == pytest.approx(exact["F"], rel=1e-9)


def test_eight_schools_maximum_likelihood() -> None:
    text = m.EIGHT_SCHOOLS + "parameter mu\nparameter tau > 0\n"
    with pytest.warns(dm.FitWarning, match="'tau' is estimated on the boundary"):
        fit = dm.read(text).fit(m.data("eight_schools"))
    want = m.reference("eight_schools")["ml"]
    assert fit["tau"] == 0.0
    assert fit.boundary == ("tau",)
    assert fit.converged
    assert fit["mu"] == pytest.approx(want["mu"], rel=1e-9)
    assert fit.log_likelihood == pytest.approx(want["loglik"], abs=1e-9)
    assert fit.estimates.set_index("name").loc["mu", "se"] == pytest.approx(want["se_mu"], rel=1e-9)


def test_eight_schools_reml() -> None:
    text = m.EIGHT_SCHOOLS + "mu ~ Flat()\nparameter tau > 0\n"
    with pytest.warns(dm.FitWarning, match="boundary"):
        fit = dm.read(text).fit(m.data("eight_schools"))
    assert fit.log_likelihood == pytest.approx(m.reference("eight_schools")["reml"]["loglik"], abs=1e-9)


def test_eight_schools_with_priors_is_called_a_mode() -> None:
    """Marginal mode under mu ~ Normal(0, 5), tau ~ HalfCauchy(5): closed form at tau = 0."""
    text = m.EIGHT_SCHOOLS + "mu ~ Normal(0, 5)\ntau ~ HalfCauchy(5)\n"
    with pytest.warns(dm.FitWarning, match="modes of the marginal posterior, not posterior means"):
        fit = dm.read(text).fit(m.data("eight_schools"), method="laplace")
    assert fit["tau"] == 0.0
    assert fit["mu"] == pytest.approx(4.6209232616, abs=1e-9)
    assert fit.estimates.set_index("name").loc["mu", "se"] == pytest.approx(3.1573604456, abs=1e-9)
    assert "mode" in fit.method
    assert fit.converged
