"""Units in clusters as moments: likelihood, derivatives, scores and conditional means against dense algebra.

The dense way takes a cluster's units one by one: variables of the cluster and all its units in one long
vector, whose covariance is written out.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.clusters import clusters, exchangeable
from dagmodels.analysis.unit import NoUnit, Unit
from dagmodels.bind.bind import bind
from dagmodels.forms.build_moments import build_moments
from dagmodels.forms.level_latents import conditional_levels
from dagmodels.forms.level_scores import cluster_scores
from dagmodels.forms.levels import LevelsForm
from dagmodels.numerics.level_moments import LevelStructure, parts

MODEL = """
level: 1
  f =~ y1 + y2 + y3
  y4 ~ f + b*y3 + x1
  f ~ x1 + x2
level: 2
  g =~ y1 + y2 + y3
  g ~ w
  z ~ g
"""


def sample(seed: int, count: int = 30) -> dict[str, np.ndarray]:
    """Rows in clusters of 1 to 6, shuffled."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(count), rng.integers(1, 7, count))
    n = cluster.size
    found = {v: rng.normal(size=n) for v in ("y1", "y2", "y3", "y4", "x1", "x2")}
    for v in ("y1", "y2", "y3"):
        found[v] += rng.normal(size=count)[cluster]
    found.update({v: rng.normal(size=count)[cluster] for v in ("w", "z")}, cluster=cluster)
    order = rng.permutation(n)
    return {k: v[order] for k, v in found.items()}


def build(data: dict[str, np.ndarray], text: str = MODEL, **options: object) -> LevelsForm:
    dag = dm.read(text, format="lavaan", **options).dag
    found = exchangeable(dag)
    assert isinstance(found, Unit)
    form = build_moments(bind(dag, data), found)
    assert isinstance(form, LevelsForm)
    return form


