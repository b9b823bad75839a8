"""The names of functions that a shell proposes: asked for quickly, or not at all."""

from __future__ import annotations

import re
from contextlib import suppress

from casemate.cli.client import connect
from casemate.cli.names import resolve
from casemate.model.errors import CasemateError
from casemate.model.function import NAME_PATTERN
from casemate.operations.functions import ListFunctions

CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 1.0
MAX_NAMES = 5000
_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")


def names() -> list[str]:
    """Return what FUNCTION may be, here. Raises CasemateError if the node cannot be asked."""
    with connect() as client:
        answer = client.call(
            ListFunctions(), seconds=ANSWER_SECONDS, connect_seconds=CONNECT_SECONDS
        )
    listed = answer.functions[:MAX_NAMES]
    # What a shell is handed has to be a name, whatever the node says.
    found = [f for f in listed if _NAME.match(f.project) and _NAME.match(f.name)]
    here = _project_here()
    return [f.name for f in found if f.project == here] + [f"{f.project}/{f.name}" for f in found]


def _project_here() -> str | None:
    with suppress(CasemateError):
        return resolve("any").project
    return None
