"""Criteria of least squares: derivatives against differences, implied statistics against plain algebra."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm

CASES = {
    "delta": ("f =~ u1 + u2 + u3\ng =~ u4 + y1 + u5", {}),
    "theta": ("f =~ u1 + u2 + u3\ng =~ u4 + y1 + u5", {"parameterization": "theta"}),
    "covariates": ("f =~ u1 + u2 + y1\nf ~ x\nu4 ~ f + x\ny2 ~ u5x\ny2 ~~ u4", {}),
    "groups": ("f =~ u1 + u2 + u3 + u4", {"group": "school", "group_equal": ["loadings", "thresholds"]}),
    "numbers": ("f =~ y1 + y2 + y3 + y4\nf ~ x", {"estimator": "WLS", "meanstructure": True}),
    "feedback": ("y1 ~ y2 + x\ny2 ~ y1 + u5x", {"estimator": "GLS"}),
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    n = 600
    x = rng.standard_normal((n, 2))
    f = rng.multivariate_normal([0, 0], [[1, 0.4], [0.4, 1]], n) + 0.3 * x[:, :1]
    load = np.array([0.7, 0.8, 0.6, 0.75, 0.65])
    u = f[:, [0, 0, 0, 1, 1]] * load + 0.6 * rng.standard_normal((n, 5))
    y = f[:, [1, 0, 0, 1]] * 0.8 + 0.5 * rng.standard_normal((n, 4)) + 2.0
    table = {f"u{i + 1}": np.digitize(u[:, i], [-0.6, 0.4][: 1 + i % 2]) + 1 for i in range(5)}
    table |= {f"y{i + 1}": y[:, i] for i in range(4)}
    return pd.DataFrame(
        {**table, "x": x[:, 0], "u5x": x[:, 1], "school": np.where(np.arange(n) % 3, "a", "b")}
    )


def _form(case, rows):
    text, options = CASES[case]
    ordered = [n for n in ("u1", "u2", "u3", "u4", "u5") if f"{n} " in f"{text} " or f"{n}\n" in text]
    if ordered:
        options = {**options, "ordered": ordered}
    return dm.sem(text, rows, **options)


@pytest.mark.parametrize("case", CASES)
def test_derivatives_are_those_of_the_value(case, rows):
    fit = _form(case, rows)
    assert fit.converged, fit.message
    form, best = fit.solution.form, fit.solution.optimum.x
    x = best + 0.03 * np.cos(np.arange(best.size))
    at, h = form.at(x), 1e-6
    steps = h * np.eye(x.size)
    slope = np.array([(form.at(x + s).value - form.at(x - s).value) / (2 * h) for s in steps])
    np.testing.assert_allclose(at.gradient, slope, atol=1e-6 * np.abs(slope).max())
    bend = np.array([(form.at(x + s).gradient - form.at(x - s).gradient) / (2 * h) for s in steps])
    np.testing.assert_allclose(at.hessian(), bend, atol=1e-6 * np.abs(bend).max())


@pytest.mark.parametrize("case", CASES)
def test_implied_statistics_are_those_of_the_matrices(case, rows):
    """Thresholds, slopes and correlations from the moments of responses and covariates together."""
    fit = _form(case, rows)
    at, form = fit.solution.at, fit.solution.form
    parts, y, x = form.space.parts, form.space.y, form.space.x
    for g, implied in enumerate(at.implied):
        sigma, mu = at.moments.covariance[g], at.moments.mean[g]
        slope = sigma[np.ix_(y, x)] @ np.linalg.pinv(sigma[np.ix_(x, x)]) if x.size else np.zeros((y.size, 0))
        left = sigma[np.ix_(y, y)] - slope @ sigma[np.ix_(x, y)]
        level = mu[y] - slope @ mu[x]
        sd = np.where(parts.ordered, np.sqrt(np.diag(left)), 1.0)
        t = form.template.thresholds
        wanted = []
        for kind, i, j in zip(parts.kind, parts.first, parts.second, strict=True):
            if kind == 0 and parts.ordered[i]:
                slot = np.flatnonzero((t.variable == y[i]) & (t.which == j))[0]
                wanted.append((at.thresholds[g, slot] - level[i]) / sd[i])
            else:
                wanted.append([level[i], slope[i, j] / sd[i] if kind == 1 else 0.0, left[i, i]][kind]
                              if kind < 3 else left[i, j] / sd[i] / sd[j])  # fmt: skip
        np.testing.assert_allclose(implied.value, wanted, atol=1e-10)
