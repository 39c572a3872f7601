"""Order and rank conditions of simultaneous equations (Fisher 1966, The Identification Problem in
Econometrics; Bollen 1989, 98).

A block is what feedback and correlated disturbances join; what enters it from outside is predetermined. With
C = [I - B, -Gamma] and equation i leaving some columns out, i is identified just if these columns have the
rank of the block's equations less one, disturbances covarying freely; where some do not, that is enough.
"""

from __future__ import annotations

from itertools import combinations
from random import Random

from dagmodels.analysis.identify.mixed_graph import Mixed, blocks
from dagmodels.analysis.identify.path_model import PathModel
from dagmodels.analysis.identify.verdict import IDENTIFIED, NOT, SILENT, RuleVerdict, listed

RULE = "order and rank conditions"
PRIME = (1 << 61) - 1  # ranks at random whole numbers modulo a prime are generic ranks but for odds of 1e-15


def rank_condition(m: PathModel) -> RuleVerdict:
    """Its answer about the equations of all blocks of more than one; nodes : the equations in question."""
    if m.silent:
        return RuleVerdict(RULE, SILENT, (), m.silent)
    if not m.own:
        return RuleVerdict(RULE, SILENT, (), m.not_own)
    joined = simultaneous(m.mixed)
    if not joined:
        return RuleVerdict(RULE, SILENT, (), "no equations are joined by feedback or disturbances")
    failed = [(n, told) for block in joined for n, told in failures(m.mixed, block).items()]
    if not failed:
        ends = tuple(n for block in joined for n in block)
        return RuleVerdict(
            RULE, IDENTIFIED, ends, f"each equation leaves enough out: {listed(ends)}{m.apart}"
        )
    names = tuple(n for n, _ in failed)
    sure = [
        (n, told) for n, told in failed
        if all(n not in block or _all_covary(m.mixed, block) for block in joined)
    ]  # fmt: skip
    if sure and m.alone:
        hint = f"leave a variable out of {listed([n for n, _ in sure])}, or add one to the other equations"
        return RuleVerdict(RULE, NOT, tuple(n for n, _ in sure), _some(sure), hint)
    other = "disturbances that do not covary" if m.alone else "means, or equalities between groups,"
    return RuleVerdict(RULE, SILENT, names, f"{_some(failed)}; {other} may identify what is left")


def _some(failed: list[tuple[str, str]]) -> str:
    """The first reasons, and how many equations fail beside."""
    told = [told for _, told in failed[:3]]
    return "; ".join([*told, *([f"{len(failed) - 3} more equations fail"] if len(failed) > 3 else [])])


def simultaneous(g: Mixed) -> list[tuple[str, ...]]:
    """Blocks of several equations, causes before effects; those without any arrow inside or into are left."""
    of = {n: n for n in g.nodes}

    def merge(names: tuple[str, ...]) -> None:
        found = {of[n] for n in names}
        for n in g.nodes:
            if of[n] in found:
                of[n] = min(found)

    for pair in g.arcs:
        merge(tuple(pair))
    grown = True
    while grown:  # blocks that depend on one another are one
        edges = frozenset((of[a], of[b]) for a, b in g.arrows if of[a] != of[b])
        rings = [r for r in blocks(tuple(dict.fromkeys(of.values())), edges) if len(r) > 1]
        for ring in rings:
            merge(tuple(n for n in g.nodes if of[n] in ring))
        grown = bool(rings)
    heads = dict.fromkeys(of[n] for n in g.nodes)
    members = [tuple(n for n in g.nodes if of[n] == head) for head in heads]
    ends = set(g.endogenous)
    return [part for part in members if len(part) > 1 and ends & set(part)]


def failures(g: Mixed, block: tuple[str, ...]) -> dict[str, str]:
    """Equations of a block that miss a condition, with the reason."""
    outside = tuple(n for n in g.nodes if n not in block and any((n, b) in g.arrows for b in block))
    columns = (*block, *outside)
    random = Random(20120615)
    c = {
        row: {col: 1 if col == row else random.randrange(1, PRIME) if (col, row) in g.arrows else 0
              for col in columns}
        for row in block
    }  # fmt: skip
    found: dict[str, str] = {}
    need = len(block) - 1
    for row in block:
        left = [col for col in columns if not c[row][col]]
        if len(left) < need:
            found[row] = f"'{row}' leaves out {len(left)} of the variables of its block, and needs {need}"
        elif rank([[c[r][col] for col in left] for r in block]) < need:
            found[row] = f"what '{row}' leaves out does not tell the other equations of its block apart"
    return found


def _all_covary(g: Mixed, block: tuple[str, ...]) -> bool:
    return all(frozenset(pair) in g.arcs for pair in combinations(block, 2))


def rank(rows: list[list[int]]) -> int:
    """Of a matrix of whole numbers, modulo the prime."""
    left, found = [list(r) for r in rows], 0
    for column in range(len(left[0]) if left else 0):
        at = next((i for i in range(found, len(left)) if left[i][column] % PRIME), None)
        if at is None:
            continue
        left[found], left[at] = left[at], left[found]
        inverse = pow(left[found][column], -1, PRIME)
        for i in range(found + 1, len(left)):
            share = left[i][column] * inverse % PRIME
            if share:
                left[i] = [(a - share * b) % PRIME for a, b in zip(left[i], left[found], strict=True)]
        found += 1
    return found
