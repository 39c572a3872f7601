"""Networks of pgmpy, and the formats that it reads: XMLBIF, NET, UAI and XDSL.

It takes two seconds to load, and only the formats load it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.data.optional import optional
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.readers.arrays import ArrayTable, network_of, plain_name

RIGHT = "is this the format that its ending says?"


def from_pgmpy(model: Any, name: str = "network") -> Dag:
    """A `DiscreteBayesianNetwork` with its TabularCPDs.

    Names become text; states keep whole numbers and text.

    Raises
    ------
    ModelErrors : an object without tables, nodes without a CPD, CPDs that are no tables.
    """
    faults: list[ModelError] = []
    if not all(hasattr(model, a) for a in ("nodes", "get_cpds")):
        told = f"a {type(model).__name__} is no network of pgmpy"
        raise_all([ModelError(told, hint="give a DiscreteBayesianNetwork")], "the network")
    names = {node: plain_name(node) for node in model.nodes()}
    found: dict[str, ArrayTable] = {}
    for node, called in names.items():
        cpd = model.get_cpds(node)
        lacking = [a for a in ("variables", "values", "state_names") if not hasattr(cpd, a)]
        if cpd is None or lacking:
            kind = "no CPD" if cpd is None else f"a {type(cpd).__name__}, which is no table"
            faults.append(ModelError(f"'{called}' has {kind}", node=called, hint="give it a TabularCPD"))
            continue
        own, *parents = cpd.variables
        numbers = np.moveaxis(np.asarray(cpd.values, dtype=float), 0, -1)
        states = tuple(_label(s) for s in cpd.state_names[own])
        found[called] = ArrayTable(states, tuple(plain_name(p) for p in parents), numbers)
    raise_all(faults, "the network of pgmpy")
    return network_of(name, found)


def _label(state: object) -> ex.Label:
    plain = state.item() if hasattr(state, "item") else state  # type: ignore[attr-defined]
    return plain if isinstance(plain, int) and not isinstance(plain, bool) else str(plain)


def _through(reader: str, text: str, source: str | None) -> Dag:
    """A text that one of pgmpy's readers understands."""
    readwrite = optional("pgmpy.readwrite", "pgmpy", f"reading {source or 'this format'}")
    try:
        model = getattr(readwrite, reader)(string=text).get_model()
    except Exception as error:  # whatever a malformed text makes it raise
        told = f"pgmpy's {reader} cannot read it: {type(error).__name__}: {error}"
        raise_all([ModelError(told, hint=RIGHT)], source or "the network")
        raise AssertionError("unreachable") from error
    if not model.nodes():
        told = f"pgmpy's {reader} cannot read it: it finds no nodes"
        raise_all([ModelError(told, hint=RIGHT)], source or "the network")
    return from_pgmpy(model)


def from_xmlbif(text: str, source: str | None = None) -> Dag:
    """XMLBIF."""
    return _through("XMLBIFReader", text, source)


def from_net(text: str, source: str | None = None) -> Dag:
    """Hugin's NET."""
    return _through("NETReader", text, source)


def from_uai(text: str, source: str | None = None) -> Dag:
    """UAI."""
    return _through("UAIReader", text, source)


def from_xdsl(text: str, source: str | None = None) -> Dag:
    """GeNIe's XDSL."""
    return _through("XDSLReader", text, source)
