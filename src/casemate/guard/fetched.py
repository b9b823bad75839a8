"""Objects of S3 that an event tells of: their content is as much from outside as the event is."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from .core import Guard
from .hooks import argument
from .standing import wrap_after

_TOLD = re.compile(r"/Records/\d{1,4}/s3/object/key")
"""Where a notification has the key of what was put into a bucket."""


def patch(guard: Guard, module: ModuleType) -> None:
    """Take what the code reads of such an object as data of the event."""

    def answered(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        given = argument(arguments, named, 2, "api_params")
        if argument(arguments, named, 1, "operation_name") != "GetObject" or not guard.active:
            return
        key = given.get("Key") if isinstance(given, dict) else None
        body = result.get("Body") if isinstance(result, dict) else None
        origin = guard.whole(key) if isinstance(key, str) else None
        if body is not None and origin is not None and _TOLD.fullmatch(origin.pointer):
            _follow(guard, body, f"s3:{given.get('Bucket', '')}")

    wrap_after(module.BaseClient, "_make_api_call", answered)


def _follow(guard: Guard, body: Any, source: str) -> None:
    read = body.read

    def followed(*arguments: Any, **named: Any) -> Any:
        data = read(*arguments, **named)
        if data:
            guard.add(source, data)
        return data

    body.read = followed
