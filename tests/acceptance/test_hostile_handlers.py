"""Handlers that misbehave: each ends with a clear outcome, tells its caller nothing, hurts nobody.

The functions are in tests/functions/hostile/app.py, where every message, name and line of output
holds MARKER: whatever of it a caller sees is a leak.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from casemate.model.invocation import Outcome
from support.bystanders import (
    BYSTANDER,
    MARKER,
    SLOWEST,
    Bystanders,
    assert_sealed,
    processes_named,
)
from support.node import TestNode

SHARES_NODE = True
HOSTILE = Path(__file__).parent.parent / "functions" / "hostile" / "app.py"
LIMITS = """
memory = "64MB"
timeout = "20s"
processes = 16
open_files = 64
tmp = "1MB"
response = "64KB"
log = "16KB"
concurrency = 4
"""
BRIEF = "2s"
"""For what does not end, with half a core; all else has the time that a busy machine takes."""


@pytest.fixture(scope="module")
def hostile(node: TestNode) -> TestNode:
    """The node with a hostile function, others with little time and one that is reused."""
    source = HOSTILE.read_text()
    node.deploy(source, name="hostile", limits=LIMITS, unguarded=True)
    brief = f"{LIMITS.replace('20s', BRIEF)}cpu = 0.5\n"
    node.deploy(source, name="brief", limits=brief, unguarded=True)
    for name, limits in (("reused", LIMITS), ("reused-brief", brief)):
        node.deploy(
            source,
            name=name,
            settings='isolation = "instance"',
            limits=limits,
            unguarded=True,
        )
    node.deploy(BYSTANDER, name="bystander")
    return node


def run(
    node: TestNode, do: str, outcomes: set[Outcome], *, function: str = "t/hostile"
) -> tuple[httpx2.Response, dict[str, Any]]:
    """Let it happen among bystanders; return the sealed answer and the owner's view of it."""
    with Bystanders(node, function) as bystanders:
        answer = node.invoke({"do": do}, function=function)
    bystanders.were_unharmed()
    assert_sealed(answer, 504 if answer.status_code == 504 else 500)
    error = node.error(answer)
    assert error["outcome"] in {o.value for o in outcomes}, error
    assert error["outcome"] == node.outcome(answer)
    assert (answer.status_code == 504) == (error["outcome"] == "timeout")
    assert error["invocation"] == answer.headers["x-request-id"]
    assert (error["project"], error["function"]) == tuple(function.split("/"))
    assert error["type"]
    return answer, error


# -- it does not answer ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "do",
    [
        "loop_for_ever",
        "sleep_for_ever",
        "ignore_sigterm",
        "ignore_all_signals",
        "fork_bomb",
        "thread_bomb",
        "raise_endless",
    ],
)
def test_what_does_not_end_is_ended(hostile: TestNode, do: str) -> None:
    started = time.monotonic()
    _, error = run(hostile, do, {Outcome.TIMEOUT}, function="t/brief")
    assert error["type"] == "Timeout"
    assert 1.9 < time.monotonic() - started < SLOWEST


@pytest.mark.parametrize("do", ["one_big_allocation", "many_small_allocations"])
def test_allocating_without_end_is_out_of_memory(hostile: TestNode, do: str) -> None:
    _, error = run(hostile, do, {Outcome.OUT_OF_MEMORY})
    assert "memory limit" in error["message"]


def test_allocating_without_end_in_a_child_is_contained(hostile: TestNode) -> None:
    """The kernel kills the child; the handler may notice, answer, or be killed with it."""
    with Bystanders(hostile, "t/hostile") as bystanders:
        answer = hostile.invoke({"do": "allocate_in_child"}, function="t/hostile")
    bystanders.were_unharmed()
    if answer.status_code != 200:
        assert_sealed(answer, 500)


def test_children_share_the_limit_of_their_instance(hostile: TestNode) -> None:
    """With time enough for all of them to begin and to be killed, also on a busy machine."""
    with Bystanders(hostile, "t/hostile") as bystanders:
        answer = hostile.invoke({"do": "allocate_in_many_children"}, function="t/hostile")
    bystanders.were_unharmed()
    if answer.status_code == 200:
        assert answer.json() >= 1, "all of them held more than the instance may"
    else:
        assert_sealed(answer, 500)
        assert hostile.outcome(answer) == "out-of-memory"


