"""What calls use on a real node, by the control groups, whatever a handler does; and its bounds.

In both ways, restored and forked.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.metering import FOCUS_COLUMNS
from support.cli import casemate
from support.node import TestNode, cgroups_of

pytestmark = pytest.mark.sandbox
HANDLER = """
import os, threading, time

def burn(ms):
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        pass

def handler(event, context):
    what, ms = event["what"], event.get("ms", 0)
    if what == "sleep":
        time.sleep(ms / 1000)
    elif what == "threads":
        threads = [threading.Thread(target=burn, args=(ms / 2,)) for _ in range(2)]
        [one.start() for one in threads]
        [one.join() for one in threads]
    elif what == "fork":
        if not (pid := os.fork()):
            burn(ms)
            os._exit(0)
        os.waitpid(pid, 0)
    elif what == "orphan":
        # A grandchild of whom nobody takes notice, as the kernel's own sums of children do not.
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            if not os.fork():
                burn(ms)
            os._exit(0)
        os.close(writing)
        os.waitpid(pid, 0)
        os.read(reading, 1)  # until it has ended
    elif what == "later":
        # It goes on after the answer, as long as it is let.
        began = threading.Event()
        def go_on():
            burn(2)
            began.set()
            burn(ms)
        threading.Thread(target=go_on, daemon=True).start()
        began.wait()
    else:
        burn(ms)
        if what == "exit":
            os._exit(3)
        if what == "kill":
            os.kill(os.getpid(), 9)
        if what == "raise":
            raise ValueError("no")
        if what == "spin":
            begun = told = time.thread_time()
            while True:
                if (now := time.thread_time()) > told + 0.02:
                    told = now
                    print(int((told - begun) * 1e6), flush=True)
    return {"did": what}
