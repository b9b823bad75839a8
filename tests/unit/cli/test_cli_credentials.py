"""Which node, which key; that the key stays where it belongs."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from casemate.cli import credentials
from casemate.cli.client import NodeClient
from casemate.cli.credentials import (
    Credentials,
    choose,
    forget,
    is_loopback_url,
    load,
    parse_url,
    require_safe_address,
    store,
)
from casemate.cli.errors import CredentialsError, DeniedError, UsageError

KEY = "cm_abc_" + "x" * 43
NODE = "https://node.example.org"


@pytest.fixture(scope="module")
def authority() -> str:
    """A certificate authority in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


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
        ("http://LOCALHOST:1", True),
        ("http://[::ffff:127.0.0.1]:1", True),
        ("http://a.localhost", False),
        ("http://localhost.", False),
        ("http://127.1", False),
        ("http://[::1%25lo]", False),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://10.0.0.1", False),
        ("http://0.0.0.0", False),
    ],
)
def test_loopback(url, expected) -> None:
    assert is_loopback_url(url) is expected


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
    "content",
    [
        *("", "[]", "{}", '{"url": 1, "key": 2}', '{"url": "http://a", "key": "x"}', "\xff"),
        *("[" * 60_000, '{"a":' * 10_000, json.dumps({"url": None, "key": KEY})),
    ],
    ids=range(9),
)
def test_a_broken_file_is_told(environ, content) -> None:
    path = store(Credentials(NODE, KEY), environ)
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(CredentialsError, match="does not hold"):
        choose(environ)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_keeps_no_command_waiting(environ, make) -> None:
    path = credentials.file_path(environ)
    path.parent.mkdir()
    make(path, 0o600)
    with pytest.raises(CredentialsError, match="is not a file"):
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


def test_the_key_is_not_part_of_any_representation() -> None:
    assert KEY not in repr(Credentials(NODE, KEY))


def test_the_authority_is_kept_with_its_node(environ, authority) -> None:
    store(Credentials(NODE, KEY, ca=authority), environ)
    assert choose(environ).ca == authority
    assert choose({**environ, "CASEMATE_URL": "https://other.example.org"}).ca is None
    assert choose({**environ, "CASEMATE_URL": NODE}).ca == authority


def test_an_authority_from_the_environment(environ, authority, tmp_path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(authority)
    chosen = choose({**environ, "CASEMATE_CA": str(path), "CASEMATE_URL": NODE})
    assert chosen.ca == authority


@pytest.mark.parametrize("content", [b"", b"not a certificate", b"\xff", b"x" * 40_000, None])
def test_what_is_no_authority(environ, tmp_path, content) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        choose({**environ, "CASEMATE_CA": str(path)})
    assert caught.value.next_step


def test_a_broken_authority_in_the_file_is_told(environ, authority) -> None:
    path = store(Credentials(NODE, KEY, ca=authority), environ)
    path.write_text(path.read_text().replace("MII", "xxx", 1))
    with pytest.raises(CredentialsError, match="does not hold"):
        choose(environ)


@pytest.mark.parametrize(
    ("url", "allow_http", "refused"),
    [
        ("https://node.example.org", False, False),
        ("http://127.0.0.1:1", False, False),
        ("http://10.0.0.1", True, False),
        ("http://10.0.0.1", False, True),
        ("http://localhost.evil.example", False, True),
    ],
)
def test_where_passwords_may_go(url, allow_http, refused) -> None:
    if not refused:
        require_safe_address(url, allow_http=allow_http)
        return
    with pytest.raises(DeniedError):
        require_safe_address(url, allow_http=allow_http)


def test_forgetting(environ) -> None:
    assert not forget(environ)
    path = store(Credentials(NODE, KEY), environ)
    assert forget(environ)
    assert not path.exists()


class _Node(BaseHTTPRequestHandler):
    """Answers who one is, as a node does."""

    def do_GET(self) -> None:
        right = self.headers["authorization"] == f"Bearer {KEY}"
        body = json.dumps({"principal": "token:abc", "roles": ["auditor"]}).encode()
        self.send_response(200 if right else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(home):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Node)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_login_stores_a_token_from_standard_input(cli, url, home) -> None:
    result = cli("login", url, stdin=KEY.encode() + b"\n")
    assert result.code == 0, result.err
    assert KEY not in result.out + result.err
    path = home / "config/casemate/credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["key"] == KEY


@pytest.mark.parametrize("content", ["", "[" * 60_000], ids=("empty", "nested"))
def test_login_replaces_what_is_of_no_use(cli, url, home, content) -> None:
    path = home / "config/casemate/credentials.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    path.chmod(0o600)
    result = cli("login", url, stdin=KEY.encode() + b"\n")
    assert result.code == 0, result.err
    assert json.loads(path.read_text())["key"] == KEY
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_proxy_does_not_get_to_see_local_requests(monkeypatch, cli, url) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert cli("login", url, stdin=KEY.encode()).code == 0


def test_login_at_a_terminal_does_not_show_the_token(terminal, url) -> None:
    result = terminal("login", url, keys=KEY.encode() + b"\n", prompt=b"Token for")
    assert result.code == 0, result.out
    assert KEY not in result.out


def test_login_with_a_wrong_token_stores_nothing(cli, url, monkeypatch, home) -> None:
    wrong = "cm_wrong_" + "x" * 43
    monkeypatch.setenv("CASEMATE_KEY", wrong)
    result = cli("login", url)
    assert result.code == 4
    assert wrong not in result.err
    assert not (home / "config").exists()


@pytest.mark.parametrize("text", ["", "hunter2-not-a-key", "cm_short", KEY + " x"])
def test_what_is_no_token_is_not_repeated(cli, url, text) -> None:
    result = cli("login", url, stdin=text.encode())
    assert result.code == 2
    assert not text or text not in result.err


def test_login_has_no_argument_for_a_token(cli, url) -> None:
    assert cli("login", url, KEY).code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(environ, tmp_path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CredentialsError):
            store(Credentials(NODE, KEY), environ)
    finally:
        tmp_path.chmod(0o700)
