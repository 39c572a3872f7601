"""Row order, labels and kind of frame change nothing but the order of elements."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from bind_cells import cells
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagmodels.bind.bind import bind
from dagmodels.readers import read

DAG = read("""
model visits
plate clinic
plate subject in clinic
plate day ordered
plate kind
plate visit in subject, day
covariate age[subject], row[visit], arm[clinic] in kind
observed y[visit] ~ Normal(m + age, s)
observed score[subject, day] ~ Poisson(3)
observed group[visit] in kind ~ Categorical(p)
p[kind] ~ Dirichlet(1)
parameter m
parameter s > 0
""")
KEYS = {"visit": "row"}


@st.composite
def visits(draw: st.DrawFn) -> list[dict[str, object]]:
    """Rows of an unbalanced long frame; subjects' labels repeat across clinics."""
    pairs = draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8, unique=True)
    )
    ages = {p: draw(st.integers(20, 90)) for p in pairs}
    arms = {c: draw(st.sampled_from(["drug", "placebo"])) for c, _ in pairs}
    seen: dict[tuple[object, ...], object] = {}
    rows: list[dict[str, object]] = []
    for number in range(draw(st.integers(2, 14))):
        clinic, subject = draw(st.sampled_from(pairs))
        day = draw(st.sampled_from([1, 2, 10]))
        score = seen.setdefault((clinic, subject, day), draw(st.none() | st.integers(0, 9)))
        rows.append(
            {
                "clinic": "ABCD"[clinic],
                "subject": subject,
                "day": day,
                "age": ages[clinic, subject] / 4,
                "arm": arms[clinic],
                "row": number,
                "y": draw(st.none() | st.floats(-9, 9)),
                "score": score,
                "group": draw(st.none() | st.sampled_from(["drug", "placebo"])),
                "note": "spare",
            }
        )
    for column in ("y", "score"):
        rows[0][column] = 1.5 if column == "y" else rows[0][column]
    first = (rows[0]["clinic"], rows[0]["subject"], rows[0]["day"])
    for row in rows:
        if (row["clinic"], row["subject"], row["day"]) == first:
            row["score"] = 4
    rows[0]["group"] = "drug"
    return rows


@settings(max_examples=60, deadline=None)
@given(visits(), st.randoms(use_true_random=False))
def test_permuting_rows(rows: list[dict[str, object]], rng: random.Random) -> None:
    mixed = list(rows)
    rng.shuffle(mixed)
    assert cells(bind(DAG, rows), **KEYS) == cells(bind(DAG, mixed), **KEYS)


@settings(max_examples=60, deadline=None)
@given(visits(), st.permutations("ABCD"))
def test_relabelling(rows: list[dict[str, object]], letters: list[str]) -> None:
    other = dict(zip("ABCD", letters, strict=True))
    back = {v: k for k, v in other.items()}
    renamed = bind(DAG, [{**row, "clinic": other[str(row["clinic"])]} for row in rows])
    plates = dict(renamed.plates)
    clinic = plates["clinic"]
    from dataclasses import replace

    plates["clinic"] = replace(clinic, levels=tuple(back[str(x)] for x in clinic.levels))
    assert cells(replace(renamed, plates=plates), **KEYS) == cells(bind(DAG, rows), **KEYS)


KINDS = ("dict", "pandas", "polars", "arrow", "csv", "parquet", "json", "json columns", "plates")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=visits())
def test_kinds_of_frames(kind: str, rows: list[dict[str, object]], tmp_path: Path) -> None:
    assert cells(bind(DAG, _as(kind, rows, tmp_path)), **KEYS) == cells(bind(DAG, rows), **KEYS)


def _as(kind: str, rows: list[dict[str, object]], folder: Path) -> object:
    frame = pd.DataFrame(rows)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    match kind:
        case "dict":
            return columns
        case "pandas":
            return frame
        case "polars":
            return pl.DataFrame(rows, infer_schema_length=None)
        case "arrow":
            return pa.Table.from_pylist(rows)
        case "csv":
            frame.to_csv(folder / "d.csv", index=False, na_rep="NA")
            return folder / "d.csv"
        case "parquet":
            frame.to_parquet(folder / "d.parquet")
            return str(folder / "d.parquet")
        case "json":
            (folder / "d.json").write_text(json.dumps(rows))
            return folder / "d.json"
        case "json columns":
            (folder / "d.json").write_text(json.dumps(columns))
            return folder / "d.json"
        case _:
            subjects = frame[["clinic", "subject", "age"]].drop_duplicates()
            clinics = frame[["clinic", "arm"]].drop_duplicates()
            inner = frame.drop(columns=["age", "arm"])
            return {"visit": inner, "subject": pl.from_pandas(subjects), "clinic": clinics.to_dict("list")}


def test_labels_of_integers_text_and_floats_are_the_same() -> None:
    dag = read(
        "model m\nplate g\nplate r in g\ncovariate k[r]\n"
        "a[g] ~ Normal(0, 1)\nobserved y[r] ~ Normal(a[g] + k, 1)\n"
    )
    base = {"k": [1, 2, 3], "y": [1.0, 2.0, 3.0]}
    told = [
        cells(bind(dag, {"g": g, **base}), r="k")
        for g in ([9, 10, 9], ["9", "10", "9"], np.array([9.0, 10, 9]))
    ]
    assert told[0] == told[1] == told[2]
    assert bind(dag, {"g": ["9", "10", "9"], **base}).plates["g"].levels == (9, 10)
