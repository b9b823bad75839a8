"""What is not usual of a function is told, and refused where its manifest says so, on a node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.attacks import CAPABILITY, denials, until
from support.cli import casemate
from support.node import TestNode

SOURCE = """
def handler(event, context):
    table = context.table("orders")
    done = []
    for action in event["do"]:
        try:
            done.append(getattr(table, action)(*event["with"]) is None)
        except Exception as error:
            done.append(type(error).__name__)
    return done
"""
GRANTS = 'tables = [{ name = "orders", actions = ["get", "put", "delete"] }]'
PUT, DELETE = {"do": ["put"], "with": [{"id": "a"}]}, {"do": ["delete"], "with": ["a"]}


def deploy(node: TestNode, name: str, mode: str, grants: str = GRANTS, source: str = "") -> None:
    node.deploy(
        SOURCE + source,
        name=name,
        project="shop",
        grants=grants,
        approve=True,
        resources='[table.orders]\nkey = "id"',
        routes=f'[function.{name}.baseline]\non_deviation = "{mode}"\n',
    )


@pytest.fixture(scope="module")
def learned(node: TestNode) -> Iterator[TestNode]:
    """The node with two functions that are known by one owner who puts items."""
    for name, mode in (("strict", "refuse"), ("watched", "report")):
        deploy(node, name, mode)
        for _ in range(3):
            assert node.invoke(PUT, function=f"shop/{name}").json() == [False]
        told = casemate(node, "baseline", "lock", f"shop/{name}")
        assert told.returncode == 0, told.stderr
    yield node


def deviations(node: TestNode, function: str, **like: Any) -> list[dict[str, Any]]:
    def find() -> list[dict[str, Any]]:
        entries = node.get("/journal", kind="BaselineDeviation", limit=1000)["entries"]
        return [
            entry["event"]["unmapped"]
            for entry in entries
            if entry["event"]["resources"][0]["name"] == f"shop/{function}"
            and like.items() <= entry["event"]["unmapped"].items()
        ]

    found: list[dict[str, Any]] = until(find)
    return found


def stranger(node: TestNode) -> httpx2.Client:
    made = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "stranger", "roles": ["invoker@shop"]}
    )
    if made.status_code == 409:
        pytest.fail("each test has a stranger of its own")
    return httpx2.Client(headers={"authorization": f"Bearer {made.json()['text']}"}, timeout=30)


def test_what_is_usual_goes_on(learned: TestNode) -> None:
    shown = learned.get("/functions/shop/strict/baseline")
    usual = {each["aspect"]: each.get("values") for each in shown["usual"]}
    assert shown["state"] == "locked" and shown["calls"] == 3
    assert usual["grant"] == ["table orders put"] and usual["trigger"] == ["invoke"]
    for name in ("strict", "watched"):
        assert learned.invoke(PUT, function=f"shop/{name}").json() == [False]


def test_a_use_that_is_not_usual_is_refused_before_it_is_done(learned: TestNode) -> None:
    assert learned.invoke(DELETE, function="shop/strict").json() == ["DeniedError"]
    found = denials(learned, kind=CAPABILITY, project="shop", function="strict")
    assert "baseline" in found[0]["reason"]
    assert deviations(learned, "strict", kind="grant", value="table orders delete", refused=True)
    item = learned.client.post(f"{learned.url}/api/v1/tables/shop/orders/get", json={"key": "a"})
    assert item.status_code == 200, "the item is there still"


def test_a_use_that_is_not_usual_is_told_where_it_is_not_refused(learned: TestNode) -> None:
    assert learned.invoke(DELETE, function="shop/watched").json() != ["DeniedError"]
    assert deviations(learned, "watched", kind="grant", value="table orders delete", refused=False)


def test_a_caller_who_never_called_is_refused_like_one_who_may_not(learned: TestNode) -> None:
    with stranger(learned) as caller:
        refused = caller.post(f"{learned.url}/invoke/shop/strict", json=PUT)
        served = caller.post(f"{learned.url}/invoke/shop/watched", json=PUT)
        elsewhere = caller.post(f"{learned.url}/invoke/mail/strict", json=PUT)
    assert served.json() == [False]
    assert refused.status_code == elsewhere.status_code == 403
    one, other = refused.json(), elsewhere.json()
    one.pop("error_id"), other.pop("error_id")
    assert one == other, "who is known to the function is not told"
    assert deviations(learned, "strict", kind="caller", refused=True)
    assert deviations(learned, "watched", kind="caller", refused=False)


def test_what_a_new_version_is_approved_for_is_usual_and_all_else_is_not(
    learned: TestNode,
) -> None:
    grants = GRANTS + '\nsecrets = ["key"]'
    source = "def other(event, context): return context.secret('key') is None\n"
    deploy(learned, "strict", "refuse", grants, source)
    assert learned.invoke(PUT, function="shop/strict").json() == [False]
    assert learned.invoke(DELETE, function="shop/strict").json() == ["DeniedError"]
    shown = learned.get("/functions/shop/strict/baseline")
    assert shown["differences"] == ["+ secret key read"]


QUERIES = """
import sqlite3
def handler(event, context):
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE t (id INTEGER)")
    how = "=" if event["id"] < 100 else "!="
    try:
        return base.execute(f"SELECT id FROM t WHERE id {how} {event['id']}").fetchall()
    except BaseException as error:
        return type(error).__name__
