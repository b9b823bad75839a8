"""Recordings hold what callers sent: who may read them, what is in them, what the disk shows."""

from __future__ import annotations

import base64
import secrets
import stat
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.attacks import until
from support.cli import casemate
from support.node import TestNode

SHARES_NODE = True
SOURCE = """
def handler(event, context):
    if event.get("look"):
        context.table("orders").put({"id": "o1", "text": "an-item-of-the-table"})
        context.table("orders").get("o1")
        context.identity_token("audience")
        value = context.secret("key")
        context.table("orders").put({"id": "o2", "text": str(value)})
    if event.get("leak"):
        opened = str(context.secret("key"))
        order = {"to": event["to"], "by": {"token": "x-unknown-token-x", "mail": event["to"]}}
        raise ValueError("on purpose")
    if event.get("fail"):
        raise ValueError("on purpose")
    return {"fine": True}
"""
GRANTS = """
tables = [{ name = "orders", actions = ["get", "put"] }]
secrets = ["key"]
"""
VALUE = "a-value-of-the-secret-0815"


@pytest.fixture(scope="module")
def recorded(node: TestNode) -> TestNode:
    return filled(node)


def filled(node: TestNode) -> TestNode:
    casemate(node, "secrets", "set", "stall/key", stdin=VALUE)
    for project in ("stall", "letters"):
        node.deploy(
            SOURCE, project=project, grants=GRANTS, resources='[table.orders]\nkey = "id"',
            approve=True, unguarded=True,
        )  # fmt: skip
    return node


def failed(node: TestNode, project: str = "stall", **event: Any) -> str:
    """Have a call fail, and return its id once it is recorded."""
    answer = node.invoke({"fail": True, **event}, function=f"{project}/f")
    identity = answer.headers["x-request-id"]
    assert until(lambda: identity in listed(node, project))
    return str(identity)


def listed(node: TestNode, project: str) -> list[str]:
    return [each["id"] for each in node.get("/recordings", project=project)["recordings"]]


def shown(node: TestNode, identity: str) -> dict[str, bytes]:
    content = node.get(f"/recordings/stall/{identity}")["content"]
    frames = b"".join(base64.b64decode(part) for _, *parts in content["frames"] for part in parts)
    return {
        "event": base64.b64decode(content["event"]),
        "frames": frames,
        "reply": base64.b64decode(content["reply"]),
        "held": base64.b64decode(content["held"]),
    }


def client(node: TestNode, role: str) -> httpx2.Client:
    made = node.client.post(
        f"{node.url}/api/v1/tokens",
        json={"name": f"{role.replace('@', '-')}-{secrets.token_hex(3)}", "roles": [role]},
    ).json()
    return httpx2.Client(headers={"authorization": f"Bearer {made['text']}"}, timeout=30)


def test_a_failed_call_is_recorded_without_secrets(recorded: TestNode) -> None:
    found = shown(recorded, failed(recorded, look=True, order="an-event-of-a-caller"))
    assert b"an-event-of-a-caller" in found["event"]
    assert b"an-item-of-the-table" in found["frames"]
    assert b"event = an Event" in found["held"] and b"in handler" in found["held"]
    assert VALUE.encode() not in b"".join(found.values())
    assert b"[redacted:key]" in found["frames"], "what was made of it is marked"
    assert b"eyJ" not in found["frames"], "no token of the function's identity is in it"


def test_a_call_that_ends_well_is_not_recorded(recorded: TestNode) -> None:
    before = listed(recorded, "stall")
    answer = recorded.invoke({"order": 1}, function="stall/f")
    assert answer.status_code == 200
    failed(recorded)
    assert answer.headers["x-request-id"] not in listed(recorded, "stall")
    assert len(listed(recorded, "stall")) == len(before) + 1


@pytest.mark.parametrize("role", ["developer", "operator", "auditor", "invoker", "owner@letters"])
def test_who_may_not_read_them_reads_none(recorded: TestNode, role: str) -> None:
    identity = failed(recorded)
    api = f"{recorded.url}/api/v1/recordings"
    with client(recorded, role) as asking:
        for answer in (
            asking.get(api),
            asking.get(api, params={"project": "stall"}),
            asking.get(f"{api}/stall/{identity}"),
            asking.delete(f"{api}/stall/{identity}"),
        ):
            assert answer.status_code == 403, answer.text
            assert identity not in answer.text or role == "owner@letters"
        if role == "owner@letters":
            crossed = asking.get(f"{api}/letters/{identity}")
            assert crossed.status_code == 404
    assert identity in listed(recorded, "stall")


