"""Who acts in a run: an owner and a caller with tokens of their own, which end with it.

A run that is killed leaves them to whoever cleans up after it, and their text to nobody.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from casemate.drills.lease import LEASE_MINUTES
from casemate.drills.node import Answer, Node
from casemate.operations.tokens import AddToken

_API = "/api/v1"


class Actors:
    """Made when the first is needed. Findings are about them, not about who runs the drill."""

    def __init__(self, node: Node, project: str) -> None:
        """Act on a project of `node`."""
        self.node = node
        self.project = project
        self.mark = os.urandom(4).hex()
        """In each name that is made: nobody else has it."""
        self._tokens: dict[str, tuple[str, str]] = {}
        """By role: id and text."""
        self._lock = threading.Lock()

    def _token(self, role: str) -> tuple[str, str]:
        with self._lock:
            if role not in self._tokens:
                name = f"drill-{self.mark}-{len(self._tokens)}"
                wanted = AddToken(name=name, roles=(role,), minutes=LEASE_MINUTES)
                made = self.node.call(wanted)
                self._tokens[role] = (made.token.id, made.text)
            return self._tokens[role]

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of their tokens."""
        return tuple(id for id, _ in self._tokens.values())

    def _ask(self, role: str, method: str, path: str, body: object, headers: object) -> Answer:
        more: dict[str, Any] = dict(headers) if isinstance(headers, dict) else {}
        more["authorization"] = f"Bearer {self._token(role)[1]}"
        rest: dict[str, Any] = {} if body is None else {"json": body}
        at = path.replace("{p}", self.project)
        return self.node.as_stranger(method, at, headers=more, **rest)

    def owner(self, ask: str, body: object = None, **headers: str) -> Answer:
        """Ask the API for `METHOD /path` as an owner; what comes of it is not looked at."""
        method, _, path = ask.partition(" ")
        return self._ask("owner", method, _API + path, body, headers)

    def caller(self, ask: str, body: object = None, **headers: str) -> Answer:
        """Do the same as somebody who may call functions of the project, and nothing else."""
        method, _, path = ask.partition(" ")
        return self._ask(f"invoker@{self.project}", method, _API + path, body, headers)

    def developer(self, ask: str, body: object = None) -> Answer:
        """Do the same as a developer of the project."""
        method, _, path = ask.partition(" ")
        return self._ask(f"developer@{self.project}", method, _API + path, body, {})

    def invoke(self, function: str, event: object, **headers: str) -> Answer:
        """Call a function of the project as its caller."""
        path = f"/invoke/{self.project}/{function}"
        return self._ask(f"invoker@{self.project}", "POST", path, event, headers)
