"""Whose turn it is to act, where nodes share their state: one of them, another once that is gone.

Who finds something acts on it. What several nodes find of one thing is claimed in the store by one;
the others wait until its run is there, or the node is gone.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, OrderedDict
from typing import Protocol

import msgspec

from casemate.model.playbook import PlaybookRun
from casemate.operations.incidents import Noticed
from casemate.playbooks.bounding import MAX_AGE_SECONDS
from casemate.playbooks.errors import TakenError
from casemate.playbooks.kept import Runs
from casemate.store.interface import Store
from casemate.store.parts import Parts

ALIKE_SECONDS = 120.0
"""Within which nodes find the same. What is found later was not held up by what was done."""
MAX_CLAIMS = 1024
MAX_DEFERRED = 512


class Peers(Protocol):
    """The nodes that share their state."""

    @property
    def name(self) -> str:
        """That of this node; empty where it is alone."""
        ...

    @property
    def first(self) -> bool:
        """Whether this node does what one alone has to do."""
        ...

    def is_gone(self, name: str) -> bool:
        """Tell whether a node is known not to be there."""
        ...


class Alone:
    """A node without others."""

    name = ""
    first = True

    def is_gone(self, name: str) -> bool:
        """Tell of everybody else that he is gone."""
        return bool(name)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """That a node acts on something, by one of its runs."""

    key: str
    run: str
    node: str
    found_at: float


class Turns:
    """Of the playbooks of one node."""

    def __init__(self, store: Store, runs: Runs, peers: Peers) -> None:
        """Keep claims in `store`."""
        self._runs = runs
        self._peers = peers
        self._claims = Parts(store, "playbook claims", Claim, lambda one: one.key)
        self._deferred: OrderedDict[str, Noticed] = OrderedDict()

    @property
    def node(self) -> str:
        """The name of this node; empty where it is alone."""
        return self._peers.name

    async def load(self) -> None:
        """Read what is claimed; at any time. Raises StoreError."""
        await self._claims.load()

    def is_mine(self, noticed: Noticed) -> bool:
        """Tell whether this node has to look at a finding."""
        return self._has_left(noticed.finding.node)

    def may_resume(self, run: PlaybookRun) -> bool:
        """Tell whether this node has to finish a run."""
        return run.node == self._peers.name or self._has_left(run.node)

    def _has_left(self, node: str) -> bool:
        return not node or (self._peers.first and self._peers.is_gone(node))

    def defer(self, noticed: Noticed) -> None:
        """Look at a finding again: its node may be gone then, or who has claimed the same."""
        self._deferred[noticed.finding.id] = noticed
        if len(self._deferred) > MAX_DEFERRED:
            # Who has many findings made pushes out his own: the oldest of those.
            counts = Counter(map(_project, self._deferred.values()))
            most = max(counts.values())
            oldest = next(n for n in self._deferred.values() if counts[_project(n)] == most)
            del self._deferred[oldest.finding.id]

    def deferred(self) -> list[Noticed]:
        """Return what is to be looked at again, once."""
        now = time.time()
        found = [n for n in self._deferred.values() if now - n.finding.at < MAX_AGE_SECONDS]
        self._deferred.clear()
        return found

    async def claim(self, run: PlaybookRun) -> bool:
        """Claim what a run acts on; False: another node has, and its run is not there yet.

        Raises TakenError where another's run is there, StoreError.
        """
        if not self._peers.name:
            return True
        key = _key(run)
        claim = Claim(key=key, run=run.id, node=self._peers.name, found_at=run.found_at)
        await self._forget()
        try:
            await self._claims.update(key, lambda known: self._over(known, claim))
        except _ClaimedError as error:
            if self._runs.get(error.claim.run) is None:
                return False
            raise
        return True

    def _over(self, known: Claim | None, wanted: Claim) -> Claim:
        """Return who acts, of two who have found the same."""
        if (
            known is None
            or known.run == wanted.run
            or known.node == wanted.node
            or abs(known.found_at - wanted.found_at) >= ALIKE_SECONDS
            or (self._runs.get(known.run) is None and self._peers.is_gone(known.node))
        ):
            return wanted
        raise _ClaimedError(known)

    async def _forget(self) -> None:
        held = self._claims.held
        if len(held) >= MAX_CLAIMS:
            oldest = sorted(held.values(), key=lambda one: one.found_at)
            await self._claims.drop(one.key for one in oldest[: MAX_CLAIMS // 4])


class _ClaimedError(TakenError):
    """Another node acts on the same."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(f"The node {claim.node} acts on the same by {claim.run}.")
        self.claim = claim


def _project(noticed: Noticed) -> str:
    return noticed.finding.project


def _key(run: PlaybookRun) -> str:
    acts = "\0".join(f"{act.do} {act.target}" for act in run.acts)
    return hashlib.sha256(f"{run.playbook}\0{run.rule}\0{acts}".encode()).hexdigest()[:32]
