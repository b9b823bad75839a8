"""A data folder with the first schema and unsealed bundles is taken over; nothing stays in clear.

`tests/support/previous_release` holds such a folder as the state before encryption left it: two
functions, the keys of an owner and of a caller, one revoked key, a log and an error. The store of
it is encrypted first; one in clear is refused.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from casemate.model.processes import GATEWAY_UID
from support.node import TestNode, default_risks
from support.sealed_store import encrypt_store

RELEASE = Path(__file__).parents[1] / "support" / "previous_release"
ABOUT = json.loads((RELEASE / "about.json").read_text())
PLANTED = (b"planted-in-the-code", b"planted-in-the-log", b"planted-in-an-error")


def unpack(folder: Path) -> Path:
    with tarfile.open(RELEASE / "data.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    if os.geteuid() == 0:
        for path in (folder / "data", *(folder / "data").rglob("*")):
            os.chown(path, GATEWAY_UID, GATEWAY_UID)
    return folder / "data"


def in_clear(data: Path) -> list[str]:
    """Return the files that hold something planted, or are a database anybody can open."""
    words = (*PLANTED, b"SQLite format 3", b"def handler", ABOUT["error_id"].encode())
    return [
        f"{path.relative_to(data)}: {word.decode()}"
        for path in data.rglob("*")
        if path.is_file()
        for word in words
        if word in path.read_bytes()
    ]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    data = unpack(tmp_path_factory.mktemp("release"))
    assert {line.partition(": ")[2] for line in in_clear(data)} >= {p.decode() for p in PLANTED}
    node = TestNode(data)
    encrypt_store(node)
    node.key = ABOUT["admin"]
    node.start()
    assert node.key == ABOUT["admin"], "there was an owner already: no other is made"
    offered = {".".join(python.split(".")[:2]) for python in node.get("/node")["pythons"]}
    if "3.13" not in offered:
        node.close()
        pytest.skip("the functions of that folder are built for Python 3.13")
    yield node
    node.close()


def test_the_old_admin_key_is_an_owners_token(taken: TestNode) -> None:
    assert taken.get("/whoami")["roles"] == ["owner"]
    assert taken.get("/users") == {"users": []}
    names = {t["name"]: t["roles"] for t in taken.get("/tokens")["tokens"]}
    assert names["caller"] == ["invoker"]


def test_the_functions_answer(taken: TestNode) -> None:
    answer = taken.invoke({"b": 2})
    assert (answer.status_code, answer.json()) == (
        200,
        {"second": True, "length": 24, "event": {"b": 2}},
    )
    assert taken.client.get(f"{taken.url}/old/7").status_code == 200
    assert httpx2.post(f"{taken.url}/invoke/t/open", json={}).json() == "open"
    rolled = taken.client.post(f"{taken.url}/api/v1/functions/t/f/rollback", json={"to": 1})
    assert rolled.status_code == 200, rolled.text
    assert "second" not in taken.invoke({}).json()
    live = {"targets": [{"version": 2, "weight": 100}]}
    moved = taken.client.put(f"{taken.url}/api/v1/functions/t/f/aliases/live", json=live)
    assert moved.status_code == 200, moved.text
    assert taken.invoke({}).json()["second"] is True


def test_an_invoke_key_still_invokes_and_no_more(taken: TestNode) -> None:
    headers = {"authorization": f"Bearer {ABOUT['invoke']}"}
    assert httpx2.post(f"{taken.url}/invoke/t/f", json={}, headers=headers).status_code == 200
    assert httpx2.get(f"{taken.url}/api/v1/users", headers=headers).status_code == 403
    gone = {"authorization": f"Bearer {ABOUT['revoked']}"}
    assert httpx2.post(f"{taken.url}/invoke/t/f", json={}, headers=gone).status_code == 401


def test_the_records_are_there(taken: TestNode) -> None:
    error = taken.get(f"/errors/{ABOUT['error_id']}")
    assert error["message"] == "planted-in-an-error-4711"
    lines = taken.client.get(f"{taken.url}/api/v1/logs?invocation={ABOUT['invocation']}").text
    assert "planted-in-the-log-4711" in lines


def test_nothing_is_left_in_clear(taken: TestNode) -> None:
    assert taken.invoke({}).status_code == 200
    assert in_clear(taken.data) == []
    assert [p.suffix for p in (taken.data / "bundles").iterdir()] == [".sealed"] * 3
    taken.stop()
    assert in_clear(taken.data) == []
    taken.start()
    assert taken.invoke({}).status_code == 200


@pytest.mark.storm
def test_a_first_start_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    node = TestNode(unpack(tmp_path))
    encrypt_store(node)
    node.key = ABOUT["admin"]
    for delay in (0.3, 0.7, 1.0, 1.3):
        _start_and_kill(node, delay)
    node.start()
    try:
        assert node.invoke({}).json()["length"] == 24
        assert node.get(f"/errors/{ABOUT['error_id']}")["type"] == "ValueError"
        assert in_clear(node.data) == []
    finally:
        node.close()


def test_what_cannot_be_sealed_is_kept_and_named(tmp_path: Path) -> None:
    data = unpack(tmp_path)
    bundle = next((data / "bundles").iterdir())
    with (bundle / "code" / "app.py").open("a") as file:
        file.write("# changed")
    node = TestNode(data)
    encrypt_store(node)
    node.start()
    node.close()
    assert (bundle / "code" / "app.py").read_text().endswith("# changed")
    assert f"the bundle {bundle.name} stays as it was" in node.errors.read_text()


def _start_and_kill(node: TestNode, delay: float) -> None:
    """Start the node as `TestNode.start` does, but kill it after `delay` seconds."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "casemate.cli.main", "serve", "--json", "--port", "0"),
            *("--data", str(node.data), "--master-key", f"file:{node.master_key}"),
            *default_risks(),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(delay)
    process.kill()
    process.wait()
    time.sleep(0.3)  # its children end with it
