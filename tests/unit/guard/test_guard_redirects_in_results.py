"""Redirects among the answers that a result has in it."""

from __future__ import annotations

import pytest

from casemate.guard.written.returned import redirects_of


@pytest.mark.parametrize("result", [None, True, 7, 1.5, "text", b"bytes", object(), [], {}, [None]])
def test_of_what_is_no_answer_there_are_none(result: object) -> None:
    """Before: a handler that returned nothing failed by it."""
    assert redirects_of(result) == []


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 302, "location": "/a"},
        {"statusCode": 301, "headers": {"Location": "/a"}},
        [{"answers": ({"status_code": 307, "headers": {"location": "/a"}},)}],
    ],
)
def test_where_they_lead_is_found(answer: object) -> None:
    assert redirects_of(answer) == ["/a"]
    assert redirects_of({"status": 200, "location": "/a"}) == []
    assert redirects_of({"status": 302, "location": "/a", "from": "/b"}) == []
