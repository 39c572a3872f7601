"""Registers with some inputs replaced by other registers: the same operations, recorded anew."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.influence import Influence
from dagmodels.numerics.tape import NAMES, operands


class Replaced:
    """Registers with inputs replaced; what does not depend on the replaced slots stays what it is.

    Parameters
    ----------
    influence : of the recorder's registers on the state.
    slots : that are replaced. others : by input register the register, of the same length, that stands for
        it.
    """

    def __init__(self, influence: Influence, slots: NDArray[np.int64], others: Mapping[int, int]) -> None:
        self.influence, self.recorder, self.slots = influence, influence.recorder, slots
        self._found: dict[int, int] = dict(others)

    def of(self, register: int) -> int:
        """The register that stands for another."""
        if register not in self._found:
            self._found[register] = self._anew(register)
        return self._found[register]

    def _anew(self, register: int) -> int:
        r = self.recorder
        if not self.influence.depends(register, self.slots):
            return register
        operations = self.influence.operations(register)
        code, _, a, b, c, aux = operations[0]
        name = NAMES[code]
        if name == "put":
            return r.assemble(r.length(register), [(self.of(o[2]), r.index(o[5])) for o in operations])
        x, *more = (self.of(q) for q in (a, b, c)[: operands(code)])
        match name:
            case "gather":
                return r.gather(x, r.index(aux))
            case "segment_sum":
                return r.segment_sum(x, r.index(aux), r.length(register))
            case "take":
                return r.take(x, *more)
            case "softmax":
                return r.softmax(x, aux)
            case "log_sum_exp":
                return r.log_sum_exp(x, aux)
            case "chain":
                return r.chain(x, *more, r.index(aux))
            case "cholesky" | "inverse" | "logdet" | "root":
                return r.matrix(name, aux, x)
            case "matmul":
                return r.matrix(name, aux, x, *more, transposed=c == 1)
        return r.apply(name, x, *more)
