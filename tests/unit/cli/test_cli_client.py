"""Exit codes for everything a node can answer, or not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import traceback

import httpx2
import pytest
from api_fake_control import INVOKER_TEXT, OWNER_TEXT, log_line

from casemate.cli import client as client_module
from casemate.cli.client import NodeClient
from casemate.cli.credentials import Credentials
from casemate.cli.errors import CommandError, UsageError
from casemate.model.errors import ConflictError, UnavailableError
from casemate.operations.login import Login
from casemate.operations.records import ReadLogs


def test_unreachable(cli, monkeypatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("CASEMATE_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        result = cli("ls")
    assert result.code == 5
    assert "casemate serve" in result.err


def test_an_answer_that_was_cut_short_may_have_been_done(cli, monkeypatch) -> None:
    """As of a node that is killed: it is not said that there is none, and to start one."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            asked, _ = server.accept()
            asked.recv(4096)
            asked.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        monkeypatch.setenv("CASEMATE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        result = cli("ls")
        thread.join()
    assert result.code == 5
    assert "ended before it had answered" in result.err
    assert "may be changed" in result.err and "casemate serve" not in result.err


def test_denied(cli, node, monkeypatch) -> None:
    monkeypatch.setenv("CASEMATE_KEY", "cm_wrong_" + "z" * 43)
    result = cli("ls")
    assert result.code == 4
    assert "cm_wrong" not in result.err
    monkeypatch.setenv("CASEMATE_KEY", INVOKER_TEXT)
    result = cli("show", "shop/cart")
    assert result.code == 4
    assert "function:read" in result.err and "token:invoker" in result.err
    assert "--project" not in result.err
    # What the node says to do about it, and not what would hold for any refusal.
    said = " ".join(result.err.split())
    assert "decides: `casemate can token:invoker function:read function:shop/cart --why`" in said
    # Of all there is no right, of a project or a function there may be.
    for command in ("logs", "invocations", "denials", "usage"):
        assert "Name a function, or --project PROJECT" in " ".join(cli(command).err.split())
        assert "--project PROJECT" not in cli(command, "--project", "shop").err
    for command, told in (
        ("findings ls", "as PROJECT after the command"),
        ("findings show 9f2c51aa03b1e7d4", "Give --project PROJECT"),
        ("incident ls", "as PROJECT after the command"),
        ("incident show inc_9f2c51aa03b1e7d4", "Give --project PROJECT"),
        ("advisories live", "as PROJECT after the command"),
        ("access review", "as PROJECT after the command"),
        ("decoys ls", "as PROJECT after the command"),
        ("budget ls", "as PROJECT after the command"),
        ("audit node", "Give --project PROJECT"),
    ):
        said = " ".join(cli(*command.split()).err.split())
        assert f"{told}: a role of one project shows that one alone." in said, command
    assert "role of one project" not in cli("findings", "ls", "shop").err
    assert "role of one project" not in cli("users", "ls").err, "there is none of a project"
    # A list is of what may be read: here nothing.
    assert cli("ls").code == 0
    monkeypatch.delenv("CASEMATE_KEY")
    result = cli("ls")
    assert result.code == 4
    assert "casemate login" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "shop/cart"),
        ("rm", "shop/cart", "--yes"),
        ("rollback", "shop/cart"),
        ("promote", "shop/cart", "1"),
        ("errors", "show", "err_1"),
        ("invocations", "--id", "inv_1"),
        ("tokens", "revoke", "nobody", "--yes"),
    ],
)
def test_not_found(cli, node, arguments) -> None:
    result = cli(*arguments)
    assert result.code == 3
    assert "\nNext: " in result.err


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (ConflictError("taken"), "taken"),
        (UnavailableError("closing"), "closing"),
        (RuntimeError("secret"), "error id err_"),
    ],
)
def test_failures(cli, node, fault, text) -> None:
    node.control.fault = fault
    result = cli("ls")
    assert result.code == 1
    assert text in result.err
    assert "secret" not in result.err


def serve_raw(answer: bytes) -> tuple[str, threading.Thread, list[bytes]]:
    """Answer every connection with the same bytes; return the address and what was received."""
    server = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []

    def loop() -> None:
        server.settimeout(10)
        with server:
            connection, _ = server.accept()
            with connection:
                received.append(connection.recv(65536))
                with contextlib.suppress(OSError):
                    connection.sendall(answer)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{server.getsockname()[1]}", thread, received


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 1),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 1),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhalf", 5),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 5),
        (b"", 5),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", 1),
        (b"HTTP/1.1 404 No\r\ncontent-type: application/problem+json\r\n\r\n[\xff", 3),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\njunk", 5),
    ],
)
def test_answers_that_are_no_node(cli, monkeypatch, answer, code) -> None:
    url, thread, _ = serve_raw(answer)
    monkeypatch.setenv("CASEMATE_URL", url)
    result = cli("ls")
    thread.join(10)
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    assert "\nNext: " in result.err


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("command", [("ls",), ("logs", "shop/cart")])
def test_an_answer_without_end_is_not_read_for_ever(cli, monkeypatch, status, command) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1 << 20)
    monkeypatch.setattr(client_module, "MAX_LINE_BYTES", 1 << 20)
    monkeypatch.setattr(client_module.read_whole, "__defaults__", (1 << 20,))
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/problem+json\r\n\r\n"
    url, thread, _ = serve_raw(head.encode() + b" " * (64 << 20))
    monkeypatch.setenv("CASEMATE_URL", url)
    result = cli(*command)
    thread.join(10)
    assert not thread.is_alive()
    assert result.code == 1 and "of more than 1048576 bytes" in result.err


