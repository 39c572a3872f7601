"""The data of specs/eiv: simulated with stated truths from one seed, a stream a file.

`python -m tests.measurement.spec_data` writes them; a test compares them with what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

SPECS = Path(__file__).parents[2] / "specs" / "eiv"
SEED = 20261123
Rng = np.random.Generator
Frames = dict[str, pd.DataFrame]


def expit(t: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-t))


def known_variance(rng: Rng, n: int = 400) -> Frames:
    x = rng.normal(2, 1, n)
    return frame(w=x + rng.normal(0, 0.8, n), y=1 + 0.5 * x + rng.normal(0, 0.6, n))


def known_reliability(rng: Rng, n: int = 400) -> Frames:
    x = rng.normal(2, 1, n)
    return frame(w=x + rng.normal(0, np.sqrt(3 / 7), n), y=1 + 0.5 * x + rng.normal(0, 0.6, n))


def replicates(rng: Rng, n: int = 250) -> Frames:
    z = rng.normal(0, 1, n)
    x = 1 + 0.5 * z + rng.normal(0, 1, n)
    y = 0.3 + 0.7 * x - 0.4 * z + rng.normal(0, 0.5, n)
    who = np.repeat(np.arange(n), rng.integers(1, 4, n))
    w = x[who] + rng.normal(0, 0.9, who.size)
    return frame("subject", subject=np.arange(n), z=z, y=y) | frame("reading", subject=who, w=w)


def internal_validation(rng: Rng, n: int = 400) -> Frames:
    x = rng.normal(0, 1, n)
    w = 0.4 + 0.8 * x + rng.normal(0, 0.7, n)
    y = 1 + 0.5 * x + rng.normal(0, 0.6, n)
    return frame(x=np.where(rng.random(n) < 0.25, x, np.nan), w=w, y=y)


def external_validation(rng: Rng, n: int = 400, m: int = 100) -> Frames:
    x, true = rng.normal(0, 1, n), rng.normal(0.5, 1.2, m)
    w = 0.4 + 0.8 * x + rng.normal(0, 0.7, n)
    y = 1 + 0.5 * x + rng.normal(0, 0.6, n)
    v = 0.4 + 0.8 * true + rng.normal(0, 0.7, m)
    return frame("subject", w=w, y=y) | frame("validated", true=true, v=v)


def instrument(rng: Rng, n: int = 400) -> Frames:
    x = rng.normal(2, 1, n)
    w, z = x + rng.normal(0, 0.8, n), 0.5 - 0.7 * x + rng.normal(0, 0.8, n)
    return frame(w=w, z=z, y=1 + 0.5 * x + rng.normal(0, 0.6, n))


def berkson(rng: Rng, n: int = 400) -> Frames:
    w = rng.choice([0.0, 0.5, 1.0, 1.5, 2.0], n)
    return frame(w=w, y=rng.poisson(np.exp(0.2 + 0.6 * (w + rng.normal(0, 0.5, n)))))


def astronomy(rng: Rng, n: int = 150) -> Frames:
    x = rng.normal(0, 1, n)
    sd_x, sd_y = np.exp(rng.normal(-0.8, 0.4, n)), np.exp(rng.normal(-1, 0.4, n))
    wy = 0.5 + 1.2 * x + rng.normal(0, 0.3, n) + rng.normal(0, sd_y)
    return frame(wx=x + rng.normal(0, sd_x), wy=wy, sd_x=sd_x, sd_y=sd_y)


def correlated_errors(rng: Rng, n: int = 150) -> Frames:
    x = rng.normal(0, 1, n)
    sd_x, sd_y = np.exp(rng.normal(-0.8, 0.4, n)), np.exp(rng.normal(-0.8, 0.4, n))
    rho = rng.uniform(0.2, 0.8, n)
    e, f = rng.normal(size=(2, n))
    wy = 0.5 + 1.2 * x + rng.normal(0, 0.3, n) + sd_y * (rho * e + np.sqrt(1 - rho**2) * f)
    return frame(wx=x + sd_x * e, wy=wy, v_x=sd_x**2, v_y=sd_y**2, c_xy=rho * sd_x * sd_y)


def several(rng: Rng, n: int = 500) -> Frames:
    z = rng.normal(0, 1, n)
    e, f = rng.normal(size=(2, n))
    x1, x2 = 1 + 0.3 * z + e, -0.5 * z + 0.5 * e + np.sqrt(0.75) * f
    y = 0.3 + 0.6 * x1 - 0.5 * x2 + 0.2 * z + rng.normal(0, 0.5, n)
    return frame(z=z, w1=x1 + rng.normal(0, 0.6, n), w2=x2 + rng.normal(0, 0.9, n), y=y)


def logistic(rng: Rng, n: int = 600) -> Frames:
    z = rng.normal(0, 1, n)
    x = 0.4 * z + rng.normal(0, 1, n)
    y = (rng.random(n) < expit(-0.5 + 0.9 * x + 0.3 * z)).astype(int)
    return frame(z=z, w1=x + rng.normal(0, 0.9, n), w2=x + rng.normal(0, 0.9, n), y=y)


def poisson(rng: Rng, n: int = 400) -> Frames:
    z = rng.normal(0, 1, n)
    x = 0.3 * z + rng.normal(0, 0.8, n)
    y = rng.poisson(np.exp(0.3 + 0.5 * x - 0.2 * z))
    return frame(z=z, w=x + rng.normal(0, 0.5, n), y=y)


def survival(rng: Rng, n: int = 300) -> Frames:
    x = rng.normal(0, 1, n)
    base = np.array([-1.8, -1.5, -1.2, -1.0])
    hazard = np.exp(base + 0.7 * x[:, None])
    rows = []
    for i in range(n):
        for k in range(4):
            time = rng.exponential(1 / hazard[i, k])
            rows.append((i, k + 1, round(min(time, 1.0), 6), int(time < 1)))
            if time < 1:
                break
    spells = pd.DataFrame(rows, columns=["subject", "year", "risk", "event"])
    return frame("subject", subject=np.arange(n), w=x + rng.normal(0, 0.6, n)) | {"spell": spells}


def misclassified(rng: Rng, n: int = 800) -> Frames:
    x = (rng.random(n) < 0.4).astype(int)
    w = (rng.random(n) < np.where(x == 1, 0.85, 0.1)).astype(int)
    y = (rng.random(n) < expit(-1 + 1.2 * x)).astype(int)
    seen = np.where(rng.random(n) < 0.25, x.astype(object), None)
    return {"": pd.DataFrame({"x": seen, "w": w, "y": y})}


def mixed(rng: Rng, schools: int = 30, each: int = 12) -> Frames:
    school = np.repeat(np.arange(schools), each)
    x = rng.normal(0, 0.6, schools)[school] + rng.normal(0, 1, school.size)
    y = 0.5 + 0.8 * x + rng.normal(0, 0.5, schools)[school] + rng.normal(0, 0.6, school.size)
    return frame(school=school, w=x + rng.normal(0, 0.7, school.size), y=y)


def square(rng: Rng, n: int = 400) -> Frames:
    x = rng.normal(0.5, 1, n)
    y = 1 + 0.6 * x - 0.4 * x**2 + rng.normal(0, 0.5, n)
    return frame(w=x + rng.normal(0, 0.6, n), y=y)


def interaction(rng: Rng, n: int = 500) -> Frames:
    z = rng.integers(0, 2, n)
    x = 0.5 * z + rng.normal(0, 1, n)
    y = 0.2 + 0.5 * x + 0.3 * z + 0.6 * x * z + rng.normal(0, 0.5, n)
    return frame(z=z, w=x + rng.normal(0, 0.7, n), y=y)


def frame(plate: str = "", **columns: np.ndarray) -> Frames:
    return {plate: pd.DataFrame(columns)}


DESIGNS: tuple[Callable[[Rng], Frames], ...] = (
    known_variance, known_reliability, replicates, internal_validation, external_validation, instrument,
    berkson, astronomy, correlated_errors, several, logistic, poisson, survival, misclassified, mixed,
    square, interaction,
)  # fmt: skip

TRUTH: dict[str, dict[str, float]] = {
    "known_variance": {"a": 1, "b": 0.5, "mu": 2, "s": 1, "d": 0.6},
    "known_reliability": {"a": 1, "b": 0.5, "mu": 2, "s": 1, "d": 0.6},
    "replicates": {"a": 0.3, "b": 0.7, "c": -0.4, "g0": 1, "g1": 0.5, "s": 1, "e": 0.9, "d": 0.5},
    "internal_validation": {"a": 1, "b": 0.5, "mu": 0, "c0": 0.4, "c1": 0.8, "s": 1, "e": 0.7, "d": 0.6},
    "external_validation": {"a": 1, "b": 0.5, "mu": 0, "c0": 0.4, "c1": 0.8, "s": 1, "e": 0.7, "d": 0.6},
    "instrument": {"a": 1, "b": 0.5, "mu": 2, "c0": 0.5, "c1": -0.7, "s": 1, "e": 0.8, "d": 0.6, "u": 0.8},
    "berkson": {"a": 0.2, "b": 0.6},
    "astronomy": {"a": 0.5, "b": 1.2, "mu": 0, "s": 1, "t": 0.3},
    "correlated_errors": {"a": 0.5, "b": 1.2, "mu": 0, "s": 1, "t": 0.3},
    "several": {"a": 0.3, "b1": 0.6, "b2": -0.5, "c": 0.2, "g1": 0.3, "g2": -0.5, "rho": 0.5, "d": 0.5},
    "logistic": {"a": -0.5, "b": 0.9, "c": 0.3, "g0": 0, "g1": 0.4, "s": 1, "e": 0.9},
    "poisson": {"a": 0.3, "b": 0.5, "c": -0.2, "g0": 0, "g1": 0.3, "s": 0.8},
    "survival": {"base[1]": -1.8, "base[2]": -1.5, "base[3]": -1.2, "base[4]": -1, "b": 0.7, "mu": 0, "s": 1},
    "misclassified": {"p": 0.4, "sensitivity": 0.85, "specificity": 0.9, "a": -1, "b": 1.2},
    "mixed": {"a": 0.5, "b": 0.8, "mu": 0, "s": 1, "tau": 0.5, "t_x": 0.6, "d": 0.6},
    "square": {"a": 1, "b1": 0.6, "b2": -0.4, "mu": 0.5, "s": 1, "d": 0.5},
    "interaction": {"a": 0.2, "b": 0.5, "c": 0.3, "bz": 0.6, "g0": 0, "g1": 0.5, "s": 1, "d": 0.5},
}


def simulated(number: int) -> Frames:
    """The data of one design, numbers with six decimals."""
    rng = np.random.default_rng([SEED, number])
    return {k: v.round(6) for k, v in DESIGNS[number](rng).items()}


def path_of(design: str, plate: str) -> Path:
    return SPECS / (f"{design}.{plate}.csv" if plate else f"{design}.csv")


def load(design: str) -> pd.DataFrame | Frames:
    """What `fit` takes: the file, or a dict of frames by plate."""
    alone = path_of(design, "")
    if alone.exists():
        return pd.read_csv(alone)
    return {p.name.split(".")[1]: pd.read_csv(p) for p in sorted(SPECS.glob(f"{design}.*.csv"))}


def write() -> None:
    for number, design in enumerate(DESIGNS):
        for plate, table in simulated(number).items():
            table.to_csv(path_of(design.__name__, plate), index=False)


if __name__ == "__main__":
    write()
