"""Every model of the language's page is simulated; what comes out binds back and has the right law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dagmodels.bind.bind import bind
from dagmodels.simulate import Simulated, simulate

from .chance import (
    covariance_is,
    deviation_is,
    frequencies_are,
    mean_is,
    near,
    residuals_are_white,
    scores_vanish,
)
from .model_cases import CASES, model


def draw(name: str, sizes: Any = None, data: Any = None, seed: int = 5, **values: Any) -> Simulated:
    """The model's case, with other sizes, data or values."""
    case = CASES[name]
    found = simulate(
        model(name),
        data=case.data if data is None else data,
        values={**case.values, **values},
        sizes={**case.sizes, **(sizes or {})},
        seed=seed,
    )
    assert isinstance(found, Simulated)
    return found


def expit(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(x)))


@pytest.mark.parametrize("name", CASES)
def test_what_is_simulated_binds_back_to_the_same_values(name: str) -> None:
    case, dag = CASES[name], model(name)
    found = simulate(dag, data=case.data, values=case.values, sizes=case.sizes, seed=2)
    assert isinstance(found, Simulated)
    before = bind(dag, case.data, sizes=case.sizes, require_covariates=True)
    after = bind(dag, found, require_observed=True)
    for plate, bound in before.plates.items():
        assert after.plates[plate].levels == bound.levels or not bound.labelled
        assert after.plates[plate].size == bound.size
        for parent, codes in bound.parents.items():
            np.testing.assert_array_equal(after.plates[plate].parents[parent], codes)
        if bound.order is not None:
            np.testing.assert_array_equal(after.plates[plate].order, bound.order)
    for node in dag.nodes.values():
        if node.kind == "covariate":
            np.testing.assert_array_equal(after.values[node.name], before.values[node.name])
        if node.observed:
            assert after.observed[node.name].all()
            assert after.values[node.name].shape == after.shape(node.name)
        elif node.kind not in ("covariate", "constant"):
            assert np.shape(found.truth[node.name]) == after.shape(node.name)
    again = simulate(dag, data=case.data, values=case.values, sizes=case.sizes, seed=2)
    assert isinstance(again, Simulated)
    for node in dag.nodes.values():
        if node.observed:
            np.testing.assert_array_equal(bind(dag, again).values[node.name], after.values[node.name])


@pytest.mark.parametrize("name", CASES)
def test_the_truth_can_be_given_back_as_values(name: str) -> None:
    case, dag = CASES[name], model(name)
    first = simulate(dag, data=case.data, values=case.values, sizes=case.sizes, seed=9)
    second = simulate(dag, data=case.data, values=first.truth, sizes=case.sizes, seed=10)
    for node, value in first.truth.items():
        np.testing.assert_array_equal(second.truth[node], value)


@pytest.mark.parametrize("name", CASES)
def test_long_frames_hold_every_value_beside_its_levels(name: str) -> None:
    found, dag = draw(name), model(name)
    for node in dag.nodes.values():
        if not (node.observed or node.kind == "covariate"):
            continue
        frame = found.frames["_".join(node.plates)]
        assert set(node.plates) <= set(frame.columns)
        own = found[node.name] if len(node.plates) > 1 else found[node.plates[0]][node.name]
        np.testing.assert_array_equal(frame[node.name].to_numpy(), np.ravel(own))


def test_eight_schools() -> None:
    found = draw("eight_schools", {"school": 20_000}, {"sigma": np.full(20_000, 10.0)})
    y = found["school"]["y"]
    residuals_are_white(y - 4.0, np.sqrt(109.0))
    residuals_are_white(found.truth["theta"] - 4.0, 3.0)


def test_radon() -> None:
    rng = np.random.default_rng(0)
    data = {"floor": rng.integers(0, 2, 40_000), "uranium": rng.normal(size=400)}
    found = draw("radon", {"county": 400, "house": 40_000}, data)
    frame, alpha = found["house"], found.truth["alpha"]
    residuals_are_white(alpha - 1.5 - 0.7 * data["uranium"], 0.3, data["uranium"])
    mean = alpha[frame["county"]] - 0.6 * data["floor"]
    residuals_are_white(frame["log_radon"] - mean, 0.7, data["floor"], alpha[frame["county"]])


def test_rats() -> None:
    found = draw("rats", {"rat": 4000})
    alpha, beta, x = found.truth["alpha"], found.truth["beta"], np.array([8.0, 15, 22, 29, 36])
    residuals_are_white(alpha - 240, 1 / np.sqrt(0.005))
    residuals_are_white(beta - 6, 0.5, alpha)
    residuals_are_white(found["y"] - alpha[:, None] - beta[:, None] * (x - 22), 1 / np.sqrt(0.03), x - 22)
    assert found.truth["alpha0"] == pytest.approx(240 - 22 * 6)
    assert found.truth["sigma"] == pytest.approx(0.03**-0.5)


