"""Many functions on one node cost those that are called nothing; what is not called goes away."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from support.bundles import make_bundle, publish
from support.node import TestNode
from support.processes import children, gateway_of, memory, processor_seconds, zygotes_of
from support.shared_node import empty

ECHO = """
def handler(event, context):
    return event
"""
MIB = 1024 * 1024
FUNCTIONS = 100
CALLS = 150


def medians_ms(*nodes: TestNode) -> list[float]:
    """Return each node's median time of a call to its `probe`, in milliseconds.

    Their calls take turns, so that whatever else the machine does slows all of them.
    """
    taken: list[list[float]] = [[] for _ in nodes]
    for number in range(CALLS):
        for times, node in zip(taken, nodes, strict=True):
            started = time.perf_counter()
            answer = node.invoke({"n": number}, function="t/probe")
            times.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, answer.text
    return [statistics.median(times[20:]) for times in taken]


def status(node: TestNode) -> dict[str, int]:
    found: dict[str, int] = node.get("/node")
    return found


@pytest.fixture
def idle(node: TestNode) -> TestNode:
    """The module's node, with nothing of other tests on it."""
    empty(node)
    node.wait_until(lambda: (status(node)["functions"], status(node)["zygotes"]) == (0, 0))
    return node


def test_a_hundred_functions_cost_one_function_nothing(
    idle: TestNode, tmp_path: Path, record_property
) -> None:
    node = idle
    alone = TestNode(tmp_path / "alone").start()
    try:
        _compare(node, alone, record_property)
    finally:
        alone.close()


def _compare(node: TestNode, alone: TestNode, record_property) -> None:
    gateway = gateway_of(node.process.pid if node.process else 0)
    assert gateway is not None
    probe = make_bundle(ECHO, name="probe")
    publish(node, probe)
    publish(alone, probe)
    # Each has a route, and nothing but a short life in memory.
    template = make_bundle(
        ECHO,
        name="other",
        limits='keep = "1s"',
        routes='[[function.other.http]]\nmethod = "GET"\npath = "/other"\n',
    )
    (trigger,) = template.manifest.function.http
    medians_ms(node, alone)
    resting = memory(gateway, "VmRSS")
    started = time.monotonic()
    for number in range(FUNCTIONS):
        route = type(trigger)(method="GET", path=f"/other/{number}/{{name}}")
        publish(node, template.declared(name=f"other-{number}", http=(route,)))
    deploying = time.monotonic() - started
    assert status(node)["functions"] == FUNCTIONS + 1
    node.wait_until(lambda: status(node)["zygotes"] <= 1)
    among_many, by_itself = medians_ms(node, alone)
    grown = memory(gateway, "VmRSS") - resting
    figures = {
        "among_many_ms": among_many,
        "by_itself_ms": by_itself,
        "grown_bytes": float(grown),
        "deploying_s": deploying,
    }
    record_property("scale", figures)
    print({name: round(value, 2) for name, value in figures.items()})
    assert among_many < by_itself * 1.5 + 0.3, figures
    assert grown < 16 * MIB, figures
    # Any of them still starts when it is called, on either way.
    for number in (0, FUNCTIONS // 2, FUNCTIONS - 1):
        assert node.invoke([1], function=f"t/other-{number}").json() == [1]
        answer = node.client.get(f"{node.url}/other/{number}/x")
        assert answer.json()["path_parameters"] == {"name": "x"}


def test_a_restart_with_many_functions_is_quick(fresh_node: TestNode) -> None:
    node = fresh_node
    template = make_bundle(ECHO, name="other", limits='keep = "1s"')
    few = many = 0.0
    for number in range(60):
        publish(node, template.declared(name=f"other-{number}"))
        if number == 0:
            few = _restarted(node, "t/other-0")
    many = _restarted(node, "t/other-59")
    # In seconds of the processor: others may want it as well.
    assert many < few + 1.0, (few, many)
    assert status(node)["functions"] == 60
    assert status(node)["zygotes"] == 1


def _restarted(node: TestNode, function: str) -> float:
    """Return what a start takes until a function is answered, in seconds of the processor."""
    assert node.stop() == 0
    node.start()
    assert node.invoke([2], function=function).json() == [2]
    return sum(map(processor_seconds, node.processes()))


def test_a_function_goes_to_nothing_after_its_time_and_comes_back(idle: TestNode) -> None:
    node = idle
    supervisor = node.process.pid if node.process else 0
    node.deploy(ECHO, name="brief", limits='keep = "1s"')
    first = node.invoke({}, function="t/brief")
    assert first.status_code == 200
    node.wait_until(lambda: status(node)["zygotes"] == 0)
    assert (status(node)["spares"], status(node)["memory_reserved"]) == (0, 0)
    # What is left is the blank zygote that waits for whoever comes first.
    node.wait_until(lambda: len(zygotes_of(supervisor)) <= 1)
    assert all(not children(zygote) for zygote in zygotes_of(supervisor))
    again = node.invoke({}, function="t/brief")
    assert again.status_code == 200
    assert node.get(f"/invocations/{again.headers['x-request-id']}")["cold"] is True
    # A busy machine may take longer than that from one call to the next.
    assert any(_is_warm_soon_after(node, "t/brief") for _ in range(10))


def _is_warm_soon_after(node: TestNode, function: str) -> bool:
    """Tell whether the second of two calls finds what the first has started."""
    node.invoke({}, function=function)
    warm = node.invoke({}, function=function)
    return node.get(f"/invocations/{warm.headers['x-request-id']}")["cold"] is False


def test_a_call_keeps_it_in_memory(idle: TestNode) -> None:
    node = idle
    node.deploy(ECHO, name="kept", limits='keep = "2s"')
    # For twice as long as it is kept, by calls that come in time: a busy machine may be late.
    last = began = time.monotonic()
    while time.monotonic() < began + 4:
        answer = node.invoke({}, function="t/kept")
        cold = node.get(f"/invocations/{answer.headers['x-request-id']}")["cold"]
        if time.monotonic() - last > 2:
            began = time.monotonic()
        elif began != last:
            assert cold is False
        last = time.monotonic()
        assert status(node)["zygotes"] == 1
        time.sleep(0.3)
    assert cold is False


def test_spares_follow_the_calls_and_go_with_them(idle: TestNode) -> None:
    node = idle
    node.deploy(ECHO, name="busy")
    for number in range(60):
        assert node.invoke(number, function="t/busy").json() == number
    node.wait_until(lambda: status(node)["spares"] >= 2)
    assert status(node)["spares"] <= 8
    node.wait_until(lambda: status(node)["spares"] == 0)
    assert status(node)["zygotes"] == 1
    assert (status(node)["instances"], status(node)["memory_reserved"]) == (0, 0)
    for zygote in zygotes_of(node.process.pid if node.process else 0):
        node.wait_until(lambda zygote=zygote: not children(zygote))
    assert node.invoke(1, function="t/busy").json() == 1
