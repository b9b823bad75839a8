"""A node that answers to names of its own alone: no page of somebody else reaches it by theirs."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from casemate.admission import Catalogue
from casemate.model.http import HttpResponse
from casemate.model.path import RawInvocation, RefusedError
from casemate.model.route import RouteClaim
from casemate.triggers.http_server import HttpLimits
from casemate.triggers.http_server.request_head import parse_head
from support.core import OWNER_TOKEN, deployed, http_request, version
from support.front import Front

PATHS = (
    *("/invoke/t/f", "/api/v1/whoami", "/hooks/t/f/x", "/open", "/.well-known/jwks.json"),
    *("/.well-known/casemate-ca.pem", "/metrics", "/"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
TARGETS = ("/", "/api/v1/whoami", "http://evil.example", "https://EVIL.example:8788/open")
STRANGERS = (
    b"evil.example",
    b"evil.example:8788",
    b"EVIL.example.",
    b"localhost.evil.example",
    b"127.0.0.1.evil.example:8788",
    b"localhost@evil.example",
    b"evil.example#localhost",
    b"0x7f000001",
    b"127.1",
    b"[::1].evil.example",
    b"a" * 600,
    b"\xff",
)
OWN = (
    b"localhost",
    b"LOCALHOST:8788",
    b"app.localhost:8788",
    b"127.0.0.1:8788",
    b"127.0.0.1",
    b"[::1]:8788",
    b"192.0.2.1",
    b"tunnel.example",
    b"Tunnel.example.:443",
    b"shop.example",
    b"",
)


async def take(raw: RawInvocation) -> None:
    raise AssertionError(f"a call came through: {raw}")


def front(*names: str) -> Front:
    catalogue = Catalogue()
    claim = RouteClaim(project="t", hosts=("shop.example",))
    catalogue.replace([deployed(version(1))], (claim,))
    return Front(take, catalogue=catalogue, host_names=names)  # type: ignore[arg-type]


def status(made: Front, path: str, host: bytes | None) -> int:
    headers = () if host is None else ((b"host", host),)
    request = http_request(path=path, headers=headers, key=OWNER_TOKEN)
    try:
        return asyncio.run(made.handle(request)).status
    except (AssertionError, AttributeError, RefusedError):
        return 0  # it came through to what is not there in this test


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", STRANGERS)
def test_a_name_of_somebody_else_is_refused_wherever_it_leads(path: str, host: bytes) -> None:
    made = front("localhost", "tunnel.example")
    assert status(made, path, host) == 421
    assert made.api == made.hooked == made.credentials == []
    [denial] = made.store.denied
    assert denial.reason == "421: This node does not answer to that host name."


@pytest.mark.parametrize("host", [*OWN, None])
def test_names_of_its_own_and_of_projects_are_answered(host: bytes | None) -> None:
    made = front("localhost", "tunnel.example")
    assert status(made, "/api/v1/whoami", host) == 200
    assert len(made.api) == 1


@pytest.mark.parametrize("host", STRANGERS)
def test_without_names_any_is(host: bytes) -> None:
    """A production node has names that it is not told of, and is for everybody."""
    assert status(front(), "/api/v1/whoami", host) == 200


def answered(made: Front, raw: bytes) -> int:
    """Return the status of a request as it comes over a connection."""
    head = parse_head(raw, "192.0.2.1", HttpLimits()).head
    found = made.table.find(head)
    return found.status if isinstance(found, HttpResponse) else 0


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize(
    ("method", "target"), [("OPTIONS", "*"), *itertools.product(METHODS, TARGETS)]
)
def test_a_name_of_somebody_else_is_refused_however_it_is_asked_for(
    method: str, target: str, version: bytes
) -> None:
    made = front("localhost")
    # The authority of an absolute target takes the place of Host.
    host = b"localhost" if target.startswith("http") else b"evil.example"
    line = f"{method} {target} HTTP/".encode() + version
    assert answered(made, line + b"\r\nHost: " + host + b"\r\n\r\n") == 421
    if version == b"1.0" and target.startswith("http"):
        assert answered(made, line + b"\r\n\r\n") == 421, "it has no Host at all"
    assert made.credentials == []


def test_what_concerns_the_server_is_answered_to_names_of_its_own() -> None:
    made = front("localhost")
    assert answered(made, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n") == 204
    assert answered(made, b"OPTIONS * HTTP/1.0\r\n\r\n") == 204, "no browser leaves it out"
    assert made.credentials == []
