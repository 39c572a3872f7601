"""Residuals of least-squares fits against plain matrices of all groups together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.stats import norm

import dagmodels as dm

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
PATH = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nvisual + textual ~ x9"
ITEMS = [f"x{i}" for i in range(1, 10)]


CASES = {
    "ordered, equal loadings": (
        FACTORS, ITEMS, {"ordered": ITEMS, "group": "school", "group_equal": ["loadings"]},
    ),
    "ordered, equal thresholds": (
        FACTORS, ITEMS, {"ordered": ITEMS, "group": "school", "group_equal": ["loadings", "thresholds"]},
    ),
    "ULS of ordered": (FACTORS, ITEMS, {"ordered": ITEMS, "estimator": "ULSMV"}),
    "numbers beside, a covariate": (PATH, ITEMS[:3], {"ordered": ITEMS[:3]}),
    "GLS": (FACTORS, [], {"estimator": "GLS", "group": "school", "group_equal": ["loadings"]}),
    "WLS with covariate": (PATH, [], {"estimator": "WLS"}),
    "DWLS": (FACTORS, [], {"estimator": "DWLS", "meanstructure": True}),
    "ULS": (FACTORS, [], {"estimator": "ULS"}),
}  # fmt: skip


def numbers(shown, parts, names, covariates):
    """The printed frames as a vector of statistics."""
    keys = {k.removeprefix("res_"): v for k, v in shown.items()}
    level = {0: keys.get("mean", keys.get("int")), 1: keys.get("th")}
    found = []
    for kind, i, j in zip(parts.kind, parts.first, parts.second, strict=True):
        if kind == 0:
            table = level[int(parts.ordered[i])]
            name = f"{names[i]}|t{j + 1}" if parts.ordered[i] else names[i]
            found.append(np.nan if table is None else table[name])
        elif kind == 1:
            found.append(keys["slopes"].loc[names[i], covariates[j]])
        else:
            found.append(keys["cov"].loc[names[i], names[j]])
    return np.array(found)


@pytest.mark.parametrize("case", CASES)
def test_residuals_are_those_of_plain_matrices(pupils, thirds, case):
    """Raw, normalized and standardized: the diagonal of (I - U) Gamma (I - U)' / n with whole matrices."""
    text, cut, options = CASES[case]
    fit = dm.sem(text, pupils.assign(**thirds[cut]), **options)
    at, form = fit.solution.at, fit.solution.form
    total = sum(p.n for p in form.parts)
    weights, gammas = [], []
    for p in form.parts:
        weights.append(p.n / total * p.weights.times(np.eye(p.value.size)))
        gamma = np.linalg.inv(p.weights.times(np.eye(p.value.size))) if p.gamma is None else p.gamma
        gammas.append(gamma / p.n)
    v, gamma, d = block_diag(*weights), block_diag(*gammas), np.concatenate(at.slopes)
    rest = np.eye(len(v)) - d @ np.linalg.solve(d.T @ v @ d, d.T @ v)
    raw = np.concatenate([p.value - i.value for p, i in zip(form.parts, at.implied, strict=True)])
    standard, plain = np.sqrt(np.maximum(np.diag(rest @ gamma @ rest.T), 0)), np.sqrt(np.diag(gamma))
    parts = form.space.parts
    names = [form.variables[u][0] for u in form.space.y.tolist()]
    covariates = [form.variables[u][0] for u in form.space.x.tolist()]

    def shown(type):
        found = fit.residuals(type)
        groups = [found] if len(form.parts) == 1 else list(found.values())
        return np.concatenate([numbers(f, parts, names, covariates) for f in groups])

    seen = np.isfinite(shown("raw"))
    standard = np.where(standard > 0, standard, np.nan)
    assert seen[np.tile(parts.kind != 0, len(form.parts))].all()
    np.testing.assert_allclose(shown("raw")[seen], raw[seen], atol=1e-12)
    clear = seen & (np.abs(raw) > 1e-5)
    np.testing.assert_allclose(shown("normalized")[clear], (raw / plain)[clear], rtol=1e-8)
    np.testing.assert_allclose(shown("standardized")[clear], (raw / standard)[clear], rtol=1e-6)
    assert clear.sum() > 15


def test_both_parameterizations_have_the_same_residuals(thirds):
    delta, theta = (dm.cfa(FACTORS, thirds, ordered=ITEMS, parameterization=p) for p in ("delta", "theta"))
    for type in ("raw", "cor", "normalized", "standardized"):
        a, b = delta.residuals(type), theta.residuals(type)
        np.testing.assert_allclose(a["cov"], b["cov"], atol=2e-6)
        np.testing.assert_allclose(a["th"], b["th"], atol=1e-6)
    a, b = delta.fitted(), theta.fitted()
    assert set(a) == {"cov", "th"}
    np.testing.assert_allclose(np.diag(a["cov"]), 1.0)
    np.testing.assert_allclose(a["cov"], b["cov"], atol=1e-7)
    np.testing.assert_allclose(a["th"], b["th"], atol=1e-7)
    share = (thirds["x2"] <= 2).mean()
    assert a["th"]["x2|t2"] == pytest.approx(norm.ppf(share), abs=1e-7)
    loading = delta.estimates.query("op == '=~'").set_index("rhs").std_all
    assert a["cov"].loc["x1", "x2"] == pytest.approx(loading["x1"] * loading["x2"])


def test_correlations_of_numbers_beside_ordered_ones(pupils, thirds):
    fit = dm.cfa(FACTORS, pupils.assign(**thirds[ITEMS[:3]]), ordered=ITEMS[:3])
    raw, cor, fitted = fit.residuals(), fit.residuals("cor"), fit.fitted()
    assert list(fitted["mean"].index) == ITEMS[3:]
    np.testing.assert_allclose(fitted["mean"], pupils[ITEMS[3:]].mean(), atol=1e-6)
    data = raw["cov"] + fitted["cov"]
    own, model = (np.sqrt(np.diag(c)) for c in (data, fitted["cov"]))
    want = data / np.outer(own, own) - fitted["cov"] / np.outer(model, model)
    np.testing.assert_allclose(cor["cov"], want, atol=1e-12)
