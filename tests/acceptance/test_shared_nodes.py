"""Nodes that share their state: whatever is done on one holds on all, and none is alone with it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import psycopg
import pytest

from casemate.maintenance.cluster_doctor import examine_cluster
from support.cli import casemate
from support.cluster import Cluster
from support.monitor import Receiver
from support.node import TestNode, default_risks
from support.s3 import S3Server

pytestmark = pytest.mark.sandbox

SOON = 2.0
"""Seconds within which what one node changes is to hold on the others."""
NIGHT_ENDS = 4
"""The hour of UTC up to which it is night for the rules."""
ECHO = "def handler(event, context):\n    return {'said': 'VERSION', 'got': event}\n"
KEEPS = """\
def handler(event, context):
    table = context.table("notes")
    if "note" in event.data:
        table.put({"id": event.data["note"], "by": event.data.get("by")})
        return {"kept": event.data["note"]}
    return {"found": table.get(event.data["read"]).value}
"""
ESCAPES = """\
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def handler(event, context):
    return libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
"""
SETTINGS = """\
[alerts.pager]
kind = "webhook"
url = "http://127.0.0.1:{port}/hook"
secret = "t/alert-key"
accept = ["private", "plaintext"]
"""
TELLS = """\
def handler(event, context):
    pin = str(context.secret("pin"))
    return {"length": len(pin) if pin == event.data["is"] else 0}
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, postgresql_server: Any) -> Iterator[Any]:
    objects = S3Server(tmp_path_factory.mktemp("s3"))
    yield postgresql_server, objects
    objects.close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, places: Any, receiver: Receiver
) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"), *places)
    settings = made.folder / "node.toml"
    settings.write_text(SETTINGS.format(port=receiver.port))
    for name in ("one", "two"):
        made.node(name, "--playbooks", "--config", str(settings)).start()
    set_secret(made.nodes[0], "alert-key", "a long and random text")
    yield made
    made.close()


@pytest.fixture
def one(cluster: Cluster) -> TestNode:
    return cluster.nodes[0]


@pytest.fixture
def two(cluster: Cluster) -> TestNode:
    return cluster.nodes[1]


