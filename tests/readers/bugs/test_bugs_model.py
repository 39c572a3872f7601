"""`dm.read` of BUGS texts and files, and every verb of the graph with data in BUGS' form."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.bugs import BugsModel
from tests.readers.bugs.references import FOLDER

pytestmark = pytest.mark.filterwarnings("ignore::dagmodels.FitWarning")
TEXT = "model { for (i in 1:N) { y[i] ~ dnorm(mu, tau) } mu ~ dnorm(0, 0.01); tau ~ dgamma(2, 2) }"
DATA = {"N": 5, "y": [1.0, 2.0, 0.5, 1.5, 1.0]}
RAGGED = """model {
  for (i in 1:N) { for (j in 1:n[i]) { y[i,j] ~ dnorm(m[i], 1) } ; m[i] ~ dnorm(mu, 1) }
  mu ~ dnorm(0, 1)
}"""


def test_texts_and_endings_say_the_format(tmp_path: Path) -> None:
    for text in (TEXT, "# remark\n" + TEXT, "/* a\nremark */ " + TEXT, "var y[N];\n" + TEXT):
        g = dm.read(text)
        assert isinstance(g, BugsModel)
        assert g.dag.nodes["y"].observed
    for ending in (".bug", ".bugs", ".jags"):
        path = tmp_path / f"m{ending}"
        path.write_text(TEXT)
        assert dm.read(path).name == "m"
        assert dm.read(str(path)).dag == dm.read(path).dag
    (tmp_path / "m.txt").write_text(TEXT)
    assert isinstance(dm.read(tmp_path / "m.txt", format="bugs"), BugsModel)


def test_companions_are_found_beside_a_file(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "pump", tmp_path / "pump")
    g = dm.read(tmp_path / "pump" / "model.bug")
    assert isinstance(g, BugsModel)
    assert g.reading.data is not None
    np.testing.assert_array_equal(g.inits[0]["theta"], np.full(10, 0.1))
    shutil.copy(tmp_path / "pump" / "model.bug", tmp_path / "pump" / "other.bug")
    two = dm.read(tmp_path / "pump" / "model.bug")  # whose data are these?
    assert isinstance(two, BugsModel)
    assert two.reading.data is None
    (tmp_path / "pump" / "data.json").rename(tmp_path / "pump" / "other.data.json")
    own = dm.read(tmp_path / "pump" / "other.bug")
    assert isinstance(own, BugsModel)
    assert own.reading.data is not None


def test_data_may_come_with_each_verb() -> None:
    """The same numbers as of the model written in the language."""
    later = dm.read(TEXT).fit(DATA)
    before = dm.read(TEXT, data=DATA).fit()
    assert later.estimates.equals(before.estimates)
    same = dm.read("""model m
plate i
mu ~ Normal(0, tau=0.01)
tau ~ Gamma(2, 2)
observed y[i] ~ Normal(mu, tau=tau)
""").fit({"y": DATA["y"]})
    np.testing.assert_allclose(later.estimates["estimate"], same.estimates["estimate"], rtol=1e-8)


def test_data_decide_what_is_observed() -> None:
    g = dm.read(TEXT)
    told = str(g.check({**DATA, "mu": 1}))
    assert "Observed: 'mu' and 'y'." in told
    assert "Observed: 'y'." in str(g.check(DATA))


def test_what_is_drawn_binds_again() -> None:
    g = dm.read(TEXT, data=DATA)
    drawn = g.simulate(values={"mu": 1, "tau": 2}, seed=4)
    assert "'y' has 5 values" in str(g.check(drawn))
    assert g.fit(drawn).converged


def test_ragged_rows_keep_their_names() -> None:
    g = dm.read(RAGGED, data={"N": 2, "n": [2, 3], "y": [[1, 2, None], [3, 4, 5]]}, inits={"m": [0, 1]})
    assert isinstance(g, BugsModel)
    names = [g.provenance.element("y", (k,)) for k in range(5)]
    assert names == ["y[1,1]", "y[1,2]", "y[2,1]", "y[2,2]", "y[2,3]"]
    assert g.provenance.element("m", (1,)) == "m[2]"
    assert g.provenance.element("mu", ()) == "mu"
    assert g.provenance.nodes == ("m", "mu", "y")


def test_initial_values_one_a_chain() -> None:
    g = dm.read(TEXT, data=DATA, inits=[{"mu": 1}, {"mu": 2, ".RNG.seed": 3, "nu": 1}])
    assert isinstance(g, BugsModel)
    assert [float(i["mu"]) for i in g.inits] == [1, 2]
    assert any(".RNG.seed" in note for note in g.reading.notes)
    assert any("'nu'" in note for note in g.reading.notes)


@pytest.mark.parametrize(
    ("inits", "message"),
    [
        ({"mu": [1, 2]}, "have the shape (2,), not one number"),
        ({"y": [1, 2, 3, 4, 5]}, "are for elements that the data give"),
        ({"s": 1}, "are for a definition"),
    ],
)
def test_initial_values_that_do_not_fit(inits: dict[str, object], message: str) -> None:
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(TEXT.replace("mu ~", "s <- 1/sqrt(tau); mu ~"), data=DATA, inits=inits)
    assert message in str(caught.value)


def test_copies_go_on_alone() -> None:
    g = dm.read(TEXT, data=DATA)
    other = g.copy()
    other.node("extra", "2*mu")
    assert "extra" in other.dag.nodes
    assert "extra" not in g.dag.nodes
    assert "extra" in other.fit().estimates["name"].tolist()
    assert "extra" in other.fit({"N": 2, "y": [1, 2]}).estimates["name"].tolist()


def test_models_survive_pickling() -> None:
    g = dm.read(RAGGED, data={"N": 2, "n": [1, 2], "y": [[1, None], [3, 4]]}, inits={"mu": 1})
    again = pickle.loads(pickle.dumps(g))
    assert again.dag == g.dag
    assert str(again.check()) == str(g.check())


def test_initial_values_are_for_what_draws() -> None:
    """A backend that needs none does not get them; one that draws starts there."""
    g = dm.read(TEXT, data=DATA, inits={"mu": 1, "tau": 1})
    assert g.fit(method="laplace").converged
    far = dm.read(TEXT, data=DATA, inits={"mu": 1, "tau": -1})
    with pytest.raises(dm.FitError, match="'tau' is -1, which is not inside its bound"):
        far.fit(collapse=False)