def test_pump_is_negative_binomial() -> None:
    n, t = 20_000, 3.0
    found = draw("pump", {"pump_no": n}, {"t": np.full(n, t)})
    x = found["pump_no"]["x"].to_numpy()
    mean, variance = t * 0.8 / 1.3, t * 0.8 / 1.3 + t**2 * 0.8 / 1.3**2
    near(x.mean(), mean, np.sqrt(variance / n))
    mean_is((x - mean) ** 2, variance)
    mean_is(found.truth["theta"], 0.8 / 1.3)
    assert x.dtype.kind == "i"
    assert x.min() >= 0


def test_seeds() -> None:
    k = 10_000
    rng = np.random.default_rng(1)
    data = {"n": rng.integers(1, 60, k), "seed": rng.integers(0, 2, k), "extract": rng.integers(0, 2, k)}
    found = draw("seeds", {"dish": k}, data)
    b, r = found.truth["b"], found["dish"]["r"]
    residuals_are_white(b, 1 / np.sqrt(10))
    p = expit(-0.5 + 0.1 * data["seed"] + 1.3 * data["extract"] - 0.8 * data["seed"] * data["extract"] + b)
    scores_vanish(r, data["n"] * p, data["n"] * p * (1 - p), b, data["seed"])
    assert (r <= data["n"]).all()


def test_salm() -> None:
    found = draw("salm", {"dish": 3000})
    x = np.array([0.0, 10, 33, 100, 333, 1000])
    log_x = np.log(x + 10)
    np.testing.assert_allclose(found.truth["log_x"], log_x)
    assert found.truth["mean_log_x"] == pytest.approx(log_x.mean())
    assert found.truth["alpha"] == pytest.approx(3.5 - 0.3 * log_x.mean() + 0.001 * x.mean())
    eta = 3.5 + 0.3 * (log_x - log_x.mean()) - 0.001 * (x - x.mean())
    mu = np.exp(eta[:, None] + found.truth["lambda"])
    scores_vanish(found["y"], mu, mu, found.truth["lambda"], log_x[:, None])
    deviation_is(found.truth["lambda"], 1 / np.sqrt(15))


def test_lsat() -> None:
    found = draw("lsat", {"student": 5000})
    theta, alpha = found.truth["theta"], np.array([-1.2, 0.1, 0.9, -0.4, -1.3])
    p = expit(0.75 * theta[:, None] - alpha)
    scores_vanish(found["r"], p, p * (1 - p), theta[:, None], alpha)
    residuals_are_white(theta, 1.0)
    np.testing.assert_allclose(found.truth["a"], alpha - alpha.mean())
    assert set(np.unique(found["r"])) == {0, 1}


def test_dugongs() -> None:
    age = np.linspace(1, 31, 5000)
    found = draw("dugongs", data={"age": age})
    residuals_are_white(found["dugong"]["length"] - (2.7 - 0.86**age), 0.1, age)
    prior = simulate(model("dugongs"), data={"age": [1.0]}, values={"tau": 1.0}, draws=2000, seed=4)
    alpha = np.array([one.truth["alpha"] for one in prior])
    mean_is(alpha, 1000 * np.sqrt(2 / np.pi))
    mean_is(alpha**2, 1000.0**2)
    assert alpha.min() > 0
    mean_is([one.truth["gamma"] for one in prior], 0.75)


def test_stagnant() -> None:
    x = np.linspace(-1.4, 1.1, 4001)
    found = draw("stagnant", data={"x": x}, k=1500)
    slope = np.where(np.arange(4001) > 1500, -1.0, -0.4)
    np.testing.assert_array_equal(found.truth["slope"], slope)
    residuals_are_white(found["obs"]["y"] - 0.5 - slope * (x - x[1500]), 0.1, x)
    assert found.truth["k"] == 1500
    free = simulate(model("stagnant"), data={"x": np.arange(8.0)}, values={"sigma": 1.0}, draws=2000, seed=1)
    frequencies_are(np.bincount([one.truth["k"] for one in free], minlength=8), np.full(8, 1 / 8))


