"""What all nodes count: told while it is wanted, read by those who can prove whose it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.gateway import shared_numbers
from casemate.gateway.shared_numbers import SharedNumbers
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.metrics import Counting, FunctionMetrics, Metrics
from casemate.model.nodes import ClusterNode, NodeState
from casemate.nodes import Following, Standing
from casemate.postgresql.settings import Settings
from casemate.store.errors import StoreMediumError
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.told_numbers import MAX_CONTENT_BYTES, WANTED_TOPIC, ToldNumbers
from casemate.vault.interface import DataKey, Purpose
from support.database import Server

NAMES = {"1": "ay", "2": "bee"}


class Vault:
    """Of a cluster: the same key on each node."""

    def __init__(self) -> None:
        self.newest = 1

    async def data_key(self, project: str, purpose: Purpose, version: int | None = None) -> DataKey:
        assert (project, purpose) == ("", Purpose.NUMBERS)
        number = self.newest if version is None else version
        if not 0 < number <= self.newest:
            raise NotFoundError("There is no such key.")
        return DataKey(version=number, key=bytes([number]) * 32)


class Rows:
    """Of a store in memory."""

    def __init__(self) -> None:
        self.there: dict[str, tuple[float, bytes]] = {}
        self.wanted: list[Callable[[], Awaitable[None]]] = []
        self.wants = 0
        self.away = False

    async def want(self) -> None:
        if self.away:
            raise StoreMediumError("It is away.")
        self.wants += 1
        for each in self.wanted:
            await each()

    async def keep(self, node: str, content: bytes) -> None:
        self.there[node] = time.monotonic(), content

    async def told(self, latest: float) -> list[ToldNumbers]:
        now = time.monotonic()
        return [
            ToldNumbers(node, now - at, content)
            for node, (at, content) in self.there.items()
            if now - at <= latest
        ]


class Play:
    """Two nodes."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.vault = Vault()
        self.calls = {"1": 3, "2": 4}
        self.states = dict.fromkeys(NAMES, NodeState.UP)
        self.nodes = {id: self._node(id) for id in NAMES}

    def _node(self, id: str) -> SharedNumbers:
        async def others() -> tuple[ClusterNode, ...]:
            return tuple(
                SimpleNamespace(id=each, name=NAMES[each], state=state)  # type: ignore[misc]
                for each, state in self.states.items()
            )

        async def own(project: str | None, function: str | None) -> Metrics:
            found = tuple(
                FunctionMetrics(project=name, function="f", calls=self.calls[id], outcomes={})
                for name in ("mail", "shop")
                if project in (None, name) and function in (None, "f")
            )
            now = time.time()
            counting = Counting(node=NAMES[id], at=now, started_at=1.0)
            return Metrics(at=now, started_at=1.0, functions=found, nodes=(counting,))

        among: Any = SimpleNamespace(
            membership=SimpleNamespace(id=id), name=NAMES[id], others=others
        )
        node = SharedNumbers(among, self.vault, own, self.rows, WANTED_TOPIC)  # type: ignore[arg-type]
        (part,) = node.parts()
        self.rows.wanted.append(part.reload)
        return node

    async def __aenter__(self) -> Play:
        for node in self.nodes.values():
            node.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in self.nodes.values():
            await node.close()


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared_numbers, "TELL_SECONDS", 0.02)
    monkeypatch.setattr(shared_numbers, "_HOLDS_SECONDS", 0.0)
    monkeypatch.setattr(shared_numbers, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(shared_numbers, "FIRST_SECONDS", 1.0)
    yield


pytestmark = pytest.mark.usefixtures("fast")


def test_who_asks_sees_what_all_count_and_nobody_tells_unasked() -> None:
    async def run() -> None:
        async with Play() as play:
            await asyncio.sleep(0.05)
            assert play.rows.there == {}
            found = await play.nodes["1"].metrics(None, None)
            assert [(f.project, f.calls) for f in found.functions] == [("mail", 7), ("shop", 7)]
            assert [one.node for one in found.nodes] == ["ay", "bee"]
            assert found.missing == ()
            assert b"shop" not in b"".join(content for _, content in play.rows.there.values())
            (only,) = (await play.nodes["2"].metrics("shop", "f")).functions
            assert (only.project, only.calls) == ("shop", 7)

    asyncio.run(run())


def test_one_node_is_asked_for_by_name() -> None:
    async def run() -> None:
        async with Play() as play:
            for asked in play.nodes.values():
                for id, name in NAMES.items():
                    found = await asked.metrics(None, None, name)
                    assert found.functions[0].calls == play.calls[id]
                    assert [one.node for one in found.nodes] == [name]
                with pytest.raises(NotFoundError, match="'cee'"):
                    await asked.metrics(None, None, "cee")

    asyncio.run(run())


def test_telling_ends_when_nobody_asks_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_numbers, "WANTED_SECONDS", 0.1)

    async def run() -> None:
        async with Play() as play:
            await play.nodes["1"].metrics(None, None)
            await asyncio.sleep(0.3)
            last = dict(play.rows.there)
            await asyncio.sleep(0.2)
            assert play.rows.there == last

    asyncio.run(run())


