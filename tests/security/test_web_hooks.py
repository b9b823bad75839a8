"""Attacks on web hooks of a real node: forging, replaying, probing, guessing, and its memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
import time

import httpx2
import pytest

from casemate.triggers.hooks.failures import BURST, PER_SECOND
from support.node import TestNode
from support.processes import gateway_of

SOURCE = """
def handler(event, context):
    context.bucket("told").put(f"{event.id}", "")
"""
TRIGGERS = """
[[function.f.repository]]
name = "hub"
provider = "github"
secret = "hub-key"
[[function.f.repository]]
name = "plain"
provider = "git"
secret = "plain-key"
[[function.f.s3]]
name = "files"
secret = "files-key"
"""
KEYS = {name: secrets.token_urlsafe(24) for name in ("hub-key", "plain-key", "files-key")}
PUSH = {"ref": "refs/heads/main", "before": "0" * 40, "after": "a" * 40}


@pytest.fixture(scope="module")
def hooks(node: TestNode) -> TestNode:
    grants = 'buckets = [{ name = "told", actions = ["write"] }]'
    node.deploy(SOURCE, routes=TRIGGERS, grants=grants, resources="[bucket.told]", approve=True)
    for name, key in KEYS.items():
        subprocess.run(
            [sys.executable, "-m", "casemate.cli.main", "secrets", "set", f"t/{name}"],
            input=key,
            text=True,
            check=True,
            capture_output=True,
            timeout=60,
            env=os.environ | {"CASEMATE_URL": node.url, "CASEMATE_KEY": node.key},
        )
    return node


def send(node: TestNode, name: str, headers: dict[str, str], body: bytes) -> httpx2.Response:
    """Send a request as a stranger does: without a token."""
    return httpx2.post(f"{node.url}/hooks/t/f/{name}", content=body, headers=headers, timeout=30)


def github(payload: object, key: str = KEYS["hub-key"], **headers: str):
    body = json.dumps(payload).encode()
    signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    sent = {"x-github-event": "push", "x-github-delivery": secrets.token_hex(8)}
    return {**sent, "x-hub-signature-256": f"sha256={signature}", **headers}, body


def plain(payload: object, at: float, key: str = KEYS["plain-key"], identity: str = "msg_a"):
    body = json.dumps(payload).encode()
    message = f"{identity}.{int(at)}.".encode() + body
    signature = base64.b64encode(hmac.new(key.encode(), message, hashlib.sha256).digest())
    headers = {"webhook-id": identity, "webhook-timestamp": str(int(at))}
    return {**headers, "webhook-signature": f"v1,{signature.decode()}"}, body


def told(node: TestNode) -> int:
    return len(node.get("/buckets/t/told/objects", limit=1000)["objects"])


def seen(response: httpx2.Response) -> tuple[object, ...]:
    """Return what a stranger sees of an answer, ids of requests and errors left out."""
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "error_id"}
    del body["error_id"]
    named = {n: v for n, v in response.headers.items() if n not in ("date", "x-request-id")}
    return response.status_code, json.dumps(body), json.dumps(named)


def test_a_hook_looks_to_strangers_like_a_path_that_there_is_not(hooks: TestNode) -> None:
    body = json.dumps(PUSH).encode()
    paths = ["hooks/t/f/hub", "hooks/t/f/none", "hooks/x/y/z", "nothing/t/f/hub"]
    for headers in ({}, github(PUSH, "wrong")[0], {"authorization": "Bearer wrong"}):
        answers = {
            seen(httpx2.post(f"{hooks.url}/{path}", content=body, headers=headers, timeout=30))
            for path in paths
        }
        assert len(answers) == 1
    for size in (100_000, 5 * 1024 * 1024):
        statuses = {
            httpx2.post(f"{hooks.url}/{path}", content=bytes(size), timeout=30).status_code
            for path in paths[:3]
        }
        assert statuses == ({401} if size == 100_000 else {413})
    methods = {
        seen(httpx2.request(method, f"{hooks.url}/{path}", timeout=30))
        for method in ("GET", "PUT", "DELETE")
        for path in paths
    }
    assert len(methods) == 1


def test_replayed_and_changed_requests_reach_no_handler(hooks: TestNode) -> None:
    before = told(hooks)
    headers, body = github(PUSH)
    assert send(hooks, "hub", headers, body).status_code == 202
    hooks.wait_until(lambda: told(hooks) == before + 1)
    again = headers | {"x-github-delivery": "another", "x-github-event": "create"}
    for attempt in (headers, again):
        assert send(hooks, "hub", attempt, body).json()["duplicate"]
    now = time.time()
    headers, body = plain({"event": "push", "repository": "r", "sender": "s", **PUSH}, now)
    assert send(hooks, "plain", headers, body).status_code == 202
    hooks.wait_until(lambda: told(hooks) == before + 2)
    assert send(hooks, "plain", headers, body).json()["duplicate"]
    for change in ({"webhook-id": "msg_b"}, {"webhook-timestamp": str(int(now) + 1)}):
        assert send(hooks, "plain", headers | change, body).status_code == 401
    old = plain(PUSH, now - 400, identity="msg_c")
    assert send(hooks, "plain", *old).status_code == 401
    # What is right for one hook is nothing for another, whose secret is another.
    assert send(hooks, "hub", *github(PUSH, KEYS["plain-key"])).status_code == 401
    time.sleep(1)
    assert told(hooks) == before + 2
    reasons = {d["reason"] for d in hooks.get("/denials", project="t")["denials"]}
    assert "a repeated delivery" in reasons
    assert "a wrong signature or token for hub" in reasons


def test_a_replay_is_known_after_a_restart(hooks: TestNode) -> None:
    headers, body = github({**PUSH, "after": "b" * 40})
    assert send(hooks, "hub", headers, body).status_code == 202
    hooks.stop()
    hooks.start()
    again = headers | {"x-github-delivery": "other"}
    assert send(hooks, "hub", again, body).json()["duplicate"]


def test_a_token_cannot_be_guessed_quickly(hooks: TestNode) -> None:
    body = b'{"Records": []}'
    began = time.monotonic()
    statuses = [
        send(hooks, "files", {"authorization": f"Bearer guess{n}"}, body).status_code
        for n in range(30)
    ]
    assert statuses[:20] == [401] * 20
    # One more every two seconds, of which a busy machine may take many.
    more = PER_SECOND * (time.monotonic() - began) + 1
    assert set(statuses[20:]) <= {401, 429} and statuses.count(401) <= BURST + more
    while statuses[-1] != 429:
        guess = {"authorization": f"Bearer guess{len(statuses)}"}
        statuses.append(send(hooks, "files", guess, body).status_code)
    # What is right goes on: a forge sends for everybody from the same addresses.
    right = {"authorization": f"Bearer {KEYS['files-key']}"}
    assert send(hooks, "files", right, b'{"Event": "s3:TestEvent"}').status_code == 200
    # Another hook of the same sender goes on.
    assert send(hooks, "hub", *github({**PUSH, "after": "c" * 40})).status_code == 202


@pytest.mark.skipif(os.geteuid() != 0, reason="looks into the memory of another process")
def test_a_secret_that_verified_was_never_in_the_gateway(hooks: TestNode) -> None:
    """What a sender signs with is compared in the vault: the gateway's memory does not hold it."""
    marker = secrets.token_hex(16)
    headers, body = github({**PUSH, "marker": marker})
    assert send(hooks, "hub", headers, body).status_code == 202
    assert hooks.process is not None
    gateway = gateway_of(hooks.process.pid)
    assert gateway is not None
    found = memory_of(gateway)
    assert hooks.key.encode() in found or marker.encode() in found, "the search finds what is there"
    for name in ("hub-key", "plain-key"):
        assert KEYS[name].encode() not in found


def memory_of(pid: int) -> bytes:
    """Return all that a process can write to in memory."""
    parts = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            span, rights, *_ = line.split()
            begin, end = (int(part, 16) for part in span.split("-"))
            if rights.startswith("rw") and end - begin < 1 << 28:
                try:
                    memory.seek(begin)
                    parts.append(memory.read(end - begin))
                except OSError:
                    continue
    return b"".join(parts)


def test_nothing_of_a_request_is_in_records(hooks: TestNode) -> None:
    marker = "marker" + secrets.token_hex(8)
    send(hooks, "hub", *github({**PUSH, "message": marker}, "wrong"))
    send(hooks, "hub", {"x-hub-signature-256": f"sha256={marker}", "x-github-event": marker}, b"")
    text = json.dumps([hooks.get("/denials"), hooks.get("/invocations")])
    assert marker not in text
    assert marker not in hooks.errors.read_text()
