"""Ten thousand callers of a public function: stopped by its budget, and all of them counted."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from support.cli import casemate
from support.node import TestNode

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(900)]
SOURCE = "def handler(event, context):\n    return 1\n"
CALLERS, CONNECTIONS = 10_000, 64
AMOUNT = 600


class Attack:
    """Each address calls once; what it is answered, and when."""

    def __init__(self, node: TestNode) -> None:
        self.answers: list[tuple[float, int]] = []
        self._port = node.port
        self._left = iter(range(CALLERS))
        self._lock = threading.Lock()

    def _next(self) -> int | None:
        with self._lock:
            return next(self._left, None)

    def _call(self) -> None:
        while (number := self._next()) is not None:
            address = f"127.{1 + number // 250 // 250}.{number // 250 % 250}.{1 + number % 250}"
            connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=60, source_address=(address, 0)
            )
            body = json.dumps({"n": number})
            connection.request(
                "POST", "/invoke/rich/open", body, {"content-type": "application/json"}
            )
            answer = connection.getresponse()
            answer.read()
            connection.close()
            self.answers.append((time.monotonic(), answer.status))

    def __enter__(self) -> Attack:
        self._threads = [threading.Thread(target=self._call) for _ in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    @property
    def goes_on(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)


@pytest.fixture(scope="module")
def attacked(node: TestNode) -> Iterator[TestNode]:
    open_to_all = 'public = true\nisolation = "instance"'
    node.deploy(SOURCE, name="open", project="rich", settings=open_to_all)
    node.deploy(SOURCE, name="f", project="other", settings='isolation = "instance"')
    yield node


def test_ten_thousand_callers_use_what_the_budget_has(attacked: TestNode) -> None:
    node = attacked
    budget = {"amount": AMOUNT, "unit": "requests", "per": "day", "hard": True}
    put = node.client.put(f"{node.url}/api/v1/budgets/rich/wallet", json=budget)
    assert put.status_code == 200, put.text
    others: Counter[int] = Counter()
    with Attack(node) as attack:
        while attack.goes_on:
            others[node.invoke({}, function="other/f").status_code] += 1
    assert set(others) == {200} and others[200] > 10
    statuses = Counter(status for _, status in attack.answers)
    assert statuses == {200: AMOUNT, 429: CALLERS - AMOUNT}
    # From the first refusal on nothing but what was in flight is answered.
    first = min(at for at, status in attack.answers if status == 429)
    late = [at - first for at, status in attack.answers if status == 200 and at > first]
    lasted = max(at for at, _ in attack.answers) - min(at for at, _ in attack.answers)
    print(
        f"{statuses}, {len(late)} answered after the first refusal, at most {max(late, default=0)} "
        f"s after it; {lasted:.1f} s in all, {others} of another project meanwhile"
    )
    assert len(late) <= CONNECTIONS and max(late, default=0.0) <= 1.0


def test_all_that_were_refused_are_counted(attacked: TestNode) -> None:
    node = attacked
    [state] = node.get("/budgets", project="rich")["budgets"]
    assert state["refused"] == CALLERS - AMOUNT

    def refused(by: str) -> int:
        shown = casemate(node, "usage", "--by", by, "--json")
        rows = json.loads(shown.stdout)["rows"]
        return sum(row.get("refused", 0) for row in rows)

    node.wait_until(lambda: refused("caller") == CALLERS - AMOUNT, 70)
    assert refused("function") == refused("route") == CALLERS - AMOUNT
