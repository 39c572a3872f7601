"""Calls between kernels through cells: from the cache, in new processes, and before there is a callee."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dagmodels.numerics import compiled, linked
from dagmodels.numerics.compiled import kernel

CALLEE = """
from ours.compiled import kernel
from ours.linked import Deferred, linked

@kernel("f8(f8[::1], i8)")
def inner(x, i):
    return x[i] + 1.0

inner_call = linked(inner)
late = Deferred("late", "f8(f8[::1], i8)")
"""
CALLER = """
from ours.callee import inner_call, late
from ours.compiled import kernel
late_call = late.call

@kernel("f8(f8[::1], i8)")
def outer(x, i):
    return 10.0 * inner_call(x, i) + late_call(x, i)
"""
LATE = """
from ours.callee import late
from ours.compiled import kernel

@kernel("f8(f8[::1], i8)")
def much_later(x, i):
    return 1000.0 * x[i]

late.provide(much_later)
"""
USE = """
import numpy as np
from ours.caller import outer
try:
    outer(np.array([1.0, 2.0]), 1)
except RuntimeError as error:
    print(error)
import ours.late
print(outer(np.array([1.0, 2.0]), 1))
"""


def test_new_processes_call_through_their_own_cells(tmp_path: Path) -> None:
    """Compiled in the first process, loaded in the second; a call too early is an error, not a crash."""
    folder = tmp_path / "ours"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for module in (compiled, linked):
        shutil.copy(module.__file__, folder)
    text = (folder / "linked.py").read_text()
    (folder / "linked.py").write_text(text.replace("dagmodels.numerics", "ours"))
    for name, source in (("callee", CALLEE), ("caller", CALLER), ("late", LATE)):
        (folder / f"{name}.py").write_text(source)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "DAGMODELS_"))}
    env |= {"PYTHONPATH": str(tmp_path), "DAGMODELS_CACHE": str(tmp_path / "cache")}
    stamps = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", USE], capture_output=True, text=True, env=env, check=False
        )
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert "late" in first
        assert "not compiled yet" in first
        assert float(second) == 10.0 * 3.0 + 2000.0
        stamps.append({str(p): p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.nb*")})
    assert stamps[0] == stamps[1]  # the second process compiled nothing
    assert stamps[0]


def test_an_error_in_the_callee_reaches_the_caller() -> None:
    @kernel("f8(f8[::1])")
    def checked(x):
        if x[0] < 0.0:
            raise ValueError("negative")
        return np.sqrt(x[0])

    call = linked.linked(checked)

    @kernel("f8(f8[::1])")
    def outer(x):
        return 2.0 * call(x)

    assert outer(np.array([9.0])) == 6.0
    with pytest.raises(ValueError, match="negative"):
        outer(np.array([-1.0]))


def test_another_signature_is_not_taken() -> None:
    cell = linked.Deferred("a test", "f8(f8, f8)")

    @kernel("f8(f8)")
    def single(x):
        return x

    with pytest.raises(KeyError):
        cell.provide(single)


@pytest.mark.parametrize(("size", "loaded"), [(10, False), (120, True)])
def test_blocks_are_loaded_for_long_tails_alone(size: int, loaded: bool) -> None:
    code = f"""
import sys
import numpy as np
from dagmodels.numerics.elimination import Elimination, pattern
i, j = np.triu_indices({size})
none = np.zeros(0, np.int64)
work = Elimination(pattern(np.zeros({size - 1}, np.uint8), i, j, none, none))
work.s[:] = 1.0
work.eliminate()
work.adjoint()
print("dagmodels.numerics.dense_blocks" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(loaded)]
