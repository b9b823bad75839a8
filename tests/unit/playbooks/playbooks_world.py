"""A node without processes: what playbooks act on remembers what was done to it."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from casemate.facts import FactStream
from casemate.model.deployment import Alias, AliasTarget, Quarantine, Trial
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.facts import Actor
from casemate.model.level import Level
from casemate.model.response_facts import PlaybookChanged, PlaybookRefused, PlaybookStep
from casemate.model.still import require_still
from casemate.operations.findings import Finding
from casemate.operations.functions import SetAlias
from casemate.operations.incidents import Noticed
from casemate.playbooks import Acting, Paging, Playbooks
from casemate.playbooks.turns import Peers
from casemate.policy import CedarPolicy
from casemate.restrictions import Restrictions
from casemate.rotations import Rotations
from support.core import MemoryStore
from support.fake_monitor import FakeMonitor
from support.memory_secrets import MemorySecrets
from support.memory_signer import MemorySigner

ADA = Actor("user:ada", "192.0.2.1")
VAULT = MemorySigner()
"""Of all nodes, as one that they share."""


class Control:
    """Functions: which are in quarantine, and where their alias points."""

    def __init__(self) -> None:
        self.held: dict[str, Quarantine] = {}
        self.live: dict[str, tuple[tuple[int, int], ...]] = {}
        self.done: list[str] = []
        self.gone: set[str] = set()
        self.trial: Trial | None = None
        self.fails: Exception | None = None

    async def function(self, project: str, name: str) -> Any:
        if name in self.gone:
            raise NotFoundError(f"There is no function {project}/{name}.")
        targets = self.live.get(f"{project}/{name}", ((2, 90), (1, 10)))
        alias = Alias(
            project=project,
            function=name,
            name="live",
            targets=tuple(AliasTarget(version=v, weight=w) for v, w in targets),
            changed_at=1.0,
            trial=self.trial if f"{project}/{name}" not in self.live else None,
        )
        return SimpleNamespace(aliases=(alias,), quarantine=self.held.get(f"{project}/{name}"))

    async def quarantine(self, operation: Any, *, by: Actor) -> Quarantine:
        require_still()
        if self.fails is not None:
            raise self.fails
        name = f"{operation.project}/{operation.function}"
        self.done.append(f"quarantine {name}")
        held = Quarantine(
            project=operation.project,
            function=operation.function,
            reason=operation.reason,
            by=by.principal,
            since=1.0,
        )
        return self.held.setdefault(name, held)

    async def release(self, operation: Any, *, by: Actor) -> Quarantine:
        require_still()
        name = f"{operation.project}/{operation.function}"
        if name not in self.held:
            raise ConflictError(f"{name} is not in quarantine.")
        self.done.append(f"release {name}")
        return self.held.pop(name)

    async def stable_before(self, _project: str, _function: str) -> int:
        return 1

    async def set_alias(self, operation: SetAlias, *, by: Actor) -> Any:
        require_still()
        name = f"{operation.project}/{operation.function}"
        self.live[name] = tuple((one.version, one.weight) for one in operation.targets)
        self.done.append(f"point {name} {self.live[name]}")


class Kept:
    """Tokens, people and budgets, by name."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.limits: set[str] = set()
        self.sealed: set[str] = set()
        self.tokens = SimpleNamespace(one=self._one, revoke=self._revoke)
        self.people = SimpleNamespace(one=self._one, end_sessions=self._end)

    def _one(self, id: str) -> Any:
        if id == "gone":
            raise NotFoundError("There is none.")
        return SimpleNamespace(name=f"name-of-{id}")

    async def _revoke(self, id: str, *, by: Any) -> None:
        self.done.append(f"revoke {id} by {by.text}")

    async def _end(self, name: str, *, by: Any) -> None:
        self.done.append(f"end {name} by {by.text}")

    async def seal(self, incident: str, by: Actor) -> str:
        self.done.append(f"seal {incident} by {by.principal}")
        self.sealed.add("evi_1")
        return "evi_1"

    async def release(self, id: str, reason: str, by: Actor) -> None:
        self.done.append(f"release {id} by {by.principal}")
        self.sealed.discard(id)

    async def set_quota(self, quota: Any, by: Actor) -> None:
        self.done.append(f"quota {quota.project}/{quota.name} {quota.function} {quota.calls}")
        self.limits.add(f"{quota.project}/{quota.name}")

    async def set(self, budget: Any, by: Actor) -> None:
        self.done.append(f"budget {budget.project}/{budget.name} {budget.caller} {budget.hard}")
        self.limits.add(f"{budget.project}/{budget.name}")

    async def remove(self, project: str, name: str, by: Actor) -> None:
        self.done.append(f"remove {project}/{name}")
        if f"{project}/{name}" not in self.limits:
            raise NotFoundError(f"There is no budget {project}/{name}.")
        self.limits.discard(f"{project}/{name}")


