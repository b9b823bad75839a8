"""One program of `bench.guard_blind`, in its sandbox: its handler under the sink guard, or without.

Argument: `on` or `off`. Standard input: JSON, a list of events. Standard output: one JSON line for
each. The handler is imported once, as in a zygote; each event has a fork, as in an instance, whose
code (`runner/instance.py`) serves it here as well.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

_SECONDS = 60
_BLOCKED_SECONDS = 2.0
"""How long a node lets a handler go on once one of its calls was stopped: `sandbox/guard_watch`."""
_STOPPED = b"\0"
"""Ends what is told of a call that was stopped, before all else is told."""
_MAX_TEXT = 2_000
_SPARE = 16 << 20
_IGNORED = ("bad-result",)
"""Kinds of an error that an answer meets which was fit for a direct call."""

Job = dict[str, Any]


def _job(event: object) -> Job:
    # A request's shape has the answer judged; what is no object comes by a direct call.
    shape = "http" if isinstance(event, dict) else ""
    now = time.time()
    head = {"project": "trial", "function": "trial", "version": "1", "digest": "0" * 64}
    bounds = {"memory": 512 << 20, "response": _SPARE, "open": [], "frames": []}
    told = {"shape": shape, "http": bool(shape), "event": event}
    return {**head, **bounds, **told, "id": "blind", "at": now}


def _kept(handler: Any, met: dict[str, str]) -> Any:
    """Return a handler that keeps what it returned, to be compared with the other side's."""

    def keep(result: Any) -> Any:
        with contextlib.suppress(Exception):  # what is no JSON is not compared
            met["answer"] = json.dumps(result, sort_keys=True)
        return result

    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def later(event: Any, context: Any) -> Any:
            return keep(await handler(event, context))

        return later

    @functools.wraps(handler)
    def at_once(event: Any, context: Any) -> Any:
        return keep(handler(event, context))

    return at_once


def _guarded(handler: Any, guard: Any, event: object, to: int) -> dict[str, str]:
    from casemate.runner.replaying_guarded import Again, ToldChannel
    from casemate.runner.told import Told

    met: dict[str, str] = {}

    class Blind(Again):
        """Keeps what the handler's owner would be told."""

        def _report(self, record: dict[str, Any]) -> None:
            told = {name: str(record[name]) for name in ("sink", "place", "changed", "pointer")}
            if record["mode"] == "block" and "sink" not in met:
                os.write(to, _line({**told, "told": "", "outcome": "blocked"}) + _STOPPED)
            met.update({name: text for name, text in told.items() if name not in met})
            super()._report(record)

        def _failed(self, kind: str, detail: dict[str, str], held: bytes = b"") -> bytes:
            met["told"] = f"{detail['type']}: {detail['message']}"
            return super()._failed(kind, detail, held)

    job = _job(event)
    ended = Blind(_kept(handler, met), job, guard, ToldChannel([], Told())).outcome(job)
    kind = "ok" if ended["kind"] in _IGNORED else str(ended["kind"])
    return {"told": "", **met, "outcome": kind}


def _plain(handler: Any, event: object) -> dict[str, str]:
    from casemate.runner.replaying import replay

    met: dict[str, str] = {}
    kept = _kept(handler, met)
    found = replay(_job(event) | {"handler": ""}, lambda _: kept)
    error = str(found.get("error", ""))
    if error.endswith(".BadResultError"):
        error = ""
    return {**met, "told": error, "outcome": "handler-error" if error else "ok"}


def _answer(handler: Any, guard: Any, event: object, to: int) -> None:
    """Answer one event in this fork, which ends with it."""
    found: dict[str, str] = {"outcome": "crashed", "told": ""}
    try:
        os.dup2(2, 1)  # what the handler prints is no answer
        found = _plain(handler, event) if guard is None else _guarded(handler, guard, event, to)
    except BaseException as error:
        found = {"outcome": "runner-error", "told": f"{type(error).__name__}: {error}"}
    finally:
        os.write(to, _line(found) + b"\n")
        os._exit(0)


def _line(found: dict[str, str]) -> bytes:
    shown = {name: text[:_MAX_TEXT] for name, text in found.items()}
    return json.dumps(shown).encode()


def _asked(handler: Any, guard: Any, event: object) -> dict[str, str]:
    """Answer one event in a fork. What takes too long is ended, with all that it started."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(read)
        _answer(handler, guard, event, write)
    os.close(write)
    line, until = b"", time.monotonic() + _SECONDS
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([read], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(read, 65536) if ready else b""
        if not piece:
            break
        line += piece
        if line.endswith(_STOPPED):  # as a node does: whatever the handler waits for now
            until = min(until, time.monotonic() + _BLOCKED_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    stopped, _, line = line.rpartition(_STOPPED)
    ended = line if line.endswith(b"\n") else stopped
    if not ended:
        return {"outcome": "timeout" if time.monotonic() >= until else "crashed", "told": ""}
    answer: dict[str, str] = json.loads(ended)
    return answer


def _bind_again(event: str, arguments: tuple[Any, ...]) -> None:
    """Let a server of a program have the port that it had for the event before.

    The forks share a network: what one left half closed would be an error of the next.
    """
    if event == "socket.bind" and arguments[0].type == socket.SOCK_STREAM:
        with contextlib.suppress(OSError):
            arguments[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


class _NoneOfOurs:
    """Finds no module of ours that is not loaded yet: an instance's root has no file of them."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith("casemate."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main(mode: str) -> None:
    """Import the handler, and answer each event."""
    sys.addaudithook(_bind_again)
    from casemate.guard import setting_up
    from casemate.guard.core import Guard
    from casemate.runner.base import _warm
    from casemate.runner.handlers import load_handler, offer_names

    _warm()
    import casemate.runner.replaying
    import casemate.runner.replaying_guarded  # noqa: F401 - ours is there before the function's

    events = json.load(sys.stdin)
    told = os.dup(1)
    os.dup2(2, 1)
    offer_names()
    guard = None
    if mode == "on":
        guard = Guard()
        setting_up.before_import(guard)
    sys.meta_path.insert(0, _NoneOfOurs())
    sys.path[:] = ["/function/code", "/function/deps", *(p for p in sys.path if p != "/casemate")]
    failed = ""
    handler: Any = None
    try:
        if guard is not None:
            setting_up.before_handler(guard, {})
        handler = load_handler("handler:handler")
        if guard is not None:
            setting_up.after_import(guard)
    except BaseException as error:
        failed = f"{type(error).__name__}: {error}"
    for event in events:
        if failed:
            found = {"outcome": "not-loaded", "told": failed}
        else:
            found = _asked(handler, guard, event)
        os.write(told, json.dumps(found).encode() + b"\n")
    os._exit(0)