# -- it dies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "words"),
    [
        ("exit_0", "exited with code 0"),
        ("exit_3", "exited with code 3"),
        ("abort", "signal"),
        ("segfault", "signal 11"),
        ("kill_itself", "exited with code 9"),
        ("fork_bomb_then_die", "exited with code 0"),
    ],
)
def test_a_death_is_told_to_the_owner(hostile: TestNode, do: str, words: str) -> None:
    _, error = run(hostile, do, {Outcome.CRASHED})
    assert words in error["message"]
    hostile.wait_until(lambda: not processes_named("left-bomb"))


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        ("raise_marked", "app.Zebra7markerError"),
        ("raise_chained", "ValueError"),
        ("raise_system_exit", "SystemExit"),
        ("raise_keyboard_interrupt", "KeyboardInterrupt"),
        ("raise_mute", "app._Mute"),
        ("raise_huge", "ValueError"),
        ("raise_group", "BaseExceptionGroup"),
        ("recurse_for_ever", "RecursionError"),
    ],
)
def test_what_it_raises_is_told_to_the_owner(hostile: TestNode, do: str, kind: str) -> None:
    _, error = run(hostile, do, {Outcome.HANDLER_ERROR})
    assert error["type"] == kind
    assert len(error["message"]) < 10_000
    if do not in ("raise_mute", "raise_huge"):
        assert "app.py" in error["trace"]
        assert "/casemate/" not in error["trace"]
    if do in ("raise_marked", "raise_chained", "raise_system_exit"):
        assert MARKER in error["message"]
    if do == "raise_chained":
        assert "Zebra7markerError" in error["trace"]


def test_an_error_text_that_is_not_unicode_is_told_to_the_owner(hostile: TestNode) -> None:
    _, error = run(hostile, "raise_surrogate", {Outcome.HANDLER_ERROR})
    assert MARKER in error["message"]


def test_recursion_beyond_the_stack_is_contained(hostile: TestNode) -> None:
    """Interpreters differ: some notice, some overflow."""
    run(hostile, "recurse_beyond_the_stack", {Outcome.HANDLER_ERROR, Outcome.CRASHED})


def test_an_error_whose_text_exits_is_contained(hostile: TestNode) -> None:
    run(hostile, "raise_deadly", {Outcome.HANDLER_ERROR, Outcome.CRASHED})


# -- its socket --------------------------------------------------------------------------------


@pytest.mark.parametrize("do", ["close_socket", "close_socket_and_stay", "forge_half_frame"])
def test_without_its_socket_it_has_crashed(hostile: TestNode, do: str) -> None:
    started = time.monotonic()
    run(hostile, do, {Outcome.CRASHED})
    assert time.monotonic() - started < 15, "it was not ended before its time was up"


@pytest.mark.parametrize(
    "do",
    [
        "write_garbage",
        "write_random",
        "forge_huge_length",
        "forge_huge_head",
        "forge_ready",
        "forge_invoke",
        "forge_error_of_unknown_kind",
        "forge_init_error",
        "forge_malformed_error",
        "forge_malformed_log",
    ],
)
def test_what_is_no_frame_ends_it_at_once(hostile: TestNode, do: str) -> None:
    started = time.monotonic()
    run(hostile, do, {Outcome.PROTOCOL_VIOLATION})
    assert time.monotonic() - started < 15, "it was not ended before its time was up"


@pytest.mark.parametrize(
    "do",
    [
        "forge_head_not_json",
        "forge_head_with_unknown_keys",
        "forge_status_of_101",
        "forge_header_injection",
        "forge_header_name",
        "forge_content_type",
    ],
)
def test_a_forged_answer_that_cannot_be_sent_is_sealed(hostile: TestNode, do: str) -> None:
    answer, _ = run(hostile, do, {Outcome.BAD_RESULT, Outcome.PROTOCOL_VIOLATION})
    assert "set-cookie" not in answer.headers


def test_a_forged_error_is_sealed_like_a_real_one(hostile: TestNode) -> None:
    _, error = run(hostile, "forge_error", {Outcome.HANDLER_ERROR})
    assert error["message"] == MARKER


@pytest.mark.parametrize("do", ["forge_answer", "forge_answer_and_stay"])
def test_a_forged_answer_is_an_answer_and_the_end(hostile: TestNode, do: str) -> None:
    """A function may say what it likes for itself; it does not get to say it twice."""
    with Bystanders(hostile, "t/hostile") as bystanders:
        answer = hostile.invoke({"do": do}, function="t/hostile")
    bystanders.were_unharmed()
    assert (answer.status_code, answer.json()) == (200, "forged")
    hostile.wait_until(lambda: not processes_named("left-forger"))


# -- its output --------------------------------------------------------------------------------


