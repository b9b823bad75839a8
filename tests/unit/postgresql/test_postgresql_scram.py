"""How often a password is hashed is decided here, whatever a server says."""

from __future__ import annotations

import base64
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

import psycopg
import pytest
from hostile_server import CLEARTEXT, WELCOME, error, message

from casemate.postgresql import driver, scram
from casemate.postgresql.settings import Settings
from support.database import Server

SALT = base64.b64encode(b"salt" * 4).decode()
PASSWORDS = ["secret", "pässwⅨ", "اب", "soft\u1806hyphen", "a" * 200, "€ and space", "ß\u0660"]
MANY = 2**31 - 1


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    scram._kept.clear()
    yield
    scram._kept.clear()


def parameters(port: int, user: str = "u", password: str = "pw") -> dict[str, str]:
    settings = Settings.of_url(f"postgresql://{user}:{quote(password)}@127.0.0.1:{port}/postgres")
    return settings.parameters(settings.hosts[0])


class Asking:
    """Asks for SCRAM, and says of the n-th connection what `challenge` returns for it."""

    def __init__(self, challenge: Callable[[int, str], bytes]) -> None:
        self._challenge = challenge
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        self.proofs: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(
                    target=self._speak, args=(peer, self.connections), daemon=True
                ).start()

    def _speak(self, peer: socket.socket, number: int) -> None:
        with suppress(OSError, struct.error, ValueError), peer:
            file = peer.makefile("rb")
            file.read(struct.unpack("!i", file.read(4))[0] - 4)
            peer.sendall(message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
            file.read(1)
            said = file.read(struct.unpack("!i", file.read(4))[0] - 4)
            nonce = said[said.index(b"r=") + 2 :].decode()
            peer.sendall(self._challenge(number, nonce))
            while kind := file.read(1):
                self.proofs.append(kind + file.read(struct.unpack("!i", file.read(4))[0] - 4))


def challenge(nonce: str, iterations: object, salt: str = SALT) -> bytes:
    said = f"r={nonce}more,s={salt},i={iterations}"
    return message(b"R", struct.pack("!i", 11) + said.encode())


@contextmanager
def asking(said: Callable[[int, str], bytes]) -> Iterator[Asking]:
    server = Asking(said)
    try:
        yield server
    finally:
        server.close()


def refused(server: Asking, seconds: float = 2.0) -> str:
    """Return why; it took no time of the processor to speak of."""
    began, spent = time.monotonic(), time.process_time()
    with pytest.raises(psycopg.Error) as raised:
        driver.connect(parameters(server.port))
    assert time.process_time() - spent < 1.5
    assert time.monotonic() - began < seconds + 2 * driver.CONNECT_SECONDS
    return str(raised.value)


@pytest.mark.parametrize("iterations", [MANY, 10**9, scram.MAX_ITERATIONS + 1])
def test_a_server_does_not_have_the_node_compute(iterations: int) -> None:
    with asking(lambda _number, nonce: challenge(nonce, iterations)) as server:
        assert f"hashed {iterations} times" in refused(server)
        assert server.connections == 1
        assert server.proofs == []  # not even a wrong one: nobody has failed to log in


ODD = {
    "none": 0,
    "below nothing": -1,
    "no number": "x",
    "a float": "1e9",
    "eleven digits": 10**10,
    "other digits": "٣",
    "empty": "",
    "more behind": "4096,i=2147483647",
}


@pytest.mark.parametrize("name", ODD)
def test_a_number_that_is_none_is_refused(name: str) -> None:
    def said(_number: int, nonce: str) -> bytes:
        return challenge(nonce, ODD[name]) + error("no", "28P01")

    with asking(said) as server:
        refused(server)


@pytest.mark.parametrize("salt", ["", "%%%", "A", base64.b64encode(bytes(1025)).decode()])
def test_a_salt_that_is_none_is_refused(salt: str) -> None:
    def said(_number: int, nonce: str) -> bytes:
        return challenge(nonce, 4096, salt) + error("no", "28P01")

    with asking(said) as server:
        refused(server)


def test_who_says_little_first_and_much_then_gets_nothing_computed() -> None:
    def said(number: int, nonce: str) -> bytes:
        return challenge(nonce, 4096 if number == 1 else MANY) + error("no", "28P01")

    with asking(said) as server:
        refused(server)
        assert server.connections == 3  # asked, tried, and asked once more: much is refused then


def test_who_does_not_ask_first_gets_nothing_computed_either() -> None:
    def said(number: int, nonce: str) -> bytes:
        return error("busy", "53300") if number == 1 else challenge(nonce, MANY)

    with asking(said) as server:
        refused(server)


def test_notices_without_end_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "CONNECT_SECONDS", 1)
    notice = message(b"N", b"SNOTICE\0C00000\0M" + b"x" * 20_000 + b"\0\0")
    most = 0
    measured = scram._traced

    def traced(trace: int) -> bytes:
        nonlocal most
        found = measured(trace)
        most = max(most, len(found))
        return found

    monkeypatch.setattr(scram, "_traced", traced)
    with asking(lambda _number, _nonce: notice * 2000) as server:
        refused(server)
    assert most <= scram._TRACED


