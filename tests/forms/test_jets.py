"""Jets: first and second derivatives of log densities in their predictors, against complex steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dagmodels.distributions import Family, family
from dagmodels.distributions.censored import censored as censored_family
from dagmodels.distributions.truncated import truncated as truncated_family
from dagmodels.forms.formulas import Functions
from dagmodels.forms.jets import Jets
from dagmodels.forms.lower import NotLowered
from dagmodels.numerics.tape import Recorder

STEP = 1e-30
POINTS = np.array([-30.0, -8.0, -2.3, -0.7, -0.1, 0.0, 0.2, 0.9, 1.7, 4.0, 12.0])
COUNTS = np.array([0.0, 1.0, 2.0, 3.0, 0.0, 5.0, 1.0, 2.0, 7.0, 3.0, 1.0])
BINARY = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0])
POSITIVE = np.array([0.01, 0.5, 1.0, 2.0, 3.0, 0.3, 1.7, 4.0, 0.2, 5.0, 9.0])
UNIT = np.array([0.01, 0.5, 0.9, 0.2, 0.3, 0.999, 0.7, 0.4, 0.02, 0.5, 0.6])
TRIALS = np.full(11, 9.0)


def truncated(name: str) -> Family:
    return truncated_family(family(name))


def censored(name: str) -> Family:
    return censored_family(family(name))


# family, data, parameters from the namespace and the predictor; no other unknowns
CASES: dict[str, tuple[str | Family, np.ndarray, Callable[[Any, Any], list[Any]]]] = {
    "Bernoulli expit": ("Bernoulli", BINARY, lambda f, e: [f.expit(e)]),
    "Bernoulli Phi": ("Bernoulli", BINARY, lambda f, e: [f.Phi(e)]),
    "Bernoulli icloglog": ("Bernoulli", BINARY, lambda f, e: [f.icloglog(e * 0.2)]),
    "Binomial expit": ("Binomial", COUNTS, lambda f, e: [TRIALS, f.expit(e)]),
    "Poisson exp": ("Poisson", COUNTS, lambda f, e: [f.exp(e)]),
    "Poisson exposure": ("Poisson", COUNTS, lambda f, e: [f.exp(e) * POSITIVE]),
    "Poisson square": ("Poisson", COUNTS, lambda f, e: [(e - 40.0) ** 2]),
    "NegativeBinomial": ("NegativeBinomial", COUNTS, lambda f, e: [f.exp(e), 1.7]),
    "Geometric": ("Geometric", COUNTS + 1, lambda f, e: [f.expit(e)]),
    "Gamma": ("Gamma", POSITIVE, lambda f, e: [2.5, 2.5 / f.exp(e * 0.3)]),
    "Exponential": ("Exponential", POSITIVE, lambda f, e: [f.exp(-e)]),
    "InverseGamma": ("InverseGamma", POSITIVE, lambda f, e: [3.0, f.exp(e)]),
    "LogNormal": ("LogNormal", POSITIVE, lambda f, e: [e, 0.8]),
    "Weibull": ("Weibull", POSITIVE, lambda f, e: [1.4, f.exp(e * 0.5)]),
    "StudentT": ("StudentT", POINTS[::-1], lambda f, e: [4.0, e, 0.7]),
    "Logistic": ("Logistic", POINTS[::-1], lambda f, e: [e, 0.7]),
    "Pareto": ("Pareto", POSITIVE + 1, lambda f, e: [f.exp(e * 0.3), 1.0]),
    "Beta": ("Beta", UNIT, lambda f, e: [f.expit(e * 0.3) * 7.0, (1 - f.expit(e * 0.3)) * 7.0]),
    "Beta precision": ("Beta", UNIT, lambda f, e: [0.3 * f.exp(e * 0.5), 0.7 * f.exp(e * 0.5)]),
    "Hypergeometric": ("Hypergeometric", COUNTS, lambda f, e: [TRIALS, 7.0, TRIALS, f.exp(e * 0.3)]),
    "NoncentralChiSquared": ("NoncentralChiSquared", POSITIVE, lambda f, e: [2.5, f.exp(e * 0.5)]),
    "BetaBinomial": (
        "BetaBinomial",
        COUNTS,
        lambda f, e: [TRIALS, f.expit(e * 0.3) * 7.0, (1 - f.expit(e * 0.3)) * 7.0],
    ),
    "NegativeBinomial 1": ("NegativeBinomial", COUNTS, lambda f, e: [f.exp(e), f.exp(e) / 0.4]),
    "NegativeBinomial shape": ("NegativeBinomial", COUNTS, lambda f, e: [1.3, f.exp(e)]),
    "NegativeBinomial dispersion": ("NegativeBinomial", COUNTS, lambda f, e: [f.exp(e), 1 / f.exp(e * 0.2)]),
    "Gamma shape": ("Gamma", POSITIVE, lambda f, e: [f.exp(e * 0.5), 2.0]),
    "StudentT freedom": ("StudentT", POINTS, lambda f, e: [f.exp(e * 0.5), 0.3, 1.2]),
    "Normal exp": ("Normal", POINTS, lambda f, e: [3.0 * f.exp(-e * 0.2), 0.5]),
    "Normal scale": ("Normal", POINTS, lambda f, e: [0.3, f.exp(e * 0.2)]),
    "Normal sin": ("Normal", POINTS, lambda f, e: [f.sin(e) + f.cos(e) * e, 0.5]),
    "Normal sqrt": ("Normal", POINTS, lambda f, e: [f.sqrt(e * e + 1.0) - f.log1p(f.exp(e)), 0.5]),
    "Normal logit": (
        "Normal",
        POINTS,
        lambda f, e: [f.logit(f.expit(e * 0.1)) + f.probit(f.Phi(e * 0.1)), 0.5],
    ),
    "Wald exp": ("Wald", POSITIVE, lambda f, e: [f.exp(e * 0.2), 3.0]),
    "Wald canonical": ("Wald", POSITIVE, lambda f, e: [1 / f.sqrt(40.0 + e), 3.0]),
    "Wald shape": ("Wald", POSITIVE, lambda f, e: [1.3, f.exp(e * 0.2)]),
    "ZeroInflatedPoisson": ("ZeroInflatedPoisson", COUNTS, lambda f, e: [0.7, f.exp(e * 0.3)]),
    "ZeroInflatedPoisson share": ("ZeroInflatedPoisson", COUNTS, lambda f, e: [f.expit(e), 2.5]),
    "ZeroInflatedBinomial": (
        "ZeroInflatedBinomial",
        COUNTS,
        lambda f, e: [f.expit(1 + e), TRIALS, f.expit(e * 0.3)],
    ),
    "ZeroInflatedNegativeBinomial": (
        "ZeroInflatedNegativeBinomial",
        COUNTS,
        lambda f, e: [f.expit(e), f.exp(0.2 * e), 1.5],
    ),
    "HurdlePoisson": ("HurdlePoisson", COUNTS, lambda f, e: [f.expit(-e * 0.3), f.exp(e * 0.2)]),
    "HurdleNegativeBinomial": ("HurdleNegativeBinomial", COUNTS, lambda f, e: [0.6, f.exp(e * 0.2), 1.5]),
    "Truncated Normal": (truncated("Normal"), POINTS[::-1], lambda f, e: [e, 2.0, -40.0, POINTS[::-1] + 1.0]),
    "Truncated Poisson": (truncated("Poisson"), COUNTS + 2, lambda f, e: [f.exp(e * 0.2), 2.0, 30.0]),
    "Truncated Poisson, by row": (
        truncated("Poisson"),
        COUNTS + 3,
        lambda f, e: [f.exp(e * 0.2), np.arange(11.0) % 4, np.inf],
    ),
    "Truncated NegativeBinomial": (
        truncated("NegativeBinomial"),
        COUNTS + 2,
        lambda f, e: [f.exp(e * 0.1), 1.5, 2.0, np.inf],
    ),
    "Truncated Binomial": (
        truncated("Binomial"),
        np.maximum(COUNTS, 1),
        lambda f, e: [TRIALS, f.expit(e * 0.2), 1.0, 8.0],
    ),
    "Truncated Weibull": (
        truncated("Weibull"),
        POSITIVE,
        lambda f, e: [1.3, f.exp(e * 0.1), 0.0, POSITIVE + 0.5],
    ),
    "Censored Normal": (censored("Normal"), BINARY, lambda f, e: [e * 0.5, 1.5, 0.0, 1.0]),
    "Censored Poisson": (censored("Poisson"), COUNTS, lambda f, e: [f.exp(e * 0.2), -np.inf, 4.0]),
    "Censored Wald": (censored("Wald"), POSITIVE, lambda f, e: [f.exp(e * 0.1), 2.0, 0.1, 3.0]),
    "Censored LogNormal": (censored("LogNormal"), POSITIVE, lambda f, e: [e * 0.3, 0.8, 0.1, 3.0]),
    "Censored Exponential": (censored("Exponential"), POSITIVE, lambda f, e: [f.exp(e * 0.3), 0.1, 3.0]),
    "Censored Logistic": (censored("Logistic"), POINTS, lambda f, e: [e * 0.3, 0.8, -3.0, 3.0]),
    "Censored Pareto": (censored("Pareto"), POSITIVE + 1, lambda f, e: [f.exp(e * 0.1), 1.0, 1.2, 3.0]),
    "Censored Geometric": (censored("Geometric"), COUNTS + 1, lambda f, e: [f.expit(e * 0.2), 2.0, 3.0]),
    "Censored NegativeBinomial": (
        censored("NegativeBinomial"),
        COUNTS,
        lambda f, e: [f.exp(e * 0.1), 1.5, 1.0, 5.0],
    ),
}


def _formula(law: str | Family, make: Callable[[Any, Any], list[Any]]) -> Callable[[Any, Any, Any], Any]:
    found = family(law) if isinstance(law, str) else law
    return lambda f, y, e: found.log_density(f, y, *map(f.jet if isinstance(f, Jets) else _as_is, make(f, e)))


def _as_is(value: Any) -> Any:
    return value


@pytest.mark.parametrize("name", CASES)
def test_derivatives_in_one_predictor(name: str) -> None:
    law, y, make = CASES[name]
    recorder = Recorder()
    functions = Functions(recorder)
    jets = Jets(functions)
    eta = recorder.input("eta", POINTS.size)
    found = jets.jet(_formula(law, make)(jets, jets.jet(y), jets.predictor(eta, 0)))
    registers = [found.value.register, found.first[0].register, found.second[0, 0].register]
    places = [recorder.start(r) for r in registers]
    lengths = [recorder.length(r) for r in registers]
    tape = recorder.finish()
    exact = tape.values({"eta": POINTS + 0j})
    stepped = tape.values({"eta": POINTS + 1j * STEP})

    def at(w: Any, k: int) -> Any:
        return np.broadcast_to(w[places[k] : places[k] + lengths[k]], POINTS.size)

    from dagmodels.distributions import _numeric

    plain = _formula(law, make)(_numeric, y, POINTS)
    np.testing.assert_allclose(at(exact, 0).real, plain, rtol=1e-9, atol=1e-12)
    for k in (0, 1):
        np.testing.assert_allclose(at(exact, k + 1).real, at(stepped, k).imag / STEP, rtol=2e-9, atol=1e-12)


def test_mixed_derivatives_of_two_predictors() -> None:
    recorder = Recorder()
    jets = Jets(Functions(recorder))
    a, b = recorder.input("a", POINTS.size), recorder.input("b", POINTS.size)
    x, z = jets.predictor(a, 0), jets.predictor(b, 1)
    mean = x * jets.exp(-z * 0.1) + (x - z) ** 2 / (1.0 + jets.exp(0.2 * z)) + jets.max(x, z)
    found = jets.jet(family("Normal").log_density(jets, jets.jet(POINTS), mean, 0.3 + jets.expit(x)))
    registers = [
        found.value,
        found.first[0],
        found.first[1],
        *(found.second[p] for p in ((0, 0), (0, 1), (1, 1))),
    ]
    starts = [recorder.start(r.register) for r in registers]
    tape = recorder.finish()

    def values(da: float, db: float) -> list[Any]:
        other = POINTS[::-1] * 0.5 + 0.01
        w = tape.values({"a": POINTS + 1j * STEP * da, "b": other + 1j * STEP * db})
        return [w[s : s + POINTS.size] for s in starts]

    exact, in_a, in_b = values(0, 0), values(1, 0), values(0, 1)
    for want, source in ((1, in_a[0]), (2, in_b[0]), (3, in_a[1]), (4, in_b[1]), (4, in_a[2]), (5, in_b[2])):
        np.testing.assert_allclose(exact[want].real, source.imag / STEP, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("link", ["expit", "Phi", "icloglog"])
def test_extreme_predictors_stay_finite(link: str) -> None:
    """log(1 - p) of a p that rounds to one is the stable form, not minus infinity."""
    recorder = Recorder()
    jets = Jets(Functions(recorder))
    far = (
        np.array([-600.0, -200.0, 200.0, 600.0])
        if link != "icloglog"
        else np.array([-600.0, -200.0, 5.0, 6.0])
    )
    e = recorder.input("eta", 4)
    for y in (0.0, 1.0):
        found = jets.jet(
            family("Bernoulli").log_density(
                jets, jets.jet(np.full(4, y)), getattr(jets, link)(jets.predictor(e, 0))
            )
        )
        places = [recorder.start(r.register) for r in (found.value, found.first[0], found.second[0, 0])]
        tape = recorder.finish()
        w = tape.initial.copy()
        w[tape.inputs["eta"][0] : tape.inputs["eta"][0] + 4] = far
        tape.forward(w)
        for p in places:
            assert np.isfinite(w[p : p + 4]).all()
        recorder = Recorder()
        jets = Jets(Functions(recorder))
        e = recorder.input("eta", 4)


def test_what_has_no_second_derivative_is_refused() -> None:
    recorder = Recorder()
    jets = Jets(Functions(recorder))
    with pytest.raises(NotLowered, match="'digamma' of a latent"):
        jets.digamma(jets.predictor(recorder.input("eta", 3), 0))


def test_the_poisson_limit_keeps_its_digits() -> None:
    """A dispersion of 1e-12, then of zero: derivatives are those of the Poisson."""
    y = np.array([0.0, 1.0, 4.0, 9.0])
    recorder = Recorder()
    jets = Jets(Functions(recorder))
    e, d = recorder.input("e", 4), recorder.input("d", 1)
    formula = family("NegativeBinomial").direct["mu", "dispersion"]
    dispersion = jets.jet(jets.functions.traced(d), 0.0)
    found = formula(jets, jets.jet(y), jets.exp(jets.predictor(e, 0)), dispersion)
    starts = [recorder.start(r.register) for r in (found.value, found.first[0], found.second[0, 0])]
    tape = recorder.finish()
    eta = np.array([0.3, -1.0, 1.5, 2.0])
    mu = np.exp(eta)
    for size in (1e-12, 0.0):
        w, bar = tape.initial.copy(), np.zeros(tape.initial.size)
        for name, value in (("e", eta), ("d", size)):
            w[tape.inputs[name][0] : sum(tape.inputs[name])] = value
        tape.forward(w)
        np.testing.assert_allclose(w[starts[0] : starts[0] + 4], stats.poisson.logpmf(y, mu), rtol=3e-11)
        np.testing.assert_allclose(w[starts[1] : starts[1] + 4], y - mu, rtol=3e-11)
        np.testing.assert_allclose(w[starts[2] : starts[2] + 4], -mu, rtol=3e-11)
        bar[starts[0] : starts[0] + 4] = 1.0
        tape.reverse(w, bar)
        slope = 0.5 * ((y - mu) ** 2 - y).sum()  # of the log density in the dispersion at zero
        assert bar[tape.inputs["d"][0]] == pytest.approx(slope, rel=1e-10)
