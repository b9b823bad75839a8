"""Invocations, errors and logs, followed too."""

from __future__ import annotations

import asyncio
import json
import time

import msgspec
import pytest
from api_fake_control import OWNER_TEXT, log_line
from msgspec.structs import replace

from casemate.api import records
from casemate.facts.stream import MAX_FEEDS, MAX_WAITING
from casemate.model.facts import LogsWritten
from casemate.model.http import HttpHead, HttpRequest
from casemate.model.invocation import (
    ErrorRecord,
    InvocationRecord,
    Outcome,
    RunningInvocation,
)
from casemate.triggers.http_server.asgi import asgi_handler


def invocation(number: int, function: str = "cart") -> InvocationRecord:
    return InvocationRecord(
        id=f"inv_{number}",
        project="shop",
        function=function,
        version=1,
        trigger="invoke",
        outcome=Outcome.OK,
        status=200,
        started_at=1.0,
        queued_ms=0.1,
        run_ms=1.5,
        cold=False,
        request_bytes=2,
        response_bytes=3,
    )


def test_invocations(ask, control) -> None:
    control.invocation_records = [invocation(2), invocation(1, "mail")]
    assert len(ask("GET", "/invocations").json()["invocations"]) == 2
    found = ask("GET", "/invocations?project=shop&function=mail").json()["invocations"]
    assert [r["id"] for r in found] == ["inv_1"]
    assert len(ask("GET", "/invocations?limit=1").json()["invocations"]) == 1
    assert ask("GET", "/invocations/inv_2").json()["run_ms"] == 1.5
    assert ask("GET", "/invocations/inv_9").status_code == 404
    assert ask("GET", "/invocations/%2e%2e").status_code == 400


def test_filters_are_passed_on_and_checked(ask, control) -> None:
    control.running_records = [
        RunningInvocation(
            id=f"inv_{n}", project="shop", function="cart", version=n, trigger="http", started_at=n
        )
        for n in (1, 2)
    ]
    for path in ("/invocations", "/errors"):
        asked = "?version=2&outcome=timeout&since=1.5&until=99"
        assert ask("GET", path + asked).status_code == 200
        wanted = control.asked_records
        assert (wanted.version, wanted.outcome) == (2, Outcome.TIMEOUT)
        assert (wanted.since, wanted.until) == (1.5, 99.0)
        for wrong in ("outcome=bad", "since=-1", "since=1e9", "version=x", "until=nan"):
            assert ask("GET", f"{path}?{wrong}").status_code == 400
    running = ask("GET", "/invocations").json()["running"]
    assert [r["id"] for r in running] == ["inv_1", "inv_2"]
    running = ask("GET", "/invocations?since=1.5&version=2").json()["running"]
    assert [r["id"] for r in running] == ["inv_2"]
    assert ask("GET", "/invocations?outcome=ok").json()["running"] == []


def test_error_is_shown_in_full(ask, control) -> None:
    control.error_records["err_1"] = ErrorRecord(
        id="err_1",
        invocation="inv_1",
        project="shop",
        function="cart",
        version=1,
        outcome=Outcome.HANDLER_ERROR,
        at=1.0,
        type="KeyError",
        message="'price'",
        trace="Traceback ...",
    )
    assert ask("GET", "/errors/err_1").json()["trace"] == "Traceback ..."
    assert ask("GET", "/errors/err_2").status_code == 404
    control.invocation_records = [
        replace(invocation(number), error_id=error_id)
        for number, error_id in ((1, "err_1"), (2, None), (3, "err_9"))
    ]
    assert ask("GET", "/errors/inv_1").json()["id"] == "err_1"
    for none in ("inv_2", "inv_3", "inv_4"):
        answer = ask("GET", f"/errors/{none}")
        assert answer.status_code == 404 and f"no error {none}" in answer.json()["detail"]


def test_logs_as_ndjson(ask, control) -> None:
    control.lines = [log_line(1, "a\n\x1b[31mb"), log_line(2, "c", "inv_2")]
    response = ask("GET", "/logs")
    assert response.headers["content-type"] == "application/x-ndjson"
    texts = [json.loads(line)["text"] for line in response.text.splitlines()]
    assert texts == ["a\n\x1b[31mb", "c"]
    assert len(ask("GET", "/logs?after=1").text.splitlines()) == 1
    assert json.loads(ask("GET", "/logs?invocation=inv_1").text)["sequence"] == 1
    assert ask("GET", "/logs?project=other").text == ""


