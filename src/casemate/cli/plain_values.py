"""Takes plain values of a command line as they are: texts, whole numbers, paths.

Typer has pydantic take each value of each parameter, also where none was given; to load that takes
two thirds of the time in which a command line is read. What is not plain, or not within its bounds,
is left to Typer, and so are all messages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
NOT_PLAIN = object()


def take_plain_values(parameters: list[Any]) -> list[Any]:
    """Have parameters of a command take plain values by themselves; return them."""
    for parameter in parameters:
        usual = getattr(parameter, "get_runtime_param", None)
        if usual is not None and not isinstance(usual, _Plain):
            parameter.get_runtime_param = _Plain(parameter, usual)
    return parameters


class _Plain:
    """What takes the values of one parameter, in the place of what returns Typer's own."""

    def __init__(self, parameter: Any, usual: Callable[[], Any]) -> None:
        """Leave what is not plain to what `usual` returns."""
        described = parameter.type_descriptor
        self._annotation, self._info = described.annotation, described.parameter_info
        self._usual = usual

    def __call__(self) -> _Plain:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value that a command gets."""
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        found = self._of_many(value) if many else self._of_one(value, self._annotation)
        if found is not NOT_PLAIN:
            return found
        return self._usual().coerce(value, param=param, ctx=ctx)

    def _of_many(self, values: Any) -> Any:
        kind = self._annotation
        if get_origin(kind) is not list or type(values) not in (list, tuple):
            return NOT_PLAIN
        found = [self._of_one(value, get_args(kind)[0]) for value in values]
        return NOT_PLAIN if NOT_PLAIN in found else found

    def _of_one(self, value: Any, kind: Any) -> Any:
        info = self._info
        if info.parser is not None:
            return NOT_PLAIN
        if kind is str and type(value) is str:
            return value
        if kind is int and (type(value) is int or (type(value) is str and _WHOLE.fullmatch(value))):
            number = int(value)
            low, high = info.min, info.max
            within = (low is None or number >= low) and (high is None or number <= high)
            return number if within else NOT_PLAIN
        if kind is Path and type(value) in (str, Path):
            return self._path(value)
        return NOT_PLAIN

    def _path(self, value: str | Path) -> Any:
        info = self._info
        asks = (info.resolve_path, info.allow_dash, info.writable, info.path_type is not None)
        try:
            os.stat(value)  # noqa: PTH116 - as Typer does
        except FileNotFoundError:
            plain = not info.exists
        except (OSError, ValueError):
            plain = False
        else:
            plain = info.file_okay and info.dir_okay
            plain = plain and (not info.readable or os.access(value, os.R_OK))
        return Path(value) if plain and not any(asks) else NOT_PLAIN