"""
MIX = ("burn", "sleep", "threads", "fork", "orphan", "exit", "raise", "kill")
TIMEOUT_EACH = 1000
"""One of so many calls in the long form runs until it is ended."""
HIDES = ("threads", "fork", "orphan", "exit", "raise", "kill")
MS = 60
READY_US = 25_000


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((), id="restored"),
        pytest.param(("--no-restore",), id="forked", marks=pytest.mark.storm),
    ],
)
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("node") / "data", *request.param).start()
    node.deploy(HANDLER, limits='timeout = "2s"')
    node.deploy(HANDLER, project="ours")
    node.invoke({"what": "burn"})
    yield node
    node.close()


def record(node: TestNode, what: str, ms: int = MS) -> dict[str, object]:
    answer = node.invoke({"what": what, "ms": ms})
    return dict(node.get(f"/invocations/{answer.headers['x-request-id']}"))


def usage(node: TestNode, **query: object) -> list[dict[str, object]]:
    return list(node.get("/usage", **query)["rows"])


@pytest.mark.parametrize("what", HIDES)
def test_who_hides_what_it_uses_is_billed(node: TestNode, what: str) -> None:
    found = record(node, what)
    assert found["cpu_us"] >= MS * 990  # type: ignore[operator]
    # Pages that are copied, and caches that others have emptied, cost a busy machine some more.
    assert found["cpu_us"] <= MS * 1000 + 80_000  # type: ignore[operator]
    assert found["memory"] == 256 << 20 and str(found["caller"]).startswith("token:")


def test_who_sleeps_is_not_billed_for_the_cpu(node: TestNode) -> None:
    found = record(node, "sleep", 200)
    assert found["cpu_us"] < 40_000 and found["run_ms"] >= 199  # type: ignore[operator]


def test_who_never_ends_is_billed_until_it_is_ended(node: TestNode) -> None:
    found = record(node, "spin", 0)
    assert found["outcome"] == "timeout" and found["run_ms"] >= 1999  # type: ignore[operator]
    # How much that is depends on who else wants the cores: it has told so itself.
    logs = node.client.get(f"{node.url}/api/v1/logs", params={"invocation": found["id"]})
    lines = [str(json.loads(line)["text"]) for line in logs.iter_lines()]
    told = [int(line) for line in lines if line.isdigit()]
    assert found["cpu_us"] >= told[-1] >= 20_000  # type: ignore[operator]


def test_what_goes_on_after_the_answer_is_billed(node: TestNode) -> None:
    """For as long as it could: it is ended soon, and what it burnt until then is not free."""
    found = record(node, "later", 60_000)
    assert found["cpu_us"] >= 2000  # type: ignore[operator]
    assert found["outcome"] == "ok", "the answer waited for it"


def group_of(node: TestNode) -> Path | None:
    """Return the file in which the kernel counts all that runs below a node."""
    assert node.process is not None
    for place in ("unified", ""):
        found = Path(f"/sys/fs/cgroup/{place}/casemate-{node.process.pid}/cpu.stat")
        if found.exists():
            return found
    return None


class Zygotes:
    """Adds up what zygotes have used themselves, those that end meanwhile as well.

    They sit in slots while they import and fork, and what they use there is no call's.
    """

    def __init__(self, node: TestNode, *, often: bool) -> None:
        assert node.process is not None
        self._groups = cgroups_of(node.process.pid)
        self._used: dict[tuple[int, str], int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_often)
        if often:
            self._thread.start()

    def _look_often(self) -> None:
        while not self._stop.wait(0.1):
            self.us()

    def us(self) -> int:
        """Return microseconds since they began."""
        found: dict[int, tuple[int, str]] = {}
        for group in self._groups:
            for folder, _, _ in os.walk(group):
                if Path(folder).name[0] == "s" and Path(folder).parent.name[0] == "z":
                    found |= self._in(Path(folder) / "cgroup.procs")
        for pid, (parent, began) in found.items():
            if parent not in found:
                with contextlib.suppress(OSError):
                    used = Path(f"/proc/{pid}/schedstat").read_text().split()[0]
                    self._used[pid, began] = int(used)
        return sum(self._used.values()) // 1000

    @staticmethod
    def _in(group: Path) -> dict[int, tuple[int, str]]:
        """Return the parent and the start of each process in a group."""
        found: dict[int, tuple[int, str]] = {}
        with contextlib.suppress(OSError):
            for pid in map(int, group.read_text().split()):
                with contextlib.suppress(OSError):
                    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    found[pid] = int(fields[1]), fields[19]
        return found

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()


@pytest.mark.parametrize("count", [160, pytest.param(20_000, marks=pytest.mark.storm)])
@pytest.mark.timeout(7200)
def test_sums_are_those_of_the_control_groups(node: TestNode, count: int) -> None:
    """All that the groups counted, but for zygotes, is billed: within 1 percent.

    And within what a few processes take to get ready that nobody has called yet.
    """
    file = group_of(node)
    if file is None:
        pytest.skip("this host counts no groups")
    ms = 10 if count < 1000 else 2

    def counted() -> int:
        return int(re.findall(r"usage_usec (\d+)", file.read_text())[0])

    def billed() -> tuple[int, int]:
        rows = [row for row in usage(node) if row["project"] == "t"]
        return sum(row.get("cpu_us", 0) for row in rows), sum(row["requests"] for row in rows)  # type: ignore[misc]

    time.sleep(0.3)
    looked = Zygotes(node, often=count >= 1000)
    before, zygotes, (cpu, requests) = counted(), looked.us(), billed()
    left = [MIX[n % len(MIX)] for n in range(count)]
    for n in range(TIMEOUT_EACH // 2, count, TIMEOUT_EACH):
        left[n] = "spin"
    least = 1000 * ms * sum(what not in ("sleep", "spin") for what in left)

    def call() -> None:
        while left:
            try:
                what = left.pop()
            except IndexError:
                return
            node.invoke({"what": what, "ms": ms})

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    time.sleep(0.3)
    cpu_after, requests_after = billed()
    assert requests_after - requests == count  # none lost, none twice
    looked.close()
    metered, whole = cpu_after - cpu, counted() - before - (looked.us() - zygotes)
    print(f"metered {metered} us of {whole} us, of which calls burnt {least} us")
    assert metered >= least * 0.99
    assert abs(metered - whole) <= whole * 0.01 + READY_US


WATCHED = """
import sqlite3

def handler(event, context):
    found = sqlite3.connect(":memory:")
    for number in range(event["calls"]):
        found.execute("SELECT " + str(number) + " AS n")
    return "done"
