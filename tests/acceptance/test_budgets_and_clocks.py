"""The clock of a node is set while it runs: no budget is spent twice, and none is shut for ever."""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.clocks import SetClockNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.storm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]
SOURCE = "def handler(event, context):\n    return 1\n"
HOUR, DAY = 3600.0, 86_400.0
AMOUNT = 20
JUMPS = (HOUR, 0.0, -HOUR, 0.0)
PERS = ("hour", "day", "month")


NOON = 12 * HOUR


class NoonNode(SetClockNode):
    """It is noon of today when it is made: an hour more or less is the same day, whenever it is."""

    def __init__(self, data: Path) -> None:
        self._base = time.time() // DAY * DAY + NOON - time.time()
        super().__init__(data)

    def set_clock(self, off: float) -> None:
        """Have the clock be so far from where it began."""
        super().set_clock(self._base + off)

    def to_midnight(self, off: float) -> float:
        """Return how the clock is set so that it is so long after the end of the month."""
        began = time.time() + self._base
        now = datetime.fromtimestamp(began, UTC)
        following = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
        return following.timestamp() - began + off


class Counted:
    """Calls that were answered, by the day that the node's clock showed."""

    def __init__(self, node: NoonNode) -> None:
        self.node = node
        self.served: Counter[tuple[str, str]] = Counter()

    def spend(self, per: str, *, settled: bool = True) -> Counter[int]:
        """Call until it is used up, and some more; wait until what ran is `settled`."""
        seen: Counter[int] = Counter()
        while seen[429] < 5:
            answer = self.node.invoke({}, function=f"{per}/f")
            seen[answer.status_code] += 1
            assert answer.status_code in (200, 429), answer.text
            if answer.status_code == 429:
                assert 1 <= int(answer.headers["retry-after"]) <= 3600
        if settled:
            self.node.wait_until(lambda: self.budget(per)["reserved"] == 0, 30)
        when = datetime.fromtimestamp(self.node.now, UTC)
        self.served[per, f"{when:%F}" if per == "day" else f"{when:%Y-%m}"] += seen[200]
        return seen

    def budget(self, per: str) -> dict[str, Any]:
        [state] = self.node.get("/budgets", project=per)["budgets"]
        assert state["used"] >= 0 and state["reserved"] >= 0 and state["percent"] >= 0, state
        return dict(state)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    node = NoonNode(tmp_path_factory.mktemp("clock") / "data")
    try:
        node.start()
        for per in PERS:
            node.deploy(SOURCE, name="f", project=per, settings='isolation = "instance"')
            budget = {"amount": AMOUNT, "unit": "requests", "per": per, "hard": True}
            put = node.client.put(f"{node.url}/api/v1/budgets/{per}/b", json=budget)
            assert put.status_code == 200, put.text
        yield Counted(node)
    finally:
        node.close()


def test_an_hour_forward_and_back(counted: Counted) -> None:
    for per in PERS:
        assert counted.spend(per)[200] == AMOUNT
    for off in JUMPS * 2:
        counted.node.set_clock(off)
        for per in PERS:
            served = counted.spend(per)[200]
            assert served == 0 or per == "day", (per, off, served)
            counted.budget(per)
    assert all(n <= AMOUNT for (per, _), n in counted.served.items() if per != "hour")
    counted.node.set_clock(0.0)


def test_over_the_end_of_a_month_and_back(counted: Counted) -> None:
    """Of each day and month no more than its amount, however often the clock goes over the end."""
    for _ in range(3):
        for off in (-30.0, 30.0, -30.0, 2 * HOUR, -HOUR):
            counted.node.set_clock(counted.node.to_midnight(off))
            for per in PERS:
                counted.spend(per)
                counted.budget(per)
    print(dict(counted.served))
    assert all(n == AMOUNT for (per, _), n in counted.served.items() if per != "hour")
    assert sum(n for (per, _), n in counted.served.items() if per == "hour") == AMOUNT
    # A day later it is free again.
    counted.node.set_clock(counted.node.to_midnight(DAY + 10.0))
    assert counted.spend("day")[200] == AMOUNT
    counted.node.set_clock(0.0)
    time.sleep(6)
    assert counted.spend("day")[200] == 0


