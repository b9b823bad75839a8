"""How an error of a function is told: type, message, trace, and what its frames held."""

from __future__ import annotations

import os
import traceback

from . import snapshot, wire
from .json_codec import encode

_OURS = os.path.dirname(os.path.dirname(__file__))
_OWN = tuple(f"{_OURS}/{name}/" for name in ("runner", "guard", "kernel"))
"""Code of ours that runs beside a function's: its frames say nothing to the function's owner."""
_MAX_TRACE = 48 * 1024
MAX_MESSAGE = 8 * 1024
_MAX_ESCAPED = 8 * 1024
"""Characters of each text of an error that is too long only as JSON."""


def describe(error: BaseException) -> dict[str, str]:
    """Return an exception's type, message and trace, the runner's own frames left out."""
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001 - a function's __str__ may do anything
        message = "(the exception's text could not be made)"
    try:
        # A long message must not hide where it came from: keep both ends.
        trace = _ends(_trace(error), _MAX_TRACE)
    except BaseException:  # noqa: BLE001
        trace = "(the trace could not be made)"
    return {"type": name[:200], "message": message[:MAX_MESSAGE], "trace": trace}


def _ends(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2 - 64
    return f"{text[:half]}\n... ({len(text) - 2 * half} characters) ...\n{text[-half:]}"


def _trace(error: BaseException) -> str:
    shown = traceback.TracebackException.from_exception(error, limit=200)
    todo: list[traceback.TracebackException | None] = [shown]
    while todo:
        one = todo.pop()
        if one is not None:
            theirs = [frame for frame in one.stack if not frame.filename.startswith(_OWN)]
            one.stack = traceback.StackSummary.from_list(theirs)
            todo += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
    return "".join(shown.format())


def error_frame(kind: str, detail: dict[str, str], held: bytes = b"") -> bytes:
    """Return the frame that tells an error; what is not Unicode in it is replaced.

    `held` is what the function's frames held then, as `snapshot` describes it.
    """
    head = encode(detail | {"kind": kind}).encode(errors="replace")
    if len(head) > wire.MAX_HEAD_BYTES:
        # Of control characters, of which each is six in JSON.
        short = {name: _ends(text, _MAX_ESCAPED) for name, text in detail.items()}
        head = encode(short | {"kind": kind}).encode(errors="replace")
    return wire.pack(wire.ERROR, head, held)


def held_at(error: BaseException) -> bytes:
    """Return what the function's frames held when it raised; nothing if that cannot be told."""
    try:
        return snapshot.of(error)
    except BaseException:  # noqa: BLE001 - a function's own types may do anything
        return b""
