"""Whole processes: importing, the command line, compiling everything from nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from benchmarks.common import Row, child_cpu


def rows() -> Iterator[Row]:
    yield Row("import dagmodels (process)", child_cpu(["-c", "import dagmodels"]), 0.25)
    fit = ["-m", "dagmodels.cli", "fit", "specs/radon.dag"]
    child_cpu(fit, repeats=1)  # compiles, if nothing did before
    yield Row("dagmodels fit specs/radon.dag (process)", child_cpu(fit), 1.5)


def compile_rows() -> Iterator[Row]:
    """All kernels into a cache folder of their own; takes long, hence apart."""
    with tempfile.TemporaryDirectory() as folder:
        cold = child_cpu(["-m", "dagmodels.cli", "warm"], repeats=1, env={"DAGMODELS_CACHE": folder})
    yield Row("compile all kernels (dagmodels warm)", cold, 60.0)
