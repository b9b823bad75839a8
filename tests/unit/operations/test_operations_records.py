"""What the documentation of the operations on records says is what is done."""

from __future__ import annotations

from casemate.model.log_filter import MAX_LINES_SEARCHED
from casemate.operations.form import form_of
from casemate.operations.records import ReadLogs


def test_how_many_lines_are_searched_is_told() -> None:
    assert f"the newest {MAX_LINES_SEARCHED} lines" in form_of(ReadLogs).description
