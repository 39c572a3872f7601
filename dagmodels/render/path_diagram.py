"""What a path diagram shows, without places: variables, arrows, covariances, with a label each."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow from `start` to `end`, or a covariance of the two.

    label : lines of text on it, none for no label. fixed : the number is not estimated.
    given : the covariance of two covariates, which is drawn only where they stand beside one another.
    """

    start: str
    end: str
    label: tuple[str, ...] = ()
    fixed: bool = False
    given: bool = False


@dataclass(frozen=True, slots=True)
class PathDiagram:
    """One group's diagram.

    title : the group's name, or "". variables : in the order of the model. latent : those drawn as ellipses.
    arrows, arcs : single-headed and double-headed lines. own : by variable, the label of the variance of what
    no arrow explains; drawn where given. means : by variable, the label of its mean or intercept.
    """

    title: str
    variables: tuple[str, ...]
    latent: frozenset[str]
    arrows: tuple[Line, ...]
    arcs: tuple[Line, ...]
    own: dict[str, Line] = field(default_factory=dict)
    means: dict[str, Line] = field(default_factory=dict)
