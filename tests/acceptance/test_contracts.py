"""Contracts, CloudEvents and AWS shapes on a running node: what is not let through does not run."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from support.node import TestNode

SHARES_NODE = True
MARK = "swordfish-4711"
AMOUNT = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "integer", "maximum": 9}},
}
MANIFEST = """
[project]
name = "contracts"
[table.seen]
key = "id"
[queue.jobs]
[queue.parcels]

[function.pay]
handler = "app:pay"
contract = "amount.json"
[[function.pay.http]]
method = "POST"
path = "/pay"
contract = "amount.json"

[function.open]
handler = "app:pay"
[[function.open.http]]
method = "POST"
path = "/open"

[function.send]
handler = "app:send"
grants = { queues = ["jobs", "parcels"] }

[function.work]
handler = "app:work"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.work.queue]]
queue = "jobs"
batch = 10
window = "300ms"
contract = "amount.json"

[function.aws]
handler = "app:aws"
event_format = "aws"
[[function.aws.http]]
method = "POST"
path = "/aws/{name}"

[function.shipping]
handler = "app:shipping"
event_format = "aws"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.shipping.queue]]
queue = "parcels"
batch = 10
window = "300ms"
[function.shipping.delivery]
attempts = 1
"""
SOURCE = """
def pay(event, context):
    seen = context.event
    if isinstance(seen.data, bytes):
        return len(seen.data)
    return {"given": event, "id": seen.id, "source": seen.source, "type": seen.type,
            "subject": seen.subject, "data": seen.data, "detail": seen.detail}

def send(event, context):
    for message in event["messages"]:
        context.queue(event.get("queue", "jobs")).send(message)

def work(event, context):
    for record in event.records:
        context.table("seen").put({"id": str(record.data["amount"])})

def shipping(event, context):
    failures = []
    for record in event["Records"]:
        if record["eventSource"] != "aws:sqs" or record["body"] == "broken":
            failures.append({"itemIdentifier": record["messageId"]})
        else:
            context.table("seen").put({"id": "parcel " + record["body"]})
    return {"batchItemFailures": failures}

def aws(event, context):
    return {"statusCode": 201, "cookies": ["a=1"], "headers": {"x-name": event["pathParameters"]["name"]},
            "body": event["rawPath"] + context.event.id}
