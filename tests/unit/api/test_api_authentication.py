"""Every operation but health is closed to everyone without an admin key."""

from __future__ import annotations

import asyncio
import re

import httpx
import msgspec
import pytest
from api_fake_control import ADMIN_TEXT, INVOKE_TEXT

from casemate.api.app import OPERATIONS
from casemate.model.errors import UnavailableError

GUARDED = [o for o in OPERATIONS if o.path != "/health"]


def concrete(path: str) -> str:
    return re.sub(r"{\w+}", lambda m: "a" * 64 if m[0] == "{digest}" else "abc", path)


@pytest.mark.parametrize("operation", GUARDED, ids=lambda o: o.id)
def test_no_operation_without_a_key(ask, operation) -> None:
    response = ask(operation.method, concrete(operation.path), key=None)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("operation", GUARDED, ids=lambda o: o.id)
def test_no_operation_with_a_key_that_may_only_invoke(ask, operation) -> None:
    assert ask(operation.method, concrete(operation.path), key=INVOKE_TEXT).status_code == 403


def test_health_needs_no_key(ask) -> None:
    response = ask("GET", "/health", key=None)
    assert response.json() == {"status": "ok", "version": "0.1.0"}
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/health/", "/Health", "/health/../functions", "/healthz", ""])
def test_only_that_very_path_is_open(ask, path) -> None:
    assert ask("GET", path, key=None).status_code == 401


def test_unknown_paths_are_not_told_from_known_ones_without_a_key(ask) -> None:
    known, unknown = (ask("GET", p, key=None).json() for p in ("/functions", "/nothing"))
    assert known.pop("error_id") != unknown.pop("error_id")
    assert known == unknown


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        ADMIN_TEXT,
        f"Basic {ADMIN_TEXT}",
        f"Bearer {ADMIN_TEXT}x",
        "Bearer cm_",
    ],
)
def test_wrong_credentials(ask, value) -> None:
    response = ask("GET", "/functions", key=None, headers={"authorization": value})
    assert response.status_code == 401
    assert ADMIN_TEXT not in response.text


def test_two_authorization_headers_are_refused(ask) -> None:
    async def twice() -> httpx.Response:
        transport = httpx.ASGITransport(ask.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.get(
                "/api/v1/functions",
                headers=[("authorization", f"Bearer {ADMIN_TEXT}")] * 2,
            )

    assert asyncio.run(twice()).status_code == 401


def test_revoked_key_is_refused_even_if_the_control_service_returns_it(ask, control) -> None:
    key = next(iter(control.keys_by_id.values()))
    control.keys_by_id[key.id] = msgspec.structs.replace(key, revoked_at=2.0)
    assert ask("GET", "/functions").status_code == 401


@pytest.mark.parametrize(
    ("fault", "status"), [(RuntimeError("store on fire"), 500), (UnavailableError("closing"), 503)]
)
def test_a_fault_inside_the_check_denies(ask, control, fault, status) -> None:
    control.authentication_fault = fault
    response = ask("DELETE", "/functions/shop/cart")
    assert response.status_code == status
    assert "on fire" not in response.text
    assert control.asked_by == []


def test_anything_but_a_key_from_the_check_denies(ask, control) -> None:
    async def careless(_authorization: str | None) -> object:
        return True

    control.authenticate = careless
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
