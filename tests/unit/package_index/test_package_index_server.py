"""The index on loopback: what it gives, to whom, and what it never does."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from casemate.model.errors import CasemateError
from casemate.package_index import (
    IndexAnswerError,
    IndexServer,
    PackageRefusedError,
    PoisonedWheelError,
    Selection,
    UndatedError,
    Upstream,
)
from support.package_index import FakeIndex

Select = Callable[..., Selection]
LIST = "http://index.invalid/simple/alpha/"


@pytest.fixture
def server(
    index: FakeIndex, select: Select, upstream: Upstream, tmp_path: Path
) -> Iterator[IndexServer]:
    with IndexServer(select(index), upstream, tmp_path, lambda path, name: None) as made:
        yield made


def ask(
    server: IndexServer, url: str, *, word: str | None = None, raw: bytes = b""
) -> tuple[int, bytes]:
    """Ask as uv does, over the proxy; return status and body."""
    proxy = urlsplit(server.environment["HTTP_PROXY"])
    given = base64.b64encode(f"build:{proxy.password if word is None else word}".encode()).decode()
    lines = (f"GET {url} HTTP/1.1", "Host: x", f"Proxy-Authorization: Basic {given}")
    request = "\r\n".join((*lines, "Connection: close", "", ""))
    with socket.create_connection(("127.0.0.1", proxy.port or 0), timeout=20) as connection:
        connection.sendall(raw or request.encode())
        data = b""
        while part := connection.recv(1 << 16):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def files(server: IndexServer) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(ask(server, LIST)[1])["files"]
    return found


def test_it_gives_lists_and_files(server: IndexServer, index: FakeIndex, tmp_path: Path) -> None:
    made = index.add("alpha")
    (told,) = files(server)
    assert told["url"].startswith("http://index.invalid/files/alpha/")
    assert ask(server, told["url"]) == (200, made.data)
    assert list(tmp_path.iterdir()) == []


def test_nobody_without_its_word_gets_anything(server: IndexServer, index: FakeIndex) -> None:
    index.add("alpha")
    assert ask(server, LIST, word="") == (407, b"")
    assert ask(server, LIST, word="x" * 32) == (407, b"")
    assert (
        ask(
            server,
            LIST,
            raw=f"GET {LIST} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
        )[0]
        == 407
    )
    assert index.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/simple/alpha/",
        "http://example.org/simple/alpha/",
        "/simple/alpha/",
        "http://index.invalid.x/simple/alpha/",
    ],
)
def test_it_is_a_proxy_to_nowhere_else(server: IndexServer, index: FakeIndex, url: str) -> None:
    assert ask(server, url)[0] == 407
    assert index.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "",
        "simple",
        "files/alpha/x/y",
        "files/alpha/" + "0" * 64 + "/alpha.whl",
        "address/0/x.whl",
        "address/-1/x",
        "address/99999999999/x",
        "simple/a/b",
        "..%2f..%2fetc/passwd",
    ],
)
def test_what_is_not_there(server: IndexServer, index: FakeIndex, path: str) -> None:
    index.add("alpha")
    assert ask(server, f"http://index.invalid/{path}")[0] == 404


@pytest.mark.parametrize("name", ["..%2f..%2fadmin", "%2e%2e", "Alpha", "a%3fb", "a%2fb"])
def test_only_a_name_as_it_is_listed_is_asked_of_an_index(
    server: IndexServer, index: FakeIndex, name: str
) -> None:
    """Else a way out of the folder of lists would be asked for, with the login of the index."""
    place = f"http://index.invalid/files/{name}/{'0' * 64}/x-1.0-py3-none-any.whl"
    assert ask(server, place)[0] == 404
    if name != "Alpha":
        assert ask(server, f"http://index.invalid/simple/{name}/")[0] == 404
    assert index.asked == []


def test_a_file_is_looked_into_before_it_is_given_away(
    index: FakeIndex, select: Select, upstream: Upstream, tmp_path: Path
) -> None:
    index.add("alpha")
    seen: list[str] = []

    def inspect(path: Path, name: str) -> None:
        seen.append(name)
        raise PoisonedWheelError("poisoned")

    with IndexServer(select(index), upstream, tmp_path, inspect) as server:
        (told,) = files(server)
        assert ask(server, told["url"]) == (403, b"")
        assert isinstance(server.selection.explanation(""), PoisonedWheelError)
    assert seen == ["alpha-1.0-py3-none-any.whl"]
    assert list(tmp_path.iterdir()) == []


def test_another_file_than_listed_is_an_error(server: IndexServer, index: FakeIndex) -> None:
    index.add("alpha").data += b"more"
    (told,) = files(server)
    assert ask(server, told["url"])[0] == 403
    error = server.selection.explanation("")
    assert isinstance(error, IndexAnswerError)
    assert "another SHA-256" in error.message


def test_an_address_is_judged_as_the_index_has_it(server: IndexServer, index: FakeIndex) -> None:
    made = index.add("alpha")
    here = server.address(f"{index.url}/files/{made.name}")
    assert server.address(f"{index.url}/files/{made.name}") == here
    assert ask(server, here) == (200, made.data)
    index.projects["beta"] = [made]  # nobody lists it as alpha any more
    del index.projects["alpha"]


def test_an_address_that_no_index_lists_is_undated(server: IndexServer, index: FakeIndex) -> None:
    made = index.add("alpha")
    index.projects = {"elsewhere": [made]}
    assert ask(server, server.address(f"{index.url}/files/{made.name}")) == (403, b"")
    error = server.selection.explanation("")
    assert isinstance(error, UndatedError)
    assert isinstance(error, PackageRefusedError)


@pytest.mark.parametrize(
    "place", ["http://x:99999", "http://[x", "http://" + "x" * 64 + ".example"]
)
def test_an_address_that_is_none_is_an_error_in_words(
    server: IndexServer, index: FakeIndex, place: str
) -> None:
    made = index.add("alpha")
    made.url = f"{place}/{made.name}"
    for told in (*(each["url"] for each in files(server)), server.address(made.url)):
        assert ask(server, told)[0] in (403, 502)
        assert isinstance(server.selection.explanation(""), CasemateError)


def test_requests_that_are_no_requests_end(server: IndexServer) -> None:
    for raw in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET " + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n"):
        with pytest.raises((IndexError, ValueError, ConnectionError)):
            status, _ = ask(server, LIST, raw=raw)
            raise ValueError(status)


def test_connections_are_bounded_and_come_back(
    index: FakeIndex,
    select: Select,
    upstream: Upstream,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("casemate.package_index.limits.MAX_CONNECTIONS", 3)
    index.add("alpha")
    with IndexServer(select(index), upstream, tmp_path, lambda path, name: None) as server:
        port = urlsplit(server.environment["HTTP_PROXY"]).port or 0
        idle = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(3)]
        with pytest.raises((IndexError, ConnectionError)):
            ask(server, LIST)
        for connection in idle:
            connection.close()
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(IndexError, ConnectionError):
                assert ask(server, LIST)[0] == 200
                return
            time.sleep(0.05)
    raise AssertionError("no room came back")
