"""Every model of the language page binds to sizes; binding imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dagmodels.bind.bind import bind
from dagmodels.readers import read

MODELS = sorted((Path(__file__).parent.parent / "models").glob("*.dag"))


def test_there_are_models() -> None:
    assert len(MODELS) >= 26


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_sizes_bind(path: Path) -> None:
    dag = read(path)
    free = [p for p in dag.plates if p.levels is None and p.alias_of is None]
    constants = {p for n in dag.nodes.values() if n.kind == "constant" for p in n.plates}
    sizes = {p.name: 12 if p.parents else 4 for p in free if p.name not in constants}
    problem = bind(dag, sizes=sizes, require_covariates=False)
    assert set(problem.plates) == {p.name for p in dag.plates}
    for plate in dag.plates:
        bound = problem.plates[plate.name]
        assert set(bound.parents) == set(plate.parents)
        assert (bound.order is not None) == dag.plate[dag.base(plate.name)].ordered
        for parent, codes in bound.parents.items():
            assert codes.shape == (bound.size,)
            assert set(codes.tolist()) == set(range(problem.plates[parent].size))
    for name, node in dag.nodes.items():
        rows = problem.rows(node.plates)
        assert rows.n == int(np.prod(problem.shape(name), dtype=int))
        assert problem.element(name, rows.n - 1).startswith(name)


def test_binding_is_light() -> None:
    script = (
        "import sys\nfrom dagmodels.bind.bind import bind\n"
        "heavy = ('scipy', 'pandas', 'numba', 'networkx', 'narwhals', 'xarray', 'matplotlib')\n"
        "print([m for m in heavy if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