"""


def test_what_the_guard_takes_of_a_call_is_told_with_its_error(node: TestNode) -> None:
    """A thousand calls that are watched take it much longer than none; both are sampled once."""
    for name, calls in (("watched", 1000), ("plain", 0)):
        node.deploy(WATCHED, name=name, project="guard")
        node.invoke({"calls": calls}, function=f"guard/{name}")
    rows = {row["function"]: row for row in usage(node, project="guard")}
    watched, plain = rows["watched"], rows["plain"]
    print(watched, plain)
    assert watched["guard"]["us_per_request"] > 2000  # type: ignore[index]
    assert watched["guard"]["us_per_request"] <= watched["cpu_us"]  # type: ignore[index]
    assert plain["guard"]["us_per_request"] < watched["guard"]["us_per_request"] / 10  # type: ignore[index]
    assert watched["guard"]["sampled"] == watched["guard_sampled"] == 1  # type: ignore[index]
    assert "error_us" not in watched["guard"]  # type: ignore[operator]
    run = casemate(node, "usage", "guard/watched")
    assert re.search(r"GUARD US .*\n.*\d of 1\b", run.stdout), run.stdout


@pytest.mark.storm
def test_each_call_is_counted_once_through_kills_of_the_recorder(node: TestNode) -> None:
    before = sum(row["requests"] for row in usage(node, project="ours"))  # type: ignore[misc]
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.25):
            for pid in node.processes():
                command = Path(f"/proc/{pid}/cmdline")
                if command.exists() and b"recorder.process" in command.read_bytes():
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    answered = 0
    try:
        for _ in range(120):
            answered += (
                node.invoke({"what": "sleep", "ms": 5}, function="ours/f").status_code == 200
            )
    finally:
        stop.set()
        killer.join()
    node.wait_until(lambda: node.client.get(f"{node.url}/api/v1/usage").status_code == 200)
    rows = usage(node, project="ours")
    assert sum(row["requests"] for row in rows) - before == answered  # type: ignore[misc]


def test_a_hard_budget_holds_whoever_calls_at_once(node: TestNode) -> None:
    def put(path: str, **body: object) -> None:
        answer = node.client.put(f"{node.url}/api/v1{path}", json=body)
        assert answer.status_code == 200, answer.text

    known = sum(row["requests"] for row in usage(node, project="ours"))  # type: ignore[misc]
    put("/budgets/ours/ten", amount=known + 10, unit="requests", per="day", hard=True)
    codes: list[int] = []
    refusals: list[dict[str, object]] = []

    def call() -> None:
        for _ in range(6):
            answer = node.invoke({"what": "burn", "ms": 5}, function="ours/f")
            codes.append(answer.status_code)
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) >= 1
                refusals.append(answer.json())

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    while any(caller.is_alive() for caller in callers):
        # Another project goes on meanwhile.
        assert node.invoke({"what": "burn"}).status_code == 200
    assert codes.count(200) == 10 and codes.count(429) == 38
    assert {str(each["detail"]) for each in refusals} == {"Too many calls."}
    assert "budget" not in json.dumps(refusals)
    error = node.get(f"/errors/{refusals[0]['error_id']}")
    assert error["type"] == "BudgetUsedUp" and "budget ten of ours" in error["message"]
    node.wait_until(
        lambda: any(f["rule"] == "budget-used-up" for f in node.get("/findings")["findings"])
    )

    done = casemate(node, "budget", "lift", "ours", "ten", "--for", "1h", "--reason", "a sale")
    assert done.returncode == 0, done.stderr
    assert node.invoke({"what": "burn"}, function="ours/f").status_code == 200
    assert "a sale" in json.dumps(node.get("/journal", kind="BudgetSet"))
    assert (
        casemate(node, "budget", "lift", "ours", "ten", "--for", "0s", "--reason", "x").returncode
        == 0
    )
    assert node.invoke({"what": "burn"}, function="ours/f").status_code == 429


def test_answers_say_what_is_left_of_a_quota_whatever_address_is_claimed(node: TestNode) -> None:
    url = f"{node.url}/api/v1/quotas/t/few"
    body = {"calls": 2, "seconds": 600, "each": "address"}
    assert node.client.put(url, json=body).status_code == 200
    try:
        answers = []
        for number in range(4):
            claimed = f"198.51.100.{number}"
            headers = {"x-forwarded-for": claimed, "forwarded": f"for={claimed}"}
            call = node.client.post(
                f"{node.url}/invoke/t/f", json={"what": "burn"}, headers=headers
            )
            answers.append(call)
    finally:
        gone = node.client.delete(f"{node.url}/api/v1/budgets/t/few")
        assert gone.status_code in (200, 204), gone.text
    assert [each.status_code for each in answers] == [200, 200, 429, 429]
    assert {each.headers["ratelimit-policy"] for each in answers} == {'"few";q=2;w=600'}
    left = [each.headers["ratelimit"].split(";")[1] for each in answers]
    assert left == ["r=1", "r=0", "r=0", "r=0"]
    assert answers[-1].headers["ratelimit"].endswith(f";t={answers[-1].headers['retry-after']}")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "few" not in answers[-1].text


def test_kept_events_wait_for_a_budget_and_are_not_lost(node: TestNode) -> None:
    def lift(seconds: int) -> None:
        answer = node.client.post(
            f"{node.url}/api/v1/budgets/ours/ten/lift", json={"seconds": seconds, "reason": "x"}
        )
        assert answer.status_code == 200

    kept = node.client.post(
        f"{node.url}/invoke/ours/f",
        json={"what": "burn"},
        headers={"prefer": "respond-async"},
    )
    assert kept.status_code == 202
    status = f"/functions/ours/f/invocations/{kept.json()['id']}"
    time.sleep(0.3)
    before = node.get(status)
    assert before.get("finished_at") is None, before
    lift(60)
    node.wait_until(lambda: node.get(status).get("finished_at") is not None)
    assert node.get(status)["state"] == "succeeded"
    lift(0)


@pytest.mark.storm
def test_budgets_survive_kills(node: TestNode) -> None:
    def call() -> int:
        return node.invoke({"what": "burn"}, function="ours/f").status_code

    def remove_all() -> None:
        for one in node.get("/budgets")["budgets"]:
            url = f"{node.url}/api/v1/budgets/ours/{one['budget']['name']}"
            assert node.client.delete(url).status_code == 204

    remove_all()  # those of tests before, which are used up
    url = f"{node.url}/api/v1/budgets/ours/killed"
    known = sum(row["requests"] for row in usage(node, project="ours"))  # type: ignore[misc]
    body = {"amount": known + 1, "unit": "requests", "per": "day", "hard": True}
    assert node.client.put(url, json=body).status_code == 200
    assert [call(), call()] == [200, 429]
    node.get("/usage")  # what was answered is on record
    node.stop(9)
    node.start()
    [state] = [one for one in node.get("/budgets")["budgets"] if one["budget"]["name"] == "killed"]
    assert state["used"] >= state["budget"]["amount"] and state["budget"]["hard"]
    assert call() == 429
    remove_all()
    assert call() == 200


def test_the_command_line_tells_use_and_bill(node: TestNode) -> None:
    if not node.restores:
        pytest.skip("it is the same in both ways")

    def requests() -> int:
        rows = json.loads(casemate(node, "usage", "t/f", "--json").stdout)["rows"]
        return rows[0]["requests"] if rows else 0

    before = requests()
    assert node.invoke({"what": "burn"}).status_code == 200
    node.wait_until(lambda: requests() == before + 1)
    bill = casemate(node, "bill", "--compare", "aws-lambda", "--by", "caller")
    assert bill.returncode == 0, bill.stderr
    assert "example (1):" in bill.stdout and "aws-lambda" in bill.stdout
    focus = casemate(node, "bill", "--format", "focus")
    rows = list(csv.DictReader(io.StringIO(focus.stdout)))
    assert tuple(rows[0]) == FOCUS_COLUMNS and {row["BillingCurrency"] for row in rows} == {"EUR"}
    total = json.loads(casemate(node, "bill", "--format", "json").stdout)["bill"]["total"]
    assert abs(sum(float(row["BilledCost"]) for row in rows) - float(total)) < 1e-6


def test_what_each_caller_and_each_route_cost(node: TestNode) -> None:
    """Sums of routes and of callers are the same calls, and a bill of each is the whole bill."""
    if not node.restores:
        pytest.skip("it is the same in both ways")
    route = '[[function.f.http]]\nmethod = "GET"\npath = "/cost/{part}"\n'
    node.deploy(
        "def handler(event, context):\n    return 1\n",
        project="priced",
        routes=route.format(part="a") + route.format(part="b"),
    )
    made = casemate(node, "tokens", "add", "other", "--role", "invoker@priced", "--json")
    other = {"authorization": f"Bearer {json.loads(made.stdout)['text']}"}
    for path, count, headers in (("/cost/a", 3, {}), ("/cost/b", 2, other), ("/cost/b", 1, {})):
        for _ in range(count):
            assert node.client.get(f"{node.url}{path}", headers=headers).status_code == 200

    def sums(by: str, *keys: str) -> dict[tuple[str, ...], int]:
        shown = casemate(node, "usage", "priced/f", "--by", by, "--json")
        rows = json.loads(shown.stdout)["rows"]
        return {tuple(each[key] for key in keys): each["requests"] for each in rows}

    node.wait_until(lambda: sum(sums("route", "route").values()) == 6)
    assert sums("route", "route") == {("/cost/a",): 3, ("/cost/b",): 3}
    assert sorted(sums("caller", "caller").values()) == [2, 4]
    bills = {}
    for by in ("route", "caller", "function"):
        shown = casemate(node, "bill", "--project", "priced", "--by", by, "--format", "json")
        bills[by] = json.loads(shown.stdout)["bill"]
    assert len({f"{float(bill['total']):.12g}" for bill in bills.values()}) == 1, bills
    assert {line["what"] for line in bills["route"]["lines"]} == {
        f"priced/f /cost/{part}" for part in "ab"
    }
    assert len({line["what"] for line in bills["caller"]["lines"]}) == 2
