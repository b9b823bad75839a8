"""Problem details: one form, one scheme of types, nothing in them but what was given."""

from __future__ import annotations

import re

import msgspec
import pytest

from casemate.model.problem import (
    FUNCTION_FAILED,
    FUNCTION_TOO_SLOW,
    KINDS,
    kind_of,
    problem_response,
)


def test_every_kind_has_a_word_and_a_title_of_its_own() -> None:
    kinds = [*KINDS.values(), FUNCTION_FAILED, FUNCTION_TOO_SLOW, kind_of(599)]
    assert len({kind.word for kind in kinds}) == len({kind.title for kind in kinds}) == len(kinds)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.word) for kind in kinds)


@pytest.mark.parametrize("status", [*KINDS, 451, 599])
def test_a_problem_says_what_its_status_means_and_nothing_else(status: int) -> None:
    answer = problem_response(status)
    kind = kind_of(status)
    assert answer.status == status
    assert msgspec.json.decode(answer.body) == {
        "type": f"urn:casemate:problem:{kind.word}",
        "title": kind.title,
        "status": status,
    }
    sent = dict(answer.headers)
    assert sent[b"content-type"] == b"application/problem+json"
    assert sent[b"cache-control"] == b"no-store"
    assert (b"www-authenticate" in sent) is (status == 401)
    assert not {b"retry-after", b"allow"} & set(sent)


def test_what_is_given_is_told() -> None:
    answer = problem_response(
        405, "Not this.", kind=FUNCTION_FAILED, error_id="err_1", retry_after=3, allow=b"GET, HEAD"
    )
    assert msgspec.json.decode(answer.body) == {
        "type": "urn:casemate:problem:function-failed",
        "title": "The function failed",
        "status": 405,
        "detail": "Not this.",
        "error_id": "err_1",
    }
    assert {(b"retry-after", b"3"), (b"allow", b"GET, HEAD")} <= set(answer.headers)


@pytest.mark.parametrize("status", [*KINDS, 451, 599])
def test_what_a_request_is_refused_for_leaves_at_the_servers_pace(status: int) -> None:
    assert problem_response(status).paced is (400 <= status < 500)
