"""What is done about secrets, evidence and people in an attack, and taken back."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from casemate.drills.holding_back import Holding, Played, Words, restricted, what_holder_does
from casemate.drills.node import Node, until
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.restriction import RestrictionKind
from casemate.model.vault import ValueForm
from casemate.operations.evidence import GatherEvidence, ListEvidence, ReleaseEvidence
from casemate.operations.findings import ListOnCall, PagePeople
from casemate.operations.incidents import ListIncidents
from casemate.operations.restrictions import Restrict
from casemate.operations.rotations import PutRotation, RevertSecret, RotateSecret
from casemate.operations.secrets import DeleteSecret

SECRET = "drill-key"  # noqa: S105 - its name
_REASON = "a drill"
_OVERLAP = 600
_NOBODY = "drill-nobody"
_WITHHELD = Words(
    "It is given no secret before it was said.",
    "It is given its secret all the same.",
    "It is given no secret after that was lifted.",
)
_FINDING_SECONDS = 10.0


def _digest(node: Node, project: str) -> str:
    return str(what_holder_does(node, project, "secret").get("digest", ""))


def _of(project: str) -> dict[str, Any]:
    return {"project": project, "name": SECRET}


def _with_secret(node: Node, where: dict[str, Any]) -> None:
    """Have the node make the secret's first value."""
    node.call(PutRotation(**where, form=ValueForm.HEX, length=64, overlap=_OVERLAP))
    node.call(RotateSecret(**where, reason=_REASON))


def _forget(node: Node, where: dict[str, Any]) -> None:
    with suppress(NotFoundError):
        node.call(DeleteSecret(**where))


def rotate(node: Node, project: str) -> Played:
    """Have a secret get another value that nobody has chosen, and the one before again."""
    where = _of(project)
    try:
        _with_secret(node, where)
        before = _digest(node, project)
        if not before:
            return Played("It was given no value before.")
        clock = time.monotonic()
        node.call(RotateSecret(**where, reason=_REASON))
        if not until(lambda: _digest(node, project) not in ("", before)):
            return Played("It is given the former value all the same.")
        contained = time.monotonic() - clock
        clock = time.monotonic()
        node.call(RevertSecret(**where, reason=_REASON))
        if not until(lambda: _digest(node, project) == before):
            return Played("It is not given the former value again.", contained)
        return Played("", contained, time.monotonic() - clock)
    finally:
        _forget(node, where)


def withhold(node: Node, project: str) -> Played:
    """Have a function given no secret that it is granted."""
    where = _of(project)
    try:
        _with_secret(node, where)
        wanted = Restrict(kind=RestrictionKind.SECRET, what=SECRET, project=project, reason=_REASON)
        return restricted(node, wanted, lambda: not _digest(node, project), _WITHHELD)
    finally:
        _forget(node, where)


def seal(node: Node, project: str) -> Played:
    """Have what is on record of an incident kept in an archive, and end its hold."""

    def newest() -> str:
        found = node.call(ListIncidents(project=project, limit=1)).incidents
        return found[0].id if found else ""

    if not newest():
        event = {"attack": "call", "name": "mount-tmpfs"}
        node.exchange("POST", f"/invoke/{project}/attacker", json=event)
    incident = until(newest, _FINDING_SECONDS)
    if not incident:
        return Played("There is no incident to keep evidence of.")
    clock = time.monotonic()
    sealed = node.call(GatherEvidence(id=incident))
    contained = time.monotonic() - clock

    def is_kept() -> bool:
        return any(one.id == sealed.id for one in node.call(ListEvidence(id=incident)).evidence)

    kept = is_kept()
    clock = time.monotonic()
    node.call(ReleaseEvidence(id=sealed.id, reason=_REASON))
    if not kept or not sealed.sha256:
        return Played("The archive is not kept.", contained)
    if is_kept():
        return Played("The archive is kept after its hold was ended.", contained)
    return Played("", contained, time.monotonic() - clock)


def page(node: Node, project: str) -> Played:
    """See that exactly one person of each rotation is on call, and wake nobody."""
    clock = time.monotonic()
    shifts = node.call(ListOnCall(days=1)).shifts
    # By the node's clock: the first of each rotation begins when it was asked.
    now = min((one.since for one in shifts), default=0.0)
    for rotation in {one.rotation for one in shifts}:
        of_it = [one for one in shifts if one.rotation == rotation]
        if sum(one.since <= now < one.until for one in of_it) != 1:
            return Played(f"Not exactly one person of {rotation} is on call.")
    try:
        node.call(PagePeople(message="a drill", to=_NOBODY))
    except NotFoundError:
        return Played("", time.monotonic() - clock, 0.0)
    except CasemateError as error:
        return Played(f"People cannot be paged: {error.message}")
    return Played("A page to nobody is taken as if somebody were told.")


KEEPING_SAFE: dict[str, Holding] = {
    "rotate-secret": rotate,
    "withhold-secrets": withhold,
    "seal-evidence": seal,
    "page": page,
}
