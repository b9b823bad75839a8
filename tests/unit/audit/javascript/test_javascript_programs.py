"""Each small program is told of as it should be."""

from __future__ import annotations

import pytest
from tests.unit.audit.javascript.javascript_idioms import IDIOMS
from tests.unit.audit.javascript.javascript_programs import PROGRAMS, Program
from tests.unit.audit.javascript.javascript_whole import WHOLE

from casemate.audit.flow import Entry
from casemate.audit.javascript import analyse, parse

EVERY = (*PROGRAMS, *(Program(*each) for each in (*IDIOMS, *WHOLE)))


@pytest.mark.parametrize("program", EVERY, ids=[each.name for each in EVERY])
def test_a_program_is_told_of(program: Program) -> None:
    parsed = {name: parse(name, text) for name, text in program.files.items()}
    [entry] = [name for name in program.files if name.startswith("index.")]
    analysis = analyse(parsed, [Entry(path=entry, name="handler")])
    assert not analysis.unresolved
    assert {flow.weakness for flow in analysis.flows} == set(program.expected.split())
    for flow in analysis.flows:
        assert flow.steps
        lines = program.files[flow.place.path].split("\n")
        assert lines[flow.place.line - 1].strip()


def test_there_are_enough_of_them() -> None:
    assert len({each.name for each in EVERY}) == len(EVERY) >= 150