class World:
    """Playbooks of a node."""

    def __init__(
        self,
        store: MemoryStore | None = None,
        control: Control | None = None,
        peers: Peers | None = None,
        signer: MemorySigner | None = None,
    ) -> None:
        self.signer = signer or VAULT
        self.store = store or MemoryStore()
        self.control = control or Control()
        self.kept = Kept()
        self.monitor = FakeMonitor()
        self.policy = CedarPolicy()
        self.facts = FactStream()
        self.steps: list[PlaybookStep] = []
        self.changes: list[PlaybookChanged] = []
        self.facts.listen(PlaybookStep, self.steps.append)
        self.facts.listen(PlaybookChanged, self.changes.append)
        self.refused: list[PlaybookRefused] = []
        self.facts.listen(PlaybookRefused, self.refused.append)
        self.waited = 0
        self.owners: dict[str, str] = {}
        """Who has deployed the functions of a project."""
        self.restrictions = Restrictions(self.store, self.facts, self._durable)  # type: ignore[arg-type]
        self.secrets = MemorySecrets()
        self.rotations = Rotations(
            self.store,  # type: ignore[arg-type]
            self.secrets,  # type: ignore[arg-type]
            self.facts,
            self._durable,
            self._set_outside,
        )
        acting: Any = Acting(
            self.control,
            self.kept,  # type: ignore[arg-type]
            self.kept,  # type: ignore[arg-type]
            self.restrictions,
            self.rotations,
            self.kept,
            Paging(self.monitor, self.facts, self._durable),
        )
        self.playbooks = Playbooks(
            self.store,  # type: ignore[arg-type]
            self.signer,
            self.monitor,
            acting,
            self.policy,
            self.facts,
            self._durable,
            owner=lambda project, _function: self.owners.get(project, ""),
            peers=peers,
        )

    async def _durable(self) -> None:
        self.waited += 1

    async def _set_outside(self, *_: Any) -> None:
        """Have it set."""

    async def loaded(self) -> World:
        await self.restrictions.load()
        await self.rotations.load()
        await self.playbooks.load()
        return self

    async def find(self, *found: Finding, incident: str = "inc_1") -> None:
        for index, each in enumerate(found):
            await self.playbooks.consider(noticed(each, index, incident))


def finding(rule: str = "mount-tried", function: str = "pay", **more: Any) -> Finding:
    """Return what a rule has found of a function of `shop`."""
    given: dict[str, Any] = {
        "id": f"{abs(hash((rule, function, str(more)))):016x}"[:16],
        "rule": rule,
        "title": "t",
        "level": Level.CRITICAL,
        "entity": f"resources.0.name=shop/{function}",
        "at": time.time(),
        "count": 1,
        "events": (),
        "techniques": ("T1611",),
        "project": "shop",
        "function": function,
        "who": "",
        **more,
    }
    return Finding(**given)


def noticed(found: Finding, index: int = 0, incident: str = "inc_1") -> Noticed:
    """Return a finding as the monitor tells it."""
    return Noticed(index=index, finding=found, incident=incident, incident_level=found.level)
