"""Everything but health and getting a credential is closed to everyone without one."""

from __future__ import annotations

import asyncio
import re

import httpx2
import pytest
from api_fake_control import GUEST_TEXT, INVOKER_TEXT, OWNER_TEXT
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from casemate.api.app import OPERATIONS
from casemate.api.authentication import RequireCredential
from casemate.model.denial import DenialKind
from casemate.model.errors import UnavailableError
from casemate.model.principal import Action

GUARDED = [o for o in OPERATIONS if o.authenticated]
DECIDED = [o for o in OPERATIONS if o.action is not None]


def concrete(path: str) -> str:
    """Fill a path's parameters in."""
    return re.sub(r"{\w+}", lambda m: "a" * 64 if m[0] == "{digest}" else "abc", path)


@pytest.mark.parametrize("operation", GUARDED, ids=lambda o: o.id)
def test_no_operation_without_a_token(ask, parts, operation) -> None:
    response = ask(operation.method, concrete(operation.path), key=None)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    [denial] = parts.denied
    assert (denial.kind, denial.principal) == (DenialKind.AUTHENTICATION, "anonymous:public")
    assert denial.resource.startswith("path:/")
    assert (denial.action, denial.remote_address) == (f"{operation.method} api", "192.0.2.9")


MAY = {(INVOKER_TEXT, Action.INVOCATION_STATUS)}


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        pytest.param(operation, text, id=f"{operation.id}-{text[:10]}")
        for operation in DECIDED
        for text in (INVOKER_TEXT, GUEST_TEXT)
        if (text, operation.action) not in MAY
    ],
)
def test_no_operation_with_a_token_that_may_not(ask, parts, operation, text) -> None:
    response = ask(operation.method, concrete(operation.path), key=text)
    assert response.status_code == 403
    assert "www-authenticate" not in response.headers
    [denial] = parts.denied
    assert denial.kind is DenialKind.AUTHORIZATION
    assert denial.principal == "token:" + text.split("_")[1]
    assert denial.action == operation.action.value
    assert denial.remote_address == "192.0.2.9"
    assert denial.resource and denial.reason
    assert text not in str(denial)


def test_health_needs_no_token(ask) -> None:
    response = ask("GET", "/health", key=None)
    assert response.json() == {"status": "ok", "version": "0.1.0"}
    assert response.headers["cache-control"] == "no-store"


def test_an_answer_that_says_itself_that_no_cache_keeps_it_says_so_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        own = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        await Response(b"", headers=own)(scope, receive, send)

    async def play() -> None:
        guarded = RequireCredential(
            app,
            lambda *_: None,  # type: ignore[arg-type]
            lambda _: None,
            frozenset({("GET", "/")}),
        )
        transport = httpx2.ASGITransport(guarded)
        async with httpx2.AsyncClient(transport=transport, base_url="http://n") as client:
            headers = (await client.get("/")).headers
        assert headers.get_list("cache-control") == ["no-store"]
        assert headers.get_list("x-content-type-options") == ["nosniff"]

    asyncio.run(play())


def test_head_needs_no_token_where_get_needs_none(ask) -> None:
    response = ask("HEAD", "/health", key=None)
    assert (response.status_code, response.content) == (200, b"")
    assert ask("HEAD", "/functions", key=None).status_code == 401


@pytest.mark.parametrize("path", ["/health/", "/Health", "/health/../functions", "/healthz", ""])
def test_only_that_very_path_is_open(ask, path) -> None:
    assert ask("GET", path, key=None).status_code == 401


def test_unknown_paths_are_not_told_from_known_ones_without_a_token(ask) -> None:
    known, unknown = (ask("GET", p, key=None).json() for p in ("/functions", "/nothing"))
    assert known.pop("error_id") != unknown.pop("error_id")
    assert known == unknown


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        OWNER_TEXT,
        f"Basic {OWNER_TEXT}",
        f"Bearer {OWNER_TEXT}x",
        "Bearer cm_",
    ],
)
def test_wrong_credentials(ask, value) -> None:
    response = ask("GET", "/functions", key=None, headers={"authorization": value})
    assert response.status_code == 401
    assert OWNER_TEXT not in response.text


def test_two_authorization_headers_are_refused(ask) -> None:
    async def twice() -> httpx2.Response:
        transport = httpx2.ASGITransport(ask.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.get(
                "/api/v1/functions",
                headers=[("authorization", f"Bearer {OWNER_TEXT}")] * 2,
            )

    assert asyncio.run(twice()).status_code == 401


def test_a_token_that_is_revoked_is_refused_at_once(ask, parts) -> None:
    assert ask("GET", "/functions").status_code == 200
    del parts.accounts.known[OWNER_TEXT]
    assert ask("GET", "/functions").status_code == 401


@pytest.mark.parametrize(
    ("fault", "status"), [(RuntimeError("store on fire"), 500), (UnavailableError("closing"), 503)]
)
def test_a_fault_inside_the_check_denies(ask, control, parts, fault, status) -> None:
    parts.accounts.fault = fault
    response = ask("DELETE", "/functions/shop/cart")
    assert response.status_code == status
    assert "on fire" not in response.text
    assert control.asked_by == []


@pytest.mark.parametrize("answer", [True, 1, "token:owner", object(), {"id": "owner"}])
def test_anything_but_a_principal_from_the_check_denies(ask, parts, answer) -> None:
    parts.accounts.known[OWNER_TEXT] = answer
    assert ask("GET", "/functions").status_code == 401


def test_the_body_of_a_denied_request_is_not_read(ask) -> None:
    async def body():
        raise AssertionError("read")
        yield b""

    response = ask("PUT", "/bundles/" + "a" * 64, key=None, content=body())
    assert response.status_code == 401


def test_websockets_are_not_accepted(ask) -> None:
    sent = []

    async def run() -> None:
        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        await ask.app(
            {"type": "websocket", "path": "/api/v1/health", "headers": [], "query_string": b""},
            receive,
            send,
        )

    asyncio.run(run())
    assert not any(m["type"] == "websocket.accept" for m in sent)