def test_however_often_it_is_asked_the_others_hear_of_it_now_and_then() -> None:
    async def run() -> None:
        async with Play() as play:
            await asyncio.gather(*(play.nodes["1"].metrics(None, None) for _ in range(50)))
            for _ in range(5):
                await play.nodes["1"].metrics(None, None)
            assert play.rows.wants == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda play, content: b"", id="nothing"),
        pytest.param(lambda play, content: content[:3], id="cut"),
        pytest.param(lambda play, content: content[:-1] + bytes([content[-1] ^ 1]), id="changed"),
        pytest.param(lambda play, content: b"\0\0\0\x09" + content[4:], id="another key"),
        pytest.param(lambda play, content: play.rows.there["1"][1], id="another node's"),
        pytest.param(lambda play, content: bytes(MAX_CONTENT_BYTES), id="zeros"),
    ],
)
def test_what_the_database_was_made_to_hold_is_not_believed(
    harm: Callable[[Play, bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with Play() as play:
            assert (await play.nodes["1"].metrics(None, None)).missing == ()
            assert (await play.nodes["2"].metrics(None, None)).missing == ()
            await play.nodes["2"].close()
            at, content = play.rows.there["2"]
            play.rows.there["2"] = at, harm(play, content)
            found = await play.nodes["1"].metrics(None, None)
            assert found.missing == ("bee",)
            assert found.functions[0].calls == 3

    asyncio.run(run())


def test_what_was_told_long_ago_and_put_back_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async with Play() as play:
            await play.nodes["1"].metrics(None, None)
            await play.nodes["2"].close()
            play.rows.there["2"] = time.monotonic() + 3600, play.rows.there["2"][1]
            monkeypatch.setattr(shared_numbers, "_OLDEST_SECONDS", -1.0)
            assert (await play.nodes["1"].metrics(None, None)).missing == ("bee",)

    asyncio.run(run())


def test_who_is_gone_is_not_missing_and_who_is_silent_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async with Play() as play:
            await play.nodes["2"].close()
            monkeypatch.setattr(shared_numbers, "FIRST_SECONDS", 3.0)
            began = time.monotonic()
            assert (await play.nodes["1"].metrics(None, None)).missing == ("bee",)
            assert time.monotonic() - began < 30
            began = time.monotonic()
            await play.nodes["1"].metrics(None, None)
            assert time.monotonic() - began < 2.5, "it is waited for once"
            play.states["2"] = NodeState.GONE
            assert (await play.nodes["1"].metrics(None, None)).missing == ()

    asyncio.run(run())


def test_a_store_that_is_away_leaves_the_nodes_own_counts() -> None:
    async def run() -> None:
        async with Play() as play:
            play.rows.away = True
            found = await play.nodes["1"].metrics(None, None)
            assert found.functions[0].calls == 3
            assert found.missing == ("all others",)

    asyncio.run(run())


def test_a_failing_count_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with Play() as play:
            calls = play.calls
            play.calls = {"1": 3}
            await play.nodes["1"].metrics(None, None)
            play.calls = calls
            await asyncio.sleep(0.1)
            assert (await play.nodes["1"].metrics(None, None)).missing == ()

    asyncio.run(run())
    assert caplog.text.count("is not told to others") == 1


def test_a_node_alone_asks_nobody() -> None:
    async def run() -> None:
        async def own(_project: str | None, _function: str | None) -> Metrics:
            return Metrics(at=2.0, started_at=1.0, functions=())

        among: Any = SimpleNamespace(name="")
        node = SharedNumbers(among, Vault(), own, None, WANTED_TOPIC)  # type: ignore[arg-type]
        node.start()
        assert node.parts() == ()
        assert await node.metrics(None, None) == Metrics(at=2.0, started_at=1.0, functions=())
        with pytest.raises(CasemateError):
            await node.metrics(None, None, "bee")
        await node.close()

    asyncio.run(run())


def test_on_a_server_the_wish_is_followed(postgresql_server: Server, tmp_path: Path) -> None:
    async def run() -> None:
        url = postgresql_server.url(postgresql_server.database())
        store = PostgresqlStore.open(Settings.of_url(url), cluster="tests")
        try:
            rows = store.number_rows()
            among: Any = SimpleNamespace(membership=SimpleNamespace(id="1"), name="ay")
            node = SharedNumbers(among, Vault(), None, rows, WANTED_TOPIC)  # type: ignore[arg-type]
            (part,) = node.parts()
            following = Following(store, (part,), Standing(10.0))
            await following.begin()
            assert not node._wanted.is_set()
            await rows.want()
            await following.look()
            await following.settled()
            assert node._wanted.is_set()
            for content in (b"first", b"second"):
                await rows.keep("1", content)
            await rows.keep("2", bytes(MAX_CONTENT_BYTES + 1))
            one, two = await rows.told(10.0)
            assert (one.node, one.content, two.content) == ("1", b"second", b"")
            assert one.age < 5.0
            await rows.keep("n" * 65, b"name")
            assert len(await rows.told(10.0)) == 2
            await following.close()
        finally:
            await store.close()

    asyncio.run(run())
