"""A handler in the standard library's debugger, with what one of its invocations had.

Started by `casemate dev --debug` in a sandbox without network, files of the host or a terminal:
commands come by the standard input, after one line with the job, and all else goes out as text.
Uses of the platform are answered as they were recorded, in the same order; nothing is done.
"""

from __future__ import annotations

import base64
import inspect
import json
import os
import pdb
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from types import CodeType, FrameType
from typing import Any

from . import event as events
from .answers import BadResultError, answer
from .channel import ERRORS, CapabilityError, UnavailableError
from .context import Context, Log
from .failures import describe
from .measures import Measures
from .trace import of as trace_of

MAX_SHOWN = 2000
_OURS, _PATH = "/casemate", ("/function/code", "/function/deps")
_SPARE = 2 << 30
"""Bytes of addresses beyond the function's limit of memory."""
_NOT_RECORDED = b"(the value of a secret is not recorded)"
_OUTCOMES = ("ok", "error")
_OF_LOOPS = ("asyncio", "asyncio.*", "selectors", "_weakrefset", __name__)
"""Modules in which nothing stops: they run between the lines of a handler."""


class RecordedChannel:
    """Stands in the place of `Channel`: has the answers that there were."""

    def __init__(self, frames: list[tuple[bool, dict[str, Any], bytes]]) -> None:
        """Answer what was asked in these frames."""
        self.calls: list[tuple[str, dict[str, object], bytes]] = []
        self._asked = [head for asked, head, _ in frames if asked]
        self._answers = {head.get("n"): (head, body) for asked, head, body in frames if not asked}
        self._next = 0

    def labels_of(self, value: object) -> str | None:
        """There is no sink guard that would follow data."""
        return None

    def storing(self, key: str, content: str | bytes, content_type: str) -> None:
        """There is no sink guard that would judge what is stored."""

    def came(self, source: str, value: object, labels: object) -> None:
        """There is no sink guard that would follow data."""

    def call(
        self, operation: str, body: bytes = b"", **arguments: object
    ) -> tuple[dict[str, Any], bytes, int | None]:
        """Return what was answered then. Raises CapabilityError."""
        self.calls.append((operation, arguments, body))
        found = self._recorded(operation)
        if found is None:
            raise UnavailableError(f"the recording has no answer to {operation} here")
        reply, content = found
        if "error" in reply:
            raise ERRORS.get(str(reply["error"]), CapabilityError)(str(reply.get("message")))
        return reply["ok"], content, _pipe() if operation == "secret.get" else None

    def _recorded(self, operation: str) -> tuple[dict[str, Any], bytes] | None:
        """Return what the next use was answered, if it was of this operation and was answered."""
        if self._next >= len(self._asked) or self._asked[self._next].get("op") != operation:
            return None
        asked, self._next = self._asked[self._next], self._next + 1
        found = self._answers.get(asked.get("n"))
        return found if found is not None and not found[0].keys().isdisjoint(_OUTCOMES) else None


def _pipe() -> int:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.write(writing, _NOT_RECORDED)
    os.close(writing)
    return reading


class Debugger(pdb.Pdb):
    """Reads from the standard input alone: no file of settings, no terminal, no signals."""

    def __init__(self) -> None:
        """Speak by the standard streams."""
        super().__init__(
            stdin=sys.stdin, stdout=sys.stdout, nosigint=True, readrc=False, skip=_OF_LOOPS
        )
        self.quitting_for_good = False
        self.begins_in: CodeType | None = None
        """What is to be called before anything stops."""

    def dispatch_call(self, frame: FrameType, arg: Any) -> Any:
        """Trace what is called, from what it is to begin in on."""
        if self.begins_in is not None:
            if frame.f_code is not self.begins_in:
                return None
            self.begins_in = None
        return super().dispatch_call(frame, arg)

    def set_quit(self) -> None:
        """Remember that it was asked to."""
        self.quitting_for_good = True
        super().set_quit()


def frames_of(job: dict[str, Any]) -> list[tuple[bool, dict[str, Any], bytes]]:
    """Return what was asked and answered in a job."""
    return [
        (asked, json.loads(base64.b64decode(head)), base64.b64decode(content))
        for asked, head, content in job["frames"]
    ]


def recorded_channel(job: dict[str, Any]) -> RecordedChannel:
    """Return what answers as it was answered in a job."""
    return RecordedChannel(frames_of(job))


def context_of(
    job: dict[str, Any],
    event: events.Event,
    channel: RecordedChannel,
    log: Callable[[str, str], None],
) -> Context:
    """Return the context that a handler of a job is called with."""
    return Context(
        event=event,
        request_id=job["id"],
        deadline=time.time() + 3600.0,
        project=job["project"],
        function_name=job["function"],
        function_version=str(job["version"]),
        memory_limit=job["memory"],
        log=Log(log),
        channel=channel,  # type: ignore[arg-type]
        measures=Measures(),
        trace=trace_of({"id": job["id"]}),
    )


def debug(job: dict[str, Any], load: Callable[[str], Callable[[Any, Context], Any]]) -> None:
    """Have the handler of a job called line by line, and look at where it raises."""
    origin = events.Origin({"id": job["id"], "at": job["at"]}, job["project"], job["function"])
    given, event = events.read(job["shape"], job["event"], origin)
    debugger = Debugger()
    try:
        handler = load(job["handler"])
        context = context_of(job, event, recorded_channel(job), _printed)
        result = _called(debugger, handler, given, context)
    except BaseException as error:  # noqa: BLE001 - SystemExit is the handler's outcome too
        if debugger.quitting_for_good:
            return
        print(describe(error)["trace"], end="")
        debugger.reset()
        debugger.interaction(None, error.__traceback__)
        return
    if debugger.quitting_for_good:
        return
    print(f"It returned {result!r}"[:MAX_SHOWN])
    try:
        answer(result, http=job.get("http", False), shape=job["shape"])
    except BadResultError as error:
        print(f"That is no answer, and an error on a node: {error}")


def _called(
    debugger: Debugger, handler: Callable[[Any, Context], Any], given: Any, context: Context
) -> Any:
    """Return what a handler returns, line by line; of one that is asynchronous when it is done."""
    result = debugger.runcall(handler, given, context)
    if not inspect.iscoroutine(result):
        return result
    import asyncio

    debugger.begins_in = result.cr_code
    loop = asyncio.new_event_loop()
    try:
        return debugger.runcall(loop.run_until_complete, _traced(result))
    finally:
        loop.close()


async def _traced(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine does, and trace nothing of the loop that ends after it."""
    try:
        return await coroutine
    finally:
        sys.settrace(None)


def _printed(level: str, text: str) -> None:
    print(f"{level}: {text}")


def read_job() -> dict[str, Any]:
    """Read the job from the standard input, and make this process ready for it."""
    from .handlers import offer_names

    sys.path[:] = [*_PATH, *(part for part in sys.path if part != _OURS)]
    offer_names()
    job: dict[str, Any] = json.loads(sys.stdin.readline())
    most = job["memory"] + _SPARE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    os.environ.update(job["environment"])
    return job


def main() -> None:
    """Read the job and begin."""
    from .handlers import load_handler

    debug(read_job(), load_handler)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
