"""What functions may use, in one gateway: a session for each invocation, and what they share."""

from __future__ import annotations

import asyncio

from casemate.baselines import Baselines
from casemate.capabilities.deciding import Decisions, Withholds
from casemate.capabilities.operations import Operations
from casemate.capabilities.rights import MAX_COMPILED, Deployed, Rights
from casemate.capabilities.session import Invoke, Session, Shared
from casemate.facts import FactStream
from casemate.model.deployment import Version
from casemate.model.http import HttpResponse
from casemate.model.path import Admitted, RawInvocation
from casemate.policy.interface import Policy
from casemate.sandbox.outgoing import ReplyRoom


class Broker:
    """One per gateway."""

    def __init__(
        self,
        *,
        policy: Policy,
        deployed: Deployed,
        operations: Operations,
        facts: FactStream,
        baselines: Baselines,
        keep: Invoke,
        withholds: Withholds | None = None,
        learn: bool = False,
    ) -> None:
        """What is `deployed` now bounds what a version that runs is granted.

        `keep` takes what a function has run later; `withholds` tells which secrets it is not
        given although it is granted them.

        `learn` lets everything through that is not granted, and notes it; for development."""
        self.operations = operations
        self.facts = facts
        self._decisions = Decisions(
            policy=policy, facts=facts, baselines=baselines, withholds=withholds, learn=learn
        )
        self._shared = Shared(operations, self._decisions, ReplyRoom(), self._call)
        self._keep = keep
        self._deployed = deployed
        self._rights: dict[tuple[str, str, int], Rights] = {}
        self._calls: set[asyncio.Task[HttpResponse]] = set()

    async def _call(self, raw: RawInvocation, invoke: Invoke | None) -> HttpResponse:
        """Invoke a function for another one, or keep the event for it where `invoke` is None.

        If the caller ends first, the call goes on until it has to end, which is no later than the
        caller's deadline: taken back half-way, it would leave no record.
        """
        call: asyncio.Task[HttpResponse] = asyncio.ensure_future(self._whole(raw, invoke))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)

    async def _whole(self, raw: RawInvocation, invoke: Invoke | None) -> HttpResponse:
        return await (invoke or self._keep)(raw)

    def rights(self, version: Version) -> Rights:
        """Return what a version is granted."""
        key = (version.project, version.function, version.number)
        rights = self._rights.get(key)
        if rights is None or rights.version is not version:
            if len(self._rights) >= MAX_COMPILED:
                self._rights.clear()
            rights = self._rights[key] = Rights(version, self._deployed)
        return rights

    def serve(self, admitted: Admitted, deadline: float, invoke: Invoke) -> Session:
        """Return what serves one invocation's requests. RefusedError if it may not run at all.

        `invoke` is the path that it is on itself, which functions that it invokes take as well.
        """
        rights = self.rights(admitted.version)
        self._decisions.require_start(rights, admitted)
        return Session(self._shared, rights, admitted, deadline, invoke)
