"""Which node, which key; that the key stays where it belongs."""

from __future__ import annotations

import json
import os

import pytest
from api_fake_control import ADMIN_TEXT, INVOKE_TEXT

from casemate.cli import credentials
from casemate.cli.client import NodeClient
from casemate.cli.credentials import Credentials, choose, is_loopback, load, parse_url, store
from casemate.cli.errors import CredentialsError, DeniedError, UsageError

KEY = "cm_abc_" + "x" * 43
NODE = "https://node.example.org"


@pytest.fixture
def environ(tmp_path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("http://localhost:1/", "http://localhost:1"),
        ("HTTPS://Node.Example.org", "https://node.example.org"),
        ("http://[::1]:8787", "http://[::1]:8787"),
    ],
)
def test_addresses(text, url) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://a",
        "http://",
        "http://a/path",
        "http://a?x=1",
        "http://user:pw@a",
        "http://a:99999",
        "http://a b",
        "http://a..b",
        "http://" + "a" * 300,
        "http://[::1",
        "http://bücher.example",
    ],
)
def test_what_is_no_address(text) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(text)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]", True),
        ("http://localhost", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://10.0.0.1", False),
        ("http://0.0.0.0", False),
    ],
)
def test_loopback(url, expected) -> None:
    assert is_loopback(url) is expected


def test_store_is_private_and_complete(environ) -> None:
    path = store(Credentials(NODE, KEY), environ)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load(environ) == Credentials(NODE, KEY)
    assert [p.name for p in path.parent.iterdir()] == ["credentials.json"]


def test_store_over_a_link_does_not_write_through_it(environ, tmp_path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    path = credentials.file_path(environ)
    path.parent.mkdir()
    path.symlink_to(target)
    store(Credentials(NODE, KEY), environ)
    assert target.read_text() == "precious"
    assert not path.is_symlink()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_open_to_others_is_refused(environ, mode) -> None:
    path = store(Credentials(NODE, KEY), environ)
    path.chmod(mode)
    with pytest.raises(CredentialsError, match="others") as caught:
        choose(environ)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"url": 1, "key": 2}', '{"url": "http://a", "key": "x"}', "\xff"]
)
def test_a_broken_file_is_told(environ, content) -> None:
    path = store(Credentials(NODE, KEY), environ)
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(CredentialsError, match="does not hold"):
        choose(environ)


def test_order_of_the_sources(environ) -> None:
    assert choose(environ) == Credentials("http://127.0.0.1:8787")
    store(Credentials(NODE, KEY), environ)
    assert choose(environ) == Credentials(NODE, KEY)
    other = "cm_other_" + "y" * 43
    assert choose({**environ, "CASEMATE_KEY": other}) == Credentials(NODE, other)


def test_a_stored_key_is_not_sent_to_another_address(environ) -> None:
    store(Credentials(NODE, KEY, allow_http=True), environ)
    chosen = choose({**environ, "CASEMATE_URL": "https://evil.example.org"})
    assert chosen == Credentials("https://evil.example.org", None, False)


def test_a_key_is_not_sent_in_the_clear_to_another_machine() -> None:
    with pytest.raises(DeniedError, match="not encrypted"):
        NodeClient(Credentials("http://10.0.0.1", KEY))
    NodeClient(Credentials("http://10.0.0.1", KEY, allow_http=True)).__exit__(None, None, None)
    NodeClient(Credentials("http://10.0.0.1", None)).__exit__(None, None, None)


def test_a_proxy_does_not_get_to_see_local_requests(monkeypatch, node, cli) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert cli("ls").code == 0


def test_the_key_is_not_part_of_any_representation() -> None:
    assert KEY not in repr(Credentials(NODE, KEY))


def test_login_stores_a_key_from_standard_input(cli, node, monkeypatch, home) -> None:
    monkeypatch.delenv("CASEMATE_KEY")
    monkeypatch.delenv("CASEMATE_URL")
    result = cli("login", node.url, stdin=ADMIN_TEXT.encode() + b"\n")
    assert result.code == 0
    assert ADMIN_TEXT not in result.out + result.err
    path = home / "config/casemate/credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["key"] == ADMIN_TEXT
    assert cli("ls").code == 0


def test_login_at_a_terminal_does_not_show_the_key(terminal, node, monkeypatch) -> None:
    monkeypatch.delenv("CASEMATE_KEY")
    result = terminal("login", node.url, keys=ADMIN_TEXT.encode() + b"\n", prompt=b"Key for")
    assert result.code == 0, result.out
    assert ADMIN_TEXT not in result.out


def test_login_with_a_key_that_may_only_invoke_says_so(cli, node, monkeypatch) -> None:
    monkeypatch.setenv("CASEMATE_KEY", INVOKE_TEXT)
    result = cli("login", node.url)
    assert result.code == 0
    assert "only call functions" in result.err


def test_login_with_a_wrong_key_stores_nothing(cli, node, monkeypatch, home) -> None:
    monkeypatch.setenv("CASEMATE_KEY", KEY)
    result = cli("login", node.url)
    assert result.code == 4
    assert KEY not in result.err
    assert not (home / "config").exists()


@pytest.mark.parametrize("text", ["", "hunter2-not-a-key", "cm_short", ADMIN_TEXT + " x"])
def test_what_is_no_key_is_not_repeated(cli, node, monkeypatch, text) -> None:
    monkeypatch.delenv("CASEMATE_KEY")
    result = cli("login", node.url, stdin=text.encode())
    assert result.code == 2
    assert not text or text not in result.err


def test_login_has_no_argument_for_a_key(cli, node) -> None:
    assert cli("login", node.url, ADMIN_TEXT).code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(environ, tmp_path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CredentialsError):
            store(Credentials(NODE, KEY), environ)
    finally:
        tmp_path.chmod(0o700)
