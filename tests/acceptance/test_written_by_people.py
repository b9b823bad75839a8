"""Items and messages of the command line: they reach functions, by right, and are told nowhere."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from support.attacks import AUTHORIZATION, denials
from support.cli import casemate
from support.node import TestNode

pytestmark = pytest.mark.sandbox

SHARES_NODE = True
MARK = "swordfish-0815"
HOSTILE = "nobody' OR 'a'='a"
AMOUNT = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "integer", "maximum": 9}},
}
MANIFEST = """
[project]
name = "people"
[table.orders]
key = "id"
[table.big]
key = "id"
max_item = "2MiB"
[table.seen]
key = "id"
[queue.jobs]
[topic.news]

[function.watch]
handler = "app:watch"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.watch.table]]
table = "orders"
events = ["inserted", "updated", "deleted"]

[function.work]
handler = "app:work"
contract = "amount.json"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.work.queue]]
queue = "jobs"
contract = "amount.json"

[function.hear]
handler = "app:hear"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.hear.topic]]
topic = "news"

[function.look]
handler = "app:look"
grants = { tables = [{ name = "orders", actions = ["get"] }, { name = "big", actions = ["get"] }] }
"""
SOURCE = """
import sqlite3


def watch(event, context):
    key, kind = event.detail["key"], event.type.rpartition(".")[2]
    context.table("seen").put({"id": f"{kind} {key} {event.detail['revision']}"})

def work(event, context):
    beside = event.detail["attributes"].get("trace", "")
    context.table("seen").put({"id": f"job {event.data['amount']} {beside}"})

def hear(event, context):
    context.table("seen").put({"id": f"news {event.data}"})

def look(event, context):
    name = context.table("orders").get(event["id"]).value["name"]
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE people (name TEXT)")
    return db.execute(f"SELECT name FROM people WHERE name = '{name}'").fetchall()
