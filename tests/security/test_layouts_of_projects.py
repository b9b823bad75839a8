"""Projects are spread over base zygotes, so that one does not know the addresses of another.

The node is this module's own: which base zygote a project gets depends on those that came before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.sandbox.layouts import LAYOUTS
from support.node import TestNode
from support.processes import bases_of

SOURCE = Path(__file__).parent.parent / "functions" / "attacks" / "shared.py"
LIMITS = 'timeout = "20s"\nmemory = "128MB"'
_ET_DYN = 3
"""Of the head of an ELF file: a program that can lie anywhere."""
PROJECTS = [f"p{number}" for number in range(LAYOUTS)]
"""As many as there are layouts: each has one."""
Ask = Callable[[str], tuple[int, ...]]


@pytest.fixture(scope="module")
def several(node: TestNode) -> TestNode:
    """The node with the same code deployed as `f` in each project."""
    for project in PROJECTS:
        node.deploy(SOURCE.read_text(), project=project, limits=LIMITS, unguarded=True)
    return node


@pytest.fixture(scope="module")
def ask(several: TestNode) -> Ask:
    """Have a function tell its layout: two addresses, and how it hashes a text."""

    def call(function: str) -> tuple[int, ...]:
        answer = several.invoke({"attack": "layout"}, function=function)
        assert answer.status_code == 200, several.error(answer)
        return tuple(answer.json())

    return call


def test_projects_are_spread_over_layouts(several: TestNode, ask: Ask) -> None:
    found = [ask(f"{project}/f") for project in PROJECTS]
    for what in zip(*found, strict=True):
        assert len(set(what)) == LAYOUTS
    # The next one has to share.
    several.deploy(SOURCE.read_text(), project="p9", limits=LIMITS, unguarded=True)
    assert ask("p9/f") in found
    # And functions of one project do.
    several.deploy(SOURCE.read_text(), project="p0", name="other", limits=LIMITS, unguarded=True)
    assert ask("p0/other") == found[0]


def test_what_guards_stacks_and_pointers_differs_and_code_where_it_can(several: TestNode) -> None:
    """Code of an interpreter that is no position-independent program cannot lie elsewhere."""
    found = []
    for project in PROJECTS:
        answer = several.invoke({"attack": "guards"}, function=f"{project}/f")
        assert answer.status_code == 200, several.error(answer)
        found.append(answer.json())
    stacks, pointers, code = zip(*found, strict=True)
    assert len(set(stacks)) == len(set(pointers)) == LAYOUTS
    assert several.process is not None
    program = Path(f"/proc/{bases_of(several.process.pid)[0]}/exe")
    with program.open("rb") as file:
        movable = file.read(18)[16] == _ET_DYN
    assert len(set(code)) == (LAYOUTS if movable else 1)


def test_a_function_can_have_a_layout_alone(several: TestNode, ask: Ask) -> None:
    found = [ask(f"{project}/f") for project in PROJECTS]
    for name in ("mine", "yours"):
        settings = 'layout = "own"'
        source = SOURCE.read_text()
        several.deploy(
            source, project="p0", name=name, limits=LIMITS, settings=settings, unguarded=True
        )
        found.append(ask(f"p0/{name}"))
    for what in zip(*found, strict=True):
        assert len(set(what)) == LAYOUTS + 2
