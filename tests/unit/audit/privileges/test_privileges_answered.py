"""What 47 handlers need is as their answers say, which were written before the reader was asked."""

from __future__ import annotations

from functools import cache

import pytest
from tests.unit.audit.privileges.answered_handlers import EVERY, JAVASCRIPT, PYTHON, Answered

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.privileges import Privileges, privileges_of
from casemate.audit.rules.examples import function
from casemate.audit.workspace import Workspace

LEAST = 0.95
"""Of precision and of recall."""


@cache
def privileges(handler: Answered) -> Privileges:
    granted = ", ".join(f"'{each}'" for each in f"{handler.needed} {handler.beyond}".split())
    runtime = "python3.13" if handler.suffix == "py" else "nodejs22.x"
    body = (
        f"Runtime: {runtime}\n"
        f"Policies: [{{Statement: [{{Effect: Allow, Action: [{granted}], Resource: '*'}}]}}]"
    )
    files = dict(function(body))
    del files["src/app.py"]
    files[f"src/app.{handler.suffix}"] = handler.code.lstrip("\n")
    workspace = Workspace.of(files)
    [application] = applications_of(workspace)
    [found] = privileges_of(application, workspace, Code(workspace))
    return found


@pytest.mark.parametrize("handlers", [PYTHON, JAVASCRIPT], ids=["boto3", "version 3"])
def test_of_what_is_needless_most_is_told_and_little_else(handlers: tuple[Answered, ...]) -> None:
    right = wrong = missed = 0
    for handler in handlers:
        told, beyond = set(privileges(handler).needless), set(handler.beyond.split())
        right, wrong = right + len(told & beyond), wrong + len(told - beyond)
        missed += len(beyond - told)
    assert right / (right + wrong) >= LEAST
    assert right / (right + missed) >= LEAST


def test_there_are_enough_of_them() -> None:
    assert len(EVERY) >= 40
    assert len({(each.name, each.suffix) for each in EVERY}) == len(EVERY)
