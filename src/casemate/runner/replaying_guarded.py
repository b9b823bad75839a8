"""An invocation done again as an instance does it: with the sink guard, told without its values.

Uses of the platform are answered as they were recorded, and what was not recorded is told. A write
that there was not then ends well, and does nothing: what a handler learns of it is no data.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from ..guard import setting_up
from ..guard.core import Guard, Rule
from ..guard.labels import Labels
from . import wire
from .answer_hash import answer_hash
from .channel import Labelled
from .context import Context
from .debugging import RecordedChannel, frames_of
from .instance import Handler, Instance
from .loaded import LateImports
from .told import MAX_TEXT, Told

_SECONDS = 3600.0
_NOT_LOADED, _NOT_READ = "not-loaded", "not-read"
_BLOCKED = ("sink", "place", "mode")
_OUTSIDE: dict[str, Callable[[tuple[Any, ...]], str]] = {
    "socket.connect": lambda arguments: _of_address(arguments[1]),
    "socket.sendto": lambda arguments: _of_address(arguments[1]),
    "socket.getaddrinfo": lambda _: "the network",
    "socket.gethostbyname": lambda _: "the network",
    "subprocess.Popen": lambda _: "a program",
    "os.exec": lambda _: "a program",
    "os.posix_spawn": lambda _: "a program",
    "os.system": lambda _: "a program",
}
"""What is not there when an event is done again, by the audit event that tells of its use."""


class ToldChannel(Labelled, RecordedChannel):
    """Answers as it was answered, and tells what was not, and what was denied."""

    def __init__(self, frames: list[tuple[bool, dict[str, Any], bytes]], told: Told) -> None:
        """Answer what was asked in these frames. TypeError for what none are."""
        if not all(isinstance(head, dict) for _, head, _ in frames):
            raise TypeError("the head of a frame is no object")
        super().__init__(frames)
        self.open = True
        self.labels = None
        self._told = told

    def send(self, frame: bytes) -> None:
        """Keep what the sink guard tells; a line of a log is not compared."""
        if frame[:1] != wire.GUARD:
            return
        _, head_length, _ = wire.HEADER.unpack_from(frame)
        record = json.loads(frame[wire.HEADER_BYTES : wire.HEADER_BYTES + head_length])
        self._told.note("blocked", record["sink"], record["place"], record["mode"])

    def _recorded(self, operation: str) -> tuple[dict[str, Any], bytes] | None:
        found = super()._recorded(operation)
        if found is not None:
            if found[0].get("error") == "denied":
                self._told.note("denied", operation)
            return found
        _, arguments, body = self.calls[-1]
        made = _made_up(operation, arguments, body)
        self._told.note("missing" if made is None else "made up", operation)
        return None if made is None else ({"ok": made}, b"")


def _made_up(operation: str, arguments: dict[str, object], body: bytes) -> dict[str, Any] | None:
    """Return what a write is answered that ends well; None for what is none."""
    match operation:
        case "table.put":
            return {"revision": 1, "modified_at": time.time()}
        case "table.delete" | "bucket.delete":
            return {}
        case "queue.send" | "topic.publish":
            return {"id": "msg_000000000000000000000000"}
        case "bucket.put":
            return {
                "key": arguments.get("key"),
                "revision": 1,
                "size": len(body),
                "content_type": arguments.get("content_type"),
                "metadata": arguments.get("metadata") or {},
                "modified_at": time.time(),
                "sha256": hashlib.sha256(body).hexdigest(),
            }
    return None


class Again(Instance):
    """An instance that serves one invocation of a job, and no socket."""

    def __init__(
        self, handler: Handler, job: dict[str, Any], guard: Guard, channel: ToldChannel
    ) -> None:
        """Prepare what an instance prepares."""
        assignment = {**job, "isolation": "request"}
        with socket.socket(socket.AF_UNIX) as unused:
            super().__init__(handler, assignment, unused, guard, LateImports())
        channel.labels = Labels(guard)
        self._channel = channel  # type: ignore[assignment]

    def outcome(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return how the invocation ends: as `Outcome` has it, with a hash of the answer."""
        head = {
            "id": job["id"],
            "at": job["at"],
            "deadline": time.time() + _SECONDS,
            "http": job["http"],
            "version": str(job["version"]),
            "shape": job["shape"],
            "open": job["open"],
        }
        event = json.dumps(job["event"]).encode()
        try:
            # By itself: one of another form must not look like a handler that raised.
            self._read(head, event)
        except Exception:  # noqa: BLE001 - whatever it is that is not as expected
            return {"kind": _NOT_READ}
        frame = self._frame(head, event)
        kind, raw, body = wire.FrameReader(wire.KINDS_FROM_INSTANCE, 1 << 31).feed(frame)[-1]
        if kind == wire.ANSWER:
            return {"kind": "ok", "answer": answer_hash(body)}
        told = json.loads(raw)
        return {"kind": told["kind"], "type": _type(told["type"])}


def under_guard(
    job: dict[str, Any], load: Callable[[str], Callable[[Any, Context], Any]]
) -> dict[str, Any]:
    """Do a job's invocation again in this process, which is put under the guard for good."""
    guard, told = Guard(rules=tuple(Rule(*rule) for rule in job["guard"])), Told()
    setting_up.before_import(guard)

    def load_watched(name: str) -> Handler:
        handler = load(name)
        watch_outside(told)  # before the guard's own: what it stops is used all the same
        setting_up.after_import(guard)
        return handler

    return replay_guarded(job, load_watched, guard, told)


def replay_guarded(
    job: dict[str, Any], load: Callable[[str], Handler], guard: Guard, told: Told
) -> dict[str, Any]:
    """Return how an invocation ends when it is done again, and what it did, by names alone."""
    try:
        channel = ToldChannel(frames_of(job), told)
    except (ValueError, TypeError, LookupError, AttributeError):
        return {"kind": _NOT_READ}
    try:
        handler = load(job["handler"])
    except BaseException as error:  # noqa: BLE001 - SystemExit at import is a failure as well
        outcome = {"kind": _NOT_LOADED, "type": _type(type(error).__name__)}
    else:
        outcome = Again(handler, job, guard, channel).outcome(job)
    return {
        **outcome,
        "blocked": [dict(zip(_BLOCKED, one, strict=True)) for one in told.of("blocked")],
        "denied": [one for (one,) in told.of("denied")],
        "missing": [one for (one,) in told.of("missing")],
        "made_up": [one for (one,) in told.of("made up")],
        "outside": [one for (one,) in told.of("outside")],
        "secrets": any(name == "secret.get" for name, _, _ in channel.calls),
    }


def watch_outside(told: Told) -> None:
    """Tell from now on of each use of what is not there. Cannot be undone."""

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        what = _OUTSIDE.get(event)
        used = what(arguments) if what is not None else ""
        if used:
            told.note("outside", used)

    sys.addaudithook(on_event)


def _of_address(address: object) -> str:
    """Return what an address is used for: those of sockets in files are texts, and go nowhere."""
    return "the network" if isinstance(address, tuple) else ""


def _type(name: str) -> str:
    """Return the name of an exception's type; one that is no name could hold anything."""
    plain = len(name) <= MAX_TEXT and all(part.isidentifier() for part in name.split("."))
    return name if plain and name.isascii() else "an exception"
