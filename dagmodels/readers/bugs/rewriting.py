"""What JAGS says in one relation and the language in several: vectors in place, several limits, rounded data.

- `dmnorm(c(0, 0), T[,])`, `ddirch(rep(1, K))`: the vector becomes a node of its own.
- `dcat(q[g[i], 1:3])` of a wider q: the part becomes a node likewise; `q[j, 1:3] ~ ddirch(a[])`: it has the
  law, and q is defined by it.
- `y ~ dinterval(t, c[])` with M limits: y is how many of them lie below t, so that each limit tells by itself
  whether it does. `y.above[, limit]` are these indicators, which follow from the data y.
- `I(,)` that is no truncation: `restrictions`.
- `sum(w[i, 1:(k-1)])` in a loop over k: `running`.
- Data that the model transforms: `transformed`.
- `y ~ dround(t, d)`: t lies between two limits, y - h and y + h with h = 10^-d/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.dump import Arrays
from dagmodels.readers.bugs.numbers import NotFixed, number
from dagmodels.readers.bugs.restrictions import restricted
from dagmodels.readers.bugs.running import Running
from dagmodels.readers.bugs.tokens import Source
from dagmodels.readers.bugs.transformed import transformed
from dagmodels.readers.bugs.widths import Widths

TAKES_VECTORS = {
    **dict.fromkeys(("dmnorm", "dmnorm.vcov", "dmt"), "mean"),
    "dcat": "p",
    "dinterval": "limits",
    **dict.fromkeys(("ddirch", "ddirich"), "alpha"),
    **dict.fromkeys(("dmulti", "dmultinom"), "p"),
}
"""Laws whose first or second argument is a vector, and what a node made of it is called behind its dot."""
MOST = 1000  # elements of a vector that is written in place


def rewritten(program: sx.Program, data: Arrays | None, source: Source) -> tuple[sx.Program, Arrays | None]:
    """The program and its data with other relations in place of these; what has no counterpart stays."""
    if data is not None:
        program, data = transformed(program, data, source)
    work = _Rewriting(program, data, source)
    if work.data is not None:
        program, work.data = restricted(program, work.data, source, work.fresh)
    running = Running(work.fresh)
    model = work.body(running.body(program.model), ())
    return replace(program, model=(*work.above, *running.above, *model)), work.data


class _Rewriting:
    """above : relations without loops that were added; data : theirs are among them."""

    def __init__(self, program: sx.Program, data: Arrays | None, source: Source) -> None:
        self.data = None if data is None else dict(data)
        self.source = source
        self.above: list[sx.Statement] = []
        self.words = [v.name for s in _flat((*program.data, *program.model)) for v in sx.variables(s)]
        self.widths = Widths(program, self.data or {})
        self.used = {*self.words, *(data or ()), *(d.name for d in program.declarations)}

    def fresh(self, name: str) -> str:
        """A name that the text does not have."""
        while name in self.used:
            name += "."
        self.used.add(name)
        return name

    def body(self, statements: Sequence[sx.Statement], loops: tuple[str, ...]) -> tuple[sx.Statement, ...]:
        """Statements inside loops over these variables."""
        found: list[sx.Statement] = []
        for said in statements:
            if isinstance(said, sx.Loop):
                found.append(replace(said, body=self.body(said.body, (*loops, said.variable))))
            elif isinstance(said, sx.Draw):
                found += self.draw(said, loops)
            else:
                found.append(said)
        return tuple(found)

    def draw(self, said: sx.Draw, loops: tuple[str, ...]) -> list[sx.Statement]:
        """The relations that stand for one."""
        added: list[sx.Statement] = []
        if said.family in TAKES_VECTORS:
            arguments = [self.argument(said, a, loops, added) for a in said.arguments]
            said = replace(said, arguments=tuple(arguments))
        if said.family in TAKES_VECTORS and said.family != "dinterval" and self.data is not None:
            said, own = self.part(said)
            added += own
        if self.data is not None and said.target.name in self.data and len(said.arguments) == 2:
            if said.family == "dinterval":
                return [*added, self.limits(said)]
            if said.family == "dround":
                return [*added, self.rounded(said)]
        return [*added, said]

    # -- vectors in place

    def argument(
        self, said: sx.Draw, tree: sx.Expr, loops: tuple[str, ...], added: list[sx.Statement]
    ) -> sx.Expr:
        """A node in place of `c(...)`, `rep(...)` and a part of an array."""
        if said.family != "dinterval":
            tree = self.spelt(tree)
        if not isinstance(tree, sx.Fn) or tree.name not in ("c", "rep"):
            return tree
        items = self.items(tree)
        if items is None or not 0 < len(items) <= MOST:
            return tree
        own = loops if {v.name for v in sx.variables(tree)} & set(loops) else ()
        outer = tuple(sx.Var(v, None, tree.at) for v in own)
        name = self.fresh(f"{said.target.name}.{TAKES_VECTORS[said.family]}")
        made = [
            sx.Assign(sx.Var(name, (*outer, sx.Num(k + 1.0, tree.at)), tree.at), item, None, tree.at)
            for k, item in enumerate(items)
        ]
        (added if own else self.above).extend(made)
        return sx.Var(name, (*outer, sx.Whole(tree.at)), tree.at)

    def ends(self, tree: sx.Index) -> tuple[int, tuple[int, int]] | None:
        """The dimension of which a name takes a part, and the ends of that."""
        if self.data is None or not isinstance(tree, sx.Var):
            return None
        wide = [k for k, i in enumerate(tree.indices or ()) if isinstance(i, sx.Whole | sx.Span)]
        if len(wide) != 1:
            return None
        (axis,) = wide
        ends, size = self.widths.ends((tree.indices or ())[axis]), self.widths.of(tree.name, axis)
        part = ends is not None and size is not None and 1 <= ends[0] <= ends[1] <= size
        return (axis, ends) if part and ends != (1, size) else None  # type: ignore[return-value]

    def spelt(self, tree: sx.Expr) -> sx.Expr:
        """A part of an array as `c(...)` of its elements."""
        found = self.ends(tree)
        if found is None or found[1][1] - found[1][0] >= MOST:
            return tree
        assert isinstance(tree, sx.Var)
        axis, (low, high) = found
        elements = [_at(tree, axis, sx.Num(float(k), tree.at)) for k in range(low, high + 1)]
        return sx.Fn("c", tuple(elements), tree.at)

    def part(self, said: sx.Draw) -> tuple[sx.Draw, list[sx.Statement]]:
        """A law for a part of an array: that of a node of its own, by which the elements are defined."""
        found, target = self.ends(said.target), said.target
        if found is None or target.name in (self.data or {}):
            return said, []
        axis, (low, high) = found
        whole = sx.Span(sx.Num(1.0, target.at), sx.Num(float(high - low + 1), target.at), target.at)
        own = replace(_at(target, axis, whole), name=self.fresh(f"{target.name}.part"))
        defined = [
            sx.Assign(
                _at(target, axis, sx.Num(float(k), target.at)),
                _at(own, axis, sx.Num(float(k - low + 1), target.at)),
                None,
                target.at,
            )
            for k in range(low, high + 1)
        ]
        return replace(said, target=own), [*defined]

    def items(self, tree: sx.Expr) -> list[sx.Expr] | None:
        """The elements of a vector that is written in place; None where their number is not known."""
        match tree:
            case sx.Fn("c", arguments):
                parts = [self.items(a) for a in arguments]
                return None if any(p is None for p in parts) else [x for p in parts for x in p or ()]
            case sx.Fn("rep", (item, count)):
                inner, n = self.items(item), self.known(count)
                return None if inner is None or n is None else inner * int(n)
            case sx.Var(_, indices) if any(isinstance(i, sx.Whole | sx.Span) for i in indices or ()):
                return None
            case sx.Var(name, None) if self.data is not None and np.ndim(self.data.get(name, 0.0)):
                return None
            case _:
                return [tree]

    def known(self, tree: sx.Expr) -> float | None:
        """The number that follows from data alone."""
        try:
            return float(number(tree, self.data or {}, {}))
        except (NotFixed, TypeError):
            return None

    # -- limits

    def limits(self, said: sx.Draw) -> sx.Statement:
        """One indicator for each limit, where there are several."""
        t, limit = said.arguments
        if not isinstance(limit, sx.Var):
            return said
        axes = [k for k, i in enumerate(limit.indices or ()) if isinstance(i, sx.Whole | sx.Span)]
        bare = limit.indices is None and np.ndim((self.data or {}).get(limit.name, 0.0)) == 1
        if len(axes) != 1 and not bare:
            return said
        indices: tuple[sx.Index, ...] = (sx.Whole(limit.at),) if bare else (limit.indices or ())
        axis = 0 if bare else axes[0]
        count = self.count(limit, axis, indices[axis])
        if count is None:
            return said
        place = sx.Var(self.fresh("limit"), None, said.at)
        picked = sx.Var(limit.name, (*indices[:axis], place, *indices[axis + 1 :]), limit.at)
        y = self.taken(said)
        if not np.isin(y[~np.isnan(y)], np.arange(count + 1)).all():
            told = f"{sx.text(said.target)} goes from {np.nanmin(y):g} to {np.nanmax(y):g} in the data"
            self.source.fault(f"{told}.", f"dinterval of {count} limits gives 0 to {count}", said.at)
        above = np.where(np.isnan(y)[..., None], np.nan, y[..., None] > np.arange(count))
        return self.indicators(said, t, picked, place, above)

    def count(self, limit: sx.Var, axis: int, index: sx.Index) -> int | None:
        """How many limits there are; a range begins with the first."""
        if isinstance(index, sx.Span):
            first, last = self.known(index.low), self.known(index.high)
            return int(last) if first == 1 and last is not None else None
        shape = np.shape((self.data or {}).get(limit.name, 0.0))
        if axis < len(shape):
            return shape[axis]
        made = [s for s in self.above if isinstance(s, sx.Assign) and s.target.name == limit.name]
        return len(made) or None

    def rounded(self, said: sx.Draw) -> sx.Statement:
        """Two limits, half of the last digit to either side."""
        digits = self.known(said.arguments[1])
        if digits is None:
            return said
        y = self.taken(said)
        half = 0.5 * 10.0**-digits
        ends = self.fresh(f"{said.target.name}.ends")
        assert self.data is not None
        self.data[ends] = np.stack([y - half, y + half], axis=-1)
        place = sx.Var(self.fresh("limit"), None, said.at)
        picked = sx.Var(ends, (*(said.target.indices or ()), place), said.at)
        above = np.where(np.isnan(y)[..., None], np.nan, np.array([1.0, 0.0]))
        return self.indicators(said, said.arguments[0], picked, place, above)

    def taken(self, said: sx.Draw) -> np.ndarray:
        """The data of a node that others take the place of; they stay where the text uses them elsewhere."""
        assert self.data is not None
        name = said.target.name
        return np.asarray(self.data.pop(name) if self.words.count(name) == 1 else self.data[name])

    def indicators(
        self, said: sx.Draw, t: sx.Expr, limit: sx.Var, place: sx.Var, above: np.ndarray
    ) -> sx.Loop:
        """`for (limit in 1:M) { y.above[i, limit] ~ dinterval(t, c[limit]) }`, with its data."""
        assert self.data is not None
        name = self.fresh(f"{said.target.name}.above")
        self.data[name] = above
        target = sx.Var(name, (*(said.target.indices or ()), place), said.target.at)
        one = replace(said, target=target, family="dinterval", arguments=(t, limit))
        ends = sx.Num(1.0, said.at), sx.Num(float(above.shape[-1]), said.at)
        return sx.Loop(place.name, *ends, (one,), said.at)


def _at(var: sx.Var, axis: int, index: sx.Index) -> sx.Var:
    """The name with another index."""
    indices = var.indices or ()
    return replace(var, indices=(*indices[:axis], index, *indices[axis + 1 :]))


def _flat(statements: Sequence[sx.Statement]) -> list[sx.Statement]:
    """Every statement, those of loops beside the loops."""
    found: list[sx.Statement] = []
    for said in statements:
        found.append(said)
        if isinstance(said, sx.Loop):
            found += _flat(said.body)
    return found


__all__ = ["rewritten"]
