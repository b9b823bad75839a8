"""Records of logs that a function writes to files and streams of its own, or prints.

What goes to standard output and error is kept by the platform line by line: of a line that data
begins nobody can tell that it is none of the code's. Since much is printed that has more than one
line, these are told by what they begin with (`records.judge_printed`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..evaluation import formats
from ..hooks import argument, wrap
from ..in_memory import held_by, is_binary
from ..origin import Span
from ..pieces import as_text
from ..sink import Patch
from ..standing import is_put_together, wrap_after
from ..verdict import Judge, Verdict
from . import cef, streams
from .alike import begins_sample
from .records import (
    begins_with_level,
    judge_divided,
    judge_kept,
    judge_logged,
    judge_object,
    judge_printed,
    judge_record,
    judge_warning,
)

NAME = "log"
MAX_RECORD = 64 * 1024
"""Characters of a record that is judged."""
_MAX_CHAIN = 20
"""Exceptions of a trace whose texts are looked at."""
MAX_BEGUN = 512
"""Characters of a line that is written in pieces, by which the next are judged."""
_BREAK = re.compile(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_OF_SAMPLES = ("# HELP ", "# TYPE ", "CEF:", "LEEF:", "<")
"""How samples of metrics begin, as they are shown to who collects them."""
_PASSED = ("log", "passed")
"""Under which is kept what was read last, and holds no record of the event's."""
_OF_SEVERAL = frozenset(("writelines", "writev"))
_OBJECT = '{"'
_OBJECTS = ("log", "objects")
_PLAIN = frozenset((str, int, float, bool, type(None)))
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\x9b\u2028\u2029]")


def check_record(
    guard: Guard, record: object, stream: object = None, judge: Judge = judge_printed
) -> None:
    """Block a record (BlockedError) in which the event begins another: by `judge` if printed."""
    if not guard.active or not isinstance(record, (str, bytes)):
        return
    text = as_text(record)
    body = text.rstrip("\r\n")
    # Most records are one line: those cost one look.
    if len(body) <= MAX_RECORD and cef.begins(body):
        guard.check(NAME, body, cef.judge)
        divided = False  # its bars are judged by its own rules, by which some are escaped
    else:
        divided = ("|" in body or "\t" in body) and len(body) <= MAX_RECORD
    if divided and streams.of_file(guard, stream) is None:
        guard.check(NAME, body, _judge_divided)
    if _CONTROL.search(body) is not None and len(body) <= MAX_RECORD:
        is_printed = streams.of_file(guard, stream) is not None
        guard.check(NAME, body, judge if is_printed else judge_record)


def _judge_divided(text: str, spans: Sequence[Span]) -> Verdict | None:
    # A piece may be of what was escaped: as a whole it is in the last field.
    whole = [span for span in spans if not span.is_piece]
    return judge_divided(text, whole) if whole else None


def check_printed(
    guard: Guard, texts: Sequence[object], separator: object = None, begun: str = ""
) -> None:
    """Block what is printed (BlockedError) if the event begins a record of the code's in it.

    `begun` is what its first line has begun with.
    """
    given = [str(text) for text in texts if type(text) in _PLAIN]
    if not any(_BREAK.search(text.rstrip("\r\n")) for text in given):
        if given and given[0][:2] == _OBJECT and len(given) == len(texts) == 1:
            _check_object(guard, texts[0])
        return
    if len(given) == len(texts) == 1 and not begun:
        check_record(guard, texts[0], sys.stdout)
        return
    between = separator if isinstance(separator, str) else " "
    body = begun + between.join(given).rstrip("\r\n")
    if len(body) > MAX_RECORD or len(given) < len(texts):
        return

    def question() -> Verdict | None:
        spans, place = [], len(begun)
        for text, plain in zip(texts, given, strict=True):
            found = guard.spans(text) if isinstance(text, str) else []
            spans += [span.moved(place) for span in found]
            place += len(plain) + len(between)
        return judge_printed(body, spans) if spans else None

    guard.decide(NAME, question)


def _check_object(guard: Guard, record: object) -> None:
    """Block an object of JSON (BlockedError) that the code has put together, and data changed."""
    if guard.active and isinstance(record, str) and len(record) <= MAX_RECORD:
        kept = guard.provenance.kept
        if _OBJECTS not in kept:
            kept[_OBJECTS] = any(text.lstrip()[:2] == _OBJECT for text in guard.constants.texts)
        if kept[_OBJECTS] and is_put_together(guard, record):
            guard.check(NAME, record, judge_object)


def _piece(
    guard: Guard, stream: object, texts: Sequence[object], separator: object, end: object
) -> None:
    """Judge a piece of a line after what that has begun with, and keep what it begins."""
    if not guard.active:
        return
    to = stream is sys.stderr or stream is sys.__stderr__
    begun = guard.begun.pop(to, "")
    check_printed(guard, texts, separator, begun)
    between = separator if isinstance(separator, str) else " "
    plain = [str(each) for each in texts if type(each) in _PLAIN]
    text = between.join(plain) + (end if isinstance(end, str) else "")
    line = text.rpartition("\n")
    if line[2]:
        guard.begun[to] = (line[2] if line[1] else begun + text)[:MAX_BEGUN]


