"""The no-U-turn sampler as its papers define it: recursion over lists of points, nothing carried along.

Random numbers are asked for in the order of `trajectory_steps`, so that draws can be compared one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class State:
    y: Any
    p: Any
    gradient: Any
    log_density: float
    energy: float


class Stop(Exception):
    """The trajectory ends inside a doubling."""


@dataclass
class Run:
    """One transition. evaluate(y) -> (log density, gradient); inverse : M^-1, (d, d)."""

    evaluate: Any
    inverse: Any
    step: float
    depth: int
    rng: Any
    gradients: int = 0
    start: float = 0.0

    def state(self, y: Any, p: Any, value: float, gradient: Any) -> State:
        return State(y, p, gradient, value, 0.5 * p @ self.inverse @ p - value)

    def moved(self, s: State, way: int) -> State:
        half = s.p + 0.5 * way * self.step * s.gradient
        y = s.y + way * self.step * (self.inverse @ half)
        value, gradient = self.evaluate(y)
        self.gradients += 1
        return self.state(y, half + 0.5 * way * self.step * gradient, value, gradient)

    def turned(self, points: list[State]) -> bool:
        """The criterion for a span of points in order of time."""
        rho = sum(s.p for s in points)
        return any(s.p @ self.inverse @ rho <= 0 for s in (points[0], points[-1]))

    def split_turned(self, points: list[State]) -> bool:
        """For a tree: the whole, and either half with the first point of the other."""
        half = len(points) // 2
        return self.turned(points) or self.turned(points[: half + 1]) or self.turned(points[half - 1 :])

    def subtree(self, end: State, way: int, depth: int) -> tuple[list[State], State]:
        """2^depth points beyond the end, in the order in which they were made, and one of them."""
        if depth == 0:
            s = self.moved(end, way)
            if not s.energy - self.start <= 1000:
                raise Stop
            return [s], s
        first, a = self.subtree(end, way, depth - 1)
        second, b = self.subtree(first[-1], way, depth - 1)
        u = self.rng.random()
        share = self.weight(second) / (self.weight(first) + self.weight(second))
        points = first + second
        if self.split_turned(points):
            raise Stop
        return points, b if u < share else a

    def weight(self, points: list[State]) -> float:
        return math.fsum(math.exp(self.start - s.energy) for s in points)

    def transition(self, y: Any) -> tuple[State, int]:
        root = np.linalg.cholesky(self.inverse)
        p = np.linalg.solve(root.T, self.rng.standard_normal(len(y)))
        chosen = self.state(y, p, *self.evaluate(y))
        self.start = chosen.energy
        points, depth = [chosen], 0
        try:
            while depth < self.depth:
                way = 1 if self.rng.random() < 0.5 else -1
                new, pick = self.subtree(points[-1] if way == 1 else points[0], way, depth)
                depth += 1
                if self.rng.random() < min(1.0, self.weight(new) / self.weight(points)):
                    chosen = pick
                points = points + new if way == 1 else new[::-1] + points
                if self.split_turned(points):
                    break
        except Stop:
            pass
        return chosen, depth
