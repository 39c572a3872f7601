"""Names a distribution's arguments: positions become names, and both spellings one value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from dagmodels.errors import ModelError
from dagmodels.graph import statement as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from dagmodels.distributions import Family

Named = list[tuple[str, st.Argument]]

WRAPPERS: Mapping[str, tuple[str, ...]] = {
    "Truncated": ("distribution", "lower", "upper"),
    "Censored": ("distribution", "lower", "upper"),
    "Ordered": ("distribution",),
    "Mixture": ("weights", "components"),
    "Table": (),  # its parents are "0", "1", ..., its numbers "rows"
}
_OPTIONAL = {"Truncated": {"lower", "upper"}, "Censored": {"lower", "upper"}}


@cache
def family_or_none(name: str) -> Family | None:
    """The registered family of that name (only its own file is imported)."""
    from dagmodels.distributions import family

    if name in WRAPPERS:
        return None
    try:
        return family(name)
    except ModelError:
        return None


def distribution_names() -> tuple[str, ...]:
    """Every name that may follow `~`."""
    from dagmodels.distributions import families

    return (*families(), *WRAPPERS)


def is_distribution(name: str) -> bool:
    return name in WRAPPERS or family_or_none(name) is not None


@cache
def order(name: str) -> tuple[str, ...]:
    """The canonical argument names in order."""
    if name in WRAPPERS:
        return WRAPPERS[name]
    family = family_or_none(name)
    return tuple(p.name for p in family.parameters) if family is not None else ()


def name_arguments(
    name: str, given: tuple[tuple[str, st.Argument], ...], fault: Callable[[str, str], None]
) -> Named:
    """The arguments by name, in canonical order.

    fault : called with (message, hint) for what is missing, doubled, unknown or too much.
    """
    positions = order(name)
    found: dict[str, st.Argument] = {}
    for number, (key, value) in enumerate(given):
        if key == "":
            if number >= len(positions):
                fault(f"{name} takes {_count(positions)}, not {len(given)}.", f"write {usage(name)}")
                break
            key = positions[number]
        if key in found:
            fault(f"{key} of {name} is given twice.", f"write {usage(name)}")
            continue
        found[key] = value
    if name in WRAPPERS:
        known, needed = set(positions), set(positions) - _OPTIONAL.get(name, set())
        aliases: dict[str, str] = {}
    else:
        family = family_or_none(name)
        assert family is not None
        whole = next((s for s in family.signatures if set(s) == set(found)), None)
        if whole is not None:
            return [(key, found[key]) for key in whole]
        aliases = {key: canonical for key, (canonical, _) in family.alternatives.items()}
        whole_names = {key for s in family.signatures for key in s}
        known = set(positions) | set(aliases) | whole_names
        needed = {p.name for p in family.parameters if p.default is None}
    _check(name, found, positions, known, needed, aliases, fault)
    rank = {key: i for i, key in enumerate(positions)}
    return sorted(found.items(), key=lambda item: rank.get(aliases.get(item[0], item[0]), len(rank)))


def _check(
    name: str,
    found: dict[str, st.Argument],
    positions: tuple[str, ...],
    known: set[str],
    needed: set[str],
    aliases: dict[str, str],
    fault: Callable[[str, str], None],
) -> None:
    import difflib

    covered: dict[str, str] = {}
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"write {usage(name)}"
            fault(f"{name} has no argument called '{key}'.", hint)
            continue
        canonical = aliases.get(key, key)
        if canonical in covered:
            pair = f"{covered[canonical]} and {key}"
            fault(f"{pair} of {name} say the same thing twice.", "give one of them")
        covered[canonical] = key
    if any(key not in known for key in found):
        return
    missing = [p for p in positions if p in needed and p not in covered]
    if missing:
        fault(f"{name} needs {_list(missing)}.", f"write {usage(name)}")


def usage(name: str) -> str:
    """How the distribution is called, such as `Normal(mu, sigma)`."""
    if name == "Table":
        return 'Table([0.2, 0.8]) or Table(parent, {"state": [0.2, 0.8], ...})'
    optional = _OPTIONAL.get(name, set())
    parts = [f"{p}=" if p in optional else ("D" if p == "distribution" else p) for p in order(name)]
    if name == "Mixture":
        parts = ["w", "[D1, D2]"]
    text = f"{name}({', '.join(parts)})"
    family = family_or_none(name) if name not in WRAPPERS else None
    if family is not None and family.alternatives:
        text += ", or " + ", ".join(f"{a}= for {c}" for a, (c, _) in family.alternatives.items())
    return text


def _count(positions: tuple[str, ...]) -> str:
    if not positions:
        return "no argument"
    return f"{len(positions)} argument{'s' if len(positions) > 1 else ''} ({', '.join(positions)})"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
