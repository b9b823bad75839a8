"""Zygotes that have imported dependencies: which they fit, and that each becomes one function's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from test_sandbox_client import Supervisor, play, send_descriptors

from casemate.model.deployment import Version
from casemate.model.errors import UnavailableError
from casemate.model.function import Layout, Limits, Trust
from casemate.sandbox import protocol
from casemate.sandbox.dependency_zygotes import DependencyZygote, modules_of
from casemate.sandbox.opening import ImportFailedError
from casemate.sandbox.system_calls import DeniedCall
from support.core import version

FILES = {"a" * 64: "same", "b" * 64: "same", "c" * 64: "other"}
A, B, C = FILES


def of(digest: str, name: str, **changes: Any) -> Version:
    return version(digest=digest, name=name, **changes)


@pytest.mark.parametrize(
    ("files", "modules"),
    [
        (["pandas/__init__.py", "pandas/core/frame.py", "six.py"], {"pandas", "six"}),
        (["google/cloud/storage/__init__.py", "google/auth/__init__.py"],
         {"google.cloud.storage", "google.auth"}),
        (["é.py", "ок/__init__.py", "a\u0661.py", f"{'n' * 250}/{'m' * 10}.py", "b.py"], {"b"}),
        (["_cffi.cpython-313-x86_64-linux-gnu.so", "a-b/x.py", "../up.py", ""], {"_cffi"}),
        ([], set()),
    ],
)  # fmt: skip
def test_the_outermost_modules_are_imported(files: list[str], modules: set[str]) -> None:
    assert modules_of(files) == modules


def seen(supervisor: Supervisor, *versions: Version) -> None:
    for one in versions:
        supervisor.client.ahead.saw(one, ["pandas/__init__.py"])


async def prepared(supervisor: Supervisor, one: Version) -> DependencyZygote:
    """Return a zygote that was prepared for functions with the dependencies of a version."""
    wanted = supervisor.client.ahead.wanted(one)
    assert wanted is not None
    task = supervisor.loop.create_task(supervisor.client.ahead.prepare(wanted, seconds=5))
    await supervisor.settle()
    if task.done():
        return await task
    request, (report, _) = await supervisor.request()
    assert isinstance(request, protocol.PrepareDependencies)
    assert request.modules == ("pandas",)
    send_descriptors(report, len(request.ports))
    await supervisor.tell(protocol.Opened(request.z))
    return await task


def with_dependencies() -> dict[str, Any]:
    return {"dependencies": FILES.get}


def test_it_becomes_the_zygote_of_one_function_and_then_there_is_none() -> None:
    async def scene(supervisor: Supervisor) -> None:
        a, b = of(A, "a"), of(B, "b")
        seen(supervisor, a, b)
        ahead = await prepared(supervisor, a)
        assert supervisor.bundles.used == [A]
        task = supervisor.loop.create_task(supervisor.client.open(b))
        request, _ = await supervisor.request()
        assert isinstance(request, protocol.Become)
        assert (request.z, request.function, request.digest) == (ahead.number, "b", B)
        assert supervisor.client.ahead.numbers() == []
        await supervisor.tell(protocol.Opened(request.z))
        zygote = await task
        assert sorted(supervisor.bundles.used) == [A, B]
        assert supervisor.egress.of(zygote.number) == ["grant"]
        # The next one is made as ever.
        task = supervisor.loop.create_task(supervisor.client.open(a))
        request, (report, _) = await supervisor.request()
        assert type(request) is protocol.Open
        send_descriptors(report, 0)
        await supervisor.tell(protocol.Opened(request.z))
        await task

    play(scene, **with_dependencies())


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": C},
        {"trust": Trust.LOW},
        {"layout": Layout.OWN},
        {"limits": Limits(open_files=99)},
        {"limits": Limits(tmp=1 << 20)},
        {"limits": Limits(memory=64 << 20)},
        {"project": "other"},
    ],
)
def test_what_would_be_confined_differently_does_not_get_it(changes: dict[str, Any]) -> None:
    async def scene(supervisor: Supervisor) -> None:
        a, b = of(A, "a"), of(changes.pop("digest", B), "b", **changes)
        seen(supervisor, a, b)
        ahead = await prepared(supervisor, a)
        assert await supervisor.client.ahead.take(b) is None
        supervisor.client.ahead.close(ahead)
        assert (await supervisor.request())[0] == protocol.Close(ahead.number)

    play(scene, **with_dependencies())


def test_nothing_runs_that_a_function_does_not_import() -> None:
    async def scene(supervisor: Supervisor) -> None:
        a, b = of(A, "a"), of(B, "b")
        seen(supervisor, a)
        supervisor.client.ahead.saw(b, ["requests/__init__.py"])
        ahead = await prepared(supervisor, a)
        assert await supervisor.client.ahead.take(b) is None
        assert await supervisor.client.ahead.take(of("d" * 64, "unknown")) is None
        supervisor.client.ahead.close(ahead)

    play(scene, **with_dependencies())


def test_a_function_that_it_fails_for_starts_by_itself_from_then_on() -> None:
    async def scene(supervisor: Supervisor) -> None:
        a, b = of(A, "a"), of(B, "b")
        seen(supervisor, a, b)
        await prepared(supervisor, a)
        task = supervisor.loop.create_task(supervisor.client.open(b))
        request, _ = await supervisor.request()
        fault = protocol.Fault.FUNCTION
        await supervisor.tell(protocol.ZygoteEnded(request.z, "unfit", fault))
        again, _ = await supervisor.request()
        assert type(again) is protocol.Open and again.z != request.z
        assert supervisor.client.ahead.wanted(b) is None
        assert supervisor.client.ahead.wanted(a) is not None
        task.cancel()
        with pytest.raises((asyncio.CancelledError, ImportFailedError)):
            await task

    play(scene, **with_dependencies())


def test_what_the_node_did_costs_a_function_one_start_and_not_all() -> None:
    async def start(supervisor: Supervisor, one: Version, *, works: bool) -> None:
        """Start a version by one that was prepared; if that does not work, by itself."""
        await prepared(supervisor, one)
        task = supervisor.loop.create_task(supervisor.client.open(one))
        request, _ = await supervisor.request()
        assert type(request) is protocol.Become
        if not works:
            await supervisor.tell(protocol.ZygoteEnded(request.z, "its base zygote ended"))
            request, (report, _) = await supervisor.request()
            assert type(request) is protocol.Open
            send_descriptors(report, 0)
        await supervisor.tell(protocol.Opened(request.z))
        await task

    async def scene(supervisor: Supervisor) -> None:
        b = of(B, "b")
        seen(supervisor, b)
        for works in (False, False, True, False, False):
            await start(supervisor, b, works=works)
        assert supervisor.client.ahead.wanted(b) is not None
        await start(supervisor, b, works=False)  # the third in a row
        assert supervisor.client.ahead.wanted(b) is None

    play(scene, **with_dependencies())


def test_one_that_is_denied_something_is_ended_and_none_is_made_again() -> None:
    async def scene(supervisor: Supervisor) -> None:
        a = of(A, "a")
        seen(supervisor, a)
        ahead = await prepared(supervisor, a)
        ahead.on_denied(DeniedCall(name="ptrace", number=1, pid=1, process=(), at=1.0))
        assert (await supervisor.request())[0] == protocol.Close(ahead.number)
        assert not ahead.alive and ahead.reason == "it was denied ptrace"
        assert supervisor.client.ahead.wanted(a) is None
        assert supervisor.denied == []
        assert supervisor.bundles.used == []

    play(scene, **with_dependencies())


def test_what_is_denied_later_is_the_function_s() -> None:
    async def scene(supervisor: Supervisor) -> None:
        a, b = of(A, "a"), of(B, "b")
        seen(supervisor, a, b)
        ahead = await prepared(supervisor, a)
        task = supervisor.loop.create_task(supervisor.client.open(b))
        request, _ = await supervisor.request()
        call = DeniedCall(name="ptrace", number=1, pid=1, process=(), at=1.0)
        ahead.on_denied(call)
        await supervisor.tell(protocol.Opened(request.z))
        zygote = await task
        assert supervisor.denied == [(zygote, call)] and zygote.version is b

    play(scene, **with_dependencies())


def test_nobody_gets_one_whose_bundle_is_vouched_for_no_more() -> None:
    async def scene(supervisor: Supervisor) -> None:
        a, b = of(A, "a"), of(B, "b")
        seen(supervisor, a, b)
        ahead = await prepared(supervisor, a)

        async def require(one: Version) -> None:
            if one is a:
                raise UnavailableError("nobody vouches")

        supervisor.client._require = require
        assert await supervisor.client.ahead.take(b) is None
        assert not ahead.alive
        with pytest.raises(UnavailableError, match="vouches"):
            await prepared(supervisor, a)

    play(scene, **with_dependencies())


def test_one_that_ends_by_itself_is_told_of() -> None:
    async def scene(supervisor: Supervisor) -> None:
        a = of(A, "a")
        seen(supervisor, a)
        lost: list[DependencyZygote] = []
        supervisor.client.ahead.on_lost = lost.append
        ahead = await prepared(supervisor, a)
        await supervisor.tell(protocol.Held(ahead.number, 77))
        assert supervisor.client.ahead.memory == 77
        await supervisor.tell(protocol.ZygoteEnded(ahead.number, "the zygote is gone"))
        assert lost == [ahead] and not list(supervisor.client.ahead)

    play(scene, **with_dependencies())


def test_without_the_files_none_is_made() -> None:
    async def scene(supervisor: Supervisor) -> None:
        seen(supervisor, of(A, "a"))
        assert supervisor.client.ahead.wanted(of(A, "a")) is None

    play(scene)
