"""The password, hashed before the client library sees it: no server says for how long.

A server says how often a password is hashed (SCRAM, RFC 5802, section 5.1). The client library
does so at one go, up to 2^31 times, which nothing can end. It is given the keys that come of that
(`scram_client_key`, of libpq 18) in the place of the password. The salt and the number that they
are made of are asked for on a connection of their own, which ends before it proves anything; once
known they are kept, until the server refuses the keys.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
import select
import socket
import stringprep
import time
import unicodedata
from contextlib import suppress
from typing import Final, NamedTuple

import psycopg
from psycopg import pq

MAX_ITERATIONS: Final = 1_000_000
"""Half a second to one. PostgreSQL's own default is 4096."""
MAX_SALT: Final = 1024
_DIGITS: Final = 10
MAX_KEPT: Final = 64
_TRACED: Final = 64 * 1024
"""Most bytes of what is said before a password is asked for: longer lines are no such question."""
_ANSWER: Final = b"\tAuthenticationSASLContinue\t "
_ASKED: Final = b"SASLInitialResponse"
_KEYS: Final = "scram_client_key"
_KNOWN: Final = frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())
_PROHIBITED: Final = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class Challenge(NamedTuple):
    """How a server has a password hashed."""

    salt: bytes
    iterations: int


class Keys(NamedTuple):
    """What comes of a password, and stands in its place."""

    client: str
    server: str


_kept: dict[tuple[str, ...], tuple[Challenge, Keys]] = {}
"""By where they are for, and a digest of the password."""


def require_library() -> None:
    """Raise OperationalError if the client library hashes passwords itself."""
    if _KEYS not in _KNOWN:
        raise psycopg.OperationalError(
            f"the client library is older than 18 ({pq.version()}), and hashes a password as often "
            "as a server says; install psycopg[binary] 3.3 or newer"
        )


def keyed(parameters: dict[str, str], seconds: float) -> dict[str, str]:
    """Return parameters with keys in the place of the password.

    Raises Error where the server does not ask as it should, or for too much.
    """
    if "password" not in parameters:
        return parameters
    require_library()
    kept = _kept.get(_place(parameters)) or _learned(parameters, seconds)
    # Without a question for a password the library says what is wrong with that.
    return _with_keys(parameters, None if kept is None else kept[1])


def keyed_anew(parameters: dict[str, str], seconds: float) -> dict[str, str] | None:
    """Return the same where a server asks in another way than it did; None if it does not.

    A password that is set once more has another salt, although it is the same. Raises Error.
    """
    if "password" not in parameters:
        return None
    before = _kept.pop(_place(parameters), None)
    now = _learned(parameters, seconds)
    return None if now is None or now == before else _with_keys(parameters, now[1])


def _learned(parameters: dict[str, str], seconds: float) -> tuple[Challenge, Keys] | None:
    challenge = ask(_with_keys(parameters, None), seconds)
    if challenge is None:
        return None
    kept = (challenge, hashed(parameters["password"], challenge))
    while len(_kept) >= MAX_KEPT:
        _kept.pop(next(iter(_kept)), None)
    _kept[_place(parameters)] = kept
    return kept


def _with_keys(parameters: dict[str, str], keys: Keys | None) -> dict[str, str]:
    rest = {name: value for name, value in parameters.items() if name != "password"}
    if keys is not None:
        rest |= {_KEYS: keys.client, "scram_server_key": keys.server}
    return rest


def _place(parameters: dict[str, str]) -> tuple[str, ...]:
    digest = hashlib.sha256(parameters["password"].encode()).hexdigest()
    return (*(parameters.get(name, "") for name in ("host", "port", "user", "dbname")), digest)


def hashed(password: str, challenge: Challenge) -> Keys:
    """Return the keys of a password (RFC 5802, section 3). Raises OperationalError."""
    if not 0 < challenge.iterations <= MAX_ITERATIONS:
        raise psycopg.OperationalError(
            f"the server wants the password hashed {challenge.iterations} times, expected at most "
            f"{MAX_ITERATIONS}; set scram_iterations lower for this user, and its password again"
        )
    salted = hashlib.pbkdf2_hmac(
        "sha256", prepared(password).encode(), challenge.salt, challenge.iterations
    )
    made = (hmac.digest(salted, what, "sha256") for what in (b"Client Key", b"Server Key"))
    return Keys(*(base64.b64encode(key).decode() for key in made))


