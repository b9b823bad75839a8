"""One text of an answer of whom one is not logged in to."""

from __future__ import annotations

import pytest

from casemate.cli.bounded_answer import text_in
from casemate.decoding import DECODING_ERRORS


def test_one_text_is_read_whatever_stands_beside_it() -> None:
    assert text_in(b'{"expires_in": 1e999, "id_token": "a.b.c", "x": [{}]}', "id_token") == "a.b.c"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id_token": null}',
        b'{"id_token": 7}',
        b'{"id_token": "\xff"}',
        b"[" * 9000,
    ],
)
def test_what_has_no_such_text_is_told(answer: bytes) -> None:
    with pytest.raises(DECODING_ERRORS):
        text_in(answer, "id_token")
