"""Running sums and products, `sum(w[i, 1:(k-1)])` in a loop over k: a node of its own that is added to.

`w.sum[i,1] <- w[i,1]` and `w.sum[i,k] <- w.sum[i,k-1] + w[i,k]`: one addition an element. The k-th depends
on earlier elements alone, so that w may in turn depend on the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.relations import Relation, changed, nested, plain

OPERATORS = {"sum": "+", "prod": "*"}


@dataclass(eq=False)
class Running:
    """fresh : a name that the text does not have. above : relations that were added, inside their loops."""

    fresh: Callable[[str], str]
    above: list[sx.Statement] = field(default_factory=list)
    _names: dict[tuple[str, ...], str] = field(default_factory=dict)

    def body(
        self, statements: Sequence[sx.Statement], loops: tuple[sx.Loop, ...] = ()
    ) -> tuple[sx.Statement, ...]:
        """The statements with nodes in place of running sums."""
        found: list[sx.Statement] = []
        for said in statements:
            if isinstance(said, sx.Loop):
                found.append(replace(said, body=self.body(said.body, (*loops, said))))
            else:
                found.append(changed(said, lambda tree: self._change(tree, loops)))
        return tuple(found)

    def _change(self, tree: sx.Index, loops: tuple[sx.Loop, ...]) -> sx.Index:
        match tree:
            case sx.Fn(name, (sx.Var() as var,)) if name in OPERATORS:
                return self._node(name, var, loops) or tree
            case sx.Fn(name, arguments, at):
                return sx.Fn(name, tuple(self._change(a, loops) for a in arguments), at)  # type: ignore[misc]
            case sx.Op(op, left, right, at):
                return sx.Op(op, self._change(left, loops), self._change(right, loops), at)  # type: ignore[arg-type]
            case sx.Neg(operand, at):
                return sx.Neg(self._change(operand, loops), at)  # type: ignore[arg-type]
            case _:
                return tree

    def _node(self, kind: str, var: sx.Var, loops: tuple[sx.Loop, ...]) -> sx.Var | None:
        """The running total that stands for a sum; None where it is none."""
        indices = var.indices or ()
        wide = [k for k, i in enumerate(indices) if isinstance(i, sx.Whole | sx.Span)]
        span = indices[wide[0]] if len(wide) == 1 else None
        if not isinstance(span, sx.Span) or span.low != sx.Num(1.0):
            return None
        last = plain(span.high, [x.variable for x in loops])
        loop = next((x for x in loops if last is not None and x.variable == last[0]), None)
        if last is None or loop is None or loop.high is None or last[1] > 0:
            return None
        if not isinstance(loop.low, sx.Num) or loop.low.value + last[1] < 1:
            return None  # an empty sum for some
        others = [i for k, i in enumerate(indices) if k != wide[0]]
        own = self._loops(others, loop, loops)
        if loop.variable in {v.name for i in others for v in sx.variables(i)} or own is None:
            return None
        key = (kind, sx.text(var), *(f"{x.variable}:{sx.text(x.high or x.low)}" for x in (*own, loop)))
        if key not in self._names:
            self._names[key] = self.fresh(f"{var.name}.{kind}")
            ends = (
                loop.high if not last[1] else sx.Op("-", loop.high, sx.Num(-float(last[1]), var.at), var.at)
            )
            self._define(kind, self._names[key], var, wide[0], replace(loop, high=ends), own)
        return _at(replace(var, name=self._names[key]), wide[0], span.high)

    def _loops(
        self, others: Sequence[sx.Index], loop: sx.Loop, loops: tuple[sx.Loop, ...]
    ) -> tuple[sx.Loop, ...] | None:
        """The loops, but that of the sum, that its elements hang on; None where these depend on its own."""
        needed = {v.name for i in (*others, *sx.parts(loop)) for v in sx.variables(i)}
        found: list[sx.Loop] = []
        for outer in reversed(loops):
            if outer.variable in needed and outer is not loop:
                found.insert(0, outer)
                needed |= {v.name for e in sx.parts(outer) for v in sx.variables(e)}
        return (
            None
            if any(loop.variable == v.name for x in found for e in sx.parts(x) for v in sx.variables(e))
            else tuple(found)
        )

    def _define(
        self, kind: str, name: str, var: sx.Var, axis: int, loop: sx.Loop, own: tuple[sx.Loop, ...]
    ) -> None:
        at, k = var.at, sx.Var(loop.variable, None, var.at)
        total, one = replace(var, name=name), sx.Num(1.0, var.at)
        first = sx.Assign(_at(total, axis, one), _at(var, axis, one), None, at)
        before = _at(total, axis, sx.Op("-", k, one, at))
        step = sx.Assign(_at(total, axis, k), sx.Op(OPERATORS[kind], before, _at(var, axis, k), at), None, at)
        along = replace(loop, low=sx.Num(2.0, at))
        self.above += [nested(Relation(first, own)), nested(Relation(step, (*own, along)))]


def _at(var: sx.Var, axis: int, index: sx.Index) -> sx.Var:
    """The name with another index."""
    indices = var.indices or ()
    return replace(var, indices=(*indices[:axis], index, *indices[axis + 1 :]))


__all__ = ["Running"]
