"""Libraries that leave of HTML what does no harm: their results may stand on a page as they are."""

from __future__ import annotations

from collections.abc import Collection
from types import ModuleType
from typing import Any

from ..core import Guard
from ..sink import Patch
from ..standing import wrap_after

_CLEANED = ("response", "cleaned")
MAX_CLEANED = 200
"""Results that are remembered in one invocation."""
_TABLE: dict[str, tuple[str, ...]] = {
    "bleach": ("clean", "linkify"),
    "bleach.sanitizer": ("Cleaner.clean",),
    "nh3": ("clean", "clean_text", "escape", "Cleaner.clean"),
    "lxml_html_clean.clean": ("Cleaner.clean_html", "clean_html"),
    "lxml.html.clean": ("Cleaner.clean_html", "clean_html"),
    "html_sanitizer.sanitizer": ("Sanitizer.sanitize",),
}


def patches() -> dict[str, Patch]:
    """Return the patches by module."""
    return {name: _patch(functions) for name, functions in _TABLE.items()}


def _patch(functions: tuple[str, ...]) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        def cleaned(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
            if guard.active and isinstance(result, str):
                kept: dict[str, None] = guard.provenance.kept.setdefault(_CLEANED, {})
                if len(kept) < MAX_CLEANED:
                    kept[str(result)] = None

        for path in functions:
            *steps, last = path.split(".")
            owner: Any = getattr(module, steps[0], None) if steps else module
            if owner is not None and callable(getattr(owner, last, None)):
                wrap_after(owner, last, cleaned)

    return patch


def cleaned_of(guard: Guard) -> Collection[str]:
    """Return what was cleaned in this invocation."""
    return tuple(guard.provenance.kept.get(_CLEANED, ()))
