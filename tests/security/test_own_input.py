"""Standard input is each process's own: no call, and no function, finds what another set of it."""

from __future__ import annotations

from typing import Any

import pytest

from support.node import TestNode

BOTH_WAYS = True
pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(120)]
CODE = """
import fcntl, os

def look():
    return [fcntl.fcntl(0, fcntl.F_GETFL), fcntl.fcntl(0, fcntl.F_GETOWN), fcntl.fcntl(0, 11)]

{at_import}

def handler(event, context):
    found = look()
    exec(event.get("run", ""))
    return {{"found": found, "then": look()}}
"""
SETS = {
    "not to block": "fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK)",
    "to append": "fcntl.fcntl(0, fcntl.F_SETFL, os.O_APPEND)",
    "a signal": "fcntl.fcntl(0, fcntl.F_SETSIG, 12)",
    "an owner": "fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())",
}


def found(node: TestNode, name: str, run: str = "") -> dict[str, Any]:
    answer = node.invoke({"run": run}, function=f"t/{name}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("trust", ["normal", "low"])
def test_nobody_finds_what_a_call_has_set(node: TestNode, trust: str) -> None:
    for name in (f"sets-{trust}", f"looks-{trust}"):
        node.deploy(
            CODE.format(at_import=""), name=name, settings=f'trust = "{trust}"', unguarded=True
        )
    pristine = found(node, f"looks-{trust}")["found"]
    assert found(node, f"sets-{trust}")["found"] == pristine
    for code in SETS.values():
        assert found(node, f"sets-{trust}", code)["then"] != pristine, "it sets nothing"
        for name in (f"sets-{trust}", f"looks-{trust}"):
            assert [found(node, name)["found"] for _ in range(3)] == [pristine] * 3


def test_nobody_finds_what_an_import_has_set(node: TestNode) -> None:
    node.deploy(CODE.format(at_import=""), name="first", unguarded=True)
    pristine = found(node, "first")["found"]
    at_import = "\n".join(SETS.values())
    node.deploy(CODE.format(at_import=at_import), name="imports", unguarded=True)
    found(node, "imports")
    node.deploy(CODE.format(at_import=""), name="second", unguarded=True)
    for name in ("first", "second"):
        assert found(node, name)["found"] == pristine
