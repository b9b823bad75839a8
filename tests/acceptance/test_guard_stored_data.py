"""What one function stores from its event is still its event's in another, on a real node."""

from __future__ import annotations

import pytest

from support.node import TestNode

pytestmark = pytest.mark.sandbox

SHARES_NODE = True
HOSTILE = "nobody' OR 'a'='a"
SHOP = """
import sqlite3


def database():
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE people (name TEXT)")
    db.execute("INSERT INTO people VALUES ('ada')")
    return db


def spliced(name):
    return database().execute(f"SELECT name FROM people WHERE name = '{name}'").fetchall()


def handler(event, context):
    what, name = event["do"], event.get("name")
    table, files = context.table("users"), context.bucket("files")
    own = "x' OR name = 'ada"
    if what == "save":
        table.put({"id": "1", "name": name, "own": own})
        files.put("one", name)
        files.put("own", own)
        with files.create("large") as file:
            file.write(name.encode())
        context.queue("jobs").send({"name": name})
        return "saved"
    if what == "get":
        return spliced(table.get("1").value["name"])
    if what == "query":
        return [spliced(item.value["name"]) for item in table.query("1")]
    if what == "own":
        return spliced(table.get("1").value["own"])
    if what == "parameter":
        name = table.get("1").value["name"]
        return database().execute("SELECT name FROM people WHERE name = ?", (name,)).fetchall()
    if what == "open":
        with files.open(event["key"]) as file:
            return spliced(file.read().decode())
    return spliced(files.get(event["key"]).decode())
"""
RESOURCES = '[bucket.files]\n[queue.jobs]\n[table.users]\nkey = "id"\n'
GRANTS = """
buckets = [{ name = "files", actions = ["read", "write"] }]
tables = [{ name = "users", actions = ["get", "put", "query"] }]
queues = ["jobs"]
"""


@pytest.fixture(scope="module")
def node(node: TestNode) -> TestNode:
    for name in ("writer", "reader"):
        node.deploy(SHOP, name=name, grants=GRANTS, resources=RESOURCES, approve=True)
    saved = node.invoke({"do": "save", "name": HOSTILE}, function="t/writer")
    assert saved.json() == "saved", saved.text
    for key, content in (("outside", HOSTILE), ("outside-plain", "ada")):
        answer = node.client.put(
            f"{node.url}/api/v1/buckets/t/files/object", params={"key": key}, content=content
        )
        answer.raise_for_status()
    return node


@pytest.mark.parametrize(
    ("do", "key", "origin"),
    [
        ("get", "", "/name of table:users"),
        ("query", "", "/name of table:users"),
        ("object", "one", "The whole of bucket:files"),
        ("object", "large", "The whole of bucket:files"),
        ("open", "large", "The whole of bucket:files"),
        ("object", "outside", "The whole of bucket:files"),
        ("open", "outside", "The whole of bucket:files"),
    ],
)
def test_what_came_from_outside_is_blocked_in_the_other_function(
    node: TestNode, do: str, key: str, origin: str
) -> None:
    response = node.invoke({"do": do, "key": key}, function="t/reader")
    assert response.status_code == 500
    assert node.outcome(response) == "blocked"
    invocation = response.headers["x-request-id"]

    def found() -> list[dict[str, str]]:
        denials = node.get("/denials", invocation=invocation)["denials"]
        return [denial for denial in denials if denial["kind"] == "injection"]

    node.wait_until(found)
    (denial,) = found()
    assert denial["action"] == "guard:sql"
    assert denial["reason"].startswith(f"{origin} ends the string literal")
    assert HOSTILE not in str(denial)


@pytest.mark.parametrize(
    ("do", "key", "rows"),
    [
        ("own", "", [["ada"]]),
        ("object", "own", [["ada"]]),
        ("parameter", "", []),
        ("object", "outside-plain", [["ada"]]),
    ],
)
def test_own_values_plain_data_and_parameters_pass(
    node: TestNode, do: str, key: str, rows: list[list[str]]
) -> None:
    response = node.invoke({"do": do, "key": key}, function="t/reader")
    assert response.json() == rows
