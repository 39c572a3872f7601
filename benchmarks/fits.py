"""The fit call on small classical data sets; the data are in memory, binding and report are included.

Peers: CPU medians measured on the machine of the bounds, versions lme4 1.1-31 (with Debian's BLAS),
mixedlm 1.3.0, lme-python 0.2.7; the last stops at other numbers than the optimum on radon with slopes.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.common import ROOT, Row, median_cpu

CASES = (
    ("radon", "radon.csv", 0.006, ""),
    ("radon_slopes", "radon.csv", None, "lme4 26 ms, mixedlm 4.0 ms, lme-python 3.3 ms (false optimum)"),
    ("sleepstudy", "sleepstudy.csv", 0.003, "lme4 19 ms, mixedlm 5.5 ms, lme-python 2.4 ms"),
    ("penicillin", "penicillin.csv", None, "lme4 26 ms, mixedlm 4.0 ms, lme-python 1.7 ms"),
    ("pastes", "pastes.csv", None, "lme4 27 ms, mixedlm 4.0 ms, lme-python 1.9 ms"),
)


def rows() -> Iterator[Row]:
    import pandas as pd

    import dagmodels as dm

    for name, file, bound, peer in CASES:
        graph = dm.read(ROOT / "specs" / f"{name}.dag")
        data = pd.read_csv(ROOT / "examples" / file)
        fit = graph.fit(data)
        if not fit.converged:
            raise RuntimeError(f"{name}: {fit.message}")
        yield Row(f"{name}: REML fit call", median_cpu(lambda g=graph, d=data: g.fit(d)), bound, "s", peer)
