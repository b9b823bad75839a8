"""Modules that misbehave when they are imported, at the deploy or in each instance."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from support.bystanders import BYSTANDER, SLOWEST, Bystanders, assert_sealed, processes_named
from support.node import TestNode

SHARES_NODE = True


@pytest.fixture(scope="module")
def hostile(node: TestNode) -> TestNode:
    """The node with a bystander, and one that is called as well."""
    node.deploy(BYSTANDER, name="bystander")
    node.deploy("def handler(event, context):\n    return 'done'\n", name="other")
    return node


GOOD = "def handler(event, context):\n    return 'before'\n"
AT_IMPORT = {
    "raises": ("raise ValueError('zebra7marker')", "zebra7marker"),
    "exits": ("import sys; sys.exit('zebra7marker')", "SystemExit"),
    "exits-hard": ("import os; os._exit(0)", ""),
    "segfaults": ("import ctypes; ctypes.string_at(0)", ""),
    "allocates": ("held = [bytes(1000) + b'%d' % n for n in range(1 << 30)]", ""),
    "starts-thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()",
        "thread",
    ),
    "misses": ("del handler; globals()", "no function"),
    "calls-nothing": ("handler = 'zebra7marker'", "no function"),
    "imports-nothing": ("import zebra7marker", "zebra7marker"),
    "closes-all": ("import os; os.closerange(0, 64)", ""),
}


@pytest.fixture(params=list(AT_IMPORT))
def bad_import(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, str]]:
    """A module that is a menace when it is imported: name, source, words for the owner."""
    statement, words = AT_IMPORT[request.param]
    yield request.param, f"def handler(event, context):\n    return 1\n{statement}\n", words


def test_a_deploy_that_cannot_be_imported_changes_nothing(
    hostile: TestNode, bad_import: tuple[str, str, str]
) -> None:
    name, source, words = bad_import
    hostile.deploy(GOOD, name=name, limits='memory = "64MB"')
    with Bystanders(hostile, "t/other") as bystanders:
        refused = hostile.deploy(source, name=name, limits='memory = "64MB"', expect=422)
    bystanders.were_unharmed()
    assert words in str(refused), refused
    assert hostile.invoke({}, function=f"t/{name}").json() == "before"


def test_an_endless_import_is_ended(hostile: TestNode) -> None:
    source = "def handler(event, context):\n    return 1\nwhile True: pass\n"
    started = time.monotonic()
    with Bystanders(hostile, "t/other") as bystanders:
        refused = hostile.deploy(source, name="loops", expect=422)
    bystanders.were_unharmed()
    assert "import took longer" in str(refused)
    assert 9 < time.monotonic() - started < 9 + 2 * SLOWEST


@pytest.mark.parametrize("how", ["raises", "exits", "imports-nothing", "misses"])
def test_an_import_that_fails_in_the_instance_is_sealed(hostile: TestNode, how: str) -> None:
    """With trust = "low" a module is imported in each instance, after the deploy."""
    statement, words = AT_IMPORT[how]
    source = f"def handler(event, context):\n    return 1\n{statement}\n"
    name = f"low-{how}"
    hostile.deploy(source, name=name, settings='trust = "low"')
    with Bystanders(hostile, "t/other") as bystanders:
        answer = hostile.invoke({}, function=f"t/{name}")
    bystanders.were_unharmed()
    assert_sealed(answer, 500)
    error = hostile.error(answer)
    assert error["outcome"] == "init-error"
    assert words in error["message"] + error["type"]


@pytest.mark.parametrize("how", ["exits-hard", "segfaults", "closes-all"])
def test_an_import_that_kills_the_instance_is_sealed(hostile: TestNode, how: str) -> None:
    source = f"def handler(event, context):\n    return 1\n{AT_IMPORT[how][0]}\n"
    name = f"low-{how}"
    hostile.deploy(source, name=name, settings='trust = "low"')
    with Bystanders(hostile, "t/other") as bystanders:
        answer = hostile.invoke({}, function=f"t/{name}")
    bystanders.were_unharmed()
    assert_sealed(answer, answer.status_code)
    assert answer.status_code in (500, 503)
    assert hostile.error(answer)["outcome"] in ("init-error", "crashed", "unavailable")


@pytest.mark.storm
def test_an_endless_import_in_the_instance_is_ended(fresh_node: TestNode) -> None:
    source = (
        "def handler(event, context):\n    return 1\n"
        "import ctypes; ctypes.CDLL(None).prctl(15, b'left-import', 0, 0, 0)\n"
        "while True: pass\n"
    )
    limits = 'timeout = "500ms"\nqueue_time = "500ms"\ncpu = 0.2'
    fresh_node.deploy(source, settings='trust = "low"', limits=limits)
    answer = fresh_node.invoke({})
    assert_sealed(answer, answer.status_code)
    # An import has at least ten seconds, wherever it happens.
    fresh_node.wait_until(lambda: not processes_named("left-import"), 12)
    assert fresh_node.outcome(answer) == "init-error"


CHATTY = "print('x' * 200_000)\ndef handler(event, context):\n    return 'chatty'\n"


def test_an_import_may_print_more_than_a_pipe_holds(hostile: TestNode) -> None:
    hostile.deploy(CHATTY, name="chatty")
    assert hostile.invoke({}, function="t/chatty").json() == "chatty"


def test_a_process_left_by_the_import_is_an_error_of_it_and_gone(hostile: TestNode) -> None:
    source = (
        "import ctypes, os, time\n"
        "if os.fork() == 0:\n"
        "    ctypes.CDLL(None).prctl(15, b'left-fork', 0, 0, 0)\n"
        "    time.sleep(3600)\n"
        "def handler(event, context):\n    return 1\n"
    )
    problem = hostile.deploy(source, name="import-forks", expect=422)
    assert "started a process" in problem["detail"]
    hostile.wait_until(lambda: not processes_named("left-fork"))
