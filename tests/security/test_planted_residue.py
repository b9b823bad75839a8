"""Nothing of a call is found by the next one, whether its process is set back or another is forked.

Both ways side by side on one node, by the rows of `support/residue.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from casemate.restorer.probe import restoring_problem
from support import residue
from support.node import TestNode
from support.residue_function import Function, in_both_ways

WAYS = {"restored": "", "forked": 'fresh = "process"'}
LOW = 'trust = "low"'
"""Imports in the instance, which is restored as well: its rows are the long run's but for those of
imports."""
AGAIN_TRIES, ROUNDS = 40, 3
"""How often is looked, and the row tried: a process is replaced after a minute."""
LOOKS = 9
"""After what costs a process its use: of a function with which that is frequent each call has a
fork of its own (`dispatch/restored.py`), which would prove nothing."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    running = TestNode(tmp_path_factory.mktemp("node") / "data", "--restore").start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def functions(node: TestNode) -> dict[str, Function]:
    found = {}
    for way, settings in (WAYS | {"low": LOW}).items():
        found[way] = Function(node, way, again=way != "forked").deploy(settings)
        found[way].begin()
    return found


@pytest.fixture(params=[*WAYS, pytest.param("low", marks=pytest.mark.storm)])
def function(functions: dict[str, Function], request: pytest.FixtureRequest) -> Function:
    return functions[request.param]


@pytest.fixture(scope="module")
def short(node: TestNode) -> dict[str, Function]:
    found = {}
    for way, settings in WAYS.items():
        name = f"short-{way}"
        found[way] = Function(node, name, again=way == "restored", timeout="500ms").deploy(settings)
        found[way].begin()
    return found


@in_both_ways(residue.AGAIN)
def test_what_shows_is_gone(function: Function, row: str) -> None:
    again = False
    for _ in range(ROUNDS):
        planted = function.call(run=residue.AGAIN[row], look=True)
        assert function.changed(planted), "it does nothing"
        for _ in range(AGAIN_TRIES if function.again else 2):
            again = function.look() == planted["who"]
            if again:
                break
        if again or not function.again:
            break
    assert again is function.again


@in_both_ways(residue.UNSEEN_AGAIN)
def test_what_does_not_show_is_gone(function: Function, row: str) -> None:
    answer = function.node.invoke({"run": residue.UNSEEN_AGAIN[row]}, function=function.name)
    assert answer.status_code in (200, 500)
    for _ in range(4):
        function.look()


@pytest.mark.parametrize("row", [*residue.GONE, *residue.GONE_DEEP])
def test_what_stays_costs_the_process(function: Function, row: str) -> None:
    deep = row in residue.GONE_DEEP
    planted = function.call(run={**residue.GONE, **residue.GONE_DEEP}[row], look=True, deep=deep)
    assert function.changed(planted), "it does nothing"
    for _ in range(LOOKS if function.again else 2):
        assert function.look() != planted["who"]
    if deep:
        assert function.look(deep=True) != planted["who"]
        for _ in range(LOOKS if function.again else 0):
            function.look()


@pytest.mark.parametrize("row", residue.UNSEEN_GONE)
def test_what_may_stay_costs_the_process(function: Function, row: str) -> None:
    planted = function.call(run=residue.UNSEEN_GONE[row])
    for _ in range(LOOKS if function.again else 2):
        assert function.look() != planted["who"]


@in_both_ways(residue.DENIED)
def test_this_is_refused(function: Function, row: str) -> None:
    planted = function.call(run=residue.DENIED[row], look=True)
    assert planted["result"] < 0
    changed = function.changed(planted)
    assert changed == {} or function.is_another_layout(changed)
    for _ in range(LOOKS if function.again else 2):
        function.look()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", residue.ENDED)
def test_nothing_is_left_of_who_was_ended(short: dict[str, Function], way: str, row: str) -> None:
    function = short[way]
    answer = function.node.invoke({"run": residue.ENDED[row]}, function=function.name)
    assert answer.status_code in (500, 502, 504), answer.text
    for _ in range(3):
        function.look()


def test_both_ways_were_tried(functions: dict[str, Function]) -> None:
    """Or the tests above have tried one of them twice."""
    assert residue.COUNT >= 120
    for way in WAYS:
        function = functions[way]
        function.look()
        told = function.node.client.get(
            f"{function.node.url}/api/v1/functions/{function.name}/restoring"
        ).json()
        if way == "restored" and function.again:
            assert told["restored"] > 20 and told["forks"] < told["restored"] / 10, told
        else:
            assert told["restored"] == 0 and told["forks"] > 0


def test_random_numbers_do_not_come_again(function: Function) -> None:
    for kind in zip(*[function.call()["chance"] for _ in range(20)], strict=True):
        assert len(set(kind)) == 20


