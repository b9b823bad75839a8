"""The process that fetches a cluster's vault: what it gives, what it may do, and what it cannot."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from casemate.model.errors import UnavailableError
from casemate.model.processes import GATEWAY_UID, STORE_VARIABLE
from casemate.nodes import vault_copy, vault_copy_process
from casemate.nodes.vault_copy import MAX_STATE, FetchConfig, fetch_vault
from casemate.postgresql.settings import Settings
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.shared_vault import StateChange, StoredState
from casemate.vault.folder import MAX_FILE
from support.database import Server
from support.descriptors import descriptors_held, require_none_left

UID = GATEWAY_UID if os.geteuid() == 0 else None
CONTENT = os.urandom(70_000)


def keep(url: str) -> None:
    async def keep() -> None:
        store = PostgresqlStore.open(Settings.of_url(url), cluster="tests")
        state = StoredState(hashlib.sha256(CONTENT).digest(), CONTENT)
        await store.vault_rows().change(StateChange(b"", 1, state, (), ()))
        await store.close()

    asyncio.run(keep())


def fetched(url: str) -> bytes | None:
    descriptor = fetch_vault(url, uid=UID, unproved=False)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_a_node_gets_what_is_there(postgresql_server: Server) -> None:
    name = postgresql_server.database()
    url = f"postgresql://test@127.0.0.1:{postgresql_server.port}/{name}"
    assert fetched(url) is None
    keep(url)
    assert fetched(url) == CONTENT
    # Over a socket of this machine, too.
    postgresql_server.folder.chmod(0o755)
    assert fetched(postgresql_server.url(name)) == CONTENT


def test_it_says_why_there_is_nothing(postgresql_server: Server) -> None:
    before = descriptors_held()
    with pytest.raises(UnavailableError, match="does not exist"):
        fetched(f"postgresql://test@127.0.0.1:{postgresql_server.port}/none")
    require_none_left(before)


def test_it_proves_the_server_and_says_no_password() -> None:
    config = vault_copy.FetchConfig(into=-1, uid=None, unproved=False)
    url = "postgresql://test:secret-word@db.example.com/x?sslmode=disable"
    found = vault_copy_process.fetch(config, url)
    assert found.failure is not None
    assert "does not prove" in found.failure.message
    assert "secret-word" not in repr(found)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("echo nonsense", "ended with code"),
        ("exit 7", "ended with code"),
        ("head -c 100000 /dev/zero", "more than"),
        ("echo '{\"size\": 99999999}'", "99999999 bytes"),
        ("sleep 60", "longer than"),
    ],
)
def test_what_it_says_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, why: str
) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{said}\n")
    program.chmod(0o755)
    monkeypatch.setattr(vault_copy.sys, "executable", str(program))
    monkeypatch.setattr(vault_copy, "FETCH_SECONDS", 1.0)
    with pytest.raises(UnavailableError, match=why):
        fetch_vault("postgresql://a@b/c", uid=None, unproved=False)


def test_the_file_in_memory_cannot_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = vault_copy.FetchConfig(into=0, uid=None, unproved=False)
    grown = []

    def fill(given: vault_copy.FetchConfig, _url: str) -> vault_copy.Fetched:
        for grow in (
            lambda: os.pwrite(given.into, b"x", MAX_STATE + 1),
            lambda: os.ftruncate(given.into, MAX_STATE + 2),
        ):
            with pytest.raises(PermissionError):
                grow()
            grown.append(config)
        return vault_copy.Fetched()

    monkeypatch.setattr(vault_copy, "_run", fill)
    assert fetch_vault("postgresql://a@b/c", uid=None, unproved=False) is None
    assert len(grown) == 2
    assert MAX_STATE == MAX_FILE


CONFINED = """
import ctypes, os, sys
from casemate.child.gateway_confinement import confine
confine({uid}, only_reads=True)
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
assert int(status["CapEff"], 16) == 0 == int(status["CapPrm"], 16), status
assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2", status
if {uid}:
    assert set(status["Uid"].split()) == {{"{uid}"}}, status
for attempt in (
    lambda: open("{folder}/written", "w"),
    lambda: os.unlink("{folder}/there"),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: os.mkdir("{folder}/made"),
):
    try:
        attempt()
    except OSError as error:
        assert error.errno in (1, 13), error
    else:
        raise SystemExit("it was let")
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x10000000) == -1 and ctypes.get_errno() == 1
print("held")
"""


def test_it_can_write_nothing_and_start_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "there").touch()
    code = CONFINED.format(uid=UID, folder=tmp_path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "held\n", done.stderr
    assert (tmp_path / "there").exists()


_UNREAD = """
import os, sys
from casemate.nodes import vault_copy_process
from casemate.nodes.vault_copy import Fetched
vault_copy_process.confine = lambda *_, **__: None
vault_copy_process.fetch = lambda *_: Fetched()
reads, writes = os.pipe()
os.close(reads)
os.dup2(writes, 1)
sys.exit(vault_copy_process.main())
"""


def test_nobody_who_reads_what_it_found_is_no_fault_of_it() -> None:
    """Before: a trace in the log of a node that was killed while it started."""
    config = msgspec.json.encode(FetchConfig(into=0, uid=None, unproved=False)).decode()
    done = subprocess.run(
        [sys.executable, "-c", _UNREAD, config],
        env=os.environ | {STORE_VARIABLE: "postgresql://nobody"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, b"")
