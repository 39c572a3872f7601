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
            ("county", "(Intercept)", "floor"): "Sigma[(Intercept), floor]",
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
            ("Subject", "(Intercept)", "Days"): "Sigma[(Intercept), Days]",
            ("Residual", None): "sigma",
        },
        {"Subject": ("b", ["(Intercept)", "Days"])},
    ),
    "sleepstudy_tied": (
        m.SLEEPSTUDY_TIED,
        "sleepstudy",
        "REML",
        ["mu_a", "mu_b"],
        {
            ("Subject", "(Intercept)"): "s_a",
            ("Subject", "Days"): "s_b",
            ("Subject", "(Intercept)", "Days"): "c",
            ("Residual", None): "sigma",
        },
        {"Subject": ("a b", ["(Intercept)", "Days"])},
    ),
    "sleepstudy_zerocorr": (
        m.SLEEPSTUDY_ZEROCORR,
        "sleepstudy",
        "REML_zerocorr",
        ["mu_a", "mu_b"],
        {("Subject", "(Intercept)"): "s_a", ("Subject.1", "Days"): "s_b", ("Residual", None): "sigma"},
        {"Subject": ("a b", ["(Intercept)", "Days"])},
    ),
    "sleepstudy_intercept": (
        m.SLEEPSTUDY_INTERCEPT,
        "sleepstudy",
        "ML_intercept",
        ["mu_a", "mu_b"],
        {("Subject", "(Intercept)"): "s_a", ("Residual", None): "sigma"},
        {"Subject": ("a", [None])},
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
    """Standard deviations and covariances, every row of the reference.

    A reference that stopped g above our deviance is off by up to se*sqrt(g) in any unknown: on radon with
    slopes g is 1e-7, and its covariance is good to 1e-3 only.
    """
    fit, reference, (_, components, _) = fitted
    gap = max(reference["minus2logLik"] + 2 * fit.log_likelihood, 0.0)
    assert gap < 2e-7
    for row in reference["varcomp"]:
        if row["var2"] is None:
            name = components[row["group"], row["var1"]]
            assert quantity(fit, name) == pytest.approx(row["sdcor"], rel=RELATIVE), name
        else:
            name = components[row["group"], row["var1"], row["var2"]]
            se = fit.estimates.set_index("name").loc[name, "se"]
            slack = RELATIVE * abs(row["vcov"]) + se * np.sqrt(gap)
            assert fit[name] == pytest.approx(row["vcov"], abs=slack), name


def test_conditional_modes_and_their_standard_deviations(fitted) -> None:
    fit, reference, (_, components, latents) = fitted
    assert set(latents) == set(reference["ranef"])
    table = fit.latents.set_index("name")
    for group, (node, terms) in latents.items():
        stored = reference["ranef"][group]
        modes = np.asarray(stored["value"], dtype=float)
        sds = stored["cond_sd"]  # lme4 gives none for uncorrelated terms of one factor
        if sds is not None:
            sds = np.broadcast_to(np.asarray(sds, dtype=float).reshape(-1, len(terms)), modes.shape)
        for at, (level, mode) in enumerate(zip(stored["level"], modes, strict=True)):
            for k, term in enumerate(terms):
                name = _latent(node, k, level, term)
                ours = table.loc[name]
                spread = quantity(fit, _spread(components, group, term))
                # modes near zero carry the reference's absolute error: relative to the effect's sd
                assert ours["deviation"] == pytest.approx(mode[k], rel=RELATIVE, abs=RELATIVE * spread)
                if sds is not None:
                    assert ours["deviation_sd"] == pytest.approx(sds[at][k], rel=RELATIVE)


def _latent(node: str, k: int, level: str, term: str | None) -> str:
    """Our name of an effect: one node on a plate of terms, or one node a term ("a b")."""
    nodes = node.split()
    if len(nodes) > 1 or term is None:
        return f"{nodes[k]}[{level}]"
    return f"{node}[{level}, {term}]"


def _spread(components: dict, group: str, term: str | None) -> str:
    """The name of an effect's standard deviation; lme4 numbers uncorrelated terms of one factor."""
    keys = [(g, term or "(Intercept)") for g in (group, f"{group}.1")]
    return next(components[k] for k in keys if k in components)


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