"""  # noqa: E501


@pytest.fixture(scope="module", autouse=True)
def deployed(node: TestNode) -> None:
    files = {"amount.json": json.dumps(AMOUNT)}
    node.deploy_project(MANIFEST, SOURCE, files=files)


def contract_denials(node: TestNode, function: str) -> list[dict[str, Any]]:
    listed = node.get(f"/denials?project=contracts&function={function}")["denials"]
    return [denial for denial in listed if denial["kind"] == "contract"]


def seen(node: TestNode) -> set[str]:
    page = node.client.post(f"{node.url}/api/v1/tables/contracts/seen/query", json={}).json()
    return {item["value"]["id"] for item in page["items"]}


def test_a_call_that_breaks_its_contract_is_refused_and_recorded(node: TestNode) -> None:
    assert node.invoke({"amount": 9}, function="contracts/pay").status_code == 200
    answer = node.invoke({"amount": MARK, MARK: 1}, function="contracts/pay")
    assert answer.status_code == 400
    assert "breaks its contract: /amount: type" in answer.text
    (denial,) = contract_denials(node, "pay")
    assert denial["reason"] == "invoke: /amount: type"
    assert denial["version"] == 1
    assert MARK not in answer.text + json.dumps(denial)
    record = node.get(f"/invocations/{denial['invocation']}")
    assert record["outcome"] == "invalid"


def test_who_may_not_call_hears_nothing_of_it(node: TestNode) -> None:
    answer = httpx2.post(f"{node.url}/invoke/contracts/pay", json={"amount": 10})
    assert answer.status_code == 401
    assert "contract" not in answer.text


def test_a_routes_body_and_a_kept_call(node: TestNode) -> None:
    good = node.client.post(f"{node.url}/pay", json={"amount": 1})
    assert good.json()["data"] == {"amount": 1}
    assert node.client.post(f"{node.url}/pay", json={"amount": 10}).status_code == 400
    text = {"content-type": "text/plain"}
    assert node.client.post(f"{node.url}/pay", content=b"x", headers=text).status_code == 400
    assert node.client.post(f"{node.url}/pay").status_code == 400
    later = {"prefer": "respond-async"}
    assert node.invoke({"amount": 10}, function="contracts/pay", headers=later).status_code == 400


def test_without_a_contract_the_default_limits_hold(node: TestNode) -> None:
    answer = node.invoke({"x": "y" * 300_000}, function="contracts/open")
    assert answer.status_code == 400
    assert "/*: default limit on string" in answer.text
    assert node.invoke([[[1]]], function="contracts/open").status_code == 200
    png = {"content-type": "image/png"}
    body = bytes(400_000)
    assert node.client.post(f"{node.url}/open", content=body, headers=png).json() == 400_000


def test_one_bad_message_does_not_take_its_batch_along(node: TestNode) -> None:
    amounts = [1, 2, 99, 3, MARK, 4]
    sent = node.invoke({"messages": [{"amount": a} for a in amounts]}, function="contracts/send")
    assert sent.status_code == 200, node.error(sent)

    node.wait_until(lambda: {one for one in seen(node) if one.isdigit()} == {"1", "2", "3", "4"})
    node.wait_until(lambda: len(node.get("/queues/contracts/jobs/dead-letters")["letters"]) == 2)
    letters = node.get("/queues/contracts/jobs/dead-letters")["letters"]
    assert sorted(letter["reason"] for letter in letters) == [
        "invalid: The event breaks its contract: /amount: maximum.",
        "invalid: The event breaks its contract: /amount: type.",
    ]


# -- CloudEvents ---------------------------------------------------------------------------------

ATTRIBUTES = {
    "specversion": "1.0",
    "id": "order-1",
    "source": "https://shop.example.com/orders",
    "type": "com.example.paid",
    "subject": "7",
}
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


def test_structured_and_binary_events_are_the_same(node: TestNode) -> None:
    body = json.dumps({**ATTRIBUTES, "data": {"amount": 3}})
    structured = node.client.post(
        f"{node.url}/invoke/contracts/pay", content=body, headers=STRUCTURED
    )
    headers = {f"ce-{name}": value for name, value in ATTRIBUTES.items()}
    binary = node.client.post(
        f"{node.url}/invoke/contracts/pay", json={"amount": 3}, headers=headers
    )
    for answer in (structured, binary):
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["given"] == {"amount": 3}
        assert (told["id"], told["type"], told["subject"]) == ("order-1", "com.example.paid", "7")
    routed = node.client.post(f"{node.url}/pay", content=body, headers=STRUCTURED).json()
    assert routed["data"] == {"amount": 3}
    assert routed["source"] == "https://shop.example.com/orders"
    assert routed["given"]["method"] == "POST"


def test_a_cloudevent_is_held_to_the_contract_by_its_data(node: TestNode) -> None:
    for path in ("/invoke/contracts/pay", "/pay"):
        body = json.dumps({**ATTRIBUTES, "data": {"amount": 10}})
        answer = node.client.post(node.url + path, content=body, headers=STRUCTURED)
        assert answer.status_code == 400
        assert "/amount: maximum" in answer.text


def test_what_is_no_cloudevent_is_told_so(node: TestNode) -> None:
    answer = node.invoke({"amount": 1}, function="contracts/pay", headers={"ce-id": "1"})
    assert answer.status_code == 400
    assert "the attribute source is missing" in answer.text
    body = json.dumps({**ATTRIBUTES, "type": "casemate.schedule.tick"})
    answer = node.client.post(f"{node.url}/invoke/contracts/pay", content=body, headers=STRUCTURED)
    assert "those of the platform itself" in answer.text


def test_a_batch_is_one_invocation_for_each_and_only_later(node: TestNode) -> None:
    events = [{**ATTRIBUTES, "id": f"e{n}", "data": {"amount": n}} for n in range(3)]
    body = json.dumps(events)
    target = f"{node.url}/invoke/contracts/pay"
    assert node.client.post(target, content=body, headers=BATCH).status_code == 400
    later = {**BATCH, "prefer": "respond-async"}
    answer = node.client.post(target, content=body, headers=later)
    assert answer.status_code == 202
    ids = answer.json()["ids"]
    assert len(set(ids)) == 3
    assert answer.json()["id"] == ids[0]
    path = "/functions/contracts/pay/invocations"
    node.wait_until(lambda: all(node.get(f"{path}/{one}")["finished_at"] for one in ids))
    found = [node.get(f"{path}/{one}")["result"] for one in ids]
    assert [one["id"] for one in found] == ["e0", "e1", "e2"]
    events[1]["data"]["amount"] = 10
    refused = node.client.post(target, content=json.dumps(events), headers=later)
    assert refused.status_code == 400
    once = {**later, "idempotency-key": "k"}
    assert node.client.post(target, content=body, headers=once).status_code == 400


def test_an_answer_as_a_cloudevent(node: TestNode) -> None:
    accept = {"accept": "application/cloudevents+json"}
    answer = node.invoke({"amount": 1}, function="contracts/pay", headers=accept)
    assert answer.headers["content-type"] == "application/cloudevents+json"
    told = answer.json()
    assert told["type"] == "casemate.function.answered"
    assert told["source"] == "/projects/contracts/functions/pay"
    assert told["id"] == answer.headers["x-request-id"]
    assert told["data"]["given"] == {"amount": 1}


# -- AWS -------------------------------------------------------------------------------------------


def test_a_handler_of_aws_answers_a_route(node: TestNode) -> None:
    answer = node.client.post(f"{node.url}/aws/Ada", json={"x": 1})
    assert answer.status_code == 201, answer.text
    assert answer.headers["x-name"] == "Ada"
    assert answer.headers["set-cookie"] == "a=1"
    assert answer.text == "/aws/Ada" + answer.headers["x-request-id"]


def test_a_handler_of_sqs_reports_what_failed(node: TestNode) -> None:
    parcels = ["a", "broken", "b"]
    sent = node.invoke({"queue": "parcels", "messages": parcels}, function="contracts/send")
    assert sent.status_code == 200, node.error(sent)
    letters = "/queues/contracts/parcels/dead-letters"
    node.wait_until(lambda: len(node.get(letters)["letters"]) == 1)
    assert node.get(letters)["letters"][0]["reason"] == "reported as failed"
    node.wait_until(lambda: {"parcel a", "parcel b"} <= seen(node))