def test_that_somebody_read_one_is_on_record_when_it_is_answered(recorded: TestNode) -> None:
    identity = failed(recorded)
    before = recorded.get("/journal", search="showRecording", limit=1000)["entries"]
    shown(recorded, identity)
    after = recorded.get("/journal", search="showRecording", limit=1000)["entries"]
    assert len(after) == len(before) + 1
    assert after[0]["event"]["unmapped"]["effect"] == "read"
    assert after[0]["event"]["actor"]["user"]["name"].startswith("token:")


def test_nothing_of_them_is_in_clear_and_the_files_are_private(recorded: TestNode) -> None:
    identity = failed(recorded, look=True, order="words-of-an-event")
    folder = recorded.data / "recordings"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / f"{identity}.sealed").exists()
    for path in [*folder.iterdir(), recorded.errors]:
        content = Path(path).read_bytes()
        for text in (b"words-of-an-event", b"an-item-of-the-table", b"stall", VALUE.encode()):
            assert path == recorded.errors or text not in content
    assert b"words-of-an-event" not in recorded.errors.read_bytes()


def test_a_flood_of_failures_records_itself_a_few_times(recorded: TestNode) -> None:
    before = len(listed(recorded, "letters"))
    failed(recorded, "letters")
    for _ in range(60):
        recorded.invoke({"fail": True}, function="letters/f")
    assert len(listed(recorded, "letters")) - before < 40


@pytest.mark.storm
def test_they_are_there_after_kill_and_can_be_removed(fresh_node: TestNode) -> None:
    recorded = filled(fresh_node)
    identity = failed(recorded)
    recorded.stop()
    recorded.start()
    assert identity in listed(recorded, "stall")
    out = recorded.data.parent / "out.json"
    casemate(recorded, "recordings", "export", "stall", identity, "--to", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600 and identity in out.read_text()
    again = casemate(recorded, "recordings", "export", "stall", identity, "--to", str(out))
    assert again.returncode != 0, "nothing is written over"
    told = casemate(recorded, "recordings", "show", "stall", identity)
    assert '"fail":true' in told.stdout.replace(" ", "")
    casemate(recorded, "recordings", "rm", "stall", identity, "--yes")
    assert identity not in listed(recorded, "stall")
    assert not (recorded.data / "recordings" / f"{identity}.sealed").exists()


def test_a_snapshot_is_for_those_with_the_right_and_nothing_is_in_clear(
    recorded: TestNode,
) -> None:
    recorded.invoke({}, function="stall/f")
    answer = recorded.invoke({"leak": True, "to": "ada@example.com"}, function="stall/f")
    error, identity = answer.json()["error_id"], answer.headers["x-request-id"]
    assert until(lambda: identity in listed(recorded, "stall"))
    before = recorded.get("/journal", search="showErrorSnapshot", limit=1000)["entries"]
    told = casemate(recorded, "errors", "show", error)
    assert "values in the function's frames" in told.stdout, told.stderr
    shown = recorded.get(f"/errors/stall/{error}/snapshot")["values"]
    for text in (shown, told.stdout):
        assert "in handler" in text and "'leak': True" in text
        for value in (VALUE, "ada@example.com", "x-unknown-token-x"):
            assert value not in text
    assert "opened = '[redacted:key]'" in shown and "[redacted:email#" in shown
    after = recorded.get("/journal", search="showErrorSnapshot", limit=1000)["entries"]
    assert len(after) == len(before) + 2, "that somebody looked is on record"
    assert b"'leak'" not in (recorded.data / f"recordings/{identity}.sealed").read_bytes()
    api = f"{recorded.url}/api/v1/errors"
    since = time.time()
    for role in ("developer", "operator", "auditor", "owner@letters"):
        with client(recorded, role) as asking:
            assert asking.get(f"{api}/stall/{error}/snapshot").status_code == 403
            key = asking.headers["authorization"].removeprefix("Bearer ")
            if role == "owner@letters":
                assert asking.get(f"{api}/letters/{error}/snapshot").status_code == 404
                continue
            without = casemate(recorded, "errors", "show", error, env={"CASEMATE_KEY": key})
            assert "ValueError: on purpose" in without.stdout, without.stderr
            assert "held by" not in without.stdout and "'leak'" not in without.stdout
    denied = recorded.get("/denials", since=since)["denials"]
    assert len(denied) == 4, "to look at an error without the right is no attempt at a snapshot"
