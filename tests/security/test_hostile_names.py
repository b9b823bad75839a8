"""A server of names that says one thing when it is asked, and another one afterwards.

In namespaces of their own (`support/names_child.py`): a real server, the system's resolver, and at
each address that is named somebody who says who was reached.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import names_child

OUTSIDE = {names_child.PUBLIC, names_child.PUBLIC6}
NAMES = names_child.names()


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    unshare = shutil.which("unshare")
    alone = ["-nm"] if os.geteuid() == 0 else ["-Urnm"]
    there = unshare is not None and shutil.which("ip") is not None
    if not there or subprocess.run([unshare, *alone, "true"], check=False).returncode:
        pytest.skip("no namespaces can be made here")
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    script = Path(names_child.__file__)
    done = subprocess.run(
        [unshare, *alone, sys.executable, str(script), str(script.parent.parent)],
        capture_output=True,
        check=True,
        timeout=100,
        env=environment,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_inside_is_reached_by_a_name(found: dict[str, Any], name: str) -> None:
    """By a function's egress four times, by alerts and exports once."""
    for answer in found["reached"][name]:
        assert answer in OUTSIDE or answer.startswith(("denied: ", "not: ")), answer
        assert answer in OUTSIDE or not name.endswith(("public.example", "six.example"))
    mixed = name.startswith(("to-", "first-", "last-", "chain-"))
    assert not mixed or not OUTSIDE & set(found["reached"][name])


@pytest.mark.parametrize("number", range(len(names_child.INSIDE)))
def test_a_name_that_turns_is_denied_once_its_answer_is_old(
    found: dict[str, Any], number: int
) -> None:
    first, *_, last = found["reached"][f"turn-{number}.example"]
    assert first == names_child.PUBLIC
    assert names_child.INSIDE[number] in last
    assert last.startswith("not: ")


def test_an_address_of_this_host_is_none_outside(found: dict[str, Any]) -> None:
    assert found["own"] == f"denied: own address {names_child.PUBLIC}"


def test_a_provider_outside_has_its_keys_outside(found: dict[str, Any]) -> None:
    asked = {name: set(who) for name, who in found["keys"].items() if who}
    assert len(asked) > 20
    for name, who in asked.items():
        assert all(each in OUTSIDE or each.startswith("93.184.") for each in who), name


def test_a_provider_inside_has_its_keys_inside_or_outside(found: dict[str, Any]) -> None:
    assert found["inside"] == {
        "to-0.example": ["10.9.0.1"],
        "to-1.example": ["172.16.0.9"],
        "to-4.example": [],
        "to-6.example": [],
        "public.example": [names_child.PUBLIC],
    }