def test_alligators() -> None:
    n = np.full((4, 500), 30)
    sizes = {"size": ["small", *range(499)]}
    found = draw("alligators", sizes, {"n": n})
    alpha = np.array([0, -0.5, -1.5, -2.0, -0.8])
    beta, gamma = np.full((4, 5), 0.5), np.full((500, 5), -0.3)
    beta[0], beta[:, 0], gamma[0], gamma[:, 0] = 0, 0, 0, 0
    np.testing.assert_array_equal(found.truth["beta"], beta)
    np.testing.assert_array_equal(found.truth["gamma"], gamma)
    eta = alpha + beta[:, None] + gamma
    p = np.exp(eta) / np.exp(eta).sum(-1, keepdims=True)
    np.testing.assert_array_equal(found["x"].sum(-1), n)
    for food in range(5):
        scores_vanish(found["x"][..., food], 30 * p[..., food], 30 * p[..., food] * (1 - p[..., food]))


def test_epil() -> None:
    k = 4000
    rng = np.random.default_rng(2)
    base, trt, age = rng.integers(6, 100, k), rng.integers(0, 2, k), rng.integers(18, 42, k)
    v4 = np.array([0.0, 0, 0, 1])
    found = draw("epil", {"subject": k}, {"base": base, "trt": trt, "age": age, "v4": v4})
    log_base, log_age = np.log(base / 4), np.log(age)
    bt = trt * log_base
    fixed = (
        1.6 + 0.9 * (log_base - log_base.mean()) - 0.9 * (trt - trt.mean())
        + 0.3 * (bt - bt.mean()) + 0.5 * (log_age - log_age.mean())
    )  # fmt: skip
    np.testing.assert_allclose(found.truth["fixed"], fixed)
    b1, b = found.truth["b1"], found.truth["b"]
    residuals_are_white(b1, 0.5)
    residuals_are_white(b, 0.4, b1[:, None])
    mu = np.exp(fixed[:, None] - 0.1 * (v4 - 0.25) + b1[:, None] + b)
    scores_vanish(found["y"], mu, mu, b, v4, 1 / mu)


def test_birats() -> None:
    found = draw("birats", {"rat": 20_000})
    omega = np.array([[0.01, -0.02], [-0.02, 4.0]])
    covariance_is(found.truth["b"], np.linalg.inv(omega))
    mean_is(found.truth["b"], [107.0, 6.2])
    np.testing.assert_allclose(found.truth["cov_b"], np.linalg.inv(omega))
    b, x = found.truth["b"], np.array([8.0, 15, 22, 29, 36])
    residuals_are_white(found["y"] - b[:, :1] - b[:, 1:] * x, 1 / np.sqrt(0.03), x)
    prior = simulate(
        model("birats"), data={"x": [1.0]}, sizes={"rat": 1}, values={"tau_c": 1.0}, draws=3000, seed=8
    )
    omegas = np.array([one.truth["omega"] for one in prior]).reshape(-1, 4)
    mean_is(omegas[:, [0, 1, 3]], [0.01, 0.0, 10.0])  # nu V


def test_cfa3_covariance() -> None:
    found = draw("cfa3", {"pupil": 50_000})
    loadings = np.zeros((9, 3))
    for factor in range(3):
        loadings[3 * factor : 3 * factor + 3, factor] = [1, 0.8, 0.8]
    phi = np.array([[0.81, 0.4, 0.26], [0.4, 1.0, 0.17], [0.26, 0.17, 0.36]])
    theta = np.diag((0.5 + 0.1 * np.arange(1, 10)) ** 2)
    theta[6, 7] = theta[7, 6] = 0.3
    x = found["pupil"][[f"x{i}" for i in range(1, 10)]].to_numpy()
    covariance_is(x, loadings @ phi @ loadings.T + theta)
    mean_is(x, np.arange(1.0, 10))
    covariance_is(np.column_stack([found.truth[f] for f in ("visual", "textual", "speed")]), phi)


def test_mediation() -> None:
    x = np.random.default_rng(3).normal(size=20_000)
    found = draw("mediation", data={"x": x})
    m, y = found["person"]["m"].to_numpy(), found["person"]["y"].to_numpy()
    e_m, e_y = m - 0.2 - 0.7 * x, y + 0.5 - 0.4 * m - 0.1 * x
    residuals_are_white(e_m, 1.0, x)
    residuals_are_white(e_y, 0.8, x, m)
    assert found.truth["indirect"] == pytest.approx(0.28)
    assert found.truth["total"] == pytest.approx(0.38)


