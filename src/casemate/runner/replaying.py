"""A handler called once with what one of its invocations had, and what came of it as one line.

Started by `casemate` in a sandbox without network or files of the host, to compare two bundles.
Uses of the platform are answered as they were recorded; nothing is done.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from . import event as events
from .answers import json_bytes
from .context import Context
from .debugging import RecordedChannel, context_of, read_job, recorded_channel

MAX_RESULT = 1024 * 1024
"""Bytes of a result that are told as they are; beyond, its hash is."""


def replay(
    job: dict[str, Any], load: Callable[[str], Callable[[Any, Context], Any]]
) -> dict[str, Any]:
    """Return what a handler of a job answers, or how it fails, and what it asks for."""
    channel = recorded_channel(job)
    origin = events.Origin({"id": job["id"], "at": job["at"]}, job["project"], job["function"])
    given, event = events.read(job["shape"], job["event"], origin)
    try:
        handler = load(job["handler"])
        result = handler(given, context_of(job, event, channel, _unheard))
        if inspect.iscoroutine(result):
            import asyncio

            result = asyncio.run(result)
        outcome = {"result": _told(result)}
    except BaseException as error:  # noqa: BLE001 - SystemExit is the handler's outcome too
        # Not the text: it may name a file, an address or a version of what is compared.
        outcome = {"error": f"{type(error).__module__}.{type(error).__qualname__}"}
    return {**outcome, "calls": _calls(channel)}


def _told(result: object) -> str:
    data = json_bytes(result)
    if len(data) > MAX_RESULT:
        return f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
    return data.decode("utf-8", "replace")


def _calls(channel: RecordedChannel) -> list[str]:
    return [
        json.dumps([name, arguments, hashlib.sha256(body).hexdigest()], default=str, sort_keys=True)
        for name, arguments, body in channel.calls
    ]


def _unheard(level: str, text: str) -> None:
    """Take a line of a log; what it says is not compared."""


def main() -> None:
    """Read the job, call the handler, and say what came of it."""
    from .handlers import load_handler
    from .replaying_guarded import under_guard

    # What the handler prints is not taken for what came of it.
    told = os.dup(1)
    os.dup2(2, 1)
    job = read_job()
    if "guard" in job:
        os.chdir("/function/code")  # as an instance is: paths are judged from there
        outcome = under_guard(job, load_handler)
    else:
        outcome = replay(job, load_handler)
    with contextlib.suppress(Exception):  # a handler may have closed or replaced it
        sys.stdout.flush()
    with os.fdopen(told, "w", encoding="utf-8") as out:
        out.write(json.dumps(outcome) + "\n")
    # A thread that the handler left must not keep this from ending.
    os._exit(0)


if __name__ == "__main__":
    main()
