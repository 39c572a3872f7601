"""Making backends of other packages visible without installing them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dagmodels.dispatch import registry

PACKAGE = Path(__file__).parent.parent / "third_party_backend"
Register = Callable[..., None]


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """`register(name="module:object", ...)`: a distribution with these entry points is on the path."""

    def make(distribution: str = "dagmodels-thirdparty", **entries: str) -> None:
        folder = tmp_path / distribution
        metadata = folder / f"{distribution.replace('-', '_')}-0.0.1.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.0.1\n")
        lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
        (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{lines}")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.syspath_prepend(PACKAGE)
        registry.reset()

    registry.reset()
    yield make
    registry.reset()
    for module in [m for m in sys.modules if m.startswith("dagmodels_thirdparty")]:
        del sys.modules[module]
