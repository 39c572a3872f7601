"""Which variables a model has, and in which roles: lavaan's `lavNames`, in its order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Triple = tuple[str, str, str]  # lhs, op, rhs


@dataclass(frozen=True, slots=True)
class Variables:
    """Names by role, each set in lavaan's order.

    latent : with indicators (`=~`) or made of others (`<~`).
    formative : those made of others only.
    products : interaction terms in which a latent variable takes part.
    observed : indicators first, then other dependent variables, predictors, and what only has
        covariances or intercepts.
    exogenous : observed predictors that nothing is said about: lavaan's "ov.x".
    endogenous : the other observed variables, "ov.nox".
    indicators : observed indicators, "ov.ind".
    latent_indicators : latent variables that are indicators of others, "lv.ind".
    latent_x, latent_y : latent variables that nothing points to; and that are outcomes only.
    observed_y : observed variables that are outcomes only, "ov.y".
    ordered : those with thresholds.
    """

    latent: tuple[str, ...]
    formative: tuple[str, ...]
    products: tuple[str, ...]
    observed: tuple[str, ...]
    exogenous: tuple[str, ...]
    endogenous: tuple[str, ...]
    indicators: tuple[str, ...]
    latent_indicators: tuple[str, ...]
    latent_x: tuple[str, ...]
    latent_y: tuple[str, ...]
    observed_y: tuple[str, ...]
    ordered: tuple[str, ...]


def variables(triples: Iterable[Triple]) -> Variables:
    """The variables of the user's own elements."""
    measured: dict[str, None] = {}  # left of =~
    composed: dict[str, None] = {}  # left of <~
    latent: dict[str, None] = {}
    v_ind: dict[str, None] = {}
    eqs_y: dict[str, None] = {}
    eqs_x: dict[str, None] = {}
    left: dict[str, None] = {}  # of ~~
    right: dict[str, None] = {}
    single: dict[str, None] = {}  # of ~1 and |
    ordered: dict[str, None] = {}
    said: set[str] = set()  # has a variance, covariance or intercept of its own
    for lhs, op, rhs in triples:
        match op:
            case "=~":
                measured[lhs] = latent[lhs] = v_ind[rhs] = None
            case "<~":
                composed[lhs] = latent[lhs] = eqs_x[rhs] = None
            case "~":
                eqs_y[lhs] = eqs_x[rhs] = None
            case "~~":
                left[lhs] = right[rhs] = None
                said.update((lhs, rhs))
            case "~1":
                single[lhs] = None
                said.add(lhs)
            case "|":
                single[lhs] = ordered[lhs] = None
            case _:
                pass
    names = (*eqs_x, *v_ind, *eqs_y, *left, *right, *single)
    products = tuple(n for n in dict.fromkeys(names) if ":" in n and any(p in latent for p in n.split(":")))
    latent.update(dict.fromkeys(products))
    ind = [v for v in v_ind if v not in latent]
    taken = {*latent, *ind}
    y = [v for v in eqs_y if v not in taken]
    taken.update(y)
    x = [v for v in eqs_x if v not in taken]
    observed = dict.fromkeys((*ind, *y, *x))
    observed.update(dict.fromkeys(v for v in (*left, *right, *single) if v not in latent))
    exogenous = tuple(v for v in x if v not in said)
    outside = set(exogenous)
    only_y = [v for v in eqs_y if v not in v_ind and v not in eqs_x]
    return Variables(
        latent=tuple(latent),
        formative=tuple(v for v in composed if v not in measured),
        products=products,
        observed=tuple(observed),
        exogenous=exogenous,
        endogenous=tuple(v for v in observed if v not in outside),
        indicators=tuple(ind),
        latent_indicators=tuple(v for v in latent if v in v_ind),
        latent_x=tuple(v for v in latent if v not in v_ind and v not in eqs_y),
        latent_y=tuple(v for v in latent if v in only_y),
        observed_y=tuple(v for v in observed if v in only_y and v not in latent),
        ordered=tuple(v for v in observed if v in ordered),
    )
