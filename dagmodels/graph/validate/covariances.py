"""Do `~~` statements join two Normal nodes of the same plates, each pair once?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dagmodels.graph import statement as st
from dagmodels.graph.faults import Faults
from dagmodels.graph.resolve import Symbol


def check(statements: Iterable[st.Statement], symbols: Mapping[str, Symbol], faults: Faults) -> None:
    given = tuple(statements)
    pairs = [s for s in given if isinstance(s, st.Covariance)]
    if not pairs:
        return
    families: dict[str, set[str]] = {}
    for statement in given:
        match statement:
            case st.Stochastic(head=head, distribution=law):
                families.setdefault(head.name, set()).add(law.family)
            case st.Joint(names=names):
                for name in names:
                    families.setdefault(name, set()).add("a joint law")
            case _:
                pass
    seen: dict[frozenset[st.Head], st.Covariance] = {}
    for pair in pairs:
        _pair(pair, families, symbols, faults)
        key = frozenset((pair.left, pair.right))
        if key in seen:
            faults.add(
                f"The covariance of `{pair.left.name}` and `{pair.right.name}` is given twice.",
                pair,
                node=pair.left.name,
                hint="remove one of the statements",
            )
        seen[key] = pair


def _pair(
    pair: st.Covariance, families: Mapping[str, set[str]], symbols: Mapping[str, Symbol], faults: Faults
) -> None:
    left, right = pair.left, pair.right
    if left.name not in symbols or right.name not in symbols:
        return  # said already
    if left == right:
        faults.add(
            f"`{left.name} ~~ {left.name}` is a variance, not a covariance.",
            pair,
            node=left.name,
            hint=f"write {left.name} ~ Normal(m, sqrt(v))",
        )
        return
    for head in dict.fromkeys((left.name, right.name)):
        found = families.get(head, set())
        if found != {"Normal"}:
            law = " and ".join(sorted(found)) if found else "no distribution"
            faults.add(
                f"`~~` joins Normal nodes, but `{head}` has {law}.",
                pair,
                node=head,
                hint=f"give `{head}` a Normal distribution, or let both share a latent node",
            )
    if any(s.first for h in (left, right) for s in h.slots):
        faults.add("`~~` does not take `first`.", pair, node=left.name, hint="write whole plates or levels")
    own, other = _places(left), _places(right)
    if own != other:
        faults.add(
            f"`~~` joins nodes of the same plates, but `{left.name}` lies on {_text(own)} "
            f"and `{right.name}` on {_text(other)}.",
            pair,
            node=left.name,
            hint="let both have the same plates",
        )


def _places(head: st.Head) -> tuple[str, ...]:
    """Plates over which the pair ranges: those of named levels left out."""
    return tuple(s.plate or "" for s in head.slots if s.label is None)


def _text(plates: tuple[str, ...]) -> str:
    return f"[{', '.join(plates)}]" if plates else "no plate"