def test_growth_covariance() -> None:
    k = 20_000
    rng = np.random.default_rng(4)
    data = {"x1": rng.normal(size=k), "x2": rng.normal(size=k), "c": rng.normal(size=(k, 4))}
    found = draw("growth", {"subject": k}, data)
    time = np.arange(4.0)
    mean = (0.6 + 0.6 * data["x1"] + 0.5 * data["x2"])[:, None] + data["c"] * [0.1, 0.3, 0.2, 0.4]
    mean = mean + (1.0 + 0.25 * data["x1"] + 0.5 * data["x2"])[:, None] * time
    z = np.column_stack([np.ones(4), time])
    psi = np.array([[0.64, 0.1], [0.1, 0.25]])
    covariance_is(found["y"] - mean, z @ psi @ z.T + np.diag([0.49, 0.36, 0.49, 0.25]))


def test_equal_loadings_by_school() -> None:
    found = draw("equal_loadings", {"pupil": [20_000, 10_000]})
    lam = np.array([1, 0.8, 0.8] * 3)
    np.testing.assert_array_equal(found.truth["lambda"], lam)
    school = np.repeat([0, 1], [20_000, 10_000])
    for s, phi in enumerate([np.eye(3) + 0.3, 2 * np.eye(3) + 0.5]):
        covariance_is(found.truth["eta"][school == s], phi)
        x, nu = found["x"][school == s], np.arange(18.0).reshape(9, 2)[:, s]
        loadings = np.kron(np.eye(3), np.ones((3, 1))) * lam[:, None]
        covariance_is(x, loadings @ phi @ loadings.T + 0.49 * np.eye(9))
        mean_is(x, nu)


def test_replicates() -> None:
    k = 6000
    z = np.random.default_rng(5).normal(size=k)
    found = draw("replicates", {"subject": k, "replicate": 3 * k}, {"z": z})
    x = found.truth["x"]
    residuals_are_white(x - 0.3 - 0.7 * z, 1.0, z)
    owner = found["replicate"]["subject"].to_numpy()
    np.testing.assert_array_equal(np.bincount(owner), np.full(k, 3))
    residuals_are_white(found["replicate"]["w"].to_numpy() - x[owner], 0.5, x[owner])
    p = expit(0.1 + x + 0.5 * z)
    scores_vanish(found["subject"]["y"], p, p * (1 - p), x, z)


def test_misclassified() -> None:
    z = np.random.default_rng(6).normal(size=20_000)
    found = draw("misclassified", data={"z": z})["row"]
    p = expit(0.3 + 0.7 * z)
    scores_vanish(found["x"], p, p * (1 - p), z)
    q = np.where(found["x"] == 1, 0.9, 0.2)
    scores_vanish(found["w"], q, q * (1 - q), found["x"])


def test_misclassified_withholds_what_the_data_miss() -> None:
    frame = pd.DataFrame({"z": np.zeros(40), "x": [1.0, 0.0] + [np.nan] * 38, "w": 1, "y": 0})
    found = draw("misclassified", data=frame)
    assert found["row"]["x"].isna().sum() == 38
    assert found["row"]["w"].notna().all()
    whole = found.truth["x"]
    assert set(np.unique(whole)) <= {0, 1}
    np.testing.assert_array_equal(found["row"]["x"].iloc[:2], whole[:2])


def test_gaussian_mixture() -> None:
    found = draw("gaussian_mixture", {"obs": 30_000})
    z, y = found.truth["z"], found["obs"]["y"].to_numpy()
    frequencies_are([(z == 1).sum(), (z == 2).sum()], [0.3, 0.7])
    residuals_are_white(y[z == 1] + 1.0, 0.5)
    residuals_are_white(y[z == 2] - 2.0, 1.5)
    prior = simulate(model("gaussian_mixture"), sizes={"obs": 1}, draws=3000, seed=6)
    mu = np.array([one.truth["mu"] for one in prior])
    assert (np.diff(mu, axis=1) > 0).all()
    mean_is(mu, [-2 / np.sqrt(np.pi), 2 / np.sqrt(np.pi)])  # order statistics of two normals
    mean_is([one.truth["w"][0] for one in prior], 0.5)


def test_hmm_transitions() -> None:
    found = draw("hmm", {"t": 20_000})
    z, y = found.truth["z"], found["t"]["y"].to_numpy()
    for state, row in ((1, [0.9, 0.1]), (2, [0.3, 0.7])):
        after = z[1:][z[:-1] == state]
        frequencies_are([(after == 1).sum(), (after == 2).sum()], row)
    residuals_are_white(y - np.where(z == 1, 3.0, 10.0), 1.0)
    starts = [one.truth["z"][0] for one in simulate(model("hmm"), sizes={"t": 1}, draws=2000, seed=3)]
    frequencies_are([starts.count(1), starts.count(2)], [0.5, 0.5])


