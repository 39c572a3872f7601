"""Permuting rows, relabelling levels and reordering statements change no answer (1e-10)."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from tests.backends.laplace import models as m

CASES = {
    "radon": (m.RADON_INTERCEPT, "radon_minnesota", ["county"]),
    "radon_slopes": (m.RADON_SLOPES, "radon_minnesota", ["county"]),
    "sleepstudy_tied": (m.SLEEPSTUDY_TIED, "sleepstudy", ["Subject"]),
    "penicillin": (m.PENICILLIN, "penicillin", ["plate", "sample"]),
    "pastes": (m.PASTES, "pastes", ["batch"]),
}


def answers(fit: dm.Fit) -> dict[str, float]:
    table = fit.estimates
    found = dict(zip(table["name"], table["estimate"], strict=True))
    found |= {f"se {n}": s for n, s in zip(table["name"], table["se"], strict=True)}
    return found | {"log likelihood": fit.log_likelihood}


def latents(fit: dm.Fit) -> dict[str, float]:
    return dict(zip(fit.latents["name"], fit.latents["estimate"], strict=True))


def assert_same(a: dict[str, float], b: dict[str, float]) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        # standard errors come from differences of gradients, whose rounding is divided by the step of 1e-4
        tolerance = 1e-8 if name.startswith("se ") else 1e-10
        assert b[name] == pytest.approx(value, rel=tolerance, abs=1e-10), name


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("seed", [1, 2])
def test_rows_may_be_permuted(name: str, seed: int) -> None:
    text, data, _ = CASES[name]
    frame = m.data(data)
    shuffled = frame.iloc[np.random.default_rng(seed).permutation(len(frame))]
    before, after = dm.read(text).fit(frame), dm.read(text).fit(shuffled)
    assert_same(answers(before), answers(after))
    assert_same(latents(before), latents(after))


@pytest.mark.parametrize("name", sorted(CASES))
def test_levels_may_be_relabelled(name: str) -> None:
    text, data, groups = CASES[name]
    frame = m.data(data)
    renamed = frame.copy()
    names: dict[str, dict[object, str]] = {}
    for group in groups:
        levels = sorted(frame[group].unique(), key=str)
        order = np.random.default_rng(3).permutation(len(levels))
        names[group] = {level: f"level{k:03d}" for level, k in zip(levels, order, strict=True)}
        renamed[group] = frame[group].map(names[group])
    before, after = dm.read(text).fit(frame), dm.read(text).fit(renamed)
    assert_same(answers(before), answers(after))
    assert_same({renamed_element(n, groups, names): v for n, v in latents(before).items()}, latents(after))


def renamed_element(name: str, groups: list[str], names: dict[str, dict[object, str]]) -> str:
    """`node[level, ...]` with its levels renamed; each level of these data belongs to one group only."""
    node, _, inside = name.partition("[")
    every = {str(level): new for group in groups for level, new in names[group].items()}
    levels = (inside.removesuffix("]")).replace(":", ", ").split(", ")
    joint = ":" if ":" in inside else ", "
    return f"{node}[{joint.join(every.get(level, level) for level in levels)}]"


@pytest.mark.parametrize("name", sorted(CASES))
def test_statements_may_be_reordered(name: str) -> None:
    text, data, _ = CASES[name]
    first, *rest = text.strip().splitlines()
    frame = m.data(data)
    before = dm.read(text).fit(frame)
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(len(rest))
        moved = dm.read("\n".join([first, *(rest[i] for i in order)]) + "\n")
        after = moved.fit(frame)
        assert_same(answers(before), answers(after))
        assert_same(latents(before), latents(after))
