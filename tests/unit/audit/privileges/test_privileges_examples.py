"""The examples are granted what their code uses, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.privileges import privileges_of
from casemate.audit.workspace import Workspace

EXAMPLES = sorted(
    each.parent for each in (Path(__file__).parents[4] / "examples").glob("*/casemate.toml")
)


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_no_example_is_granted_what_it_does_not_use(folder: Path) -> None:
    workspace = Workspace(folder)
    code = Code(workspace)
    found = [one for a in applications_of(workspace) for one in privileges_of(a, workspace, code)]
    assert [each.needless for each in found] == [()] * len(found)
    assert [each.undecided for each in found] == [()] * len(found)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 5
