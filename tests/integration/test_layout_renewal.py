"""Base zygotes are replaced on a schedule: what runs goes on, what starts has a new layout."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from casemate.dispatch import Dispatcher, renewal
from casemate.egress.interface import NoEgress
from casemate.kernel import linux
from casemate.model.deployment import Version
from casemate.model.function import FunctionSpec, Isolation, Layout, Limits
from casemate.model.path import Admitted
from casemate.model.processes import SANDBOX_UID
from casemate.model.runtime import Runtime
from casemate.sandbox import layouts
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.frames import Output
from casemate.sandbox.identities import Identities
from casemate.sandbox.instance import Instance
from casemate.sandbox.staging import Staging
from casemate.sandbox.zygote import Zygote
from casemate.sandbox.zygotes import Zygotes
from casemate.supervisor import mapped_files
from casemate.supervisor.function_ids import function_ids
from casemate.supervisor.host import offered_interpreters
from casemate.supervisor.sandboxes import Sandboxes
from support.core import request
from support.node import default_risks
from support.processes import children

DIGEST = "0" * 64
SECONDS = 1.0
"""How long a base zygote takes new zygotes here."""
SOURCE = """
def handler(event, context):
    return [id(print), hash("casemate")]
"""


async def vouched(_version: Version) -> None:
    """Let every version be started."""


class Bundles:
    """The one bundle is always there."""

    async def acquire(self, digest: str) -> None:
        pass

    async def require_whole(self, digest: str) -> None:
        pass

    def size(self, digest: str) -> int:
        return 1000

    def release(self, digest: str) -> None:
        pass


class Node:
    """A supervisor in a thread, and what speaks to it."""

    def __init__(self, gateway: socket.socket, minor: str, reports: list[str]) -> None:
        self.replaced: list[tuple[str, tuple[str, ...], int]] = []
        self.loop = asyncio.get_running_loop()
        self.minor = minor
        self.reports = reports
        self.client = SandboxClient(
            gateway,
            self.loop,
            zygotes=Zygotes(self.loop),
            bundles=Bundles(),
            require=vouched,
            egress=NoEgress(),
            on_denied_call=lambda *_: None,
            on_filter_kill=lambda *_: None,
            on_replaced=lambda *told: self.replaced.append(told),
        )

    async def open(
        self,
        name: str,
        layout: Layout = Layout.SHARED,
        project: str = "p",
        beside: Zygote | None = None,
    ) -> Zygote:
        version = self.version(name, layout, project)
        return await asyncio.wait_for(self.client.open(version, beside=beside), 30)

    def version(self, name: str, layout: Layout = Layout.SHARED, project: str = "p") -> Version:
        spec = FunctionSpec(
            name=name,
            handler="app:handler",
            python=self.minor,
            isolation=Isolation.REQUEST,
            layout=layout,
            limits=Limits(memory=64 << 20, processes=4, tmp=1 << 20),
        )
        return Version(
            project=project,
            function=name,
            number=1,
            digest=DIGEST,
            spec=spec,
            created_at=0.0,
            created_by="test",
        )

    async def call(self, zygote: Zygote) -> list[int]:
        ready: asyncio.Future[Instance] = self.loop.create_future()
        zygote.spawn(ready.set_result, lambda _: None)
        return await self.ask(await asyncio.wait_for(ready, 10))

    @staticmethod
    async def ask(instance: Instance) -> list[int]:
        head = {"id": "x", "deadline": time.time() + 5, "http": False, "version": "1"}
        reply = await asyncio.wait_for(
            instance.invoke(msgspec.json.encode(head), b"null", Output(65536)), 5
        )
        assert reply.body, reply
        return msgspec.json.decode(reply.body, type=list[int])


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, str, list[str]]]:
    """The gateway's end of a supervisor that renews its base zygotes all the time."""
    monkeypatch.setattr(layouts, "LAYOUT_SECONDS", SECONDS)
    yield from supervised()


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, str, list[str]]]:
    """The gateway's end of one that looks all the time whether an interpreter was replaced."""
    monkeypatch.setattr(mapped_files, "LOOK_SECONDS", 0.2)
    yield from supervised()


