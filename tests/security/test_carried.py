"""Nothing that a call leaves in libraries, in the C library, in the processor or in the kernel is
found by the next one: the rows of `support/carried.py`, restored and forked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import carried
from support.node import TestNode
from support.residue_function import Function, Layouts, in_both_ways

pytestmark = pytest.mark.timeout(300)
WAYS = {"restored": "", "forked": 'fresh = "process"'}
LOW = 'trust = "low"'
TRIES = 40
"""How often is looked until the process serves again."""
LOOKS = 9
"""After what may cost a process its use: of a function with which that is frequent each call has a
fork of its own (`dispatch/restored.py`), which would prove nothing."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    running = TestNode(tmp_path_factory.mktemp("node") / "data", "--restore").start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def functions(node: TestNode) -> dict[str, Function]:
    flags = Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0]
    at_import = carried.IMPORTS + carried.RAISES % flags.partition(": ")[2]
    found = {}
    for way, settings in (WAYS | {"low": LOW}).items():
        found[way] = Function(node, f"carried-{way}", again=way != "forked")
        found[way].deploy(settings, at_import).begin()
    return found


@pytest.fixture(scope="module")
def layouts(functions: dict[str, Function]) -> dict[str, Layouts]:
    return {function.name: Layouts(function) for function in functions.values()}


@pytest.fixture(params=[*WAYS, pytest.param("low", marks=pytest.mark.storm)])
def function(functions: dict[str, Function], request: pytest.FixtureRequest) -> Function:
    return functions[request.param]


def asked(function: Function, look: str, plant: str = "") -> tuple[str, int]:
    """Return what shows, after something was planted, and in which process."""
    answer = function.call(run=f"{plant}\nresult = repr(({look}))")
    return str(answer["result"]), int(answer["who"])


def looked(function: Function, look: str, pristine: str, planted: int, most: int) -> bool:
    """Require that nothing is found; tell whether the process served again."""
    for _ in range(most if function.again else 2):
        seen, who = asked(function, look)
        assert seen == pristine
        if who == planted:
            return True
    return False


@in_both_ways([*carried.SHOWN, *carried.OPEN])
def test_what_shows_is_gone(function: Function, row: str) -> None:
    plant, look = (carried.SHOWN | carried.OPEN)[row]
    again = False
    for _ in range(3):
        pristine, _ = asked(function, look)
        shown, planted = asked(function, look, plant)
        assert shown != pristine, "it does nothing"
        again = looked(function, look, pristine, planted, TRIES)
        if again or not function.again:
            break
    assert again is function.again


@pytest.mark.parametrize("row", carried.KERNEL)
def test_what_the_kernel_keeps_is_gone(
    function: Function, layouts: dict[str, Layouts], row: str
) -> None:
    plant, look = carried.KERNEL[row]
    layout = layouts[function.name]
    pristine, _ = asked(function, look)
    shown, planted = asked(function, look, plant)
    assert shown != pristine, "it does nothing"
    if any(call in look for call in carried.FLAGGED):
        for _ in range(LOOKS if function.again else 2):
            assert layout.look() != planted
        assert asked(function, look)[0] == pristine
    else:
        looked(function, look, pristine, planted, LOOKS)
    for _ in range(2):
        layout.look()


@pytest.mark.parametrize("row", carried.QUIET)
def test_what_may_stay_costs_the_process(
    function: Function, layouts: dict[str, Layouts], row: str
) -> None:
    planted = function.call(run=carried.QUIET[row])
    for _ in range(LOOKS if function.again else 2):
        assert layouts[function.name].look() != planted["who"]


@pytest.mark.parametrize("row", carried.AGAIN)
def test_what_does_not_show_is_gone(
    function: Function, layouts: dict[str, Layouts], row: str
) -> None:
    answer: Any = function.node.invoke({"run": carried.AGAIN[row]}, function=function.name)
    assert answer.status_code == 200, function.node.error(answer)
    for _ in range(4):
        layouts[function.name].look()


@in_both_ways(carried.REFUSED)
def test_this_is_refused(function: Function, row: str) -> None:
    plant, look = carried.REFUSED[row]
    pristine, _ = asked(function, look)
    answer = function.call(run=f"result = [tried(lambda: {plant}), repr(({look}))]")
    refusal, shown = answer["result"]
    assert isinstance(refusal, list) and refusal[0].endswith("Error"), refusal
    assert shown == pristine
    looked(function, look, pristine, 0, 4)


def test_there_are_enough_of_them() -> None:
    """Or what is left out by mistake would not be missed."""
    assert carried.COUNT >= 400
