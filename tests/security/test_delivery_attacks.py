"""What runs later is no way around what is decided about what runs now."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from casemate.admission import Admission, Catalogue
from casemate.model.event import Event
from casemate.model.invocation import Outcome
from casemate.model.path import Caller, RawInvocation, RefusedError, Request
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.trigger import QueueTrigger, ScheduleTrigger, TriggerKind
from casemate.policy import CedarPolicy
from support.attacks import AUTHENTICATION, AUTHORIZATION, denials
from support.cli import casemate
from support.core import MemoryStore, TwoTokens, deployed, version
from support.node import TestNode

SHARES_NODE = True
PREFER = {"prefer": "respond-async"}
MANIFEST = """
[project]
name = "{project}"
[table.seen]
key = "id"
[function.f]
handler = "app:f"
grants = {{ tables = [{{ name = "seen", actions = ["put"] }}], secrets = ["key"] }}
[[function.f.http]]
method = "POST"
path = "/{project}/later"
asynchronous = true
[function.f.delivery]
attempts = 1
[function.hidden]
handler = "app:f"
internal = true
"""
SOURCE = """
def f(event, context):
    if "fail" in event:
        raise ValueError("on purpose")
    context.table("seen").put({"id": context.request_id})
    return {"answer": "planted-answer"}
