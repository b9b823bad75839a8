"""The names of functions that a shell proposes: asked for quickly, or not at all."""

from __future__ import annotations

import re
from contextlib import suppress

import httpx2
import msgspec

from casemate.cli.client import connect, path_of
from casemate.cli.names import resolve
from casemate.model.errors import CasemateError
from casemate.model.function import NAME_PATTERN

CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 1.0
MAX_NAMES = 5000
_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")


class _Function(msgspec.Struct):
    project: str
    name: str


class _Functions(msgspec.Struct):
    functions: tuple[_Function, ...]


def names() -> list[str]:
    """Return what FUNCTION may be, here. Raises CasemateError if the node cannot be asked."""
    timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    with connect() as client:
        answer = client.ask("GET", path_of("functions"), timeout=timeout)
        listed = client.decode(answer, _Functions).functions[:MAX_NAMES]
    # What a shell is handed has to be a name, whatever the node says.
    found = [f for f in listed if _NAME.match(f.project) and _NAME.match(f.name)]
    here = _project_here()
    return [f.name for f in found if f.project == here] + [f"{f.project}/{f.name}" for f in found]


def _project_here() -> str | None:
    with suppress(CasemateError):
        return resolve("any").project
    return None
