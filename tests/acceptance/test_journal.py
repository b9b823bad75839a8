"""The journal of a real node: on from the first call, kept over kills, out of everybody's reach."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from casemate.journal.note import parse_key
from casemate.journal.proof import parse_proof, proves
from casemate.model.processes import GATEWAY_UID, RECORDER_UID
from support.cli import casemate
from support.node import TestNode

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("node") / "data").start()
    node.deploy("def handler(event, context):\n    return event\n")
    yield node
    node.close()


def ask(node: TestNode, method: str, path: str, **rest: Any) -> httpx2.Response:
    headers = {"authorization": f"Bearer {node.key}"}
    return node.client.request(method, f"{node.url}/api/v1{path}", headers=headers, **rest)


def entries(node: TestNode, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    before = None
    while True:
        asked = {**query, "limit": 1000} | ({} if before is None else {"before": before})
        page = node.get("/journal", **asked)
        found += page["entries"]
        before = page["before"]
        if before is None:
            return found


def add_token(node: TestNode, name: str) -> int:
    body = {"name": name, "roles": ["invoker"]}
    try:
        return ask(node, "POST", "/tokens", json=body).status_code
    except httpx2.HTTPError:
        return 0


def test_what_happens_is_recorded_without_being_asked_for(node: TestNode) -> None:
    assert node.invoke({"n": 1}).status_code == 200
    wrong = {"authorization": "Bearer cm_wrong"}
    assert node.client.get(f"{node.url}/api/v1/functions", headers=wrong).status_code == 401
    node.wait_until(lambda: entries(node, kind="InvocationEnded", project="t"))
    kinds = {each["event"]["metadata"]["event_code"] for each in entries(node)}
    assert {"VersionDeployed", "OperationPerformed", "InvocationEnded", "Denial"} <= kinds
    [deployed] = entries(node, kind="VersionDeployed", project="t", function="f")
    assert deployed["event"]["resources"][0]["name"] == "t/f"
    refused = node.client.get(f"{node.url}/api/v1/journal", params={"kind": "InvocationEnds"})
    assert refused.status_code == 404 and "such as InvocationEnded" in refused.text
    denied = entries(node, kind="Denial", search="not valid")
    assert denied[0]["event"]["src_endpoint"]["ip"] == "127.0.0.1"


@pytest.mark.parametrize("sign", ["\x01", "\x7f", '"', "\\", "\n", "é", "😀"])
def test_no_text_that_is_searched_for_ends_the_recorder(node: TestNode, sign: str) -> None:
    """In JSON a control character is six: more of them than the recorder takes ended it."""
    ended = node.errors.read_text().count("the recorder has ended")
    asked = {"search": sign * 256}
    answer = node.client.get(f"{node.url}/api/v1/journal", params=asked)
    assert answer.status_code in (200, 400, 414), answer.text
    assert node.get("/journal", search="VersionDeployed")["entries"]
    assert node.errors.read_text().count("the recorder has ended") == ended


def test_nothing_of_events_or_secrets_is_in_it(node: TestNode) -> None:
    node.invoke({"planted": "PLANTED-EVENT"})
    assert entries(node, search="PLANTED-EVENT") == []
    assert entries(node, search=node.key) == []
    data = b"".join(
        file.read_bytes() for file in (node.data / "journal").rglob("*") if file.is_file()
    )
    for text in (b"PLANTED-EVENT", node.key.encode(), b"OperationPerformed", b"127.0.0.1"):
        assert text not in data


def test_who_may_not_read_it_does_not(node: TestNode) -> None:
    made = ask(
        node,
        "POST",
        "/tokens",
        json={"name": "reads-nothing", "roles": ["developer"]},
    ).json()
    headers = {"authorization": f"Bearer {made['text']}"}
    for method, path in (
        ("GET", "/journal"),
        ("GET", "/journal?project=t"),
        ("GET", "/journal/head"),
        ("GET", "/journal/0/proof"),
        ("POST", "/journal/verify"),
    ):
        answer = node.client.request(method, f"{node.url}/api/v1{path}", headers=headers)
        assert answer.status_code == 403, path
    # There is no way to change or delete it.
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        for path in ("/journal", "/journal/0", "/journal/head", "/journal/0/proof"):
            assert ask(node, method, path).status_code in (404, 405)


def test_an_entry_is_proven_to_a_stranger(node: TestNode) -> None:
    time.sleep(1.5)  # until the next checkpoint
    head = node.get("/journal/head")
    proven = node.get("/journal/0/proof")
    entry = base64.b64decode(proven["entry"])
    key = parse_key(head["key"])
    assert proves(parse_proof(proven["proof"]), entry, key)
    assert not proves(parse_proof(proven["proof"]), entry + b"x", key)
    assert ask(node, "GET", "/journal/999999/proof").status_code == 404
    assert ask(node, "POST", "/journal/verify").json()["findings"] == []
    body = {"checkpoints": [head["checkpoint"]]}
    assert ask(node, "POST", "/journal/verify", json=body).json()["findings"] == []
    body = {"checkpoints": [head["checkpoint"].replace("casemate/", "elsewhere/")]}
    assert ask(node, "POST", "/journal/verify", json=body).status_code in (400, 422)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives each process a user of its own")
def test_the_gateway_s_user_reaches_nothing_of_it(node: TestNode) -> None:
    journal = node.data / "journal"
    assert {file.stat().st_uid for file in journal.rglob("*")} == {RECORDER_UID}
    tries = f"""
