"""Events that are kept: delivered, tried again, given up, in order, in batches, told onward."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support import forked_cli
from support.node import TestNode

SHARES_NODE = True
PREFER = {"prefer": "respond-async"}
MANIFEST = """
[project]
name = "t"
[table.seen]
key = "id"
[queue.jobs]
[queue.single]
[queue.told]
[queue.slow]

[function.note]
handler = "app:note"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.note.http]]
method = "POST"
path = "/note/{name}"
asynchronous = true
[function.note.delivery]
attempts = 3
backoff = "100ms"
on_success = ["queue:told"]
on_failure = ["function:afterwards"]

[function.leaving]
handler = "app:note"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[function.leaving.delivery]
attempts = 1

[function.taking]
handler = "app:taking"
grants = { tables = [{ name = "seen", actions = ["put"] }] }

[function.afterwards]
handler = "app:afterwards"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.afterwards.result]]
function = "note"
on = ["success"]

[function.send]
handler = "app:send"
grants = { queues = ["jobs", "single", "slow"], invoke = ["note"] }

[function.batch]
handler = "app:batch"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.batch.queue]]
queue = "jobs"
batch = 5
window = "500ms"
[function.batch.delivery]
attempts = 3
backoff = "50ms"

[function.single]
handler = "app:single"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
internal = true
[[function.single.queue]]
queue = "single"

[function.slow]
handler = "app:slow"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.slow.queue]]
queue = "slow"
[function.slow.limits]
concurrency = 1
queue_time = "100ms"
[function.slow.delivery]
attempts = 1
"""
SOURCE = """
import time

def put(context, name, **fields):
    context.table("seen").put({"id": name, "at": time.time(), **fields})

def note(event, context):
    data = context.event.data
    name = data["name"]
    put(context, f"{name}.{context.request_id}.{time.time_ns()}", wait=data.get("wait"))
    if data.get("sleep"):
        time.sleep(data["sleep"])
    if data.get("fail"):
        raise ValueError("planted-failure")
    return {"noted": name}

def taking(event, context):
    put(context, f"taken.{event.data['name']}.{time.time_ns()}")

def afterwards(event, context):
    put(context, "after." + event["result"]["invocation"], type=event.type, data=event.data)

def send(event, context):
    if "invoke" in event:
        return context.invoke("note", event["invoke"], wait=False)
    for message in event["messages"]:
        context.queue(event["queue"]).send(message)

def batch(event, context):
    put(context, f"batch.{time.time_ns()}", size=len(event.data), items=event.data)
    return {"failed": [r.id for r in event.records if r.data.get("bad")]}

def single(event, context):
    put(context, f"single.{event.data['n']}", queue=event["queue"]["queue"], type=event.type)

def slow(event, context):
    put(context, f"slow.{event.data['n']}.{time.time_ns()}")
    time.sleep(0.5)
