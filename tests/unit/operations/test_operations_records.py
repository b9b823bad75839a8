"""What the documentation of the operations on records says is what is done."""

from __future__ import annotations

from casemate.model.log_filter import MAX_LINES_SEARCHED
from casemate.operations.form import form_of
from casemate.operations.records import ListInvocations, ReadLogs


def test_how_many_lines_are_searched_is_told() -> None:
    assert f"the newest {MAX_LINES_SEARCHED} lines" in form_of(ReadLogs).description


def test_only_the_node_itself_asks_by_the_kind_of_trigger() -> None:
    form = form_of(ListInvocations)
    assert "trigger" in form.fields
    assert "trigger" not in (*form.in_path, *form.in_query, *form.in_body)
