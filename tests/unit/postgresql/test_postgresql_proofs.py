"""What a real server is asked to prove, and what it says when it cannot keep its word."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from postgresql_samples import SCHEMA, changing, connect

from casemate.certificates.issuing import Names, issue, new_authority
from casemate.postgresql import session
from casemate.postgresql.connection import Connection
from casemate.postgresql.errors import UnreachableError
from casemate.postgresql.settings import Settings
from casemate.sqlite import engine
from casemate.sqlite.commit_guard import is_condemned
from casemate.sqlite.errors import DatabaseUnsureError
from casemate.sqlite.transaction import transaction
from casemate.store.postgresql.faults import STORE_SERVER
from support.database import Server

NOW = datetime.now(UTC)
PASSWORD = "s3cret-4711"


def rows(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT b FROM t ORDER BY a")]


@pytest.fixture(scope="module")
def proving(postgresql_server: Server, url: str) -> Iterator[tuple[Server, str]]:
    """A server with TLS, that asks who comes by it for a password; and the URL up to options."""
    loopback = Names.of(["127.0.0.1"])
    authority = new_authority(loopback, NOW)
    pair = issue(authority, loopback, NOW)
    server = postgresql_server
    certificate = server.give("server.crt", pair.certificate)
    key = server.give("server.key", pair.key)
    (server.folder / "ca.pem").write_bytes(authority.certificate)
    (server.folder / "other.pem").write_bytes(new_authority(loopback, NOW).certificate)
    rules = server.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(
        "hostssl all asked 127.0.0.1/32 scram-sha-256\n"
        "hostssl all clear 127.0.0.1/32 password\nlocal all all trust\n"
    )
    with server.connect("postgres") as connection:
        for role in ("asked", "clear"):
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")  # type: ignore[arg-type]
    database = url.split("/")[3].partition("?")[0]
    with server.connect(database) as connection:
        connection.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO asked, clear")  # type: ignore[arg-type]
    with server.altered(ssl="on", ssl_cert_file=str(certificate), ssl_key_file=str(key)):
        yield server, f"postgresql://asked:{PASSWORD}@127.0.0.1:{server.port}/{database}"
    # Files that come after this one use the server as they find it.
    rules.write_text(before)
    with server.connect("postgres") as connection:
        connection.execute("SELECT pg_reload_conf()")


def refused(url: str) -> str:
    with pytest.raises(UnreachableError) as error:
        session.connected(Settings.of_url(url), SCHEMA)
    told = f"{error.value} {error.value.__cause__!r} {error.value.__suppress_context__}"
    assert PASSWORD not in told
    return told


def test_tls_proves_the_server_by_its_authority_and_its_name(
    proving: tuple[Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, url = proving
    root = f"?sslmode=verify-full&sslrootcert={server.folder}/ca.pem"
    # Nothing of it is taken from the environment, which would have it otherwise.
    for name, value in {
        "PGOPTIONS": "-c search_path=pg_catalog -c default_transaction_read_only=on",
        "PGSSLMODE": "disable",
        "PGHOST": "/nowhere",
        "PGHOSTADDR": "203.0.113.1",
        "PGREQUIREAUTH": "password",
        "PGSSLCRL": "/nowhere",
        "PGSSLCERT": "/nowhere",
        "PGPASSWORD": "other",
        "PGTARGETSESSIONATTRS": "standby",
        "PGCONNECT_TIMEOUT": "2",
        "PGAPPNAME": "x",
    }.items():
        monkeypatch.setenv(name, value)
    found = session.connected(Settings.of_url(f"{url}{root}"), SCHEMA).server
    assert found.pgconn.ssl_in_use
    assert found.execute("SHOW search_path").fetchone() == (SCHEMA,)
    assert found.execute("SHOW default_transaction_read_only").fetchone() == ("off",)
    found.close()
    assert "certificate verify failed" in refused(f"{url}{root.replace('ca.pem', 'other.pem')}")
    assert "certificate verify failed" in refused(f"{url}?sslmode=verify-full")
    named = url.replace("127.0.0.1", "localhost")
    assert 'does not match host name "localhost"' in refused(f"{named}{root}")
    assert "cannot be used" in refused(f"{url}?sslmode=disable")
    assert "cannot be used" in refused(f"{url}{root}-missing")


def test_the_password_is_proved_and_never_given(proving: tuple[Server, str]) -> None:
    server, url = proving
    root = f"?sslmode=verify-full&sslrootcert={server.folder}/ca.pem"
    assert "password authentication failed" in refused(f"{url.replace(PASSWORD, 'wrong')}{root}")
    # One that wants the password itself is refused, whatever proves it.
    assert "authentication method requirement" in refused(
        f"{url.replace('asked:', 'clear:')}{root}"
    )
    # So is one that lets in whoever has a name, if a password was to be proved.
    trusting = f"postgresql://test:{PASSWORD}@:{server.port}/postgres?host={server.folder}"
    assert "authentication method requirement" in refused(trusting)


def test_a_wait_for_a_standby_that_is_broken_off_is_unsure(
    postgresql_server: Server, connection: Connection, url: str
) -> None:
    """PostgreSQL has committed, warns, and says COMMIT: it may be on no other machine."""
    watching = connect(url)
    with postgresql_server.altered(synchronous_standby_names="nobody"):

        def cancel() -> None:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                found = watching.execute(
                    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity "
                    "WHERE wait_event = 'SyncRep'"
                ).fetchone()
                if found != (0,):
                    return
                time.sleep(0.02)

        thread = threading.Thread(target=cancel)
        thread.start()
        with (
            pytest.raises(DatabaseUnsureError, match="canceling wait"),
            transaction(connection.as_engine(), STORE_SERVER),
        ):
            connection.execute("INSERT INTO t (b) VALUES ('perhaps')")
        thread.join()
    assert rows(watching) == ["perhaps"]
    watching.close()


def test_a_node_that_freezes_with_the_lock_is_ended_and_others_go_on(
    connection: Connection, url: str
) -> None:
    frozen = connect(url)
    frozen.define("SET idle_in_transaction_session_timeout = '100ms'")
    frozen.execute("BEGIN IMMEDIATE")
    frozen.execute("INSERT INTO t (b) VALUES ('never')")
    began = time.monotonic()
    with changing(connection):
        connection.execute("INSERT INTO t (b) VALUES ('went on')")
    assert time.monotonic() - began < 5
    with pytest.raises(engine.OperationalError) as error:
        frozen.execute("INSERT INTO t (b) VALUES ('too late')")
    assert is_condemned(error.value)
    assert rows(connection) == ["went on"]


def test_a_statement_that_takes_too_long_is_busy_and_the_connection_goes_on(
    connection: Connection,
) -> None:
    connection.define("SET statement_timeout = '50ms'")
    with pytest.raises(engine.OperationalError, match="statement timeout") as error:
        connection.execute("SELECT pg_sleep(5)")
    assert error.value.sqlite_errorcode == engine.BUSY
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_full_disk_and_damage_are_told_as_such(connection: Connection) -> None:
    for state, code in {
        "53100": engine.FULL,
        "XX001": engine.CORRUPT,
        "58030": engine.IOERR,
    }.items():
        with pytest.raises(engine.OperationalError) as error:
            connection.define(
                f"DO $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END $$"
            )
        assert error.value.sqlite_errorcode == code