"""
SECRET = "planted-secret-value-7261"


@pytest.fixture(scope="module")
def node(node: TestNode) -> TestNode:
    for project in ("own", "other"):
        node.deploy_project(MANIFEST.format(project=project), SOURCE)
    done = casemate(node, "secrets", "set", "own/key", stdin=SECRET)
    assert done.returncode == 0, done.stderr
    return node


@pytest.fixture(scope="module")
def clients(node: TestNode) -> Iterator[dict[str, httpx2.Client]]:
    made: dict[str, httpx2.Client] = {}
    for role in ("invoker@own", "developer@own", "operator@own", "auditor@own"):
        answer = node.client.post(
            f"{node.url}/api/v1/tokens",
            json={"name": role.replace("@", "-"), "roles": [role]},
        )
        assert answer.status_code == 201, answer.text
        headers = {"authorization": f"Bearer {answer.json()['text']}"}
        made[role] = httpx2.Client(headers=headers, timeout=30, base_url=node.url)
    made["nobody"] = httpx2.Client(timeout=30, base_url=node.url)
    yield made
    for client in made.values():
        client.close()


def kept(node: TestNode, project: str) -> int:
    page = node.client.post(f"{node.url}/api/v1/tables/{project}/seen/query", json={}).json()
    return len(page["items"])


def ended(node: TestNode, identity: str, project: str = "own") -> dict[str, Any]:
    path = f"/functions/{project}/f/invocations/{identity}"
    node.wait_until(lambda: node.get(path)["finished_at"] is not None)
    found: dict[str, Any] = node.get(path)
    return found


@pytest.mark.parametrize("who", ["nobody", "auditor@own", "wrong token", "other project"])
@pytest.mark.parametrize("path", ["/invoke/own/f", "/own/later"])
def test_who_may_not_call_has_nothing_kept(
    node: TestNode, clients: dict[str, httpx2.Client], who: str, path: str
) -> None:
    headers = {**PREFER, "idempotency-key": "k"}
    client = clients.get(who, clients["invoker@own"])
    if who == "wrong token":
        headers["authorization"] = "Bearer cm_0123456789abcdef_" + "A" * 43
    if who == "other project":
        path = path.replace("own", "other")
    before, since = (kept(node, "own"), kept(node, "other")), time.time()
    answer = client.post(path, json={}, headers=headers)
    assert answer.status_code in (401, 403), answer.text
    assert "id" not in answer.json()
    kind = AUTHENTICATION if answer.status_code == 401 else AUTHORIZATION
    assert denials(node, kind=kind, since=since)
    time.sleep(0.3)
    assert (kept(node, "own"), kept(node, "other")) == before


def test_an_internal_function_is_not_reached_by_its_inbox(node: TestNode) -> None:
    answer = node.invoke({}, function="own/hidden", headers=PREFER)
    assert answer.status_code == 403


def test_who_may_not_call_cannot_claim_or_read_a_key(
    node: TestNode, clients: dict[str, httpx2.Client]
) -> None:
    key = {"idempotency-key": "shared"}
    mine = clients["invoker@own"].post("/invoke/own/f", json={}, headers=key)
    assert mine.json() == {"answer": "planted-answer"}
    for other in ("nobody", "auditor@own"):
        answer = clients[other].post("/invoke/own/f", json={}, headers=key)
        assert answer.status_code in (401, 403)
        assert "planted-answer" not in answer.text
    another = clients["developer@own"].post("/invoke/own/f", json={}, headers=key)
    assert "idempotency-replayed" not in another.headers, "keys are each caller's own"


def test_a_status_is_shown_only_where_one_may_see_it(
    node: TestNode, clients: dict[str, httpx2.Client]
) -> None:
    ids = {
        project: node.invoke({}, function=f"{project}/f", headers=PREFER).json()["id"]
        for project in ("own", "other")
    }
    for project, identity in ids.items():
        assert ended(node, identity, project)["state"] == "succeeded"
    path = "/api/v1/functions/{}/f/invocations/{}"
    invoker = clients["invoker@own"]
    shown = invoker.get(path.format("own", ids["own"]))
    assert shown.json()["result"] == {"answer": "planted-answer"}
    for project, identity, status in (
        ("other", ids["other"], 403),
        ("own", ids["other"], 404),
        ("own", "inv_000000000000000000000000", 404),
    ):
        answer = invoker.get(path.format(project, identity))
        assert answer.status_code == status, answer.text
        assert "planted-answer" not in answer.text
    for other in ("operator@own", "auditor@own"):
        assert clients[other].get(path.format("own", ids["own"])).status_code == 403
    assert clients["nobody"].get(path.format("own", ids["own"])).status_code == 401
    elsewhere = f"/api/v1/functions/own/hidden/invocations/{ids['own']}"
    assert node.client.get(node.url + elsewhere).status_code == 404


def test_the_content_of_a_dead_letter_is_for_who_may_see_it_and_without_secrets(
    node: TestNode, clients: dict[str, httpx2.Client]
) -> None:
    event = {"fail": "planted-content", "copied": SECRET}
    identity = node.invoke(event, function="own/f", headers=PREFER).json()["id"]
    assert ended(node, identity)["state"] == "failed"
    path = "/api/v1/functions/own/f/dead-letters"
    (letter,) = node.client.get(node.url + path).json()["letters"]
    assert letter["reason"] == "handler-error"
    assert "planted" not in json.dumps(letter)
    for role in ("operator@own", "auditor@own"):
        shown = clients[role].get(f"{path}/{letter['id']}")
        assert shown.status_code == 200
        assert shown.json() == {"letter": letter, "withheld": True, "content": None}
    shown = clients["developer@own"].get(f"{path}/{letter['id']}")
    assert shown.json()["content"]["data"]["fail"] == "planted-content"
    assert SECRET not in shown.text
    assert "[redacted:key]" in shown.text
    for role in ("invoker@own", "nobody"):
        for method, target in (
            ("GET", path),
            ("GET", f"{path}/{letter['id']}"),
            ("POST", f"{path}/redrive"),
            ("POST", f"{path}/purge"),
        ):
            assert clients[role].request(method, target).status_code in (401, 403)
    assert clients["auditor@own"].post(f"{path}/purge").status_code == 403
    for elsewhere in ("functions/own/hidden", "functions/other/f"):
        wrong = f"{node.url}/api/v1/{elsewhere}/dead-letters/{letter['id']}"
        assert node.client.get(wrong).status_code == 404, "a letter is where it is"
    assert len(node.client.get(node.url + path).json()["letters"]) == 1


@pytest.mark.parametrize("letter", ["x", "0" * 64, "ffffffffffffffff", "-1", "0%27", "1e3"])
def test_an_id_that_is_none_finds_nothing(node: TestNode, letter: str) -> None:
    answer = node.client.get(f"{node.url}/api/v1/functions/own/f/dead-letters/{letter}")
    assert answer.status_code in (400, 404), answer.text
    answer = node.client.post(
        f"{node.url}/api/v1/functions/own/f/dead-letters/purge", json={"ids": [letter]}
    )
    assert answer.status_code in (200, 400), answer.text
    assert answer.status_code == 400 or answer.json() == {"letters": 0}


@pytest.mark.parametrize(
    "header",
    [
        "casemate-trigger",
        "casemate-principal",
        "x-casemate-caller",
        "x-amz-invocation-type",
        "casemate-invocation",
    ],
)
def test_no_header_makes_a_caller_a_trigger(
    node: TestNode, clients: dict[str, httpx2.Client], header: str
) -> None:
    forged = {header: "trigger:own/f/inbox", **PREFER}
    assert clients["nobody"].post("/invoke/own/f", json={}, headers=forged).status_code == 401
    for text in ("trigger:own/f/inbox", "Trigger own/f/inbox", "Bearer trigger:own/f/inbox"):
        answer = clients["nobody"].post("/invoke/own/f", json={}, headers={"authorization": text})
        assert answer.status_code == 401
    assert node.get("/health") is not None


# -- what a trigger may, at admission --------------------------------------------------------------

QUEUE = QueueTrigger(name="queue-1", queue="jobs")
NIGHTLY = ScheduleTrigger(name="nightly", cron="0 3 * * *")


@pytest.fixture
def admission() -> Admission:
    catalogue = Catalogue()
    catalogue.replace(
        [
            deployed(version(name="f", triggers=(NIGHTLY, QUEUE), internal=True)),
            deployed(version(name="g")),
            deployed(version(1, name="old", triggers=(QUEUE,)), version(2, name="old")),
            deployed(version(project="u", name="f", triggers=(NIGHTLY, QUEUE))),
        ]
    )
    return Admission(catalogue, TwoTokens(), CedarPolicy(), MemoryStore().deny)


def triggered(
    trigger: str, *, kind: str, project: str = "t", function: str = "f", **changes: Any
) -> Request:
    event = Event(id="1", source="/s", type="t", time=1.0, kind=TriggerKind(kind))
    principal = Principal(kind=PrincipalKind.TRIGGER, id=trigger)
    raw = RawInvocation(
        trigger=kind,
        project=project,
        function=function,
        qualifier=None,
        credential=None,
        content_type="application/json",
        body=b"",
        events=(event,),
        received_at=1.0,
        caller=Caller(principal=principal),
        **changes,
    )
    return Request(id="inv_x", raw=raw, event=b"")


@pytest.mark.parametrize(
    ("trigger", "kind"),
    [
        ("t/f/queue-1", "queue"),
        ("t/f/nightly", "schedule"),
        ("t/f/inbox", "invoke"),
        ("t/f/inbox", "http"),
        ("t/f/inbox", "result"),
    ],
)
def test_a_declared_trigger_invokes_its_function(
    admission: Admission, trigger: str, kind: str
) -> None:
    assert admission.admit(triggered(trigger, kind=kind)).version.function == "f"


@pytest.mark.parametrize(
    ("trigger", "kind", "where"),
    [
        ("t/f/queue-2", "queue", "t/f"),
        ("t/f/queue-1", "schedule", "t/f"),
        ("t/f/queue-1", "bucket", "t/f"),
        ("t/f/inbox", "queue", "t/f"),
        ("t/f/queue-1", "queue", "t/g"),
        ("t/f/inbox", "invoke", "t/g"),
        ("t/g/queue-1", "queue", "t/f"),
        ("u/f/queue-1", "queue", "t/f"),
        ("t/f/queue-1", "queue", "u/f"),
        ("t/old/queue-1", "queue", "t/old"),
        ("t/ghost/queue-1", "queue", "t/ghost"),
        ("t/f", "queue", "t/f"),
        ("f/queue-1", "queue", "t/f"),
        ("t/f/queue-1/x", "queue", "t/f"),
        ("t/f/", "queue", "t/f"),
        ("", "queue", "t/f"),
    ],
)
def test_any_other_trigger_is_denied(
    admission: Admission, trigger: str, kind: str, where: str
) -> None:
    project, function = where.split("/")
    with pytest.raises(RefusedError) as refused:
        admission.admit(triggered(trigger, kind=kind, project=project, function=function))
    assert refused.value.outcome is Outcome.DENIED
