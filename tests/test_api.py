"""The public face: reading, building, and every verb of a Graph."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import dagmodels as dm
from tests.fake_backend import Mean, install

MODELS = Path(__file__).parent / "models"
SMALL = """model small
plate g
plate r in g
covariate x[r]
parameter m, b
parameter tau, s > 0
u[g] ~ Normal(0, tau)
observed y[r] ~ Normal(m + b*x + u[g], s)
"""


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return {"g": np.repeat(["a", "b", "c"], 4), "x": rng.normal(size=12), "y": rng.normal(size=12)}


def built():
    g = dm.Graph("small")
    group = g.plate("g")
    row = g.plate("r", within=group)
    x = g.covariate("x", plate=row)
    m, b = g.parameter("m", "b")
    tau, s = g.parameter("tau", "s", lower=0)
    u = g.node("u", dm.Normal(0, tau), plate=group)
    g.node("y", dm.Normal(m + b * x + u[group], s), plate=row, observed=True)
    return g


def test_text_and_python_make_the_same_graph():
    assert built() == dm.read(SMALL)
    assert hash(built()) == hash(dm.read(SMALL))
    assert str(dm.read(str(built()))) == str(built())
    assert isinstance(dm.read(SMALL), dm.Graph)


def test_reading_a_file():
    g = dm.read(MODELS / "radon.dag")
    assert g.name == "radon"
    assert g == dm.read((MODELS / "radon.dag").read_text())


def test_static_faults_come_all_at_once_as_the_packages_errors():
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(SMALL.replace("b*x", "bb*x").replace("Normal(0, tau)", "Normal(0)"))
    assert len(caught.value.exceptions) == 2
    assert isinstance(caught.value, dm.DagmodelsError)
    assert all(isinstance(e, dm.ModelError) and e.line is not None for e in caught.value.exceptions)


def test_distributions_are_names_of_the_package():
    assert dm.Normal(0, 1) == dm.Normal("0", "1")
    assert "HalfCauchy" in dir(dm)
    with pytest.raises(AttributeError, match="no attribute 'Norml'"):
        _ = dm.Norml


def test_every_public_name_is_there():
    for name in dm.__all__:
        assert getattr(dm, name) is not None


def test_check_without_and_with_data(data):
    g = built()
    assert "Plate 'r' is nested in 'g'." in list(g.check())
    assert "Plate 'r' has 12 elements and is nested in 'g'." in list(g.check(data))
    assert "The model does not use the column 'q' of the data." in list(g.check(data | {"q": data["x"]}))
    assert "'y' has no data." in list(g.check({"g": ["a", "a", "b"], "x": [1.0, 2.0, 3.0]}))


def test_plan_names_the_backend(monkeypatch, data):
    install(monkeypatch, Mean())
    assert built().plan().backend == "mean"
    plan = built().plan(data, steps=4)
    assert plan.backend == "mean"
    assert plan.options == {"steps": 4}
    assert str(plan).startswith("small: fit by 'mean'")


def test_fit_hands_problem_plan_and_options_to_the_backend(monkeypatch, data):
    backend = Mean()
    install(monkeypatch, backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = built().fit(data, seed=7, steps=4)
    assert fit["m"] == pytest.approx(float(np.mean(data["y"])), rel=1e-15)
    assert backend.options == {"seed": 7, "steps": 4}
    assert fit.plan.backend == "mean"


def test_a_fit_that_did_not_converge_warns(monkeypatch, data):
    install(monkeypatch, Mean(converged=False, message="saddle at 'tau'", warnings=("'x' is odd",)))
    with pytest.warns(dm.FitWarning) as caught:
        built().fit(data)
    assert [str(w.message) for w in caught] == [
        "the fit of 'small' did not converge: saddle at 'tau'",
        "'x' is odd",
    ]
    assert all(w.filename == __file__ for w in caught)


def test_when_no_backend_can_the_error_explains(monkeypatch, data):
    install(monkeypatch, Mean(accepts=False))
    with pytest.raises(dm.FitError, match="'mean' cannot: 'y' is not to its taste"):
        built().fit(data)
    with pytest.raises(dm.FitError, match="no backend named 'laplas' is installed"):
        built().fit(data, method="laplas")


def test_what_is_not_identified_is_an_error_that_names_it(monkeypatch, data):
    install(monkeypatch, Mean())
    g = dm.read(
        SMALL.replace("Normal(0, tau)", "Normal(m0, tau)").replace("parameter m,", "parameter m0, m,")
    )
    with pytest.raises(dm.ModelErrors) as caught:
        g.fit(data)
    (error,) = caught.value.exceptions
    assert error.node == "m0"
    assert "the mean of 'u' is not identified" in str(error)
    assert g.fit(data, check=False).converged


def test_data_faults_are_errors_before_any_backend_is_asked(monkeypatch, data):
    install(monkeypatch)
    del data["y"]
    with pytest.raises(dm.ModelErrors, match="small"):
        built().fit(data)


def test_no_data_at_all(monkeypatch):
    install(monkeypatch, Mean())
    with pytest.raises(dm.ModelErrors) as caught:
        built().fit()
    assert 'data "FILE"' in str(caught.value)


def test_the_models_own_data_line_is_relative_to_the_model(monkeypatch, data, tmp_path):
    import pandas as pd

    install(monkeypatch, Mean())
    pd.DataFrame(data).to_csv(tmp_path / "small.csv", index=False)
    (tmp_path / "small.dag").write_text(SMALL.replace("model small\n", 'model small\ndata "small.csv"\n'))
    fit = dm.read(tmp_path / "small.dag").fit()
    assert fit["m"] == pytest.approx(float(np.mean(data["y"])), rel=1e-12)


def test_questions_about_the_graph():
    g = built()
    assert g.d_separated("x", "u")
    assert not g.d_separated("x", "u", "y")
    assert g.markov_blanket("u") == ("x", "m", "b", "tau", "s", "y")
    assert ("u", "y") in g.to_networkx().edges
    assert g.moral_graph().has_edge("u", "x")
    assert [str(i) for i in g.implied_independences()] == []


def test_pictures(tmp_path, data):
    g = built()
    assert g.to_dot().startswith("digraph")
    assert g.to_mermaid().startswith("flowchart")
    assert "(3)" in g.to_dot(data=data) or "3" in g.to_dot(data=data)
    assert g.to_dot(data=data) != g.to_dot()
    written = g.render(tmp_path / "g.svg")
    assert written.read_bytes().lstrip().startswith((b"<?xml", b"<svg"))
    assert "<svg" in g._repr_svg_()


def test_a_graph_that_was_hashed_cannot_change():
    g = built()
    _ = {g}
    with pytest.raises(dm.DagmodelsError, match="copy"):
        g.plate("other")
    assert isinstance(g.copy(), dm.Graph)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"method": None}, "method is None"),
        ({"method": 5}, "method is 5"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"seed": True}, "seed is True"),
        ({"method": 5, "seed": None}, "seed is None"),
    ],
)
def test_wrong_arguments_of_fit_are_told(monkeypatch, data, arguments, told):
    install(monkeypatch, Mean())
    with pytest.raises(dm.ModelErrors) as caught:
        built().fit(data, **arguments)
    assert told in str(caught.value)
    assert len(caught.value.exceptions) == len(arguments)
    assert all(e.hint for e in caught.value.exceptions)
    if "seed" not in arguments:
        with pytest.raises(dm.ModelErrors, match="small"):
            built().plan(data, **arguments)


def test_a_seed_of_numpy_is_a_seed(monkeypatch, data):
    install(monkeypatch, Mean())
    assert built().fit(data, seed=np.int64(3)).converged


@pytest.mark.parametrize("text", ["Reaction ~ Days + (Days | Subject)", "y~x", " log(y) ~ 1 "])
def test_a_formula_is_recognised(text):
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(text)
    assert "looks like a formula" in str(caught.value)
    assert "dm.lmer(formula, data)" in str(caught.value)


def test_data_of_a_graph_are_given_to_its_verbs(data):
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(SMALL, data)
    assert "dm.read(source).fit(data)" in str(caught.value)
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(SMALL, "dag")
    assert "write format='dag'" in str(caught.value)


@pytest.mark.parametrize("text", ["~/radon.dag", "C:\\DATA~1\\radon.dag", "folder~1/y ~ x", "y~x.dag"])
def test_what_is_a_path_is_no_formula(text):
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(text)
    assert "formula" not in str(caught.value)


def test_a_model_on_one_line_is_no_formula():
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read("model m y ~ Normal(0, 1)")
    assert "formula" not in str(caught.value)


def test_a_picture_of_a_fit_has_the_sizes_of_its_plates(monkeypatch, data, tmp_path):
    install(monkeypatch, Mean())
    g = built()
    fit = g.fit(data)
    assert fit.plate_sizes == {"g": 3, "r": 12}
    assert "g (3)" in g.to_dot(fit=fit)
    assert "r (12)" in g.to_dot(fit=fit)
    assert "(12)" in g.to_mermaid(fit=fit)
    assert "r (12)" in g.render(tmp_path / "g.dot", fit=fit).read_text()
    half = {"g": data["g"][4:], "x": data["x"][4:], "y": data["y"][4:]}
    assert "r (8)" in g.to_dot(data=half, fit=fit), "data given outright count more"


def test_the_fit_of_another_model_is_not_drawn(monkeypatch, data, tmp_path):
    install(monkeypatch, Mean())
    fit = built().fit(data)
    renamed = dm.read(SMALL.replace("model small", "model other"))
    assert "m" in renamed.to_dot(fit=fit)
    other = dm.read(SMALL.replace("b*x + u[g]", "b*x"))
    for draw in (other.to_dot, other.to_mermaid, lambda **k: other.render(tmp_path / "o.dot", **k)):
        with pytest.raises(dm.ModelErrors) as caught:
            draw(fit=fit)
        assert "the fit is of another model" in str(caught.value)
    assert not (tmp_path / "o.dot").exists()
    assert other.to_dot(fit={"m": 1.5}), "numbers by name are anyone's"


@pytest.mark.parametrize("path", [None, 5, b"g.svg"])
def test_a_picture_needs_a_path(path):
    with pytest.raises(dm.DagmodelsError, match="no path of a picture"):
        built().render(path)


def test_questions_are_about_names():
    g = built()
    for ask in (
        lambda: g.d_separated(None, None),
        lambda: g.d_separated("x", 5),
        lambda: g.d_separated(["x", ["m"]], "u"),
        lambda: g.markov_blanket(None),
        lambda: g.implied_independences(5),
    ):
        with pytest.raises(dm.ModelErrors) as caught:
            ask()
        assert "is no name of a node (give names" in str(caught.value)
    with pytest.raises(dm.ModelErrors, match="small") as caught:
        g.markov_blanket(["x", "m"])
    assert "about one node, not about 2" in str(caught.value)
    b = g.parameter("fresh")
    with pytest.raises(dm.ModelErrors) as caught:
        g.d_separated(b, "x")
    assert "give names: 'fresh'" in str(caught.value)


def test_simulate_draws_for_the_models_own_data_line(data, tmp_path):
    import pandas as pd

    pd.DataFrame(data).to_csv(tmp_path / "small.csv", index=False)
    (tmp_path / "small.dag").write_text(SMALL.replace("model small\n", 'model small\ndata "small.csv"\n'))
    g = dm.read(tmp_path / "small.dag")
    values = {"m": 1, "b": 2, "tau": 1, "s": 1}
    fake = g.simulate(values=values)
    assert fake["r"]["x"].tolist() == pytest.approx(list(data["x"]))
    assert fake["r"]["g"].tolist() == list(data["g"])
    other = dm.read(str(g).replace("b*x + ", "").replace("covariate x[r]\n", "")).simulate(
        values=values, sizes={"g": 2, "r": 5}
    )
    assert len(other["r"]) == 5, "sizes given: the data line is not asked"
