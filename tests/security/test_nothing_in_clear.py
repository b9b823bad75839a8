"""What was planted everywhere is found nowhere in clear: not on disk, not in a log or a backup.

A secret is not even in the memory of any process of the node but the vault. What passes through
the gateway (events, answers) is in its memory while it passes, and in freed memory for a while.
"""

from __future__ import annotations

import base64
import io
import os
import secrets
import sqlite3
import tarfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.attacks import until
from support.cli import casemate
from support.node import TestNode
from support.processes import bases_of, command, gateway_of, zygotes_of

RESOURCES = """
[bucket.files]
[table.people]
key = "id"
indexes = [{ name = "by-mail", key = "mail" }]
[queue.jobs]
[topic.news]
"""
GRANTS = """
buckets = [{ name = "files", actions = ["read", "write", "list", "delete"] }]
tables = [{ name = "people", actions = ["get", "put", "query"] }]
queues = ["jobs"]
topics = ["news"]
secrets = ["api-key", "quiet-key"]
egress = [{ host = "api.example.com" }]
"""
SOURCE = '''
"""{in-code}"""
import logging, os
def handler(event, context):
    value = context.secret("api-key")
    assert len(context.secret("quiet-key")) > 10
    if event.get("fail"):
        print("about to fail")
        raise ValueError("{in-error}" + value)
    print("{in-output}", value)
    logging.getLogger("x").warning("{in-log}")
    context.log.info("{in-context-log}") if hasattr(context.log, "info") else None
    files = context.bucket("files")
    files.put("{in-key}", "{in-object}" * 3, metadata={"x": "{in-metadata}"})
    files.put("large", b"{in-large-object}" * 20000)
    files.put("deleted", "{in-deleted-object}")
    files.delete("deleted")
    people = context.table("people")
    people.put({"id": "{in-item-key}", "mail": "{in-index}", "text": "{in-item}"})
    context.queue("jobs").send({"text": "{in-message}"})
    context.topic("news").publish({"text": "{in-news}"})
    assert files.get("{in-key}")
    return {"answer": "{in-answer}", "environment": os.environ["PLANTED"]}
'''
PLACES = [
    "in-code", "in-error", "in-output", "in-log", "in-context-log", "in-key", "in-object",
    "in-metadata", "in-large-object", "in-deleted-object", "in-item-key", "in-index", "in-item",
    "in-message", "in-news", "in-answer", "in-event", "in-environment", "in-secret", "in-header",
    "in-query", "in-quiet-secret",
]  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """A node through which every value has gone, and the values."""

    node: TestNode
    values: dict[str, bytes]

    def found_in(self, content: bytes) -> set[str]:
        """Return which of the values are there: as they are, or in base64 or hexadecimal."""
        return {
            place
            for place, value in self.values.items()
            if any(form in content for form in _forms(value))
        }


def _forms(value: bytes) -> list[bytes]:
    # The middle of a base64 text depends on where it begins: three ways.
    encoded = [base64.b64encode(bytes(shift) + value)[4 + 4 : -4] for shift in range(3)]
    return [value, value.hex().encode(), value.decode().encode("utf-16-le"), *encoded]


@pytest.fixture(scope="module")
def planted(node: TestNode) -> Iterator[Planted]:
    values = {place: f"z9{secrets.token_hex(12)}".encode() for place in PLACES}
    source = SOURCE
    for place, value in values.items():
        source = source.replace("{" + place + "}", value.decode())
    for name, place in (("api-key", "in-secret"), ("quiet-key", "in-quiet-secret")):
        done = casemate(node, "secrets", "set", f"t/{name}", stdin=values[place].decode())
        assert done.returncode == 0, done.stderr
    environment = f'[function.f.environment]\nPLANTED = "{values["in-environment"].decode()}"'
    node.deploy(source, grants=GRANTS, resources=RESOURCES + environment, approve=True)
    for _ in range(3):
        answer = node.invoke(
            {"text": values["in-event"].decode()},
            headers={"x-planted": values["in-header"].decode()},
            params={"q": values["in-query"].decode()},
        )
        assert answer.status_code == 200, node.error(answer)
        assert values["in-answer"] in answer.content
    assert node.invoke({"fail": True}).status_code == 500
    assert until(lambda: values["in-output"].decode() in _logs(node))
    yield Planted(node, values)


def _logs(node: TestNode) -> str:
    return node.client.get(f"{node.url}/api/v1/logs?project=t").text


def _layers(content: bytes) -> Iterator[bytes]:
    """Yield a file's content, and what is in it if it is compressed or an archive."""
    yield content
    if content[:2] == b"\x1f\x8b":
        yield zlib.decompressobj(31).decompress(content)
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                if (file := archive.extractfile(member)) is not None:
                    yield member.name.encode()
                    yield from _layers(file.read())
    except tarfile.TarError:
        return


def test_the_search_finds_what_is_there(planted: Planted) -> None:
    """Or the tests below would prove nothing."""
    for place, value in planted.values.items():
        for content in (value, b"xy" + base64.b64encode(b"x" + value), value.hex().encode()):
            assert planted.found_in(content) == {place}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("x")
        member.size = len(planted.values["in-code"])
        archive.addfile(member, io.BytesIO(planted.values["in-code"]))
    assert any(planted.found_in(layer) for layer in _layers(packed.getvalue()))


