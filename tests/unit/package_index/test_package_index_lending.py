"""Logins that are secrets of the project: for their own host, over https, and in no text."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from casemate.package_index import (
    IndexAnswerError,
    PackagePolicyError,
    Policy,
    Upstream,
    indexes_of,
    nobody_lends,
)
from casemate.package_index.policy import IndexSettings
from support.package_index import FakeIndex, fake_index

WORD = "hunter2-and-more"
HOST = "https://pkgs.example"


def policy(url: str, secret: str = "index-own") -> Policy:
    return Policy(index={"own": IndexSettings(url=f"{url}/simple", secret=secret)})


def lending(value: str | bytes) -> tuple[Callable[[str], bytes], list[str]]:
    asked: list[str] = []

    def lend(name: str) -> bytes:
        asked.append(name)
        return value.encode() if isinstance(value, str) else value

    return lend, asked


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (f"basic ada:{WORD}", ("ada", WORD, False)),
        (f"basic ada:{WORD}:x", ("ada", f"{WORD}:x", False)),
        (f"basic :{WORD}", ("", WORD, False)),
        (f"bearer {WORD}", ("", WORD, True)),
        (f"bearer {WORD}\n", ("", WORD, True)),
    ],
)
def test_a_login_is_read(rest: str, expected: tuple[str, str, bool]) -> None:
    lend, asked = lending(f"{HOST}/simple {rest}")
    _, logins = indexes_of([], policy(HOST), {}, lend)
    (login,) = logins.values()
    assert (login.user, login.password, login.bearer) == expected
    assert asked == ["index-own"] and list(logins) == [f"{HOST}:443"]
    assert WORD not in repr(logins)


@pytest.mark.parametrize(
    "value",
    [
        WORD,
        f"{HOST} {WORD}",
        f"{HOST} digest ada:{WORD}",
        f"{HOST} basic {WORD}",
        f"{HOST} bearer {WORD} more",
        f"{HOST} bearer {WORD}\r\nX-More: yes",
        f"{HOST} bearer {WORD}\x00",
        f"{HOST} bearer \xe9{WORD}",
        f"{HOST} bearer ",
        f"{HOST} bearer {WORD}{'x' * 16_384}",
        b"\xff\xfe",
        "",
    ],
)
def test_what_is_no_login_is_refused_and_not_told(value: str | bytes) -> None:
    lend, _ = lending(value)
    with pytest.raises(PackagePolicyError, match="is not the login of an index") as refused:
        indexes_of([], policy(HOST), {}, lend)
    assert WORD not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        *("https://other.example/simple", f"{HOST}:8443", "http://pkgs.example"),
        *("pkgs.example", "https://pkgs.example.evil.example", f"{HOST}:x", "https://[", "://"),
        "https://pkgs.example@evil.example",
    ],
)
def test_a_file_of_the_project_cannot_have_it_sent_elsewhere(address: str) -> None:
    lend, _ = lending(f"{address} bearer {WORD}")
    with pytest.raises(PackagePolicyError, match="another host") as refused:
        indexes_of([], policy(HOST), {}, lend)
    assert WORD not in str(refused.value)


def test_nobody_is_asked_where_it_would_go_in_clear_or_is_known() -> None:
    lend, asked = lending(f"http://pkgs.example bearer {WORD}")
    with pytest.raises(PackagePolicyError, match="in clear"):
        indexes_of([], policy("http://pkgs.example"), {}, lend)
    environ = {"UV_INDEX_OWN_USERNAME": "jane", "UV_INDEX_OWN_PASSWORD": "other"}
    _, logins = indexes_of([], policy(HOST), environ, lend)
    assert [login.user for login in logins.values()] == ["jane"]
    indexes_of(["--no-index"], policy(HOST), {}, lend)
    indexes_of([], Policy(index={"own": IndexSettings(url=HOST)}), {}, lend)
    assert asked == []


def test_where_no_node_is_asked_the_way_on_is_told() -> None:
    with pytest.raises(PackagePolicyError, match="UV_INDEX_NAME_PASSWORD"):
        indexes_of([], policy(HOST), {}, nobody_lends)


def test_a_token_goes_to_its_index_and_to_nowhere_that_leads_to(index: FakeIndex) -> None:
    index.bearer = WORD
    index.add("alpha")
    lend, _ = lending(f"{index.url} bearer {WORD}")
    _, logins = indexes_of([], policy(index.url), {}, lend)
    with fake_index() as other, Upstream(logins) as upstream:
        other.add("alpha")
        address = f"{index.url}/simple/alpha/"
        assert upstream.document(address, accept="*/*", most=10_000) is not None

        def elsewhere(handler: BaseHTTPRequestHandler) -> bool:
            target = f"{other.url}/simple/alpha/"
            handler.reply(302, "text/plain", b"", Location=target)  # type: ignore[attr-defined]
            return True

        index.answer = elsewhere
        assert upstream.document(address, accept="*/*", most=10_000) is not None
        assert other.authorizations == [None]
        index.bearer = "another"
        with pytest.raises(IndexAnswerError, match="401") as refused:
            upstream.document(address, accept="*/*", most=10_000)
        assert WORD not in str(refused.value)