"""


@pytest.fixture(scope="module")
def node(node: TestNode) -> TestNode:
    node.deploy_project(MANIFEST, SOURCE)
    return node


def seen(node: TestNode, prefix: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = node.client.post(
            f"{node.url}/api/v1/tables/t/seen/query", json={"limit": 1000, "after": after}
        ).json()
        found += [item["value"] for item in page["items"]]
        after = page.get("after")
        if not after:
            return sorted((v for v in found if v["id"].startswith(prefix)), key=lambda v: v["at"])


def later(node: TestNode, event: Any, function: str = "t/note", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return node.invoke(event, function=function, headers={**PREFER, **named})


def status(node: TestNode, identity: str, function: str = "note") -> dict[str, Any]:
    return node.get(f"/functions/t/{function}/invocations/{identity}")


def ended(node: TestNode, identity: str) -> dict[str, Any]:
    node.wait_until(lambda: status(node, identity)["finished_at"] is not None)
    return status(node, identity)


def run(node: TestNode, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}
    return forked_cli.run([*arguments, "--json"], env=env, timeout=60)


def cli(node: TestNode, *arguments: str) -> Any:
    done = run(node, *arguments)
    assert done.returncode == 0, (arguments, done)
    return json.loads(done.stdout)


# -- accepted, run, told -------------------------------------------------------------------------


def test_a_call_is_accepted_once_it_is_kept_and_then_run(node: TestNode) -> None:
    answer = later(node, {"name": "first"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    identity = answer.json()["id"]
    assert answer.json() == {"id": identity}
    assert answer.headers["x-request-id"] == identity
    found = ended(node, identity)
    assert (found["state"], found["status"], found["attempts"]) == ("succeeded", 200, 1)
    assert found["result"] == {"noted": "first"}
    assert len(seen(node, f"first.{identity}")) == 1
    record = node.get(f"/invocations/{identity}")
    assert (record["trigger"], record["outcome"]) == ("invoke", "ok")


def test_a_route_that_is_asynchronous_needs_no_preference(node: TestNode) -> None:
    answer = node.client.post(f"{node.url}/note/x", json={"name": "routed"})
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers
    identity = answer.json()["id"]
    assert ended(node, identity)["state"] == "succeeded"
    assert node.get(f"/invocations/{identity}")["trigger"] == "http"
    assert len(seen(node, f"routed.{identity}")) == 1


def test_the_end_is_told_to_destinations_and_result_triggers(node: TestNode) -> None:
    before = node.get("/queues/t/told")["waiting"]
    good = later(node, {"name": "good"}).json()["id"]
    bad = later(node, {"name": "bad", "fail": True}).json()["id"]
    node.wait_until(lambda: seen(node, f"after.{good}") and seen(node, f"after.{bad}"))
    assert node.get("/queues/t/told")["waiting"] == before + 1
    (succeeded,), (failed,) = seen(node, f"after.{good}"), seen(node, f"after.{bad}")
    assert succeeded["type"] == "casemate.function.succeeded"
    assert succeeded["data"] == {"result": {"noted": "good"}}
    assert failed["type"] == "casemate.function.failed"
    assert failed["data"] == {"result": None}


def test_a_function_has_another_one_run_later(node: TestNode) -> None:
    answer = node.invoke({"invoke": {"name": "inner"}}, function="t/send")
    assert answer.status_code == 200, node.error(answer)
    identity = answer.json()
    assert ended(node, identity)["state"] == "succeeded"
    assert len(seen(node, f"inner.{identity}")) == 1


# -- failures ------------------------------------------------------------------------------------


def test_what_fails_is_tried_again_and_given_up_with_a_reason(node: TestNode) -> None:
    identity = later(node, {"name": "fails", "fail": True}).json()["id"]
    found = ended(node, identity)
    assert (found["state"], found["attempts"]) == ("failed", 3)
    assert (found["reason"], found["status"]) == ("handler-error", 500)
    tries = [item["at"] for item in seen(node, f"fails.{identity}")]
    assert len(tries) == 3
    pauses = [b - a for a, b in pairwise(tries)]
    assert pauses[0] >= 0.05 and pauses[1] >= 0.1, "the upper half of 100 and 200 ms"
    assert node.get(f"/errors/{found['error_id']}")["message"] == "planted-failure"
    letters = node.get("/functions/t/note/dead-letters")["letters"]
    (letter,) = [one for one in letters if one["invocation"] == identity]
    assert (letter["reason"], letter["attempts"]) == ("handler-error", 3)
    assert letter["event_type"] == "casemate.invocation"


def test_dead_letters_are_shown_tried_again_and_deleted_by_command(node: TestNode) -> None:
    identity = later(node, {"name": "again", "fail": True}).json()["id"]
    assert ended(node, identity)["state"] == "failed"
    listed = cli(node, "dlq", "ls", "t/note")["letters"]
    (letter,) = [one for one in listed if one["invocation"] == identity]
    shown = cli(node, "dlq", "show", "t/note", letter["id"])
    assert shown["withheld"] is False
    assert shown["content"]["data"] == {"name": "again", "fail": True}
    (waiting,) = [w for w in cli(node, "dlq", "ls")["waiting"] if w["name"] == "t/note"]
    assert waiting["kind"] == "function" and waiting["letters"] == len(listed)
    assert cli(node, "dlq", "redrive", "t/note", letter["id"]) == {"letters": 1}
    node.wait_until(lambda: len(seen(node, f"again.{identity}")) == 6)
    found = ended(node, identity)
    assert found["attempts"] == 3
    node.wait_until(lambda: node.get("/functions/t/note/dead-letters")["letters"])
    # By the id of its error as well, and by that of its invocation.
    assert cli(node, "dlq", "redrive", "t/note", found["error_id"]) == {"letters": 1}
    node.wait_until(lambda: len(seen(node, f"again.{identity}")) == 9)
    ended(node, identity)
    node.wait_until(lambda: node.get("/functions/t/note/dead-letters")["letters"])
    gone = run(node, "dlq", "redrive", "t/note", identity, found["error_id"])
    assert gone.returncode == 3, gone.stderr
    assert f"No dead letter of t/note is of {found['error_id']}." in gone.stderr
    assert "casemate dlq ls t/note" in gone.stderr
    assert cli(node, "dlq", "purge", "t/note", identity, "--yes") == {"letters": 1}
    later(node, {"name": "more", "fail": True})
    node.wait_until(lambda: node.get("/functions/t/note/dead-letters")["letters"])
    assert cli(node, "dlq", "purge", "t/note", "--all", "--yes")["letters"] >= 1
    assert cli(node, "dlq", "ls", "t/note")["letters"] == []


def test_letters_of_a_removed_function_are_listed_and_another_one_gets_them(node: TestNode) -> None:
    """They were on the node for two weeks, and only who knew the name found them."""
    for name in ("left-1", "left-2", "left-3"):
        identity = later(node, {"name": name, "fail": True}, "t/leaving").json()["id"]
        node.wait_until(
            lambda identity=identity: status(node, identity, "leaving")["finished_at"] is not None
        )
    cli(node, "rm", "t/leaving", "--yes")
    (left,) = [w for w in cli(node, "dlq", "ls")["waiting"] if w["name"] == "t/leaving"]
    assert (left["removed"], left["letters"], left["kind"]) == (True, 3, "function")
    ids = [one["id"] for one in cli(node, "dlq", "ls", "t/leaving")["letters"]]
    path = f"{node.url}/api/v1/functions/t/leaving/dead-letters/redrive"

    def redrive(key: str | None = None, **body: Any) -> httpx2.Response:
        with httpx2.Client(headers={"authorization": f"Bearer {key or node.key}"}) as client:
            return client.post(path, json=body)

    nobody = redrive()
    assert nobody.status_code == 404, "it would wait where nobody takes it"
    assert "casemate dlq redrive t/leaving --all --to FUNCTION" in nobody.json()["next_step"]
    assert redrive(to="nowhere").status_code == 404
    operator = cli(node, "tokens", "add", "sender", "--role", "operator@t/leaving")["text"]
    refused = redrive(operator, to="taking")
    assert refused.status_code == 403 and "function:t/taking" in refused.json()["detail"]
    stranger = cli(node, "tokens", "add", "stranger", "--role", "auditor@other")["text"]
    shown = httpx2.get(
        f"{node.url}/api/v1/dead-letters", headers={"authorization": f"Bearer {stranger}"}
    )
    assert shown.json() == {"places": [], "more": False}
    assert redrive(to="taking", ids=[ids[0]]).json() == {"letters": 1}
    node.wait_until(lambda: len(seen(node, "taken.left-1.")) == 1)
    assert cli(node, "dlq", "redrive", "t/leaving", "--all", "--to", "taking") == {"letters": 2}
    node.wait_until(lambda: len(seen(node, "taken.left-")) == 3)
    assert not [w for w in cli(node, "dlq", "ls")["waiting"] if w["name"] == "t/leaving"]
    assert [w for w in node.get("/dead-letters", project="t")["places"] if w["removed"]] == []


def test_an_event_that_is_too_old_is_given_up_without_a_try(node: TestNode) -> None:
    """It waits behind one of its key until it is too old."""
    first = later(node, {"name": "old", "sleep": 2.0}, casemate_key="old").json()["id"]
    second = later(node, {"name": "old"}, casemate_key="old", casemate_max_age="0.5").json()["id"]
    assert ended(node, first)["state"] == "succeeded"
    found = ended(node, second)
    assert (found["state"], found["reason"]) == ("failed", "too old")
    assert seen(node, f"old.{second}") == []


def test_kept_events_get_their_turn_beside_callers_and_lose_no_attempt(node: TestNode) -> None:
    """`slow` has one instance, one attempt, and callers that wait for their answer besides."""
    stop = threading.Event()

    def press() -> None:
        with httpx2.Client(timeout=30, headers=dict(node.client.headers)) as client:
            while not stop.is_set():
                client.post(f"{node.url}/invoke/t/slow", json={"n": -1})

    callers = [threading.Thread(target=press) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        messages = [{"n": n} for n in range(3)]
        node.invoke({"queue": "slow", "messages": messages}, function="t/send")
        node.wait_until(lambda: all(seen(node, f"slow.{n}.") for n in range(3)), 30)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert node.get("/queues/t/slow/dead-letters")["letters"] == []


# -- order, delay, priority ----------------------------------------------------------------------


def test_events_of_one_key_are_handled_one_after_the_other(node: TestNode) -> None:
    ids = [
        later(node, {"name": f"key{n}", "sleep": 0.1}, casemate_key="k").json()["id"]
        for n in range(5)
    ]
    for identity in ids:
        ended(node, identity)
    order = [item["id"].partition(".")[0] for item in seen(node, "key")]
    assert order == [f"key{n}" for n in range(5)]
    times = [item["at"] for item in seen(node, "key")]
    assert all(b - a >= 0.1 for a, b in pairwise(times))


def test_a_delay_is_kept(node: TestNode) -> None:
    sent = time.time()
    identity = later(node, {"name": "delayed"}, casemate_delay="1.5").json()["id"]
    assert status(node, identity)["state"] == "queued"
    ended(node, identity)
    (item,) = seen(node, "delayed")
    assert 1.5 <= item["at"] - sent < 4.0


# -- queues --------------------------------------------------------------------------------------


def test_messages_of_a_queue_reach_its_consumer_even_if_it_is_internal(node: TestNode) -> None:
    node.invoke({"queue": "single", "messages": [{"n": n} for n in range(20)]}, function="t/send")
    node.wait_until(lambda: len(seen(node, "single.")) == 20)
    assert {item["queue"] for item in seen(node, "single.")} == {"single"}
    assert {item["type"] for item in seen(node, "single.")} == {"casemate.queue.message"}
    node.wait_until(lambda: node.get("/queues/t/single")["waiting"] == 0)
    records = node.get("/invocations", project="t", function="single")["invocations"]
    assert {record["trigger"] for record in records} == {"queue"}


def test_batches_are_filled_and_what_failed_of_them_is_tried_again(node: TestNode) -> None:
    messages = [{"n": n, "bad": n == 3} for n in range(12)]
    node.invoke({"queue": "jobs", "messages": messages}, function="t/send")
    node.wait_until(lambda: node.get("/queues/t/jobs")["dead"] == 1)
    batches = seen(node, "batch.")
    assert max(item["size"] for item in batches) == 5
    handled: dict[int, int] = {}
    for item in batches:
        for one in item["items"]:
            handled[one["n"]] = handled.get(one["n"], 0) + 1
    assert handled == {n: 3 if n == 3 else 1 for n in range(12)}
    (letter,) = node.get("/queues/t/jobs/dead-letters")["letters"]
    assert (letter["reason"], letter["attempts"]) == ("reported as failed", 3)
    assert cli(node, "queues", "show", "t/jobs")["dead"] == 1
    assert {"t/jobs"} == {
        w["name"] for w in cli(node, "dlq", "ls")["waiting"] if w["kind"] == "queue"
    }
    assert cli(node, "dlq", "purge", "t/jobs", "--queue", "--all", "--yes") == {"letters": 1}


# -- idempotency ---------------------------------------------------------------------------------


def test_calls_with_one_key_are_one_call(node: TestNode) -> None:
    key = {"idempotency-key": '"order-1"'}
    first = node.invoke({"name": "once"}, function="t/note", headers=key)
    second = node.invoke({"name": "once"}, function="t/note", headers=key)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json() == {"noted": "once"}
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    assert len(seen(node, "once.")) == 1
    other = node.invoke({"name": "other"}, function="t/note", headers=key)
    assert other.status_code == 409
    assert later(node, {"name": "once"}, idempotency_key="order-1").json() == {
        "id": first.headers["x-request-id"]
    }


def test_a_call_with_the_key_of_one_under_way_is_a_conflict(node: TestNode) -> None:
    event, key = {"name": "long", "sleep": 2.0}, {"idempotency-key": "long-1"}
    answers: list[httpx2.Response] = []

    def call() -> None:
        with httpx2.Client(timeout=30, headers=dict(node.client.headers)) as client:
            answers.append(client.post(f"{node.url}/invoke/t/note", json=event, headers=key))

    caller = threading.Thread(target=call)
    caller.start()
    node.wait_until(lambda: seen(node, "long."))
    second = node.invoke(event, function="t/note", headers=key)
    caller.join()
    assert (answers[0].status_code, second.status_code) == (200, 409)
    assert second.headers["retry-after"] == "1"
    assert node.invoke(event, function="t/note", headers=key).status_code == 200
    assert len(seen(node, "long.")) == 1


def test_a_failure_is_replayed_as_the_failure_it_was(node: TestNode) -> None:
    key = {"idempotency-key": "fails-1"}
    event = {"name": "failed-once", "fail": True}
    first = node.invoke(event, function="t/note", headers=key)
    second = node.invoke(event, function="t/note", headers=key)
    assert (first.status_code, second.status_code) == (500, 500)
    assert first.json()["error_id"] == second.json()["error_id"]
    assert len(seen(node, "failed-once.")) == 1


def test_an_event_with_a_key_is_kept_once(node: TestNode) -> None:
    ids = {
        later(node, {"name": "kept-once"}, idempotency_key="kept-1").json()["id"] for _ in range(5)
    }
    (identity,) = ids
    assert ended(node, identity)["state"] == "succeeded"
    time.sleep(0.3)
    assert len(seen(node, "kept-once.")) == 1


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"casemate-delay": "soon"}, "seconds, 0 to 1209600"),
        ({"casemate-delay": "-1"}, "seconds"),
        ({"casemate-delay": "1e3"}, "seconds"),
        ({"casemate-delay": "99999999"}, "seconds"),
        ({"casemate-priority": "10"}, "a whole number from -9 to 9"),
        ({"casemate-key": "\u00e9".encode()}, "printable ASCII"),
        ({"casemate-max-age": "0"}, "more seconds than the delay"),
        ({"casemate-max-age": "5", "casemate-delay": "6"}, "more seconds than the delay"),
        ({"idempotency-key": "x" * 256}, "1 to 255 printable"),
        ({"idempotency-key": '""'}, "1 to 255 printable"),
    ],
)
def test_bad_wishes_are_refused_with_what_was_expected(
    node: TestNode, headers: dict[str, Any], expected: str
) -> None:
    answer = node.invoke({"name": "bad-wish"}, function="t/note", headers={**PREFER, **headers})
    assert answer.status_code == 400, answer.text
    assert expected in answer.json()["detail"]


def test_what_only_makes_sense_later_is_refused_without_it(node: TestNode) -> None:
    answer = node.invoke({"name": "bad-wish"}, function="t/note", headers={"casemate-delay": "1"})
    assert answer.status_code == 400
    assert "Prefer: respond-async" in answer.json()["detail"]
    assert seen(node, "bad-wish.") == []


def test_what_is_no_json_is_not_kept(node: TestNode) -> None:
    answer = node.client.post(
        f"{node.url}/invoke/t/note",
        content=b"{",
        headers={**PREFER, "content-type": "application/json"},
    )
    assert answer.status_code == 400


def test_a_queue_with_a_second_consumer_is_refused(node: TestNode) -> None:
    answer = node.deploy(
        "def handler(event, context):\n    pass\n",
        name="second",
        routes='[[function.second.queue]]\nqueue = "single"\n',
        resources="[queue.single]\n",
        approve=True,
        expect=409,
    )
    assert "consumed by t/single" in answer["detail"]


# -- commands, restarts --------------------------------------------------------------------------


def test_the_command_line_sends_and_asks(node: TestNode) -> None:
    event = '{"name": "by-command"}'
    sent = cli(node, "invoke", "t/note", event, "--async", "--delay", "0.2", "--priority", "3")
    assert sent["status"] == 202
    identity = sent["body"]["id"]
    ended(node, identity)
    told = cli(node, "invocations", "t/note", "--status", identity)
    assert (told["state"], told["result"]) == ("succeeded", {"noted": "by-command"})


@pytest.mark.storm
def test_a_stop_lets_what_runs_end_and_a_start_goes_on(tmp_path: Path) -> None:
    node = TestNode(tmp_path / "data").start()
    try:
        node.deploy_project(MANIFEST, SOURCE)
        running = later(node, {"name": "running", "sleep": 1.0}).json()["id"]
        node.wait_until(lambda: seen(node, "running."))
        waiting = [
            later(node, {"name": "waiting"}, casemate_delay="1").json()["id"] for _ in range(3)
        ]
        node.stop()
        node.start()
        found = status(node, running)
        assert (found["state"], found["attempts"]) == ("succeeded", 1)
        for identity in waiting:
            assert ended(node, identity)["attempts"] == 1
        assert len(seen(node, "waiting.")) == 3
        assert len(seen(node, "running.")) == 1
    finally:
        node.close()
