"""The elimination kernels for complex numbers: derivatives of every answer by complex steps.

The same Python functions compiled once more; only sensitivities need them, so they load when asked for.
"""

from __future__ import annotations

from dagmodels.numerics import elimination_kernels as real
from dagmodels.numerics.compiled import kernel

_PATTERN = "i8, i8, i8[::1], i4[::1], i8, i8[::1], i4[::1], u1[::1], u1[::1]"
_C = "c16[::1]"

eliminate = kernel(f"c16({_PATTERN}, {_C}, {_C}, {_C}, {_C})")(real.eliminate.py_func)
adjoint = kernel(f"void({_PATTERN}, {_C}, {_C}, {_C}, {_C}, f8[::1], f8, {_C}, {_C}, {_C})")(
    real.adjoint.py_func
)
substitute = kernel(
    f"void(i8, i8, i8[::1], i4[::1], i8, u1[::1], u1[::1], {_C}, {_C}, {_C}, {_C}, f8[::1], {_C})"
)(real.substitute.py_func)