"""


@pytest.fixture(scope="module", autouse=True)
def deployed(node: TestNode) -> None:
    node.deploy_project(MANIFEST, SOURCE, files={"amount.json": json.dumps(AMOUNT)})


@pytest.fixture(scope="module")
def people(node: TestNode) -> Iterator[dict[str, TestNode]]:
    """Clients of roles, which have the same interface for a command as the node."""
    found = {}
    for binding in ("developer@people", "developer@other", "operator", "auditor", "invoker"):
        wanted = {"name": binding.replace("@", "-"), "roles": [binding]}
        answer = node.client.post(f"{node.url}/api/v1/tokens", json=wanted)
        assert answer.status_code == 201, answer.text
        found[binding] = answer.json()
    yield found


def seen(node: TestNode) -> set[str]:
    page = node.client.post(f"{node.url}/api/v1/tables/people/seen/query", json={}).json()
    return {item["value"]["id"] for item in page["items"]}


def told(node: TestNode, *words: str, stdin: str = "", **how: Any) -> str:
    done = casemate(node, *words, stdin=stdin, **how)
    assert done.returncode == 0, (words, done)
    return done.stdout


def test_what_is_put_and_removed_reaches_who_listens(node: TestNode) -> None:
    for item in ({"id": "ada", "x": MARK}, {"id": "ada", "x": 2}):
        told(node, "tables", "put", "people/orders", stdin=json.dumps(item))
    assert json.loads(told(node, "tables", "get", "people/orders", "ada"))["x"] == 2
    told(node, "tables", "rm", "people/orders", "ada", "--yes")
    told(node, "tables", "rm", "people/orders", "ada", "--yes")
    node.wait_until(lambda: {"inserted ada 1", "updated ada 2", "deleted ada 2"} <= seen(node))


def test_what_is_sent_is_held_against_the_contract_of_who_handles_it(node: TestNode) -> None:
    good, bad = json.dumps({"amount": 7}), json.dumps({"amount": MARK})
    told(node, "queues", "send", "people/jobs", "--attribute", "trace=a-1", stdin=good)
    told(node, "queues", "send", "people/jobs", stdin=bad)
    told(node, "queues", "send", "people/news", "--topic", stdin='"hello"')
    node.wait_until(lambda: {"job 7 a-1", "news hello"} <= seen(node))
    node.wait_until(lambda: bool(node.get("/queues/people/jobs/dead-letters")["letters"]))
    (letter,) = node.get("/queues/people/jobs/dead-letters")["letters"]
    assert letter["reason"] == "invalid: The event breaks its contract: /amount: type."


def test_what_a_person_wrote_is_from_outside_to_the_guard(node: TestNode) -> None:
    item = {"id": "hostile", "name": HOSTILE}
    told(node, "tables", "put", "people/orders", stdin=json.dumps(item))
    answer = node.invoke({"id": "hostile"}, function="people/look")
    assert (answer.status_code, node.outcome(answer)) == (500, "blocked")


def test_who_did_it_is_told_and_nothing_of_what(node: TestNode, people: dict[str, Any]) -> None:
    maker = people["developer@people"]
    env = {"CASEMATE_KEY": maker["text"]}
    item = json.dumps({"id": f"{MARK}-key", "x": MARK})
    told(node, "tables", "put", "people/big", stdin=item, env=env)
    told(node, "tables", "rm", "people/big", f"{MARK}-key", "--yes", env=env)
    told(node, "queues", "send", "people/jobs", stdin='{"amount": 1}', env=env)
    told(node, "queues", "send", "people/news", "--topic", stdin=f'"{MARK}"', env=env)
    by = f"token:{maker['token']['id']}"
    entries = told(node, "journal", "export", "--project", "people").splitlines()
    mine = [line for line in entries if by in line]
    for what, on in (
        ("writeItem", "table:people/big"),
        ("deleteItem", "table:people/big"),
        ("sendToQueue", "queue:people/jobs"),
        ("publishToTopic", "topic:people/news"),
    ):
        assert any(what in line and on in line for line in mine), what
    for command in (
        ("journal", "export", "--project", "people"),
        ("denials", "--json"),
        ("logs", "people/watch"),
    ):
        assert MARK not in told(node, *command)
    for path in node.data.rglob("*"):
        if path.is_file():
            assert MARK.encode() not in path.read_bytes(), path


def test_each_role_may_what_it_may(node: TestNode, people: dict[str, Any]) -> None:
    since = time.time()
    commands = {
        "table:put": (("tables", "put", "people/orders"), '{"id": "role"}'),
        "table:delete": (("tables", "rm", "people/orders", "role", "--yes"), ""),
        "queue:send": (("queues", "send", "people/jobs"), '{"amount": 2}'),
        "topic:publish": (("queues", "send", "people/news", "--topic"), "2"),
    }
    for role, made in people.items():
        for words, stdin in commands.values():
            env = {"CASEMATE_KEY": made["text"]}
            done = casemate(node, *words, stdin=stdin, env=env)
            assert done.returncode == (0 if role == "developer@people" else 4), (role, done)
    found = denials(node, kind=AUTHORIZATION, since=since)
    refused = {(d["principal"], d["action"]) for d in found}
    wanted = {
        (f"token:{made['token']['id']}", action)
        for role, made in people.items()
        for action in commands
        if role != "developer@people"
    }
    assert wanted <= refused
    assert httpx2.post(f"{node.url}/api/v1/tables/people/orders/put", json={}).status_code == 401


def test_of_many_at_once_one_is_first(node: TestNode) -> None:
    def put(number: int) -> int:
        with httpx2.Client(headers=dict(node.client.headers)) as client:
            body = {"value": {"id": "race", "by": number}, "if_revision": 0}
            url = f"{node.url}/api/v1/tables/people/big/put"
            return client.post(url, json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(put, range(24)))
    assert sorted(statuses) == [200, *[409] * 23]


def test_a_body_is_bounded_and_names_are_names(node: TestNode) -> None:
    url = f"{node.url}/api/v1/tables/people"
    most = {"value": {"id": "most", "x": "y" * ((512 << 10) - 100)}}
    assert node.client.post(f"{url}/big/put", json=most).status_code == 200
    most["value"]["x"] += "y" * 200
    assert node.client.post(f"{url}/big/put", json=most).status_code == 413
    long = {"value": {"id": 1, "x": "y" * 500_000}}
    assert node.client.post(f"{url}/orders/put", json=long).status_code == 413
    for name in ("..", "%2e%2e", "big%2f..%2forders", "Big", "big%00", "b" * 64):
        answer = node.client.post(f"{url}/{name}/put", json={"value": {"id": 1}})
        assert answer.status_code in (400, 404, 405), (name, answer.text)