@pytest.mark.parametrize("do", ["flood_stdout", "flood_stderr", "flood_log"])
def test_a_flood_of_output_is_cut(hostile: TestNode, do: str) -> None:
    with Bystanders(hostile, "t/brief") as bystanders:
        answer = hostile.invoke({"do": do}, function="t/brief")
    bystanders.were_unharmed()
    assert MARKER not in answer.text
    assert hostile.outcome(answer) in ("ok", "timeout")
    invocation = answer.headers["x-request-id"]
    lines = hostile.client.get(f"{hostile.url}/api/v1/logs", params={"invocation": invocation})
    assert MARKER in lines.text
    # Where it ran into its timeout, the line of that error is the last.
    assert any("dropped" in line for line in lines.text.splitlines()[-2:])
    assert len(lines.content) < 16 * 1024 * 10


@pytest.mark.parametrize(
    "do",
    [
        "delete_streams",
        "streams_of_none",
        "close_streams",
        "close_descriptors",
        "close_standard_input",
    ],
)
def test_its_streams_are_its_own_affair(hostile: TestNode, do: str) -> None:
    answer = hostile.invoke({"do": do}, function="t/hostile")
    assert (answer.status_code, answer.json()) == (200, "done"), hostile.error(answer)


# -- what stays behind -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "do",
    [
        "leave_process",
        "leave_daemon",
        "leave_thread",
        "leave_exit_handler",
        "leave_alarm",
        "leave_destructor",
    ],
)
def test_nothing_outlives_the_answer(hostile: TestNode, do: str) -> None:
    started = time.monotonic()
    with Bystanders(hostile, "t/hostile") as bystanders:
        answer = hostile.invoke({"do": do}, function="t/hostile")
        assert time.monotonic() - started < 15, "the answer waited for what was left behind"
        hostile.wait_until(lambda: not processes_named("left-behind"))
    bystanders.were_unharmed()
    assert (answer.status_code, answer.json()) == (200, "done")


# -- results -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "do",
    [
        "return_object",
        "return_nan",
        "return_infinity",
        "return_surrogate",
        "return_circle",
        "return_deep",
        "return_set",
        "return_generator",
    ],
)
def test_what_cannot_be_sent_is_a_bad_result(hostile: TestNode, do: str) -> None:
    _, error = run(hostile, do, {Outcome.BAD_RESULT})
    assert "not JSON" in error["message"]


def test_a_coroutine_is_run_whatever_has_returned_it(hostile: TestNode) -> None:
    """As of an asynchronous handler, which a decorator may lead to that is not."""
    answer = hostile.invoke({"do": "return_coroutine"}, function="t/hostile")
    assert (answer.status_code, answer.json()) == (200, MARKER)


def test_a_result_that_raises_is_contained(hostile: TestNode) -> None:
    run(hostile, "return_sly_dict", {Outcome.BAD_RESULT, Outcome.HANDLER_ERROR})


@pytest.mark.parametrize("do", ["return_huge", "return_huge_bytes"])
def test_a_huge_result_is_too_large(hostile: TestNode, do: str) -> None:
    _, error = run(hostile, do, {Outcome.RESPONSE_TOO_LARGE})
    assert "65536" in error["message"]


# -- reused instances --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "outcome"),
    [
        ("loop_for_ever", Outcome.TIMEOUT),
        ("one_big_allocation", Outcome.OUT_OF_MEMORY),
        ("exit_3", Outcome.CRASHED),
        ("segfault", Outcome.CRASHED),
        ("write_garbage", Outcome.PROTOCOL_VIOLATION),
        ("forge_ready", Outcome.PROTOCOL_VIOLATION),
        ("raise_marked", Outcome.HANDLER_ERROR),
        ("raise_system_exit", Outcome.HANDLER_ERROR),
        ("return_nan", Outcome.BAD_RESULT),
    ],
)
def test_a_reused_instance_fails_alone(hostile: TestNode, do: str, outcome: Outcome) -> None:
    function = "t/reused-brief" if outcome is Outcome.TIMEOUT else "t/reused"
    run(hostile, do, {outcome}, function=function)
    after = hostile.invoke({"do": "nothing"}, function=function)
    assert (after.status_code, after.json()) == (200, "done")


def test_a_reused_instance_that_answers_twice_is_ended(hostile: TestNode) -> None:
    answer = hostile.invoke({"do": "forge_answer_and_stay"}, function="t/reused-brief")
    assert answer.json() == "forged"
    # Whoever is sent to it next gets a sealed timeout, and a new instance takes its place.
    hostile.wait_until(
        lambda: hostile.invoke({"do": "nothing"}, function="t/reused-brief").status_code == 200
    )
    hostile.wait_until(lambda: not processes_named("left-forger"))


