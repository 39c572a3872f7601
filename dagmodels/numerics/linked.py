"""Calls from one kernel to another without compiling the callee again.

numba copies a callee's intermediate code into each caller and optimises it once more: a helper that three
kernels use is compiled four times.  Here callers hold the address of a cell with the address of the
machine code instead; the second look-up costs nothing to speak of.  A cell may be filled late
(`Deferred`): kernels that only large problems need are then compiled when the first such problem comes.
"""

from __future__ import annotations

import ctypes
from typing import Any


class Deferred:
    """A kernel to be provided later, by name and signature; `call` is what other kernels use.

    Callers that come too early get a RuntimeError.
    """

    def __init__(self, name: str, signature: str) -> None:
        import llvmlite.binding as llvm
        from numba.core.sigutils import normalize_signature

        arguments, result = normalize_signature(signature)
        self.types = tuple(arguments)
        self.name = f"dagmodels {name} {result}{self.types}"
        self._cell = ctypes.c_void_p(None)
        self._kernel: Any = None
        llvm.add_symbol(self.name, ctypes.addressof(self._cell))
        self.call = _call(self.name, result, self.types)

    def provide(self, kernel: Any) -> None:
        """Let calls reach the machine code of a compiled kernel of the same signature."""
        found = kernel.overloads[self.types]
        self._cell.value = found.library.get_pointer_to_function(found.fndesc.llvm_func_name)
        self._kernel = kernel  # the code lives as long as the cell


def linked(kernel: Any) -> Any:
    """What other kernels use to call a compiled kernel of one signature."""
    (found,) = kernel.overloads.values()
    python = kernel.py_func
    cell = Deferred(f"{python.__module__}.{python.__qualname__}", found.signature)
    cell.provide(kernel)
    _kept.append(cell)
    return cell.call


_kept: list[Deferred] = []  # cells live as long as the process: cached machine code refers to them


def _call(name: str, result: Any, types: tuple[Any, ...]) -> Any:
    """A function for kernels that calls what the cell of that symbol holds."""
    from llvmlite import ir
    from numba.core import cgutils, typing
    from numba.extending import intrinsic

    found = typing.signature(result, *types)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.call_conv.get_function_type(result, types).as_pointer()
        cell = builder.module.globals.get(name) or ir.GlobalVariable(builder.module, kind, name)
        function = builder.load(cell)
        with cgutils.if_unlikely(builder, cgutils.is_null(builder, function)):
            context.call_conv.return_user_exc(builder, RuntimeError, (f"{name} is not compiled yet",))
        status, value = context.call_conv.call_function(builder, function, result, types, arguments)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return value

    # numba reads the number of arguments off the function itself
    names = ", ".join(f"a{k}" for k in range(len(types)))
    typed: Any = eval(f"lambda typing, {names}: found", {"found": (found, code)})
    return intrinsic(typed)
