"""The elimination kernels for complex numbers: derivatives of every answer by complex steps.

The same Python functions compiled once more, with plain loops throughout (no blocks, no wide rows); only
sensitivities need them, so they load when asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from dagmodels.numerics import elimination_kernels as real
from dagmodels.numerics import tail_kernels as tails
from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.linked import Deferred, linked

C = "c16"


def _rebound(compiled: Any, **names: Any) -> Callable[..., Any]:
    """A kernel's Python function that finds other things under some of its global names."""
    function = compiled.py_func
    return FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)


_tail = linked(kernel(tails.ELIMINATE.format(C))(tails.eliminate_tail.py_func))
_back = linked(kernel(tails.ADJOINT.format(C))(tails.adjoint_tail.py_func))
_wide = Deferred("complex wide rows", tails.ELIMINATE_WIDE.format(C)).call  # patterns without them
_wide_back = Deferred("adjoint of complex wide rows", tails.ADJOINT_WIDE.format(C)).call

eliminate = kernel(real.ELIMINATE.format(C))(_rebound(real.eliminate, short=_tail, long=_tail, wide=_wide))
adjoint = kernel(real.ADJOINT.format(C))(
    _rebound(real.adjoint, short_back=_back, long_back=_back, wide_back=_wide_back)
)
substitute = kernel(real.SUBSTITUTE.format(C))(real.substitute.py_func)