def shaped(number: int, text: str, level: str = "info", version: int = 1, at: float = 1.0):
    return replace(log_line(number, text), level=level, version=version, at=at)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3, 4]),
        ("since=2.5", [3, 4]),
        ("level=debug", [1, 2, 3, 4]),
        ("level=info", [2, 3, 4]),
        ("level=warning", [3, 4]),
        ("level=error", [4]),
        ("level=critical", []),
        ("search=TIMED%20out", [3]),
        ("search=%C3%9C", [4]),
        ("search=%C3%BC", []),
        ("field=order%3D42", [4]),
        ("field=order%3D4", []),
        ("field=order%3D42&search=starting", []),
        ("version=2", [2]),
        ("version=0", [1, 2, 3, 4]),
        ("since=1.5&level=warning&search=out&version=1", [3]),
        ("level=info&limit=1", [4]),
    ],
)
def test_which_lines_are_wanted(ask, control, query, numbers) -> None:
    control.lines = [
        shaped(1, "starting", "debug", at=1.0),
        shaped(2, "printed", "stdout", version=2, at=2.0),
        shaped(3, "it timed out", "warning", at=3.0),
        shaped(4, '\u00dcber {"order": 42}', "error", at=4.0),
    ]
    answer = ask("GET", f"/logs?{query}" if query else "/logs")
    assert answer.status_code == 200, answer.text
    assert [json.loads(line)["sequence"] for line in answer.text.splitlines()] == numbers


@pytest.mark.parametrize(
    "query",
    [
        "level=worst",
        "level=",
        "search=",
        "search=%00",
        "search=%0A",
        f"search={'x' * 201}",
        "field=",
        "field=order",
        "field=%3D42",
        "field=a%3D%00",
        f"field=a%3D{'x' * 200}",
        "since=yesterday",
        "since=-1",
        "version=-1",
        "version=x",
        "level=info&level=error",
        "until=1",
    ],
)
def test_filters_that_are_none_are_refused(ask, control, query) -> None:
    assert ask("GET", f"/logs?{query}").status_code == 400
    assert ask("GET", f"/logs?follow=true&{query}").status_code == 400


@pytest.mark.parametrize("after", [0, 1])
def test_a_followed_log_leaves_out_what_is_not_wanted_and_goes_on(
    ask, control, fast, after
) -> None:
    async def run() -> bytes:
        control.lines = [shaped(1, "old fault", "error"), shaped(2, "noise"), shaped(3, "noise")]
        client = Following(ask.app, f"follow=true&level=error&after={after}")
        await client.until(b"\n")
        for line in (shaped(4, "noise"), shaped(5, "new fault", "error"), shaped(6, "noise")):
            control.write(line)
        await client.until(b"new fault")
        control.write(shaped(7, "last", "critical"))
        await client.until(b"last")
        await client.leave()
        return b"".join(client.chunks)

    numbers = [json.loads(line)["sequence"] for line in asyncio.run(run()).splitlines() if line]
    assert numbers == ([1] if after == 0 else []) + [5, 7]
    assert control.asked_after[-1] >= 6, "what was looked at is not looked at again"


class Following:
    """A client that follows the log until told to go."""

    def __init__(self, app, query: str = "follow=true", key: str = OWNER_TEXT) -> None:
        self.chunks: list[bytes] = []
        self.status = 0
        self.gone = asyncio.Event()
        self.reading = asyncio.Event()
        """Not set: it reads nothing for the moment."""
        self.reading.set()
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/logs",
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {key}".encode())],
        }
        self.task = asyncio.create_task(app(scope, self.receive, self.send))

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message) -> None:
        self.status = message.get("status", self.status)
        self.chunks.append(message.get("body", b""))
        await self.reading.wait()

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(5):
            while text not in b"".join(self.chunks):
                await asyncio.sleep(0.005)

    async def leave(self) -> None:
        self.gone.set()
        async with asyncio.timeout(5):
            await self.task


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(records, "CHECK_SECONDS", 0.01)


def test_follow_until_the_client_leaves(ask, control, fast) -> None:
    async def run() -> bytes:
        control.lines = [log_line(1, "first")]
        client = Following(ask.app)
        await client.until(b"first")
        control.write(log_line(2, "second"))
        control.write(log_line(3, "third"))
        await client.until(b"third")
        await client.leave()
        return b"".join(client.chunks)

    numbers = [json.loads(line)["sequence"] for line in asyncio.run(run()).splitlines()]
    assert numbers == [1, 2, 3]


