"""Containment that nobody asks for: a playbook stops a function that tries to escape.

For the rest of a run playbooks leave the project alone: what it is for is to be attacked again and
again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from casemate.drills.node import Node, until
from casemate.model.errors import CasemateError
from casemate.model.playbook import PlaybookRun, Step
from casemate.operations.functions import RemoveFunction
from casemate.operations.playbooks import (
    MAX_PAUSE,
    ListPlaybookRuns,
    ListPlaybooks,
    PausePlaybooks,
    UndoPlaybookRun,
)
from casemate.operations.quarantine import ReleaseFunction

CONTAINED_SECONDS = 10.0
"""How long one waits for it; 2 s are promised of a quiet node."""
_OK = 200
_REASON = "a drill"


@contextmanager
def paused(node: Node, project: str) -> Iterator[None]:
    """Have playbooks leave the project alone within the block. Raises CasemateError."""
    node.call(PausePlaybooks(project=project, seconds=MAX_PAUSE, reason=_REASON))
    try:
        yield
    finally:
        with suppress(CasemateError):  # it ends by itself, too, and with the node's process
            node.call(PausePlaybooks(project=project, seconds=0, reason=_REASON))


class ByItself:
    """One function that tries to escape once, and what becomes of it."""

    def __init__(self, node: Node, project: str) -> None:
        """Attack on `node`."""
        self._node = node
        self._project = project
        # A name of its own: rules tell of one function no more than once an hour.
        self._name = f"escaper-{os.urandom(4).hex()}"
        self.contained_seconds: float | None = None
        self.restored_seconds: float | None = None
        self.evidence = ""

    def _call(self, **event: str) -> int:
        path = f"/invoke/{self._project}/{self._name}"
        return self._node.exchange("POST", path, json=event).status_code

    def play(self) -> str:
        """Have it stopped and taken back; return what did not go as it must, empty: all did."""
        if not self._node.call(ListPlaybooks()).acts:
            return "The node was started with --no-playbooks: nothing is contained by itself."
        self._node.deploy_attacker(self._name)
        self._node.call(PausePlaybooks(project=self._project, seconds=0, reason=_REASON))
        try:
            return self._stopped() or self._taken_back()
        finally:
            wanted = PausePlaybooks(project=self._project, seconds=MAX_PAUSE, reason=_REASON)
            self._node.call(wanted)
            self._remove()

    def _stopped(self) -> str:
        if self._call(attack="identity") != _OK:
            return "The function took no calls before."
        self._call(attack="call", name="mount-tmpfs")
        clock = time.monotonic()
        if not until(lambda: self._call(attack="identity") != _OK, CONTAINED_SECONDS):
            return "No playbook stopped it."
        self.contained_seconds = time.monotonic() - clock
        return ""

    def _taken_back(self) -> str:
        run = until(self._run)
        if run is None:
            return "What stopped it is not on record."
        self.evidence = run.id
        clock = time.monotonic()
        self._node.call(UndoPlaybookRun(id=run.id, reason=_REASON))
        if not until(lambda: self._call(attack="identity") == _OK):
            return "It takes no calls after it was undone."
        self.restored_seconds = time.monotonic() - clock
        return ""

    def _run(self) -> PlaybookRun | None:
        wanted = ListPlaybookRuns(project=self._project, state=Step.DONE)
        target = f"function:{self._project}/{self._name}"
        for run in self._node.call(wanted).runs:
            if any(act.target == target for act in run.acts):
                return run
        return None

    def _remove(self) -> None:
        """Remove it; nothing is removed that is in quarantine."""
        with suppress(CasemateError):  # mostly it is in none
            self._node.call(
                ReleaseFunction(project=self._project, function=self._name, reason=_REASON)
            )
        self._node.call(RemoveFunction(project=self._project, function=self._name))