def soon(holds: Callable[[], bool], seconds: float = SOON) -> float:
    """Wait until something holds; return how long it took."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds
        time.sleep(0.02)
    return time.monotonic() - begun


def kill(node: TestNode) -> None:
    """Kill all processes of it at once."""
    for pid in node.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    node.process = None


def said(node: TestNode, function: str) -> str:
    answer = node.invoke(1, function=function)
    return str(answer.json()["said"]) if answer.status_code == 200 else str(answer.status_code)


def test_what_is_deployed_on_one_answers_on_the_other(one: TestNode, two: TestNode) -> None:
    one.deploy(ECHO.replace("VERSION", "first"), name="echo")
    soon(lambda: said(two, "t/echo") == "first")
    two.deploy(ECHO.replace("VERSION", "second"), name="echo")
    assert said(two, "t/echo") == "second"
    soon(lambda: said(one, "t/echo") == "second")


def test_who_is_let_in_is_the_same_everywhere(one: TestNode, two: TestNode) -> None:
    made = casemate(one, "tokens", "add", "reader", "--role", "invoker@t", "--json")
    assert made.returncode == 0, made.stderr
    token = json.loads(made.stdout)

    def status() -> int:
        headers = {"authorization": f"Bearer {token['text']}"}
        return httpx2.post(f"{two.url}/invoke/t/echo", json=1, headers=headers).status_code

    soon(lambda: status() == 200)
    gone = casemate(one, "tokens", "revoke", token["token"]["id"], "--yes")
    assert gone.returncode == 0, gone.stderr
    soon(lambda: status() == 401)


def test_what_one_keeps_the_other_reads(one: TestNode, two: TestNode) -> None:
    for node in (one, two):
        node.deploy(
            KEEPS,
            name="notes",
            grants='tables = [{ name = "notes", actions = ["get", "put"] }]',
            resources='[table.notes]\nkey = "id"',
            approve=True,
        )
    assert one.invoke({"note": "n1", "by": "one"}, function="t/notes").status_code == 200
    read = two.invoke({"read": "n1"}, function="t/notes")
    assert read.json() == {"found": {"id": "n1", "by": "one"}}


def test_what_people_write_by_either_node_is_one(one: TestNode, two: TestNode) -> None:
    """Nodes hold no data of their own: each writes to the same, on the same conditions."""
    one.deploy(
        KEEPS,
        name="noted",
        grants='tables = [{ name = "written", actions = ["get"] }]\nqueues = ["sent"]',
        resources='[table.written]\nkey = "id"\n[queue.sent]',
        approve=True,
    )
    item = json.dumps({"id": "a-1", "by": "one"})
    assert casemate(one, "tables", "put", "t/written", "--if-absent", stdin=item).returncode == 0
    again = casemate(two, "tables", "put", "t/written", "--if-absent", stdin=item)
    assert again.returncode == 1 and "revision 1, expected 0" in again.stderr
    assert casemate(two, "queues", "send", "t/sent", stdin="1").returncode == 0
    assert "1 waiting" in casemate(one, "queues", "show", "t/sent").stdout
    assert casemate(two, "tables", "rm", "t/written", "a-1", "--yes").returncode == 0
    assert casemate(one, "tables", "get", "t/written", "a-1").returncode == 3


def test_a_secret_that_one_was_given_the_other_has(one: TestNode, two: TestNode) -> None:
    one.deploy(TELLS, name="tells", grants='secrets = ["pin"]', approve=True)
    set_secret(one, "pin", "first-pin")
    soon(lambda: told(two, "first-pin") == len("first-pin"))
    set_secret(two, "pin", "other-pin")
    soon(lambda: told(one, "other-pin") == len("other-pin"))


def told(node: TestNode, value: str) -> int:
    """Return the length of the secret that a function has, if it is this one."""
    answer = node.invoke({"is": value}, function="t/tells")
    return int(answer.json()["length"]) if answer.status_code == 200 else answer.status_code


def set_secret(node: TestNode, name: str, value: str) -> None:
    done = casemate(node, "secrets", "set", f"t/{name}", "--exact", stdin=value)
    assert done.returncode == 0, done.stderr


def test_nodes_know_of_each_other(one: TestNode, two: TestNode) -> None:
    nodes = one.get("/nodes")["nodes"]
    assert [node["state"] for node in nodes] == ["up", "up"]
    assert {node["address"] for node in nodes} == {one.url, two.url}
    assert two.get("/nodes")["nodes"][0]["id"] == nodes[0]["id"]


def test_a_copy_of_one_nodes_files_is_no_backup(one: TestNode) -> None:
    answer = one.client.get(f"{one.url}/api/v1/backup")
    assert answer.status_code == 409, answer.text
    assert "would not be a backup" in answer.text


# -- starting ------------------------------------------------------------------------------------


def refusal(cluster: Cluster, name: str, *arguments: str, **environment: str) -> str:
    """Return what a start says that is refused; a variable that is empty is not set."""
    environ = {**os.environ, **cluster.environment(), **environment}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "casemate.cli.main", "serve", "--port", "0"),
            *("--data", str(cluster.folder / name), *default_risks()),
            *("--master-key", f"file:{cluster.master_key}", *arguments),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env={key: value for key, value in environ.items() if value},
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


def test_a_node_that_shares_is_not_started_alone(cluster: Cluster) -> None:
    """Before anything is opened: the first one runs."""
    said = refusal(cluster, "one", CASEMATE_STORE="", CASEMATE_OBJECTS="")
    assert "shares its state" in said


def test_encrypted_disks_are_said_or_the_risk_is_accepted(cluster: Cluster) -> None:
    assert "--accept-risk clear-disks" in refusal(cluster, "three")


def test_a_bucket_of_another_cluster_is_refused(cluster: Cluster, places: Any) -> None:
    other = Cluster(cluster.folder / "other", *places)
    other.folder.mkdir()
    said = refusal(other, "three", "--encrypted-disks", CASEMATE_OBJECTS=cluster.objects)
    assert "belongs to the cluster" in said


def test_another_master_key_is_refused_by_name(cluster: Cluster) -> None:
    key = cluster.folder / "wrong.key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    said = refusal(cluster, "three", "--encrypted-disks", "--master-key", f"file:{key}")
    assert "master key is another one" in said


def test_what_any_node_served_all_of_them_tell_once(one: TestNode, two: TestNode) -> None:
    """Records, errors, logs, denials and use, each with its node, whichever is asked."""
    one.deploy(
        "def handler(event, context):\n    print('seen', event)\n    return 1 / event\n",
        name="told",
    )
    soon(lambda: two.invoke(1, function="t/told").status_code == 200, 10.0)
    for node, data in ((one, 5), (two, 7), (one, 0), (two, 0)):
        node.invoke(data, function="t/told")
    httpx2.post(f"{two.url}/invoke/t/told", json=1)

    def records(node: TestNode) -> list[dict[str, Any]]:
        return list(node.get("/invocations", project="t", function="told")["invocations"])

    def told(node: TestNode) -> dict[str, str]:
        return {record["id"]: record["node"] for record in records(node)}

    soon(lambda: len(told(one)) >= 5 and told(one) == told(two), 10.0)
    names = set(told(one).values())
    assert len(names) == 2

    def errors(node: TestNode) -> set[tuple[str, str]]:
        found = node.get("/errors", project="t", function="told", outcome="handler-error")["errors"]
        return {(each["id"], each["node"]) for each in found}

    soon(lambda: errors(one) == errors(two) and len(errors(one)) == 2, 10.0)
    for identity, name in errors(one):
        shown = two.get(f"/errors/{identity}")
        assert shown["node"] == name
        assert "ZeroDivisionError" in shown["trace"]

    def used(node: TestNode) -> tuple[int, int]:
        rows = node.get("/usage", project="t", function="told")["rows"]
        return sum(row["requests"] for row in rows), sum(row.get("errors", 0) for row in rows)

    served = len([record for record in records(one) if record["run_ms"]])
    soon(lambda: used(one) == used(two) == (served, 2), 10.0)

    def counted(asked: TestNode, **chosen: str) -> tuple[int, set[str], list[str]]:
        found = asked.get("/metrics", project="t", function="told", **chosen)
        calls = sum(each["calls"] for each in found["functions"])
        return calls, {each["node"] for each in found["nodes"]}, found["missing"]

    soon(lambda: counted(one) == counted(two) and counted(one)[1:] == (names, []), 10.0)
    assert counted(one)[0] >= 5
    assert sum(counted(one, node=name)[0] for name in names) == counted(two)[0]
    assert casemate(one, "top", "t/told", "--once").stdout.startswith("2 nodes: ")

    listed = casemate(one, "invocations", "t/told", "--outcome", "ok")
    assert all(name in listed.stdout for name in names), listed.stdout
    text = casemate(one, "logs", "t/told").stdout
    assert "seen 5" in text
    assert "seen 7" in text
    verified = casemate(two, "journal", "verify")
    assert verified.returncode == 0, verified.stdout
    assert any(f"node {name}: its journal went on" in verified.stdout for name in names)
    denied = casemate(one, "denials", "t/told", "--json")
    assert any(each["node"] in names for each in json.loads(denied.stdout)["denials"])


def close_incidents(*nodes: TestNode) -> None:
    """Close what is open: at night each deploy of the tests before is found, by its token.

    So is the secret that the first of them set. Who heard of it before a deploy has both in one
    incident, the other node has not: none is to be on its way any more.
    """
    left_alone_since = time.monotonic()

    def closed() -> bool:
        nonlocal left_alone_since
        left = [
            (node, each["id"])
            for node in nodes
            for each in node.get("/incidents")["incidents"]
            if each["state"] not in ("resolved", "false-alarm")
        ]
        for node, id in left:
            casemate(node, "incident", "resolve", id, "--reason", "tests at night")
            left_alone_since = time.monotonic()
        is_night = time.gmtime().tm_hour < NIGHT_ENDS
        return not left and time.monotonic() - left_alone_since > (3.0 if is_night else 0.0)

    soon(closed, 30.0)


def test_what_both_find_is_one_incident_acted_on_once_and_told_once(
    one: TestNode, two: TestNode, receiver: Receiver
) -> None:
    """At one moment on both; what is said of it on either holds on the other."""
    close_incidents(one, two)
    one.deploy(ESCAPES, name="evil")
    soon(lambda: two.invoke(0, function="t/evil").status_code != 404, 10.0)
    one.invoke(0, function="t/evil")

    def incidents(node: TestNode) -> list[dict[str, Any]]:
        found = node.get("/incidents")["incidents"]
        return [each for each in found if "function:t/evil" in each["things"]]

    def finders(node: TestNode) -> set[str]:
        """Not any finding's: at night the deploy is one as well."""
        return {each["node"] for each in node.get("/findings", rule="mount-tried")["findings"]}

    soon(lambda: bool(finders(one)) and finders(one) == finders(two), 20.0)

    soon(lambda: bool(incidents(one)) and incidents(one) == incidents(two), 20.0)
    [incident] = incidents(one)

    def runs(node: TestNode) -> list[tuple[str, str]]:
        found = node.get("/playbook-runs")["runs"]
        return [(run["id"], run["state"]) for run in found if run["playbook"] == "escape-tried"]

    soon(lambda: [state for _, state in runs(one)] == ["done"] and runs(one) == runs(two), 20.0)
    soon(lambda: two.invoke(0, function="t/evil").status_code == 503, 5.0)

    def told() -> list[str]:
        with receiver.lock:
            bodies = [json.loads(body) for _, _, body in receiver.requests]
        return [
            f["rule"] for body in bodies for f in body["findings"] if f["rule"] == "mount-tried"
        ]

    soon(lambda: bool(told()), 25.0)
    said = casemate(two, "incident", "assign", incident["id"], "ada", "--outside")
    assert said.returncode == 0, said.stderr
    soon(lambda: incidents(one)[0]["owner"] == incidents(two)[0]["owner"] == "ada", 15.0)
    closed = casemate(one, "incident", "resolve", incident["id"], "--reason", "it was us")
    assert closed.returncode == 0, closed.stderr
    soon(lambda: {each["state"] for each in incidents(two)} == {"resolved"}, 15.0)
    silenced = casemate(
        *(two, "alert", "silence", "mount-tried", "--for", "1h", "--reason", "a test of ours")
    )
    assert silenced.returncode == 0, silenced.stderr
    soon(lambda: bool(one.get("/alerts/silences")["silences"]), 15.0)
    shown = casemate(one, "incident", "show", incident["id"])
    assert "ada" in shown.stdout
    assert told() == ["mount-tried"]


