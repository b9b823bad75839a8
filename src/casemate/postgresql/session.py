"""Opening a connection: the server is one that may be written to and keeps what it says.

All hosts are asked at once, since asking one after the other adds their times up.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from typing import Final, NamedTuple

import psycopg

from casemate.postgresql import driver
from casemate.postgresql.errors import (
    SettingsError,
    StandbyError,
    UnfitServerError,
    UnreachableError,
)
from casemate.postgresql.fence import Fence, Server
from casemate.postgresql.pooling import require_own_session
from casemate.postgresql.settings import Host, Settings
from casemate.sqlite.errors import DatabaseError

OLDEST_SERVER: Final = 150000
STATEMENT_SECONDS: Final = 30
LOCK_SECONDS: Final = 15
"""Longer than a transaction may idle: who holds the lock and is frozen is ended first."""
IDLE_SECONDS: Final = 10
OTHERS_SECONDS: Final = 0.25
"""How long other hosts may take to answer once one that may be written to has."""
_SET = (
    f"SET statement_timeout = '{STATEMENT_SECONDS}s'; SET lock_timeout = '{LOCK_SECONDS}s'; "
    f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'; "
    "SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed'; "
    "SET client_min_messages = warning; SET TimeZone = 'UTC'; SET idle_session_timeout = 0"
)
_ASK = """
    SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean,
        current_setting('server_version_num')::integer, current_setting('server_encoding'),
        current_setting('fsync'), current_setting('full_page_writes'),
        current_setting('synchronous_commit'),
        (SELECT system_identifier FROM pg_control_system()),
        CASE WHEN NOT pg_is_in_recovery()
            THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END,
        pg_postmaster_start_time()::text,
        pg_backend_pid(), current_setting('session_replication_role')