def watch_print(
    guard: Guard, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Judge a call of `print`, unless the code has another function of this name."""
    if function is not print or not arguments:
        return
    stream = streams.of_file(guard, named.get("file") or sys.stdout)
    if stream is not None:
        separator, end = named.get("sep"), named.get("end")
        if end is None and not guard.begun:  # most by far
            check_printed(guard, arguments, separator)
        else:
            _piece(guard, stream, arguments, separator, "\n" if end is None else end)


def watch_write(
    guard: Guard, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Judge what the code writes to standard output and error itself, as what is printed."""
    stream = _written_to(guard, function, arguments)
    if stream is None:
        return
    texts: Sequence[object] = arguments[-1:]
    if getattr(function, "__name__", "") in _OF_SEVERAL:
        texts = texts[0] if isinstance(texts[0], (list, tuple)) else ()
    texts = [_as_text(text) for text in texts]
    whole = len(texts) == 1 and isinstance(texts[0], str) and texts[0][-1:] == "\n"
    if whole and not guard.begun:
        check_printed(guard, texts)
    else:
        _piece(guard, stream, texts, "", "")


def _written_to(guard: Guard, function: Any, arguments: Sequence[object]) -> object:
    """Return the standard stream that a call writes text or bytes to, None for anything else."""
    if function is os.write or function is os.writev:
        to = arguments[0] if len(arguments) > 1 else None
        return streams.of_descriptor(to, seldom=guard.provenance.descriptors)
    return streams.of_file(guard, getattr(function, "__self__", None)) if arguments else None


def _as_text(text: object) -> object:
    """Return what is written as text, if it is bytes that are not too many."""
    if isinstance(text, (bytearray, memoryview)) and len(text) <= MAX_RECORD:
        text = bytes(text)
    return as_text(text) if isinstance(text, bytes) else text


def read_lines(guard: Guard, function: Any, *_: Any) -> None:
    """Judge records that the code has written into memory, and reads again."""
    given = getattr(function, "__self__", None)
    text = given if isinstance(given, str) else held_by(given)
    if isinstance(text, (str, bytes)) and len(text) <= MAX_RECORD and not is_binary(text):
        text = as_text(text)
        kept = guard.provenance.kept
        if kept.get(_PASSED) != text and _BREAK.search(text.rstrip("\r\n")) is not None:
            guard.check(NAME, text, judge_kept)
            kept[_PASSED] = text  # what reads on asks again


def read_records(guard: Guard, text: Any, *_: Any) -> None:
    """Judge records of a text that the code has put together, and takes apart."""
    if not guard.active or type(text) is not str or len(text) > MAX_RECORD:
        return
    begun = begins_with_level(text) or text.startswith(_OF_SAMPLES) or begins_sample(text)
    if begun and is_put_together(guard, text):
        guard.check(NAME, text, judge_kept)
        if cef.begins(text):
            guard.check(NAME, text, cef.judge_each)


def _judge_formed(text: str, spans: Sequence[Span]) -> Verdict | None:
    # What a record was made of is put into its form by the library, and found again.
    whole = [span._replace(exact=True) for span in spans if not span.is_piece]
    return judge_object(text, whole) if whole else None


def patch_logging(guard: Guard, module: ModuleType) -> None:
    """Watch what handlers of `logging` are about to write."""

    def formatted(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        _formatted(arguments[0], result)

    def made(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        handler = arguments[0]
        if type(handler).format is not module.Handler.format:  # one of the code's own
            wrap_after(handler, "format", lambda given, named, text: _formatted(handler, text))

    def _formatted(handler: Any, text: object) -> None:
        check_record(guard, text, getattr(handler, "stream", None), judge_logged)
        form = getattr(getattr(handler, "formatter", None), "_fmt", None)
        # A formatter that writes JSON as a library does has no such form.
        if isinstance(form, str) and form.lstrip()[:2] == _OBJECT and isinstance(text, str):
            guard.check(NAME, text.strip(), _judge_formed)

    wrap_after(module.Handler, "format", formatted)
    wrap_after(module.Handler, "__init__", made)


def patch_traceback(guard: Guard, module: ModuleType) -> None:
    """Watch traces that the code has written to a standard stream."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        trace, file = arguments[0], named.get("file") or sys.stderr
        if not guard.active or streams.of_file(guard, file) is None:
            return
        if any(map(_BREAK.search, _said(trace))):
            check_record(guard, "".join(trace.format(chain=named.get("chain", True))), file)

    wrap(module.TracebackException, "print", before)


def patch_warnings(guard: Guard, module: ModuleType) -> None:
    """Watch warnings of the code before they are shown on standard error.

    `warn` itself cannot be wrapped: it tells by its caller's frame what it has shown before.
    """
    show = getattr(module, "_showwarnmsg", None)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        text = str(getattr(arguments[0], "message", "")) if guard.active else ""
        if len(text) <= MAX_RECORD and _BREAK.search(text.rstrip("\r\n")) is not None:
            guard.check(NAME, text, judge_warning)

    if callable(show):
        wrap(module, "_showwarnmsg", before)


def _said(trace: Any) -> Iterator[str]:
    """Yield what the exceptions of a trace say, the last ones that led to each other."""
    for _ in range(_MAX_CHAIN):
        if trace is None:
            return
        yield str(trace)
        trace = trace.__cause__ or trace.__context__


def patch_click(guard: Guard, module: ModuleType) -> None:
    """Watch what click prints."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        message = argument(arguments, named, 0, "message")
        file = argument(arguments, named, 1, "file") or sys.stdout
        if isinstance(message, (str, bytes)) and streams.of_file(guard, file) is not None:
            check_record(guard, message, file)

    wrap(module, "echo", before)


def patch_rich(guard: Guard, module: ModuleType) -> None:
    """Watch what the consoles of rich print, as `print` of this library does as well."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        texts = arguments[1:]
        broken = guard.active and any(isinstance(t, str) and _BREAK.search(t) for t in texts)
        if broken and streams.of_file(guard, arguments[0].file) is not None:
            check_printed(guard, texts, named.get("sep"))

    for name in ("print", "log"):
        wrap(module.Console, name, before)


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