def test_the_data_folder_holds_nothing_in_clear(planted: Planted) -> None:
    # Written behind: give it the time to be.
    time.sleep(0.5)
    files = [path for path in planted.node.data.rglob("*") if path.is_file()]
    assert len(files) >= 4
    for path in files:
        assert planted.found_in(path.name.encode()) == set(), path
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # a part of the journal's tree that is a whole one by now
            continue
        for layer in _layers(content):
            assert planted.found_in(layer) == set(), path


def test_no_database_opens_without_its_key(planted: Planted) -> None:
    databases = [p for p in planted.node.data.rglob("*") if p.suffix in (".db", ".sqlite")]
    opened = []
    for path in databases:
        with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as connection:
            try:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                opened.append(path)
            except sqlite3.DatabaseError:
                continue
    assert opened == []


def test_nothing_is_left_in_temporary_folders(planted: Planted) -> None:
    """What the node unpacks is in memory, and closed to other users."""
    for pid in planted.node.processes():
        for name in ("environ", "cmdline"):
            try:
                content = Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:
                continue
            # A zygote's own environment is changed in its memory, not where the kernel shows it.
            assert planted.found_in(content) == set(), (pid, name)


def test_a_backup_holds_nothing_in_clear(planted: Planted, tmp_path: Path) -> None:
    file = tmp_path / "node.tar"
    done = casemate(planted.node, "backup", str(file))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_size > 10_000
    for layer in _layers(file.read_bytes()):
        assert planted.found_in(layer) == set()


def test_the_nodes_own_log_holds_nothing(planted: Planted) -> None:
    content = planted.node.errors.read_bytes()
    assert content
    assert planted.found_in(content) == set()


def test_the_secret_is_in_no_record(planted: Planted) -> None:
    """What owners can read holds what the function printed, but not the secret."""
    seen = _logs(planted.node)
    for path in ("/invocations", "/denials", "/functions", "/functions/t/f", "/secrets"):
        seen += planted.node.client.get(f"{planted.node.url}/api/v1{path}").text
    found = planted.found_in(seen.encode())
    assert "in-output" in found
    assert not found & {"in-secret", "in-quiet-secret"}


# -- memory ------------------------------------------------------------------------------------


def _memory(pid: int) -> Iterator[bytes]:
    """Yield the readable memory of a process, piece by piece, each with the end of the last."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            place, rights, _, _, _, *name = line.split(maxsplit=5)
            if "r" not in rights or (name and name[0].startswith("[v")):
                continue
            start, end = (int(x, 16) for x in place.split("-"))
            last = b""
            for at in range(start, end, 1 << 22):
                try:
                    piece = os.pread(memory.fileno(), min(1 << 22, end - at), at)
                except OSError:
                    break
                yield last + piece
                last = piece[-100:]


def _holding(node: TestNode, value: bytes) -> set[str]:
    """Return which processes of the node hold a value in their memory."""
    assert node.process is not None
    supervisor = node.process.pid
    names = {supervisor: "supervisor", gateway_of(supervisor): "gateway"}
    names |= dict.fromkeys(bases_of(supervisor), "base")
    names |= dict.fromkeys(zygotes_of(supervisor), "zygote")
    found = set()
    for pid in node.processes():
        text = " ".join(command(pid))
        name = names.get(pid) or next(
            (n for n in ("vault", "egress") if f"casemate.{n}" in text), "instance"
        )
        try:
            if any(value in piece for piece in _memory(pid)):
                found.add(name)
        except OSError:
            continue  # ended meanwhile
    return found


OF_THE_FUNCTION = ("zygote", "instance")
"""They hold the code, and so the constants of it that are planted."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root reads others' memory")


@needs_root
def test_the_secret_is_in_the_memory_of_the_vault_alone(planted: Planted) -> None:
    """Neither in the supervisor, gateway, egress proxy, any zygote, nor a fresh spare."""
    kinds = {" ".join(command(pid)) for pid in planted.node.processes()}
    assert any("casemate.vault" in text for text in kinds)
    assert any("casemate.egress" in text for text in kinds)
    assert _holding(planted.node, planted.values["in-quiet-secret"]) <= {"vault"}
    # One that a function prints passes the gateway on its way to be redacted, as a payload does.
    assert _holding(planted.node, planted.values["in-secret"]) <= {"vault", "gateway"}


@needs_root
def test_the_reader_of_memory_finds_what_is_there(planted: Planted) -> None:
    """The code is in its zygote and in each instance: or the test above would prove nothing."""
    assert "zygote" in _holding(planted.node, planted.values["in-code"])


@needs_root
@pytest.mark.parametrize(
    ("place", "passing"),
    [
        ("in-event", {"gateway"}),  # no zygote and no fresh spare has ever seen an event
        ("in-header", {"gateway"}),
        ("in-object", {"gateway", *OF_THE_FUNCTION}),
        ("in-item", {"gateway", *OF_THE_FUNCTION}),
        # The vault looks for the secrets in what is answered and logged.
        ("in-answer", {"gateway", "vault", *OF_THE_FUNCTION}),
        ("in-output", {"gateway", "vault", *OF_THE_FUNCTION}),
    ],
)
def test_payloads_are_in_no_process_that_has_no_part_in_them(
    planted: Planted, place: str, passing: set[str]
) -> None:
    """What passes through the gateway stays in its freed memory for a while."""
    assert _holding(planted.node, planted.values[place]) <= passing
