"""Redirects among the answers that a result has in it."""

from __future__ import annotations

import pytest

from casemate.guard.constants import Constants
from casemate.guard.sinks import response
from casemate.guard.written.kinds import Kind
from casemate.guard.written.returned import MAX_LOOKED_AT, judged_in


@pytest.mark.parametrize("result", [None, True, 7, 1.5, "text", b"bytes", object(), [], {}, [None]])
def test_of_what_is_no_answer_there_are_none(result: object) -> None:
    """Before: a handler that returned nothing failed by it."""
    assert judged_in(result) == ([], [])


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 302, "location": "/a"},
        {"statusCode": 301, "headers": {"Location": "/a"}},
        [{"answers": ({"status_code": 307, "headers": {"location": "/a"}},)}],
    ],
)
def test_where_they_lead_is_found(answer: object) -> None:
    assert judged_in(answer)[1] == ["/a"]
    assert judged_in({"status": 200, "location": "/a"})[1] == []
    assert judged_in({"status": 302, "location": "/a", "from": "/b"})[1] == []


def test_texts_are_found_beside_them_in_one_go() -> None:
    row = {"status": 302, "location": "/a", "report.csv": "a,b", "n": 1, "of": None}
    texts, redirects = judged_in([row, {"page": "<p>a</p>"}])
    assert [one[:2] for one in texts] == [(Kind.PAGE, "<p>a</p>"), (Kind.CELLS, "a,b")]
    assert redirects == ["/a"]
    assert judged_in([*range(MAX_LOOKED_AT), "<p>a</p>"]) == ([], [])


def test_nothing_is_made_for_a_result_that_has_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before: each call made a judgement of commands, a sixth of what a plain one costs."""

    class Asked:
        active = True
        constants = Constants()

    monkeypatch.setattr(response, "judgement_of", pytest.fail)
    response.check_result(Asked(), {"name": "ADA", "values": [1, 2]})  # type: ignore[arg-type]