GENERATORS = {
    "SQLite's": (
        "import sqlite3; I_DATABASE = sqlite3.connect(':memory:', check_same_thread=False)\n"
        "I_DATABASE.execute('select random()').fetchall()",
        "I_DATABASE.execute('select random(), hex(randomblob(8))').fetchone()",
    ),
    "SQLite's, of a database of the call": (
        "import sqlite3; sqlite3.connect(':memory:').execute('select random()').fetchall()",
        "__import__('sqlite3').connect(':memory:').execute('select random()').fetchone()",
    ),
    "names of temporary files": (
        "next(tempfile._get_candidate_names())",
        "next(tempfile._get_candidate_names())",
    ),
}
"""Of libraries, used at import: what then gives a number."""


@pytest.mark.parametrize("way", WAYS)
def test_generators_of_libraries_go_on_by_chance(node: TestNode, way: str) -> None:
    used = "\n".join(at_import for at_import, _ in GENERATORS.values())
    function = Function(node, f"generators-{way}", again=way == "restored")
    function.deploy(WAYS[way], used).begin()
    for row, (_, look) in GENERATORS.items():
        given = [found(function, look) for _ in range(10)]
        assert len(set(given)) == 10, row


# -- at import ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def importing(node: TestNode) -> dict[str, Function]:
    """Everything in one module, which is not restored: it leaves files and sockets open."""
    at_import = "\n".join(made for made, _, _ in residue.IMPORTED.values())
    return {
        way: Function(node, f"import-{way}", again=False).deploy(settings, at_import)
        for way, settings in WAYS.items()
    }


KEPT_OPEN = ("a loop", "a file that is read", "a socket")


@pytest.fixture(scope="module")
def restorable(node: TestNode) -> Function:
    """The same but for what is open: it is restored."""
    rows = {row: made for row, (made, _, _) in residue.IMPORTED.items() if row not in KEPT_OPEN}
    function = Function(node, "import-again", again=True).deploy("", "\n".join(rows.values()))
    function.begin()
    return function


def found(function: Function, look: str) -> str:
    return str(function.call(run=f"result = repr({look})")["result"])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", residue.IMPORTED)
def test_what_an_import_made_is_as_it_made_it(
    importing: dict[str, Function], way: str, row: str
) -> None:
    _, change, look = residue.IMPORTED[row]
    function = importing[way]
    pristine = found(function, look)
    assert function.call(run=f"{change}\nresult = repr({look})")["result"] != pristine
    for _ in range(2):
        assert found(function, look) == pristine


@pytest.mark.parametrize("row", [row for row in residue.IMPORTED if row not in KEPT_OPEN])
def test_what_an_import_made_is_restored(restorable: Function, row: str) -> None:
    _, change, look = residue.IMPORTED[row]
    pristine = found(restorable, look)
    changed = restorable.call(run=f"{change}\nresult = repr({look})")
    assert changed["result"] != pristine
    for _ in range(LOOKS):
        restorable.look()
    assert found(restorable, look) == pristine


# Each costs a second: every sixth; all of them in the long run.
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=(pytest.mark.storm,) if number % 6 else ())
        for number, row in enumerate([*residue.PREPARED, *residue.HOSTILE])
    ],
)
def test_what_an_import_prepares_that_is_not_trusted_carries_nothing(
    node: TestNode, row: str
) -> None:
    """It runs in the instance, before its snapshot."""
    hostile = residue.HOSTILE.get(row)
    at_import, change, look = residue.PREPARED.get(row, (hostile, "state.append('x')", "state"))
    number = [*residue.PREPARED, *residue.HOSTILE].index(row)
    function = Function(node, f"low-{number}", again=False).deploy(
        LOW, f"import select\n{at_import}"
    )

    def shown() -> str:
        return found(function, f"({look})")

    pristine = {shown() for _ in range(2)}
    assert len(pristine) == 1, pristine
    for _ in range(2):
        node.invoke({"run": f"{change}\nglobals()['kept'] = 1"}, function=function.name)
        assert {shown() for _ in range(3)} == pristine


@pytest.mark.parametrize("row", residue.HOSTILE)
def test_what_an_import_pretends_has_its_process_used_once(node: TestNode, row: str) -> None:
    """It cannot be taken for what can be restored, nor reach who restores others."""
    if restoring_problem():
        pytest.skip(restoring_problem())
    assert node.process is not None
    restorer = node.part("restorer")
    number = list(residue.HOSTILE).index(row)
    function = Function(node, f"hostile-{number}", again=False).deploy("", residue.HOSTILE[row])
    seen = []
    for _ in range(6):
        answer = node.invoke(
            {"run": "result = len(state); state.append(1)"}, function=function.name
        )
        if answer.status_code == 200:
            assert answer.json()["result"] == 0
            seen.append(answer.json()["who"])
    if row != "it keeps its descriptor":  # which is closed, as whatever is left open
        assert len(set(seen)) == len(seen)
    assert node.part("restorer") == restorer is not None
