"""A function that suddenly costs twenty times its usual is slowed by default, told, and let run."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.cli import casemate
from support.clocks import SetClockNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.storm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]
SOURCE = """
import time
def handler(event, context):
    time.sleep(event.get("seconds", 0))
    return 1
"""
DAY, HOUR = 86_400, 3600
DAYS = 5


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetClockNode]:
    """A node that has served some days: its clock has gone through them."""
    node = SetClockNode(tmp_path_factory.mktemp("unusual") / "data")
    try:
        node.start()
        seed(node)
        yield node
    finally:
        node.close()


def seed(node: SetClockNode) -> None:
    for name in ("usual", "raised", "new"):
        node.deploy(SOURCE, name=name, project="shop", settings='isolation = "instance"')
    for day in range(DAYS, 0, -1):
        for hour in (2, 1):
            node.set_clock(-day * DAY + hour * HOUR)
            for name in ("usual", "raised"):
                # An attacker of the last two days is nineteen times as loud.
                seconds = 1.9 if name == "raised" and day <= 2 else 0.1
                assert node.invoke({"seconds": seconds}, function=f"shop/{name}").is_success
            time.sleep(1)  # records are kept by the clock as it is then
    node.set_clock(0.0)
    time.sleep(11)  # what is usual is read


def flood(node: SetClockNode, name: str, seconds: float) -> Counter[int]:
    """Call it by sixteen at once for so long."""
    ends = time.monotonic() + seconds
    statuses: Counter[int] = Counter()

    def call(_: int) -> None:
        while time.monotonic() < ends:
            answer = node.invoke({"seconds": 0.2}, function=f"shop/{name}")
            statuses[answer.status_code] += 1
            if answer.status_code == 429:
                assert answer.json()["detail"] == "Too many calls."
                assert "usual" not in answer.text and 1 <= int(answer.headers["retry-after"]) <= 5
                refused.append(answer.json()["error_id"])
                time.sleep(0.05)

    refused: list[str] = []
    with ThreadPoolExecutor(16) as callers:
        list(callers.map(call, range(16)))
    if refused:
        found = node.get(f"/errors/{refused[-1]}")
        assert found["type"] == "CostAnomaly" and "as much as usual" in found["message"], found
    return statuses


def unusual(node: SetClockNode) -> list[dict[str, object]]:
    return list(node.get("/budgets", project="shop")["unusual"])


def test_hourly_work_is_left_alone(seeded: SetClockNode) -> None:
    """A call that takes as long as all of a usual hour is no anomaly when it ends."""
    assert seeded.invoke({"seconds": 0.1}, function="shop/usual").is_success
    time.sleep(6)
    assert unusual(seeded) == []


def test_slowed_first_and_told_and_let_run(seeded: SetClockNode) -> None:
    node = seeded
    began = time.monotonic()
    statuses = flood(node, "usual", 30)
    assert statuses[200] and statuses[429] > 50 and set(statuses) == {200, 429}, statuses
    [state] = unusual(node)
    assert state["function"] == "usual" and int(str(state["times"])) > 20
    assert "times as much as usual" in casemate(node, "budget", "ls").stdout
    # Slowed, not stopped.
    assert flood(node, "usual", 2)[200] > 0
    # Others are not: neither one without a history, nor one in its project.
    assert set(flood(node, "new", 8)) == {200}

    def incidents() -> list[dict[str, object]]:
        found = node.get("/incidents")["incidents"]
        return [each for each in found if "costs far more" in json.dumps(each)]

    node.wait_until(lambda: incidents(), 20)
    print(f"{statuses}, told after {time.monotonic() - began:.1f} s: {state['reason']}")

    ran = casemate(
        node, "budget", "let-run", "shop", "usual", "--for", "10m", "--reason", "the sale"
    )
    assert ran.returncode == 0 and "is not slowed until" in ran.stdout, ran.stderr
    assert set(flood(node, "usual", 12)) == {200}
    [lifted] = unusual(node)
    assert lifted["lifted_for"] == "the sale" and lifted["lifted_by"]
    findings = json.dumps(node.get("/findings"))
    assert "budget-lifted" in findings
    ran = casemate(node, "budget", "let-run", "shop", "usual", "--for", "0s", "--reason", "over")
    assert ran.returncode == 0, ran.stderr
    assert flood(node, "usual", 20)[429] > 10


def test_who_was_loud_for_two_days_has_not_made_it_usual(seeded: SetClockNode) -> None:
    assert flood(seeded, "raised", 30)[429] > 10
    assert "raised" in {each["function"] for each in unusual(seeded)}


def test_a_function_that_is_not_there_is_no_function(seeded: SetClockNode) -> None:
    ran = casemate(seeded, "budget", "let-run", "shop", "gone", "--for", "1h", "--reason", "x")
    assert ran.returncode and "There is no function shop/gone" in ran.stderr
