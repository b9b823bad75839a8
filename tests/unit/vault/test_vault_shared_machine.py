"""Vaults that share a database, whatever they do in whatever order, and whatever fails between."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from shared_samples import Node, Rows

from casemate.model.errors import NotFoundError
from casemate.vault.errors import VaultUnavailableError
from casemate.vault.interface import Purpose

NODES = st.integers(0, 2)
NAMES = st.sampled_from(("a", "b", "c"))
FAULTS = st.sampled_from(("", "", "made", "lost", "away"))


class SharedVaults(RuleBasedStateMachine):
    """Three nodes; `told` is what secrets there are, by what was acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.rows = Rows()
        self.nodes = [Node(Path(self.folder.name) / str(n), self.rows) for n in range(3)]
        for node in self.nodes:
            self.run(self.begin(node))
        self.told: dict[str, bytes] = {}
        self.key = 0
        self.keys: dict[int, bytes] = {}
        self.count = 0

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    async def begin(self, node: Node) -> None:
        node.open()
        await node.follow()

    async def failing(self, fault: str, work: Any) -> bool:
        """Do it while something fails; return whether it is known to have been made."""
        self.rows.faults.clear()
        if fault in ("made", "lost"):
            self.rows.faults.append(fault)
        self.rows.away = fault == "away"
        try:
            await work
        except (VaultUnavailableError, NotFoundError):
            return False
        finally:
            self.rows.away = False
            self.rows.faults.clear()
        return True

    @rule(number=NODES, name=NAMES, fault=FAULTS)
    def put(self, number: int, name: str, fault: str) -> None:
        self.count += 1
        value = b"value-number-%d" % self.count
        if self.run(self.failing(fault, self.nodes[number].put(name, value))):
            self.told[name] = value

    @rule(number=NODES, name=NAMES, fault=FAULTS)
    def delete(self, number: int, name: str, fault: str) -> None:
        async def delete() -> None:
            await self.nodes[number].shared.look()
            await self.nodes[number].change("delete_secret", "shop", name)

        if self.run(self.failing(fault, delete())):
            del self.told[name]

    @rule(number=NODES, fault=FAULTS)
    def rotate(self, number: int, fault: str) -> None:
        async def rotate() -> None:
            await self.nodes[number].change("data_key", "shop", Purpose.DATA, None)
            await self.nodes[number].change("rotate_data_keys", "shop")

        self.run(self.failing(fault, rotate()))

    @rule(number=NODES, fault=FAULTS)
    def renew(self, number: int, fault: str) -> None:
        self.run(self.failing(fault, self.nodes[number].change("renew_secrets", "shop")))

    @rule(number=NODES)
    def follow(self, number: int) -> None:
        self.run(self.nodes[number].follow())

    @rule(number=NODES, fetch=st.booleans())
    def start_again(self, number: int, fetch: bool) -> None:
        self.nodes[number].close()

        async def again() -> None:
            self.nodes[number].open(fetch=fetch)

        self.run(again())

    @rule()
    def every_node_has_what_was_acknowledged_once_it_looks(self) -> None:
        for node in self.nodes:
            self.run(node.follow())
            assert node.values() == self.told
            for record in node.engine.opened.state.keys:
                if record.project == "shop":
                    found = node.engine.data_key("shop", Purpose.DATA, record.version).key
                    assert self.keys.setdefault(record.version, found) == found
        assert len({node.generation for node in self.nodes}) == 1
        named = {each.file for each in self.nodes[0].engine.opened.state.secrets}
        assert set(self.rows.stored) == named, "the database has no file that is of no use"

    def teardown(self) -> None:
        # Whoever was behind until now, too.
        self.every_node_has_what_was_acknowledged_once_it_looks()
        for node in self.nodes:
            node.close()
        self.runner.close()
        self.folder.cleanup()


TestSharedVaults = SharedVaults.TestCase
TestSharedVaults.settings = settings(
    max_examples=7,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