def test_local_level() -> None:
    found = draw("local_level", {"year": 5000})
    level = found.truth["level"]
    assert level[0] == 1100.0
    residuals_are_white(np.diff(level), 38.0, level[:-1] - level.mean())
    residuals_are_white(found["year"]["flow"] - level, 120.0)


def test_stochastic_volatility_autocovariance() -> None:
    found = draw("stochastic_volatility", {"day": 20_000}, phi=0.8)
    h = found.truth["h"] + 1.0
    innovations = np.append(h[0] * np.sqrt(1 - 0.64), h[1:] - 0.8 * h[:-1])
    residuals_are_white(innovations, 0.2)
    for lag in (0, 1, 3):  # Bartlett's formula for the product of an AR(1)
        gamma = 0.04 / 0.36 * 0.8 ** np.arange(200)
        pairs = np.array([gamma[k] ** 2 + gamma[k + lag] * gamma[abs(k - lag)] for k in range(150)])
        near(np.mean(h[lag:] * h[: h.size - lag]), gamma[lag], np.sqrt((2 * pairs.sum() - pairs[0]) / h.size))
    residuals_are_white(found["day"]["y"] * np.exp(-found.truth["h"] / 2), 1.0)


def test_asia_frequencies() -> None:
    found = simulate(model("asia"), draws=4000, seed=12)
    truth = pd.DataFrame([one.truth for one in found]) == "yes"
    assert (truth["either"] == (truth["lung"] | truth["tub"])).all()
    p_tub, p_lung = 0.01 * 0.05 + 0.99 * 0.01, 0.5 * 0.1 + 0.5 * 0.01
    p_either = p_tub + p_lung - p_tub * p_lung
    mean_is(truth["lung"], p_lung)
    mean_is(truth["bronc"], 0.45)
    mean_is(truth["xray"], 0.98 * p_either + 0.05 * (1 - p_either))
    cells = truth.groupby(["smoke", "bronc"]).size().to_numpy()
    frequencies_are(cells, [0.35, 0.15, 0.2, 0.3])
    for bronc, either, p in ((True, True, 0.9), (True, False, 0.8), (False, True, 0.7), (False, False, 0.1)):
        own = truth["dysp"][(truth["bronc"] == bronc) & (truth["either"] == either)]
        near(own.mean(), p, np.sqrt(p * (1 - p) / len(own)))


def test_sigmoid_belief_net() -> None:
    found = draw("sigmoid_belief_net", {"image": 1500, "pixel": 10})
    truth = found.truth
    for below, bias, weights, above in (
        (truth["h"], "b", "v", truth["g"]), (found["x"], "c", "w", truth["h"]),
    ):  # fmt: skip
        p = expit(truth[bias] + above @ truth[weights].T)
        p = np.clip(p, 1e-12, 1 - 1e-12)
        near(np.sum(below - p), 0, np.sqrt(np.sum(p * (1 - p))))
        near(np.sum(p * (below - p)), 0, np.sqrt(np.sum(p**3 * (1 - p))))
    p = expit(truth["a"])
    scores_vanish(truth["g"], p, p * (1 - p))


def test_gp_regression() -> None:
    x = np.linspace(0, 10, 12)
    values = {"rho": 2.0, "a": 1.5, "sigma": 0.3}
    found = simulate(model("gp_regression"), data={"x": x}, values=values, draws=1500, seed=7)
    k = 2.25 * np.exp(-((x[:, None] - x) ** 2) / 8) + 0.09 * np.eye(12)
    np.testing.assert_allclose(found[0].truth["k"], k)
    y = np.array([one["point"]["y"] for one in found])
    residuals_are_white(np.linalg.solve(np.linalg.cholesky(k), y.T), 1.0)
    covariance_is(y, k)


def test_stepped_wedge() -> None:
    found = draw("stepped_wedge", {"cluster": 600, "person": 60_000}, {"start": [1, 2, 3, 4] * 150})
    start, period = np.array([1, 2, 3, 4] * 150), np.arange(5)
    treated = period >= start[:, None]
    np.testing.assert_array_equal(found.truth["treated"], treated)
    frame = found["person"]
    c, t = frame["cluster"].to_numpy(), frame["period"].to_numpy()
    u, v = found.truth["u"], found.truth["v"]
    residuals_are_white(v, 0.2)
    p = expit(0.1 * t + 0.8 * treated[c, t] + u[c] + v[c, t])
    scores_vanish(frame["y"], p, p * (1 - p), t, treated[c, t], u[c])
