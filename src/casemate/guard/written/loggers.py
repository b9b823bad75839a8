"""Records of logs that a function writes to files and streams of its own.

What goes to standard output and error is kept by the platform, which marks where each line is from.
"""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

from ..core import Guard
from ..evaluation import formats
from ..hooks import argument, wrap
from ..pieces import as_text
from ..sink import Patch
from ..standing import wrap_after
from .lines import judge_record

NAME = "log"
MAX_RECORD = 64 * 1024
"""Characters of a record that is judged."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\x9b\u2028\u2029]")


def check_record(guard: Guard, record: object, stream: object = None) -> None:
    """Block a record (BlockedError) in which the event begins another."""
    if not guard.active or not isinstance(record, (str, bytes)) or _is_standard(stream):
        return
    text = as_text(record)
    body = text.rstrip("\r\n")
    # Most records are one line: those cost one look.
    if _CONTROL.search(body) is not None and len(body) <= MAX_RECORD:
        guard.check(NAME, body, judge_record)


def _is_standard(stream: object) -> bool:
    if stream is None:
        return False
    standard = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return any(stream is one for one in standard)


def patch_logging(guard: Guard, module: ModuleType) -> None:
    """Watch what handlers of `logging` are about to write."""

    def formatted(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        check_record(guard, result, getattr(arguments[0], "stream", None))

    wrap_after(module.Handler, "format", formatted)


def patch_loguru(guard: Guard, module: ModuleType) -> None:
    """Watch messages of loguru that are formats: their fields look into objects."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        message, given, keyed = (*arguments, None, None, None)[4:7]
        if isinstance(message, str) and guard.active and (given or keyed):
            guard.check(
                "code",
                message,
                lambda text, spans: formats.judge(text, spans, given or (), keyed or {}),
            )

    wrap(module.Logger, "_log", before)


def _sink(name: str, stream: str) -> Patch:
    """Return a patch of what loguru writes to."""

    def patch(guard: Guard, module: ModuleType) -> None:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            message = argument(arguments, named, 1, "message")
            check_record(guard, message, getattr(arguments[0], stream, None))

        wrap(getattr(module, name), "write", before)

    return patch


def patch_structlog(guard: Guard, module: ModuleType) -> None:
    """Watch structlog's loggers that print or write."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        message = argument(arguments, named, 1, "message")
        check_record(guard, message, getattr(arguments[0], "_file", None))

    for name in ("PrintLogger", "WriteLogger", "BytesLogger"):
        logger: Any = getattr(module, name, None)
        if logger is None:
            continue
        plain = logger.msg
        wrap(logger, "msg", before)
        for level, method in list(vars(logger).items()):
            if method is plain:  # `info`, `error` and others are the same function
                setattr(logger, level, logger.msg)


patch_stream = _sink("StreamSink", "_stream")
patch_file = _sink("FileSink", "_file")
