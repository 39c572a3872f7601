"""Priors for the parameters of a lavaan text: blavaan's defaults, or the user's, written into the graph.

Loadings, regressions and intercepts have priors themselves; variances have one on their standard deviations,
covariances one on their correlations (Merkle and Rosseel 2018, J. Stat. Softw. 85(4), section 3), which are
nodes of their own then: `sd(x1)` with `x1~~x1` = `sd(x1)`**2.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from dagmodels.errors import ModelError, ModelErrors, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag

if TYPE_CHECKING:
    from dagmodels.readers.lavaan import Reading
    from dagmodels.readers.lavaan.rows import Row

INF = float("inf")
WHERE = "the priors of the model"
DEFAULTS = {
    "nu": "Normal(0, 32)",
    "alpha": "Normal(0, 10)",
    "lambda": "Normal(0, 10)",
    "beta": "Normal(0, 10)",
    "theta": "Gamma(1, 0.5)[sd]",
    "psi": "Gamma(1, 0.5)[sd]",
    "rho": "Uniform(-1, 1)[cor]",
    "cov": "Normal(0, 10)[cov]",
}
KINDS = {
    "nu": "intercepts of observed variables",
    "alpha": "means and intercepts of latent variables",
    "lambda": "loadings",
    "beta": "regressions",
    "theta": "residual variances of observed variables",
    "psi": "variances of latent variables",
    "rho": "covariances",
    "cov": "covariances without a correlation of their own",
}
_SCALED = re.compile(r"(.*)\[(sd|var|cor|cov)\]\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prior:
    """A law, and what it is the law of: "" for the parameter itself, "sd", "var", "cor" or "cov".

    text : as it is told.
    """

    law: st.Distribution
    scale: str
    text: str


@dataclass(frozen=True, slots=True)
class Informed:
    """A graph whose parameters have priors. told : the priors in words, by kind."""

    dag: Dag
    told: tuple[str, ...]


def informed(reading: Reading, priors: Mapping[str, str] | None = None) -> Informed:
    """The graph of a reading with priors.

    priors : laws by kind (`KINDS`), or by the name of a parameter as the table prints it (`f=~x2`, a label,
        `x1~~x1`): "Normal(0, 1)"; of variances "Gamma(1, 0.5)[sd]" or "InverseGamma(2, 1)[var]", of
        covariances "Uniform(-1, 1)[cor]" or "Normal(0, 1)[cov]".

    Raises
    ------
    ModelErrors : priors of what is not there, or that do not fit; labels that tie parameters of two kinds;
        models of two levels, of ordered variables, or with constraints that a graph does not hold.
    """
    return _Writer(reading, dict(priors or {})).written()


class _Writer:
    def __init__(self, reading: Reading, priors: dict[str, Any]) -> None:
        self.reading, self.given = reading, priors
        self.faults: list[ModelError] = []
        self.rows: dict[str, list[Row]] = {}
        for row, held in zip(reading.table.rows, reading.provenance.rows, strict=True):
            if row.free and held.node is not None and row.op not in ("==", "<", ">", ":="):
                self.rows.setdefault(held.node, []).append(row)
        self.saturated = set(reading.provenance.saturated.values())
        self.parameters = {s.name: s for s in reading.dag.statements if isinstance(s, st.Parameter)}
        self.told: dict[str, str] = {}

    def written(self) -> Informed:
        self._refuse()
        raise_all(self.faults, WHERE)
        statements: list[st.Statement] = []
        for s in self.reading.dag.statements:
            statements.extend(self._prior(s) if isinstance(s, st.Parameter) else (s,))
        raise_all(self.faults, WHERE)
        dag = Dag(self.reading.dag.name, self.reading.dag.plates, tuple(statements))
        alike: dict[str, list[str]] = {}
        for what, text in self.told.items():
            alike.setdefault(text, []).append(what)
        return Informed(dag, tuple(f"{text} for {', '.join(what)}" for text, what in alike.items()))

    def _refuse(self) -> None:
        table, from_text = self.reading.table, self.reading.provenance
        if table.levels:
            told = "models of two levels have no posterior here"
            self._fault(told, "fit them by maximum likelihood, or write the graph in the model language")
        if from_text.responses:
            named = ", ".join(f"'{n}'" for n in list(from_text.responses)[:4])
            self._fault(f"{named} are ordered, for which there is no posterior here", "estimator='WLSMV'")
        if from_text.constraints:
            c = from_text.constraints[0]
            told = f"draws cannot keep the constraint '{c.lhs} {c.op} {c.rhs}'"
            self._fault(told, "write it into the graph, or leave it out")
        known = {*KINDS, *self.parameters, *self._printed()}
        for name, text in self.given.items():
            if name not in known:
                near = difflib.get_close_matches(str(name), known, 1)
                hint = f"did you mean '{near[0]}'?" if near else f"kinds are {', '.join(KINDS)}"
                self._fault(f"priors: there is no parameter or kind '{name}'", hint)
            elif not isinstance(text, str):
                self._fault(f"the prior of '{name}' is {text!r}", 'write a law, such as "Normal(0, 1)"')

    def _printed(self) -> set[str]:
        return {row.label or row.name for rows in self.rows.values() for row in rows}

    def _fault(self, told: str, hint: str, node: str | None = None) -> None:
        self.faults.append(ModelError(told, hint=hint, node=node))

    # -- one parameter

    def _prior(self, p: st.Parameter) -> Iterator[st.Statement]:
        kinds = self._kinds(p.name)
        if len(kinds) != 1:
            told = f"'{p.name}' is one parameter of several kinds: {' and '.join(sorted(kinds))}"
            self._fault(told, "give them labels of their own", p.name)
            return
        (kind,) = kinds
        side = self._sides(p) if kind == "rho" else None
        prior = self._law(p.name, "cov" if kind == "rho" and side is None else kind)
        if prior is None:
            return
        bounded = p.domain is not None and (p.domain.lower > -INF or p.domain.upper < INF)
        head = st.Head(p.name, tuple(st.Slot(q) for q in p.plates))
        if prior.scale == "sd" and not bounded:
            yield from self._through(head, f"sd({_inner(p.name)})", prior, None)
        elif prior.scale == "cor" and side is not None and not bounded:
            yield from self._through(head, f"cor({_inner(p.name)})", prior, side)
        elif bounded and prior.scale in ("sd", "cor"):
            scale = "var" if prior.scale == "sd" else "cov"
            told = f"'{p.name}' has bounds, and its prior is that of its {prior.scale}"
            self._fault(told, f"give it one of its own: priors={{'{p.name}': \"...[{scale}]\"}}", p.name)
        else:
            law = _within(prior.law, p.domain) if bounded else prior.law
            yield st.Stochastic(head, law)

    def _through(
        self, head: st.Head, name: str, prior: Prior, scale: ex.Expression | None
    ) -> Iterator[st.Statement]:
        """A node for what has the prior, and the parameter as a function of it."""
        while name in self.reading.dag.nodes:
            name += "_"
        plates = tuple(ex.PlateIndex(s.plate) for s in head.slots if s.plate is not None)
        own = ex.Reference(name, plates or None)
        yield st.Stochastic(st.Head(name, head.slots), prior.law)
        whole: ex.Expression = ex.Binary("**", own, ex.Number(2))
        if scale is not None:
            whole = own if ex.literal(scale) == 1.0 else ex.Binary("*", own, scale)
        yield st.Deterministic(head, whole)

    def _kinds(self, node: str) -> set[str]:
        if node in self.saturated:
            return {"nu"}
        latent = set(self.reading.table.latent)
        found = set()
        for row in self.rows.get(node, ()):
            match row.op:
                case "=~":
                    found.add("lambda")
                case "~" | "<~":
                    found.add("beta")
                case "~1":
                    found.add("alpha" if row.lhs in latent else "nu")
                case "~~" if row.lhs == row.rhs:
                    found.add("psi" if row.lhs in latent else "theta")
                case _:
                    found.add("rho")
        return found or {"beta"}

    def _law(self, node: str, kind: str) -> Prior | None:
        """The user's prior, of the parameter or of its kind, or the default."""
        names = (node, *(r.label or r.name for r in self.rows.get(node, ())))
        own = next((n for n in names if n in self.given), None)
        text = self.given.get(own or kind, DEFAULTS[kind])
        try:
            found = _parsed(text)
        except ModelErrors as error:
            what = own or kind
            self._fault(f"the prior of '{what}', {text}, is no law: {error.exceptions[0]}", "", node)
            return None
        fits = {"theta": ("sd", "var"), "psi": ("sd", "var"), "rho": ("cor", "cov"), "cov": ("cov",)}
        scales = fits.get(kind, ("",))
        scale = found.scale or scales[0]
        if scale not in scales:
            told = f"the prior of '{own or kind}' is that of a {found.scale}"
            self._fault(told, f"take {' or '.join(f'[{s}]' for s in scales)}" if scales[0] else "drop it")
            return None
        shown = f"{found.text}[{scale}]" if scale else found.text
        self.told[KINDS[kind] if own is None else f"'{own}'"] = shown
        return Prior(found.law, scale, found.text)

    def _sides(self, p: st.Parameter) -> ex.Expression | None:
        """sqrt of the product of the two variances that a covariance stands between; None where rows tie it
        to several, or one of them is not one tree over the parameter's plates."""
        pairs = {(r.lhs, r.rhs) for r in self.rows[p.name]}
        if len(pairs) != 1:
            return None
        ((a, b),) = pairs
        trees = [self._variance(v, p) for v in (a, b)]
        if any(t is None for t in trees):
            return None
        product: ex.Expression | None = None
        for tree in trees:
            assert tree is not None
            if ex.literal(tree) == 1.0:
                continue
            product = tree if product is None else ex.Binary("*", product, tree)
        return ex.Number(1) if product is None else ex.Call("sqrt", (product,))

    def _variance(self, variable: str, p: st.Parameter) -> ex.Expression | None:
        table, held = self.reading.table, self.reading.provenance.rows
        groups = {r.group for r in self.rows[p.name]}
        own = [
            h for r, h in zip(table.rows, held, strict=True)
            if r.key == (variable, "~~", variable) and r.group in groups
        ]  # fmt: skip
        nodes = {h.node for h in own}
        if len(nodes) != 1:
            return None
        (node,) = nodes
        if node is None:
            values = {h.value for h in own}
            value = next(iter(values))
            return ex.Number(value) if len(values) == 1 and value is not None and value > 0 else None
        on = self.reading.dag.nodes[node].plates
        if not set(on) <= set(p.plates):
            return None
        return ex.Reference(node, tuple(ex.PlateIndex(q) for q in on) or None)


def _inner(name: str) -> str:
    """`x1~~x1` as `x1`, `x1~~x2` as `x1,x2`, a label as it is."""
    left, mark, right = name.partition("~~")
    if not mark:
        return name
    return left if right.partition(".")[0] == left or right == left else f"{left},{right}"


def _within(law: st.Distribution, domain: Any) -> st.Distribution:
    from dagmodels.readers.lavaan.trees import number

    limits = [("lower", domain.lower, -INF), ("upper", domain.upper, INF)]
    bounds = tuple((k, number(v)) for k, v, free in limits if v != free)
    return st.Distribution("Truncated", (("distribution", law), *bounds))


@cache
def _parsed(text: str) -> Prior:
    """A law of the language, with its scale behind it in brackets."""
    from dagmodels.readers.dag import read_dag

    found = _SCALED.match(text)
    plain, scale = (found[1].strip(), found[2]) if found else (text.strip(), "")
    (statement,) = read_dag(f"model prior\nx ~ {plain}\n").statements
    assert isinstance(statement, st.Stochastic)
    return Prior(statement.distribution, scale, plain)
