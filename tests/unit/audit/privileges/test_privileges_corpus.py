"""Functions written in many ways: what they need is found, and what they do not need is told."""

from __future__ import annotations

import pytest
from tests.unit.audit.privileges.privileges_corpus import PROGRAMS, Program

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.privileges import Privileges, privileges_of
from casemate.audit.rules.examples import function
from casemate.audit.workspace import Workspace

EVERY = [pytest.param(each, id=each.name) for each in PROGRAMS]


def privileges(program: Program) -> Privileges:
    granted = ", ".join(f"'{each}'" for each in program.granted.split())
    files = dict(
        function(
            f"Policies: [{{Statement: [{{Effect: Allow, Action: [{granted}], Resource: '*'}}]}}]",
            code=program.code.lstrip("\n"),
        )
    )
    files.update(program.files)
    workspace = Workspace.of(files)
    [application] = applications_of(workspace)
    [found] = privileges_of(application, workspace, Code(workspace))
    return found


@pytest.mark.parametrize("program", EVERY)
def test_what_is_needless_is_known(program: Program) -> None:
    found = privileges(program)
    assert set(found.needless) == set(program.needless.split()), found.undecided
    assert {each.service for each in found.undecided} == set(program.undecided.split())


def test_there_are_enough_of_them() -> None:
    assert len(PROGRAMS) >= 40
    assert len({each.name for each in PROGRAMS}) == len(PROGRAMS)
