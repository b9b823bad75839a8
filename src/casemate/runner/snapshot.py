"""What the function's own frames held when its handler raised: names and kinds, and few values.

Texts, bytes and what holds others are described by kind and size alone: they come from events, and
may be secrets. Nothing of the function's is called: no `repr`, no `len` of its own types.
"""

from __future__ import annotations

import types
from collections.abc import Iterator

CODE = "/function/code/"
MAX_FRAMES = 16
"""The innermost."""
MAX_NAMES = 32
"""Of one frame."""
MAX_TEXT = 120
MAX_BYTES = 16 * 1024
_MAX_WALKED = 1000
_SIZED: tuple[type, ...] = (str, bytes, bytearray, list, tuple, dict, set, frozenset)


def taken(error: BaseException) -> bytes:
    """Return the frames of an exception, the innermost last, as text."""
    frames: list[types.FrameType] = []
    trace, walked = error.__traceback__, 0
    while trace is not None and walked < _MAX_WALKED:
        if trace.tb_frame.f_code.co_filename.startswith(CODE):
            frames.append(trace.tb_frame)
        trace, walked = trace.tb_next, walked + 1
    lines = [line for frame in frames[-MAX_FRAMES:] for line in _frame(frame)]
    return "\n".join(lines).encode(errors="replace")[:MAX_BYTES]


def _frame(frame: types.FrameType) -> Iterator[str]:
    code = frame.f_code
    yield f"{code.co_filename[len(CODE) :]}:{frame.f_lineno} in {code.co_name}"[:MAX_TEXT]
    names = list(frame.f_locals.items())
    for name, value in names[:MAX_NAMES]:
        yield f"  {name} = {_shown(value)}"[:MAX_TEXT]
    if len(names) > MAX_NAMES:
        yield f"  and {len(names) - MAX_NAMES} more"


def _shown(value: object) -> str:
    kind = type(value)
    if value is None or kind is bool:
        return str(value)
    if kind is int or kind is float:
        return kind.__name__
    if kind in _SIZED:
        return f"{kind.__name__} of {len(value)}"  # type: ignore[arg-type]
    name = type.__dict__["__qualname__"].__get__(kind)
    return f"a {name}"