def test_redirects_do_not_get_the_key(cli, node, monkeypatch) -> None:
    answer = f"HTTP/1.1 307 Go\r\nlocation: {node.url}/api/v1/functions\r\n\r\n".encode()
    url, thread, received = serve_raw(answer)
    monkeypatch.setenv("CASEMATE_URL", url)
    result = cli("ls")
    thread.join(10)
    assert result.code == 1
    assert OWNER_TEXT.encode() in received[0]
    assert node.requests == []


def test_hostile_error_texts_cannot_steer_the_terminal(cli, node) -> None:
    node.control.fault = ConflictError("\x1b[2Jgone\x07")
    result = cli("ls")
    assert "\x1b" not in result.err
    assert "\\x1b[2Jgone" in result.err


def test_what_is_not_text_is_a_mistake_in_how_it_was_called(cli, node) -> None:
    """The shell hands on any bytes; nothing of them comes back, for they may be a secret."""
    for arguments in (("users", "roles", "\udcff"), ("can", "user:horse\udcff", "a", "b")):
        result = cli(*arguments)
        assert result.code == 2
        assert "not valid text" in result.err
        assert "horse" not in result.err


def test_a_password_that_is_not_text_is_not_shown() -> None:
    credentials = Credentials(url="http://127.0.0.1:1", key=None)
    operation = Login(name="ada", password="horse\udcff", code="1")
    with NodeClient(credentials) as client, pytest.raises(UsageError) as caught:
        client.call(operation)
    shown = "".join(traceback.format_exception(caught.value))
    assert "horse" not in shown
    assert "UnicodeEncodeError" not in shown


@pytest.mark.parametrize(
    ("url", "reads"),
    [
        ("http://127.0.0.1:8787", 0),
        ("http://localhost:8787", 0),
        ("https://127.0.0.1:8787", 1),
        ("http://node.example", 1),
        ("https://node.example", 1),
    ],
)
def test_certificates_of_the_host_are_read_where_there_may_be_tls(
    monkeypatch: pytest.MonkeyPatch, url: str, reads: int
) -> None:
    """To a node on this machine there is none; if there were, nobody would be believed."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    given: list[object] = []
    made = httpx2.Client

    def client(**settings: object) -> httpx2.Client:
        given.append(settings["verify"])
        return made(**settings)  # type: ignore[arg-type]

    monkeypatch.setattr(httpx2, "Client", client)
    NodeClient(Credentials(url=url, key=None)).__exit__(None, None, None)
    [verify] = given
    if reads:
        assert verify is True
        return
    assert isinstance(verify, ssl.SSLContext)
    assert (verify.verify_mode, verify.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert verify.get_ca_certs() == []


# -- answers that come line by line --------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_only_a_line_feed_ends_a_line(size: int) -> None:
    texts = ["", "a\u2028b", "c\u0085d\x0b\x0c\x1c\r", "\u2029", ""]
    sent = "".join(f"{text}\n" for text in texts).encode() + b"cut o"
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert [line.decode() for line in client_module._lines(pieces)] == texts


def test_a_followed_line_may_hold_what_separates_lines_elsewhere(node) -> None:
    text = "one\u2028two\u0085three"
    node.control.lines = [log_line(1, text)]
    credentials = Credentials(url=node.url, key=OWNER_TEXT, allow_http=True)
    with NodeClient(credentials) as client:
        with client.stream(ReadLogs(follow=True), seconds=10) as lines:
            line = next(lines)
        node.drop_connections = True
    assert line is not None and line.text == text


def test_a_line_without_an_end_is_not_collected_for_ever() -> None:
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1 << 20
            yield bytes(1 << 20)

    with pytest.raises(CommandError, match="more than"):
        list(client_module._lines(endless()))
    assert taken <= client_module.MAX_LINE_BYTES + (1 << 20)


@pytest.mark.parametrize("line", [b"{}", b"[]", b"not JSON", b'{"text": "\xff"}'])
@pytest.mark.parametrize("arguments", [("logs",), ("logs", "-f")])
def test_a_line_that_is_not_understood_ends_the_command(cli, monkeypatch, line, arguments) -> None:
    length = len(line) + 1
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode()
    url, thread, _ = serve_raw(head + line + b"\n")
    monkeypatch.setenv("CASEMATE_URL", url)
    result = cli(*arguments)
    thread.join(10)
    assert result.code == 1
    assert "does not understand" in result.err
    assert "Traceback" not in result.err
