"""Standard errors of the outer unknowns against a numerical Hessian of the dense likelihood."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind
from tests.backends.laplace import models as m
from tests.oracle.dense import dense
from tests.oracle.derivatives import hessian

CASES = {
    "pastes": (m.PASTES, "pastes", ["s_batch", "s_cask", "sigma"]),
    "pastes_ml": (m.maximum_likelihood(m.PASTES), "pastes", ["s_batch", "s_cask", "sigma"]),
    "penicillin": (m.PENICILLIN, "penicillin", ["s_plate", "s_sample", "sigma"]),
    "sleepstudy_tied": (m.SLEEPSTUDY_TIED, "sleepstudy", ["s_a", "s_b", "sigma", "c"]),
    "sleepstudy": (m.SLEEPSTUDY, "sleepstudy", ["Sigma", "sigma"]),
}
SLEEPSTUDY_PRIORS = m.SLEEPSTUDY_ZEROCORR.replace("parameter s_a, s_b, sigma > 0\n", "") + (
    "s_a ~ HalfNormal(50)\ns_b ~ Gamma(2, 0.1)\nsigma ~ HalfStudentT(4, 30)\n"
)


def _entry(name: str, at: tuple[int, ...], labels: tuple[str, str]) -> str:
    return f"{name}[{labels[min(at)]}, {labels[max(at)]}]"


def estimate(fit: dm.Fit, name: str) -> float | np.ndarray:
    """An unknown's value; a covariance matrix whole."""
    if name in set(fit.estimates["name"]):
        return fit[name]
    a, c, b = fit.estimates.loc[fit.estimates["name"].str.startswith(f"{name}["), "estimate"]
    return np.array([[a, c], [c, b]])


@pytest.mark.parametrize("name", sorted(CASES))
def test_outer_standard_errors(name: str) -> None:
    """1e-5 relative: the dense Hessian's own Richardson error is far below."""
    text, data, unknowns = CASES[name]
    frame = m.data(data)
    graph = dm.read(text)
    fit = graph.fit(frame)
    problem = bind(graph.dag, frame)
    moves, matrix, error = hessian(problem, {u: estimate(fit, u) for u in unknowns})
    assert error.max() < 1e-6 * np.abs(matrix).max()
    covariance = np.linalg.inv(-matrix)
    labels = ("(Intercept)", "Days")
    names = [n if n in fit.covariance.index else _entry(n, at, labels) for n, at in moves]
    table = fit.estimates.set_index("name")
    np.testing.assert_allclose(table.loc[names, "se"], np.sqrt(np.diag(covariance)), rtol=1e-5)
    ours = fit.covariance.loc[names, names].to_numpy()
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(ours / scale, covariance / scale, atol=1e-5)


def test_with_priors_they_come_from_the_posterior() -> None:
    """The marginal mode is a stationary point of the dense posterior, and its curvature gives the errors."""
    frame = m.data("sleepstudy")
    graph = dm.read(SLEEPSTUDY_PRIORS)
    with pytest.warns(dm.FitWarning, match="not posterior means"):
        fit = graph.fit(frame, method="laplace")
    problem = bind(graph.dag, frame)
    mode = {u: fit[u] for u in ("s_a", "s_b", "sigma")}
    moves, matrix, _ = hessian(problem, mode, prior=True)
    names = [n for n, _ in moves]
    se = np.sqrt(np.diag(np.linalg.inv(-matrix)))
    np.testing.assert_allclose(fit.estimates.set_index("name").loc[names, "se"], se, rtol=1e-5)
    law = dense(problem, mode)
    best = float(law.loglik(prior=True))
    assert fit.measures["log_posterior"] == pytest.approx(best, abs=1e-8)
    for name, error in zip(names, se, strict=True):
        for side in (-0.1, 0.1):
            near = mode | {name: mode[name] + side * error}
            assert float(dense(problem, near).loglik(prior=True)) < best


def test_joint_standard_errors_of_coefficients() -> None:
    """se="joint" adds the outer unknowns' share: the delta method by hand from refits at moved values.

    The generalised least squares estimate at fixed scales is the dense oracle's.
    """
    frame = m.data("pastes").iloc[:-7]  # unbalanced: else the mean does not depend on the scales
    graph = dm.read(m.PASTES)
    conditional, joint = graph.fit(frame), graph.fit(frame, se="joint")
    problem = bind(graph.dag, frame)
    names = ["s_batch", "s_cask", "sigma"]
    theta = {n: conditional[n] for n in names}

    def mean_at(values: dict[str, float]) -> float:
        return float(dense(problem, values).coefficients().mean[0])

    h = 1e-4
    slope = np.array(
        [(mean_at(theta | {n: theta[n] + h}) - mean_at(theta | {n: theta[n] - h})) / (2 * h) for n in names]
    )
    outer = conditional.covariance.loc[names, names].to_numpy()
    share = slope @ outer @ slope
    assert share > 1e-8
    before = conditional.estimates.set_index("name").loc["mu", "se"]
    after = joint.estimates.set_index("name").loc["mu", "se"]
    assert after**2 - before**2 == pytest.approx(share, rel=1e-4)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(dm.DagmodelsError, match="laplace has no option 'reml'"):
        dm.read(m.PASTES).fit(m.data("pastes"), reml=True)


def test_defined_quantities_by_the_delta_method() -> None:
    """A variance ratio: closed form from the covariance of its parts."""
    graph = dm.read(m.PASTES + "icc = s_cask**2/(s_cask**2 + s_batch**2 + sigma**2)\n")
    fit = graph.fit(m.data("pastes"))
    names = ["s_cask", "s_batch", "sigma"]
    a, b, c = (fit[n] for n in names)
    total = a * a + b * b + c * c
    gradient = np.array(
        [2 * a / total - 2 * a**3 / total**2, -2 * a * a * b / total**2, -2 * a * a * c / total**2]
    )
    covariance = fit.covariance.loc[names, names].to_numpy()
    row = fit.estimates.set_index("name").loc["icc"]
    assert row["estimate"] == pytest.approx(a * a / total, rel=1e-12)
    assert row["se"] == pytest.approx(np.sqrt(gradient @ covariance @ gradient), rel=1e-9)
    assert row["what"] == "defined"
