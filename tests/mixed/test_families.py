"""Families of `glmer` beyond lme4's: against integrals by brute force, and against one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import dagmodels as dm
from tests.mixed.cases import refused

N, G = 240, 24
RNG = np.random.default_rng(5)
GROUP = np.repeat(np.arange(G), N // G)
X = RNG.normal(size=N)
ETA = 0.4 + 0.6 * X + 0.6 * RNG.normal(size=G)[GROUP]
MEAN = np.exp(ETA)
SOME = RNG.random(N) < 0.7
GRADE = np.sum((ETA + RNG.logistic(size=N))[:, None] > [-0.6, 0.4, 1.6], axis=1)
PROPORTION = RNG.beta(5 * special.expit(ETA), 5 * special.expit(-ETA))
COUNT = RNG.poisson(MEAN)
SPREAD = RNG.poisson(MEAN * RNG.gamma(1.5, size=N) / 1.5)
DATA = pd.DataFrame(
    {
        "g": GROUP,
        "x": X,
        "grade": pd.Categorical(
            np.array(["low", "mid", "high", "top"])[GRADE], ["low", "mid", "high", "top"]
        ),
        "number": GRADE + 1,
        "ig": RNG.wald(np.exp(0.3 * ETA), 2.0),
        "count": COUNT,
        "zeros": COUNT * SOME,
        "spread": SPREAD,
        "more": SPREAD * SOME,
        "beta": PROPORTION,
        "n": 8,
        "part": RNG.binomial(8, PROPORTION) / 8,
        "t": ETA + 0.5 * RNG.standard_t(4, size=N),
        "noise": ETA + 0.5 * np.exp(0.4 * X) * RNG.normal(size=N),
        "gamma": RNG.gamma(3.0, 1 / (6 + 0.4 * ETA) / 3),
    }
)
DATA["positive"] = np.maximum(DATA["count"], 1)

Density = Callable[[Any, Any, dict[str, float]], Any]


def edges(p: dict[str, float]) -> Any:
    cut = [v for k, v in p.items() if "|" in k and not k.startswith(("sd_", "cor_", "zi~sd"))]
    return np.array([-np.inf, *cut, np.inf])


def graded(cdf: Callable[[Any], Any]) -> Density:
    return lambda y, e, p: np.log(cdf(edges(p)[y + 1] - e) - cdf(edges(p)[y] - e))


def zero(p: dict[str, float]) -> Any:
    return special.expit(p["zi~(Intercept)"] + p.get("zi~x", 0.0) * X)


def nb(y: Any, m: Any, size: Any) -> Any:
    return stats.nbinom.logpmf(y, size, size / (size + m))


def inflated(y: Any, own: Any, p: dict[str, float]) -> Any:
    return np.where(y == 0, np.log(zero(p) + (1 - zero(p)) * np.exp(own)), np.log1p(-zero(p)) + own)


def over(y: Any, own: Any, none: Any, p: dict[str, float]) -> Any:
    return np.where(y == 0, np.log(zero(p)), np.log1p(-zero(p)) + own - np.log1p(-np.exp(none)))


# response, family and options, log density from the linear predictor and the estimates
CASES: dict[str, tuple[str, dict[str, Any], Density]] = {
    "cumulative": ("grade", {"family": "cumulative"}, graded(special.expit)),
    "cumulative(probit)": ("number", {"family": "ordinal", "link": "probit"}, graded(special.ndtr)),
    "cumulative(cloglog)": (
        "grade",
        {"family": "cumulative(cloglog)"},
        graded(lambda z: -np.expm1(-np.exp(z))),
    ),
    "inverse.gaussian(log)": (
        "ig",
        {"family": "inverse.gaussian(log)"},
        lambda y, e, p: stats.invgauss.logpdf(y, np.exp(e) / p["shape"], scale=p["shape"]),
    ),
    "nbinom1": (
        "spread",
        {"family": "nbinom1"},
        lambda y, e, p: nb(y, np.exp(e), np.exp(e) / p["dispersion"]),
    ),
    "nbinom2": ("spread", {"family": "nbinom2"}, lambda y, e, p: nb(y, np.exp(e), p["theta"])),
    "beta": (
        "beta",
        {"family": "beta"},
        lambda y, e, p: stats.beta.logpdf(y, special.expit(e) * p["phi"], special.expit(-e) * p["phi"]),
    ),
    "betabinomial": (
        "part",
        {"family": "betabinomial", "weights": "n"},
        lambda y, e, p: stats.betabinom.logpmf(
            np.round(8 * y), 8, special.expit(e) * p["phi"], special.expit(-e) * p["phi"]
        ),
    ),
    "t": ("t", {"family": "t"}, lambda y, e, p: stats.t.logpdf(y, p["df"], e, p["sigma"])),
    "zero-inflated poisson": (
        "zeros",
        {"family": "poisson", "ziformula": "~ x"},
        lambda y, e, p: inflated(y, stats.poisson.logpmf(y, np.exp(e)), p),
    ),
    "zero-inflated nbinom1": (
        "more",
        {"family": "nbinom1", "ziformula": "~ 1"},
        lambda y, e, p: inflated(y, nb(y, np.exp(e), np.exp(e) / p["dispersion"]), p),
    ),
    "hurdle": (
        "zeros",
        {"family": "hurdle_poisson"},
        lambda y, e, p: over(y, stats.poisson.logpmf(y, np.exp(e)), -np.exp(e), p),
    ),
    "truncated_nbinom2": (
        "more",
        {"family": "truncated_nbinom2", "ziformula": "~ x"},
        lambda y, e, p: over(y, nb(y, np.exp(e), p["theta"]), nb(0, np.exp(e), p["theta"]), p),
    ),
    "truncated_poisson": (
        "positive",
        {"family": "truncated_poisson"},
        lambda y, e, p: stats.poisson.logpmf(y, np.exp(e)) - np.log(-np.expm1(-np.exp(e))),
    ),
    "dispersion model": (
        "noise",
        {"family": "gaussian", "dispformula": "~ x"},
        lambda y, e, p: stats.norm.logpdf(y, e, np.exp(p["disp~(Intercept)"] + p["disp~x"] * X)),
    ),
    "dispersion model of counts": (
        "spread",
        {"family": "nbinom2", "dispformula": "~ x"},
        lambda y, e, p: nb(y, np.exp(e), np.exp(p["disp~(Intercept)"] + p["disp~x"] * X)),
    ),
}


def laplace(h: Callable[[Any], Any]) -> float:
    """Sum over groups of Laplace's approximation to log int exp(h(v)) dv, h one number a group.

    Newton's method on five-point differences, step 0.01: the second derivative is good to 1e-8.
    """
    v, step = np.zeros(G), 0.01

    def derivatives(v: Any) -> tuple[Any, Any]:
        a, b, c, d, e = (h(v + k * step) for k in (-2, -1, 0, 1, 2))
        return (a - 8 * b + 8 * d - e) / (12 * step), (-a + 16 * b - 30 * c + 16 * d - e) / (12 * step**2)

    for _ in range(50):
        first, second = derivatives(v)
        v = v + np.clip(first / np.maximum(-second, 0.1), -0.5, 0.5)
    return float(np.sum(h(v) + 0.5 * np.log(2 * np.pi / -derivatives(v)[1])))


@pytest.mark.parametrize("name", CASES)
def test_likelihood_by_hand(name: str) -> None:
    """Laplace's approximation at the estimates from scipy's densities alone, and what the fit says."""
    response, options, density = CASES[name]
    fit = dm.glmer(f"{response} ~ x + (1 | g)", DATA, **options)
    assert fit.converged
    p = dict(zip(fit.estimates["name"], fit.estimates["estimate"], strict=True))
    y = GRADE if response in ("grade", "number") else DATA[response].to_numpy()
    known = p.get("(Intercept)", 0.0) + p["x"] * X
    where_zero = "zi~" in "".join(p)  # the families' zeros have names of their own
    assert where_zero == ("ziformula" in options or options["family"].startswith("hurdle"))

    def joint(v: Any) -> Any:
        rows = density(y, known + p["sd_(Intercept)|g"] * v[GROUP], p)
        return np.bincount(GROUP, rows) + stats.norm.logpdf(v)

    with np.errstate(divide="ignore"):
        assert fit.log_likelihood == pytest.approx(laplace(joint), abs=1e-6)
    # names, predictions and residuals
    lines = fit.summary()
    assert all(
        k.removeprefix("zi~").removeprefix("disp~").split("|g")[0] in lines for k in p if "|g" not in k
    )
    told = fit.predict()
    np.testing.assert_allclose(fit.predict(DATA.iloc[[3, 7]]), told[[3, 7]], rtol=1e-12)
    if fit.naming.levels:
        assert told.shape == (N, 4)
        np.testing.assert_allclose(told.sum(axis=1), 1.0, rtol=1e-12)
    else:
        assert abs(np.mean(fit.residuals("scaled"))) < 0.2
        assert np.std(fit.residuals("scaled")) == pytest.approx(1.0, abs=0.35)


def test_expected_counts_and_their_variances() -> None:
    """Of a hurdle and of inflated counts, by summation over what a count may be."""
    k = np.arange(2000)[:, None]
    for response, options, density in (CASES["truncated_nbinom2"], CASES["zero-inflated nbinom1"]):
        fit = dm.glmer(f"{response} ~ x + (1 | g)", DATA, **options)
        p = dict(zip(fit.estimates["name"], fit.estimates["estimate"], strict=True))
        mass = np.exp(density(k, fit.predict(type="link")[None, :], p))
        mean = (k * mass).sum(axis=0)
        np.testing.assert_allclose(fit.predict(), mean, rtol=1e-8)
        variance = (k**2 * mass).sum(axis=0) - mean**2
        y = DATA[response].to_numpy()
        np.testing.assert_allclose(fit.residuals("scaled"), (y - mean) / np.sqrt(variance), rtol=1e-6)
        np.testing.assert_allclose(fit.predict(type="zprob"), np.broadcast_to(zero(p), N), rtol=1e-10)
        np.testing.assert_allclose(fit.predict(type="conditional") * (1 - zero(p)), mean, rtol=1e-8)


def test_a_hurdle_is_two_models() -> None:
    """Its likelihood is that of the positive counts times that of whether a count is positive."""
    whole = dm.glmer("zeros ~ x + (1 | g)", DATA, family="truncated_poisson", ziformula="~ x + (1 | g)")
    counts = dm.glmer("zeros ~ x + (1 | g)", DATA[DATA["zeros"] > 0], family="truncated_poisson")
    none = dm.glmer("I(zeros == 0) ~ x + (1 | g)", DATA, family="binomial")
    assert whole.log_likelihood == pytest.approx(counts.log_likelihood + none.log_likelihood, abs=1e-6)
    names = {"(Intercept)": counts, "x": counts, "zi~(Intercept)": none, "zi~x": none}
    for name, part in names.items():
        assert whole[name] == pytest.approx(part[name.removeprefix("zi~")], abs=2e-5)
    assert whole["zi~sd_(Intercept)|g"] == pytest.approx(none["sd_(Intercept)|g"], abs=2e-5)


def test_two_grades_are_a_binomial() -> None:
    frame = DATA.assign(two=DATA["grade"].isin(["high", "top"]).map({False: "no", True: "yes"}))
    grades = dm.glmer("two ~ x + (x | g)", frame, family="cumulative(probit)")
    binomial = dm.glmer("two ~ x + (x | g)", frame, family="binomial(probit)")
    assert grades.log_likelihood == pytest.approx(binomial.log_likelihood, abs=1e-8)
    assert grades["no|yes"] == pytest.approx(-binomial["(Intercept)"], abs=1e-5)
    assert grades["x"] == pytest.approx(binomial["x"], abs=1e-5)
    np.testing.assert_allclose(grades.predict()[:, 1], binomial.predict(), atol=1e-5)


def test_reversed_grades_change_signs() -> None:
    fit = dm.glmer("number ~ x + (1 | g)", DATA, family="cumulative")
    other = dm.glmer("I(5 - number) ~ x + (1 | g)", DATA, family="cumulative")
    assert other.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-8)
    assert [other["x"], other["1|2"]] == pytest.approx([-fit["x"], -fit["3|4"]], abs=1e-5)


def test_counts_without_overdispersion_end_at_the_poisson() -> None:
    """theta is infinite there, on the boundary, certified and said."""
    under = DATA.assign(count=np.random.default_rng(2).binomial(60, np.minimum(MEAN / 60, 1)))
    poisson = dm.glmer("count ~ x + (1 | g)", under, family="poisson")
    with pytest.warns(dm.FitWarning, match="theta is infinite: the counts spread no more than a Poisson's"):
        fit = dm.glmer("count ~ x + (1 | g)", under, family="nbinom2")
    assert fit.converged
    assert fit.boundary == ("theta",)
    assert not fit.singular
    assert fit["theta"] == np.inf
    assert fit.log_likelihood == pytest.approx(poisson.log_likelihood, abs=1e-8)
    for kind in ("pearson", "deviance", "scaled"):
        np.testing.assert_allclose(fit.residuals(kind), poisson.residuals(kind), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_gamma_and_inverse_gaussian_by_their_own_links_find_a_start(scale: float) -> None:
    """In other units the likelihood changes by the Jacobian alone, and no start need be given."""
    for family in ("Gamma", "Gamma(identity)", "inverse.gaussian", "inverse.gaussian(identity)"):
        one = dm.glmer("gamma ~ x + (1 | g)", DATA, family=family)
        fit = dm.glmer("gamma ~ x + (1 | g)", DATA.assign(gamma=scale * DATA["gamma"]), family=family)
        assert fit.converged
        expected = one.log_likelihood - N * np.log(scale)
        assert fit.log_likelihood == pytest.approx(expected, abs=1e-5), family


def test_an_ordinal_response_of_all_kinds() -> None:
    """A categorical, text and numbers; a category that no row has is left out."""
    unused = DATA["grade"].cat.add_categories("never")
    fit = dm.glmer("grade ~ x + (1 | g)", DATA.assign(grade=unused), family="cumulative")
    number = dm.glmer("number ~ x + (1 | g)", DATA, family="cumulative")
    assert fit.log_likelihood == pytest.approx(number.log_likelihood, abs=1e-9)
    assert fit.estimates["name"].tolist() == ["x", "low|mid", "mid|high", "high|top", "sd_(Intercept)|g"]
    assert number.estimates["name"].tolist()[1:4] == ["1|2", "2|3", "3|4"]
    assert fit.predict(type="class")[0] in ("low", "mid", "high", "top")
    again = fit.refit(fit.rows.response)
    assert again.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-8)
    told = str(number.graph)
    assert 'plate number_step = "1|2", "2|3", "3|4"' in told
    assert "parameter cut[number_step] ordered" in told
    assert dm.read(told) == dm.read(str(dm.read(told)))


@pytest.mark.parametrize(
    ("response", "family"), [("grade", "cumulative"), ("count", "poisson"), ("gamma", "Gamma"), ("t", "t")]
)
def test_missing_responses_are_predicted(response: str, family: str) -> None:
    holes = DATA.assign(**{response: DATA[response].where(DATA.index % 10 > 0)})
    fit = dm.glmer(f"{response} ~ x + (1 | g)", holes, family=family)
    kept = dm.glmer(f"{response} ~ x + (1 | g)", holes.dropna(), family=family)
    assert fit.n_missing == 24
    assert len(fit.predict()) == N
    assert fit.log_likelihood == pytest.approx(kept.log_likelihood, abs=1e-8)


@pytest.mark.parametrize(
    ("formula", "options", "part"),
    [
        ("I(count/2) ~ x + (1 | g)", {"family": "nbinom1"}, "whole numbers"),
        ("I(0*number) ~ x + (1 | g)", {"family": "cumulative"}, "has one level, 0: grades need two"),
        ("t ~ x + (1 | g)", {"family": "cumulative"}, "grades are whole numbers"),
        ("I(g*10 + number) ~ x + (1 | g)", {"family": "cumulative"}, "of which at most 50 are grades"),
        (
            "zeros ~ x + (1 | g)",
            {"family": "inverse.gaussian"},
            "values of the inverse.gaussian family are pos",
        ),
        ("part ~ x + (1 | g)", {"family": "beta"}, "ends excluded"),
        ("part ~ x + (1 | g)", {"family": "betabinomial"}, "needs more than one trial"),
        ("zeros ~ x + (1 | g)", {"family": "truncated_poisson"}, 'give zeros a model: ziformula="~ 1"'),
        ("positive ~ x + (1 | g)", {"family": "hurdle_poisson"}, "nothing for ziformula to explain"),
        (
            "beta ~ x + (1 | g)",
            {"family": "beta", "ziformula": "~ 1"},
            "no structural zeros, so no ziformula",
        ),
        ("count ~ x + (1 | g)", {"family": "poisson", "dispformula": "~ x"}, "so no dispformula"),
        ("spread ~ x + (1 | g)", {"family": "nbinom2", "dispformula": "~ (1 | g)"}, "no random terms here"),
        ("zeros ~ x + (1 | g)", {"family": "poisson", "ziformula": "y ~ x"}, "a right-hand side only"),
        ("zeros ~ x + (1 | g)", {"family": "poisson", "ziformula": "~ x + I(2*x)"}, "in ziformula I(2 * x)"),
        ("grade ~ x + (1 | g)", {"family": "cumulative", "weights": "n"}, "no weights"),
    ],
)
def test_bad_input(formula: str, options: dict[str, Any], part: str) -> None:
    with refused(part):
        dm.glmer(formula, DATA, **options)


def test_what_has_no_meaning_is_refused_by_name() -> None:
    grades = dm.glmer("grade ~ x + (1 | g)", DATA, family="cumulative")
    zeros = dm.glmer("zeros ~ x + (1 | g)", DATA, family="poisson", ziformula="~ 1")
    spread = dm.glmer("noise ~ x + (1 | g)", DATA, family="gaussian", dispformula="~ x")
    for part, what in (
        ("grades have no residuals", grades.residuals),
        ("marginal means of grades", lambda: grades.emmeans("x")),
        ("zero-inflated poisson family has no deviance", lambda: zeros.residuals("deviance")),
        ("hang on the zeros too", lambda: zeros.emmeans("x", type="response")),
        ("with ziformula or dispformula", zeros.r2),
        ("the parameter of spread varies by row", lambda: spread.sigma),
        ("type='zprob' is unknown", lambda: grades.predict(type="zprob")),
    ):
        with refused(part):
            what()


def test_no_more_zeros_than_the_counts_explain() -> None:
    """The coefficient runs to minus infinity: not certified, with the advice."""
    with pytest.warns(dm.FitWarning, match="explains all zeros: leave ziformula out"):
        fit = dm.glmer("spread ~ x + (1 | g)", DATA, family="nbinom2", ziformula="~ 1")
    assert not fit.converged
