"""Hard budgets at full load on many connections: what goes beyond is at most what is in flight."""

from __future__ import annotations

import json
import time

import pytest

from support.cli import casemate
from support.flood import Flood
from support.node import TestNode

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(900)]
SOURCE = """
import time
def handler(event, context):
    until = time.process_time() + event.get("n", 0) * 0.001
    while time.process_time() < until:
        pass
    return 1
"""
PLAIN = "def handler(event, context):\n    return 1\n"
SECONDS = 10
ROUNDS = 12
"""Of so many seconds at the most, until it is used up: a busy machine takes longer."""
REQUESTS, CPU_SECONDS = 4000, 4.0
BEYOND = 0.001
"""Of a budget goes beyond it at the most."""


def budget(node: TestNode, project: str, **wanted: object) -> None:
    body = {"per": "day", "hard": True, **wanted}
    put = node.client.put(f"{node.url}/api/v1/budgets/{project}/b", json=body)
    assert put.status_code == 200, put.text


def state(node: TestNode, project: str) -> dict[str, float]:
    [found] = node.get("/budgets", project=project)["budgets"]
    return dict(found)


def settled(node: TestNode, project: str) -> dict[str, float]:
    node.wait_until(lambda: state(node, project)["reserved"] == 0, 30)
    return state(node, project)


@pytest.mark.parametrize("connections", [64, 256])
def test_requests_are_used_to_the_last_and_none_beyond(node: TestNode, connections: int) -> None:
    project = f"requests{connections}"
    node.deploy(PLAIN, project=project, settings='isolation = "instance"')
    budget(node, project, amount=REQUESTS, unit="requests")
    path = f"/invoke/{project}/f"
    good = 0
    for _ in range(ROUNDS):
        found = Flood(node.port, path, node.key, connections, SECONDS).result()
        rate = (found["good"] + sum(found["others"].values())) / SECONDS
        used = settled(node, project)["used"]
        good += found["good"]
        print(f"{connections} connections, {rate:.0f}/s: {found}, used {used} of {REQUESTS}")
        assert found["others"].keys() <= {"429", "503"}
        assert good <= REQUESTS and used <= REQUESTS
        if used == REQUESTS:
            break
    assert used == REQUESTS
    refused = node.invoke({}, function=f"{project}/f")
    assert refused.status_code == 429 and 1 <= int(refused.headers["retry-after"]) <= 3600
    said = {name: value for name, value in refused.json().items() if name != "error_id"}
    assert said == {
        "type": said["type"], "title": said["title"], "status": 429, "detail": "Too many calls."
    }  # fmt: skip
    assert not {"budget", "used", project} & set(refused.text.lower().split())


@pytest.mark.parametrize("connections", [64, 256])
def test_what_goes_beyond_in_cpu_is_what_was_in_flight(node: TestNode, connections: int) -> None:
    project = f"cpu{connections}"
    node.deploy(SOURCE, project=project, settings='isolation = "instance"')
    budget(node, project, amount=CPU_SECONDS, unit="cpu-seconds")
    calls = 0
    for _ in range(3 * ROUNDS):
        found = Flood(node.port, f"/invoke/{project}/f", node.key, connections, SECONDS).result()
        used = settled(node, project)["used"]
        calls += found["good"]
        rate = (found["good"] + sum(found["others"].values())) / SECONDS
        if used >= CPU_SECONDS * 0.99:
            break
    beyond = used - CPU_SECONDS
    mean = used / max(1, calls)
    print(
        f"{connections} connections, {rate:.0f}/s, {found}: used {used:.4f} of {CPU_SECONDS} s, "
        f"beyond {beyond:.4f} s = {beyond / CPU_SECONDS:.3%}, {beyond / mean:.1f} calls"
    )
    assert used >= CPU_SECONDS * 0.99 and beyond <= CPU_SECONDS * BEYOND, (used, calls)


def test_kept_events_wait_and_a_lift_lets_them_run(node: TestNode) -> None:
    node.deploy(PLAIN, project="kept")
    budget(node, "kept", amount=1, unit="requests")
    assert node.invoke({}, function="kept/f").status_code == 200
    assert node.invoke({}, function="kept/f").status_code == 429
    for number in range(50):
        kept = node.invoke({"n": number}, function="kept/f", headers={"prefer": "respond-async"})
        assert kept.status_code == 202, kept.text
    time.sleep(5)
    assert settled(node, "kept")["used"] == 1.0

    def requests() -> int:
        shown = casemate(node, "usage", "kept/f", "--json")
        return sum(row.get("requests", 0) for row in json.loads(shown.stdout)["rows"])

    ran = casemate(node, "budget", "lift", "kept", "b", "--for", "2m", "--reason", "the sale")
    assert ran.returncode == 0, ran.stderr
    node.wait_until(lambda: settled(node, "kept")["used"] == 51.0, 90)
    node.wait_until(lambda: requests() == 51, 30)
    [shown] = node.get("/budgets", project="kept")["budgets"]
    assert shown["lifted_for"] == "the sale" and shown["lifted_by"]
    node.wait_until(lambda: "budget-lifted" in json.dumps(node.get("/findings")), 30)
