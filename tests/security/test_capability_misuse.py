"""What is granted to one function, or used in one invocation, is of no use anywhere else."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.attacks import CAPABILITY, INJECTION, Attempt, attempt, until
from support.node import TestNode
from support.processes import gateway_of

SHARES_NODE = True
SOURCE = Path(__file__).parent.parent / "functions" / "attacks" / "capabilities.py"
RESOURCES = """
[bucket.files]
[bucket.others]
[table.people]
key = "id"
[queue.jobs]
[topic.news]
"""
GRANTS = """
buckets = [{ name = "files", actions = ["read", "write", "list"], prefixes = ["a/"] }]
tables = [{ name = "people", actions = ["get"] }]
queues = ["jobs"]
"""


@pytest.fixture(scope="module")
def granted(node: TestNode) -> Iterator[TestNode]:
    """The node with a function `granted`, which may do a little, and `bare`, which may nothing."""
    source = SOURCE.read_text()
    node.deploy(
        source, name="granted", project="misuse", grants=GRANTS, resources=RESOURCES, approve=True
    )
    node.deploy(source, name="bare", project="misuse", resources=RESOURCES)
    node.deploy(source, name="elsewhere", project="other", resources="[bucket.files]")
    yield node


def use(
    node: TestNode, head: dict[str, Any], body: str = "", function: str = "misuse/granted"
) -> Any:
    """Have a function make one request; return the attempt."""
    return attempt(node, function, {"attack": "request", "head": {"n": 1, **head}, "body": body})


def reply(tried: Attempt) -> dict[str, Any]:
    (only,) = tried.answer["replies"]
    assert only["n"] == 1
    return dict(only)


def test_what_is_granted_works(granted: TestNode) -> None:
    """Or the tests below would prove nothing."""
    put = use(granted, {"op": "bucket.put", "bucket": "files", "key": "a/x"}, "content")
    assert "ok" in reply(put)
    assert "ok" in reply(use(granted, {"op": "bucket.get", "bucket": "files", "key": "a/x"}))
    assert "ok" in reply(use(granted, {"op": "queue.send", "queue": "jobs"}, '"x"'))


FILE = {"bucket": "files", "key": "a/x"}
NOT_GRANTED = {
    "another-bucket": {"op": "bucket.get", "bucket": "others", "key": "a/x"},
    "delete": {"op": "bucket.delete", **FILE},
    "outside-prefix": {"op": "bucket.get", "bucket": "files", "key": "b/x"},
    "prefix-itself": {"op": "bucket.get", "bucket": "files", "key": "a"},
    "prefix-case": {"op": "bucket.get", "bucket": "files", "key": "A/x"},
    "prefix-unicode": {"op": "bucket.get", "bucket": "files", "key": "\uff41/x"},
    "prefix-encoded": {"op": "bucket.get", "bucket": "files", "key": "%61/x"},
    "list-all": {"op": "bucket.list", "bucket": "files", "prefix": ""},
    "list-shorter": {"op": "bucket.list", "bucket": "files", "prefix": "a"},
    "write-outside": {"op": "bucket.put", "bucket": "files", "key": "b/x"},
    "begin-outside": {"op": "bucket.begin", "bucket": "files", "key": "b/x"},
    "table-put": {"op": "table.put", "table": "people"},
    "table-query": {"op": "table.query", "table": "people"},
    "table-delete": {"op": "table.delete", "table": "people", "key": "1"},
    "another-table": {"op": "table.get", "table": "nobody", "key": "1"},
    "another-queue": {"op": "queue.send", "queue": "other"},
    "topic-as-queue": {"op": "queue.send", "queue": "news"},
    "queue-as-topic": {"op": "topic.publish", "topic": "jobs"},
    "topic": {"op": "topic.publish", "topic": "news"},
    "secret": {"op": "secret.get", "name": "api-key"},
    "invoke": {"op": "function.invoke", "function": "bare"},
    "invoke-itself": {"op": "function.invoke", "function": "granted"},
}


@pytest.mark.parametrize("name", list(NOT_GRANTED))
def test_what_is_not_granted_is_denied(granted: TestNode, name: str) -> None:
    tried = use(granted, NOT_GRANTED[name], "{}")
    assert reply(tried)["error"] == "denied"
    (denial,) = tried.denied(kind=CAPABILITY)
    assert denial["invocation"] == tried.id
    assert denial["principal"] == "function:misuse/granted"


@pytest.mark.parametrize("name", ["get", "put", "list", "table", "queue"])
def test_without_grants_nothing_can_be_used(granted: TestNode, name: str) -> None:
    head = {
        "get": {"op": "bucket.get", **FILE},
        "put": {"op": "bucket.put", **FILE},
        "list": {"op": "bucket.list", "bucket": "files", "prefix": "a/"},
        "table": {"op": "table.get", "table": "people", "key": "1"},
        "queue": {"op": "queue.send", "queue": "jobs"},
    }[name]
    tried = use(granted, head, "{}", function="misuse/bare")
    assert reply(tried)["error"] == "denied"
    (denial,) = tried.denied(kind=CAPABILITY)
    assert denial["reason"] == "not granted"


def test_a_bucket_of_the_same_name_is_another_projects(granted: TestNode) -> None:
    tried = use(granted, {"op": "bucket.get", **FILE}, function="other/elsewhere")
    assert reply(tried)["error"] == "denied"
    (denial,) = tried.denied(kind=CAPABILITY)
    assert denial["resource"] == "bucket:other/files"


INVALID = {
    "project-in-name": {"op": "bucket.get", "bucket": "other/files", "key": "a/x"},
    "climb-in-name": {"op": "bucket.get", "bucket": "../other/files", "key": "a/x"},
    "project-given": {"op": "bucket.get", **FILE, "project": "other"},
    "principal-given": {"op": "bucket.get", **FILE, "principal": "user:ada"},
    "granted-given": {"op": "bucket.get", "bucket": "others", "key": "x", "granted": True},
    "unknown-operation": {"op": "vault.open"},
    "operation-case": {"op": "Bucket.get", **FILE},
    "no-operation": {},
    "name-newline": {"op": "bucket.get", "bucket": "files\n", "key": "a/x"},
    "name-case": {"op": "bucket.get", "bucket": "FILES", "key": "a/x"},
    "key-empty": {"op": "bucket.get", "bucket": "files", "key": ""},
    "key-long": {"op": "bucket.get", "bucket": "files", "key": "a/" + "x" * 1100},
    "key-a-number": {"op": "bucket.get", "bucket": "files", "key": 1},
    "upload-with-key": {"op": "bucket.commit", **FILE, "upload": "x"},
    "subject-in-token": {"op": "identity.token", "audience": "x", "sub": "function:other/f"},
}


@pytest.mark.parametrize("name", list(INVALID))
def test_a_request_of_another_form_is_refused(granted: TestNode, name: str) -> None:
    tried = use(granted, INVALID[name])
    assert reply(tried)["error"] in ("invalid", "denied")
    assert tried.recorded()


@pytest.mark.parametrize("key", ["a/../b/x", "a//../b", "a/./x", "a/\x00x", "a/\n", "a/.."])
def test_a_key_is_a_name_and_no_path(granted: TestNode, key: str) -> None:
    """Nothing of a key reaches a file system: a strange one is refused or an object like others."""
    before = {path.name for path in granted.data.parent.iterdir()}
    tried = use(granted, {"op": "bucket.put", "bucket": "files", "key": key}, "planted")
    if "\x00" in key:  # which does not even get to the function
        assert tried.response.status_code == 400
        assert tried.denied(kind=INJECTION)
    else:
        assert tried.recorded("ok" if tried.response.status_code == 200 else "protocol-violation")
    outside = use(granted, {"op": "bucket.get", "bucket": "files", "key": "b/x"})
    assert reply(outside)["error"] == "denied"
    assert outside.denied(kind=CAPABILITY)
    assert {path.name for path in granted.data.parent.iterdir()} == before


# -- replay ------------------------------------------------------------------------------------


def frames(*heads: dict[str, Any]) -> list[str]:
    made = []
    for head in heads:
        text = json.dumps(head).encode()
        made.append((b"C" + len(text).to_bytes(4, "big") + bytes(4) + text).hex())
    return made


@pytest.mark.parametrize("function", ["misuse/bare", "other/elsewhere"])
def test_frames_of_one_function_are_worth_nothing_in_another(
    granted: TestNode, function: str
) -> None:
    recorded = frames({"n": 1, "op": "bucket.get", **FILE})
    own = attempt(granted, "misuse/granted", {"attack": "raw", "frames": recorded})
    assert "ok" in own.answer["replies"][0]
    tried = attempt(granted, function, {"attack": "raw", "frames": recorded})
    assert tried.answer["replies"][0]["error"] == "denied"
    assert tried.denied(kind=CAPABILITY)


def told(node: TestNode) -> list[str]:
    """Return the ids of uploads that an accomplice told."""
    listed = use(node, {"op": "bucket.list", "bucket": "files", "prefix": "a/told/"})
    return [item["key"].removeprefix("a/told/") for item in reply(listed)["ok"]["objects"]]


@pytest.mark.parametrize("operation", ["bucket.part", "bucket.commit", "bucket.abort"])
@pytest.mark.parametrize("seconds", [0.0, 1.5], ids=["later", "at-the-same-time"])
def test_an_upload_is_of_the_invocation_that_began_it(
    granted: TestNode, operation: str, seconds: float
) -> None:
    """Neither a later invocation nor one at the same time, of the same function, can go on."""
    before = set(told(granted))
    with httpx2.Client(headers=granted.client.headers) as client, ThreadPoolExecutor(1) as pool:
        event = {"attack": "unfinished", "seconds": seconds}
        begun = pool.submit(
            client.post, f"{granted.url}/invoke/misuse/granted", json=event, timeout=30
        )
        if not seconds:
            assert begun.result().status_code == 200
        (upload,) = until(lambda: set(told(granted)) - before)
        tried = use(granted, {"op": operation, "bucket": "files", "upload": upload}, "")
        assert begun.done() == (not seconds)
        assert reply(tried)["error"] == "not-found"
        assert tried.recorded()
    assert begun.result().status_code == 200
    made = use(granted, {"op": "bucket.head", "bucket": "files", "key": "a/upload"})
    assert reply(made)["error"] == "not-found"


# -- the socket --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["I", "S", "N", "Z", "R", "C"])
def test_a_frame_that_is_not_due_ends_the_instance(granted: TestNode, kind: str) -> None:
    """An event or a reply of its own making, descriptors, nothing known, no request at all."""
    tried = attempt(granted, "misuse/granted", {"attack": "speak", "kind": kind, "head": "{"})
    assert tried.response.status_code == 500
    assert tried.recorded("protocol-violation")
    assert tried.error["type"] == "ProtocolViolation"


def test_more_requests_than_allowed_at_once_end_the_instance(granted: TestNode) -> None:
    tried = attempt(granted, "misuse/granted", {"attack": "flood", "count": 64})
    assert tried.response.status_code == 500
    assert tried.recorded("protocol-violation")


def test_descriptors_given_to_the_gateway_are_not_kept(granted: TestNode) -> None:
    assert granted.process is not None
    gateway = gateway_of(granted.process.pid)
    for _ in range(3):
        tried = attempt(granted, "misuse/granted", {"attack": "give_descriptors", "count": 20})
        assert tried.recorded()
        assert tried.answer.get("refused") or "n" in tried.answer["replies"][0]
    held = [
        os.readlink(path) for path in Path(f"/proc/{gateway}/fd").iterdir() if path.is_symlink()
    ]
    assert not [name for name in held if "gift-" in name]


def test_another_instances_socket_cannot_be_named(granted: TestNode) -> None:
    """They are pairs without an address; the number of this one's is all there is."""
    tried = attempt(granted, "misuse/granted", {"attack": "sockets"})
    assert tried.answer == {"names": [""], "peers": [""], "count": 1}
    assert tried.recorded()


def test_a_child_cannot_use_the_capabilities_after_the_answer(granted: TestNode) -> None:
    """It dies with the invocation, and what it still sent went nowhere."""
    tried = attempt(granted, "misuse/granted", {"attack": "leave_child"})
    assert tried.answer == {"result": "left"}
    assert tried.recorded()
    time.sleep(1.0)
    made = use(granted, {"op": "bucket.head", "bucket": "files", "key": "a/late"})
    assert reply(made)["error"] == "not-found"
