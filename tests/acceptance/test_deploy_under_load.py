"""Deploying, promoting, rolling back and stopping while clients call without a pause."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.bundles import make_bundle, publish
from support.load import Call, Load
from support.node import TestNode, cgroups_of
from support.processes import process

CODE = """
CODE = {code}
def handler(event, context):
    return {{"version": int(context.function_version), "code": CODE}}
"""
SLOW = """
import time
def handler(event, context):
    time.sleep(0.05)
    return {"n": event["n"]}
"""
ISOLATIONS = ("request", "instance")


class LiveVersions:
    """Which versions `live` led to, and from when to when, as a client of the API can know it.

    While a change is under way both what was and what will be are right.
    """

    def __init__(self) -> None:
        self._states: list[tuple[float, float, set[int]]] = [(0.0, float("inf"), set())]

    def change(self, versions: set[int], act: Callable[[], Any]) -> None:
        before = time.monotonic()
        act()
        start, _, old = self._states[-1]
        self._states[-1] = (start, time.monotonic(), old)
        self._states.append((before, float("inf"), versions))

    def allows(self, call: Call) -> bool:
        return any(
            call.body["version"] in versions
            for start, end, versions in self._states
            if start <= call.ended and call.started <= end
        )


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_no_call_fails_and_each_answer_is_of_a_live_version(node: TestNode, isolation: str) -> None:
    name = f"changes-{isolation}"
    settings = f'isolation = "{isolation}"'
    bundles = [make_bundle(CODE.format(code=n), name=name, settings=settings) for n in (1, 2, 3)]
    path = f"{node.url}/api/v1/functions/t/{name}"
    live = LiveVersions()

    def deploy(number: int) -> None:
        live.change({number}, lambda: publish(node, bundles[number - 1]))

    def alias(versions: set[int], method: str, where: str, body: Any) -> None:
        def act() -> None:
            node.client.request(method, path + where, json=body).raise_for_status()

        live.change(versions, act)

    def weights(**parts: int) -> dict[str, Any]:
        return {"targets": [{"version": int(v[1:]), "weight": w} for v, w in parts.items()]}

    deploy(1)
    with Load(node.port, f"/invoke/t/{name}", node.key) as load:
        load.more(50)
        deploy(2)
        load.more(50)
        deploy(3)
        load.more(50)
        alias({1, 3}, "PUT", "/aliases/live", weights(v1=50, v3=50))
        marked = len(load.calls)
        load.more(150)
        mixed = {call.body["version"] for call in load.calls[marked + 10 :] if call.body}
        alias({2}, "PUT", "/aliases/live", weights(v2=100))
        load.more(50)
        alias({1}, "POST", "/rollback", {})
        load.more(50)
        alias({3}, "POST", "/rollback", {"to": 3})
        load.more(50)
        alias({1}, "POST", "/rollback", {"to": 1})
        load.more(50)
    assert load.failed == [] and load.refused == 0
    assert [call for call in load.calls if not live.allows(call)] == []
    assert all(call.body["version"] == call.body["code"] for call in load.calls)
    assert mixed == {1, 3}
    assert load.calls[-1].body["version"] == 1
    assert {call.body["version"] for call in load.calls} == {1, 2, 3}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_every_request_that_was_sent(tmp_path: Path, number: signal.Signals) -> None:
    node = TestNode(tmp_path / "data").start()
    with ExitStack() as stack:
        stack.callback(node.close)
        for isolation in ISOLATIONS:
            node.deploy(SLOW, name=isolation, settings=f'isolation = "{isolation}"')
        loads = [
            stack.enter_context(
                Load(node.port, f"/invoke/t/{isolation}", node.key, clients=8, until_refused=True)
            )
            for isolation in ISOLATIONS
        ]
        for load in loads:
            load.more(60)
        before = time.monotonic()
        code = node.stop(number)
        took = time.monotonic() - before
        for load in loads:
            load.join()
            assert load.failed == []
            assert load.refused == 8
        assert code == 0, node.errors.read_text()
        assert took < 8, f"draining calls of 50 ms took {took:.1f} s"


def test_calls_that_wait_in_the_queue_are_answered_before_the_end_of_every_process(
    tmp_path: Path,
) -> None:
    """One instance at a time, so that most of the calls are still queued when the node is told."""
    node = TestNode(tmp_path / "data").start()
    with ExitStack() as stack:
        stack.callback(node.close)
        node.deploy(SLOW, limits="concurrency = 1")
        load = stack.enter_context(
            Load(node.port, "/invoke/t/f", node.key, clients=10, until_refused=True)
        )
        load.more(5)
        pid = node.process.pid if node.process else 0
        alive = [process(p) for p in node.processes()]
        assert len(alive) > 4
        assert cgroups_of(pid)
        assert node.stop() == 0
        load.join()
        assert load.failed == []
        node.wait_until(lambda: not any(p.lives for p in alive))
        assert cgroups_of(pid) == []