def test_of_a_day_before_any_was_counted_no_more_than_of_one(counted: Counted) -> None:
    """What was used since then counts there as well: rather too much than twice."""
    for off in (-DAY, 0.0, -DAY, 0.0):
        counted.node.set_clock(off)
        time.sleep(6)
        counted.spend("day")
    assert all(n <= AMOUNT for (per, _), n in counted.served.items() if per == "day")
    assert counted.spend("day")[200] == 0


def test_while_calls_are_not_settled_yet(counted: Counted) -> None:
    """What is in flight when the clock is set counts in both days, and is spent in one."""
    before = Counter(counted.served)
    following = counted.node.to_midnight(40 * DAY)
    for _ in range(5):
        for off in (0.0, DAY):
            counted.node.set_clock(following + off)
            counted.spend("day", settled=False)
    counted.node.set_clock(0.0)
    served = counted.served - before
    assert served and all(n <= AMOUNT for n in served.values()), served
    counted.spend("day")


def test_years_ahead_for_a_moment(counted: Counted) -> None:
    counted.node.set_clock(3650 * DAY)
    for per in PERS:
        counted.spend(per)
    counted.node.set_clock(0.0)
    for per in PERS:
        assert counted.spend(per)[200] == 0
        state = counted.budget(per)
        assert per == "hour" or 0 < state["resets_at"] - counted.node.now < 32 * DAY, state


def test_lifted_for_no_longer(counted: Counted) -> None:
    node = counted.node
    node.set_clock(0.0)
    ran = casemate(node, "budget", "lift", "month", "b", "--for", "20s", "--reason", "a sale")
    assert ran.returncode == 0, ran.stderr
    assert node.invoke({}, function="month/f").status_code == 200
    node.set_clock(-HOUR)
    assert node.invoke({}, function="month/f").status_code == 200
    time.sleep(21)
    assert node.invoke({}, function="month/f").status_code == 429
    node.set_clock(0.0)


def test_buckets_of_tokens_go_by_no_clock_that_is_set(counted: Counted) -> None:
    node = counted.node
    node.deploy(SOURCE, name="f", project="quota")
    quota = {"calls": 3, "seconds": 3600, "each": "function"}
    put = node.client.put(f"{node.url}/api/v1/quotas/quota/q", json=quota)
    assert put.status_code == 200, put.text
    seen: Counter[int] = Counter()
    for off in (0.0, HOUR, -HOUR, 40 * DAY, 0.0):
        node.set_clock(off)
        for _ in range(4):
            seen[node.invoke({}, function="quota/f").status_code] += 1
    assert seen == {200: 3, 429: 17}


def test_bills_count_each_call_once(counted: Counted) -> None:
    node = counted.node
    served = sum(counted.served.values())

    def requests() -> int:
        shown = casemate(
            node, "usage", "--each", "day", "--json", "--since", "2020-01-01",
            "--until", "2040-01-01",
        )  # fmt: skip
        assert shown.returncode == 0, shown.stderr
        rows = json.loads(shown.stdout)["rows"]
        assert all(row.get("requests", 0) >= 0 and row.get("cpu_us", 0) >= 0 for row in rows)
        return sum(row.get("requests", 0) for row in rows if row["project"] in PERS)

    more = 2 + AMOUNT * 0  # while it was lifted
    node.wait_until(lambda: requests() >= served + more, 30)
    time.sleep(2)
    assert requests() == served + more
    focus = casemate(node, "bill", "--format", "focus")
    assert focus.returncode == 0, focus.stderr
    rows = list(csv.DictReader(io.StringIO(focus.stdout)))
    assert rows and all(float(row["BilledCost"]) >= 0 for row in rows)


def test_silences_end_and_incidents_stay_whole(counted: Counted) -> None:
    """A silence that begins by a clock which is set back then is none before that time comes."""
    node = counted.node
    node.set_clock(HOUR)
    put = casemate(node, "alert", "silence", "budget-used-up", "--for", "30m", "--reason", "known")
    assert put.returncode == 0, put.stderr
    assert [one["rule"] for one in node.get("/alerts/silences")["silences"]] == ["budget-used-up"]
    node.set_clock(0.0)
    assert node.get("/alerts/silences")["silences"] == []
    ids = [one["id"] for one in node.get("/incidents")["incidents"]]
    assert len(ids) == len(set(ids)) and ids
    for id in ids:
        shown = node.get(f"/incidents/{id}")
        times = [line["at"] for line in shown["timeline"]]
        assert times == sorted(times)
    node.set_clock(HOUR)
    assert node.get("/alerts/silences")["silences"]
