"""The gateway's end and the monitor's server: questions, pages, and how the monitor is."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from casemate.child.restart import Backoff
from casemate.model.errors import NotFoundError
from casemate.model.level import Level
from casemate.monitor import client as client_module
from casemate.monitor import protocol
from casemate.monitor import server as server_module
from casemate.monitor.client import MonitorClient
from casemate.monitor.errors import MonitorUnavailableError, UndeliveredError
from casemate.monitor.server import Server
from casemate.operations.findings import ListFindings
from casemate.operations.incidents import ListIncidents
from support.monitor import Journal, Sink, Watch, found, running
from support.waiting import until


class World:
    """A client, and monitors that are started as it asks for them."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.get_running_loop()
        self.supervisor, starter = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.supervisor.setblocking(False)
        self.journal, self.sink = Journal(folder / "journal"), Sink()
        self.watch = Watch(folder / "monitor", {"pager": self.sink})
        self.server: Server | None = None
        self.status: asyncio.Task[None] | None = None
        self.starts = True
        self.loop.add_reader(self.supervisor.fileno(), self._start)
        self.client = MonitorClient(starter, self.loop)

    def _start(self) -> None:
        data, descriptors, *_ = socket.recv_fds(self.supervisor, 16, 1)
        if not data:
            self.loop.remove_reader(self.supervisor.fileno())
            return
        sock = socket.socket(fileno=descriptors[0])
        if not self.starts:
            sock.close()
            return
        self.server = Server(self.watch.noticing, sock, lambda: None)
        self.status = self.loop.create_task(self.server.tell_status())

    def end(self) -> None:
        if self.status is not None:
            self.status.cancel()
        if self.server is not None:
            self.server.close()

    async def close(self) -> None:
        self.client.close()
        self.end()
        await self.watch.stop()
        self.journal.close()
        await asyncio.sleep(0)
        self.loop.remove_reader(self.supervisor.fileno())
        self.supervisor.close()


async def begun(folder: Path) -> World:
    world = World(folder)
    await world.watch.start(world.journal)
    await until(lambda: world.server is not None)
    return world


@running
async def test_findings_are_listed_by_pages_and_chosen(tmp_path: Path) -> None:
    world = await begun(tmp_path)
    for n in range(10):
        level = Level.CRITICAL if n % 2 else Level.LOW
        project = "shop" if n < 4 else ""
        world.watch.findings.add(found(n, level=level, project=project, rule=f"rule-{n % 3}"))
    page = await world.client.findings(ListFindings(limit=4))
    assert [each.id for each in page.findings] == [found(n).id for n in (9, 8, 7, 6)]
    assert page.more
    rest = await world.client.findings(ListFindings(before=page.findings[-1].id, limit=100))
    assert len(rest.findings) == 6 and not rest.more
    assert len((await world.client.findings(ListFindings(level="critical"))).findings) == 5
    assert len((await world.client.findings(ListFindings(project="shop"))).findings) == 4
    assert len((await world.client.findings(ListFindings(rule="rule-0"))).findings) == 4
    assert len((await world.client.findings(ListFindings(since=found(7).at))).findings) == 3
    assert (await world.client.finding(found(3).id)).project == "shop"
    with pytest.raises(NotFoundError):
        await world.client.finding("none")
    await world.close()


@running
async def test_channels_are_shown_and_tried(tmp_path: Path) -> None:
    world = await begun(tmp_path)
    [state] = (await world.client.alerts()).channels
    assert (state.name, state.kind, state.server) == ("pager", "webhook", "alerts.example.org:443")
    assert await world.client.test("pager") == ""
    assert world.sink.messages[0].kind == "test"
    assert (await world.client.alerts()).channels[0].sent == 1  # before: 0, though it arrived
    world.sink.problem = UndeliveredError("It answers 500.")
    assert await world.client.test("pager") == "It answers 500."
    assert (await world.client.alerts()).channels[0].sent == 1
    with pytest.raises(NotFoundError):
        await world.client.test("nobody")
    assert await world.client.has_rule("tokens-tried")
    assert not await world.client.has_rule("nonsense")
    await world.close()


@running
async def test_how_it_is_is_told_by_itself(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "STATUS_SECONDS", 0.02)
        world = await begun(tmp_path)
        await until(lambda: world.client._told is not None and world.client._told.current)
        assert world.client.problems() == ""
        world.watch.outlets["pager"].problem = "It answers 500."
        await until(lambda: "alerts by pager do not arrive" in world.client.problems())
        await world.close()


@running
async def test_a_monitor_that_is_gone_is_told_and_another_is_asked_for(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "GONE_SECONDS", 0.05)
        patch.setattr(client_module, "Backoff", lambda longest: Backoff(first=0.01, longest=0.02))
        world = await begun(tmp_path)
        await until(lambda: world.client._told is not None)
        world.starts = False
        asking = asyncio.ensure_future(world.client.test("pager"))
        world.sink.hangs = True
        await asyncio.sleep(0.02)
        world.end()
        with pytest.raises(MonitorUnavailableError):
            await asking
        await until(lambda: "gone" in world.client.problems())
        world.starts = True
        world.sink.hangs = False
        await until(lambda: world.client.problems() == "")
        assert (await world.client.alerts()).channels
        await world.close()


@running
async def test_what_a_monitor_has_not_read_yet_is_not_told_as_missing(tmp_path: Path) -> None:
    """One that was killed goes on from what it kept last; what came since it has to read first."""
    world = World(tmp_path)
    await world.watch.noticing.begin()
    await until(lambda: world.server is not None)
    following = world.watch.noticing.following
    asked = [
        asyncio.ensure_future(ask)
        for ask in (
            world.client.finding(found(1).id),
            world.client.incident("inc_" + found(1).id),
            world.client.findings(ListFindings()),
            world.client.incidents(ListIncidents()),
        )
    ]
    await asyncio.sleep(0.1)
    assert not any(one.done() for one in asked)
    assert await world.client.has_rule("tokens-tried"), "what is not of the journal does not wait"
    world.watch.findings.add(found(1))
    following.caught_up.set()
    known, missing, page, incidents = await asyncio.gather(*asked, return_exceptions=True)
    assert not isinstance(known, BaseException) and known.id == found(1).id
    assert isinstance(missing, NotFoundError)
    assert [each.id for each in page.findings] == [found(1).id]  # type: ignore[union-attr]
    assert incidents.incidents == ()  # type: ignore[union-attr]
    following.caught_up.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "READ_SECONDS", 0.05)
        with pytest.raises(MonitorUnavailableError, match="yet to read"):
            await world.client.finding("none")
        with pytest.raises(MonitorUnavailableError, match="yet to read"):
            await world.client.incidents(ListIncidents())
    world.client.close()
    world.end()
    world.journal.close()


@running
async def test_what_is_no_message_ends_the_connection(tmp_path: Path) -> None:
    world = await begun(tmp_path)
    ended: list[bool] = []
    ours, theirs = socket.socketpair()
    Server(world.watch.noticing, theirs, lambda: ended.append(True))
    ours.send(b"\0\0\0\2\xff\xff")
    await until(lambda: ended)
    ours.close()
    await world.close()


@running
async def test_a_silent_monitor_is_not_well(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "SILENT_SECONDS", 0.05)
        patch.setattr(server_module, "STATUS_SECONDS", 30.0)
        world = await begun(tmp_path)
        await until(lambda: "has said nothing" in world.client.problems())
        behind = protocol.Status(behind=99_999, current=False, problems=())
        world.client._told = behind
        world.client._told_at = world.loop.time()
        assert "99999 entries" in world.client.problems()
        await world.close()
