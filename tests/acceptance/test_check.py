"""`casemate check` reads everything, of a node that runs and of one that has stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.node import TestNode

KEEPER = """
def handler(event, context):
    files = context.bucket("files")
    for number in range(40):
        files.put(f"small-{number}", b"s" * 3000)
    files.put("large", b"l" * 400_000)
    return "kept"
"""
GRANTS = """
buckets = [{ name = "files", actions = ["write"] }]
secrets = ["api-key"]
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("check") / "data").start()
    done = casemate(node, "secrets", "set", "t/api-key", stdin="correct horse battery staple")
    assert done.returncode == 0, done.stderr
    for project in ("t", "u"):
        if project == "u":
            casemate(node, "secrets", "set", "u/api-key", stdin="another horse battery staple")
        node.deploy(
            KEEPER, project=project, grants=GRANTS, resources="[bucket.files]", approve=True
        )
        assert node.invoke(1, function=f"{project}/f").json() == "kept"
    yield node
    node.close()


def check_folder(node: TestNode, data: Path) -> tuple[int, Any]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "casemate.cli.main", "check", "--json"),
            *("--data", str(data), "--master-key", f"file:{node.master_key}"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    if done.stdout:  # what is as it was written is not all that there is
        assert "Not read: the journal and the records" in done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def flip(path: Path, part: float = 0.5) -> None:
    with path.open("r+b") as file:
        at = int(path.stat().st_size * part)
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def test_a_node_that_runs_and_one_that_has_stopped(node: TestNode, tmp_path: Path) -> None:
    done = casemate(node, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all is as it was written: 7 places" in done.stdout
    code, said = check_folder(node, node.data)
    assert code == 1 and "open in another process" in said, "a node has it"

    def whole(name: str) -> Path:
        copy = tmp_path / name
        subprocess.run(["cp", "-a", str(node.data), str(copy)], check=True)
        return copy

    # Found while it runs, named to the operator, and in the log.
    (large,) = (node.data / "data" / "objects" / "t").iterdir()
    kept = large.read_bytes()
    flip(large)
    done = casemate(node, "check", "--json")
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["place"] == "data/t"
    assert "of bucket files: Chunk 3 of an object's file is not authentic" in finding["problem"]
    assert (finding["kind"], finding["name"], finding["key"]) == ("bucket", "files", "large")
    assert "the check of data/t has found" in node.errors.read_text()
    assert "key large" not in node.errors.read_text()
    assert "bucket:t/files, key large" in casemate(node, "check").stdout
    large.write_bytes(kept)
    assert casemate(node, "check").returncode == 0

    node.stop()
    code, report = check_folder(node, whole("whole"))
    assert (code, report["findings"], report["places"]) == (0, [], 6)

    damaged = whole("damaged")
    (large,) = (damaged / "data" / "objects" / "t").iterdir()
    large.unlink()
    flip(damaged / "data" / "u@1.db")
    flip(damaged / "store" / "records.db", 0.6)
    flip(sorted((damaged / "bundles").iterdir())[0])
    sorted((damaged / "bundles").iterdir())[1].unlink()
    flip(sorted((damaged / "vault").glob("*.secret"))[0])
    (damaged / "node.json").write_bytes(b"")
    code, report = check_folder(node, damaged)
    assert code == 1
    found = {finding["place"].partition("/")[0]: "" for finding in report["findings"]}
    text = "\n".join(f"{f['place']}: {f['problem']}" for f in report["findings"])
    assert set(found) == {"node", "store", "data", "bundles", "vault"}, text
    assert "node.json, which says which node this is" in text and "Delete it" in text
    assert "data/t: object " in text and "its file is gone" in text
    assert "large" in [f["key"] for f in report["findings"]]
    assert "needs it)" in text, "a damaged bundle is named with its version"
    assert "data/u: page " in text
    assert "it is gone; " in text

    sealed = whole("sealed")
    flip(sealed / "vault" / "vault.sealed", 0.9)
    code, said = check_folder(node, sealed)
    assert code == 1 and "vault.sealed fails its check" in said

    shutil.rmtree(sealed)
    gone = whole("gone")
    (gone / "data" / "t@1.db").unlink()
    (gone / "store" / "records.db").unlink()
    code, report = check_folder(node, gone)
    assert code == 1
    assert "records.db is gone" in report["findings"][0]["problem"]
    assert not (gone / "store" / "records.db").exists(), "nothing is made"
    node.start()
