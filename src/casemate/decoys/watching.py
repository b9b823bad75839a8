"""Watches for touches: by names in what is denied, by token ids in what is presented, by hosts.

Looking costs a search in a dictionary, the same whether something is found or not. What is found is
told a moment later, so that the answer to who touched it takes no longer than any other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from casemate.accounts.credential import ID_LENGTH, PREFIX
from casemate.decoys.making import Made
from casemate.model.decoy import DecoyKind
from casemate.model.denial import Denial, DenialKind
from casemate.model.facts import (
    Actor,
    DecoyTouched,
    Fact,
    FunctionPlace,
    GrantsApproved,
    GrantUsed,
    HostAsked,
)
from casemate.model.principal import ANONYMOUS, Principal, PrincipalKind, Resource

TELL_SECONDS = 0.01
MAX_PENDING = 1024
"""Different touches within TELL_SECONDS that are told apart; more are counted with the last."""
MAX_SEEN = 1024
"""Touches that are remembered one by one, before those alike are counted."""
_WATCHED_DENIALS = frozenset({DenialKind.CAPABILITY})


class Mark(NamedTuple):
    """Which decoy something is."""

    project: str
    kind: DecoyKind
    generation: int

    @property
    def text(self) -> str:
        """Name of it in facts: says which it is, and nothing of what it opens."""
        return f"{self.project}/{self.kind.value}/{self.generation}"


class _Touch(NamedTuple):
    mark: Mark
    by: Actor
    place: FunctionPlace
    action: str


class Watch:
    """What is watched for. On one event loop."""

    def __init__(self, happened: Callable[[Fact], None]) -> None:
        """Tell touches by `happened`."""
        self._happened = happened
        self._resources: dict[str, Mark] = {}
        """Secrets and tables by the text of their resource."""
        self._granted: dict[str, Mark] = {}
        """The same by the text of a grant, for what a development node lets through."""
        self._tokens: dict[str, Mark] = {}
        self._hosts: dict[str, Mark] = {}
        self._by_project: dict[str, list[tuple[dict[str, Mark], str]]] = {}
        self._seen: list[tuple[Mark, Actor, FunctionPlace | None, str, int]] = []
        self._pending: dict[_Touch, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def replace(
        self, project: str, generations: Iterable[tuple[int, Made]], off: frozenset[DecoyKind]
    ) -> None:
        """Watch for these decoys of a project and no others of it."""
        for table, key in self._by_project.pop(project, ()):
            table.pop(key, None)
        added = self._by_project[project] = []
        for generation, each in generations:
            for kind in DecoyKind:
                if kind in off:
                    continue
                mark, place = Mark(project, kind, generation), each.place(kind)
                for table, key in self._keys(kind, project, place):
                    table[key] = mark
                    added.append((table, key))

    def _keys(
        self, kind: DecoyKind, project: str, place: str
    ) -> tuple[tuple[dict[str, Mark], str], ...]:
        if kind is DecoyKind.TOKEN:
            return ((self._tokens, place),)
        if kind is DecoyKind.HOST:
            return ((self._hosts, place),)
        named = "table" if kind is DecoyKind.ROW else "secret"
        return (
            (self._resources, f"{named}:{project}/{place}"),
            (self._granted, f"{named} {place}"),
        )

    # -- what is looked at -----------------------------------------------------------------------

    def on_credential(self, credential: str, peer: str, way: str) -> None:
        """Look at the credential of a request, whatever it asks for and whether that takes one."""
        start = credential.find(PREFIX) + len(PREFIX)
        mark = self._tokens.get(credential[start : start + ID_LENGTH])
        if mark is not None:
            self._touched(mark, Actor(ANONYMOUS.text, peer), action=f"present:{way}")

    def on_resource(self, resource: Resource, action: str, by: Actor) -> None:
        """Look at what somebody asks for over the API, whether it is allowed or not."""
        mark = self._resources.get(resource.text)
        if mark is not None:
            self._touched(mark, by, action=action)

    def on_denial(self, denial: Denial) -> None:
        """Look at what a function was not let have."""
        if denial.kind in _WATCHED_DENIALS and denial.resource in self._resources:
            place = FunctionPlace(
                denial.project, denial.function, denial.version, denial.invocation
            )
            by = Actor(denial.by, denial.remote_address)
            mark = self._resources[denial.resource]
            self._touched(mark, by, place, denial.action, denial.count)

    def on_use(self, use: GrantUsed) -> None:
        """Look at what a function was let have: by a manifest that names a decoy, or learning."""
        mark = self._granted.get(use.grant)
        if mark is not None and mark.project == use.project:
            place = FunctionPlace(use.project, use.function, use.version, use.invocation)
            action = f"{use.grant.partition(' ')[0]}:{use.action}"
            self._touched(mark, Actor(use.by, use.remote_address), place, action, use.count)

    def on_approved(self, approved: GrantsApproved) -> None:
        """Look at what a version is granted: whoever wrote that has seen the name of a decoy.

        Told of the function, and not of who deploys it or sets the secret because it is granted.
        """
        by = Principal(kind=PrincipalKind.FUNCTION, id=f"{approved.project}/{approved.function}")
        for grant in approved.added:
            mark = self._granted.get(grant)
            if mark is not None and mark.project == approved.project:
                place = FunctionPlace(approved.project, approved.function, approved.version, "")
                self._touched(mark, Actor(by.text, ""), place, "grant:approve")

    def on_host(self, asked: HostAsked) -> None:
        """Look at where a function wanted to connect, whether it was let or not."""
        mark = self._hosts.get(asked.host)
        if mark is not None:
            place = FunctionPlace(asked.project, asked.function, asked.version, asked.invocation)
            by = Actor(asked.by, asked.remote_address)
            self._touched(mark, by, place, "egress:connect", asked.count)

    # -- what is told ----------------------------------------------------------------------------

    def _touched(
        self,
        mark: Mark,
        by: Actor,
        place: FunctionPlace | None = None,
        action: str = "",
        count: int = 1,
    ) -> None:
        """Remember a touch: what it takes to tell it is done when nobody waits any more."""
        self._seen.append((mark, by, place, action, count))
        if len(self._seen) >= MAX_SEEN:
            self._fold()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TELL_SECONDS, self.flush)

    def _fold(self) -> None:
        """Count those alike; what there is no room for is counted with the last."""
        seen, self._seen = self._seen, []
        for mark, by, place, action, count in seen:
            touch = _Touch(mark, by, place or FunctionPlace(mark.project, "", 0, ""), action)
            if touch not in self._pending and len(self._pending) >= MAX_PENDING:
                touch = next(reversed(self._pending))
            self._pending[touch] = self._pending.get(touch, 0) + count

    def flush(self) -> None:
        """Tell what was touched."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._fold()
        pending, self._pending = self._pending, {}
        for touch, count in pending.items():
            self._happened(
                DecoyTouched(
                    at=time.time(),
                    by=touch.by.principal,
                    remote_address=touch.by.remote_address,
                    project=touch.place.project,
                    function=touch.place.function,
                    version=touch.place.version,
                    invocation=touch.place.invocation,
                    kind=touch.mark.kind,
                    decoy=touch.mark.text,
                    action=touch.action,
                    count=count,
                )
            )
