"""Sending a backup: one at a time, and nothing kept however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from casemate.api.backup import BACKUP_MADE, OPERATIONS
from casemate.api.problems import RequestError, response_to
from casemate.api.service import Slots
from casemate.facts import FactStream
from casemate.model.errors import UnavailableError
from casemate.model.principal import ANONYMOUS, NODE, Action
from support.parts import KeptValues
from support.recorder import FakeRecorder

(OPERATION,) = OPERATIONS


class Backup:
    size = 6

    def __init__(self, gate: asyncio.Event | None = None, error: Exception | None = None) -> None:
        self.closed = 0
        self._gate = gate
        self._error = error

    async def pieces(self) -> AsyncIterator[bytes]:
        yield b"abc"
        if self._gate is not None:
            await self._gate.wait()
        if self._error is not None:
            raise self._error
        yield b"def"

    async def close(self) -> None:
        self.closed += 1


class Service:
    def __init__(self, *backups: Backup | Exception) -> None:
        self.backups = Slots("backups", 1, 1)
        self.accounts = SimpleNamespace(answerable=lambda caller: caller)
        self.recorder = FakeRecorder()
        self.facts = FactStream()
        self.store = KeptValues()
        self._left = list(backups)
        self.gone = False

    def require_again(self, _request: Request, allowed: Any) -> None:
        assert list(allowed) == [(Action.NODE_BACKUP, NODE)]
        if self.gone:
            raise RequestError(HTTPStatus.FORBIDDEN, "not any more")

    async def make_backup(self) -> Backup:
        backup = self._left.pop(0)
        if isinstance(backup, Exception):
            raise backup
        return backup


def app_of(service: Service) -> Starlette:
    async def endpoint(request: Request) -> Response:
        try:
            return await OPERATION.endpoint(request, service)  # type: ignore[arg-type]
        except Exception as error:
            return response_to(error)

    return Starlette(routes=[Route("/backup", endpoint)])


async def ask(
    app: Starlette,
    *,
    method: str = "GET",
    query: bytes = b"",
    disconnect: asyncio.Event | None = None,
) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []
    scope = {
        "type": "http", "method": method, "path": "/backup", "query_string": query,
        "headers": [], "asgi": {"version": "3.0"}, "casemate.principal": ANONYMOUS,
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        if disconnect is None:
            await asyncio.Event().wait()
        else:
            await disconnect.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])


def test_the_operation_asks_for_the_right_to_back_up_the_node() -> None:
    assert OPERATION.authenticated
    assert OPERATION.action is Action.NODE_BACKUP
    assert OPERATION.resource(Request({"type": "http"})) == NODE


def test_a_backup_is_sent_whole_and_released() -> None:
    backup = Backup()
    service = Service(backup)
    status, headers, body = asyncio.run(ask(app_of(service)))
    assert (status, body) == (200, b"abcdef")
    assert headers["content-length"] == "6"
    assert headers["content-type"] == "application/x-tar"
    assert headers["cache-control"] == "no-store"
    assert (backup.closed, service.backups.free) == (1, 1)
    assert float(service.store.values[BACKUP_MADE]) > 1e9


def test_one_that_was_not_sent_whole_was_not_made() -> None:
    service = Service(Backup(error=UnavailableError("the disk is full")))
    with pytest.raises(UnavailableError):
        asyncio.run(ask(app_of(service)))
    assert service.store.values == {}


def test_a_second_one_at_the_same_time_is_refused() -> None:
    async def run() -> None:
        gate = asyncio.Event()
        service = Service(Backup(gate), Backup())
        app = app_of(service)
        first = asyncio.create_task(ask(app))
        await asyncio.sleep(0.01)
        assert (await ask(app))[0] == 429
        gate.set()
        assert (await first)[2] == b"abcdef"
        assert (await ask(app))[0] == 200

    asyncio.run(run())


def test_a_client_that_goes_away_leaves_nothing() -> None:
    async def run() -> None:
        gone = asyncio.Event()
        backup = Backup(asyncio.Event())
        service = Service(backup)
        asking = asyncio.create_task(ask(app_of(service), disconnect=gone))
        await asyncio.sleep(0.01)
        gone.set()
        _, _, body = await asking
        assert body == b"abc"
        assert (backup.closed, service.backups.free) == (1, 1)

    asyncio.run(run())


def test_a_failure_while_sending_ends_the_connection_and_leaves_nothing() -> None:
    backup = Backup(error=UnavailableError("gone"))
    service = Service(backup)
    with pytest.raises(BaseException, match=r"gone|TaskGroup"):
        asyncio.run(ask(app_of(service)))
    assert (backup.closed, service.backups.free) == (1, 1)


def test_a_failure_before_it_is_a_problem_and_frees_the_place() -> None:
    service = Service(UnavailableError("The disk is full."), Backup())
    assert asyncio.run(ask(app_of(service)))[0] == 503
    assert service.backups.free == 1
    assert asyncio.run(ask(app_of(service)))[0] == 200


def test_head_and_unknown_parameters_make_no_backup() -> None:
    service = Service()
    assert asyncio.run(ask(app_of(service), method="HEAD"))[0] == 200
    assert asyncio.run(ask(app_of(service), query=b"full=true"))[0] == 400
    assert service.backups.free == 1


def test_what_cannot_be_recorded_is_not_sent_and_leaves_nothing() -> None:
    backup = Backup()
    service = Service(backup, Backup())
    waits = service.recorder.require

    def fails_later() -> None:
        if service.recorder.waited:
            service.recorder.problem = "the disk is full"
        waits()

    service.recorder.require = fails_later  # type: ignore[method-assign]
    assert asyncio.run(ask(app_of(service)))[0] == 503
    assert (backup.closed, service.backups.free) == (1, 1)
    assert asyncio.run(ask(app_of(service)))[0] == 503, "nor is another one begun"
    assert service.recorder.waited == 1


def test_who_may_not_any_more_once_it_is_made_is_sent_nothing() -> None:
    made = Backup()
    service = Service(made)
    service.gone = True
    status, _, body = asyncio.run(ask(app_of(service)))
    assert status == 403 and not body.startswith(b"abc")
    assert made.closed == 1
    service.backups.require(ANONYMOUS)


def test_who_may_not_any_more_while_it_is_sent_gets_no_more_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("casemate.api.held_response._ASK_SECONDS", 0.0)
    sent: list[bytes] = []

    async def run() -> None:
        gate = asyncio.Event()
        made = Backup(gate)
        service = Service(made)

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))
            service.gone = b"abc" in sent
            gate.set()

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        scope = {
            "type": "http", "method": "GET", "path": "/backup", "query_string": b"",
            "headers": [], "asgi": {"version": "3.0"}, "casemate.principal": ANONYMOUS,
        }  # fmt: skip
        with pytest.raises(BaseException, match=r"not any more|TaskGroup"):
            await app_of(service)(scope, receive, send)
        assert (made.closed, service.backups.free) == (1, 1)
        assert service.store.values == {}

    asyncio.run(run())
    assert b"".join(sent) == b"abc"