@pytest.mark.parametrize(
    "answer", [CLEARTEXT, WELCOME, message(b"R", struct.pack("!i", 5) + b"salt")]
)
def test_a_server_that_asks_otherwise_gets_no_password(answer: bytes) -> None:
    with asking(lambda _number, _nonce: answer) as server:
        refused(server)
        assert not any(b"pw" in proof for proof in server.proofs)


def test_the_library_has_to_know_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scram, "_KNOWN", frozenset({"host"}))
    with pytest.raises(psycopg.OperationalError, match="older than 18"):
        driver.connect(parameters(1))


@pytest.fixture(scope="module")
def with_passwords(postgresql_server: Server) -> Iterator[Server]:
    rules = postgresql_server.data / "pg_hba.conf"
    before = rules.read_text()
    with postgresql_server.connect("postgres") as connection:
        connection.execute("SET password_encryption = 'scram-sha-256'")
        for number, password in enumerate(PASSWORDS):
            connection.execute(f"CREATE ROLE scram{number} LOGIN PASSWORD '{password}'")  # type: ignore[arg-type]
        names = ",".join(f"scram{number}" for number in range(len(PASSWORDS)))
        rules.write_text(f"host all {names} 127.0.0.1/32 scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.2)
    yield postgresql_server
    rules.write_text(before)
    with postgresql_server.connect("postgres") as connection:
        connection.execute("SELECT pg_reload_conf()")
        for number in range(len(PASSWORDS)):
            connection.execute(f"DROP ROLE scram{number}")  # type: ignore[arg-type]


def who(server: Server, number: int, password: str) -> object:
    connection = driver.connect(parameters(server.port, f"scram{number}", password))
    try:
        row = connection.execute(b"SELECT current_user::text").fetchone()
        return row[0] if row else None
    finally:
        connection.close()


@pytest.mark.parametrize("number", range(len(PASSWORDS)))
def test_passwords_of_all_kinds_are_hashed_as_postgresql_does(
    with_passwords: Server, number: int
) -> None:
    assert who(with_passwords, number, PASSWORDS[number]) == f"scram{number}"


def test_a_password_that_is_set_once_more_is_asked_for_again(with_passwords: Server) -> None:
    assert who(with_passwords, 0, PASSWORDS[0]) == "scram0"
    (kept,) = scram._kept.values()
    with with_passwords.connect("postgres") as connection:
        connection.execute(f"ALTER ROLE scram0 PASSWORD '{PASSWORDS[0]}'")  # type: ignore[arg-type]
    assert who(with_passwords, 0, PASSWORDS[0]) == "scram0"
    assert list(scram._kept.values()) != [kept]


def test_a_wrong_password_is_refused_by_the_server(with_passwords: Server) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        who(with_passwords, 0, "wrong")
