"""Parts of a service that are there, and are asked for nothing."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from casemate.access_reviews import Reviews
from casemate.advisories import Place
from casemate.baselines import Baselines
from casemate.budgets import Allowance, Budgets
from casemate.decoys import Decoys
from casemate.evidence import Evidences, Holds
from casemate.facts import FactStream
from casemate.model.usage import Usage
from casemate.node_audit import NodeAudit
from casemate.node_audit.state import NodeState, Settings
from casemate.nodes import Among, IdentityFile, Self
from casemate.operations.node import KeepNodeValue, ReadNodeValue, ReadNodeValues
from casemate.operations.usage import ReadUsage
from casemate.playbooks import Acting, Paging, Playbooks
from casemate.policy import CedarPolicy
from casemate.recordings import Recordings
from casemate.restrictions import Restrictions
from casemate.rotations import Rotations
from casemate.supply import EvidenceKeeper
from casemate.vulnerabilities import Advisories, Gate, Watch
from support.core import MemoryStore
from support.fake_monitor import FakeMonitor
from support.memory_secrets import MemorySecrets
from support.memory_signer import MemorySigner
from support.nodes import NodeStore
from support.signing import SqlAttestations, signatures


class KeptValues:
    """A store of small values, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def read(self, operation: ReadNodeValue | ReadNodeValues) -> Any:
        if isinstance(operation, ReadNodeValues):
            return tuple(map(self.values.get, operation.names))
        return self.values.get(operation.name)

    async def change(self, operation: KeepNodeValue) -> None:
        self.values[operation.name] = operation.value


async def _nothing_used(_operation: ReadUsage) -> tuple[Usage, ...]:
    return ()


async def _at_once(*_: Any) -> None:
    """Stands for a journal that is durable, and a function that has set a secret."""


async def quiet_node() -> NodeState:
    """Stand for a node of which nothing is known but that it answers on loopback."""
    settings = Settings(address="http://127.0.0.1:1", loopback=True, tls=False)
    return NodeState(now=time.time(), settings=settings)


def unused_parts(
    facts: FactStream, folder: Path | None = None, store: Any = None
) -> dict[str, Any]:
    """Return parts of a service that keep and read nothing before they are asked."""
    nothing: Any = SimpleNamespace()
    held_back = Restrictions(MemoryStore(), facts, _at_once)  # type: ignore[arg-type]
    secrets, monitor = MemorySecrets(), FakeMonitor()
    rotations = Rotations(MemoryStore(), secrets, facts, _at_once, _at_once)  # type: ignore[arg-type]
    return {
        "restrictions": held_back,
        "rotations": rotations,
        "paging": Paging(monitor, facts, _at_once),
        "rotators": SimpleNamespace(require=lambda *_: None),
        "decoys": Decoys(nothing, nothing, facts),
        "baselines": Baselines(nothing, facts),
        "recordings": Recordings(folder or Path("nowhere"), nothing),
        "budgets": Budgets(
            KeptValues(),  # type: ignore[arg-type]
            facts,
            Allowance(facts.happened, lambda caller: caller),
            read=_nothing_used,
            durable=_at_once,
            ran=dict,
        ),
        "advisories": advisories(MemoryStore(), facts, folder or Path("nowhere")),
        "holds": Holds(MemoryStore(), NothingOnRecord()),  # type: ignore[arg-type]
        "evidences": Evidences(folder or Path("nowhere"), MemoryStore(), nothing),  # type: ignore[arg-type]
        "playbooks": Playbooks(
            MemoryStore(),  # type: ignore[arg-type]
            MemorySigner(),
            FakeMonitor(),
            Acting(nothing, nothing, nothing, held_back, rotations, nothing, nothing),
            CedarPolicy(),
            facts,
            _at_once,
        ),
        "signatures": signatures(happened=facts.happened),
        "reviews": Reviews(KeptValues()),  # type: ignore[arg-type]
        "audit": NodeAudit(KeptValues(), quiet_node, facts.happened),  # type: ignore[arg-type]
        "nodes": Among(
            store or NodeStore(),  # type: ignore[arg-type]
            IdentityFile(folder or Path("nowhere")),
            Self(host="test", address="http://test", version="1"),
        ),
        "evidence": EvidenceKeeper(SqlAttestations(), nothing),
    }


class NothingOnRecord:
    """Holds nothing, since there is nothing."""

    async def hold(self, *_: Any, **__: Any) -> tuple[int, int]:
        """Hold nothing."""
        return 0, 0

    async def release(self, _id: str) -> None:
        """Have held nothing."""


def advisories(store: Any, facts: FactStream, folder: Path) -> Advisories:
    """Return the gate of a node on which nothing is live."""

    async def nothing() -> tuple[()]:
        return ()

    def quarantine(_operation: Any) -> Any:
        raise AssertionError("nothing is live")

    gate = Gate(Place(folder / "advisories"), store, facts.happened)
    watch = Watch(
        gate,
        store,
        live=nothing,
        digests=lambda: (),
        packages=quarantine,
        quarantine=quarantine,
        happened=facts.happened,
    )
    return Advisories(gate, watch, facts.happened)