def supervised() -> Iterator[tuple[socket.socket, str, list[str]]]:
    """Run a supervisor in a thread."""
    interpreter = offered_interpreters(())[-1]
    runtime = Runtime(
        minor=interpreter.minor, executable=str(interpreter.path), prefix=str(interpreter.prefix)
    )
    uid = SANDBOX_UID if os.geteuid() == 0 else None
    reports: list[str] = []
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made: list[tuple[Sandboxes, Staging]] = []

    def run() -> None:
        # Staging moves its thread to a mount namespace of its own; the others stay.
        staging = Staging(uid, uid, f"renewal-{os.getpid()}")
        code = Path(staging.bundles) / DIGEST / "code"
        code.mkdir(parents=True)
        (code.parent / "deps").mkdir()
        (code / "app.py").write_text(SOURCE)
        for path in (Path(staging.bundles), code.parent, code):
            path.chmod(0o755)
        supervisor = Sandboxes(
            runtimes={runtime.minor: runtime},
            staging=staging,
            cgroups=None,
            landlock=linux.landlock_abi() > 0,
            identities=None if default_risks() else Identities(function_ids(None)),
            shared_files=False,
            report=reports.append,
        )
        made.append((supervisor, staging))
        supervisor.run(theirs)
        supervisor.close()
        staging.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield ours, runtime.minor, reports
    ours.close()
    thread.join(10)
    theirs.close()
    assert not thread.is_alive()


def run(parts: tuple[socket.socket, str, list[str]], what: object) -> None:
    async def main() -> None:
        node = Node(*parts)
        await what(node)  # type: ignore[operator]
        assert not [line for line in parts[2] if "zygote" in line], parts[2]
        node.loop.remove_reader(parts[0].fileno())

    asyncio.run(main())


@pytest.mark.storm
def test_a_renewal_changes_the_layout_and_ends_nothing(
    parts: tuple[socket.socket, str, list[str]],
) -> None:
    async def scenario(node: Node) -> None:
        first = await node.open("f")
        found = [await node.call(first)]
        assert await node.call(first) == found[0]
        seen = []
        deadline = time.monotonic() + 6 * SECONDS
        while time.monotonic() < deadline:
            # What was there before the renewal serves all the while, as what comes after it.
            seen.append(await node.call(first))
            again = await node.open("f")
            found.append(await node.call(again))
            again.close()
            await asyncio.sleep(0.2)
        assert seen == [found[0]] * len(seen)
        for what in zip(*found, strict=True):
            assert len(set(what)) >= 3, found
        # Those that were replaced, and serve nobody, are gone: two are left, perhaps one to be.
        first.close()
        await asyncio.sleep(2 * SECONDS)
        assert len([p for p in children(os.getpid()) if _is_bubblewrap(p)]) <= 2

    run(parts, scenario)


def _is_bubblewrap(pid: int) -> bool:
    try:
        return b"bwrap" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_zygotes_asked_for_at_once_wait_for_their_layout(
    parts: tuple[socket.socket, str, list[str]],
) -> None:
    """No base zygote is there yet; each project's own becomes ready by itself."""

    async def scenario(node: Node) -> None:
        opening = [
            *(node.open("f", project=f"p{number % 6}") for number in range(12)),
            *(node.open(name, Layout.OWN) for name in ("a", "b", "a")),
        ]
        opened = await asyncio.gather(*opening)
        found = [await node.call(zygote) for zygote in opened]
        shared, own = found[:12], found[12:]
        assert len({tuple(one) for one in shared}) == layouts.LAYOUTS
        assert own[0] == own[2] != own[1]
        assert not {tuple(one) for one in own} & {tuple(one) for one in shared}
        for zygote in opened:
            zygote.close()

    run(parts, scenario)


def test_a_zygote_that_waits_can_be_closed(
    parts: tuple[socket.socket, str, list[str]],
) -> None:
    async def scenario(node: Node) -> None:
        opening = asyncio.ensure_future(node.open("f"))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert await node.call(await node.open("f"))
        assert node.client.zygotes == 1

    run(parts, scenario)


