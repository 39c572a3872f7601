"""The store of long runs: what was written comes back; killed or without space, the last step is valid."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.results.draws import store as module
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.store import Store, StoreError
from tests.results.draws import made
from tests.results.draws.test_draws import mixed, same


def part(draws: Draws, at: slice) -> Draws:
    values = {n: v[:, at] for n, v in draws.values.items()}
    return replace(draws, values=values, statistics={n: v[:, at] for n, v in draws.statistics.items()})


@pytest.mark.parametrize("of", [made.draws, mixed])
@pytest.mark.parametrize("numbered", [False, True])
def test_chunks_come_back_as_one(of, numbered, tmp_path):
    draws = of(numbered=numbered)
    store = Store.create(tmp_path / "run", part(draws, slice(0, 20)))
    store = store.append(part(draws, slice(20, 33)), b"state 33")
    store = store.append(part(draws, slice(33, draws.draws)))
    again = Store.open(tmp_path / "run")
    again.verify()
    same(draws, again.read())
    assert again.draws == draws.draws
    assert again.last_state() == b"state 33"
    name = next(iter(draws))
    np.testing.assert_array_equal(again.array(name), draws[name])
    flat = draws[name].reshape(draws.chains, draws.draws, -1)
    np.testing.assert_array_equal(again.array(name, slice(1, 2)), flat[:, :, 1:2])


def test_a_resumed_run_goes_on_from_its_checkpoint(tmp_path):
    draws = made.draws()
    store = Store.create(tmp_path / "run", part(draws, slice(0, 100))).checkpoint(b"after 100")
    store = store.append(part(draws, slice(100, 150)))
    back = Store.open(tmp_path / "run").resumed()
    assert back.draws == 100
    assert back.last_state() == b"after 100"
    for start in range(100, 500, 200):
        back = back.append(part(draws, slice(start, start + 200)), f"after {start + 200}".encode())
    same(draws, Store.open(tmp_path / "run").read())
    assert sorted(p.name for p in (tmp_path / "run").glob("state-*")) == [back.state.name]
    with pytest.raises(StoreError, match="another process has written"):
        store.append(part(draws, slice(0, 5)))


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path):
    with pytest.raises(StoreError, match="no checkpoint"):
        Store.create(tmp_path / "run", made.draws()).resumed()


FAILING = [*(("fsync", i) for i in range(6)), *(("replace", i) for i in range(3))]


@pytest.mark.parametrize(("call", "failing"), FAILING)
def test_a_full_disk_leaves_the_last_step_valid(call, failing, tmp_path, monkeypatch):
    """Every single call to the disk fails once: chunk, state and index, contents, names and folders."""
    draws = made.draws()
    store = Store.create(tmp_path / "run", part(draws, slice(0, 100))).checkpoint(b"first")
    real, count = getattr(os, call), 0

    def fails(*arguments):
        nonlocal count
        count += 1
        if count == failing + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    monkeypatch.setattr(module.os, call, fails)
    with pytest.raises(StoreError, match=r"No space left.*100 draws a chain, checkpoint after 100"):
        store.append(part(draws, slice(100, 200)), b"second")
    monkeypatch.undo()
    found = Store.open(tmp_path / "run")
    found.verify()
    assert (found.draws, found.last_state()) in ((100, b"first"), (200, b"second"))
    same(part(draws, slice(0, found.draws)), found.read())
    rest = found.resumed().append(part(draws, slice(found.draws, 500)), b"last")
    same(draws, Store.open(tmp_path / "run").read())
    assert rest.last_state() == b"last"
    assert not list((tmp_path / "run").glob("*.part"))


WRITER = """
import sys
import numpy as np
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.store import Store
from pathlib import Path

folder = Path(sys.argv[1])

def piece(rng):
    return Draws("m", {"x": rng.standard_normal((2, 5, 40))}, {"x": ("p",)}, {"p": tuple(range(40))})

if (folder / "index.json").exists() and Store.open(folder).state is not None:
    store = Store.open(folder).resumed()
    rng = np.random.default_rng()
    rng.bit_generator.state = eval(store.last_state().decode())
else:
    for old in folder.glob("*"):
        old.unlink()
    rng = np.random.default_rng(1)
    store = Store.create(folder, piece(rng)).checkpoint(repr(rng.bit_generator.state).encode())
print("going", flush=True)
while store.draws < int(sys.argv[2]):
    store = store.append(piece(rng), repr(rng.bit_generator.state).encode())
"""


def test_a_run_killed_again_and_again_gives_the_draws_of_one_that_was_not(tmp_path):
    """SIGKILL at random moments; after each the store opens, and holds a beginning of the same draws."""
    rng = np.random.default_rng(1)
    total = 750
    want = np.concatenate([rng.standard_normal((2, 5, 40)) for _ in range(total // 5)], axis=1)
    run = tmp_path / "run"
    run.mkdir()
    moments = random.Random(4)
    killed = 0
    for attempt in range(40):
        command = [sys.executable, "-c", WRITER, str(run), str(total)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        if attempt < 4:
            time.sleep(moments.random() * 0.1)
            child.send_signal(signal.SIGKILL)
        code = child.wait()
        child.stdout.close()
        found = Store.open(run)
        found.verify()
        np.testing.assert_array_equal(found.array("x"), want[:, : found.draws])
        killed += code == -signal.SIGKILL
        if code == 0:
            break
    assert found.draws == total
    assert killed >= 1


def test_a_store_is_read_while_it_grows(tmp_path):
    rng = np.random.default_rng(1)
    total = 300
    want = np.concatenate([rng.standard_normal((2, 5, 40)) for _ in range(total // 5)], axis=1)
    run = tmp_path / "run"
    run.mkdir()
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(run), str(total)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    seen = set()
    while child.poll() is None:
        found = Store.open(run)
        np.testing.assert_array_equal(found.array("x"), want[:, : found.draws])
        seen.add(found.draws)
    child.stdout.close()
    assert child.returncode == 0
    assert Store.open(run).draws == total
    assert len(seen) > 1


def test_damage_is_found(tmp_path):
    store = Store.create(tmp_path / "run", made.draws())
    chunk = tmp_path / "run" / store.chunks[0].name
    raw = bytearray(chunk.read_bytes())
    raw[-3] ^= 1
    chunk.write_bytes(raw)
    with pytest.raises(StoreError, match=r"chunk-000000\.npy' is damaged"):
        Store.open(tmp_path / "run").verify()
    chunk.write_bytes(raw[:-8])
    with pytest.raises(StoreError, match="missing or has another length"):
        Store.open(tmp_path / "run")
    (tmp_path / "run" / "index.json").write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        Store.open(tmp_path / "run")


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(StoreError, match="there is no store"):
        Store.open(tmp_path)
    store = Store.create(tmp_path / "run", made.draws())
    with pytest.raises(StoreError, match="is not empty"):
        Store.create(tmp_path / "run", made.draws())
    with pytest.raises(StoreError, match=r"'theta' have shape"):
        store.append(replace(made.draws(chains=2), statistics={}))
    with pytest.raises(StoreError, match="'energy' are missing"):
        store.append(replace(made.draws(), statistics={}))
    with pytest.raises(StoreError, match="has no 'sigma'"):
        store.array("sigma")
    (tmp_path / "file").write_text("")
    with pytest.raises(dm.DagmodelsError, match="cannot make"):
        Store.create(tmp_path / "file" / "run", made.draws())
    assert isinstance(store.path, Path)