def test_follow_through_the_bridge_of_the_http_server(ask, control, fast) -> None:
    async def run() -> None:
        handle = asgi_handler(ask.app)
        head = HttpHead(
            method="GET",
            path="/api/v1/logs",
            query="follow=true",
            headers=((b"authorization", f"Bearer {OWNER_TEXT}".encode()),),
            peer="127.0.0.1",
        )
        control.lines = [log_line(1, "first")]
        response = await handle(HttpRequest(head, b""))
        parts = aiter(response.body)
        assert b"first" in await anext(parts)
        control.write(log_line(2, "second"))
        assert b"second" in await anext(parts)
        await response.body.aclose()
        control.write(log_line(3, "third"))
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_silence_is_filled_with_empty_lines(ask, control, fast, monkeypatch) -> None:
    monkeypatch.setattr(records, "HEARTBEAT_SECONDS", 0.02)

    async def run() -> None:
        client = Following(ask.app)
        await client.until(b"\n\n\n")
        await client.leave()

    asyncio.run(run())


def test_a_fault_ends_the_stream_and_is_logged(ask, control, fast, caplog) -> None:
    async def run() -> None:
        client = Following(ask.app)
        await client.until(b"\n")
        control.fault = RuntimeError("disk gone")
        control.write(log_line(1))
        async with asyncio.timeout(5):
            await client.task
        assert b"disk gone" not in b"".join(client.chunks)

    asyncio.run(run())
    assert "disk gone" in caplog.text


def test_one_of_many_followers_leaves_room_for_others(ask, parts, control, fast) -> None:
    async def run() -> list[int]:
        key = parts.accounts.add("cm_eve", "auditor")
        clients = [Following(ask.app, key=key) for _ in range(16)]
        for client in clients:
            await client.until(b"\n")
        refused = Following(ask.app, key=key)
        await refused.task
        owner = Following(ask.app)
        await owner.until(b"\n")
        for client in (*clients, owner):
            await client.leave()
        assert not parts.service.followers.held
        return [refused.status, owner.status]

    assert asyncio.run(run()) == [429, 200]


def test_whoever_follows_most_gives_way(ask, parts, control, fast) -> None:
    """Four that follow sixteen logs each kept an owner from following any."""

    async def run() -> tuple[int, int, int]:
        keys = [parts.accounts.add(f"cm_{n}", "auditor") for n in range(4)]
        clients = [Following(ask.app, key=keys[n % 4]) for n in range(64)]
        for client in clients:
            await client.until(b"\n")
        owner = Following(ask.app)
        await owner.until(b"\n")
        async with asyncio.timeout(5):
            await clients[0].task
        done = sum(client.task.done() for client in clients)
        slots = parts.service.followers.held
        held = sum(map(len, slots.values()))
        for client in (*clients[1:], owner):
            await client.leave()
        assert not slots
        return owner.status, done, held

    assert asyncio.run(run()) == (200, 1, 64)


def test_tokens_of_one_person_follow_no_more_than_the_person(ask, parts, control, fast) -> None:
    async def run() -> list[int]:
        clients = []
        for number in range(20):
            key = parts.accounts.add(f"cm_{number}", "auditor")
            parts.accounts.makers[f"token:{number}"] = "user:eve"
            clients.append(Following(ask.app, key=key))
        await asyncio.sleep(0.2)  # all at once: what each asks for is counted when it asks
        statuses = [client.status for client in clients]
        for client in clients:
            await client.leave()
        return statuses

    assert sorted(asyncio.run(run())) == [200] * 16 + [429] * 4


def test_followers_are_bounded_and_give_their_slot_back(
    ask, parts, control, fast, monkeypatch
) -> None:
    async def run() -> list[int]:
        monkeypatch.setattr(parts.service.followers, "most", 8)
        keys = [parts.accounts.add(f"cm_{n}", "auditor") for n in range(9)]
        clients = [Following(ask.app, key=keys[n]) for n in range(8)]
        for client in clients:
            await client.until(b"\n")
        refused = Following(ask.app, key=keys[8])
        await refused.task
        for client in clients:
            await client.leave()
        later = Following(ask.app)
        await later.until(b"\n")
        await later.leave()
        return [refused.status, later.status]

    assert asyncio.run(run()) == [429, 200]