def test_one_that_is_opened_beside_another_has_another_layout(
    parts: tuple[socket.socket, str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "LAYOUT_SECONDS", 1000.0)
    monkeypatch.setattr(layouts, "LEAST_SECONDS", 0.0)

    async def scenario(node: Node) -> None:
        first = await node.open("f")
        second = await node.open("f", beside=first)
        third = await node.open("f", beside=second)
        found = [await node.call(zygote) for zygote in (first, second, third)]
        for what in zip(*found, strict=True):
            assert len(set(what)) == 3, found
        # None is started where the newest is another one already, or is as good as new.
        again = await node.open("f", beside=first)
        assert await node.call(again) == found[2]
        monkeypatch.setattr(layouts, "LEAST_SECONDS", 1000.0)
        assert await node.call(await node.open("f", beside=third)) == found[2]
        own = await node.open("g", Layout.OWN)
        assert await node.call(await node.open("g", Layout.OWN, beside=own)) == await node.call(own)
        monkeypatch.setattr(layouts, "LEAST_SECONDS", 0.0)
        other = await node.open("g", Layout.OWN, beside=own)
        assert await node.call(other) != await node.call(own)

    run(parts, scenario)


@pytest.mark.parametrize("busy", [pytest.param(False, marks=pytest.mark.storm), True])
def test_calls_meet_ever_new_layouts_and_wait_for_none(
    parts: tuple[socket.socket, str, list[str]], monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    """By a dispatcher: an address that a call gave away is of no use soon after."""
    lasts, overlaps = 1.5, 0.5
    monkeypatch.setattr(layouts, "LAYOUT_SECONDS", 1000.0)
    monkeypatch.setattr(layouts, "LEAST_SECONDS", 0.2)
    for name, value in {
        "CALLED_SECONDS": lasts,
        "OVERLAP_SECONDS": overlaps,
        "SECOND_AFTER_SECONDS": 0.5 if busy else 1000.0,
    }.items():
        monkeypatch.setattr(renewal, name, value)

    async def scenario(node: Node) -> None:
        dispatcher = Dispatcher(node.client)
        version = node.version("f")
        admitted = Admitted(request=request(), version=version, principal="k")
        seen: dict[tuple[int, ...], list[float]] = {}
        order: list[tuple[int, ...]] = []
        cold = []
        began = time.monotonic()
        while len(seen) < 4:
            assert time.monotonic() - began < 60.0
            placed = await asyncio.wait_for(dispatcher.place(admitted), 10)
            assert isinstance(placed.instance, Instance)
            cold.append(placed.cold)
            layout = tuple(await node.ask(placed.instance))
            dispatcher.release(placed)
            seen.setdefault(layout, []).append(time.monotonic())
            order.append(layout)
            await asyncio.sleep(0.03 if busy else 0.2)
        dispatcher.close()
        # No call but the first waited for an import.
        assert cold == [True] + [False] * (len(cold) - 1)
        # Of no use once another took its place: of two, that is the one after the next.
        for one, successor in zip(list(seen), list(seen)[2 if busy else 1 :], strict=False):
            assert seen[one][-1] - seen[successor][0] <= overlaps + 3.0
        turns = sum(one != other for one, other in itertools.pairwise(order))
        assert turns > 8 if busy else turns < 8
        await asyncio.sleep(0.1)

    run(parts, scenario)


def test_what_was_replaced_on_disk_is_taken_up_and_ends_nothing(
    steady: tuple[socket.socket, str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mapped_files.identity

    async def scenario(node: Node) -> None:
        first, other = await node.open("f"), await node.open("g", project="q")
        found = await node.call(first)
        await asyncio.sleep(1.0)  # until its files are known
        patched = files_below()
        assert any("libc" in path for path in patched), patched
        # Every later look finds another libc, as after an upgrade of the host's packages.
        monkeypatch.setattr(
            mapped_files,
            "identity",
            lambda path: (0, 0, 0, 0) if "libc" in path else before(path),
        )
        deadline = time.monotonic() + 20
        while not (first.outdated and other.outdated) and time.monotonic() < deadline:
            assert await node.call(first) == found
            await asyncio.sleep(0.05)
        assert first.outdated and other.outdated
        second = await node.open("f", beside=first)
        assert not second.outdated and await node.call(second) != found
        assert await node.call(first) == found, "what is replaced serves on"
        [(python, files, count)] = node.replaced[:1]
        assert python == node.minor and count >= 1 and "libc" in files[0]
        told = len(node.replaced)
        await asyncio.sleep(0.8)
        assert len(node.replaced) == told and not second.outdated, "it is told once"

    async def main() -> None:
        node = Node(*steady)
        await scenario(node)
        node.loop.remove_reader(steady[0].fileno())

    asyncio.run(main())
    assert [line for line in steady[2] if "files that were replaced" in line]


def files_below() -> set[str]:
    """Return what the base zygotes below this process run with."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():  # they are children of the supervisor's thread
        for pid in map(int, (task / "children").read_text().split()):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "bwrap":
                found |= mapped_files.mapped(mapped_files.interpreter_of(pid))[0]
    return found
