"""`casemate backup` and `restore`: all or nothing, nobody else's to read."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from casemate.backup.archive import END, BackupError, Entry, Manifest, encode, header, padding
from casemate.backup.restore import restore
from casemate.cli.client import NodeClient
from casemate.cli.commands.backup import receive
from casemate.cli.credentials import Credentials
from casemate.cli.errors import CommandError, DeniedError, UnreachableError, UsageError
from casemate.cli.terminal import Progress

FILES = {"store/records.db": b"s" * 300_000, "vault/vault.sealed": b"v"}


def archive() -> bytes:
    entries = tuple(
        Entry(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in FILES.items()
    )
    text = encode(Manifest(format=1, created_at=1.0, version="1", files=entries))
    parts = [header("manifest.json", len(text)), text, padding(len(text))]
    for name, data in FILES.items():
        parts += [header(name, len(data)), data, padding(len(data))]
    return b"".join([*parts, END])


class Node(HTTPServer):
    status = 200
    body = b""
    declared: int | None = None


class _Handler(BaseHTTPRequestHandler):
    server: Node

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("content-length", str(self.server.declared or len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def node() -> Iterator[Node]:
    server = Node(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def fetch(node: Node, file: Path, *, replace: bool = False) -> tuple[Manifest, str, int]:
    url = f"http://127.0.0.1:{node.server_address[1]}"
    with NodeClient(Credentials(url=url, key=None)) as client:
        return receive(client, file, Progress(), replace=replace)


def test_a_backup_is_fetched_whole_private_and_can_be_restored(node: Node, tmp_path: Path) -> None:
    node.body = archive()
    manifest, digest, size = fetch(node, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_bytes() == node.body
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    assert (digest, size) == (hashlib.sha256(node.body).hexdigest(), len(node.body))
    assert [e.name for e in manifest.files] == list(FILES)
    assert [p.name for p in tmp_path.iterdir()] == ["b.tar"]
    restore(tmp_path / "b.tar", tmp_path / "node", manifest)
    assert (tmp_path / "node" / "store" / "records.db").read_bytes() == FILES["store/records.db"]


@pytest.mark.parametrize("replace", [False, True])
def test_damage_on_the_way_leaves_what_was_there(node: Node, tmp_path: Path, replace: bool) -> None:
    if replace:
        (tmp_path / "b.tar").write_bytes(b"older")
    data = bytearray(archive())
    data[100_000] ^= 1
    node.body = bytes(data)
    with pytest.raises(BackupError, match="hash"):
        fetch(node, tmp_path / "b.tar", replace=replace)
    assert [p.name for p in tmp_path.iterdir()] == (["b.tar"] if replace else [])
    if replace:
        assert (tmp_path / "b.tar").read_bytes() == b"older"


def test_a_connection_that_breaks_leaves_nothing(node: Node, tmp_path: Path) -> None:
    node.body, node.declared = archive()[:100_000], len(archive())
    with pytest.raises(UnreachableError):
        fetch(node, tmp_path / "b.tar")
    node.declared = None
    with pytest.raises(BackupError, match="cut short"):
        fetch(node, tmp_path / "b.tar")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "kind"), [(403, DeniedError), (429, CommandError), (503, CommandError)]
)
def test_a_refusal_is_an_error(
    node: Node, tmp_path: Path, status: int, kind: type[CommandError]
) -> None:
    node.status, node.body = status, b"{}"
    with pytest.raises(kind):
        fetch(node, tmp_path / "b.tar")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_replaced_only_if_asked(node: Node, tmp_path: Path) -> None:
    node.body = archive()
    (tmp_path / "b.tar").write_bytes(b"mine")
    with pytest.raises(UsageError):
        fetch(node, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_bytes() == b"mine"
    fetch(node, tmp_path / "b.tar", replace=True)
    assert (tmp_path / "b.tar").read_bytes() == node.body
    assert [p.name for p in tmp_path.iterdir()] == ["b.tar"]


def test_a_restore_says_that_what_was_revoked_since_is_back(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(archive())
    line = ("restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "node"))
    refused = cli(*line)
    assert refused.code == 1 and not (tmp_path / "node").exists()
    assert "has no signature" in refused.err
    name = re.search(r"--accept-loss (backup/[0-9a-f]{16})", " ".join(refused.err.split()))
    assert name is not None
    assert cli(*line, "--accept-loss", "backup/0123456789abcdef").code == 1
    done = cli(*line, "--accept-loss", name[1])
    assert done.code == 0, done.err
    assert "not at all, which was accepted by its name" in done.out
    said = " ".join(done.err.split())
    assert "what was revoked, removed or changed since is back" in said
    for held in ("quarantine", "restrict", "exception", "invitation", "events", "hook", "budget"):
        assert held in said, held
    assert "casemate tokens ls" in said


@pytest.mark.parametrize("words", [("check", "--backup"), ("restore", "--data", "new")])
def test_what_is_no_file_is_no_backup(cli: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Whoever can write where backups are kept had `check` wait at a pipe without end."""
    os.mkfifo(tmp_path / "pipe.tar")
    command, *rest = words
    places = [str(tmp_path / each) if each == "new" else each for each in rest]
    ran = cli(command, *places, str(tmp_path / "pipe.tar"), "--master-key", f"file:{tmp_path}/key")
    assert ran.code == 2 and "There is no file" in ran.err
