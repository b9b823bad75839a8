"""A run: deploys the project, plays the attacks beside honest calls, and cleans up."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from casemate.drills.catalogue import catalogue
from casemate.drills.cleaning import clean
from casemate.drills.containing import paused
from casemate.drills.detections import AT_NIGHT
from casemate.drills.drill import Drill, Outcome, Run
from casemate.drills.lease import Lease
from casemate.drills.node import Began, Node, until
from casemate.drills.playing import Player
from casemate.model.drill import DRILL_PROJECT
from casemate.model.errors import CasemateError
from casemate.operations.findings import MAX_FINDINGS, ListFindings

PROJECT_NAME = DRILL_PROJECT
MAX_SECONDS = 570.0
"""After so long the rest is not played, and the run has failed."""
_LATE = f"There was no time left: a run ends after {MAX_SECONDS:.0f} s."
_LOST = "The token of the run was revoked: another run, or a person, has ended it."
AGAIN_SECONDS = (0.0, 5.0, 20.0)
"""Pauses before what could not be removed is tried again."""
_FINDING_SECONDS = 3.0
_CALL_SECONDS = 0.05
_JOIN_SECONDS = 60.0


class HonestCalls:
    """Calls beside the attacks, of which none may be lost."""

    def __init__(self, node: Node) -> None:
        """Call by `node`, from a thread."""
        self._node = node
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="honest-calls")
        self.made = 0
        self.lost = 0

    def _run(self) -> None:
        while not self._ending.wait(_CALL_SECONDS):
            self.made += 1
            try:
                path = f"/invoke/{PROJECT_NAME}/honest"
                answer = self._node.exchange("POST", path, json={"how": "well"})
                self.lost += answer.status_code != 200 or answer.json() != {"ok": True}
            except (CasemateError, ValueError):
                self.lost += 1

    def __enter__(self) -> HonestCalls:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ending.set()
        self._thread.join(_JOIN_SECONDS)


def run(
    node: Node,
    url: str,
    drills: Sequence[Drill],
    told: Callable[[int, Outcome], None],
    held: Callable[[str, Began], None],
) -> Run:
    """Play attacks on a node and clean up; `told` hears of each. Raises CasemateError.

    What could not be deployed raises. An attack that cannot be played is one that failed. Whoever
    cleans up if this process is killed hears of the lease, and of when the run began, by `held`,
    and of its end by "".
    """
    at, clock = time.time(), time.monotonic()
    began = Began(node)
    outcomes: list[Outcome] = []
    findings: Counter[str] = Counter()
    lease = Lease(node, PROJECT_NAME)
    lease.take()
    held(lease.id, began)
    left = ""
    try:
        before = lease.left_since
        if before is not None:
            left = clean(node, PROJECT_NAME, before, played_rules(), lease.id)
        player = Player(node, PROJECT_NAME)
        node.deploy()
        with paused(node, PROJECT_NAME), HonestCalls(node) as honest:
            for number, drill in enumerate(drills):
                why = _LOST if lease.lost else ""
                why = why or (_LATE if time.monotonic() - clock > MAX_SECONDS else "")
                outcomes.append(drill.outcome(problem=why) if why else player.play(drill))
                told(number + 1, outcomes[-1])
        findings = _findings(node, began.since, wait=len(drills) > 1)
    finally:
        of_run = _LOST if lease.lost else _cleaned(node, began, lease.id)
        of_run = ", ".join(filter(None, (of_run, lease.end())))
        left = ", ".join(filter(None, (left, of_run)))
        if lease.lost or not of_run:
            held("", began)
    return Run(
        id=os.urandom(4).hex(),
        node=url,
        project=PROJECT_NAME,
        at=at,
        seconds=time.monotonic() - clock,
        outcomes=tuple(outcomes),
        findings=dict(findings),
        calls=honest.made,
        lost_calls=honest.lost,
        left=left,
    )


def _cleaned(node: Node, began: Began, lease: str) -> str:
    """Clean up; a node that does not answer may be starting anew. Return what is left."""
    left = ""
    for pause in AGAIN_SECONDS:
        time.sleep(pause)
        try:
            left = clean(node, PROJECT_NAME, began.since, played_rules(), lease)
        except CasemateError as error:
            left = f"all of it ({error.message})"
        if not left:
            break
    return left


def played_rules() -> frozenset[str]:
    """Return the rules of detection that attacks on a node set off, at whatever hour."""
    played = (each.rule for each in catalogue() if each.rule and not each.recorded)
    return frozenset((*played, *AT_NIGHT))


def _findings(node: Node, since: float, *, wait: bool) -> Counter[str]:
    """Return how often each rule has found something of the project."""

    def find() -> Counter[str]:
        wanted = ListFindings(project=PROJECT_NAME, since=since, limit=MAX_FINDINGS)
        return Counter(each.rule for each in node.call(wanted).findings)

    try:
        return until(find, _FINDING_SECONDS if wait else 0.0)
    except CasemateError:
        return Counter()