class Dense:
    """The moments of a cluster's own variables and all variables of its units, written out."""

    def __init__(self, form: LevelsForm, x: np.ndarray) -> None:
        t = form.template
        w = form.workspace(x)
        a, p, level = (m[0] for m in form.structure.filled(t.data * w[t.source]))
        inner, b = t.inner, np.linalg.inv(np.eye(len(a)) - a)
        self.inner, self.form = inner, form
        self.own = b @ (p * np.outer(inner, inner)) @ b.T
        self.shared = b @ (p * np.outer(~inner, ~inner)) @ b.T
        self.mean = b @ level

    def moments(self, n: int) -> tuple[list[tuple[int, int]], np.ndarray, np.ndarray]:
        """(unit, variable) of each place (-1 for the cluster's), mean and covariance."""
        t = len(self.inner)
        places = [(-1, v) for v in range(t) if not self.inner[v]]
        places += [(u, v) for u in range(n) for v in range(t) if self.inner[v]]
        unit, variable = np.array(places).T
        same = (unit[:, None] == unit) & (unit[:, None] >= 0)
        at = np.ix_(variable, variable)
        return places, self.mean[variable], self.shared[at] + same * self.own[at]

    def cluster(self, j: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows of cluster j, where its data stand, its data less their means, and all covariances."""
        o = self.form.structure.observed.tolist()
        rows = np.flatnonzero(self.form.cluster_of == j)
        places, mean, cov = self.moments(rows.size)
        seen = np.array([i for i, (_, v) in enumerate(places) if v in o])
        values = np.array([self.form.values[rows[max(u, 0)], o.index(v)] for u, v in np.array(places)[seen]])
        return rows, seen, values - mean[seen], cov

    def deviance(self, j: int) -> float:
        """Minus twice the log density of cluster j."""
        _, seen, away, cov = self.cluster(j)
        inside = cov[np.ix_(seen, seen)]
        fit = float(away @ np.linalg.solve(inside, away))
        return float(np.linalg.slogdet(inside)[1]) + fit + seen.size * np.log(2 * np.pi)


def points(form: LevelsForm, seed: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.3, 1.3, form.x_places.size) for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
def test_the_likelihood_is_the_dense_one(seed):
    form = build(sample(seed))
    for x in points(form, seed, 3):
        dense = Dense(form, x)
        whole = sum(dense.deviance(j) for j in range(30))
        assert form.at(x).moments.value == pytest.approx(whole, rel=1e-11)


def test_derivatives_are_those_of_the_value():
    """Gradient, exact Hessian by differences of sixth order; the gradient of each cluster alone too."""
    form = build(sample(7))
    for x in points(form, 3, 2):
        at = form.at(x)

        def slope(of, k, x=x, h=1e-3):
            e = np.eye(x.size)[k] * h
            sides = [of(x + m * e) - of(x - m * e) for m in (1, 2, 3)]
            return (45 * sides[0] - 9 * sides[1] + sides[2]) / (60 * h)

        gradient = np.array([slope(lambda y: form.at(y).value, k) for k in range(x.size)])
        hessian = np.stack([slope(lambda y: form.at(y).gradient, k) for k in range(x.size)])
        assert at.gradient == pytest.approx(gradient, rel=1e-8, abs=1e-8 * np.abs(gradient).max())
        assert at.hessian() == pytest.approx(hessian, rel=1e-7, abs=1e-8 * np.abs(hessian).max())
        scores = cluster_scores(at.moments, form) @ at.jacobian
        assert -2 * scores.sum(axis=0) == pytest.approx(at.gradient, rel=1e-10, abs=1e-9)
        codes = form.cluster_of[form.rows_by_cluster[0][form.rows_by_cluster[1]]]
        for j in (0, 11, 29):
            own = np.array([slope(lambda y, j=j: Dense(form, y).deviance(j), k) for k in range(x.size)])
            assert -2 * scores[codes == j][0] == pytest.approx(own, rel=1e-7, abs=1e-7)


def test_the_information_is_the_mean_of_the_hessian():
    """Data drawn from the model: the exact Hessian's mean over draws lies within six standard errors of the
    information in every entry (k (k + 1) / 2 < 700 entries: one false alarm in 10^6)."""
    form = build(sample(5, 12), MODEL, fixed_x=False)
    assert form.x_places.size * (form.x_places.size + 1) / 2 < 700
    x = next(x for x in points(form, 1, 99) if np.linalg.eigvalsh(Dense(form, x).moments(6)[2])[0] > -1e-12)
    dense, rng = Dense(form, x), np.random.default_rng(9)
    information = form.at(x).information()
    found = []
    for _ in range(400):
        values = form.values.copy()
        o = form.structure.observed.tolist()
        for j in range(12):
            rows = np.flatnonzero(form.cluster_of == j)
            places, mean, cov = dense.moments(rows.size)
            drawn = rng.multivariate_normal(mean, cov)
            for value, (u, v) in zip(drawn, places, strict=True):
                if v in o:
                    values[rows if u < 0 else rows[u], o.index(v)] = value
        new = parts(values, form.inner, form.group_of, form.cluster_of)
        drawn_form = replace(
            form, values=values, levels=LevelStructure(form.levels.base, form.levels.inner, new)
        )
        found.append(drawn_form.at(x).hessian())
    hessians = np.array(found)
    error = hessians.std(axis=0) / 20
    assert (np.abs(hessians.mean(axis=0) - information) < 6 * error + 1e-9 * np.abs(information).max()).all()


def test_conditional_means_are_the_dense_ones():
    form = build(sample(2))
    x = points(form, 2, 1)[0]
    at, dense = form.at(x), Dense(form, x)
    units, above = conditional_levels(form, at.moments)
    codes = form.cluster_of[form.rows_by_cluster[0][form.rows_by_cluster[1]]]
    for j in (0, 5, 17):
        rows, seen, away, cov = dense.cluster(j)
        places, mean, _ = dense.moments(rows.size)
        weight = np.linalg.solve(cov[np.ix_(seen, seen)], cov[seen]).T
        level, left = mean + weight @ away, cov - weight @ cov[seen]
        for i, (u, v) in enumerate(places):
            pair, row = (above, np.flatnonzero(codes == j)[0]) if u < 0 else (units, rows[u])
            assert pair[0][row, v] == pytest.approx(level[i], abs=1e-9)
            assert pair[1][row, v] == pytest.approx(np.sqrt(max(left[i, i], 0.0)), abs=1e-7)


def test_the_order_of_rows_and_the_names_of_clusters_do_not_count():
    data = sample(4)
    form, rng = build(data), np.random.default_rng(1)
    order, names = rng.permutation(len(data["y1"])), rng.permutation(30) * 7 + 3
    other = {k: v[order] for k, v in data.items()}
    other["cluster"] = np.array([f"c{c}" for c in names[other["cluster"]]], dtype=object)
    again = build(other)
    for x in points(form, 6, 3):
        assert again.at(x).value == pytest.approx(form.at(x).value, rel=1e-12)
        assert again.at(x).gradient == pytest.approx(form.at(x).gradient, rel=1e-9, abs=1e-8)


def test_iterations_do_not_see_rows():
    """Cells are as many as there are sizes, and one of contrasts."""
    form = build(sample(0))
    sizes = np.unique(np.bincount(form.cluster_of))
    assert len(form.levels.parts.sample.n) == sizes.size + 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("covariate x[row]\nu[g] ~ Normal(0, s)\nobserved y[row] ~ Normal(u[g]*x, t)", "not linear"),
        ("u[g] ~ Normal(0, s)\nobserved y[row] ~ Poisson(exp(u[g]))", "'y' is Poisson"),
        ("u[g] ~ Gamma(2, s)\nobserved y[row] ~ Normal(u[g], t)", "'u' is Gamma"),
    ],
)
def test_what_are_no_clusters(text, told):
    dag = dm.read(f"model m\nplate g\nplate row in g\nparameter s, t > 0\n{text}").dag
    found = clusters(dag)
    assert isinstance(found, NoUnit)
    assert any(told in sentence for sentence in found.because), found.because


def test_a_graph_of_the_language_is_fitted_too():
    """The moments form and the field form of a random intercept agree."""
    text = """
model m
plate g
plate row in g
parameter a, b
parameter s, t > 0
covariate x[row]
u[g] ~ Normal(0, s)
observed y[row] ~ Normal(a + b*x + u[g], t)
"""
    data = sample(8)
    frame = pd.DataFrame({"g": data["cluster"], "x": data["x1"], "y": data["y1"]})
    model = dm.read(text)
    field, moments = model.fit(frame), model.fit(frame, form="moments")
    assert moments.log_likelihood == pytest.approx(field.log_likelihood, abs=1e-7)
    for name in ("a", "b", "s", "t"):
        assert moments[name] == pytest.approx(field[name], rel=1e-5, abs=1e-6)
    assert len(moments.latents) == 30
    both = moments.latents.merge(field.latents, on="name")
    assert both["estimate_x"].to_numpy() == pytest.approx(both["estimate_y"].to_numpy(), abs=1e-4)
    assert both["sd_x"].to_numpy() == pytest.approx(both["sd_y"].to_numpy(), rel=1e-4)
    assert moments.estimates["se"].to_numpy() == pytest.approx(field.estimates["se"].to_numpy(), rel=1e-4)
    assert moments.n_observations == field.n_observations == len(frame)
    assert "form: moments, because se= is an option" in str(model.plan(frame, se="robust.huber.white"))
    joint = [model.fit(frame, se="joint", **o).estimates["se"] for o in ({}, {"form": "moments"})]
    assert joint[0].to_numpy() == pytest.approx(joint[1].to_numpy(), rel=1e-4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"estimator": "GLS"}, "estimator='ML' fits both levels"),
        ({"se": "robust.sem"}, "is none of 'joint', 'conditional', 'standard', 'robust.huber.white'"),
        ({"clusters": np.zeros(9)}, "leave clusters out"),
        ({"method": "em"}, "method='laplace' fits both levels"),
    ],
)
def test_what_is_for_units_alone(options, told):
    text = "model m\nplate g\nplate row in g\nparameter s, t > 0\nu[g] ~ Normal(0, s)\n"
    data = sample(8)
    with pytest.raises(dm.FitError, match=re.escape(told)):
        dm.read(f"{text}observed y[row] ~ Normal(u[g], t)").fit(
            {"g": data["cluster"], "y": data["y1"]}, **{"form": "moments", **options}
        )
