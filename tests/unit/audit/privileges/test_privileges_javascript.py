"""Functions in JavaScript: what they need is found, what is needless is told, nothing is guessed."""

from __future__ import annotations

import pytest
from tests.unit.audit.privileges.javascript_privileges import PROGRAMS, Program

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.privileges import Privileges, privileges_of
from casemate.audit.rules.examples import function
from casemate.audit.workspace import Workspace


def privileges(program: Program) -> Privileges:
    granted = ", ".join(f"'{each}'" for each in program.granted.split())
    files = dict(
        function(
            "Runtime: nodejs22.x\nEnvironment: {Variables: {TABLE: !Ref Orders}}\n"
            f"Policies: [{{Statement: [{{Effect: Allow, Action: [{granted}], Resource: '*'}}]}}]",
            "Orders:\n  Type: AWS::DynamoDB::Table\n  Properties: {TableName: orders}",
        )
    )
    del files["src/app.py"]
    files[f"src/app.{program.suffix}"] = program.code
    files.update({f"src/{name}": code for name, code in program.files.items()})
    workspace = Workspace.of(files)
    [application] = applications_of(workspace)
    [found] = privileges_of(application, workspace, Code(workspace))
    return found


@pytest.mark.parametrize("program", PROGRAMS, ids=[each.name for each in PROGRAMS])
def test_what_is_needless_is_known(program: Program) -> None:
    found = privileges(program)
    assert set(found.needless) == set(program.needless.split()), found.undecided
    assert {each.service for each in found.undecided} == set(program.undecided.split())


def test_there_are_enough_of_them() -> None:
    assert len({each.name for each in PROGRAMS}) == len(PROGRAMS) >= 25


def test_resources_are_those_that_the_code_names() -> None:
    by_name = {each.name: privileges(each) for each in PROGRAMS[:5]}
    assert by_name["v3-one-command"].needed == (("s3:PutObject", ("a",)),)
    assert by_name["v3-class-with-a-client"].needed == (("dynamodb:Query", ("${Orders}",)),)
    assert by_name["v3-in-another-file"].wide[0].named == ("${Orders}",)
