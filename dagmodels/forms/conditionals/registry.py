"""All rules, in the order in which they are asked: those of others first, then the package's own."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from dagmodels.errors import DagmodelsError, FitError
from dagmodels.forms.conditionals import cut_kernels, kernels, levels, matrices, normal, simplex, slices
from dagmodels.forms.conditionals.rule import Rule

OWN: tuple[Rule, ...] = (normal, kernels, cut_kernels, simplex, matrices, levels, slices)  # type: ignore[assignment]
GROUP = "dagmodels.rules"
_registered: list[Rule] = []

TEMPLATE = '''
from dagmodels.forms.conditionals.rule import Update

name = "my rule"

def recognise(board, target):
    """The update of these elements, or a sentence why the rule does not apply."""
    if target.node != "{node}":
        return "made for '{node}' alone"
    density = board.log_density(target)        # a register: log density by unit, for a check

    def draw(parameters, values, rng):         # parameters: what the registers hold now
        return values                          # new values, in the order of target.slots

    told, n = "my rule", len(target.units)
    return Update(target.node, target.slots, "python", n, (density,), told, function=draw)
'''


def register_rule(rule: Rule) -> None:
    """Ask this rule before the package's own, in this process.

    A package that is installed states its rules in the entry-point group `dagmodels.rules` instead, which
    holds in other processes too. `dagmodels.check_rules` tests a rule.

    Raises `FitError` for what is no rule.
    """
    if not (isinstance(getattr(rule, "name", None), str) and callable(getattr(rule, "recognise", None))):
        raise FitError(f"{rule!r} is no rule: it needs a name and a function recognise(board, target)")
    _registered[:] = [r for r in _registered if r.name != rule.name] + [rule]


def unregister_rule(name: str) -> None:
    """Forget a registered rule."""
    _registered[:] = [r for r in _registered if r.name != name]


def rules() -> tuple[Rule, ...]:
    """All of them."""
    return (*_registered, *_installed(), *OWN)


@cache
def _installed() -> tuple[Rule, ...]:
    found = []
    for point in entry_points(group=GROUP):
        try:
            found.append(point.load())
        except Exception as error:
            raise DagmodelsError(
                f"the rule '{point.name}' ({point.value}) cannot be loaded: {error}"
            ) from error
    return tuple(found)


def template(node: str) -> str:
    """A rule to begin with."""
    return TEMPLATE.format(node=node)
