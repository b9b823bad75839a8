"""Handlers of functions: what they may import of ours, how they are found, where their logs go."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..guard.acts import PackageDeniedError
from ..guard.handed_over import OWN_LOG
from ..guard.verdict import BlockedError
from . import capabilities, instance
from .context import Context
from .event import Event


def offer_names() -> None:
    """Let handlers import what capabilities raise: `from casemate import NotFoundError`."""
    module = ModuleType("casemate")
    for public in capabilities.PUBLIC:
        public.__module__ = "casemate"
        setattr(module, public.__name__, public)
    module.Context = Context  # type: ignore[attr-defined]
    module.Event = Event  # type: ignore[attr-defined]
    BlockedError.__module__ = PackageDeniedError.__module__ = "casemate"
    sys.modules["casemate"] = module


def load_handler(name: str) -> instance.Handler:
    """Import `module:function` and return the function."""
    module_name, _, function_name = name.partition(":")
    __import__(module_name)
    handler = getattr(sys.modules[module_name], function_name, None)
    if not callable(handler):
        raise ImportError(f"module {module_name!r} has no function {function_name!r}")  # noqa: TRY004
    return handler  # type: ignore[no-any-return]


class LogSink:
    """Where what a handler logs with `logging` goes: nowhere in a zygote, out in an instance."""

    __slots__ = ("emit",)

    def __init__(self) -> None:
        """Start without a way out."""
        self.emit: Callable[[str, str], None] | None = None


def route_logging() -> LogSink:
    """Send what is logged with `logging`, if the handler uses it, to the sink returned."""
    sink = LogSink()
    logging = sys.modules.get("logging")
    if logging is None or logging.root.handlers:
        return sink

    class _Handler(logging.Handler):  # type: ignore[name-defined,misc]
        def emit(self, record: Any) -> None:
            if sink.emit is not None:
                sink.emit(record.levelname.lower(), self.format(record))

    setattr(_Handler, OWN_LOG, True)
    logging.root.addHandler(_Handler())
    if logging.root.level == logging.WARNING:
        logging.root.setLevel(logging.INFO)
    return sink