@pytest.mark.parametrize("how", ["token revoked", "role taken away"])
def test_a_followed_log_ends_with_the_right_to_read_it(ask, control, parts, fast, how) -> None:
    async def run() -> bytes:
        control.lines = [log_line(1, "first")]
        client = Following(ask.app)
        await client.until(b"first")
        if how == "token revoked":
            del parts.accounts.known[OWNER_TEXT]
        else:
            parts.accounts.add(OWNER_TEXT)
        await asyncio.sleep(0.05)
        control.write(log_line(2, "later"))
        await asyncio.sleep(0.1)
        await client.leave()
        return b"".join(client.chunks)

    assert b"later" not in asyncio.run(run())


def test_the_log_is_read_when_there_is_something_to_read(
    ask, control, parts, fast, monkeypatch
) -> None:
    """However long a log is followed, what does not concern it costs the store nothing."""

    async def there(_project: str, _function: str) -> None:
        """Stand for a function that has written nothing."""

    monkeypatch.setattr(control, "function", there)

    async def run() -> list[int]:
        client = Following(ask.app, "follow=true&project=shop&function=cart")
        await client.until(b"\n")
        await asyncio.sleep(0.1)
        reads = [control.reads]
        other = msgspec.structs.replace(log_line(5), function="mail")
        for _ in range(20):
            control.write(other)
            await asyncio.sleep(0.01)
        reads.append(control.reads)
        control.write(log_line(6, "wanted"))
        await client.until(b"wanted")
        await asyncio.sleep(0.1)
        reads.append(control.reads)
        await client.leave()
        assert not parts.facts.wanted(LogsWritten)
        return reads

    # The newest and the first lines, and what was written until there was somebody to tell.
    assert asyncio.run(run()) == [3, 3, 4]


def test_a_burst_is_read_at_most_so_often(ask, control, monkeypatch) -> None:
    monkeypatch.setattr(records, "CHECK_SECONDS", 0.2)

    async def run() -> float:
        client = Following(ask.app)
        await client.until(b"\n")
        began = time.monotonic()
        for number in range(1, 2001):
            control.write(log_line(number))
            if number % 100 == 0:
                await asyncio.sleep(0.02)
        await client.until(b'"sequence":2000')
        await client.leave()
        chunks = b"".join(client.chunks).splitlines()
        assert [json.loads(line)["sequence"] for line in chunks if line] == list(range(1, 2001))
        return control.reads - (time.monotonic() - began) / 0.2

    assert asyncio.run(run()) <= 4, "besides one each time"


def test_a_reader_that_is_slow_holds_no_facts_and_misses_no_line(ask, control, parts, fast) -> None:
    async def run() -> None:
        client = Following(ask.app)
        await client.until(b"\n")
        client.reading.clear()
        control.write(log_line(1, "first"))
        await asyncio.sleep(0.05)
        for number in range(2, 5 * MAX_WAITING):
            control.write(log_line(number))
        [feed] = parts.facts._feeds
        assert len(feed._waiting) == MAX_WAITING
        assert feed.missed > 3 * MAX_WAITING
        client.reading.set()
        await client.until(b'"sequence":%d' % (5 * MAX_WAITING - 1))
        await client.leave()
        lines = b"".join(client.chunks).splitlines()
        found = [json.loads(line)["sequence"] for line in lines if line]
        assert found == list(range(1, 5 * MAX_WAITING))

    asyncio.run(run())


def test_a_followed_log_ends_with_the_node(ask, control, parts, monkeypatch) -> None:
    monkeypatch.setattr(records, "CHECK_SECONDS", 0.05)

    async def run() -> None:
        client = Following(ask.app)
        await client.until(b"\n")
        await asyncio.sleep(0.1)
        parts.facts.end_feeds()
        async with asyncio.timeout(30):
            await client.task

    asyncio.run(run())


def test_more_readers_than_there_may_be_are_refused(ask, parts, fast) -> None:
    async def run() -> None:
        feeds = [parts.facts.feed(LogsWritten) for _ in range(MAX_FEEDS)]
        refused = Following(ask.app)
        async with asyncio.timeout(30):
            await refused.task
        assert refused.status == 503
        for feed in feeds:
            feed.close()

    asyncio.run(run())
