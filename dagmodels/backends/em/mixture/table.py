"""The numbers of a mixture's table: all unknown elements by node, then what is defined from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.defined import quantities
from dagmodels.fits.unknowns import Unknowns
from dagmodels.forms.cells import element_label
from dagmodels.forms.mixture import MixtureForm

Floats = NDArray[np.float64]


def labelled(form: MixtureForm) -> tuple[list[str], list[str], dict[str, NDArray[np.int64]]]:
    """Names and nodes of all unknown elements, and by node their places."""
    names: list[str] = []
    nodes: list[str] = []
    places: dict[str, NDArray[np.int64]] = {}
    problem = form.flat.problem
    for node in form.flat.constrain(np.zeros(form.flat.size)):
        size = int(np.prod(problem.shape(node), dtype=np.int64))
        places[node] = np.arange(size) + len(names)
        names.extend(element_label(problem, node, i) for i in range(size))
        nodes.extend([node] * size)
    return names, nodes, places


def by_node(form: MixtureForm, nodes: list[str]) -> list[int]:
    """Places in the order of the graph's nodes."""
    order = {name: i for i, name in enumerate(form.flat.problem.graph.nodes)}
    return sorted(range(len(nodes)), key=lambda j: order[nodes[j]])


class Table:
    """Names in the order of a fit's table, and their values at any point."""

    def __init__(self, form: MixtureForm) -> None:
        names, nodes, self.places = labelled(form)
        self.order = by_node(form, nodes)
        k = len(names)
        unknowns = Unknowns(names, nodes, [""] * k, np.zeros(k), np.zeros((k, k)), self.places)
        self.defined = quantities(form.flat.problem, unknowns)
        extra = () if self.defined is None else self.defined.names
        self.names = (*(names[i] for i in self.order), *extra)

    def values(self, of: Mapping[str, Floats]) -> Floats:
        """By node -> in the order of `names`."""
        own = np.concatenate([np.zeros(0), *(np.asarray(of[n]).reshape(-1) for n in self.places)])[self.order]
        if self.defined is None:
            return own
        return np.concatenate([own, self.defined.values(lambda node: np.asarray(of[node]).reshape(-1))])
