"""Every text of the other tests is drawn from; two posteriors of such texts by integrals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

import dagmodels as dm
from tests.readers.bugs.cases import CASES, Case
from tests.readers.bugs.classic import CLASSIC


@pytest.mark.filterwarnings("ignore::dagmodels.FitWarning")  # so few draws tell nothing
@pytest.mark.parametrize("case", [*CASES, *CLASSIC], ids=lambda c: c.name)
def test_every_text_is_drawn_from(case: Case) -> None:
    model = dm.read(case.text, data=case.data, inits=case.inits or None)
    fit = model.fit(method="gibbs", draws=10, warmup=30, chains=1)
    assert all(np.isfinite(x).all() for x in fit.samples.values.values())


def test_a_series_given_its_first_value() -> None:
    """y[1] is data without a law. 4.4 standard errors: 1e-5."""
    text = """model { for (t in 2:N) { y[t] ~ dnorm(phi*y[t-1], tau) }
    phi ~ dnorm(0, 1)   tau ~ dgamma(2, 1) }"""
    y = np.array([0.3, 1.0, 0.2, -0.5, 0.2])
    precision = lambda t: 1 + t * (y[:-1] ** 2).sum()  # noqa: E731

    def density(t: float) -> float:
        """Of tau, with phi integrated."""
        mean = t * (y[1:] * y[:-1]).sum() / precision(t)
        square = t * (y[1:] ** 2).sum() - mean**2 * precision(t)
        return t**2 * np.exp(-square / 2) / np.sqrt(precision(t)) * stats.gamma.pdf(t, 2)

    total = integrate.quad(density, 0, 40)[0]
    tau = integrate.quad(lambda t: t * density(t), 0, 40)[0] / total
    phi = integrate.quad(
        lambda t: t * (y[1:] * y[:-1]).sum() / precision(t) * density(t), 0, 40
    )[0] / total  # fmt: skip
    for options in ({}, {"route": "conditionals"}):
        fit = dm.read(text, data={"N": 5, "y": y}).fit(method="gibbs", draws=2000, **options)
        rows = fit.estimates.set_index("name")
        for name, mean in (("tau", tau), ("phi", phi)):
            assert abs(rows["mean"][name] - mean) < 4.4 * rows["mcse"][name]


@pytest.mark.parametrize("law", ["dt(0, 0.04, 1) T(0,)", "dt(0, pow(A, -2), 3) T(0,)"])
def test_half_t_laws_are_those_of_the_language(law: str) -> None:
    """With unknown scale too, where a truncated law would ask for derivatives of its own integral."""
    more = "A ~ dunif(1, 10)" if "A" in law else ""
    text = f"""model {{ for (j in 1:8) {{ y[j] ~ dnorm(theta[j], pow(s[j], -2))
    theta[j] ~ dnorm(mu, pow(tau, -2)) }}   mu ~ dnorm(0, 0.04)   tau ~ {law} {more} }}"""
    y, s = np.array([28, 8, -3, 7, -1, 1, 18, 12.0]), np.array([15, 10, 16, 11, 9, 11, 10, 18.0])
    model = dm.read(text, data={"y": y, "s": s})
    assert "tau ~ HalfStudentT(" in str(model)
    tau = np.geomspace(1e-4, 3000, 20_000)
    scales = np.linspace(1, 10, 401) if more else np.array([5.0])
    prior = np.mean([stats.t.pdf(tau / a, 3 if more else 1) / a for a in scales], axis=0)
    w = 1 / (tau[:, None] ** 2 + s**2)
    precision = w.sum(axis=1) + 0.04
    mean = (w * y).sum(axis=1) / precision
    log = 0.5 * np.log(w).sum(axis=1) - 0.5 * np.log(precision)
    log += 0.5 * precision * mean**2 - 0.5 * (w * y**2).sum(axis=1)
    density = prior * np.exp(log)
    total, first = (integrate.trapezoid(x * density, tau) for x in (1.0, tau))
    exact = first / total
    fit = model.fit(method="gibbs", draws=4000, route="conditionals" if more else None)
    row = fit.estimates.set_index("name").loc["tau"]
    assert abs(row["mean"] - exact) < 4.4 * row["mcse"]
    assert more or exact == pytest.approx(3.598, abs=0.002)


def test_a_density_with_kinks_goes_by_trajectories() -> None:
    case = next(c for c in CASES if c.name == "differences")
    fit = dm.read(case.text, data=case.data).fit(method="gibbs", draws=50, warmup=200, chains=2)
    assert fit.method.startswith("trajectories")
    assert "not collapsed: the posterior density of the outer unknowns has no maximum" in str(fit.plan)
