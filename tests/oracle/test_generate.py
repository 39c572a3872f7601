"""Generated models are what they say, and the oracle is consistent on them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from .cases import problem_of
from .dense import dense
from .derivatives import gradient
from .generate import EXTRA, KINDS, cases, linear_gaussian_case

LOG_2PI = math.log(2 * math.pi)
ALL = [*KINDS, *EXTRA]
GAPS = ("lags", "two_outcomes", "missing", "mixed", "aliased", "sums")

# a piece of text for each way to say something, by the kind that must say it
SAYS = {
    "nested3": ["w[class] ~ Normal(v", "eta[row] =", "slope[school]*x", "tau=", "sqrt("],
    "crossed2": ["slope[student]*x", "slope2[item]*x", "w[student, item] ~"],
    "vector": [
        ", S)",
        "cov=S",
        "tau=P",
        "chol=L",
        "cov=C",
        "MvNormal(mean_b",
        "(a, b)[g] ~",
        "a ~~ b = rho",
        "b ~~ c",
    ],
    "latents_of_latents": ["*q + l3*p", "observed v[unit]"],
    "lags": [
        "h[t first]",
        "h[t first 2]",
        "level[t first] ~ Flat()",
        "t in g",
        "r*x[t-1]",
        "r*x[t],",
        "observed y[t first]",
    ],
    "two_outcomes": ["observed y2[row]", "observed y2[person]", "y1 ~~ y2 = c12"],
    "missing": ["b*m", "h*k", "lam*u[g]"],
    "known_variances": [", se)", "sigma*se", "1/se**2", "se**2 + sigma**2", "theta[row] ~"],
    "mixed": ["+ v[item]", "under[g]", "covariate se", "b_y*y", "MvNormal", "~~"],
    "aliased": ["pair[home, away]"],
    "sums": ["sum(h*x for row)", "mean(h for row)"],
}


@pytest.mark.parametrize("kind", ALL)
def test_generated_cases_are_what_they_say(kind):
    groups_of_one = missing_cells = 0
    roles = set()
    for seed in range(12):
        case = linear_gaussian_case(seed, kind)
        problem = problem_of(case.text, case.data)
        model = dense(problem, case.theta)
        assert 5 <= len(model.cells) <= 60
        assert np.isfinite(float(model.loglik(prior=True)))
        assert np.isfinite(model.conditional().sd).all()
        free = {f.name: {"parameter": "profiled", "flat": "flat"}[f.kind] for f in model.free}
        stated = {n: r for n, r in case.roles.items() if r in ("profiled", "flat")}
        assert stated.items() <= free.items()  # Flat starts of chains come on top
        assert set(case.theta) == {n for n, r in case.roles.items() if r == "outer"}
        roles |= set(case.roles.values())
        for plate in problem.plates.values():
            groups_of_one += sum(int((np.bincount(owner) == 1).any()) for owner in plate.parents.values())
        missing_cells += sum(
            int((~o).sum()) for n, o in problem.observed.items() if problem.graph.nodes[n].observed
        )
    assert roles == {"outer", "profiled", "flat", "random"}
    assert groups_of_one or kind == "aliased"
    assert bool(missing_cells) == (kind in GAPS)


@pytest.mark.parametrize("kind", ALL)
def test_every_way_to_say_it_is_generated(kind):
    texts = "".join(linear_gaussian_case(seed, kind).text for seed in range(150))
    assert [piece for piece in SAYS[kind] if piece not in texts] == []


@pytest.mark.parametrize("kind", ALL)
def test_parents_random_or_given_is_one_likelihood(kind):
    for case in (linear_gaussian_case(seed, kind) for seed in range(4)):
        problem = problem_of(case.text, case.data)
        model = dense(problem, case.theta)
        given = dense(problem, case.theta, "given")
        assert float(given.loglik()) == pytest.approx(float(model.loglik()), abs=1e-10)
        np.testing.assert_allclose(given.conditional().mean, model.conditional().mean, atol=1e-9)
        np.testing.assert_allclose(given.conditional().covariance, model.conditional().covariance, atol=1e-9)


@pytest.mark.parametrize("kind", ALL)
def test_joint_density_is_marginal_times_conditional(kind):
    """log p(y, u) - log p(u | y) = log p(y) at any u: p(y, u) is a product of the statements' densities."""
    for case in (linear_gaussian_case(seed, kind) for seed in range(4)):
        problem = problem_of(case.text, case.data)
        profiled = dense(problem, case.theta, "given").coefficients()
        held = {name: value for name, value in profiled.means.items() if case.roles.get(name) == "profiled"}
        theta = {**case.theta, **held}
        model = dense(problem, theta, "given")
        posterior = model.conditional()
        rng = np.random.default_rng(case.seed)
        u = posterior.mean + 0.3 * rng.standard_normal(len(posterior.mean))
        values, observed = dict(problem.values), dict(problem.observed)
        for (name, codes), value in zip(posterior.elements, u, strict=True):
            shape = problem.shape(name)
            values[name] = np.array(values.get(name, np.full(shape, np.nan)))
            observed[name] = np.array(observed.get(name, np.zeros(shape, dtype=bool)))
            values[name][codes], observed[name][codes] = value, True
        joint = dense(replace(problem, values=values, observed=observed), theta, "given")
        off = joint.covariance - np.diag(np.diag(joint.covariance))
        if not problem.graph.covariances and "MvNormal" not in case.text:
            assert not off.any()
        d = u - posterior.mean
        log_posterior = -0.5 * (
            len(u) * LOG_2PI
            + np.linalg.slogdet(posterior.covariance)[1]
            + d @ np.linalg.solve(posterior.covariance, d)
        )
        assert float(joint.loglik()) - log_posterior == pytest.approx(float(model.loglik()), abs=1e-7)


@pytest.mark.parametrize("kind", ALL)
def test_complex_step_agrees_with_differences(kind):
    case = linear_gaussian_case(5, kind)
    problem = problem_of(case.text, case.data)
    exact = gradient(problem, case.theta, prior=True)
    rough = gradient(problem, case.theta, prior=True, method="richardson")
    for name in case.theta:
        both = np.isfinite(exact.value[name])
        assert (both == np.isfinite(rough.value[name])).all()
        gap = np.abs(exact.value[name] - rough.value[name])[both]
        assert (gap <= 20 * rough.error[name][both] + 1e-10).all()
        assert (rough.error[name][both] < 1e-6 * (1 + np.abs(exact.value[name][both]))).all()


def test_permuting_rows_changes_nothing():
    for case in cases(1, first=9):
        n = len(next(iter(case.data.values())))
        order = np.random.default_rng(0).permutation(n)
        moved = {name: column[order] for name, column in case.data.items()}
        first = dense(problem_of(case.text, case.data), case.theta).loglik()
        second = dense(problem_of(case.text, moved), case.theta).loglik()
        assert float(first) == pytest.approx(float(second), abs=1e-11)