def test_versions_of_a_playbook_are_one_row_signed_by_one_vault(
    one: TestNode, two: TestNode
) -> None:
    text = str(one.get("/playbooks/escape-tried")["text"]).replace('"none"', '"person"')

    def put(node: TestNode, number: int) -> int:
        body = {"text": f"{text}# {number}\n"}
        answer = node.client.put(f"{node.url}/api/v1/playbooks/numbered", json=body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["version"])

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(put, [one, two] * 3, range(6)))
    assert sorted(made) == [1, 2, 3, 4, 5, 6]
    for node in (one, two):
        soon(lambda node=node: node.get("/playbooks/numbered")["version"] == 6, 10)  # type: ignore[misc]
        kept = node.get("/playbooks/numbered/versions")["versions"]
        assert [(each["version"], each["signed"]) for each in kept] == [
            (number, True) for number in range(6, 0, -1)
        ]
        assert node.get("/playbooks/numbered")["unverified"] == ""
    gone = two.client.delete(f"{two.url}/api/v1/playbooks/numbered")
    assert gone.status_code == 204
    found = one.get("/findings?limit=100")["findings"]
    assert not [each for each in found if each["rule"] == "playbook-not-signed"]


def test_doctor_knows_what_nodes_share(
    cluster: Cluster, two: TestNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {each.name: each for each in examine_cluster(cluster.environment())}
    assert not found["database"].holds, "that of tests writes without fsync"
    assert "fsync is off" in found["database"].detail and "timeline 1" in found["database"].detail
    assert found["nodes"].holds and two.get("/nodes")["nodes"][0]["name"] in found["nodes"].detail
    assert found["clock"].holds
    assert not found["synchronous standbys"].holds, "this is one server"
    assert "is the cluster's" in found["bucket"].detail
    assert found["schema"].holds and found["schema"].detail.startswith("version ")
    monkeypatch.setattr("casemate.maintenance.cluster_doctor.__version__", "0.0.1")
    off = time.time() + 3600
    monkeypatch.setattr("casemate.maintenance.cluster_doctor.time.time", lambda: off)
    lost = {
        **cluster.environment(),
        "CASEMATE_OBJECTS": "s3://uploads/x?endpoint=http://127.0.0.1:9",
    }
    found = {each.name: each for each in examine_cluster(lost)}
    assert "3600.0 s ahead" in found["clock"].detail or "3599" in found["clock"].detail
    assert not found["clock"].holds and not found["nodes"].holds and not found["bucket"].holds
    assert examine_cluster({}) == []


# -- what fails ----------------------------------------------------------------------------------


def test_calls_go_on_while_the_database_is_away_and_end_when_that_is_too_long(
    one: TestNode, places: Any
) -> None:
    """For 8 s none fails; what a node knows is not used for longer than 10 s."""
    database, _ = places
    soon(lambda: said(one, "t/echo") == "second")
    time.sleep(0.6)  # what is known is of this moment
    database.signal(signal.SIGSTOP)
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < 8.0:
            assert said(one, "t/echo") == "second"
            time.sleep(0.1)
        soon(lambda: said(one, "t/echo") == "503", 4.0)
        assert 9.0 < time.monotonic() - begun < 12.0
    finally:
        database.signal(signal.SIGCONT)
    soon(lambda: said(one, "t/echo") == "second", 5.0)


def test_what_a_killed_node_had_accepted_is_done_by_another(
    cluster: Cluster, one: TestNode, two: TestNode
) -> None:
    for node in (one, two):
        soon(lambda node=node: said(node, "t/echo") == "second", 5.0)  # type: ignore[misc]
    accepted = []
    for number in range(20):
        answer = two.client.post(
            f"{two.url}/invoke/t/notes",
            json={"note": f"late{number}", "by": "two"},
            headers={"prefer": "respond-async"},
        )
        assert answer.status_code == 202, answer.text
        accepted.append(f"late{number}")
    kill(two)
    begun = time.monotonic()
    missing = set(accepted)
    while missing and time.monotonic() - begun < 30:
        missing = {
            name
            for name in missing
            if one.invoke({"read": name}, function="t/notes").status_code != 200
        }
        time.sleep(0.2)
    assert not missing, f"{len(missing)} of {len(accepted)}"


@pytest.mark.storm
def test_a_node_that_was_killed_tells_all_that_it_kept_once_it_is_back(
    one: TestNode, two: TestNode, cluster: Cluster
) -> None:
    """Nothing of it is lost to the others, or told twice.

    Meanwhile somebody has changed in the database what `one` had told.
    """
    if two.process is None:  # the test before has killed it, where it was run as well
        two.start()
    one.deploy(ECHO.replace("VERSION", "told of"), name="killed")
    soon(lambda: said(two, "t/killed") == "told of", 10.0)
    for _ in range(20):
        assert said(two, "t/killed") == "told of"
    kill(two)
    assert said(one, "t/killed") == "told of"
    forged = forge_newest(cluster)
    two.start()
    soon(lambda: said(two, "t/killed") == "told of", 10.0)

    def ids(node: TestNode) -> list[str]:
        found = node.get("/invocations", limit=1000)["invocations"]
        return sorted(record["id"] for record in found)

    soon(lambda: set(ids(two)) <= set(ids(one)) and len(ids(two)) > 20, 15.0)
    # The same call, tried again by another node, is two records under one id.
    records = one.get("/invocations", limit=1000)["invocations"]
    assert len({(r["id"], r["attempt"], r["node"]) for r in records}) == len(records)
    assert part(one, "records of others")["ok"]
    told = f"what is stored as its batch {forged} is not what it has stored"
    soon(lambda: told in part(two, "records of others")["detail"], 20.0)
    verified = casemate(two, "journal", "verify")
    assert verified.returncode == 1
    assert told in " ".join(verified.stdout.split())


@pytest.mark.storm
def test_what_a_node_found_when_it_was_killed_another_acts_on(one: TestNode, two: TestNode) -> None:
    """Whether it had begun or not: once."""
    one.deploy(ESCAPES, name="wicked")
    soon(lambda: two.client.get(f"{two.url}/api/v1/ready").status_code == 200, 15.0)

    def of_it(node: TestNode) -> list[dict[str, Any]]:
        found = node.get("/playbook-runs")["runs"]
        return [r for r in found if "function:t/wicked" in {a["target"] for a in r["acts"]}]

    soon(lambda: two.invoke(0, function="t/wicked").status_code == 200, 10.0)

    # Told, and not yet acted on to the end, or just so.
    def told() -> bool:
        """Not by any finding of it: at night the deploy is one as well, and `two` has told none."""
        found = one.get("/findings", rule="mount-tried")["findings"]
        return "wicked" in {each["function"] for each in found}

    soon(told, 20.0)
    kill(two)
    found: list[list[dict[str, Any]]] = []
    soon(lambda: not found.append(of_it(one)) and [r["state"] for r in found[-1]] == ["done"], 60.0)
    assert one.invoke(0, function="t/wicked").status_code == 503
    incidents = one.get("/incidents")["incidents"]
    assert len([i for i in incidents if "function:t/wicked" in i["things"]]) == 1


def part(node: TestNode, name: str) -> dict[str, Any]:
    found = node.get("/node/health")["parts"]
    return next(each for each in found if each["name"] == name)


def forge_newest(cluster: Cluster) -> int:
    """Change a bit of the next batch that is stored; return its number."""
    with psycopg.connect(cluster.store, autocommit=True) as connection:

        def newest() -> tuple[str, int]:
            row = connection.execute(
                "SELECT node, number FROM casemate_control.shipped_records ORDER BY at DESC LIMIT 1"
            ).fetchone()
            assert row is not None
            return row[0], row[1]

        before = newest()
        soon(lambda: newest() != before, 20.0)
        changed = newest()
        connection.execute(
            "UPDATE casemate_control.shipped_records "
            "SET content = set_byte(content, 100, get_byte(content, 100) # 1) "
            "WHERE node = %s AND number = %s",
            changed,
        )
    return changed[1]
