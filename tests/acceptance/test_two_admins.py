"""Two people who act on the same thing at once: one wins, the other is told what happened."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from test_accounts import enrol

from casemate.accounts.totp import code_at
from support.accounts import PASSWORD
from support.cli import casemate
from support.node import TestNode

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(900)]
CODE = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def handler(event, context):
    if event.get("escape"):
        libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
    return 1
"""
ROUNDS = 20
STATES = {"ada": "resolved", "bob": "false-alarm"}


class Admin:
    """One of them, with an account, a session and a connection of his own."""

    def __init__(self, node: TestNode, name: str) -> None:
        self.name = name
        made = node.client.post(f"{node.url}/api/v1/users", json={"name": name, "roles": ["owner"]})
        assert made.status_code < 300, made.text
        secret = enrol(node, name, made.json()["code"])
        code = code_at(secret, int(time.time()) // 30)
        begun = httpx2.post(
            f"{node.url}/api/v1/login",
            json={"name": name, "password": PASSWORD, "code": code},
            timeout=60,
        )
        assert begun.status_code == 201, begun.text
        self.key = str(begun.json()["text"])
        self._base = f"{node.url}/api/v1"
        self._client = httpx2.Client(timeout=60, headers={"authorization": f"Bearer {self.key}"})

    def ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        return self._client.request(method, self._base + path, json=body)


class World:
    def __init__(self, data: Path) -> None:
        self.node = TestNode(data, "--playbooks")

    def start(self) -> None:
        self.node.start()
        self.ada, self.bob = Admin(self.node, "ada"), Admin(self.node, "bob")

    def at_once(
        self, ada: Callable[[Admin], httpx2.Response], bob: Callable[[Admin], httpx2.Response]
    ) -> tuple[httpx2.Response, httpx2.Response]:
        """Have both ask at one moment."""
        start = threading.Barrier(2)
        answers: dict[str, httpx2.Response] = {}

        def act(who: Admin, what: Callable[[Admin], httpx2.Response]) -> None:
            start.wait()
            answers[who.name] = what(who)

        threads = [
            threading.Thread(target=act, args=each) for each in ((self.ada, ada), (self.bob, bob))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers["ada"], answers["bob"]

    def incident(self, function: str) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            shown = self.node.get("/incidents")["incidents"]
            return [one for one in shown if f"function:{function}" in one["things"]]

        self.node.wait_until(found, 30)
        return found()[0]

    def shown(self, id: str) -> dict[str, Any]:
        return dict(self.node.get(f"/incidents/{id}"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("two") / "data")
    try:
        made.start()
        yield made
    finally:
        made.node.close()


def test_an_incident_is_closed_by_one_of_them(world: World) -> None:
    world.node.deploy(CODE, name="evil")
    world.node.invoke({"escape": True}, function="t/evil")
    world.node.wait_until(lambda: world.node.invoke({}, function="t/evil").status_code == 503, 30)
    id = world.incident("t/evil")["id"]
    time.sleep(2)  # nothing more is found of it
    wins: Counter[str] = Counter()
    for number in range(ROUNDS):

        def close(who: Admin, number: int = number) -> httpx2.Response:
            body = {"state": STATES[who.name], "reason": f"{who.name} {number}"}
            return who.ask("POST", f"/incidents/{id}/state", body)

        ada, bob = world.at_once(close, close)
        assert sorted((ada.status_code, bob.status_code)) == [204, 409], (ada.text, bob.text)
        winner, loser = ("ada", bob) if ada.status_code == 204 else ("bob", ada)
        wins[winner] += 1
        assert f"by user:{winner} at" in loser.text and f"{winner} {number}" in loser.text
        world.node.wait_until(lambda winner=winner: world.shown(id)["state"] == STATES[winner], 20)
        for who in (world.ada, world.bob):  # what is noted of a closed one stands there
            noted = who.ask("POST", f"/incidents/{id}/note", {"text": f"{who.name} saw {number}"})
            assert noted.status_code == 204
        reopened = world.ada.ask(
            "POST", f"/incidents/{id}/state", {"state": "open", "reason": "again"}
        )
        assert reopened.status_code == 204, reopened.text
        world.node.wait_until(lambda: world.shown(id)["closed_at"] is None, 20)
    shown = world.shown(id)
    lines = [line for line in shown["timeline"] if line["kind"] == "state"]
    closed = [line for line in lines if not line["text"].startswith("open")]
    assert len(closed) == ROUNDS and len(lines) == 2 * ROUNDS
    print(f"closed {dict(wins)} of {ROUNDS}")


def test_contained_once_and_the_other_is_told_by_whom(world: World) -> None:
    id = world.incident("t/evil")["id"]
    for number in range(ROUNDS):
        released = world.ada.ask("POST", "/functions/t/evil/release", {"reason": "again"})
        assert released.status_code < 300, released.text

        def contain(who: Admin, number: int = number) -> httpx2.Response:
            body = {"reason": f"{who.name} {number}"}
            return who.ask("POST", f"/incidents/{id}/contain", body)

        ada, bob = world.at_once(contain, contain)
        assert ada.status_code == bob.status_code == 200, (ada.text, bob.text)
        acts = {"ada": ada.json()["actions"][0], "bob": bob.json()["actions"][0]}
        assert all(each["done"] for each in acts.values())
        [winner] = [name for name, each in acts.items() if not each.get("before")]
        loser = "bob" if winner == "ada" else "ada"
        assert f"by user:{winner}" in acts[loser]["before"], acts
        assert world.node.invoke({}, function="t/evil").status_code == 503


def waiting(world: World) -> list[dict[str, Any]]:
    return [run for run in world.node.get("/playbook-runs")["runs"] if run["state"] == "waits"]


def used_up(world: World, number: int, project: str) -> dict[str, Any]:
    """Use up a budget, so that a playbook waits for a person."""
    world.node.deploy(CODE, name="f", project=project)
    budget = {"amount": 1, "unit": "requests", "per": "day", "hard": True, "function": "f"}
    assert world.ada.ask("PUT", f"/budgets/{project}/b{number}", budget).status_code == 200
    for _ in range(3):
        world.node.invoke({}, function=f"{project}/f")
    mine: Callable[[], list[dict[str, Any]]] = lambda: [  # noqa: E731
        run for run in waiting(world) if run["project"] == project
    ]
    world.node.wait_until(mine, 30)
    return mine()[0]


def test_a_run_is_approved_or_dismissed(world: World) -> None:
    ends: Counter[str] = Counter()
    for number in range(8):
        run = used_up(world, number, f"p{number}")
        ada, bob = world.at_once(
            lambda who, id=run["id"]: who.ask("POST", f"/playbook-runs/{id}/approve"),
            lambda who, id=run["id"]: who.ask(
                "POST", f"/playbook-runs/{id}/dismiss", {"reason": "no"}
            ),
        )
        codes = sorted((ada.status_code, bob.status_code))
        assert codes == [200, 409], (ada.text, bob.text)
        loser = bob if ada.status_code == 200 else ada
        assert "does not wait for a person" in loser.text
        state = "done" if ada.status_code == 200 else "dismissed"
        [after] = [
            one for one in world.node.get("/playbook-runs")["runs"] if one["id"] == run["id"]
        ]
        assert after["state"] == state, after
        quotas = world.node.get("/budgets", project=run["project"])["quotas"]
        assert len(quotas) == (1 if state == "done" else 0), (state, quotas)
        ends[state] += 1
    print(f"ended {dict(ends)}")


def test_a_budget_that_one_sets_and_the_other_removes_or_lifts(world: World) -> None:
    world.node.deploy(CODE, name="f", project="money")
    budget = {"amount": 5, "unit": "requests", "per": "day", "hard": True}
    seen: Counter[tuple[int, int]] = Counter()
    for number in range(ROUNDS):
        kind = number % 2
        world.ada.ask("PUT", "/budgets/money/b", budget)
        ada, bob = world.at_once(
            lambda who, kind=kind: (
                who.ask("PUT", "/budgets/money/b", {**budget, "amount": 7})
                if kind
                else who.ask("POST", "/budgets/money/b/lift", {"seconds": 60, "reason": "x"})
            ),
            lambda who: who.ask("DELETE", "/budgets/money/b"),
        )
        seen[ada.status_code, bob.status_code] += 1
        kept = world.node.get("/budgets", project="money")["budgets"]
        assert bob.status_code == 204, bob.text
        if kind:  # set before it was removed, or after it
            assert ada.status_code == 200 and [b["budget"]["amount"] for b in kept] in ([], [7.0])
        else:
            assert ada.status_code in (200, 404) and kept == []
            assert ada.status_code == 200 or "There is no budget" in ada.text
    both = world.at_once(*(lambda who: who.ask("DELETE", "/budgets/money/b") for _ in range(2)))
    assert sorted(each.status_code for each in both) in ([204, 404], [404, 404])
    print(f"budgets {dict(seen)}")


def test_whose_right_is_taken_away_between_plan_and_act_does_nothing(world: World) -> None:
    run = used_up(world, 0, "late")
    eve = Admin(world.node, "eve")
    planned = eve.ask("GET", "/playbook-runs")
    assert run["id"] in planned.text
    taken = world.ada.ask("PUT", "/users/eve/roles", {"roles": ["auditor"]})
    assert taken.status_code < 300, taken.text
    refused = eve.ask("POST", f"/playbook-runs/{run['id']}/approve")
    assert refused.status_code == 403, refused.text
    id = world.incident("t/evil")["id"]
    assert eve.ask("POST", f"/incidents/{id}/state", {"reason": "x"}).status_code == 403
    removed = world.ada.ask("DELETE", "/users/eve")
    assert removed.status_code < 300, removed.text
    assert eve.ask("POST", f"/playbook-runs/{run['id']}/approve").status_code == 401
    assert run["id"] in {one["id"] for one in waiting(world)}
    assert world.bob.ask("POST", f"/playbook-runs/{run['id']}/approve").status_code == 200
    # At one moment: who is removed has acted before it, or has not.
    for number in range(6):
        run = used_up(world, 0, f"late{number}")
        eve = Admin(world.node, f"eve{number}")
        start = threading.Barrier(2)
        answers: list[httpx2.Response] = []

        def act(eve: Admin = eve, start: Any = start, id: str = run["id"]) -> None:
            start.wait()
            answers.append(eve.ask("POST", f"/playbook-runs/{id}/approve"))  # noqa: B023

        thread = threading.Thread(target=act)
        thread.start()
        start.wait()
        assert world.ada.ask("DELETE", f"/users/{eve.name}").status_code < 300
        thread.join()
        [after] = [
            one for one in world.node.get("/playbook-runs")["runs"] if one["id"] == run["id"]
        ]
        expected = ("done", "failed") if answers[-1].status_code == 200 else ("waits",)
        assert after["state"] in expected, (answers[-1].text, after)
        if after["state"] == "failed":  # it is decided anew before each action: nothing is done
            assert all(one["state"] == "failed" and one["problem"] for one in after["acts"]), after
            assert world.node.get("/budgets", project=f"late{number}")["quotas"] == []
        assert eve.ask("GET", "/playbook-runs").status_code == 401


def test_all_of_it_is_the_same_after_a_kill(world: World) -> None:
    def state() -> set[tuple[str, str]]:
        node = world.node
        found = node.get("/budgets")["budgets"]
        runs = [(one["id"], one["state"]) for one in node.get("/playbook-runs")["runs"]]
        return {*runs, *((b["budget"]["project"], b["budget"]["name"]) for b in found)}

    before = state()
    there = [Path(f"/proc/{pid}") for pid in world.node.processes()]
    world.node.stop(9)
    world.node.wait_until(lambda: not any(each.exists() for each in there), 30)
    world.node.start()
    time.sleep(3)
    after = state()
    assert before <= after, before - after
    print(f"new after the kill: {after - before}")
    assert casemate(world.node, "incident", "ls").returncode == 0
