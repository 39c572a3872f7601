"""Draws: names, parts, ArviZ's tree and back, files; eight schools drawn exactly."""

from __future__ import annotations

import pickle
import subprocess
import sys

import arviz_stats
import numpy as np
import pytest
import xarray as xr

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.results.draws.draws import Draws
from tests.results.draws import made

MIXED = """model mixed
plate team = 1..3
plate away as team
plate game
plate chain
covariate start[game] in team
skill[team, away] ~ Normal(0, 1)
z[game] in team ~ Categorical(1/3)
level[chain] ~ Normal(0, 1)
observed y[game] ~ Normal(skill[z, start], 1)
"""


def mixed(**others):
    """Crossed plates, an alias, a plate called chain, discrete values, a missing observation."""
    data = {"game": ["a", "b"], "start": [1, 3], "y": [0.5, np.nan], "chain": ["c1", "c2"]}
    problem = bind(dm.read(MIXED).dag, data)
    rng = np.random.default_rng(1)
    shapes = {"skill": (3, 3), "z": (2,), "level": (2,), "y": (2,)}
    values = {n: rng.standard_normal((2, 50, *s)) for n, s in shapes.items()}
    values["z"] = rng.integers(0, 3, (2, 50, 2)).astype(float)
    values["y"][:, :, 0] = 0.5
    return Draws.of(problem, values, **others)


def same(one: Draws, other: Draws) -> None:
    for name in ("plates", "states", "seed", "warmup", "thin", "numbered", "model"):
        left, right = getattr(one, name), getattr(other, name)
        if name == "plates":
            used = {*one.values, *(m for g in one.groups.values() for m in g)}
            left, right = ({n: p for n, p in d.items() if n in used} for d in (left, right))
        assert left == right, name
    for left, right in (
        (one.values, other.values),
        (one.statistics, other.statistics),
        (one.unknown, other.unknown),
    ):
        assert set(left) == set(right)
        for n in left:
            np.testing.assert_array_equal(left[n], right[n])
            assert left[n].dtype.kind == right[n].dtype.kind or n in one.states
    assert set(one.groups) == set(other.groups)
    for g in one.groups:
        for n in one.groups[g]:
            np.testing.assert_array_equal(one.groups[g][n], other.groups[g][n])
    assert one.table()[0] == other.table()[0]


def test_names_by_label_and_as_bugs_prints_them():
    assert made.draws().names("theta")[2] == "theta[C]"
    assert made.draws(numbered=True).names("theta")[2] == "theta[3]"
    assert mixed().names("skill")[:4] == ["skill[1, 1]", "skill[1, 2]", "skill[1, 3]", "skill[2, 1]"]
    assert mixed(numbered=True).names("skill")[3] == "skill[2,1]"
    assert made.draws().names("mu") == ["mu"]


def test_the_table_holds_unknown_elements_alone():
    names, table = mixed().table()
    assert len(names) == 9 + 2 + 2 + 1
    assert names[-1] == "y[b]"
    np.testing.assert_array_equal(table[:, :, -1], mixed()["y"][:, :, 1])
    names, table = made.draws().table(["theta[B]", "tau", "theta[D]"])
    assert names == ["theta[B]", "theta[D]", "tau"]
    np.testing.assert_array_equal(table[:, :, 1], made.draws()["theta"][:, :, 3])


def test_dimensions_are_chain_draw_and_the_plates_with_their_labels():
    found = made.draws().to_xarray()
    assert found["theta"].dims == ("chain", "draw", "school")
    assert found.sizes == {"chain": 4, "draw": 500, "school": 8}
    assert float(found["theta"].sel(school="C").mean()) == pytest.approx(made.draws()["theta"][..., 2].mean())
    whole = mixed().to_xarray()
    assert whole["skill"].dims == ("chain", "draw", "team", "away")
    assert whole["team"].values.tolist() == [1, 2, 3]
    assert whole["level"].dims == ("chain", "draw", "chain_")
    assert whole["z"].dtype.kind == "i"
    numbered = made.draws(numbered=True).to_xarray()
    assert numbered["school"].values.tolist() == list(range(1, 9))


