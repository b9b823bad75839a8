"""Attempts to get what was not granted: what came of each, and what the node recorded of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from support.node import TestNode

SYSTEM_CALL, CAPABILITY, EGRESS = "system-call", "capability", "egress"
INJECTION = "injection"
AUTHENTICATION, AUTHORIZATION = "authentication", "authorization"
REQUEST = "request"
FILTER_KILL = "system call"
"""The action of a denial that ended the instance: the filter cannot say which call it was."""
_RECORD_SECONDS = 30.0

Denial = dict[str, Any]
Attack = Callable[..., "Attempt"]
"""Takes the name of an attack and its arguments, has `t/attack` try it."""


def until(find: Callable[[], Any], seconds: float = _RECORD_SECONDS) -> Any:
    """Return what `find` finds, once it does; what it finds last (nothing) after `seconds`."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while not (found := find()) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(2 * pause, 0.2)  # each look keeps the node from what it is to come to
    return found


def denials(
    node: TestNode,
    *,
    kind: str,
    since: float = 0.0,
    seconds: float = _RECORD_SECONDS,
    actions: frozenset[str] | None = None,
    **query: Any,
) -> list[Denial]:
    """Return the denials of a kind, once there are some; none after `seconds`.

    `query` is for the API: project, function, invocation. `actions` limits to these.
    """

    asked = {"limit": 1000, **query} | ({"since": since} if since else {})

    def find() -> list[Denial]:
        return [
            denial
            for denial in node.get("/denials", **asked)["denials"]
            if denial["kind"] == kind and (actions is None or denial["action"] in actions)
        ]

    result: list[Denial] = until(find, seconds)
    return result


@dataclass(frozen=True)
class Attempt:
    """One invocation of a function that tries something."""

    node: TestNode
    function: str
    response: httpx2.Response
    started: float

    @property
    def id(self) -> str:
        return self.response.headers["x-request-id"]

    @property
    def answer(self) -> dict[str, Any]:
        """What the function says of it. Fails if it could not answer."""
        assert self.response.status_code == 200, self.error
        answer: dict[str, Any] = self.response.json()
        return answer

    @property
    def errno(self) -> int:
        """The kernel's refusal. Fails if there is none."""
        answer = self.answer
        assert "errno" in answer, f"it worked: {answer}"
        return int(answer["errno"])

    def denied(
        self, *actions: str, kind: str = SYSTEM_CALL, seconds: float = _RECORD_SECONDS
    ) -> list[Denial]:
        """Return the denials that were recorded of this attempt, once there are some.

        They name the invocation, or none where the node could not tell which of the function's
        instances it was: one that has just answered is not gone yet.
        """
        project, _, function = self.function.partition("/")
        found = denials(
            self.node,
            kind=kind,
            since=self.started,
            seconds=seconds,
            actions=frozenset(actions) or None,
            project=project,
            function=function,
        )
        return [denial for denial in found if denial["invocation"] in (self.id, "")]

    @property
    def record(self) -> dict[str, Any]:
        """Return the record of the invocation, which is there for whatever a function does.

        Where the kernel itself refuses (a file that is not there, a route to nowhere) nothing
        of the node sees more than this.
        """
        record: dict[str, Any] = until(lambda: self._read(f"/invocations/{self.id}"))
        return record

    @property
    def error(self) -> dict[str, Any]:
        """Return the owner's view of how it failed."""
        error_id = self.response.json()["error_id"]
        error: dict[str, Any] = until(lambda: self._read(f"/errors/{error_id}"))
        return error

    def _read(self, path: str) -> dict[str, Any] | None:
        """Return a record. One that may hold a secret is written a little later."""
        answer = self.node.client.get(f"{self.node.url}/api/v1{path}")
        return answer.json() if answer.status_code == 200 else None

    def recorded(self, outcome: str = "ok") -> bool:
        """Tell whether it is on record who ran what, when, and how it ended."""
        record = self.record
        return (
            f"{record['project']}/{record['function']}" == self.function
            and record["outcome"] == outcome
            and record["started_at"] >= self.started - 1
        )


def attempt(node: TestNode, function: str, event: dict[str, Any], **rest: Any) -> Attempt:
    """Have a function try something."""
    started = time.time()
    return Attempt(node, function, node.invoke(event, function=function, **rest), started)
