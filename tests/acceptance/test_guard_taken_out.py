"""What a handler takes out of its event, or writes over, is the event's all the same at a sink."""

from __future__ import annotations

import pytest

from support.node import TestNode

pytestmark = pytest.mark.sandbox
SHARES_NODE = True

MANIFEST = """
[project]
name = "apart"
[table.kept]
key = "id"
[function.f]
handler = "app:handler"
grants = { tables = [{ name = "kept", actions = ["get", "put"] }] }
[[function.f.http]]
method = "POST"
path = "/apart"
"""
CODE = """
import json
import sqlite3

DB = sqlite3.connect(":memory:")
DB.execute("CREATE TABLE t (name TEXT)")
DB.executemany("INSERT INTO t VALUES (?)", [("ada",), ("bob",)])


def select(name):
    return DB.execute("SELECT name FROM t WHERE name = '" + name + "'").fetchall()


class Record:
    def __init__(self, fields):
        self.__dict__.update(fields)


def pop(event):
    return event.pop("name")

def popitem(event):
    return dict([event.popitem() for _ in range(len(event))])["name"]

def delete(event):
    name = event["name"]
    del event["name"]
    return name

def clear(event):
    held = Record(event)
    event.clear()
    return held.name

def overwrite(event):
    name, event["name"] = event["name"], "nobody"
    return name

def nested(event):
    return event["inner"].pop("names").pop()

def rebuilt(event):
    names = [event.pop(key) for key in list(event)]
    return next(name for name in names if name.startswith("ada"))

WAYS = {way.__name__: way for way in (pop, popitem, delete, clear, overwrite, nested, rebuilt)}


def handler(event, context):
    if "body" in event:  # by the route
        event = json.loads(event.pop("body"))
    if event.get("stored"):
        table = context.table("kept")
        if event["stored"] == "write":
            table.put({"id": "1", "name": event["name"], "inner": event["inner"]})
            return None
        event = {"how": event["how"], **{"value": table.get("1").value}}
        return select(WAYS[event["how"]](event["value"]))
    return select(WAYS[event.pop("how")](event))
"""
WAYS = ("pop", "popitem", "delete", "clear", "overwrite", "nested", "rebuilt")
HOSTILE, HONEST = "ada' OR 'a'='a", "ada"


@pytest.fixture(scope="module", autouse=True)
def deployed(node: TestNode) -> None:
    node.deploy_project(MANIFEST, CODE)


def event(way: str, name: str, filled: int = 0) -> dict[str, object]:
    made: dict[str, object] = {"how": way, "name": name, "inner": {"names": [name]}}
    # Events that are read again and those that are looked at before: both are asked about.
    return {**made, "filled": "x" * filled} if filled else made


@pytest.mark.parametrize("filled", [0, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("way", WAYS)
def test_of_a_direct_call(node: TestNode, way: str, filled: int) -> None:
    honest = node.invoke(event(way, HONEST, filled), function="apart/f")
    assert honest.json() == [["ada"]], node.error(honest)
    answer = node.invoke(event(way, HOSTILE, filled), function="apart/f")
    assert node.outcome(answer) == "blocked"


@pytest.mark.parametrize("way", ["pop", "overwrite"])
def test_of_a_route(node: TestNode, way: str) -> None:
    assert node.client.post(f"{node.url}/apart", json=event(way, HONEST)).json() == [["ada"]]
    answer = node.client.post(f"{node.url}/apart", json=event(way, HOSTILE))
    assert node.outcome(answer) == "blocked"


@pytest.mark.parametrize("way", [way for way in WAYS if way != "rebuilt"])
def test_of_what_was_stored_by_another_call(node: TestNode, way: str) -> None:
    for name, outcome in ((HONEST, "ok"), (HOSTILE, "blocked")):
        stored = node.invoke({**event("", name), "stored": "write"}, function="apart/f")
        assert stored.status_code == 200, node.error(stored)
        read = node.invoke({"how": way, "stored": "read"}, function="apart/f")
        assert node.outcome(read) == outcome
