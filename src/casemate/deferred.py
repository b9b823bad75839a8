"""Names of a package's face that are loaded when somebody asks for them (PEP 562).

What a process imports it holds for as long as it runs, and each process of a node imports a module
or two of packages whose face names far more: the supervisor starts the vault, and needs none of
what speaks to it.

    if TYPE_CHECKING:
        from casemate.vault.client import VaultClient
    else:
        __getattr__ = deferred(__name__, client=("VaultClient",))
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def deferred(package: str, **modules: Sequence[str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package: `modules` has the names that each module gives it.

    A process that has given up its files must have asked before.
    """
    places = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{places[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