def test_arviz_reads_the_tree():
    draws = made.draws()
    tree = draws.to_arviz()
    assert set(tree.children) == {"posterior", "sample_stats", "observed_data", "constant_data"}
    assert tree["theta"].identical(tree["posterior"]["theta"])
    assert tree["sample_stats"]["energy"].dims == ("chain", "draw")
    table = arviz_stats.summary(tree, round_to="none")
    assert list(table.index) == [*draws.names("theta"), "mu", "tau"]
    np.testing.assert_allclose(arviz_stats.rhat(tree)["mu"], 1, atol=0.02)
    with pytest.raises(KeyError):
        tree["thete"]
    assert pickle.loads(pickle.dumps(tree))["mu"].equals(tree["mu"])


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("of", [made.draws, mixed])
def test_there_and_back(of, numbered, tmp_path):
    draws = of(numbered=numbered, seed=5, thin=2)
    predictive = {n: np.zeros((2, 3, *v.shape)) for n, v in draws.groups["observed_data"].items()}
    draws = draws.with_groups(posterior_predictive=predictive)
    same(draws, Draws.from_xarray(draws.to_arviz()))
    for ending in ("nc", "zarr"):
        path = tmp_path / f"x.{ending}"
        draws.save(path)
        draws.save(path)  # over the old one
        same(draws, Draws.load(path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.nc", "x.zarr"]


def test_a_posterior_made_elsewhere_is_read():
    theta = xr.DataArray(np.random.default_rng(1).random((3, 50, 2)), dims=("site", "draw", "chain"))
    draws = Draws.from_xarray(xr.Dataset({"theta": theta}))
    assert draws["theta"].shape == (2, 50, 3)
    assert draws.names("theta") == ["theta[0]", "theta[1]", "theta[2]"]
    with_levels = Draws.from_xarray(xr.Dataset({"theta": theta}, {"site": ["a", "b", "c"]}))
    assert with_levels.names("theta")[0] == "theta[a]"


def test_parts_and_continuations():
    draws = made.draws()
    assert list(draws.monitored(["tau"])) == ["tau"]
    longer = draws.then(made.draws(seed=2, draws=30))
    assert (longer.chains, longer.draws) == (4, 530)
    assert longer.statistics["energy"].shape == (4, 530)
    np.testing.assert_array_equal(longer["mu"][:, :500], draws["mu"])
    assert "draws" in repr(draws)
    copy = pickle.loads(pickle.dumps(draws))
    np.testing.assert_array_equal(copy["mu"], draws["mu"])


def test_wrong_shapes_and_names_are_told_at_once():
    problem = made.eight_schools()
    values = made.exact(problem, 2, 10, 1)
    values["theta"] = values["theta"][:, :, :5]
    values["mu"] = values["mu"][:1]
    with pytest.raises(dm.ModelErrors) as caught:
        Draws.of(problem, values, statistics={"energy": np.zeros(3)})
    told = str(caught.value)
    assert "'theta' have shape (2, 10, 5)" in told
    assert "(chains, draws, school)" in told
    assert "'energy'" in told
    with pytest.raises(KeyError, match="did you mean 'theta'"):
        made.draws()["thata"]
    with pytest.raises(dm.ModelErrors) as caught:
        made.draws().monitored(["sigma2"])
    assert "no draws of 'sigma2'" in str(caught.value)
    with pytest.raises(dm.DagmodelsError, match=r"theta\[Z\]"):
        made.draws().table("theta[Z]")


def test_files_that_cannot_be(tmp_path):
    for action, told in (
        (lambda: made.draws().save(tmp_path / "x.csv"), "no ending that says a format"),
        (lambda: made.draws().save(tmp_path / "none" / "x.nc"), "no folder"),
        (lambda: Draws.load(tmp_path / "x.nc"), "there are no draws at"),
    ):
        with pytest.raises(dm.ModelErrors) as caught:
            action()
        assert told in str(caught.value)


def test_draws_are_made_and_named_without_xarray():
    code = (
        "import sys, numpy as np\nfrom dagmodels.results.draws.draws import Draws\n"
        "d = Draws('m', {'a': np.zeros((2, 5))}, {'a': ()})\nd.table()\n"
        "print([m for m in ('xarray', 'pandas', 'arviz_base', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