# -- kinds of handlers -------------------------------------------------------------------------

KINDS = {
    "coroutine": ("async def handler(e, c):\n    return 1", 200, "ok"),
    "coroutine-raises": ("async def handler(e, c):\n    raise ValueError('zebra7marker')", 500, ""),
    "coroutine-exits": ("async def handler(e, c):\n    raise SystemExit('zebra7marker')", 500, ""),
    "coroutine-loops": (
        "import asyncio\nasync def handler(e, c):\n    await asyncio.sleep(3600)",
        504,
        "timeout",
    ),
    "coroutine-leaves-task": (
        "import asyncio\nasync def handler(e, c):\n"
        "    e['t'] = asyncio.ensure_future(asyncio.sleep(3600))\n    return 1",
        200,
        "ok",
    ),
    "coroutine-returns-coroutine": (
        "import asyncio\nasync def handler(e, c):\n    return asyncio.sleep(0)",
        500,
        "bad-result",
    ),
    "async-generator": ("async def handler(e, c):\n    yield 1", 500, "bad-result"),
    "generator": ("def handler(e, c):\n    yield 1", 500, "bad-result"),
    "partial": (
        "import functools\nasync def f(x, e, c):\n    return x\nhandler = functools.partial(f, 1)",
        200,
        "ok",
    ),
    "class": (
        "class Handler:\n    def __call__(self, e, c):\n        return 1\nhandler = Handler()",
        200,
        "ok",
    ),
    "no-arguments": ("def handler():\n    return 1", 500, "handler-error"),
    "builtin": ("handler = print", 200, "ok"),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_kinds_of_handlers(hostile: TestNode, kind: str) -> None:
    source, status, outcome = KINDS[kind]
    hostile.deploy(source + "\n", name=kind, limits='timeout = "1s"')
    answer = hostile.invoke({}, function=f"t/{kind}")
    if status == 200:
        assert answer.status_code == 200, hostile.error(answer)
    else:
        assert_sealed(answer, status)
        assert hostile.error(answer)["outcome"] == (outcome or "handler-error")
    assert hostile.outcome(answer) == (outcome or "handler-error")


# -- floods that cost the gateway --------------------------------------------------------------

COSTLY = """
import os, stat, struct, time
def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
def write(fd, data):
    while data:
        data = data[os.write(fd, data):]
def drip(fd):
    # The last bytes of a large answer come one by one.
    size = 60 << 20
    write(fd, struct.pack("!cII", b"A", 2, size) + b"{}")
    for _ in range((size >> 16) - 1):
        write(fd, bytes(1 << 16))
    while True:
        write(fd, b"x")
def log(fd):
    head = b'{"level": "info", "at": 1.0}'
    frames = (struct.pack("!cII", b"L", len(head), 1) + head + b"x") * 1000
    while True:
        write(fd, frames)
def output(fd):
    while True:
        write(1, bytes(1 << 16))
def handler(event, context):
    fd = next(n for n in range(3, 64) if is_socket(n))
    globals()[event["do"]](fd)
"""


@pytest.fixture(scope="module")
def costly(hostile: TestNode) -> TestNode:
    """The node with a function that tries to keep the gateway busy."""
    limits = 'timeout = "2s"\nresponse = "64MB"\nmemory = "256MB"\ncpu = 0.5'
    hostile.deploy(COSTLY, name="costly", limits=limits)
    return hostile


def _median_call(node: TestNode, going_on: Callable[[], bool]) -> float:
    """Return the median seconds of a bystander's call while something goes on."""
    seconds = []
    while going_on():
        started = time.monotonic()
        assert node.invoke({"n": 1}, function="t/bystander").status_code == 200
        seconds.append(time.monotonic() - started)
    return sorted(seconds)[len(seconds) // 2]


@pytest.mark.alone
@pytest.mark.parametrize("do", ["drip", "log", "output"])
def test_what_it_writes_costs_the_gateway_little(costly: TestNode, do: str) -> None:
    """Bystanders' calls stay quick while a function writes as much as it can."""
    until = time.monotonic() + 0.5
    usual = _median_call(costly, lambda: time.monotonic() < until)
    thread = threading.Thread(
        target=httpx2.post,
        args=(f"{costly.url}/invoke/t/costly",),
        kwargs={
            "json": {"do": do},
            "headers": {"authorization": f"Bearer {costly.key}"},
            "timeout": 30,
        },
    )
    thread.start()
    try:
        flooded = _median_call(costly, thread.is_alive)
    finally:
        thread.join()
    assert flooded < 3 * usual + 0.015, (usual, flooded)