"""


def test_a_statement_of_another_shape_is_refused_before_it_is_made(learned: TestNode) -> None:
    deploy(learned, "asking", "refuse", source=QUERIES)
    for number in range(3):
        assert learned.invoke({"id": number}, function="shop/asking").json() == []
    assert casemate(learned, "baseline", "lock", "shop/asking").returncode == 0
    shown = learned.get("/functions/shop/asking/baseline")
    usual = {each["aspect"]: each.get("values") for each in shown["usual"]}
    assert usual["shape"] == ["sql select id from t where id = ?"], "and no value, nor literals"
    # A process that was there before goes on as it was, as with hosts: it tells of the other one.
    learned.stop()
    learned.start()
    assert learned.invoke({"id": 7}, function="shop/asking").json() == []
    blocked = learned.invoke({"id": 700}, function="shop/asking")
    assert blocked.status_code == 500 and "shape" not in blocked.text
    told = learned.get(f"/errors/{blocked.json()['error_id']}")
    assert told["outcome"] == "blocked" and "nothing of this shape" in told["message"]
    value = "sql select id from t where id != ?"
    assert deviations(learned, "asking", kind="shape", value=value, refused=True)
    assert learned.invoke({"id": 8}, function="shop/asking").json() == [], "others go on"


CALLS = """
import asyncio, os, threading, time, uuid
ACTS = {"mkdir": os.mkdir, "rmdir": os.rmdir, "unlink": os.unlink}
def handler(event, context):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    thread = threading.Thread(target=time.sleep, args=(0.001,))
    thread.start(), thread.join()
    context.log.info(f"{uuid.uuid4()} {len(os.listdir('/function/code'))} {open(__file__).read(9)}")
    found = []
    for name in event["do"]:
        try:
            ACTS[name]("/tmp/there")
            found.append("done")
        except OSError as error:
            found.append(error.errno)
    return found
"""


def deploy_watched(node: TestNode, name: str, mode: str) -> None:
    settings = f'[function.{name}.baseline]\non_deviation = "{mode}"\nsystem_calls = true\n'
    node.deploy(CALLS, name=name, project="shop", routes=settings)


def usual_calls(node: TestNode, function: str) -> list[str]:
    shown = node.get(f"/functions/shop/{function}/baseline")
    return next(each["values"] for each in shown["usual"] if each["aspect"] == "system-call")


def test_a_system_call_that_is_not_usual_is_refused_soon_after_the_lock(
    learned: TestNode,
) -> None:
    for name, mode in (("calling", "refuse"), ("heard", "report")):
        deploy_watched(learned, name, mode)
        did = learned.invoke({"do": ["mkdir", "rmdir"]}, function=f"shop/{name}").json()
        assert did == ["done", "done"]
        assert casemate(learned, "baseline", "lock", f"shop/{name}").returncode == 0
        # Nothing else: neither of the platform's own code nor of what the handler does beside it.
        assert usual_calls(learned, name) == ["mkdir", "rmdir"]

    def unlinked() -> Any:
        return learned.invoke({"do": ["unlink"]}, function="shop/calling").json()

    # Processes that ask and refuse take the place of those that let it through.
    until(lambda: unlinked() == [1])
    for _ in range(3):  # restored in between
        did = learned.invoke({"do": ["mkdir", "unlink", "rmdir"]}, function="shop/calling").json()
        assert did == ["done", 1, "done"]
    assert deviations(learned, "calling", kind="system-call", value="unlink", refused=True)
    found = denials(learned, kind="system-call", project="shop", function="calling")
    assert {(each["action"], "baseline" in each["reason"]) for each in found} == {("unlink", True)}
    assert learned.invoke({"do": ["unlink"]}, function="shop/heard").json() == [2]
    assert deviations(learned, "heard", kind="system-call", value="unlink", refused=False)
    assert usual_calls(learned, "calling") == usual_calls(learned, "heard") == ["mkdir", "rmdir"]


def test_who_may_only_deploy_cannot_reset_it(learned: TestNode) -> None:
    made = learned.client.post(
        f"{learned.url}/api/v1/tokens", json={"name": "dev", "roles": ["developer@shop"]}
    ).json()
    headers = {"authorization": f"Bearer {made['text']}"}
    url = f"{learned.url}/api/v1/functions/shop/strict/baseline"
    assert httpx2.get(url, headers=headers).status_code == 200
    for what in ("lock", "reset"):
        assert httpx2.post(f"{url}/{what}", headers=headers).status_code == 403


def test_it_is_there_after_a_restart_and_can_be_reset(learned: TestNode) -> None:
    before = learned.get("/functions/shop/strict/baseline")
    learned.stop()
    learned.start()
    assert learned.get("/functions/shop/strict/baseline") == before
    told = casemate(learned, "baseline", "reset", "shop/strict", "--yes")
    assert told.returncode == 0, told.stderr
    assert learned.get("/functions/shop/strict/baseline")["state"] == "learning"
    assert learned.invoke(DELETE, function="shop/strict").json() != ["DeniedError"]
