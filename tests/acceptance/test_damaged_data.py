"""A file of the data folder is cut off or emptied: a clear refusal, and nothing lost.

Whatever the node says, once the file is back as it was everything is there.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.node import TestNode

KEEPER = """
def handler(event, context):
    files, people = context.bucket("files"), context.table("people")
    if event == "write":
        files.put("large", b"l" * 200_000)
        files.put("small", b"s")
        people.put({"id": "ada", "text": "kept"})
    return [
        len(files.get("large")), len(files.get("small")), people.get("ada").value["text"],
        len(context.secret("api-key")),
    ]
"""
GRANTS = """
buckets = [{ name = "files", actions = ["read", "write"] }]
tables = [{ name = "people", actions = ["get", "put"] }]
secrets = ["api-key"]
"""
RESOURCES = '[bucket.files]\n[table.people]\nkey = "id"\n'
EXPECTED = [200_000, 1, "kept", 28]
FILES = {
    "vault": "vault/vault.sealed",
    "secret": "vault/*.secret",
    "store": "store/records.db",
    "project": "data/*.db",
    "object": "data/objects/t/*",
    "bundle": "bundles/*",
}
"""What each kind of file is called, below the data folder."""
DAMAGE: dict[str, Callable[[Path, bytes], Any]] = {
    "cut": lambda path, content: path.write_bytes(content[: len(content) * 2 // 3]),
    "emptied": lambda path, content: path.write_bytes(b""),
}
"""Changed bits are for the tests of each part."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A stopped node with something of every kind in its folder."""
    node = TestNode(tmp_path_factory.mktemp("damaged") / "data").start()
    done = casemate(node, "secrets", "set", "t/api-key", stdin="correct horse battery staple")
    assert done.returncode == 0, done.stderr
    node.deploy(KEEPER, grants=GRANTS, resources=RESOURCES, approve=True)
    answer = node.invoke("write")
    assert answer.json() == EXPECTED, node.error(answer)
    node.stop()
    yield node
    node.close()


def _started(node: TestNode) -> bool:
    """Start the node; if it refuses, see that it says why and what to do."""
    node.errors.write_text("")
    failed = threading.Timer(40.0, lambda: node.process and node.process.kill())
    failed.start()
    try:
        node.start()
    except RuntimeError as error:
        said = str(error)
        assert "Traceback" not in said
        assert "Error: " in said and "Next: " in said, said
        assert "unexpected" not in said, said
        assert node.process is not None and node.process.stdout is not None
        try:
            node.process.wait(30)
        except subprocess.TimeoutExpired:
            node.process.kill()
            raise
        node.process.stdout.close()
        node.process = None
        return False
    finally:
        failed.cancel()
    return True


@pytest.mark.parametrize("how", ["cut", pytest.param("emptied", marks=pytest.mark.storm)])
@pytest.mark.parametrize(
    "what",
    [
        one if one in ("vault", "project", "bundle") else pytest.param(one, marks=pytest.mark.storm)
        for one in FILES
    ],
)
def test_damage_is_refused_and_nothing_is_lost(kept: TestNode, what: str, how: str) -> None:
    node = kept
    files = [path for path in node.data.glob(FILES[what]) if path.is_file()]
    assert files, sorted(str(p.relative_to(node.data)) for p in node.data.rglob("*"))
    whole = {path: path.read_bytes() for path in files}
    for path, content in whole.items():
        DAMAGE[how](path, content)
    if _started(node):
        assert what not in ("vault", "store"), "without these nothing can be known"
        answer = node.invoke("read")
        assert answer.status_code >= 500, answer.text
        assert set(answer.json()) >= {"error_id"}
        assert str(node.data) not in answer.text, "a caller learns no path"
        node.stop()
    for path, content in whole.items():
        path.write_bytes(content)
    assert _started(node), node.errors.read_text()
    answer = node.invoke("read")
    assert answer.json() == EXPECTED, node.error(answer)
    node.stop()


@pytest.mark.storm
@pytest.mark.parametrize("what", [*FILES, "count"])
def test_no_flipped_bit_is_served(kept: TestNode, what: str) -> None:
    """At any place of any file: what is answered is what was kept, or that it is not to be had."""
    node = kept
    chosen = random.Random(what)
    for _ in range(10):
        pattern = {"count": "*/*-count"}.get(what) or FILES[what]
        path = chosen.choice([p for p in sorted(node.data.glob(pattern)) if p.is_file()])
        whole = node.data.with_name("whole")
        subprocess.run(["cp", "-a", node.data, whole], check=True)
        damaged = bytearray(path.read_bytes())
        damaged[chosen.randrange(len(damaged))] ^= 1 << chosen.randrange(8)
        path.write_bytes(damaged)
        if _started(node):
            answer = node.invoke("read")
            assert answer.status_code >= 500 or answer.json() == EXPECTED, (path, answer.text)
            node.stop()
        # All of it: a store without a start that the rest has seen is an older copy, and refused.
        shutil.rmtree(node.data)
        whole.rename(node.data)
        assert _started(node), node.errors.read_text()
        assert node.invoke("read").json() == EXPECTED
        node.stop()
