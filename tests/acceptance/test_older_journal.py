"""Older files in the place of a node's newest ones are refused; a journal's loss is on record."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from casemate.data.starts import MOMENT_SECONDS
from support.node import TestNode
from support.stopped_nodes import put, refusal

pytestmark = pytest.mark.sandbox
SOON = 20.0
KEEPER = """
def handler(event, context):
    if event:
        context.table("people").put({"id": "ada", "text": event})
    return context.table("people").get("ada").value["text"]
"""
GRANTS = 'tables = [{ name = "people", actions = ["get", "put"] }]'
PEOPLE = '[table.people]\nkey = "id"\n'


def _signed(node: TestNode) -> int:
    note = str(node.get("/journal/head")["checkpoint"])
    return int(note.split("\n")[1]) if note else 0


def _token(node: TestNode, name: str) -> None:
    """Have something more on record, and signed."""
    before = _signed(node)
    body = {"name": name, "roles": ["auditor"]}
    assert node.client.post(f"{node.url}/api/v1/tokens", json=body).status_code == 201
    node.wait_until(lambda: _signed(node) > before, SOON)


def test_an_older_journal_is_refused_and_going_on_with_it_is_on_record(tmp_path: Path) -> None:
    """Before: the node went on, and signed over it; where the monitor's was older too, unsaid."""
    node = TestNode(tmp_path / "data")
    old = tmp_path / "old"
    try:
        node.start()
        _token(node, "first")
        node.stop()
        put(node.data, old)
        node.start()
        _token(node, "second")
        node.stop()
        whole = tmp_path / "whole"
        put(node.data, whole)
        # All but the vault are of the same older start: nothing of them tells of another one.
        for parts in (["journal"], ["journal", "monitor"], ["journal", "store", "node.json"]):
            for name in parts:
                if (old / name).is_dir():
                    put(old / name, node.data / name)
                else:
                    shutil.copy2(old / name, node.data / name)
            assert "is an older copy" in refusal(node), parts
            put(whole, node.data)
        for name in ("journal", "monitor"):
            put(old / name, node.data / name)
        node.arguments = ("--accept-loss", "journal")
        node.start()
        node.arguments = ()
        _is_on_record(node)
        node.stop()
        node.start()
        _is_on_record(node)
    finally:
        node.close()


def _is_on_record(node: TestNode) -> None:
    (entry,) = node.get("/journal", kind="JournalOlder")["entries"]
    said = entry["event"]["unmapped"]
    assert said["entries"] < said["had"]
    node.wait_until(
        lambda: "journal-restored" in {f["rule"] for f in node.get("/findings")["findings"]}, SOON
    )
    node.wait_until(lambda: node.get("/incidents")["incidents"], SOON)


def test_an_older_store_of_the_same_start_is_refused(tmp_path: Path) -> None:
    """Before: a token that was revoked since let in again, and nothing told."""
    node = TestNode(tmp_path / "data")
    try:
        node.start()
        _token(node, "first")
        old = tmp_path / "old"
        _copy_running(node, "store", old)
        _token(node, "second")
        node.stop()
        shutil.rmtree(node.data / "store")
        put(old, node.data / "store")
        assert "The store is an older copy" in refusal(node)
    finally:
        node.close()


def test_older_records_and_projects_of_the_same_start_are_refused(tmp_path: Path) -> None:
    """Before: nothing told of either. Records of any age were none that the node looked at."""
    node = TestNode(tmp_path / "data")
    try:
        node.start()
        node.deploy(KEEPER, grants=GRANTS, resources=PEOPLE, approve=True)
        assert node.invoke("first").json() == "first"
        records, data = tmp_path / "records", tmp_path / "projects"
        _copy_running(node, "journal/records", records)
        _copy_running(node, "data", data)
        time.sleep(MOMENT_SECONDS)
        assert node.invoke("second").json() == "second"
        node.stop()
        whole = tmp_path / "whole"
        put(node.data, whole)
        put(records, node.data / "journal" / "records")
        assert "The records are an older copy" in refusal(node)
        put(whole, node.data)
        put(data, node.data / "data")
        node.start()
        assert node.error(node.invoke("")) is not None
        assert "the project t is an older copy" in node.errors.read_text()
        node.stop()
        put(whole, node.data)
        node.start()
        assert node.invoke("").json() == "second"
    finally:
        node.close()


def _copy_running(node: TestNode, name: str, target: Path) -> None:
    """Copy a folder as it is at one moment."""
    pids = node.processes()
    _signal(pids, signal.SIGSTOP)
    put(node.data / name, target)
    _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # an instance that has ended meanwhile
            os.kill(pid, number)
