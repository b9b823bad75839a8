"""Modules of Casemate as a sandbox has them: those that are loaded, and no more."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any


class _NoOthers:
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] == "casemate":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def have_no_others() -> None:
    """Have imports of modules of Casemate that are not loaded yet fail from now on."""
    sys.meta_path.insert(0, _NoOthers())
