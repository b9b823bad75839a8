"""An intruder in a function finds decoys, and uses what it has found, in every way there is.

Each answer is that to a wrong guess, and each touch is on record as critical. That it takes no
other time is tested in `test_alike.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.attacks import until
from support.cli import casemate
from support.node import TestNode

SOURCE = """
import os, urllib.error, urllib.request
def handler(event, context):
    if event["do"] == "look around":
        return {k: v for k, v in os.environ.items() if k.startswith("CASEMATE_BACKUP_")}
    try:
        if event["do"] == "secret":
            context.secret(event["name"])
        elif event["do"] == "query":
            list(context.table(event["name"]).query())
        elif event["do"] == "get":
            context.table(event["name"]).get("a")
        else:
            urllib.request.urlopen(f"http://{event['name']}/", timeout=5)
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode().replace(event["name"], "NAME")]
    except Exception as error:
        return [type(error).__name__, str(error).replace(event["name"], "NAME")]
    return "it worked"
"""
WRONG = {
    "secret": "payments-api-key-00000",
    "row": "payments-accounts-00000",
    "host": "vault-00000.corp.internal",
    "token": f"cm_{'0' * 16}_{'A' * 43}",
}
VARIABLES = {kind: f"CASEMATE_BACKUP_{name}" for kind, name in {
    "secret": "SECRET", "row": "TABLE", "host": "HOST", "token": "TOKEN",
}.items()}  # fmt: skip


@pytest.fixture(scope="module")
def intruded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("decoys") / "data").start()
    node.deploy(
        SOURCE, project="shop", unguarded=True, approve=True,
        grants='egress = [{ host = "api.example.com", port = 80 }]',
    )  # fmt: skip
    yield node
    node.close()


@pytest.fixture(scope="module")
def found(intruded: TestNode) -> dict[str, str]:
    """What an intruder finds who looks around."""
    looked = intruded.invoke({"do": "look around"}, function="shop/f").json()
    return {kind: looked[name] for kind, name in VARIABLES.items()}


def touches(node: TestNode, **like: str) -> list[dict[str, Any]]:
    """Return the touches on record that are like this, once there are any."""

    def find() -> list[dict[str, Any]]:
        entries = node.get("/journal", kind="DecoyTouched", limit=1000)["entries"]
        return [
            entry["event"]
            for entry in entries
            if like.items() <= {**entry["event"]["unmapped"], "by": by(entry)}.items()
        ]

    result: list[dict[str, Any]] = until(find)
    return result


def by(entry: dict[str, Any]) -> str:
    return str(entry["event"]["actor"]["user"]["name"])


def by_people(node: TestNode, kind: str) -> list[dict[str, Any]]:
    return [t for t in touches(node, kind=kind) if by({"event": t}).startswith("token:")]


BY_FUNCTIONS = [("secret", "secret"), ("query", "row"), ("get", "row"), ("host", "host")]


@pytest.mark.parametrize(("do", "kind"), BY_FUNCTIONS, ids=[do for do, _ in BY_FUNCTIONS])
def test_a_function_learns_nothing_and_is_told_of(
    intruded: TestNode, found: dict[str, str], do: str, kind: str
) -> None:
    decoy, wrong = (
        intruded.invoke({"do": do, "name": name}, function="shop/f").json()
        for name in (found[kind], WRONG[kind])
    )
    assert decoy == wrong != "it worked"
    [touch, *_] = touches(intruded, kind=kind, by="function:shop/f")
    assert touch["severity_id"] == 5
    assert touch["unmapped"]["decoy"] == f"shop/{kind}/1"
    assert touch["resources"][0]["name"] == "shop/f"
    assert found[kind] not in str(touch)


WAYS = {
    "the API": ("GET", "/api/v1/functions"),
    "a path of the API that there is not": ("GET", "/api/v1/nothing"),
    "a change by the API": ("DELETE", "/api/v1/functions/shop/f"),
    "a call": ("POST", "/invoke/shop/f"),
    "a call of what there is not": ("POST", "/invoke/ghost/f"),
    "a hook": ("POST", "/hooks/shop/f/x"),
    "a route": ("GET", "/some/where"),
    "health, which takes none": ("GET", "/api/v1/health"),
}


def present(node: TestNode, way: tuple[str, str], token: str) -> httpx2.Response:
    method, path = way
    headers = {"authorization": f"Bearer {token}"}
    return httpx2.request(method, node.url + path, headers=headers)


def same(response: httpx2.Response) -> tuple[Any, ...]:
    """Return what there is to compare of an answer: all but its ids and its time."""
    changing = {"date", "x-request-id"}
    headers = {k: v for k, v in response.headers.items() if k not in changing}
    body = response.content
    for name in ("error_id", "instance"):
        if headers.get("content-type", "").endswith("json") and name in (told := response.json()):
            body = body.replace(str(told[name]).encode(), b"")
    return response.status_code, headers, body


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_token_is_refused_like_a_wrong_one_and_told_of(
    intruded: TestNode, found: dict[str, str], way: tuple[str, str]
) -> None:
    before = len(touches(intruded, kind="token"))
    decoy = present(intruded, way, found["token"])
    assert same(decoy) == same(present(intruded, way, WRONG["token"]))
    told: list[dict[str, Any]] = until(
        lambda: (all_of := touches(intruded, kind="token"))[: len(all_of) - before]
    )
    assert told, "a touch by this way is on record"
    assert told[0]["src_endpoint"]["ip"] == "127.0.0.1"
    assert told[0]["severity_id"] == 5


def test_a_person_who_asks_is_told_of(intruded: TestNode, found: dict[str, str]) -> None:
    api = f"{intruded.url}/api/v1"
    asked = intruded.client.get(f"{api}/secrets/shop/{found['secret']}")
    other = "w" * len(found["secret"])
    wrong = intruded.client.get(f"{api}/secrets/shop/{other}")
    assert asked.status_code == wrong.status_code == 404
    assert str(same(asked)).replace(found["secret"], other) == str(same(wrong))
    [touch] = until(lambda: by_people(intruded, "secret"))
    assert touch["unmapped"]["action"] == "secret:list"
    [row] = intruded.client.post(f"{api}/tables/shop/{found['row']}/query", json={}).json()["items"]
    assert row["value"]["api_token"] == found["token"]
    got = intruded.client.post(
        f"{api}/tables/shop/{found['row']}/get", json={"key": row["value"]["id"]}
    )
    assert got.json() == row
    assert until(lambda: len(by_people(intruded, "row")) == 2)
    assert {touch["unmapped"]["action"] for touch in by_people(intruded, "row")} == {
        *("table:query", "table:get"),
    }


def test_who_may_not_read_the_table_is_told_of_as_well(
    intruded: TestNode, found: dict[str, str]
) -> None:
    made = intruded.client.post(
        f"{intruded.url}/api/v1/tokens", json={"name": "weak", "roles": ["invoker@shop"]}
    ).json()
    who = f"token:{made['token']['id']}"
    headers = {"authorization": f"Bearer {made['text']}"}
    path = f"{intruded.url}/api/v1/tables/shop"
    decoy, wrong = (
        httpx2.post(f"{path}/{name}/query", json={}, headers=headers)
        for name in (found["row"], WRONG["row"])
    )
    assert decoy.status_code == wrong.status_code == 403
    assert touches(intruded, kind="row", by=who)
    refused = httpx2.get(f"{intruded.url}/api/v1/decoys", headers=headers)
    assert refused.status_code == 403 and "CASEMATE" not in refused.text


def test_no_listing_shows_them(intruded: TestNode, found: dict[str, str]) -> None:
    for path in (
        *("/functions", "/functions/shop/f", "/secrets", "/secrets/shop", "/tables/shop"),
        *("/buckets/shop", "/queues/shop", "/tokens", "/users", "/grants/shop/f", "/node"),
    ):
        answer = intruded.client.get(f"{intruded.url}/api/v1{path}")
        for text in (*found.values(), found["token"][3:19]):
            assert text not in answer.text, path


def test_an_honest_table_has_its_own_rows_alone(intruded: TestNode, found: dict[str, str]) -> None:
    source = (
        "def handler(event, context):\n"
        "    table = context.table('orders')\n"
        "    table.put({'id': 'a'})\n"
        "    return [each.value for each in table.query()]\n"
    )
    intruded.deploy(
        source, project="shop", name="honest", approve=True,
        grants='tables = [{ name = "orders", actions = ["put", "query"] }]',
        resources='[table.orders]\nkey = "id"',
    )  # fmt: skip
    answer = intruded.invoke({}, function="shop/honest")
    assert answer.json() == [{"id": "a"}]


def test_owners_see_where_they_are_and_that_is_recorded(
    intruded: TestNode, found: dict[str, str]
) -> None:
    listed = {each["kind"]: each for each in intruded.get("/decoys", project="shop")["decoys"]}
    assert {k: v["place"] for k, v in listed.items() if k != "token"} == {
        k: v for k, v in found.items() if k != "token"
    }
    assert listed["token"]["place"] == found["token"][3:19]
    assert found["token"] not in str(listed)
    entries = intruded.get("/journal", kind="OperationPerformed", search="listDecoys")["entries"]
    assert entries and entries[0]["event"]["unmapped"]["effect"] == "read"
    shown = casemate(intruded, "decoys", "ls", "shop")
    assert found["host"] in shown.stdout and found["token"] not in shown.stdout


def test_nothing_of_them_is_on_the_disk_or_in_a_log(
    intruded: TestNode, found: dict[str, str]
) -> None:
    values = [found["token"], found["token"][20:], found["row"], found["host"]]
    for path in [*intruded.data.rglob("*"), intruded.errors]:
        try:
            content = Path(path).read_bytes()
        except (IsADirectoryError, FileNotFoundError):
            continue  # the journal writes a part of a tile anew when it goes on
        else:
            assert not [each for each in values if each.encode() in content], path


def test_they_are_the_same_after_a_restart_and_others_after_a_rotation(
    intruded: TestNode, found: dict[str, str]
) -> None:
    intruded.stop()
    intruded.start()
    looked = intruded.invoke({"do": "look around"}, function="shop/f").json()
    assert looked[VARIABLES["token"]] == found["token"]
    rotated = intruded.client.post(f"{intruded.url}/api/v1/decoys/shop/rotate")
    assert rotated.status_code == 200, rotated.text
    places = {each["kind"]: each["place"] for each in rotated.json()["decoys"]}
    assert not set(places.values()) & set(found.values())
    present(intruded, WAYS["the API"], found["token"])
    assert touches(intruded, decoy="shop/token/1")


def test_one_that_is_off_is_shown_with_its_reason(intruded: TestNode) -> None:
    short = casemate(intruded, "decoys", "disable", "shop", "host", "--reason", "short")
    assert short.returncode != 0
    reason = "a scanner of ours resolves every name"
    casemate(intruded, "decoys", "disable", "shop", "host", "--reason", reason)
    states = {each["kind"]: each for each in intruded.get("/decoys", project="shop")["decoys"]}
    assert not states["host"]["on"] and states["host"]["reason"] == reason
    risks = intruded.get("/journal", kind="RiskAccepted", search=reason)["entries"]
    assert risks and risks[0]["event"]["actor"]["user"]["name"].startswith("token:")
    casemate(intruded, "decoys", "enable", "shop", "host")
    states = {each["kind"]: each for each in intruded.get("/decoys", project="shop")["decoys"]}
    assert states["host"]["on"]


def test_what_was_stolen_is_known_to_a_node_that_is_restored(
    intruded: TestNode, tmp_path: Path
) -> None:
    looked = intruded.invoke({"do": "look around"}, function="shop/f").json()
    file, again = tmp_path / "node.tar", tmp_path / "again"
    for done in (
        casemate(intruded, "backup", str(file)),
        casemate(
            intruded,
            "restore",
            str(file),
            "--data",
            str(again),
            "--master-key",
            f"file:{intruded.master_key}",
        ),
    ):
        assert done.returncode == 0, done.stderr
    restored = TestNode(again, "--master-key", f"file:{intruded.master_key}")
    restored.key = intruded.key
    try:
        restored.start()
        present(restored, WAYS["the API"], looked[VARIABLES["token"]])
        [touch, *_] = touches(restored, kind="token")
        assert touch["unmapped"]["decoy"].startswith("shop/token/")
    finally:
        restored.close()
