"""Libraries that come with an extra of the package: loaded when first needed, missed with a sentence."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dagmodels.errors import DagmodelsError


class NotInstalled(DagmodelsError, ImportError):
    """A library is not installed; says what needs it and how to get it."""


def optional(module: str, extra: str, what: str) -> Any:
    """A module of an optional library.

    extra : of the package that installs it. what : the sentence's subject, such as "reading NET files".
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        told = f"{what} needs {name}, which is not installed (pip install 'dagmodels[{extra}]')"
        raise NotInstalled(told) from error
