"""Random system calls in the sandbox leave nothing to the next call, restored or forked.

The calls are those of `functions/attacks/random_calls.py`; what is looked at is what rows of
`support/residue.py` show in (test_planted_residue).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.restorer.probe import restoring_problem
from support.node import TestNode
from support.residue_function import Function, Layouts

pytestmark = pytest.mark.timeout(1800)
CALLS = (Path(__file__).parent.parent / "functions" / "attacks" / "random_calls.py").read_text()
WAYS = {"restored": "", "forked": 'fresh = "process"', "low": 'trust = "low"'}
LOOKS = 6
"""After each: a function of which more than a fifth of the calls cost the process has forks."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    running = TestNode(tmp_path_factory.mktemp("node") / "data", "--restore").start()
    yield running
    running.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [25, pytest.param(1200, marks=pytest.mark.storm)])
def test_nothing_of_random_calls_is_found(node: TestNode, way: str, count: int) -> None:
    function = Function(node, f"chance-{way}-{count}", again=way != "forked", timeout="2s")
    function.deploy(WAYS[way], CALLS).begin()
    layouts = Layouts(function)
    chance, came = random.Random(count), Counter[str]()
    for number in range(count):
        calls = f"{count * 10_000 + number}, {chance.choice((1, 1, 2, 5, 30))}"
        run = chance.choice(
            (f"mild({calls})", f"wild({calls})", *[f"wild({calls}, sandboxed=True)"] * 3)
        )
        answer = function.node.invoke({"run": run}, function=function.name)
        assert answer.status_code in (200, 500, 502, 504), answer.text
        planted = answer.json().get("who") if answer.status_code == 200 else None
        served = {layouts.look() for _ in range(LOOKS)}
        came["used again" if planted in served else "another" if planted else "ended"] += 1
    if way != "forked" and not restoring_problem():
        assert came["used again"] >= count / 20, came
    else:
        assert came["used again"] == 0, came
