"""A node, or something in front of it, that answers the command line with its worst.

Whatever is sent: the command ends within its time, holds no more than its bounds, says what to do,
and gives its token to nobody else.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from typing import Any

import pytest

from casemate.cli import client as client_module
from casemate.cli.client import NodeClient
from casemate.cli.credentials import Credentials
from casemate.cli.errors import CommandError, UnreachableError
from casemate.operations.login import Whoami
from casemate.operations.records import ReadLogs
from support.hostile_http import ANSWERS, HostileServer, answered

KEY = "cm_" + "k" * 40
SECONDS = 0.4
MIB = 1 << 20
WHOAMI = b'{"principal":"user:ada","roles":[]}'


LINES = [
    "a head byte by byte",
    "100 for ever",
    "a gzip of nothing, five times",
    "a name of a gzip without end",
    "JSON 100,000 deep",
    "an extension byte by byte",
    "a member 100,000 deep",
    "a gzip bomb",
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "GRACE_SECONDS", SECONDS)
    monkeypatch.setattr(client_module.read_whole, "__defaults__", (16 * MIB,))


@pytest.fixture(params=ANSWERS)
def hostile(request: pytest.FixtureRequest) -> Iterator[HostileServer]:
    with HostileServer(ANSWERS[request.param]) as server:
        yield server


def client_of(server: HostileServer) -> NodeClient:
    return NodeClient(Credentials(server.url, KEY))


def test_a_command_ends_whatever_is_answered(hostile: HostileServer) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    with client_of(hostile) as client, pytest.raises(CommandError) as refused:
        client.call(Whoami(), seconds=SECONDS)
    used = resource.getrusage(resource.RUSAGE_SELF)
    assert refused.value.next_step
    assert KEY not in str(refused.value)
    assert time.monotonic() - began < 30
    assert used.ru_utime - before.ru_utime < 2
    assert used.ru_maxrss - before.ru_maxrss < 200 * 1024


@pytest.mark.parametrize("name", LINES)
def test_what_is_followed_line_by_line_has_a_beginning_and_is_not_unpacked(name: str) -> None:
    began = time.process_time()
    deadline = time.monotonic() + 3
    logs = ReadLogs(project="shop", function="cart", follow=True)
    with HostileServer(ANSWERS[name]) as server, client_of(server) as client:
        try:
            with client.stream(logs, seconds=SECONDS) as lines:
                for _ in lines:
                    # What comes now and then is what is followed; it is for whoever looks to end.
                    if time.monotonic() > deadline:
                        break
        except CommandError as refused:
            assert refused.next_step
    assert time.process_time() - began < 2


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 305])
@pytest.mark.parametrize("where", ["http://localhost:{}/", "//127.0.0.1:{}/api", "https://a@b:{}"])
def test_nobody_else_is_sent_the_token(status: int, where: str) -> None:
    with HostileServer(answered(WHOAMI)) as other:
        to = where.format(other.port).encode()
        more = (b"location: " + to, b"refresh: 0; url=" + to, b'alt-svc: h2="%s"' % to)
        with HostileServer(answered(b"{}", b"%d Go" % status, *more)) as server:
            for _ in range(2):
                with client_of(server) as client, pytest.raises(CommandError):
                    client.call(Whoami(), seconds=2)
            assert len(server.requests) == 2
        assert not other.requests


@pytest.mark.parametrize(
    "challenge",
    [b'Basic realm="x"', b'Digest realm="x", nonce="y"', b"Negotiate", b"NTLM", b"Bearer"],
)
@pytest.mark.parametrize("status", [b"401 No", b"407 No"])
def test_a_challenge_gets_no_password_of_somebody_else(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, challenge: bytes, status: bytes
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ada password hunter2secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    name = b"www-authenticate: " if status.startswith(b"401") else b"proxy-authenticate: "
    with HostileServer(answered(b"{}", status, name + challenge)) as server:
        with client_of(server) as client, pytest.raises(CommandError):
            client.call(Whoami(), seconds=2)
        assert len(server.requests) == 1
        sent = server.requests[0].lower()
    assert sent.count(b"authorization:") == 1
    assert b"hunter2" not in sent and b"basic" not in sent


def test_cookies_of_a_node_go_to_no_other() -> None:
    cookie = b"set-cookie: a=b; domain=127.0.0.1; path=/"
    with (
        HostileServer(answered(WHOAMI, b"200 OK", cookie)) as one,
        HostileServer(answered(WHOAMI)) as other,
    ):
        for server in (one, other, other):
            with client_of(server) as client:
                client.exchange("GET", "/api/v1/whoami")
        assert b"cookie" not in other.requests[0].lower()


def test_a_request_after_one_that_took_too_long_is_made_anew() -> None:
    with HostileServer(ANSWERS["100 for ever, slowly"]) as server, client_of(server) as client:
        with pytest.raises(UnreachableError, match="too long"):
            client.call(Whoami(), seconds=SECONDS)
        server.script = answered(b'{"principal":"user:ada","roles":[]}')
        assert client.call(Whoami(), seconds=SECONDS).principal == "user:ada"
