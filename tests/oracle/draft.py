"""A generated case, and the model under construction that becomes one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Data = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, eq=False)
class Case:
    """One generated model.

    text : in the `.dag` language.
    data : equally long columns: one long frame (`pandas.DataFrame(data)`).
    theta : values of exactly the outer unknowns, by name.
    roles : "outer", "profiled" (parameter coefficients), "flat" or "random" for every unknown
        that is not a latent.
    """

    kind: str
    seed: int
    text: str
    data: Data
    theta: dict[str, np.ndarray[Any, Any]]
    roles: dict[str, str]


@dataclass(eq=False)
class Draft:
    """A model under construction: statements, columns and outer values."""

    rng: np.random.Generator
    plates: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    data: Data = field(default_factory=dict)
    theta: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)

    def plate(self, line: str) -> None:
        """Declare a plate."""
        self.plates.append(f"plate {line}")

    def say(self, *lines: str) -> None:
        """Add statements."""
        self.lines.extend(lines)

    def chance(self, p: float = 0.5) -> bool:
        """True with probability p."""
        return bool(self.rng.random() < p)

    def pick(self, *options: Any) -> Any:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def coefficient(self, name: str, role: str | None = None) -> str:
        """Declare an unknown that enters means linearly: maximised, flat or with a Normal prior."""
        role = role or self.pick("profiled", "flat", "random")
        prior = self.pick("Normal(0, 10)", "Normal(1, 2)", "Normal(-0.5, tau=0.3)")
        self.say(
            {"profiled": f"parameter {name}", "flat": f"{name} ~ Flat()", "random": f"{name} ~ {prior}"}[role]
        )
        self.roles[name] = role
        return name

    def outer(self, name: str, value: float | np.ndarray[Any, Any], statement: str) -> str:
        """Declare an unknown of theta."""
        self.say(statement)
        self.theta[name] = np.asarray(value, dtype=float)
        self.roles[name] = "outer"
        return name

    def loading(self, name: str, low: float = -1.5, high: float = 1.5) -> str:
        """A multiplier of latents: outer."""
        statement = self.pick(f"parameter {name}", f"{name} ~ Normal(0.5, 1)")
        return self.outer(name, round(float(self.rng.uniform(low, high)), 3), statement)

    def scale(self, name: str, low: float = 0.3, high: float = 2.0) -> str:
        """A standard deviation, a precision or a variance: the text that stands in a Normal for it."""
        sd = round(float(self.rng.uniform(low, high)), 3)
        style = self.pick("sd", "sd", "sd", "precision", "variance")
        value = {"sd": sd, "precision": round(1 / sd**2, 4), "variance": round(sd**2, 4)}[style]
        prior = self.pick(
            "HalfNormal(2)", "HalfCauchy(3)", "Gamma(2, 0.5)", "Exponential(1)", "InverseGamma(2, 1)"
        )
        self.outer(name, value, self.pick(f"parameter {name} > 0", f"{name} ~ {prior}"))
        return {"sd": name, "precision": f"tau={name}", "variance": f"sqrt({name})"}[style]

    def deviation(self, name: str, low: float = 0.3, high: float = 2.0) -> str:
        """A standard deviation by its plain name."""
        sd = round(float(self.rng.uniform(low, high)), 3)
        return self.outer(name, sd, self.pick(f"parameter {name} > 0", f"{name} ~ HalfNormal(2)"))

    def numbers(self, n: int, center: float = 0.0, spread: float = 1.5) -> np.ndarray[Any, Any]:
        """Arbitrary data."""
        return np.round(center + spread * self.rng.standard_normal(n), 3)

    def covariate(self, name: str, plate: str, owner: np.ndarray[Any, Any]) -> str:
        """A covariate that is constant within the elements coded by `owner`."""
        self.say(f"covariate {name}[{plate}]")
        self.data[name] = self.numbers(int(owner.max()) + 1)[owner]
        return name

    def observe(self, name: str, owner: np.ndarray[Any, Any], missing: float = 0.0) -> None:
        """A column constant within `owner`; `missing` takes the fourth cell and others after it."""
        values = self.numbers(int(owner.max()) + 1, center=2.0, spread=2.0)
        gaps = self.rng.random(len(values)) < missing
        gaps[:3] = False
        gaps[3] = missing > 0
        values[gaps] = np.nan
        self.data[name] = values[owner]

    def labels(self, name: str, owner: np.ndarray[Any, Any], prefix: str) -> None:
        """Level labels, not in the order of first appearance when sorted."""
        names = self.rng.permutation([f"{prefix}{i}" for i in range(int(owner.max()) + 1)])
        self.data[name] = names[owner]

    def within(self, owners: int, low: int, high: int, most: int) -> np.ndarray[Any, Any]:
        """Owner of each inner element: every owner has one, some have up to `high`."""
        sizes = self.rng.integers(low, high + 1, owners)
        sizes[self.rng.integers(owners)] = low
        while sizes.sum() > most:
            sizes[int(np.argmax(sizes))] -= 1
        return np.repeat(np.arange(owners), sizes)

    def finish(self, kind: str, seed: int) -> Case:
        """The case, with statements and rows in random order."""
        lines = [self.lines[i] for i in self.rng.permutation(len(self.lines))]
        text = "\n".join([f"model {kind}_{seed}", *self.plates, *lines]) + "\n"
        n = len(next(iter(self.data.values())))
        order = self.rng.permutation(n)
        data = {name: column[order] for name, column in self.data.items()}
        return Case(kind, seed, text, data, self.theta, self.roles)
