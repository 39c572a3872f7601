"""An estimated distribution of a latent: values, probabilities, moments, quantiles, draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
NOTHING = 1e-10  # probabilities below are left out of tables


@dataclass(frozen=True, eq=False, slots=True)
class Mixing:
    """A distribution on finitely many values.

    node : the latent that has it. family : how much was assumed of it ("NPMLE", "GModel", "Unimodal").
    grid : its values, rising. weights : their probabilities. errors : standard errors of these, None where
    there are none. width : the piece of the line that each value stands for; 0 for masses.
    """

    node: str
    family: str
    grid: Floats
    weights: Floats
    errors: Floats | None
    width: Floats

    @property
    def mean(self) -> float:
        """Expected value."""
        return float(self.weights @ self.grid)

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.weights @ (self.grid - self.mean) ** 2))

    @property
    def table(self) -> DataFrame:
        """A row a value that has a probability: value, weight, se, density (nan for masses), cumulative."""
        from pandas import DataFrame

        kept = self.weights > NOTHING
        errors = np.full(kept.size, np.nan) if self.errors is None else self.errors
        with np.errstate(divide="ignore", invalid="ignore"):
            density = np.where(self.width > 0, self.weights / self.width, np.nan)
        columns = {
            "value": self.grid,
            "weight": self.weights,
            "se": errors,
            "density": density,
            "cumulative": np.cumsum(self.weights),
        }
        return DataFrame({name: column[kept] for name, column in columns.items()})

    def quantile(self, p: float) -> float:
        """The least value that is not exceeded with probability p."""
        return float(self.grid[min(int(np.searchsorted(np.cumsum(self.weights), p)), self.grid.size - 1)])

    def draw(self, n: int | tuple[int, ...], seed: int = 1) -> Floats:
        """Independent values, such as `g.simulate(values={"theta": fit.mixing.draw(n)})` takes."""
        return np.random.default_rng(seed).choice(self.grid, n, p=self.weights / self.weights.sum())

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.table.to_html(index=False)

    def __str__(self) -> str:
        head = f"{self.family} of '{self.node}': mean {self.mean:.6g}, sd {self.sd:.6g}"
        return f"{head}\n{self.table.to_string(index=False)}"
