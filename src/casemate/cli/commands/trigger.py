"""`casemate trigger`: events as the sources of a function bring them, on demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from casemate.cli.errors import UsageError
from casemate.cli.file_input import STANDARD_INPUT, content_of
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import note, print_line
from casemate.decoding import DECODING_ERRORS
from casemate.operations.triggers import Fired, FireTrigger

app = new_app("Send a function a sample event, as its trigger would.")

MAX_DATA_BYTES = 60 * 1024


def _read(text: str) -> Any:
    if text == STANDARD_INPUT:
        content = content_of(None, "standard input", MAX_DATA_BYTES)
    elif text.startswith("@"):
        content = content_of(Path(text[1:]), text[1:], MAX_DATA_BYTES)
    else:
        content = text.encode("utf-8", "surrogateescape")
    if len(content) > MAX_DATA_BYTES:
        raise UsageError(
            f"The data has more than {MAX_DATA_BYTES} bytes.", next_step="Send less of it."
        )
    try:
        return msgspec.json.decode(content)
    except DECODING_ERRORS as error:
        raise UsageError(
            f"--data is no JSON: {error}", next_step="Quote it as one word."
        ) from error


@answered(
    app,
    FireTrigger,
    read={"data": _read},
    examples="""\
$ casemate trigger fire shop/resize bucket-1
$ casemate trigger fire resize bucket-1 --data '{"key": "photos/cat.jpg"}'
$ casemate trigger fire nightly schedule-1 --data @night.json
""",
)
def fire(fired: Fired, call: Call) -> None:
    """Send a function an event, as one of its triggers would.

    It works for every kind: a schedule's time, a message, a change of a bucket or table, a web
    hook, a message of an outside server. The event fits the trigger's filters and takes the way of
    real ones: contract, batches, attempts, dead letters. Bucket, table, queue and topic stay as
    they are. It needs `trigger:fire`.
    """
    print_line(fired.id)
    note(f"{fired.event.type} is kept for {call.name}.")
    note(
        f"Next: `casemate invocations {call.name} --status {fired.id}` tells how it ended, "
        f"`casemate logs -i {fired.id}` shows its lines."
    )
