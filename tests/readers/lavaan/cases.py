"""lavaan's own tables, and readings that are checked on the way."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dagmodels.errors import ModelErrors
from dagmodels.graph.build import build
from dagmodels.readers.dag import from_text
from dagmodels.readers.lavaan import Reading, read

REFERENCES = Path(__file__).parents[2] / "references" / "lavaan_tables" / "reference.json"

HOLZINGER = """
visual  =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed   =~ x7 + x8 + x9
"""


MODELS: list[tuple[str, dict[str, Any]]] = [
    (HOLZINGER, {}),
    (HOLZINGER, {"std_lv": True, "groups": 3, "group_equal": ["loadings"]}),
    (HOLZINGER, {"groups": 2, "group_equal": ["loadings", "residuals"], "group_partial": ["x5~~x5"]}),
    ("f =~ c(a, b)*x1 + c(b, a)*x2 + c(1, NA)*x3 + c(.5, .7)*x4\nf ~~ 1*f", {"groups": 2}),
    ("f =~ x1 + x2 + x3\ng =~ y1\nh =~ 2*z\ng ~ f + h", {}),
    ("f =~ NA*x\nf ~~ 1*f\ng =~ y1 + y2 + y3\nf ~~ g\nw ~ f + g", {}),
    ("g =~ f1 + f2 + f3\nf1 =~ x1 + x2\nf2 =~ x3 + x4\nf3 =~ x5 + x6\nf1 ~~ 0*f1", {}),
    ("y1 ~ a*y2 + x1\ny2 ~ b*y1 + x2\ny1 ~~ y2\na == 0.5*b", {}),
    ("y1 ~ y2 + x1\ny2 ~ y1 + x2\ny3 ~ y1\ny3 ~~ y2 + 0*y1", {}),
    ("f =~ x1 + x2\ng =~ y1 + y2\nf ~ g\ng ~ f\nf ~~ 0.3*g", {}),
    ("c <~ x1 + 0.5*x2\ny ~ c + x3", {}),
    ("f =~ x1 + x2 + x3\nx1 ~ z\nx3 ~ x1\nx2 ~~ x3 + f", {"auto_cov_y": False}),
    ("f =~ a*x1 + b*x2 + c*x3\na + b == 1 - 2*c\nb == c", {"std_lv": True}),
    ("f =~ x1 + x2 + x3", {"effect_coding": "loadings", "groups": 2}),
    ("h =~ 0\nf =~ x1 + x2 + x3\nh ~ f\ny ~ h\nh ~~ 0*h", {}),
]


@cache
def references() -> dict[str, Any]:
    return json.loads(REFERENCES.read_text(encoding="utf-8"))["cases"]


def checked(text: str, **options: Any) -> Reading:
    """A reading whose graph passes the package's own validation unchanged, and prints and reads back."""
    reading = read(text, **options)
    dag = reading.dag
    assert build(dag.name, dag.plates, dag.statements).statements == dag.statements
    assert from_text(str(dag)) == dag
    assert len(reading.provenance.rows) == len(reading.table)
    return reading


def keys(reading: Reading) -> list[tuple[str, str, str]]:
    return [r.key for r in reading.table]


def refused(text: str, **options: Any) -> str:
    """All that is said against a text."""
    with pytest.raises(ModelErrors) as caught:
        read(text, **options)
    return str(caught.value)


def random_model(seed: int) -> tuple[str, dict[str, Any]]:
    """A recursive model of latent and observed variables with random fixed and shared coefficients."""
    rng = np.random.default_rng(seed)
    parts = []
    count = int(rng.integers(1, 4))
    for f in range(count):
        terms = []
        for i in range(int(rng.integers(2, 5))):
            mark = rng.choice(["", f"a{i}*", f"{rng.normal():.2f}*", "start(0.4)*", "NA*", "b*"])
            terms.append(f"{mark}x{f}{i}")
        parts.append(f"f{f} =~ " + " + ".join(terms))
    for f in range(1, count):
        if rng.random() < 0.5:
            parts.append(f"f{f} ~ {rng.choice(['', 'b*', '0.5*'])}f{f - 1} + z{f}")
    if rng.random() < 0.5:
        parts.append(f"f0 ~~ {rng.choice(['1*', 'v*', ''])}f0")
    if rng.random() < 0.5:
        parts.append("x00 ~~ x01 + 0.1*z1" if count > 1 and any("z1" in p for p in parts) else "x00 ~~ x01")
    if rng.random() < 0.5:
        parts.append("y ~ c*f0 + x01")
    rng.shuffle(parts)
    groups = int(rng.integers(1, 4))
    equal = [w for w in ("loadings", "regressions", "residuals", "lv.variances") if rng.random() < 0.3]
    options = {"groups": groups, "group_equal": equal} if groups > 1 else {}
    return "\n".join(parts), options
