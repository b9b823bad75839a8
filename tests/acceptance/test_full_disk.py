"""The node's disk fills up: changes are refused clearly, calls go on, nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bundles import deploy, make_bundle, upload
from support.node import TestNode

MIB = 1024 * 1024
DISK = 48 * MIB
KEEPER = """
def handler(event, context):
    print("begins")
    files = context.bucket("files")
    if event:
        files.put(event, b"x" * 200_000)
    return files.get("first")[:1].decode()
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[TestNode]:
    """A node whose data is on a disk of its own, of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if os.geteuid() != 0 or mounted.returncode != 0:
        pytest.skip("only who may mount can make a small disk")
    node = TestNode(disk / "data", "--master-key", f"file:{tmp_path}/small.key")
    node.errors = tmp_path / "stderr"
    try:
        yield node.start()
    finally:
        node.close()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(node: TestNode) -> Path:
    """Take all that is left of the disk."""
    filler = node.data.parent / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(64 * 1024)):
                pass
        except OSError:
            pass
    return filler


def test_a_full_disk_refuses_changes_and_loses_nothing(small: TestNode) -> None:
    node = small
    node.deploy(
        KEEPER,
        grants='buckets = [{ name = "files", actions = ["read", "write"] }]',
        resources="[bucket.files]\n",
        approve=True,
    )
    assert node.invoke("first").json() == "x"
    other = make_bundle(KEEPER, name="other")
    filler = fill(node)

    for what, answer in {
        "upload": upload(node, other.digest, other.archive()),
        "object": node.invoke("second"),
    }.items():
        assert answer.status_code >= 500, what
        assert str(node.data) not in answer.text, "a caller learns no path"
    token = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "x" * 60, "roles": ["owner"]}
    )
    assert token.status_code in (201, 503), token.text
    assert node.invoke("").json() == "x", "what needs no room goes on"
    assert [f["name"] for f in node.get("/functions")["functions"]] == ["f"]

    filler.unlink()
    assert upload(node, other.digest, other.archive()).status_code == 201
    assert deploy(node, other).status_code == 201
    assert node.invoke("second").json() == "x"
    node.stop(9)
    node.start()
    assert node.invoke("").json() == "x"
    tokens = [t["name"] for t in node.get("/tokens")["tokens"]]
    # What could be done and not be recorded is answered with 503, and with that.
    done = token.status_code == 201 or "It was done" in token.text
    assert ("x" * 60 in tokens) == done, "what was answered is what holds"


def test_what_cannot_be_recorded_does_not_run_and_says_why(small: TestNode) -> None:
    node = small
    node.deploy("def handler(event, context):\n    print(event)\n    return event\n")
    before = node.invoke("before")
    assert before.status_code == 200
    filler = fill(node)
    answered = {"before": before.headers["x-request-id"]}
    number = 0

    def refused() -> bool:
        nonlocal number
        number += 1
        answer = node.invoke(f"call-{number}")
        if answer.status_code == 200:
            answered[f"call-{number}"] = answer.headers["x-request-id"]
        return answer.status_code == 503

    node.wait_until(refused, 40)

    def told(*names: str) -> str:
        parts = node.get("/node/health")["parts"]
        return " ".join(p["detail"] for p in parts if p["name"] in names and not p["ok"])

    # The parts are looked at every five seconds.
    words = ("full", "space", "not be kept")
    node.wait_until(lambda: any(w in told("journal", "records") for w in words), 30)
    filler.unlink()
    node.wait_until(lambda: not refused(), 40)
    assert [
        e for e, each in answered.items() if node.get(f"/invocations/{each}")["id"] != each
    ] == []
    lines = node.client.get(f"{node.url}/api/v1/logs", params={"limit": 10_000}).text
    texts = Counter(json.loads(line)["text"] for line in lines.splitlines())
    # What is printed gives way to what must be recorded, and that is said.
    missing = [event for event in answered if texts[event] != 1]
    assert all(texts[event] == 0 for event in missing)
    assert not missing or "could not be kept" in told("records")
    # What is over keeps no load balancer from sending it calls.
    node.wait_until(lambda: told("journal") == "", 30)


@pytest.mark.storm
def test_a_start_on_a_full_disk_is_refused_or_serves_and_the_next_one_has_everything(
    small: TestNode,
) -> None:
    node = small
    node.deploy("def handler(event, context):\n    return event\n")
    node.stop()
    filler = fill(node)
    try:
        node.start()
    except RuntimeError as error:
        assert "Traceback" not in str(error)
        assert "space" in str(error) or "room" in str(error)
        assert node.process is not None and node.process.stdout is not None
        node.process.wait(30)
        node.process.stdout.close()
        node.process = None
    else:
        assert node.invoke(1).json() == 1
        node.stop()
    filler.unlink()
    node.start()
    assert node.invoke(2).json() == 2
