"""JSON as frames have it: what `json.JSONEncoder` and `JSONDecoder` do, with less around it.

Of a small event most of the time that these take is for what is prepared for each text anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_decoder = json.JSONDecoder()
_scan: Callable[[str, int], tuple[Any, int]] = vars(_decoder)["scan_once"]


def _prepared() -> Callable[[object, int], Any] | None:
    """Return what makes the parts of a text, where that is written in C."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return None
    text, between, after = json.encoder.encode_basestring, ":", ","
    # Nothing is looked up whether it holds itself: that ends with the depth of calls.
    made: Callable[[object, int], Any] = make(
        *(None, _encoder.default, text, None, between, after, False, False, False)
    )
    return made


_parts = _prepared()


def encode(value: object) -> str:
    """Return the JSON of a value. Raises TypeError, ValueError or RecursionError."""
    if _parts is None or isinstance(value, str):
        return _encoder.encode(value)
    try:
        return "".join(_parts(value, 0))
    except (TypeError, ValueError, RecursionError):
        # It tells what is wrong, also of one that holds itself.
        return _encoder.encode(value)


def decode(text: str) -> Any:
    """Return what a text stands for. Raises json.JSONDecodeError."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return _decoder.decode(text)
    return value if end == len(text) else _decoder.decode(text)
