"""Has threads know which packages began them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .core import Guard
from .hooks import wrap
from .sink import Sink


def _patch(guard: Guard, module: ModuleType) -> None:
    def before(arguments: tuple[Any, ...], _named: dict[str, Any]) -> None:
        guard.acts.thread(arguments[0])

    wrap(module.Thread, "start", before)


THREADS = Sink("packages", "What packages of others do.", patches={"threading": _patch})
"""No sink that data reaches, but a module that is patched as those of sinks are."""
