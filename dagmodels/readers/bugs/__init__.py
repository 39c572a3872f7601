"""Models of BUGS and JAGS: text, data and initial values to a graph.

syntax, tokens, parse   text -> syntax tree, every slip with its place
dump                    R dumps, JSON and dicts -> arrays by name
numbers, blocks         what follows from data alone; data blocks
rewriting               what JAGS says in one relation and the language in several: widths, running,
                        transformed, restrictions
relations, names        statements with their loops; what is known of each name
spaces                  which dimensions and loops are one plate
pairs, rows             rows that begin later, and rows of probabilities that end earlier
trees, laws             expressions and distributions in the language of graphs
statements              relations -> statements for whole plates, first elements and levels
certain, undefined, used  elements that are given beside a law, and those that nothing defines
given, provenance       data and initial values as the graph takes them; BUGS' names of elements
reading                 all of it, in order
"""

from __future__ import annotations

import os

from dagmodels.graph.dag import Dag
from dagmodels.readers.bugs.provenance import Provenance
from dagmodels.readers.bugs.reading import Reading, read


def from_text(text: str, source: str | None = None) -> Dag:
    """The graph of a BUGS text without data; `source` is the file's name, for messages."""
    name = os.path.splitext(os.path.basename(source))[0] if source else "bugs"
    return read(text, name=name, source=source).dag


__all__ = ["Provenance", "Reading", "from_text", "read"]