"""
_NEXT_STEPS: Final = (
    (
        ("no password supplied", 'requirement "none" failed'),
        "Give the password in the URL: postgresql://USER:PASSWORD@…",
    ),
    (
        ("server did not complete authentication",),
        "Have the server ask this user for a password (scram-sha-256 in pg_hba.conf), or leave the "
        "password out of the URL.",
    ),
    (
        ("a cleartext password", "a hashed password"),
        "Have the server ask for it by scram-sha-256 (pg_hba.conf), which does not give it away.",
    ),
    (
        ("does not support SSL",),
        "Switch TLS on at the server: ssl = on, with a certificate for its name.",
    ),
    (
        ("too many connections", "too many clients", "connection slots"),
        "Let it have more: max_connections, and CONNECTION LIMIT of the role and the database.",
    ),
    (
        ("does not exist",),
        "Look at the user and the database in the URL, or make the one that is missing.",
    ),
)
"""What to do about what the client library (in English) or the server (in its language) says."""


class Session(NamedTuple):
    """A connection that is set up, and what is doubtful about its server."""

    server: driver.Connection
    doubts: tuple[str, ...]
    life: Server


def require_name(name: str) -> None:
    """Raise SettingsError unless `name` may be that of a schema: it stands in statements."""
    plain = name.isascii() and name.replace("_", "").isalnum() and name == name.lower()
    if not plain or not name[0].isalpha() or len(name) > 63:
        raise SettingsError(
            f"The schema {name[:80]!r} is not valid: expected at most 63 lower-case letters, "
            "digits and underscores, starting with a letter."
        )


def connected(settings: Settings, schema: str, fence: Fence | None = None) -> Session:
    """Return a connection to the server among the hosts that may be written to.

    Raises StandbyError if those that answer may not, UnreachableError if none answers, FencedError
    if it was left behind by what `fence` has seen, UnfitServerError if it would not keep what it is
    given.
    """
    require_name(schema)
    fence = fence or Fence()
    if len(settings.hosts) == 1:
        return _one(settings, settings.hosts[0], schema, fence)
    pool = ThreadPoolExecutor(len(settings.hosts), thread_name_prefix="casemate-connect")
    try:
        asked = [pool.submit(_one, settings, host, schema, fence) for host in settings.hosts]
        return _first(asked)
    finally:
        pool.shutdown(wait=False)


def _first(asked: Sequence[Future[Session]]) -> Session:
    """Return the first that may be written to; of several at once that with the newest timeline."""
    failures: list[DatabaseError] = []
    found: Session | None = None
    for future in as_completed(asked):
        try:
            future.result()
            break
        except DatabaseError as error:
            failures.append(error)
    if len(failures) < len(asked):
        # An old primary that woke may answer before the new one does.
        wait(asked, OTHERS_SECONDS)
        sessions = [one.result() for one in asked if one.done() and one.exception() is None]
        found = max(sessions, key=lambda session: session.life.timeline)
    for future in asked:
        future.add_done_callback(lambda done: _close_unless(done, found))
    if found is not None:
        return found
    # The one that says most: unfit before lacking what was kept before standby before not there.
    failures.sort(key=lambda error: (isinstance(error, UnreachableError), type(error).__name__))
    told = "; ".join(error.message for error in failures)
    raise type(failures[0])(told, next_step=failures[0].next_step)


def _close_unless(done: Future[Session], found: Session | None) -> None:
    if done.exception() is None and done.result() is not found:
        done.result().server.close()


def _one(settings: Settings, host: Host, schema: str, fence: Fence) -> Session:
    try:
        server = driver.connect(settings.parameters(host))
    except (psycopg.Error, OSError) as error:
        raise UnreachableError(
            f"The database server {host} cannot be used: {settings.cleaned(str(error))}",
            next_step=_next_step_of(str(error)),
        ) from None  # the library's error has the parameters, and so the password
    try:
        # The name was looked at: it has letters, digits and underscores alone.
        server.execute(f"{_SET}; SET search_path = {schema}".encode())
        row = server.execute(_ASK).fetchone()
        doubts, life = _require_fit(host, row)
        if row is not None and row[-2] != server.info.backend_pid:
            require_own_session(
                str(host), server, lambda: driver.connect(settings.parameters(host)), psycopg.Error
            )
        fence.require(life)
    except (psycopg.Error, ValueError) as error:  # or what it says of itself is no text
        server.close()
        raise UnreachableError(
            f"The database server {host} answers, and then fails: {settings.cleaned(str(error))}",
            next_step="Look into the server's log.",
        ) from None
    except BaseException:
        server.close()
        raise
    return Session(server, doubts, life)


def _next_step_of(said: str) -> str:
    found = (step for words, step in _NEXT_STEPS if any(one in said for one in words))
    return next(found, "See that it runs, that this node reaches it, and its user and password.")


def _require_fit(host: Host, row: Sequence[object] | None) -> tuple[tuple[str, ...], Server]:
    if row is None or len(row) != 11:
        raise UnfitServerError(f"The database server {host} does not say what it is.")
    standby, version, encoding, fsync, pages, commits, *life, _, triggers = row
    if standby:
        raise StandbyError(
            f"The database server {host} is a standby, or read-only.",
            next_step="Name the primary as well, or all servers, separated by commas.",
        )
    if not isinstance(version, int) or version < OLDEST_SERVER:
        raise UnfitServerError(
            f"The database server {host} has the version {version}; expected PostgreSQL 15 or "
            "newer.",
            next_step="Upgrade the server.",
        )
    if encoding != "UTF8":
        raise UnfitServerError(
            f"The database on {host} has the encoding {str(encoding)[:40]}; expected UTF8.",
            next_step="Make another: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
        )
    if triggers != "origin":
        raise UnfitServerError(
            f"The role's session_replication_role on {host} is {str(triggers)[:40]}: other "
            "nodes would not be notified of changes.",
            next_step="Run: ALTER ROLE … RESET session_replication_role (of this database, too)",
        )
    settings = {"fsync": fsync, "full_page_writes": pages, "synchronous_commit": commits}
    doubts = tuple(
        f"{name} is off on the database server {host}: acknowledged data can be lost"
        for name, value in settings.items()
        if value == "off"
    )
    return doubts, _life_of(host, life)


def _life_of(host: Host, row: Sequence[object]) -> Server:
    match row:
        case (int(system), str(timeline), str(started)) if (
            -(2**63) <= system < 2**63 and len(timeline) == 8
        ):
            return Server(system, int(timeline, 16), started[:64])
    raise UnfitServerError(f"The database server {host} does not say on which timeline it is.")
