"""Names are resolved in one place, bounded, and stay what they were for a while."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

import pytest

from casemate.egress.config import EgressLimits
from casemate.egress.errors import UpstreamError
from casemate.egress.resolver import Resolver
from support.egress import Names

ONE, TWO = ip_address("8.8.8.8"), ip_address("8.8.4.4")


def run(make: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await make()

    return asyncio.run(main())


def resolver(lookup: Callable[..., Any], **limits: Any) -> Resolver:
    return Resolver(EgressLimits(**limits), lookup)


def test_every_address_once_in_order() -> None:
    names = resolver(Names(a_com=["8.8.4.4", "8.8.8.8", "8.8.4.4"]))
    assert run(lambda: names.resolve(1, "a.com")) == (TWO, ONE)


def test_an_answer_stays_for_its_zygote_and_is_asked_anew_afterwards() -> None:
    lookup = Names(a_com=[["8.8.8.8"], ["8.8.4.4"], ["127.0.0.1"]])
    names = resolver(lookup, cache=0.1)

    async def main() -> None:
        assert await names.resolve(1, "a.com") == (ONE,)
        assert await names.resolve(1, "a.com") == (ONE,)
        assert await names.resolve(2, "a.com") == (TWO,)
        await asyncio.sleep(0.15)
        assert await names.resolve(1, "a.com") == (ip_address("127.0.0.1"),)
        names.forget(2)
        assert len(lookup.asked) == 3

    asyncio.run(main())


def test_those_who_ask_at_the_same_time_share_an_answer() -> None:
    lookup = Names(a_com="8.8.8.8")
    names = resolver(lookup)

    async def main() -> None:
        answers = await asyncio.gather(*(names.resolve(1, "a.com") for _ in range(20)))
        assert answers == [(ONE,)] * 20

    asyncio.run(main())
    assert lookup.asked == ["a.com"]


@pytest.mark.parametrize(
    "answer", [[], ["not an address"], ["8.8.8.8", "?"], [f"8.8.{n}.8" for n in range(80)]]
)
def test_odd_answers_are_no_answer(answer: list[str]) -> None:
    names = resolver(Names(a_com=answer))
    with pytest.raises(UpstreamError) as caught:
        run(lambda: names.resolve(1, "a.com"))
    assert caught.value.status == 502


def test_an_unknown_name() -> None:
    names = resolver(Names())
    with pytest.raises(UpstreamError) as caught:
        run(lambda: names.resolve(1, "a.com"))
    assert caught.value.status == 502


def test_a_slow_server_of_names_holds_up_its_own_zygote_only() -> None:
    release = threading.Event()

    def lookup(host: bytes, port: None, **_: Any) -> list[Any]:
        if host.startswith(b"slow"):
            release.wait(10)
        return [(2, 1, 6, "", ("8.8.8.8", 0))]

    names = resolver(lookup, resolve_time=0.2, lookups=2, lookups_total=4)

    async def main() -> None:
        slow = [names.resolve(1, f"slow{n}.com") for n in range(8)]
        results = asyncio.gather(*slow, return_exceptions=True)
        await asyncio.sleep(0.02)
        assert await names.resolve(2, "fast.com") == (ONE,)
        for error in await results:
            assert isinstance(error, UpstreamError)
            assert error.status == 504
        names.forget(1)
        release.set()

    asyncio.run(main())


@pytest.mark.parametrize(("zygotes", "each"), [(4, 2), (12, 1), (3, 20)])
def test_slow_servers_of_names_of_many_zygotes_hold_up_no_other_for_long(
    zygotes: int, each: int
) -> None:
    release, lock = threading.Event(), threading.Lock()
    now = most = 0

    def lookup(host: bytes, port: None, **_: Any) -> list[Any]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        if host.startswith(b"slow"):
            release.wait(20)
        with lock:
            now -= 1
        return [(2, 1, 6, "", ("8.8.8.8", 0))]

    names = resolver(lookup, resolve_time=0.2, lookups=2, lookups_total=8)

    async def main() -> None:
        for wave in range(3):
            slow = [
                names.resolve(zygote, f"slow{wave}-{n}.com")
                for zygote in range(zygotes)
                for n in range(each)
            ]
            results = await asyncio.gather(*slow, return_exceptions=True)
            assert all(isinstance(error, UpstreamError) for error in results)
            assert await names.resolve(1000 + wave, "fast.com") == (ONE,)
        for zygote in range(zygotes):
            names.forget(zygote)
        assert most <= 2 * 8  # threads are counted also where their zygote is gone
        release.set()
        for zygote in range(zygotes):
            assert await names.resolve(zygote, "fast.com") == (ONE,)

    asyncio.run(main())


def test_a_name_that_nobody_waits_for_any_more_is_not_asked_for() -> None:
    release = threading.Event()
    asked: list[bytes] = []

    def lookup(host: bytes, port: None, **_: Any) -> list[Any]:
        asked.append(host)
        release.wait(20)
        return [(2, 1, 6, "", ("8.8.8.8", 0))]

    names = resolver(lookup, resolve_time=0.1, lookups=2, lookups_total=8)

    async def main() -> None:
        slow = [names.resolve(1, f"slow{n}.com") for n in range(50)]
        await asyncio.gather(*slow, return_exceptions=True)
        release.set()
        assert await names.resolve(1, "a.com") == (ONE,)
        assert len(asked) <= 4 and asked[-1] == b"a.com"

    asyncio.run(main())


def test_the_c_library_is_asked_for_ascii_only() -> None:
    asked = []

    def lookup(host: bytes, port: None, **keywords: Any) -> list[Any]:
        asked.append((host, port, keywords))
        return [(2, 1, 6, "", ("8.8.8.8", 0))]

    run(lambda: resolver(lookup).resolve(1, "a.com"))
    assert asked == [(b"a.com", None, {"type": socket.SOCK_STREAM})]