import os, sys
os.setgroups([])
os.setresgid({GATEWAY_UID}, {GATEWAY_UID}, {GATEWAY_UID})
os.setresuid({GATEWAY_UID}, {GATEWAY_UID}, {GATEWAY_UID})
journal = {str(journal)!r}
for do in (
    lambda: os.listdir(journal),
    lambda: open(journal + "/pending", "ab"),
    lambda: os.unlink(journal + "/checkpoint"),
    lambda: open(journal + "/new", "w"),
):
    try:
        do()
    except PermissionError:
        continue
    sys.exit("it could")
"""
    done = subprocess.run([sys.executable, "-c", tries], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_kills_of_the_recorder_lose_and_double_nothing_that_was_answered(node: TestNode) -> None:
    done = []
    for n in range(24):
        if n % 4 == 1:
            os.kill(node.part("recorder"), signal.SIGKILL)
        if add_token(node, f"kill-{n}") == 201:
            done.append(f"kill-{n}")
        else:
            node.wait_until(lambda: add_token(node, "again") in (201, 409), 20)
    assert len(done) > 12
    found = Counter(
        each["event"]["unmapped"]["resource"] + each["event"]["metadata"]["uid"]
        for each in entries(node, kind="OperationPerformed", search="addToken")
    )
    assert max(found.values()) == 1
    assert sum(found.values()) >= len(done)
    assert ask(node, "POST", "/journal/verify").json()["findings"] == []


@pytest.mark.storm
def test_a_recorder_that_hangs_is_replaced(node: TestNode) -> None:
    hanging = node.part("recorder")
    os.kill(hanging, signal.SIGSTOP)
    try:
        node.wait_until(lambda: add_token(node, f"hang-{time.time_ns()}") == 201, 30)
        node.wait_until(lambda: node.part("recorder") not in (None, hanging), 30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(hanging, signal.SIGKILL)
    assert node.invoke({"n": 1}).status_code == 200


def test_the_commands_show_and_verify_it(node: TestNode, tmp_path: Path) -> None:
    def cli(*arguments: str) -> str:
        done = casemate(node, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "t/f" in cli("journal", "search", "--kind", "VersionDeployed")
    assert "as they were written" in cli("journal", "verify")
    kept = tmp_path / "kept.txt"
    kept.write_text(cli("journal", "head"))
    assert "as they were written" in cli("journal", "verify", "--checkpoint", str(kept))
    cli("journal", "prove", "0", "--out", str(tmp_path / "one"))
    assert (tmp_path / "one.tlog-proof").read_text().startswith("c2sp.org/tlog-proof@v1\nindex 0\n")
    (tmp_path / "full.entry").symlink_to("/dev/full")
    full = casemate(node, "journal", "prove", "0", "--out", str(tmp_path / "full"))
    # Before: `None cannot be written`.
    assert full.returncode == 1
    assert "full.entry cannot be written: No space left" in " ".join(full.stderr.split())
    lines = cli("journal", "export", "--kind", "VersionDeployed").splitlines()
    assert all('"class_uid":6002' in line for line in lines)
    assert lines
    first, *rows = cli("journal", "export", "--format", "csv").splitlines()
    assert first == "index,at,severity,what,who,from,times,id,on"
    assert any(row.endswith(",t/f") for row in rows)
    assert '"event_code": "' in cli("journal", "show", "0")


def test_an_edited_journal_is_found_and_not_gone_on_with(tmp_path: Path) -> None:
    node = TestNode(tmp_path / "data").start()
    try:
        for n in range(3):
            assert add_token(node, f"t{n}") == 201
        time.sleep(1.5)
        key = node.get("/journal/head")["key"]
        node.stop()
        pending = node.data / "journal" / "pending"
        data = bytearray(pending.read_bytes())
        data[60] ^= 1
        pending.write_bytes(data)
        done = casemate(node, "journal", "verify", "--data", str(node.data), "--key", key)
        assert done.returncode == 1
        assert "pending" in done.stdout
        with pytest.raises(RuntimeError, match="did not start"):
            node.start()
        assert "was changed at entry 0" in node.errors.read_text()
        arguments = node.arguments
        node.arguments = (*arguments, "--accept-loss", "journal")
        node.start()
        assert list((node.data / "journal").glob("damaged-*/pending"))
        node.arguments = arguments
        assert add_token(node, "t9") == 201
        # What the node tells of its own may be newer.
        told = [each["event"]["unmapped"].get("operation") for each in entries(node)]
        assert "addToken" in told
    finally:
        node.close()


@pytest.mark.storm
def test_a_journal_that_is_gone_is_missed(tmp_path: Path) -> None:
    node = TestNode(tmp_path / "data").start()
    try:
        assert add_token(node, "t0") == 201
        node.stop()
        for file in (node.data / "journal").iterdir():
            if file.is_file():
                file.unlink()
        with pytest.raises(RuntimeError, match="did not start"):
            node.start()
        assert "its files are gone" in node.errors.read_text()
    finally:
        node.close()
