"""JSON that a command sends as it is: from a file or from standard input, looked at before."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from casemate.cli.errors import UsageError
from casemate.cli.file_input import STANDARD_INPUT, content_of
from casemate.cli.text import size
from casemate.operations.fields import MAX_SENT

JsonFileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A file of JSON; `-` or nothing is standard input."),
]


def json_given(file: Path | None, what: str, *, as_object: bool = False) -> msgspec.Raw:
    """Return the JSON that was given, unchanged. UsageError says where it is none, never what."""
    content, place = _read(file, what)
    try:
        value: Any = json.loads(content.decode(), parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise _not_json(what, place, f"byte {error.start + 1} is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise _not_json(what, place, "it holds half of a surrogate pair") from error
    except RecursionError as error:
        raise _not_json(what, place, "it is nested too deeply") from error
    except ValueError as error:
        raise _not_json(what, place, str(error)) from error
    if as_object and not isinstance(value, dict):
        raise UsageError(
            f"The {what} in {place} is JSON, but no object.",
            next_step='Give an object with the key attributes, such as {"id": "ada"}.',
        )
    return msgspec.Raw(content)


def _read(file: Path | None, what: str) -> tuple[bytes, str]:
    """Return what was given, and what to call its place."""
    if file is None and sys.stdin.isatty():
        raise UsageError(
            f"The {what} is missing.",
            next_step="Name a file of JSON, or pipe it in; `-` reads what you type until Ctrl-D.",
        )
    named = file is not None and str(file) != STANDARD_INPUT
    place = str(file) if named else "standard input"
    content = content_of(file, place, MAX_SENT)
    if len(content) > MAX_SENT:
        raise UsageError(
            f"The {what} in {place} has more than {size(MAX_SENT)}, the most for one request.",
            next_step="Keep large content in a bucket, and its key here.",
        )
    return content, place


def _not_json(what: str, place: str, why: str) -> UsageError:
    return UsageError(
        f"The {what} in {place} is not JSON: {why}.", next_step="Fix it; nothing was sent."
    )


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