def prepared(password: str) -> str:
    """Return a password by SASLprep (RFC 4013), or as it is where that has no form for it.

    So does PostgreSQL: its passwords need not be text that SASLprep knows.
    """
    if password.isascii():
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(one) else one
        for one in password
        if not stringprep.in_table_b1(one)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not normal or any(test(one) for one in normal for test in _PROHIBITED):
        return password
    if any(map(stringprep.in_table_d1, normal)):
        ends = stringprep.in_table_d1(normal[0]) and stringprep.in_table_d1(normal[-1])
        if not ends or any(map(stringprep.in_table_d2, normal)):
            return password
    return normal


# -- what a server asks ----------------------------------------------------------------------------


def ask(parameters: dict[str, str], seconds: float) -> Challenge | None:
    """Return how a server has the password hashed; None if it comes to no such question.

    The library shows what it is told by a trace. Once it has begun to prove itself, nothing more
    leaves this end: a server logs a connection that was closed, and no failed login. Raises Error.
    """
    nothing = base64.b64encode(bytes(32)).decode()
    told = {**parameters, _KEYS: nothing, "scram_server_key": nothing}
    deadline = time.monotonic() + seconds
    trace = os.memfd_create("casemate-scram", os.MFD_CLOEXEC)
    try:
        fcntl.fcntl(trace, fcntl.F_SETFL, os.O_APPEND)
        connection = pq.PGconn.connect_start(psycopg.conninfo.make_conninfo("", **told).encode())
        try:
            return _asked(connection, trace, deadline)
        finally:
            connection.finish()
    finally:
        os.close(trace)


def _asked(connection: pq.abc.PGconn, trace: int, deadline: float) -> Challenge | None:
    if connection.status == pq.ConnStatus.BAD:
        raise psycopg.OperationalError(_said(connection))
    connection.trace(trace)
    seen, asked, silent = b"", False, False
    try:
        while True:
            state = pq.PollingStatus(connection.connect_poll())
            seen = (seen + _traced(trace))[-_TRACED:]
            *lines, seen = seen.split(b"\n")
            for line in lines:
                _, found, said = line.partition(_ANSWER)
                if found:
                    return _challenge(said.strip(b"'"))
                asked = asked or _ASKED in line
            if state in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
                return None
            if asked and not silent:
                silent = True
                with suppress(OSError), socket.socket(fileno=os.dup(connection.socket)) as same:
                    same.shutdown(socket.SHUT_WR)
            _wait(connection.socket, state, deadline)
    finally:
        connection.untrace()


def _wait(descriptor: int, state: pq.PollingStatus, deadline: float) -> None:
    waiting = select.poll()
    reading = state == pq.PollingStatus.READING
    waiting.register(descriptor, select.POLLIN if reading else select.POLLOUT)
    left = deadline - time.monotonic()
    if left <= 0 or not waiting.poll(left * 1000):
        raise psycopg.errors.ConnectionTimeout("connection timeout expired")


def _traced(trace: int) -> bytes:
    """Take what the trace has so far: a server that goes on and on fills no memory."""
    size = os.fstat(trace).st_size
    found = os.pread(trace, _TRACED, max(0, size - _TRACED))
    os.ftruncate(trace, 0)
    return found


def _challenge(said: bytes) -> Challenge:
    """Return what `r=NONCE,s=SALT,i=NUMBER` says (RFC 5802, section 7). Raises OperationalError."""
    fields = said.split(b",")
    if len(fields) < 3 or [field[:2] for field in fields[:3]] != [b"r=", b"s=", b"i="]:
        raise psycopg.OperationalError("the server asks for proof in a way that is no SCRAM")
    number = fields[2][2:]
    try:
        salt = base64.b64decode(fields[1][2:], validate=True)
    except binascii.Error as error:
        raise psycopg.OperationalError("the server's salt cannot be read") from error
    if not 0 < len(salt) <= MAX_SALT or not number.isdigit() or len(number) > _DIGITS:
        raise psycopg.OperationalError(
            f"the server asks for proof with a salt of {len(salt)} bytes, and a number of "
            f"{len(number)} digits"
        )
    return Challenge(salt, int(number))


def _said(connection: pq.abc.PGconn) -> str:
    return f"connection is bad: {connection.get_error_message()}"
